"""Finding organisations, and keeping what is known of them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, select, update

from portal import clock, journal, keys, networks, proofs
from portal.config import Network
from portal.database import db, key_ids
from portal.organisation import words
from portal.organisation.record import CONTACTS, Details, differences, fingerprints
from portal.organisation.status import (
    ADMINISTRATORS_TURN,
    AFTER_A_CHANGE,
    SPECIALISTS_TURN,
    MovedError,
    Status,
    is_open,
    move,
)
from portal.organisation.tables import organisations, records

SHOWN = (
    organisations,
    records.c.person,
    records.c.details,
    records.c.phone_fingerprint,
    records.c.email_fingerprint,
)
_FIND = (
    select(*SHOWN)
    .join(records, records.c.id == organisations.c.record_id)
    .where(organisations.c.id == bindparam("id"))
)
_KEYS_IN_USE = {
    "records.details": key_ids(records.c.details),
    "organisations.administrator_email": key_ids(organisations.c.administrator_email),
}
_FIND_RECORD = select(records).where(records.c.id == bindparam("of"))
_ADD = insert(organisations)
_ADD_RECORD = insert(records).returning(records.c.id)
_HAD = {
    kind: select(records.c.id)
    .where(
        records.c.organisation_id == bindparam("of"),
        records.c[f"{kind}_fingerprint"] == bindparam("fingerprint"),
    )
    .limit(1)
    for kind in CONTACTS
}
_THIS = organisations.c.id == bindparam("of")
_POINT_AT = update(organisations).where(_THIS).values(record_id=bindparam("record"))
_KEEP_VERIFIED = (
    update(organisations).where(_THIS).values(verified_record_id=organisations.c.record_id)
)
_POINT_BACK = (
    update(organisations)
    .where(_THIS, organisations.c.verified_record_id.is_not(None))
    .values(record_id=organisations.c.verified_record_id)
)
_CHANGE_BESIDE = (
    update(organisations)
    .where(_THIS)
    .values(administrator_email=bindparam("email"), networks=bindparam("own"))
)


class Outcome(StrEnum):
    """What keeping an organisation came to."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"


class Record(NamedTuple):
    """One version of what an organisation's record says."""

    id: int
    organisation_id: str
    person: str
    details: Details
    made_at: datetime
    made_by: str


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation with its current record."""

    id: str
    record_id: int
    verified_record_id: int | None
    status: Status
    status_since: datetime
    person: str
    details: Details
    administrator_email: str
    networks: tuple[Network, ...]
    phone_fingerprint: bytes
    email_fingerprint: bytes

    @property
    def chain(self) -> str:
        return journal.of_organisation(self.id)

    @property
    def is_open(self) -> bool:
        """Whether its operational users may work."""
        return is_open(self.status)

    @property
    def is_administrators_turn(self) -> bool:
        """Whether its administrator has the next step: to send it for verification."""
        return self.status in ADMINISTRATORS_TURN

    @property
    def is_specialists_turn(self) -> bool:
        """Whether a specialist's word is awaited."""
        return self.status in SPECIALISTS_TURN


def must_be_readable() -> None:
    """Raise keys.UnreadableError where a data key is missing that records are under."""
    for place, question in _KEYS_IN_USE.items():
        keys.must_know((bytes(row.id) for row in db.all(question)), place)


def find(id: str) -> Organisation | None:
    """The organisation of that ID."""
    row = db.one(_FIND, id=id)
    return read(row) if row else None


def read(row: Any) -> Organisation:
    """The organisation that a row of SHOWN tells of."""
    return Organisation(
        id=row.id,
        record_id=row.record_id,
        verified_record_id=row.verified_record_id,
        status=Status(row.status),
        status_since=row.status_since,
        person=row.person,
        details=Details.read(row.details),
        administrator_email=row.administrator_email,
        networks=networks.parse_networks(row.networks),
        phone_fingerprint=row.phone_fingerprint,
        email_fingerprint=row.email_fingerprint,
    )


def find_record(id: int) -> Record | None:
    """One version of an organisation's record."""
    row = db.one(_FIND_RECORD, of=id)
    if row is None:
        return None
    return Record(
        row.id, row.organisation_id, row.person, Details.read(row.details), row.made_at, row.made_by
    )


