"""What an edit of an organisation comes to, for all that waits for its record.

A draft knows what it changes (portal/organisation/draft.py). Here is what follows for requests,
verifications and operational users, and what the responsible person wants to be corrected.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from portal import account, confirmation, limits, organisation, outbox, verification
from portal.checks import BadValueError
from portal.confirmation import Request, Standing
from portal.limits import Limit
from portal.organisation import (
    BESIDE_FIELDS,
    EDITED_CHECKS,
    Change,
    Draft,
    Organisation,
    Record,
    Start,
    Status,
)

OFTEN = (Limit(100, timedelta(hours=24)),)  # edits of an organisation: each stays in its journal
NAMES = {"last_name", "first_name"}  # of whom it has to be said who is meant


class Outlook(NamedTuple):
    """What follows when a draft is applied."""

    changes: list[Change]
    is_another_person: bool
    is_of_record: bool  # and not only of what stands beside it
    status: Status  # after it
    again: list[str]  # contacts that were confirmed, and will have to be once more
    missing: list[str]  # those that nobody has confirmed yet either way
    ends_request: bool
    ends_verification: bool
    blocked: int | None  # operational users; None where nobody's access changes
    needs_factor: bool


class Correction(NamedTuple):
    """A row of the person's report beside what is written now."""

    field: str
    seen: str  # what the person was shown
    now: str  # what is written, or typed in the draft
    proposed: str
    error: str  # why it cannot be taken as it is

    @property
    def is_done(self) -> bool:
        return self.proposed == self.now

    @property
    def may_be_taken(self) -> bool:
        return bool(self.proposed) and not self.is_done and not self.error

    @property
    def is_left(self) -> bool:
        """Whether it is still proposed, even if it cannot be taken as it is."""
        return bool(self.proposed) and not self.is_done


class Reported(NamedTuple):
    """The last report of an error, beside what is written now."""

    request_id: str
    rows: list[Correction]
    comment: str

    @property
    def asks_who(self) -> bool:
        """Whether another name is proposed: then it has to be said who is meant."""
        return any(each.field in NAMES and each.may_be_taken for each in self.rows)


# A draft


def outlook(draft: Draft, found: Organisation) -> Outlook:
    """What follows when a draft is applied to what the organisation says now."""
    after = organisation.preview(draft, found)
    before, left = confirmation.proved(found), confirmation.proved(after)
    is_of_record = organisation.changes_record(draft, found)
    closes = found.is_open and not after.is_open
    return Outlook(
        changes=organisation.changes(draft, found),
        is_another_person=draft.is_another_person,
        is_of_record=is_of_record,
        status=after.status,
        again=[kind for kind in organisation.CONTACTS if kind in before - left],
        missing=[kind for kind in organisation.CONTACTS if kind not in before | left],
        ends_request=is_of_record and has_request(found),
        ends_verification=is_of_record and verification.open_one(found.id) is not None,
        blocked=account.operational_users_of(found.id) if closes else None,
        needs_factor=needs_factor(draft, found),
    )


def has_request(found: Organisation) -> bool:
    """Whether a link is in the post that another record would end."""
    last = confirmation.last_request(found.id)
    return last is not None and last.is_open


def needs_factor(draft: Draft, found: Organisation) -> bool:
    """Whether a second factor of a moment ago is needed.

    What stands beside the record decides who gets letters, and from where links open.
    """
    changed = {change.field for change in organisation.changes(draft, found)}
    return bool(changed & BESIDE_FIELDS.keys())


def apply(draft: Draft, address: object) -> datetime | None:
    """Make a draft what the organisation says, and end what waits for what it said before.

    Where that was done too often, until when it is not. Raises MovedError. The caller has shown
    what somebody else changed meanwhile.
    """
    name = f"edits of {draft.organisation_id}"
    until = limits.free_at(name, OFTEN)
    if until is None:
        limits.use(name)
        organisation.apply_draft(draft, address)
        end_outdated(draft.organisation_id, draft.account_id)
    return until


# Back to what was verified


def verified_record(found: Organisation) -> Record | None:
    """The record that an edit can be discarded for; None where there is no edit."""
    if found.status is not Status.EDITING or found.verified_record_id is None:
        return None
    return organisation.find_record(found.verified_record_id)


def discard(found: Organisation, actor: str, address: object) -> None:
    """Point back at the record that was verified; operational users are let in again.

    Raises MovedError.
    """
    organisation.discard_edit(found, actor, address)
    end_outdated(found.id, actor)


# What the responsible person says is wrong


def reported(found: Organisation, draft: Draft | None) -> Reported | None:
    """What the responsible person said last, unless another request was made since."""
    return _said_in(confirmation.last_request(found.id), found, draft)


def left_of(found: Organisation, last: Request | None) -> int:
    """How many values that the last request's report proposes are not what is written."""
    report = _said_in(last, found, None)
    return sum(row.is_left for row in report.rows) if report else 0


def _said_in(last: Request | None, found: Organisation, draft: Draft | None) -> Reported | None:
    if last is None or last.state is not Standing.REPORTED:
        return None
    report = confirmation.reported(last.id)
    if report is None:
        return None
    _began, values = base(found, draft)
    rows = [
        Correction(each.field, each.old, values[each.field], each.new, _fault(each.field, each.new))
        for each in report.corrections
    ]
    return Reported(last.id, rows, report.comment)


def base(found: Organisation, draft: Draft | None) -> tuple[Start, Mapping[str, str]]:
    """What corrections are put on top of: the draft, or else what is written."""
    start = organisation.start_of(found)
    return (draft.began, draft.values) if draft else (start, start.values)


def _fault(field: str, proposed: str) -> str:
    """Why a proposed value is not good any more, in a sentence."""
    try:
        EDITED_CHECKS[field](proposed)
    except BadValueError as error:
        return str(error) if proposed else ""
    return ""


def end_outdated(organisation_id: str, actor: str) -> None:
    """Whoever changed a record ends what waits for an answer about the one before."""
    now = organisation.find(organisation_id)
    assert now, "it was there a moment ago"
    confirmation.end_outdated(now, actor)
    verification.end_outdated(now)
    outbox.readdress(now.id, now.administrator_email)
