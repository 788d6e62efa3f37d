"""The delivery worker's steps: claiming a message, handing it over, noting how that ended."""

import json
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from flask import current_app
from sqlalchemy import LargeBinary, Row, bindparam, or_, select, type_coerce, update
from sqlalchemy.exc import OperationalError

from portal import clock, journal, keys, logs, metrics, telemetry
from portal.database import db
from portal.gateways import Gateway, Outgoing, Reason, TakenOver, Trouble, way_of
from portal.outbox.receipts import take_receipts
from portal.outbox.tables import messages

# A message whose worker died leaves within 2 minutes by another (product.md, «Numbers»).
LEASE = timedelta(seconds=90)
NOTED_AGAIN_SECONDS = 1
TRIED_FOR = timedelta(hours=4)
# Each try of a letter that may have left may be one more in the mailbox: SMTP knows no id of ours.
MOST_LETTERS = 3
KEPT_FOR = timedelta(days=7)  # as long as a confirmation's link works: longer, and it is old news

log = structlog.get_logger()


class Retry(NamedTuple):
    """The waits after each failed try; the last one repeats."""

    waits: tuple[timedelta, ...]

    def after(self, attempts: int) -> timedelta:
        return self.waits[min(attempts, len(self.waits)) - 1]


def _retry(*seconds: int) -> Retry:
    return Retry(tuple(timedelta(seconds=each) for each in seconds))


URGENT = _retry(5, 15, 30, 60)  # codes: never after they expired
PATIENT = _retry(0, 300)  # everything else: for TRIED_FOR

# Decrypted only when it is written out: one message that nobody can read holds up no other.
_DUE = (
    select(
        *(each for each in messages.c if each.name not in {"recipient", "words"}),
        type_coerce(messages.c.recipient, LargeBinary).label("recipient"),
        type_coerce(messages.c.words, LargeBinary).label("words"),
    )
    .where(
        messages.c.channel == bindparam("of"),
        messages.c.due_at <= bindparam("now"),
        or_(messages.c.worth_until.is_(None), messages.c.worth_until > bindparam("now")),
    )
    .order_by(messages.c.due_at)
    .limit(1)
)
# PostgreSQL passes over what another worker is claiming; on SQLite nobody else is.
_NEXT = _DUE.with_for_update(skip_locked=True)
_CLAIM = (
    update(messages)
    .where(messages.c.id == bindparam("of"), messages.c.due_at == bindparam("seen"))
    .values(
        attempts=messages.c.attempts + 1,
        tried_since=bindparam("since"),
        due_at=bindparam("until"),
    )
)
_THIS = messages.c.id == bindparam("of")
_KEEP_DELIVERED = (
    update(messages)
    .where(_THIS, messages.c.delivered_at.is_(None))
    .values(
        due_at=None,
        words=None,
        worth_until=None,
        delivered_at=bindparam("now"),
        failed_at=None,
        trouble=None,
        gateway=bindparam("way"),
        gateway_id=bindparam("known_as"),
    )
)
# Until its claim ends it is this worker's to judge: then another may have it in hand already.
_STILL_OURS = (_THIS, messages.c.due_at == bindparam("claimed_until"))
_FAIL = (
    update(messages)
    .where(*_STILL_OURS)
    .values(
        due_at=None,
        failed_at=bindparam("now"),
        trouble=bindparam("why"),
        gateway=bindparam("way"),
        worth_until=bindparam("until"),
    )
)
_WIPE = update(messages).where(_THIS).values(words=None)
_POSTPONE = (
    update(messages)
    .where(*_STILL_OURS)
    .values(due_at=bindparam("until"), trouble=bindparam("why"), gateway=bindparam("way"))
)