def save(
    id: str,
    details: Details,
    administrator_email: str,
    own_networks: str,
    actor: str,
    address: object = "",
    *,
    is_another_person: bool | None = None,
) -> Outcome:
    """Keep what is known of an organisation, in the running transaction.

    Values are checked already, each in its one spelling. A changed record is a new one, and moves
    the status (`AFTER_A_CHANGE`). Nobody has confirmed the contacts of another person yet; without
    a word about that, another last or first name is another person. Raises MovedError.
    """
    known = find(id)
    if known is None:
        _add(id, details, administrator_email, own_networks, actor)
        return Outcome.NEW
    changed = differences(known.details, details)
    if is_another_person is None:
        is_another_person = not known.details.is_same_person(details)
    if changed or is_another_person:
        _change_record(known, details, changed, actor, address, is_another_person=is_another_person)
    beside = _beside(known, administrator_email, own_networks)
    if beside:
        db.execute(_CHANGE_BESIDE, {"of": id, "email": administrator_email, "own": own_networks})
        journal.record(known.chain, "organisation.changed", actor, address, fields=beside)
    return Outcome.CHANGED if changed or is_another_person or beside else Outcome.SAME


def keep_verified(known: Organisation, actor: str, address: object) -> None:
    """The current record is right: edits are compared with it from now on. Raises MovedError."""
    move(known.id, known.status, Status.VERIFIED, actor, address, record=known.record_id)
    db.execute(_KEEP_VERIFIED, {"of": known.id})


def discard_edit(known: Organisation, actor: str, address: object) -> None:
    """Point back at the record that was verified. Raises MovedError."""
    if known.status is not Status.EDITING or not db.changed(_POINT_BACK, of=known.id):
        raise MovedError
    move(known.id, known.status, Status.VERIFIED, actor, address, record=known.verified_record_id)
    restored = find(known.id)
    assert restored, "it was there a moment ago"
    words.index(known.id, restored.details)


def _add(
    id: str, details: Details, administrator_email: str, own_networks: str, actor: str
) -> None:
    values = {
        "id": id,
        "administrator_email": administrator_email,
        "networks": own_networks,
        "created_at": clock.now(),
        "status_since": clock.now(),
    }
    db.execute(_ADD, values)
    _point_at(_add_record(id, proofs.new_public_id(), details, None, actor), id)
    words.index(id, details)
    journal.record(journal.of_organisation(id), "organisation.created", actor)


def _change_record(
    known: Organisation,
    details: Details,
    changed: list[str],
    actor: str,
    address: object,
    *,
    is_another_person: bool,
) -> None:
    person = proofs.new_public_id() if is_another_person else known.person
    record_id = _add_record(known.id, person, details, known, actor)
    _point_at(record_id, known.id)
    journal.record(
        known.chain,
        "record.changed",
        actor,
        address,
        old=known.record_id,
        new=record_id,
        fields=changed,
        another_person=is_another_person,
    )
    if {"name", "short_name", "inn"} & set(changed):
        words.index(known.id, details)
    status = AFTER_A_CHANGE[known.status]
    if status is not known.status:
        move(known.id, known.status, status, actor, address, record=record_id)


def _beside(known: Organisation, administrator_email: str, own_networks: str) -> list[str]:
    """The names of what changed beside the record: it ends no request."""
    changed = {
        "administrator_email": known.administrator_email != administrator_email,
        "networks": known.networks != networks.parse_networks(own_networks),
    }
    return [name for name, is_changed in changed.items() if is_changed]


def _add_record(
    id: str, person: str, details: Details, known: Organisation | None, actor: str
) -> int:
    phone, email = fingerprints_after(known, details)
    values: dict[str, object] = {
        "organisation_id": id,
        "person": person,
        "details": details.written(),
        "made_at": clock.now(),
        "made_by": actor,
        "phone_fingerprint": phone,
        "email_fingerprint": email,
    }
    return int(db.scalar(_ADD_RECORD, **values))


def fingerprints_after(known: Organisation | None, details: Details) -> tuple[bytes, bytes]:
    """What phone and email of a record that follows the known one are known by."""
    return _fingerprint("phone", details.phone, known), _fingerprint("email", details.email, known)


def _fingerprint(kind: str, value: str, known: Organisation | None) -> bytes:
    """By which a value is proved: the one that it has or had, if the key was rotated meanwhile."""
    newest, *older = fingerprints(kind, value)
    if known is None:
        return newest
    now: bytes = getattr(known, f"{kind}_fingerprint")
    if now in {newest, *older}:
        return now
    had = (each for each in older if db.one(_HAD[kind], of=known.id, fingerprint=each))
    return next(had, newest)


def _point_at(record_id: int, id: str) -> None:
    db.execute(_POINT_AT, {"of": id, "record": record_id})
