"""Finding organisations, and keeping what is known of them."""

from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import bindparam, insert, select, update

from portal import clock, journal, networks, proofs
from portal.config import Network
from portal.database import db
from portal.organisation.record import Details, differences, fingerprints
from portal.organisation.tables import organisations, records

_FIND = (
    select(
        organisations,
        records.c.person,
        records.c.details,
        records.c.phone_fingerprint,
        records.c.email_fingerprint,
    )
    .join(records, records.c.id == organisations.c.record_id)
    .where(organisations.c.id == bindparam("id"))
)
_ADD = insert(organisations)
_ADD_RECORD = insert(records).returning(records.c.id)
_THIS = organisations.c.id == bindparam("of")
_POINT_AT = update(organisations).where(_THIS).values(record_id=bindparam("record"))
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


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation with its current record."""

    id: str
    record_id: int
    person: str
    details: Details
    administrator_email: str
    networks: tuple[Network, ...]
    phone_fingerprint: bytes
    email_fingerprint: bytes


def find(id: str) -> Organisation | None:
    """The organisation of that ID."""
    row = db.one(_FIND, id=id)
    if row is None:
        return None
    return Organisation(
        id=row.id,
        record_id=row.record_id,
        person=row.person,
        details=Details.read(row.details),
        administrator_email=row.administrator_email,
        networks=networks.parse_networks(row.networks),
        phone_fingerprint=row.phone_fingerprint,
        email_fingerprint=row.email_fingerprint,
    )


def save(
    id: str, details: Details, administrator_email: str, own_networks: str, actor: str
) -> Outcome:
    """Keep what is known of an organisation, in the running transaction.

    Values are checked already, each in its one spelling. A changed record is a new one; another
    last or first name is another person, whose contacts nobody has confirmed yet.
    """
    known = find(id)
    chain = f"organisation:{id}"
    if known is None:
        db.execute(
            _ADD,
            {
                "id": id,
                "administrator_email": administrator_email,
                "networks": own_networks,
                "created_at": clock.now(),
            },
        )
        _point_at(_add_record(id, proofs.new_public_id(), details, None, actor), id)
        journal.record(chain, "organisation.created", actor)
        return Outcome.NEW

    changed = differences(known.details, details)
    if changed:
        same = known.details.is_same_person(details)
        person = known.person if same else proofs.new_public_id()
        record_id = _add_record(id, person, details, known, actor)
        _point_at(record_id, id)
        journal.record(
            chain,
            "record.changed",
            actor,
            old=known.record_id,
            new=record_id,
            fields=changed,
            another_person=not same,
        )
    beside = _beside(known, administrator_email, own_networks)
    if beside:
        db.execute(_CHANGE_BESIDE, {"of": id, "email": administrator_email, "own": own_networks})
        journal.record(chain, "organisation.changed", actor, fields=beside)
    return Outcome.CHANGED if changed or beside else Outcome.SAME


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
    values: dict[str, object] = {
        "organisation_id": id,
        "person": person,
        "details": details.written(),
        "made_at": clock.now(),
        "made_by": actor,
    }
    for kind in ("phone", "email"):
        prints = fingerprints(kind, getattr(details, kind))
        old = getattr(known, f"{kind}_fingerprint") if known else b""
        # An unchanged value keeps its fingerprint when the data key was rotated meanwhile.
        values[f"{kind}_fingerprint"] = old if old in prints else prints[0]
    return int(db.scalar(_ADD_RECORD, **values))


def _point_at(record_id: int, id: str) -> None:
    db.execute(_POINT_AT, {"of": id, "record": record_id})