def deliver_due(channel: str, gateway: Gateway, is_over: Callable[[], bool] = lambda: False) -> int:
    """Hand every due message of a channel to its gateway; returns how many were tried.

    Once `is_over` says so, what is in hand is finished, and nothing more is claimed.
    """
    tried = 0
    take_receipts(gateway)
    with db.reading():
        message = db.one(_DUE, of=channel, now=clock.now())
    if message is not None:
        message = _begin(channel)
    while message is not None:
        outcome = _hand_over(message, gateway)
        tried += 1
        message = _note(channel, message, outcome, way_of(gateway), is_over)
        take_receipts(gateway)
    return tried


@db.again
def _begin(channel: str) -> Row[Any] | None:
    """Claim the first message."""
    with db.writing(shared=True):
        message = _claim(channel)
        db.commit()
    return message


def _note(
    channel: str,
    done: Row[Any],
    outcome: str | Trouble | None,
    way: str | None,
    is_over: Callable[[], bool],
) -> Row[Any] | None:
    """Note the end of one message, however often the database has to be asked; claim the next.

    What is not noted until the claim ends is sent again by whoever is next.
    """
    while True:
        try:
            return _go_on(channel, done, outcome, way, is_last=is_over())
        except OperationalError as error:
            if outcome is None or clock.now() >= done.due_at:
                raise
            log.warning("outcome not noted yet", message=done.id, cause=type(error.orig).__name__)
            time.sleep(NOTED_AGAIN_SECONDS)


@db.again
def _go_on(
    channel: str, done: Row[Any], outcome: str | Trouble | None, way: str | None, *, is_last: bool
) -> Row[Any] | None:
    """Note the end of one message and claim the next, in one transaction."""
    with db.writing(shared=True):
        if outcome is not None:
            _settle(done, outcome, way)
        message = None if is_last else _claim(channel)
        db.commit()
    return message


def chain_of(message: Any) -> str:
    """The chain of the journal that tells of a message."""
    if message.organisation_id:
        return journal.of_organisation(message.organisation_id)
    return journal.of_account(message.account_id)


def template(name: str) -> Any:
    return current_app.jinja_env.get_template(name)


def _claim(channel: str) -> Row[Any] | None:
    now = clock.now()
    message = db.one(_NEXT, of=channel, now=now)
    if message is None:
        return None
    since, until = message.tried_since or now, now + LEASE
    seen = {"of": message.id, "seen": message.due_at}
    if not db.changed(_CLAIM, **seen, since=since, until=until):
        return None
    return message._replace(tried_since=since, due_at=until)


def _hand_over(message: Row[Any], gateway: Gateway) -> str | Trouble | None:
    """Try once; returns the gateway's id of the message, or what went wrong.

    None if the claim ended before: a worker that was stopped for a while does not know what
    others have sent meanwhile.
    """
    if message.useful_until and message.useful_until <= clock.now():
        return Trouble(Reason.EXPIRED, permanent=True)
    try:
        about = {"channel": message.channel, "letter": message.letter, "message": message.id}
        with logs.about(message=message.id), telemetry.traced("deliver", **about):
            written = _render(message)
            written.must_be_ours()
            return gateway.send(written)
    except TakenOver:
        log.warning("message left to others", message=message.id, letter=message.letter)
        return None
    except Trouble as trouble:
        log.warning(
            "message did not leave",
            message=message.id,
            letter=message.letter,
            reason=trouble.reason,
            cause=type(trouble.__cause__).__name__,
        )
        return trouble
    except Exception:  # one bad message must not stop the post
        log.exception("message could not be written", message=message.id, letter=message.letter)
        return Trouble(Reason.REFUSED, permanent=True)


