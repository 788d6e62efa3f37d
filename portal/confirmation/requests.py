"""What an administrator sees of requests: the last one, where its letter is, when the next may go.

It is read for one organisation or for a page of them, by one statement.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, select

from portal import clock, limits, outbox
from portal.confirmation.confirmation import Standing, proof_of, standing_of
from portal.confirmation.course import end
from portal.confirmation.tables import confirmations, proofs
from portal.database import db, places
from portal.limits import Limit
from portal.organisation import CONTACTS, Organisation, organisations, records

# «Again after 60 s» is product.md's number for the other letter with a link; ten a day keep a
# mailbox from being flooded by somebody who presses on and on.
AGAIN = Limit(1, timedelta(seconds=60))  # to confirm the same record
A_DAY = Limit(10, timedelta(hours=24))


class Letter(NamedTuple):
    """Where the letter of a request is; `at` is when it got there."""

    state: outbox.State
    trouble: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Request:
    """A request as its administrator sees it."""

    id: str
    is_current: bool  # the record that was shown is still the organisation's
    state: Standing
    requested_at: datetime
    requested_by: str
    expires_at: datetime
    ended_at: datetime | None
    letter: Letter

    @property
    def standing(self) -> Standing:
        return standing_of(self.state, self.expires_at, is_current=self.is_current)

    @property
    def is_open(self) -> bool:
        return self.standing is Standing.OPEN

    @property
    def is_reported(self) -> bool:
        """Whether the person found an error and nobody has changed the record since."""
        return self.is_current and self.state is Standing.REPORTED


class Progress(NamedTuple):
    """How far an organisation's contacts are confirmed, and the last request for that."""

    proved: frozenset[str]
    last: Request | None


_OLDER = confirmations.alias("older")
_PHONE_PROOF = proofs.alias("phone_proof")
_EMAIL_PROOF = proofs.alias("email_proof")
_NEWEST = (
    select(_OLDER.c.id)
    .where(_OLDER.c.organisation_id == organisations.c.id)
    .order_by(_OLDER.c.requested_at.desc())
    .limit(1)
    .correlate(organisations)
    .scalar_subquery()
)
_SEEN: Select[Any] = (
    select(
        organisations.c.id.label("of"),
        organisations.c.record_id.label("current_record_id"),
        _PHONE_PROOF.c.id.label("phone"),
        _EMAIL_PROOF.c.id.label("email"),
        confirmations.c.id,
        confirmations.c.record_id,
        confirmations.c.state,
        confirmations.c.requested_at,
        confirmations.c.requested_by,
        confirmations.c.expires_at,
        confirmations.c.ended_at,
        outbox.messages.c.posted_at,
        outbox.messages.c.delivered_at,
        outbox.messages.c.failed_at,
        outbox.messages.c.trouble,
    )
    .join(records, records.c.id == organisations.c.record_id)
    .outerjoin(_PHONE_PROOF, proof_of(_PHONE_PROOF, "phone", records.c.phone_fingerprint))
    .outerjoin(_EMAIL_PROOF, proof_of(_EMAIL_PROOF, "email", records.c.email_fingerprint))
    .outerjoin(confirmations, confirmations.c.id == _NEWEST)
    .outerjoin(outbox.messages, outbox.messages.c.id == confirmations.c.letter_id)
)
_OF = _SEEN.where(organisations.c.id == bindparam("of"))
_RECENT = (
    select(confirmations.c.requested_at, confirmations.c.record_id)
    .where(
        confirmations.c.organisation_id == bindparam("of"),
        confirmations.c.requested_at > bindparam("since"),
    )
    .order_by(confirmations.c.requested_at.desc())
)


def last_request(organisation_id: str) -> Request | None:
    """The newest request of an organisation, whatever came of it."""
    row = db.one(_OF, of=organisation_id)
    return _read(row).last if row else None


def progress_of(ids: Collection[str]) -> dict[str, Progress]:
    """How far organisations have come, by their IDs."""
    return {row.of: _read(row) for row in db.all_of(_of_these, ids)}


@cache
def _of_these(count: int) -> Select[Any]:
    return _SEEN.where(organisations.c.id.in_(places(count)))


def may_request_at(organisation: Organisation) -> datetime | None:
    """When the next request may be made, or None if it may be now."""
    now = clock.now()
    rows = db.all(_RECENT, of=organisation.id, since=now - A_DAY.span)
    of_record = [row.requested_at for row in rows if row.record_id == organisation.record_id]
    ends = (
        limits.earliest(of_record, [AGAIN], now),
        limits.earliest([row.requested_at for row in rows], [A_DAY], now),
    )
    return max(filter(None, ends), default=None)


def cancel(organisation: Organisation, actor: str, address: object) -> bool:
    """Take the open request back: its link stops working. False if there is none."""
    last = last_request(organisation.id)
    if last is None or not last.is_open:
        return False
    return end(last.id, organisation.chain, Standing.CANCELLED, actor, address)


def _read(row: Any) -> Progress:
    proved = frozenset(kind for kind in CONTACTS if getattr(row, kind))
    if row.id is None:
        return Progress(proved, None)
    letter = Letter(
        outbox.state_of(row.delivered_at, row.failed_at, row.trouble),
        row.trouble,
        row.delivered_at or row.failed_at or row.posted_at,
    )
    last = Request(
        id=row.id,
        is_current=row.record_id == row.current_record_id,
        state=Standing(row.state),
        requested_at=row.requested_at,
        requested_by=row.requested_by,
        expires_at=row.expires_at,
        ended_at=row.ended_at,
        letter=letter,
    )
    return Progress(proved, last)
