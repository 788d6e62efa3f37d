"""What a verification rests on: the record, what changed in it, and who confirmed what.

It is read as it was sent: also long after, when the organisation says something else. The journal
is checked, and an address looked up in the organisation's networks, as they are now.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, or_, select

from portal import account, clock, confirmation, journal, networks, organisation, outbox
from portal.confirmation import Dated, Standing
from portal.confirmation.confirmation import proof_of, standing_of
from portal.confirmation.tables import confirmations, proofs
from portal.database import db
from portal.gateways import Reason
from portal.journal import BrokenLine, Line
from portal.organisation import Change, Details, Organisation, Record, records
from portal.outbox import State, messages
from portal.verification.verification import (
    Outcome,
    Verification,
    earlier_than,
    verified_before,
)

MOST_EARLIER = 5
CHANGED = "organisation.changed"  # the lines of the journal
LINES = 50  # that are read at once when the change of the networks is looked for

_SHOWN = records.alias("shown")  # the record that was shown to who confirmed

_PROOFS = (
    select(
        proofs.c.kind,
        proofs.c.value,
        proofs.c.confirmed_at,
        proofs.c.address,
        confirmations.c.id.label("confirmation_id"),
        confirmations.c.record_id,
        confirmations.c.state,
        confirmations.c.requested_at,
        confirmations.c.requested_by,
        confirmations.c.expires_at,
        confirmations.c.ended_at,
        _SHOWN.c.details.label("shown"),
    )
    .select_from(records)
    .join(
        proofs,
        or_(
            proof_of(proofs, "phone", records.c.phone_fingerprint),
            proof_of(proofs, "email", records.c.email_fingerprint),
        ),
    )
    .join(confirmations, confirmations.c.id == proofs.c.confirmation_id)
    .join(_SHOWN, _SHOWN.c.id == confirmations.c.record_id)
    .where(records.c.id == bindparam("of"))
    .order_by(confirmations.c.requested_at, confirmations.c.id, proofs.c.confirmed_at)
)
_MESSAGES = (
    select(
        messages.c.id,
        messages.c.channel,
        messages.c.letter,
        messages.c.recipient,
        messages.c.posted_at,
        messages.c.delivered_at,
        messages.c.failed_at,
        messages.c.trouble,
        messages.c.received_at,
        messages.c.lost_at,
    )
    .where(messages.c.about == bindparam("of"))
    .order_by(messages.c.posted_at, messages.c.id)
)


class Who(NamedTuple):
    """Who did something, as the journal names them."""

    id: str
    name: str  # of an account; empty where it was none


class Message(NamedTuple):
    """A letter or an SMS, and where it is."""

    id: str
    channel: str
    letter: str
    recipient: str
    posted_at: datetime
    state: State
    settled_at: datetime | None  # when it was delivered, or given up
    reason: Reason | None


@dataclass(frozen=True, slots=True, repr=False)  # personal data stays out of tracebacks
class Request:
    """A request to confirm by which a contact was confirmed."""

    id: str
    requested_at: datetime
    requested_by: Who
    standing: Standing
    ended_at: datetime | None
    messages: list[Message]


@dataclass(frozen=True, slots=True, repr=False)
class Contact:
    """The phone or the email that was sent, and how it was confirmed."""

    kind: str
    value: str
    confirmed_at: datetime | None  # None: nobody has confirmed it
    address: str
    is_secure: bool  # whether that address is in the organisation's secure channel
    confirmation_id: str | None
    person: str  # whose name was shown when it was confirmed
    is_of_another_name: bool  # the record has another one, of what is said to be the same person


@dataclass(frozen=True, slots=True, repr=False)
class Evidence:
    """All that a specialist decides by."""

    verification: Verification
    organisation: Organisation
    record: Record
    before: Record | None  # what was verified last; None: nothing ever was
    changes: list[Change]  # what reads otherwise since then
    returned: Verification | None  # the last one that came back, where nothing ever was verified
    since_returned: list[Change]  # what reads otherwise since that
    contacts: list[Contact]
    requests: list[Request]
    reports: list[Dated]  # of errors, since it was verified last; the newest first
    broken_line: BrokenLine | None
    lines: int  # of the organisation's journal
    earlier: list[Verification]
    is_administrators_email: bool  # the person's email is that of an administrator
    networks_changed: Line | None  # when the organisation's own networks last were
    people: dict[str, Who]
    """Those who sent, took and decided, by the ids of their accounts."""

    @property
    def is_another_person(self) -> bool:
        """Whether somebody else answers for the organisation than did when it was verified."""
        return self.before is not None and self.before.person != self.record.person

    @property
    def other_names(self) -> list[str]:
        """The names under which contacts were confirmed, where the record has another one."""
        names = [each.person for each in self.contacts if each.is_of_another_name]
        return list(dict.fromkeys(names))

    @property
    def unconfirmed(self) -> list[str]:
        """The kinds of contacts that nobody has confirmed."""
        return [each.kind for each in self.contacts if each.confirmed_at is None]


def evidence(one: Verification) -> Evidence:
    """What a verification rests on."""
    found = organisation.find(one.organisation_id)
    record = organisation.find_record(one.record_id)
    assert found, "its organisation is never deleted"
    assert record, "a verification keeps its record"
    before = _verified(one, found)
    known: dict[str, Who] = {}
    rows = db.all(_PROOFS, of=record.id)
    earlier = earlier_than(one, most=MOST_EARLIER)
    returned = None if before else _returned(earlier)
    networks_changed = _networks_changed(found)
    for id in _actors([one, *earlier]) | ({networks_changed.actor} if networks_changed else set()):
        _who(id, known)
    return Evidence(
        verification=one,
        organisation=found,
        record=record,
        before=before,
        changes=organisation.compare(before.details, record.details) if before else [],
        returned=returned,
        since_returned=_changes_since(returned, record),
        contacts=[_contact(kind, rows, record, found) for kind in organisation.CONTACTS],
        requests=_requests(rows, found, known),
        reports=_reports(one),
        broken_line=journal.broken_line_of(found.chain),
        lines=journal.length_of(found.chain),
        earlier=earlier,
        is_administrators_email=_is_administrators(record.details.email, found),
        networks_changed=networks_changed,
        people=known,
    )


def _verified(one: Verification, found: Organisation) -> Record | None:
    """What was verified last when the organisation was sent."""
    if one.is_open:
        return organisation.find_record(found.verified_record_id or 0)
    last = verified_before(one)
    return organisation.find_record(last.record_id) if last else None


def _returned(earlier: Iterable[Verification]) -> Verification | None:
    """The newest of these that came back with remarks."""
    return next((each for each in earlier if each.outcome is Outcome.RETURNED), None)


def _changes_since(one: Verification | None, record: Record) -> list[Change]:
    """What of the record reads otherwise than it did in a verification."""
    seen = organisation.find_record(one.record_id) if one else None
    return organisation.compare(seen.details, record.details) if seen else []


def _contact(kind: str, rows: Iterable[Any], record: Record, found: Organisation) -> Contact:
    row = next((each for each in rows if each.kind == kind), None)
    if row is None:
        return Contact(kind, getattr(record.details, kind), None, "", False, None, "", False)
    shown = Details.read(row.shown)
    return Contact(
        kind=kind,
        value=row.value,
        confirmed_at=row.confirmed_at,
        address=row.address,
        is_secure=networks.is_secure(networks.parse(row.address), found.networks),
        confirmation_id=row.confirmation_id,
        person=shown.full_name,
        is_of_another_name=not shown.is_named_as(record.details),
    )


def _is_administrators(email: str, found: Organisation) -> bool:
    """Whether whoever asks for the confirmation reads the letters that it needs."""
    theirs = {each.email for each in account.administrators_of(found.id)}
    return any(account.is_same_email(email, each) for each in theirs | {found.administrator_email})


def _networks_changed(found: Organisation) -> Line | None:
    """The line of the journal about the newest change of the organisation's own networks."""
    before = None
    # To the end: a row of other changes must not hide it.
    while lines := journal.lines(found.chain, most=LINES, before=before, names=[CHANGED]):
        for each in lines:
            if "networks" in each.details.get("fields", ()):
                return each
        before = lines[-1].number
    return None


