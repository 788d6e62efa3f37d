"""Finding what is past its keeping time, and removing it, some rows at a time.

A table is walked through by its primary key, so each row is looked at once however much stays. A
row is removed by one statement that asks once more whether its time is over: of several sweeps one
counts it, and what somebody needs again meanwhile stays.
"""

from functools import cache
from typing import Any

from sqlalchemy import Delete, Select, Update, and_, bindparam, delete, select, tuple_, update

from portal import clock, journal
from portal.account.tables import accounts
from portal.database import db
from portal.keeping.erasing import erase
from portal.keeping.table import Line
from portal.organisation import records

BATCH = 200  # some milliseconds: nobody who writes waits for longer
ACTOR = "sweep"  # who does it, in the journal

Key = tuple[Any, ...]


def find(line: Line, after: Key | None = None) -> list[Key]:
    """Keys of the next rows whose time is over, behind the key `after`; none: that was all."""
    values: dict[str, object] = {"before": clock.now() - line.kept_for}
    if after is None:
        return [tuple(row) for row in db.all(_next(line, begun=False), **values)]
    values |= {f"after_{number}": each for number, each in enumerate(after)}
    return [tuple(row) for row in db.all(_next(line, begun=True), **values)]


def remove(line: Line, keys: list[Key]) -> int:
    """Delete or wipe these rows, where that is still right, in the running transaction.

    Returns how many. What is deleted of a person by name is noted in the journal.
    """
    return sum(_remove(line, key) for key in keys)


def _remove(line: Line, key: Key) -> bool:
    values: dict[str, object] = {"before": clock.now() - line.kept_for}
    values |= {f"key_{number}": each for number, each in enumerate(key)}
    if line.table is accounts:
        return db.one(_this(line), **values) is not None and erase(str(key[0]), ACTOR)
    chain = _chain_of(key) if line.table is records else ""
    if not db.changed(_removal(line), **values):
        return False
    if chain:
        journal.record(chain, "record.erased", ACTOR, record=key[0])
    return True


_OWNER = select(records.c.organisation_id).where(records.c.id == bindparam("of"))


def _chain_of(key: Key) -> str:
    """The chain that tells of a record."""
    return journal.of_organisation(db.scalar(_OWNER, of=key[0]))


@cache
def _next(line: Line, *, begun: bool) -> Select[Any]:
    assert line.over is not None
    columns = list(line.table.primary_key)
    found = select(*columns).where(line.over).order_by(*columns).limit(BATCH)
    if not begun:
        return found
    ends = [bindparam(f"after_{number}", type_=each.type) for number, each in enumerate(columns)]
    return found.where(tuple_(*columns) > tuple_(*ends))


@cache
def _this(line: Line) -> Select[Any]:
    return select(*line.table.primary_key).where(_is_it(line))


@cache
def _removal(line: Line) -> Delete | Update:
    if line.wiped is None:
        return delete(line.table).where(_is_it(line))
    return update(line.table).where(_is_it(line)).values(dict(line.wiped))


def _is_it(line: Line) -> Any:
    assert line.over is not None
    keys = [
        column == bindparam(f"key_{number}", type_=column.type)
        for number, column in enumerate(line.table.primary_key)
    ]
    return and_(*keys, line.over)