def _settle(message: Row[Any], outcome: str | Trouble, way: str | None) -> None:
    """Note how a try ended: it left, it never will, or it is due again later.

    `way` is by which it left, or by which it may have.
    """
    now = clock.now()
    if not isinstance(outcome, Trouble):
        left = {"way": way, "known_as": outcome[:200] or None}
        db.execute(_KEEP_DELIVERED, {"of": message.id, "now": now} | left)
        waited = (now - message.posted_at).total_seconds()
        metrics.messages.note(message.channel, "delivered", "none")
        metrics.delivery_seconds.note_span(max(0, waited), message.channel)
        return
    due_at = now + (URGENT if message.useful_until else PATIENT).after(message.attempts + 1)
    reason = _final_reason(message, outcome, due_at, now)
    way = way if outcome.reason is Reason.UNKNOWN else None
    if reason is None:
        waits = {"of": message.id, "until": due_at, "why": outcome.reason, "way": way}
        if db.changed(_POSTPONE, **waits, claimed_until=message.due_at):
            metrics.messages.note(message.channel, "postponed", outcome.reason)
    else:
        _fail(message, reason, now, way)


def _final_reason(
    message: Row[Any], trouble: Trouble, due_at: datetime, now: datetime
) -> Reason | None:
    """Why there is no further try, or None."""
    if trouble.permanent:
        return trouble.reason
    if message.useful_until:
        is_over, why = due_at >= message.useful_until, Reason.EXPIRED
    else:
        is_over, why = now >= message.tried_since + TRIED_FOR, Reason.GIVEN_UP
        if trouble.reason is Reason.MISCONFIGURED:
            why = trouble.reason  # what is at fault here is mended here, not by waiting
    if trouble.reason is Reason.UNKNOWN:
        why = trouble.reason  # that it may have left is worth knowing to the end
        is_over |= message.channel == "email" and message.attempts + 1 >= MOST_LETTERS
    return why if is_over else None


def _fail(message: Row[Any], reason: Reason, now: datetime, way: str | None) -> None:
    """Never try it again by itself. Its words stay while somebody may want it sent again."""
    worth_until = None if message.useful_until else _worth_until(message, now)
    ending = {"of": message.id, "now": now, "why": reason, "until": worth_until, "way": way}
    if not db.changed(_FAIL, **ending, claimed_until=message.due_at):
        return  # withdrawn meanwhile, or another worker's
    metrics.messages.note(message.channel, "failed", reason)
    if worth_until is None:
        db.execute(_WIPE, {"of": message.id})
    journal.record(
        chain_of(message),
        "message.failed",
        "delivery",
        message=message.id,
        letter=message.letter,
        channel=message.channel,
        reason=reason,
    )


def _worth_until(message: Row[Any], now: datetime) -> datetime | None:
    """Until when sending the message again would make sense; None if it does not now."""
    if message.words is None:  # wiped meanwhile
        return None
    longest = min(now + KEPT_FOR, message.worth_until or now + KEPT_FOR)
    try:
        until = json.loads(_decrypt(message.words, "words")).get("until")
    except Trouble:
        return longest  # its key may be put back
    end = min(datetime.fromisoformat(until), longest) if until else longest
    return end if end > now else None


def _render(message: Row[Any]) -> Outgoing:
    """Write the message out. A letter's first line of text is its subject."""
    words = json.loads(_decrypt(message.words, "words"))
    folder = "sms" if message.channel == "sms" else "letters"
    text = template(f"{folder}/{message.letter}.txt").render(words).strip()
    subject, html = "", ""
    if message.channel == "email":
        subject, _, text = text.partition("\n")
        html = template(f"letters/{message.letter}.html").render(words | {"subject": subject})
    return Outgoing(
        id=message.id,
        recipient=_decrypt(message.recipient, "recipient"),
        subject=subject,
        text=text.strip() + ("\n" if message.channel == "email" else ""),
        html=html,
        posted_at=message.posted_at,
        useful_until=message.useful_until,
        attempts=message.attempts,
        ours_until=message.due_at,
        maybe_taken_by=message.gateway if message.trouble == Reason.UNKNOWN else None,
    )


def _decrypt(stored: bytes, column: str) -> str:
    try:
        return keys.decrypt(stored, f"messages.{column}")
    except keys.UnreadableError as error:
        raise Trouble(Reason.MISCONFIGURED) from error  # its key may be put back
