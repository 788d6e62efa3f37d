"""Confirming the phone: a code by SMS, typed back.

The limits are those of product.md, «Numbers»; when a row of codes ends, and how many older ones
are recognised, it leaves open. A wrong answer is a result, not an exception: it has to be counted,
so it must be committed.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import bindparam, insert, select, update

from portal import clock, config, journal, limits, metrics, outbox
from portal import proofs as signed
from portal.confirmation.confirmation import Code, Confirmation, Wait
from portal.confirmation.course import prove
from portal.confirmation.tables import codes, confirmations
from portal.database import db
from portal.limits import Limit

WAITS = tuple(timedelta(seconds=each) for each in (30, 60, 120, 300))
PER_NUMBER = (Limit(5, timedelta(minutes=10)), Limit(10, timedelta(hours=24)))
PER_PERSON = (Limit(20, timedelta(hours=24)),)  # the one whom an organisation names, whoever it is
ROW_ENDS = timedelta(hours=24)  # a code sent after so long is the first of a new row
OLDER_CODES = 20  # as many are recognised as older ones

_ADD = insert(codes)
# Counting comes before comparing, in a conditional update: of any number of tries at the same
# moment no more are judged than are allowed.
_COUNT_TRY = (
    update(codes)
    .where(
        codes.c.id == bindparam("of"),
        codes.c.used_at.is_(None),
        codes.c.expires_at > bindparam("now"),
        codes.c.tries < bindparam("most"),
    )
    .values(tries=codes.c.tries + 1)
    .returning(codes.c.tries)
)
_TAKE = (
    update(codes)
    .where(codes.c.id == bindparam("of"), codes.c.used_at.is_(None))
    .values(used_at=bindparam("now"))
)
_COUNT_WRONG = (
    update(confirmations)
    .where(confirmations.c.id == bindparam("of"))
    .values(wrong_codes=confirmations.c.wrong_codes + 1)
    .returning(confirmations.c.wrong_codes)
)
_PAUSE = (
    update(confirmations)
    .where(confirmations.c.id == bindparam("of"))
    .values(wrong_codes=0, paused_until=bindparam("until"))
)
_OLDER = (
    select(codes.c.seal)
    .where(codes.c.confirmation_id == bindparam("of"), codes.c.id != bindparam("newest"))
    .order_by(codes.c.id.desc())
    .limit(OLDER_CODES)
)


class Judgement(StrEnum):
    """What a typed code turned out to be."""

    RIGHT = "right"
    WRONG = "wrong"
    OLDER = "older"  # right once, but a newer one was sent
    EXPIRED = "expired"
    USED_UP = "used_up"  # no tries left
    PAUSED = "paused"
    NONE_SENT = "none_sent"


class Answer(NamedTuple):
    """A judgement, with the tries left and the moment it speaks of, if it does."""

    judgement: Judgement
    tries_left: int = 0
    moment: datetime | None = None


def request_code(confirmation: Confirmation, address: object) -> Wait | None:
    """Send a code unless one that still works is on its way; None if all is well.

    So pressing twice, or in two tabs, sends one SMS.
    """
    if confirmation.phone_confirmed_at or confirmation.awaits_code:
        return None
    return send_code_again(confirmation, address)


def send_code_again(confirmation: Confirmation, address: object) -> Wait | None:
    """Send a new code, which retires the older one; or say how long to wait."""
    if confirmation.phone_confirmed_at:
        return None
    confirmation.must_be_open()
    limits.hold(_number(confirmation))  # others may have the same number
    wait = next_code(confirmation)
    if wait:
        return wait
    now, code, older = clock.now(), signed.new_code(), confirmation.code
    if older:
        outbox.withdraw(older.message_id)
    in_a_row = older is not None and now - older.posted_at < ROW_ENDS
    ordinal = older.ordinal + 1 if older and in_a_row else 1
    expires_at = min(now + config.settings.code_lifetime, confirmation.expires_at)
    message_id = outbox.post(
        "sms",
        "code",
        confirmation.details.phone,
        confirmation.organisation_id,
        about=confirmation.id,
        useful_until=expires_at,
        code=code,
    )
    db.execute(
        _ADD,
        {
            "confirmation_id": confirmation.id,
            "message_id": message_id,
            "seal": signed.seal_code(_purpose(confirmation), code),
            "ordinal": ordinal,
            "posted_at": now,
            "expires_at": expires_at,
            "again_at": now + WAITS[min(ordinal, len(WAITS)) - 1],
        },
    )
    limits.use(_number(confirmation), _for(confirmation))
    journal.record(confirmation.chain, "code.posted", "responsible", address, message=message_id)
    metrics.codes.note("posted")
    return None


def next_code(confirmation: Confirmation) -> Wait | None:
    """How long the next code has to wait, or None if it may be sent now."""
    if confirmation.pause_ends_at:
        return Wait(confirmation.pause_ends_at, paused=True)
    older = confirmation.code
    moments = [
        older.again_at if older and not clock.is_ahead(older.posted_at) else None,
        limits.free_at(_number(confirmation), PER_NUMBER),
        limits.free_at(_for(confirmation), PER_PERSON),
    ]
    now = clock.now()
    latest = max((moment for moment in moments if moment and moment > now), default=None)
    return Wait(latest) if latest else None


def enter_code(confirmation: Confirmation, typed: str, address: object) -> Answer:
    """Judge what the person typed. A right code confirms the phone, once."""
    if confirmation.phone_confirmed_at:
        return Answer(Judgement.RIGHT)
    confirmation.must_be_open()
    code = confirmation.code
    if confirmation.pause_ends_at:
        return Answer(Judgement.PAUSED, moment=confirmation.pause_ends_at)
    if code is None:
        return Answer(Judgement.NONE_SENT)
    if clock.now() >= code.expires_at:
        return Answer(Judgement.EXPIRED, moment=code.expires_at)
    if not code.tries_left:
        return Answer(Judgement.USED_UP)
    return _count_and_compare(confirmation, code, typed, address)


def _count_and_compare(
    confirmation: Confirmation, code: Code, typed: str, address: object
) -> Answer:
    now, most = clock.now(), config.settings.tries_per_code
    tries = db.scalar(_COUNT_TRY, of=code.id, now=now, most=most)
    if tries is None:
        return Answer(Judgement.USED_UP)
    if signed.is_code(_purpose(confirmation), typed, code.seal):
        if db.changed(_TAKE, of=code.id, now=now):
            prove(confirmation, "phone", address)
            metrics.codes.note("accepted")
        return Answer(Judgement.RIGHT)
    if tries >= most:
        judgement = Judgement.USED_UP
    else:
        is_older = _is_older(confirmation, typed, code)
        judgement = Judgement.OLDER if is_older else Judgement.WRONG
    return _wrong(confirmation, Answer(judgement, most - tries, code.posted_at), address)


def _wrong(confirmation: Confirmation, answer: Answer, address: object) -> Answer:
    in_a_row = db.scalar(_COUNT_WRONG, of=confirmation.id)
    journal.record(confirmation.chain, "code.wrong", "responsible", address, in_a_row=in_a_row)
    metrics.codes.note("wrong")
    if in_a_row < config.settings.wrong_codes_before_pause:
        return answer
    until = clock.now() + config.settings.pause
    db.execute(_PAUSE, {"of": confirmation.id, "until": until})
    journal.record(confirmation.chain, "codes.paused", "responsible", address)
    return Answer(Judgement.PAUSED, moment=until)


def _is_older(confirmation: Confirmation, typed: str, newest: Code) -> bool:
    purpose = _purpose(confirmation)
    older = db.all(_OLDER, of=confirmation.id, newest=newest.id)
    return any(signed.is_code(purpose, typed, row.seal) for row in older)


def _purpose(confirmation: Confirmation) -> str:
    """What a code is for, so that it is worth nothing in another request or for another number."""
    return f"phone {confirmation.id} {confirmation.details.phone}"


def _number(confirmation: Confirmation) -> str:
    return f"sms to {confirmation.details.phone}"


def _for(confirmation: Confirmation) -> str:
    # Not for the person: an administrator may name a new one, with another number, at any time.
    return f"sms for {confirmation.organisation_id}"
