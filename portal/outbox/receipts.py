"""What became of messages that an operator took, as its receipts tell."""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import LargeBinary, bindparam, func, select, type_coerce, update

from portal import clock, keys
from portal.database import db
from portal.gateways import Gateway, Listening, Reason, Receipt
from portal.outbox.tables import FAILED, messages

# The id of a message is noted within seconds, by whichever worker handed it over.
NOTED_WITHIN = timedelta(seconds=30)
UNKNOWN_FOR = timedelta(days=2)  # an operator tries for a day, mostly
MOST_UNKNOWN = 200

_SHOWN = select(
    messages.c.id, type_coerce(messages.c.recipient, LargeBinary).label("recipient")
).where(messages.c.gateway == bindparam("way"))
_KNOWN_AS = (
    _SHOWN.where(messages.c.gateway_id == bindparam("known_as"))
    .order_by(messages.c.delivered_at.desc())
    .limit(20)
)
_UNKNOWN = (
    _SHOWN.where(
        FAILED,
        messages.c.failed_at > bindparam("since"),
        messages.c.trouble == Reason.UNKNOWN,
        messages.c.lost_at.is_(None),
    )
    .order_by(messages.c.failed_at.desc())
    .limit(MOST_UNKNOWN)
)
_THIS = (
    messages.c.id == bindparam("of"),
    messages.c.received_at.is_(None),
    messages.c.lost_at.is_(None),
)
_RECEIVED = (
    update(messages)
    .where(*_THIS)
    .values(
        received_at=bindparam("now"),
        delivered_at=func.coalesce(
            messages.c.delivered_at, bindparam("now", type_=messages.c.due_at.type)
        ),
        failed_at=None,
        trouble=None,
        due_at=None,
        words=None,
        worth_until=None,
    )
)
_LOST = update(messages).where(*_THIS).values(lost_at=bindparam("now"))


def take_receipts(gateway: Gateway) -> None:
    """Note what an operator says by itself, if this gateway is one to which it speaks."""
    if isinstance(gateway, Listening):
        gateway.listen(note_receipts)


@db.again
def note_receipts(receipts: Iterable[Receipt]) -> list[Receipt]:
    """Keep what receipts say with their messages; returns those whose message is not known yet.

    The first word that is final counts: a receipt that comes twice changes nothing.
    """
    with db.writing(shared=True):
        left = [each for each in receipts if not _note(each)]
        db.commit()
    return left


def _note(receipt: Receipt) -> bool:
    """Note one; False if no message has its id, or not yet."""
    found = _of(receipt, db.all(_KNOWN_AS, way=receipt.way, known_as=receipt.known_as))
    if not found and clock.now() - receipt.at >= NOTED_WITHIN:
        found = _without_an_answer(receipt)
    if not found:
        return False
    if receipt.received is not None:
        statement = _RECEIVED if receipt.received else _LOST
        db.execute(statement, {"of": found[0], "now": clock.now()})
    return True


def _without_an_answer(receipt: Receipt) -> list[str]:
    """The message whose answer was lost, if only one to that number can be meant."""
    if not receipt.recipient:
        return []
    since = clock.now() - UNKNOWN_FOR
    found = _of(receipt, db.all(_UNKNOWN, way=receipt.way, since=since))
    return found if len(found) == 1 else []


def _of(receipt: Receipt, rows: Iterable[Any]) -> list[str]:
    """Those that went to the number of a receipt: operators use an id again after a while."""
    return [row.id for row in rows if not receipt.recipient or _digits(row) == receipt.recipient]


def _digits(row: Any) -> str:
    try:
        return re.sub(r"\D", "", keys.decrypt(row.recipient, "messages.recipient"))
    except keys.UnreadableError:
        return ""
