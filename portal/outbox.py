"""Messages wait here until the delivery worker hands them to a gateway.

A message is a row, posted in the same transaction as the change it tells of: both happen or
neither does. What it says is kept as words for a template, encrypted, and wiped once it left.
Claiming a message moves its due time forward, so a worker that dies with a message in its hands
gives it back simply by being late.
"""

import json
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import structlog
from flask import current_app
from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Row,
    String,
    Table,
    bindparam,
    insert,
    select,
    type_coerce,
    update,
)

from portal import clock, journal, keys, proofs
from portal.database import Encrypted, Moment, db, metadata
from portal.gateways import Gateway, Outgoing, Reason, Trouble

# A message whose worker died leaves within 2 minutes by another (product.md, «Numbers»).
LEASE = timedelta(seconds=90)
TRIED_FOR = timedelta(hours=4)

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

messages = Table(
    "messages",
    metadata,
    Column("id", String(22), primary_key=True),
    Column("organisation_id", ForeignKey("organisations.id")),  # whom it is about: one of both
    Column("account_id", String(22), ForeignKey("accounts.id"), index=True),
    Column("about", String(22), index=True),  # the request that it serves
    Column("channel", String(10), nullable=False),
    Column("letter", String(40), nullable=False),
    Column("recipient", Encrypted("messages.recipient"), nullable=False),
    Column("words", Encrypted("messages.words")),
    Column("posted_at", Moment, nullable=False),
    Column("useful_until", Moment),
    Column("due_at", Moment),  # None: nothing more to do
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("delivered_at", Moment),
    Column("failed_at", Moment),
    Column("trouble", String(20)),
    Column("gateway_id", String(200)),
    sqlite_with_rowid=False,
)
Index(
    "ix_messages_due",
    messages.c.channel,
    messages.c.due_at,
    sqlite_where=messages.c.due_at.is_not(None),
    postgresql_where=messages.c.due_at.is_not(None),
)

_ADD = insert(messages)
# Decrypted only when it is written out: one message that nobody can read holds up no other.
_NEXT = (
    select(
        *(each for each in messages.c if each.name not in {"recipient", "words"}),
        type_coerce(messages.c.recipient, LargeBinary).label("recipient"),
        type_coerce(messages.c.words, LargeBinary).label("words"),
    )
    .where(messages.c.channel == bindparam("of"), messages.c.due_at <= bindparam("now"))
    .order_by(messages.c.due_at)
    .limit(1)
)
_CLAIM = (
    update(messages)
    .where(messages.c.id == bindparam("of"), messages.c.due_at == bindparam("seen"))
    .values(attempts=messages.c.attempts + 1, due_at=bindparam("until"))
)
_FINISH = (
    update(messages)
    .where(messages.c.id == bindparam("of"), messages.c.delivered_at.is_(None))
    .values(
        due_at=None,
        words=None,
        delivered_at=bindparam("delivered"),
        failed_at=bindparam("failed"),
        trouble=bindparam("why"),
        gateway_id=bindparam("known_as"),
    )
)
_WITHDRAWN: dict[str, object] = {
    "due_at": None,
    "words": None,
    "failed_at": bindparam("now"),
    "trouble": Reason.WITHDRAWN,
}
_WITHDRAW = (
    update(messages)
    .where(messages.c.id == bindparam("of"), messages.c.due_at.is_not(None))
    .values(_WITHDRAWN)
)
_WITHDRAW_ALL = (
    update(messages)
    .where(messages.c.about == bindparam("of"), messages.c.due_at.is_not(None))
    .values(_WITHDRAWN)
)
_POSTPONE = (
    update(messages)
    .where(messages.c.id == bindparam("of"), messages.c.due_at.is_not(None))
    .values(due_at=bindparam("until"), trouble=bindparam("why"))
)


class State(StrEnum):
    """Where a message is, as a page tells it."""

    WAITING = "waiting"
    TROUBLED = "troubled"  # tried in vain, and will be tried again
    DELIVERED = "delivered"
    FAILED = "failed"


def state_of(
    delivered_at: datetime | None, failed_at: datetime | None, trouble: str | None
) -> State:
    """The state that a message's columns add up to."""
    if delivered_at:
        return State.DELIVERED
    if failed_at:
        return State.FAILED
    return State.TROUBLED if trouble else State.WAITING


