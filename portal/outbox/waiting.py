"""How many messages wait for a worker, and since when."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import bindparam, func, literal, select, union_all

from portal import clock
from portal.database import db
from portal.metrics import CHANNELS
from portal.outbox.tables import messages

# A reach of the index of what is due for each channel: what waits for its time is not looked at.
_WAITING = union_all(
    *(
        select(
            literal(channel).label("channel"),
            func.count().label("due"),
            func.min(messages.c.due_at).label("oldest"),
        ).where(messages.c.channel == literal(channel), messages.c.due_at <= bindparam("now"))
        for channel in CHANNELS
    )
)


class Waiting(NamedTuple):
    """What is due on a channel; what a worker has in its hands is not."""

    channel: str
    due: int
    oldest: datetime | None


def waiting() -> list[Waiting]:
    """What is due on each channel."""
    return [Waiting(*row) for row in db.all(_WAITING, now=clock.now())]
