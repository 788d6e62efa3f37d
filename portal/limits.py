"""How often something may be done. Kept in rows, so a limit holds for any number of processes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Column, Index, Integer, LargeBinary, Table, bindparam, insert, select

from portal import clock, keys
from portal.database import Moment, db, metadata

uses = Table(
    "uses",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", LargeBinary(32), nullable=False),
    Column("at", Moment, nullable=False),
    Index(None, "key", "at"),
)

_RECENT = (
    select(uses.c.at)
    .where(uses.c.key == bindparam("of"), uses.c.at > bindparam("since"))
    .order_by(uses.c.at.desc())
)
_ADD = insert(uses)


class Limit(NamedTuple):
    """At most `times` within `span`, wherever on the clock the span begins."""

    times: int
    span: timedelta


def free_at(name: str, limits: Sequence[Limit]) -> datetime | None:
    """When the next use of `name` is allowed, or None if it is now."""
    now = clock.now()
    longest = max(limit.span for limit in limits)
    moments = [
        row.at for key in _keys(name) for row in db.all(_RECENT, of=key, since=now - longest)
    ]
    return earliest(sorted(moments, reverse=True), limits, now)


def hold(name: str) -> None:
    """Let nobody else count `name` until this transaction ends: of two, the second sees the first.

    For a shared transaction, before it asks when the next use is allowed.
    """
    for key in sorted(_keys(name)):  # a process that has an older key in front holds one of them
        db.hold(key)


def earliest(
    moments: Sequence[datetime], limits: Sequence[Limit], now: datetime
) -> datetime | None:
    """When all limits allow one more use after those at `moments`, newest first; None: now."""
    moments = [moment for moment in moments if moment <= now + clock.APART]
    ends = [
        moments[limit.times - 1] + limit.span for limit in limits if len(moments) >= limit.times
    ]
    return max((end for end in ends if end > now), default=None)


def use(*names: str) -> None:
    """Note one use of each name, in the running transaction."""
    now = clock.now()
    db.execute(_ADD, *({"key": _keys(name)[0], "at": now} for name in names))


def _keys(name: str) -> tuple[bytes, ...]:
    # A name may hold a phone number, which stands readable nowhere in the database. An older data
    # key's fingerprint still counts, so that rotating the key frees nobody from a limit.
    return keys.fingerprints(name, "limit")