def _requests(rows: Iterable[Any], of: Organisation, known: dict[str, Who]) -> list[Request]:
    """The requests of the proofs, each once, the oldest first."""
    found = {row.confirmation_id: row for row in rows}
    return [
        Request(
            id=id,
            requested_at=row.requested_at,
            requested_by=_who(row.requested_by, known),
            standing=standing_of(
                Standing(row.state), row.expires_at, is_current=row.record_id == of.record_id
            ),
            ended_at=row.ended_at,
            messages=[_message(each) for each in db.all(_MESSAGES, of=id) if _was_due(each)],
        )
        for id, row in found.items()
    ]


def _reports(one: Verification) -> list[Dated]:
    """What responsible persons said is wrong since the organisation was verified last.

    The request ended by that, and the administrator may have changed something else. All of them,
    for newer ones must not hide an older one.
    """
    last = verified_before(one)
    since = (last and last.ended_at) or clock.EPOCH
    until = one.ended_at or clock.now()
    return confirmation.reports_between(one.organisation_id, since, until)


def _was_due(row: Any) -> bool:
    """Whether its time ever came: a reminder that was withdrawn before says nothing."""
    until: datetime = row.delivered_at or row.failed_at or clock.now()
    return bool(row.posted_at <= until)


def _message(row: Any) -> Message:
    return Message(
        id=row.id,
        channel=row.channel,
        letter=row.letter,
        recipient=row.recipient,
        posted_at=row.posted_at,
        state=outbox.state_of(
            row.delivered_at, row.failed_at, row.trouble, row.received_at, row.lost_at
        ),
        settled_at=row.received_at or row.lost_at or row.delivered_at or row.failed_at,
        reason=Reason(row.trouble) if row.trouble else None,
    )


def _actors(all_of_them: Iterable[Verification]) -> set[str]:
    found = {each.submitted_by for each in all_of_them}
    return found | {each.specialist_id for each in all_of_them if each.specialist_id}


def _who(id: str, known: dict[str, Who]) -> Who:
    if id not in known:
        person = account.find(id)
        known[id] = Who(id, person.called if person else "")
    return known[id]
