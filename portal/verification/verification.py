"""What a verification is, and how it is found."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, select, tuple_

from portal.database import db, places
from portal.organisation.organisation import SHOWN, Organisation
from portal.organisation.organisation import read as read_organisation
from portal.organisation.tables import organisations, records
from portal.verification.tables import verifications


class Outcome(StrEnum):
    """How a verification ended."""

    VERIFIED = "verified"
    RETURNED = "returned"
    CHANGED = "changed"  # the record changed before anybody decided


@dataclass(frozen=True, slots=True)
class Verification:
    """One time that an administrator sent an organisation to the specialists."""

    id: str
    organisation_id: str
    record_id: int
    submitted_at: datetime
    submitted_by: str
    specialist_id: str | None
    taken_at: datetime | None
    ended_at: datetime | None
    outcome: Outcome | None
    reminded_at: datetime | None
    remarks: dict[str, str] = field(repr=False)
    """What was wrong, by the names of fields; `""` is the whole."""

    @property
    def is_open(self) -> bool:
        return self.ended_at is None


_BY_ID = select(verifications).where(verifications.c.id == bindparam("of"))
_OF = select(verifications).where(verifications.c.organisation_id == bindparam("of"))
_OPEN_OF = _OF.where(verifications.c.ended_at.is_(None))
_NEWEST_OF = _OF.order_by(verifications.c.submitted_at.desc(), verifications.c.id.desc())
_LAST_OF = _NEWEST_OF.limit(1)
_OLDER = verifications.alias("older")
_LAST_ID = (
    select(_OLDER.c.id)
    .where(_OLDER.c.organisation_id == organisations.c.id)
    .order_by(_OLDER.c.submitted_at.desc(), _OLDER.c.id.desc())
    .limit(1)
    .correlate(organisations)
    .scalar_subquery()
)
_FEW_OF = _NEWEST_OF.limit(bindparam("most"))
_BEFORE = _NEWEST_OF.where(verifications.c.submitted_at < bindparam("before"))
_FEW_BEFORE = _BEFORE.limit(bindparam("most"))
_VERIFIED_BEFORE = _BEFORE.where(verifications.c.outcome == Outcome.VERIFIED).limit(1)
_JUDGED_BEFORE = _BEFORE.where(verifications.c.outcome != Outcome.CHANGED).limit(1)
_QUEUE = (
    select(*(each.label(f"verification_{each.key}") for each in verifications.c), *SHOWN)
    .join(organisations, organisations.c.id == verifications.c.organisation_id)
    .join(records, records.c.id == organisations.c.record_id)
    .where(
        verifications.c.ended_at.is_(None),
        tuple_(verifications.c.submitted_at, verifications.c.id)
        > tuple_(bindparam("after", type_=verifications.c.submitted_at.type), bindparam("id")),
    )
    .order_by(verifications.c.submitted_at, verifications.c.id)
    .limit(bindparam("most"))
)


def find(id: str) -> Verification | None:
    """The verification of that id."""
    return _read(db.one(_BY_ID, of=id))


def open_one(organisation_id: str) -> Verification | None:
    """The verification of an organisation that nobody has decided yet."""
    return _read(db.one(_OPEN_OF, of=organisation_id))


def last_one(organisation_id: str) -> Verification | None:
    """The newest verification of an organisation, whatever came of it."""
    return _read(db.one(_LAST_OF, of=organisation_id))


def last_ones(ids: Collection[str]) -> dict[str, Verification]:
    """The newest verifications of organisations, by their IDs."""
    return {row.organisation_id: _known(row) for row in db.all_of(_last_of_these, ids)}


@cache
def _last_of_these(count: int) -> Select[Any]:
    return (
        select(verifications)
        .select_from(organisations)
        .join(verifications, verifications.c.id == _LAST_ID)
        .where(organisations.c.id.in_(places(count)))
    )


def verifications_of(organisation_id: str, *, most: int) -> list[Verification]:
    """The newest verifications of an organisation, the newest first."""
    return [_known(row) for row in db.all(_FEW_OF, of=organisation_id, most=most)]


def earlier_than(one: Verification, *, most: int) -> list[Verification]:
    """Those of the same organisation that came before, the newest first."""
    before = one.submitted_at
    rows = db.all(_FEW_BEFORE, of=one.organisation_id, before=before, most=most)
    return [_known(row) for row in rows]


def verified_before(one: Verification) -> Verification | None:
    """The last one before, by which the organisation became verified."""
    return _read(db.one(_VERIFIED_BEFORE, of=one.organisation_id, before=one.submitted_at))


def judged_before(one: Verification) -> Verification | None:
    """The last one before that a specialist decided, either way."""
    return _read(db.one(_JUDGED_BEFORE, of=one.organisation_id, before=one.submitted_at))


def queue(after: datetime, id: str = "", *, most: int) -> list[tuple[Verification, Organisation]]:
    """What waits for a specialist, the oldest first, from a moment (and the id at it) on."""
    return [
        (_known(row, "verification_"), read_organisation(row))
        for row in db.all(_QUEUE, after=after, id=id, most=most)
    ]


def _read(row: Any) -> Verification | None:
    return _known(row) if row else None


def _known(row: Any, prefix: str = "") -> Verification:
    values = {each.key: getattr(row, prefix + each.key) for each in verifications.c}
    values["outcome"] = Outcome(values["outcome"]) if values["outcome"] else None
    values["remarks"] = json.loads(values["remarks"]) if values["remarks"] else {}
    return Verification(**values)
