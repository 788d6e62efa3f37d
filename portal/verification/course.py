"""How an organisation is sent to the specialists, who works on it, and what they decide."""

import json
from enum import StrEnum

from sqlalchemy import bindparam, insert, update

from portal import clock, confirmation, journal, organisation, outbox, proofs
from portal.account import Account
from portal.confirmation import write
from portal.database import db
from portal.language import mark as _
from portal.organisation import MovedError, Organisation, Status
from portal.organisation.status import move
from portal.verification.tables import verifications
from portal.verification.verification import (
    Outcome,
    Verification,
    judged_before,
    last_one,
    open_one,
)

# Who has to do it: the administrator, who reads it, cannot confirm a contact of somebody else.
MISSING = {
    frozenset({"phone"}): _("ответственное лицо должно подтвердить номер телефона"),
    frozenset({"email"}): _("ответственное лицо должно подтвердить email"),
    frozenset(organisation.CONTACTS): _(
        "ответственное лицо должно подтвердить номер телефона и email"
    ),
}
REMARKS = _("исправьте строки, на которые указал специалист")
SENT = {Status.UNVERIFIED: Status.SUBMITTED, Status.EDITING: Status.RESUBMITTED}
RETURNED = {Status.SUBMITTED: Status.UNVERIFIED, Status.RESUBMITTED: Status.EDITING}
LONGEST_REMARK = 500

_ADD = insert(verifications)
_THIS = (verifications.c.id == bindparam("of"), verifications.c.ended_at.is_(None))
_TAKE = (
    update(verifications)
    .where(*_THIS, verifications.c.specialist_id.is_not_distinct_from(bindparam("seen")))
    .values(specialist_id=bindparam("by"), taken_at=bindparam("now"))
)
_RELEASE = (
    update(verifications)
    .where(*_THIS, verifications.c.specialist_id == bindparam("by"))
    .values(specialist_id=None, taken_at=None)
)
_END = (
    update(verifications)
    .where(*_THIS)
    .values(outcome=bindparam("how"), ended_at=bindparam("now"), remarks=bindparam("what"))
)


class Sent(StrEnum):
    """What came of sending an organisation for verification."""

    SENT = "sent"
    NOT_READY = "not_ready"  # `missing` says what
    NOT_NOW = "not_now"  # its status says why


def missing(found: Organisation) -> list[str]:
    """What is missing before an organisation can be sent: marked words for the page."""
    lacking = frozenset(organisation.CONTACTS) - confirmation.proved(found)
    needed = [MISSING[lacking]] if lacking else []
    back = returned(found)
    return [*needed, REMARKS] if back and _is_unmended(found, back) else needed


def is_as_returned(found: Organisation, last: Verification | None) -> bool:
    """Whether it is what came back with remarks, be it that it was changed and changed back.

    `last`: its newest verification.
    """
    back = _came_back(found, last)
    return back is not None and (back.record_id == found.record_id or _is_unmended(found, back))


def _is_unmended(found: Organisation, back: Verification) -> bool:
    """Whether no row that a specialist remarked on says anything else than when it was returned.

    Sending it again would open the operational part, whatever the remarks say. What was changed and
    changed back is another record that says the same. A remark on the whole asks for no other row.
    The rows of another person are others, whatever they say.
    """
    remarked = {field for field in back.remarks if field}
    if found.status is not Status.EDITING or not remarked:
        return False
    record = organisation.find_record(back.record_id)
    if record is None:
        return False
    mended = set(organisation.differences(record.details, found.details))
    if record.person != found.person:
        mended |= set(organisation.PERSON_FIELDS)
    return remarked.isdisjoint(mended)


def submit(found: Organisation, by: Account, address: object) -> Sent:
    """Send an organisation to the specialists, once both contacts are confirmed."""
    if not found.is_administrators_turn:
        return Sent.NOT_NOW
    if missing(found):
        return Sent.NOT_READY
    id = proofs.new_public_id()
    move(
        found.id,
        found.status,
        SENT[found.status],
        by.id,
        address,
        record=found.record_id,
        verification=id,
    )
    values = {
        "id": id,
        "organisation_id": found.id,
        "record_id": found.record_id,
        "submitted_at": clock.now(),
        "submitted_by": by.id,
    }
    last = last_one(found.id)
    if last:
        outbox.withdraw_all(last.id)  # what it told the administrator is over
    db.execute(_ADD, values)
    return Sent.SENT


