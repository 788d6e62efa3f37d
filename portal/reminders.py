"""The delivery worker's chores: who has to know that something does not go on by itself.

A chore looks first, which costs next to nothing, and says whether there was something to do. Then
it looks anew in its own transaction: of two workers that saw the same, one conditional UPDATE lets
one go on. Reminders of the responsible person need no chore (portal/confirmation/reminding.py).
"""

from datetime import datetime, time

import structlog
from sqlalchemy import bindparam, exists, func, or_, select, update

from portal import account, clock, config, confirmation, deliveries, keys, outbox, workdays
from portal.account import Role
from portal.account.tables import accounts
from portal.confirmation import Confirmation, write
from portal.database import db
from portal.deliveries import Whose
from portal.device.tables import devices
from portal.gateways import Reason
from portal.outbox import Failed
from portal.verification.tables import verifications

log = structlog.get_logger()

_OVERDUE = (
    verifications.c.ended_at.is_(None),
    verifications.c.submitted_at <= bindparam("before"),
)
_NOT_TOLD_TODAY = or_(
    verifications.c.reminded_at.is_(None), verifications.c.reminded_at < bindparam("today")
)
_ANY_OVERDUE = select(verifications.c.id).where(*_OVERDUE, _NOT_TOLD_TODAY).limit(1)
_MARK = update(verifications).where(*_OVERDUE, _NOT_TOLD_TODAY).values(reminded_at=bindparam("now"))
_WAITING = select(func.count(), func.min(verifications.c.submitted_at)).where(*_OVERDUE)
_DIGEST_OF = select(outbox.messages.c.id).where(outbox.messages.c.about == bindparam("of")).limit(1)
_SPECIALISTS = select(accounts.c.id).where(
    accounts.c.role == Role.SPECIALIST,
    accounts.c.suspended_at.is_(None),
    exists().where(devices.c.account_id == accounts.c.id, devices.c.dropped_at.is_(None)),
)


# What could not be delivered


@db.again
def tell_of_failures() -> bool:
    """Tell administrators by letter what did not reach their responsible persons.

    One letter for each request and way, however many codes came to nothing. Nobody is told of what
    went to the administrators themselves, or serves a request that has ended.
    """
    with db.reading():
        if not outbox.has_untold():
            return False
    with db.writing():
        for failed in outbox.untold():
            if failed.about:
                confirmation.hold(failed.about)  # who ends it withdraws what is posted about it
            told = outbox.told_about(failed.about, failed.channel) if failed.about else set()
            if not outbox.claim_telling(failed.id) or told & outbox.PERSONS:
                continue
            try:
                _tell_of(failed)
            except keys.UnreadableError:  # one record that nobody can read holds up no other
                log.warning("failure could not be told", message=failed.id)
        db.commit()
    return True


def _tell_of(failed: Failed) -> None:
    request = confirmation.find(failed.about) if failed.about else None
    if deliveries.whose(failed) is not Whose.PERSON or request is None or not request.is_open:
        return
    if account.is_same_email(failed.recipient, request.administrator_email):
        return  # who reads neither address will not read this either
    if _came_after_all(failed, request):
        return
    told = deliveries.tell_administrator(failed)
    write(
        "undelivered",
        request.administrator_email,
        request.organisation_id,
        request.details,
        about=request.id,
        way=failed.channel,
        what=told.what,
        sent_to=told.recipient,
        at=failed.failed_at.isoformat(),
        reason=told.reason,
        action=told.action,
        maybe_came=failed.reason is Reason.UNKNOWN,
    )


def _came_after_all(failed: Failed, request: Confirmation) -> bool:
    """Whether the person has done what the message was for."""
    done_at = {"code": request.phone_confirmed_at, "email_link": request.email_confirmed_at}
    return done_at.get(failed.letter) is not None


# The queue of verifications


@db.again
def remind_specialists() -> bool:
    """Write to every specialist who can sign in how many organisations wait for long.

    In working hours, once in a working day.
    """
    now = clock.now()
    if not workdays.is_working_moment(now):
        return False
    with db.reading():
        if not _is_time(now):
            return False
    with db.writing():
        is_first = _is_time(now) and db.changed(
            _MARK, before=_long_ago(now), today=_midnight(now), now=now
        )
        if is_first:
            _write_digest(now)
        db.commit()
    return True


def _is_time(now: datetime) -> bool:
    """Whether an organisation waits for long, and nobody was told today."""
    waits = db.one(_ANY_OVERDUE, before=_long_ago(now), today=_midnight(now))
    return waits is not None and db.one(_DIGEST_OF, of=_about(now)) is None


def _write_digest(now: datetime) -> None:
    count, oldest = db.one(_WAITING, before=_long_ago(now))
    about, at = _about(now), oldest.isoformat()
    for row in db.all(_SPECIALISTS):
        try:
            specialist = account.find(row.id)
            if specialist:
                account.write(specialist, "queue", about=about, count=count, at=at)
        except keys.UnreadableError:  # one account that nobody can read holds up no other
            log.warning("specialist could not be reminded", account=row.id)


def _long_ago(now: datetime) -> datetime:
    """What was sent before then is waiting for longer than `PORTAL_QUEUE_DAYS`."""
    return workdays.workdays_before(now, config.settings.queue_days)


def _midnight(now: datetime) -> datetime:
    return datetime.combine(workdays.day_of(now), time.min, clock.MOSCOW)


def _about(now: datetime) -> str:
    """What the letters of a day are found by."""
    return f"queue {workdays.day_of(now)}"
