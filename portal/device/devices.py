"""The devices of an account: which there are, and dropping them.

An account that has a device keeps one, whatever is dropped at the same moment; only `drop_all`,
by which a lost device is replaced, leaves none.
"""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import bindparam, func, insert, select, update

from portal import clock, journal, proofs
from portal.account import Account
from portal.database import db
from portal.device.tables import code_sets, devices

LONGEST_NAME = 60


class Kind(StrEnum):
    """How a device proves that it is at hand."""

    TOTP = "totp"
    PASSKEY = "passkey"


class Device(NamedTuple):
    """A device that works, by the name its owner gave it, if any."""

    id: str
    kind: Kind
    name: str
    added_at: datetime
    used_at: datetime | None


_OWN = devices.c.account_id == bindparam("account")
_WORKS = devices.c.dropped_at.is_(None)
_ALL = (
    select(devices.c.id, devices.c.kind, devices.c.name, devices.c.added_at, devices.c.used_at)
    .where(_OWN, _WORKS)
    .order_by(devices.c.added_at, devices.c.id)
)
_ANY = select(devices.c.id).where(_OWN, _WORKS).limit(1)
_FIRST_ADDED = select(func.min(devices.c.added_at)).where(_OWN)
_ADD = insert(devices)
# What is dropped proves nothing any more, even to who reads the database with the keys.
_DROP_ANY = update(devices).values(
    dropped_at=bindparam("now"), secret=None, credential_id=None, public_key=None
)
_counted = devices.alias("counted")
_COUNT = (
    select(func.count())
    .select_from(_counted)
    .where(_counted.c.account_id == bindparam("account"), _counted.c.dropped_at.is_(None))
    .scalar_subquery()
)
# Counting is part of the update: of two that drop the last two at the same moment, one does.
_DROP = _DROP_ANY.where(_OWN, _WORKS, devices.c.id == bindparam("of"), _COUNT > 1).returning(
    devices.c.kind
)
_DROP_TOTP = _DROP_ANY.where(_OWN, _WORKS, devices.c.kind == Kind.TOTP).returning(
    devices.c.id, devices.c.kind
)
_DROP_ALL_BUT = _DROP_ANY.where(_OWN, _WORKS, devices.c.id != bindparam("but")).returning(
    devices.c.id, devices.c.kind
)
_DROP_SETS = (
    update(code_sets)
    .where(
        code_sets.c.account_id == bindparam("account"),
        code_sets.c.dropped_at.is_(None),
        code_sets.c.made_at <= bindparam("before"),
    )
    .values(dropped_at=bindparam("now"))
    .returning(code_sets.c.id)
)


def devices_of(account_id: str) -> list[Device]:
    """The devices that work, oldest first."""
    return [
        Device(row.id, Kind(row.kind), row.name, row.added_at, row.used_at)
        for row in db.all(_ALL, account=account_id)
    ]


def has_device(account_id: str) -> bool:
    return db.one(_ANY, account=account_id) is not None


def first_added_at(account_id: str) -> datetime | None:
    """When the first device was added, dropped or not: when the second factor was set up."""
    moment: datetime | None = db.scalar(_FIRST_ADDED, account=account_id)
    return moment


def add(account: Account, kind: Kind, name: str, address: object, **columns: object) -> str:
    """Add a device that proved itself; `name` may be empty. Returns its id."""
    id = proofs.new_public_id()
    db.execute(
        _ADD,
        {
            "id": id,
            "account_id": account.id,
            "kind": kind,
            "name": name.strip()[:LONGEST_NAME],
            "added_at": clock.now(),
            **columns,
        },
    )
    journal.record(account.chain, "device.added", account.id, address, device=id, kind=kind)
    return id


def drop(account: Account, device_id: str, address: object) -> bool:
    """Drop a device of the account; False for the last one, or where there is no such."""
    kind = db.scalar(_DROP, account=account.id, of=device_id, now=clock.now())
    if kind is None:
        return False
    _record_drop(account, device_id, kind, account.id, address)
    return True


def drop_totp(account: Account, address: object) -> None:
    """Drop the authenticator app: for the one that takes its place in the same transaction."""
    for row in db.all(_DROP_TOTP, account=account.id, now=clock.now()):
        _record_drop(account, row.id, row.kind, account.id, address)


def drop_all(account: Account, address: object, *, but: str) -> None:
    """Drop every device and every backup code of somebody who lost them.

    `but` is the id of the device that takes their place: it stays, and so do codes made since it
    was added.
    """
    now = clock.now()
    stays = next((each for each in devices_of(account.id) if each.id == but), None)
    for row in db.all(_DROP_ALL_BUT, account=account.id, but=stays.id if stays else "", now=now):
        _record_drop(account, row.id, row.kind, account.id, address)
    before = stays.added_at if stays else now
    for row in db.all(_DROP_SETS, account=account.id, before=before, now=now):
        journal.record(account.chain, "codes.dropped", account.id, address, set=row.id)


def _record_drop(account: Account, id: str, kind: str, actor: str, address: object) -> None:
    journal.record(account.chain, "device.dropped", actor, address, device=id, kind=kind)