def post(
    channel: str,
    letter: str,
    recipient: str,
    organisation_id: str | None = None,
    *,
    account_id: str | None = None,
    about: str | None = None,
    not_before: datetime | None = None,
    useful_until: datetime | None = None,
    **words: object,
) -> str:
    """Leave a message for the worker, in the running transaction; returns its id.

    `letter` names the templates `letters/<letter>.txt` and `.html`, or `sms/<letter>.txt`, and
    `words` is what they speak of: strings, numbers and lists of them. It tells of an organisation
    or of an account. `about` is the id of the request or case that the message serves, with which
    it can be withdrawn. It waits for `not_before`; with `useful_until` it is tried urgently until
    then, and never after.
    """
    now, id = clock.now(), proofs.new_public_id()
    due_at = max(now, not_before or now)
    db.execute(
        _ADD,
        {
            "id": id,
            "organisation_id": organisation_id,
            "account_id": account_id,
            "about": about,
            "channel": channel,
            "letter": letter,
            "recipient": recipient,
            "words": json.dumps(words, ensure_ascii=False),
            "posted_at": due_at,
            "useful_until": useful_until,
            "due_at": due_at,
        },
    )
    return id


def withdraw(id: str) -> None:
    """Do not send a message that did not leave yet: a newer one takes its place."""
    db.execute(_WITHDRAW, {"of": id, "now": clock.now()})


def withdraw_all(about: str) -> None:
    """Do not send what did not leave yet of all that serves a request."""
    db.execute(_WITHDRAW_ALL, {"of": about, "now": clock.now()})


def deliver_due(channel: str, gateway: Gateway) -> int:
    """Hand every due message of a channel to its gateway; returns how many were tried."""
    tried = 0
    with db.reading():
        message = db.one(_NEXT, of=channel, now=clock.now())
    if message is not None:
        with db.writing():
            message = _claim(channel)
            db.commit()
    while message is not None:
        outcome = _hand_over(message, gateway)
        tried += 1
        with db.writing():  # one transaction for the end of a message and the claim of the next
            _settle(message, outcome)
            message = _claim(channel)
            db.commit()
    return tried


def _claim(channel: str) -> Row[Any] | None:
    now = clock.now()
    message = db.one(_NEXT, of=channel, now=now)
    if message is None:
        return None
    claim = {"of": message.id, "seen": message.due_at, "until": now + LEASE}
    return message if db.changed(_CLAIM, **claim) else None


def _hand_over(message: Row[Any], gateway: Gateway) -> str | Trouble:
    """Try once; returns the gateway's id of the message, or what went wrong."""
    if message.useful_until and message.useful_until <= clock.now():
        return Trouble(Reason.EXPIRED, permanent=True)
    try:
        return gateway.send(_render(message))
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


def _settle(message: Row[Any], outcome: str | Trouble) -> None:
    """Note how a try ended: it left, it never will, or it is due again later."""
    now = clock.now()
    if not isinstance(outcome, Trouble):
        _finish(message.id, delivered=now, known_as=outcome[:200] or None)
        return
    due_at = now + (URGENT if message.useful_until else PATIENT).after(message.attempts + 1)
    reason = _given_up(message, due_at, now)
    if outcome.permanent:
        reason = outcome.reason
    if reason is None:
        db.execute(_POSTPONE, {"of": message.id, "until": due_at, "why": outcome.reason})
    elif _finish(message.id, failed=now, why=reason):
        journal.record(
            f"organisation:{message.organisation_id}"
            if message.organisation_id
            else f"account:{message.account_id}",
            "message.failed",
            "delivery",
            message=message.id,
            letter=message.letter,
            reason=reason,
        )


def _given_up(message: Row[Any], due_at: datetime, now: datetime) -> Reason | None:
    """Why there is no further try, or None."""
    if message.useful_until:
        return Reason.EXPIRED if due_at >= message.useful_until else None
    return Reason.GIVEN_UP if now >= message.posted_at + TRIED_FOR else None


def _finish(id: str, **how: object) -> int:
    ending = {"of": id, "delivered": None, "failed": None, "why": None, "known_as": None}
    return db.changed(_FINISH, **(ending | how))


def _render(message: Row[Any]) -> Outgoing:
    """Write the message out. A letter's first line of text is its subject."""
    words = json.loads(_decrypt(message.words, "words"))
    folder = "sms" if message.channel == "sms" else "letters"
    text = _template(f"{folder}/{message.letter}.txt").render(words).strip()
    subject, html = "", ""
    if message.channel == "email":
        subject, _, text = text.partition("\n")
        html = _template(f"letters/{message.letter}.html").render(words | {"subject": subject})
    return Outgoing(
        id=message.id,
        recipient=_decrypt(message.recipient, "recipient"),
        subject=subject,
        text=text.strip() + ("\n" if message.channel == "email" else ""),
        html=html,
        posted_at=message.posted_at,
    )


def _decrypt(stored: bytes, column: str) -> str:
    try:
        return keys.decrypt(stored, f"messages.{column}")
    except keys.UnreadableError as error:
        raise Trouble(Reason.MISCONFIGURED) from error  # its key may be put back


def _template(name: str) -> Any:
    return current_app.jinja_env.get_template(name)
