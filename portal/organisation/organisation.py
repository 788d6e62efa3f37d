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
_ADD_RECORD = insert(records)
_CHANGE = update(organisations).where(organisations.c.id == bindparam("of"))


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
        db.execute(_CHANGE.values(**beside), {"of": id})
        journal.record(chain, "organisation.changed", actor, fields=sorted(beside))
    return Outcome.CHANGED if changed or beside else Outcome.SAME


def _beside(known: Organisation, administrator_email: str, own_networks: str) -> dict[str, str]:
    """What changed beside the record: it ends no request."""
    changed = {}
    if known.administrator_email != administrator_email:
        changed["administrator_email"] = administrator_email
    if known.networks != networks.parse_networks(own_networks):
        changed["networks"] = own_networks
    return changed


def _add_record(
    id: str, person: str, details: Details, known: Organisation | None, actor: str
) -> int:
    values = {
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
    record_id = db.execute(_ADD_RECORD, values).inserted_primary_key
    assert record_id is not None
    return int(record_id[0])


def _point_at(record_id: int, id: str) -> None:
    db.execute(_CHANGE.values(record_id=record_id), {"of": id})