def take(waiting: Verification, specialist: Account, address: object = "") -> bool:
    """Work on a verification, instead of who is shown to do so; False if it is another by now."""
    if not waiting.is_open:
        return False
    seen, now = waiting.specialist_id, clock.now()
    if not db.changed(_TAKE, of=waiting.id, seen=seen, by=specialist.id, now=now):
        return False
    details = {"instead_of": seen} if seen else {}
    _note(waiting, "taken", specialist, address, **details)
    return True


def release(waiting: Verification, specialist: Account, address: object = "") -> bool:
    """Leave a verification to others; False if it was not one's own."""
    if not db.changed(_RELEASE, of=waiting.id, by=specialist.id):
        return False
    _note(waiting, "released", specialist, address)
    return True


def may_decide(waiting: Verification, specialist: Account) -> bool:
    """Whether this specialist works on it, and the organisation is still what was sent."""
    return _undecided(waiting, specialist) is not None


def verify(waiting: Verification, specialist: Account, address: object) -> bool:
    """Say that the record is right: the operational part is open. Raises MovedError.

    False, and nothing changes, if a contact is not confirmed any more; `missing` says which.
    """
    found = _must_be_undecided(waiting, specialist)
    if missing(found):
        return False
    organisation.keep_verified(found, specialist.id, address)
    _end(waiting, Outcome.VERIFIED, {})
    write(
        "verified",
        found.administrator_email,
        found.id,
        found.details,
        about=waiting.id,
        at=clock.now().isoformat(),
    )
    return True


def send_back(
    waiting: Verification, specialist: Account, remarks: dict[str, str], address: object
) -> None:
    """Return an organisation with a remark per field (`""`: on the whole). Raises MovedError."""
    found = _must_be_undecided(waiting, specialist)
    to = RETURNED[found.status]
    move(found.id, found.status, to, specialist.id, address, verification=waiting.id)
    _end(waiting, Outcome.RETURNED, remarks)
    labels = organisation.ORGANISATION_FIELDS | organisation.PERSON_FIELDS
    write(
        "returned",
        found.administrator_email,
        found.id,
        found.details,
        about=waiting.id,
        at=clock.now().isoformat(),
        remarks=[
            {"label": labels[name] if name else "", "remark": remarks[name]}
            for name in ("", *labels)
            if name in remarks
        ],
        is_closed_now=found.is_open,
    )


def returned(found: Organisation) -> Verification | None:
    """The verification that came back with remarks, until somebody judges what was sent again.

    What was changed before that leaves the remarks in force. An edit that was discarded does not,
    unless it is made again as it was.
    """
    return _came_back(found, last_one(found.id))


def _came_back(found: Organisation, last: Verification | None) -> Verification | None:
    """`last`: the newest verification."""
    if not found.is_administrators_turn or last is None or last.ended_at is None:
        return None
    judged = judged_before(last) if last.outcome is Outcome.CHANGED else last
    if judged is None or judged.outcome is not Outcome.RETURNED:
        return None
    is_discarded = found.status_since > last.ended_at
    return None if is_discarded and not _is_unmended(found, judged) else judged


def end_outdated(found: Organisation) -> None:
    """End the verification whose record or status the organisation has left."""
    waiting = open_one(found.id)
    if waiting and (waiting.record_id != found.record_id or not found.is_specialists_turn):
        _end(waiting, Outcome.CHANGED, {})


def _undecided(waiting: Verification, specialist: Account) -> Organisation | None:
    """The organisation, if this specialist works on it and it is what was shown to them."""
    found = organisation.find(waiting.organisation_id)
    now = open_one(waiting.organisation_id)
    if (
        found is None
        or now is None
        or now.id != waiting.id
        or now.specialist_id != specialist.id
        or now.record_id != found.record_id
        or not found.is_specialists_turn
    ):
        return None
    return found


def _must_be_undecided(waiting: Verification, specialist: Account) -> Organisation:
    found = _undecided(waiting, specialist)
    if found is None:
        raise MovedError
    return found


def _end(waiting: Verification, how: Outcome, remarks: dict[str, str]) -> None:
    what = json.dumps(remarks, ensure_ascii=False) if remarks else None
    ended = db.changed(_END, of=waiting.id, how=how, now=clock.now(), what=what)
    if not ended:
        raise MovedError
    outbox.withdraw_all(waiting.id)


def _note(
    waiting: Verification, what: str, specialist: Account, address: object, **details: object
) -> None:
    """Add a line to the organisation's journal: who works on its verification."""
    journal.record(
        journal.of_organisation(waiting.organisation_id),
        f"verification.{what}",
        specialist.id,
        address,
        verification=waiting.id,
        **details,
    )
