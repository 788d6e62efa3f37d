"""The journal: what happened, in lines that cannot be changed unseen.

Every line carries a seal over itself and the line before it in its chain, made with a key outside
the database. There is a chain for each organisation and each account, not one for all, so that no
two writers wait for each other. A line names people and messages by their ids only: personal data
can be deleted without breaking a chain.
"""

import hmac
import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    func,
    insert,
    select,
    tuple_,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeEngine

from portal import clock, config, keys
from portal.database import LARGEST, Moment, db, metadata

events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("chain", String(80), nullable=False),
    Column("number", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("name", String(60), nullable=False),
    Column("actor", String(80), nullable=False),
    Column("address", String(45), nullable=False),
    Column("details", Text, nullable=False),
    Column("seal", LargeBinary(32), nullable=False),
    UniqueConstraint("chain", "number"),
)

SEALED = tuple(each.name for each in events.c if each.name != "id")  # and the seal itself
TEXTS = tuple(name for name in SEALED if name not in {"number", "seal"})

_LAST = (
    select(events.c.number, events.c.seal)
    .where(events.c.chain == bindparam("chain"))
    .order_by(events.c.number.desc())
    .limit(1)
)
_ADD = insert(events)


class _Bytes(FunctionElement[Any]):
    """A text as its bytes, or as nothing if it is none: so a line that cannot be read is told of,
    and does not stop the check."""

    type: TypeEngine[Any] = NullType()
    inherit_cache = True


@compiles(_Bytes, "sqlite")
def _of_sqlite(element: _Bytes, compiler: SQLCompiler, **given: Any) -> str:
    column = compiler.process(element.clauses, **given)
    return f"CASE WHEN typeof({column}) = 'text' THEN CAST({column} AS BLOB) END"


@compiles(_Bytes, "postgresql")
def _of_postgresql(element: _Bytes, compiler: SQLCompiler, **given: Any) -> str:
    column = compiler.process(element.clauses, **given)
    return f"convert_to(CAST({column} AS TEXT), 'UTF8')"


_STORED = select(
    *(
        (
            _Bytes(events.c[name]) if name in TEXTS else type_coerce(events.c[name], NullType())
        ).label(name)
        for name in SEALED
    )
)
_SOME = (
    _STORED.where(
        tuple_(events.c.chain, events.c.number) > tuple_(*map(bindparam, ("of", "after")))
    )
    .order_by(events.c.chain, events.c.number)
    .limit(bindparam("most"))
)
_OF = (
    _STORED.where(events.c.chain == bindparam("of"), events.c.number > bindparam("after"))
    .order_by(events.c.number)
    .limit(bindparam("most"))
)
_LENGTH_OF_ALL = select(func.count(events.c.id))
_LENGTH = select(func.count()).where(events.c.chain == bindparam("of"))

Stored = Iterable[dict[str, Any]]  # lines with their seals

AT_ONCE = 1000  # lines that are read together
NO_LINE = 0, b""  # number and seal before the first line


class Line(NamedTuple):
    """A line of a chain, as it was written."""

    number: int
    at: datetime
    name: str
    actor: str
    address: str
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """The first line of a chain that is not what was written there, or cannot be read."""

    chain: str
    number: int


def of_organisation(id: str) -> str:
    """The chain of an organisation."""
    return f"organisation:{id}"


def of_account(id: str) -> str:
    """The chain of an account."""
    return f"account:{id}"


def record(chain: str, name: str, actor: str, address: object = "", **details: object) -> None:
    """Add a line to a chain, in the transaction of the change that it tells of.

    `chain` is `organisation:<id>` or `account:<id>`, `name` a noun and a past participle,
    `actor` who did it, `address` from where. `details` are ids and plain words, never personal
    data, codes or links.
    """
    if chain not in db.memo:
        look_at_end(chain)
    number, before = db.memo[chain]
    line: dict[str, object] = {
        "chain": chain,
        "number": number + 1,
        "at": clock.now(),
        "name": name,
        "actor": actor,
        "address": str(address or ""),
        "details": json.dumps(details, ensure_ascii=False, sort_keys=True) if details else "",
    }
    key = config.settings.data_keys[0]
    seal = _seal(key, line, before)
    db.execute(_ADD, line | {"seal": seal})
    db.memo[chain] = number + 1, seal


def look_at_end(chain: str) -> None:
    """Look where a chain ends, before anything that the transaction's next line rests on.

    In a shared transaction `record` then raises Overtaken if somebody else added a line meanwhile:
    so of those who change what a chain tells of, each knows what the others did.
    """
    db.memo[chain] = db.one(_LAST, chain=chain) or NO_LINE


def lines(
    chain: str,
    *,
    most: int,
    before: int | None = None,
    names: Collection[str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Line]:
    """The newest lines of a chain, the newest first; those before the number `before`.

    Only those with one of the names, written at `since` or later and before `until`, where these
    are given.
    """
    if names is not None and not names:
        return []
    values: dict[str, object] = {f"name_{place}": name for place, name in enumerate(names or ())}
    values |= {"since": since} if since else {}
    values |= {"until": until} if until else {}
    statement = _newest(len(names or ()), since=since is not None, until=until is not None)
    values |= {"of": chain, "before": LARGEST if before is None else before, "most": most}
    return [_line(*row) for row in db.all(statement, **values)]


def _line(number: int, at: datetime, name: str, actor: str, address: str, details: str) -> Line:
    return Line(number, at, name, actor, address, json.loads(details) if details else {})


@cache
def _newest(names: int, *, since: bool, until: bool) -> Select[Any]:
    """The statement for so many names and these bounds; built once."""
    own = events.c
    found = select(own.number, own.at, own.name, own.actor, own.address, own.details).where(
        own.chain == bindparam("of"), own.number < bindparam("before")
    )
    if names:
        found = found.where(own.name.in_([bindparam(f"name_{place}") for place in range(names)]))
    if since:
        found = found.where(own.at >= bindparam("since"))
    if until:
        found = found.where(own.at < bindparam("until"))
    return found.order_by(own.number.desc()).limit(bindparam("most"))


def first_broken_line(watched: Callable[[Stored], Stored] = iter) -> BrokenLine | None:
    """Check every chain; None means that each line is as it was written, and none is missing.

    Lines cut off the end of a chain leave no gap and are not seen. All pass through `watched`,
    which may count them.
    """
    return _first_broken(watched(_lines()))


def length() -> int:
    """How many lines all chains have together."""
    return int(db.scalar(_LENGTH_OF_ALL))


def broken_line_of(chain: str) -> BrokenLine | None:
    """Check one chain in the same way."""
    return _first_broken(_lines_of(chain))


def length_of(chain: str) -> int:
    """How many lines a chain has."""
    return int(db.scalar(_LENGTH, of=chain))


def _first_broken(lines: Stored) -> BrokenLine | None:
    chain, number, before = b"", 0, b""
    for line in lines:
        if line["chain"] != chain:
            chain, number, before = line["chain"] or b"", 0, b""
        number += 1
        if line["number"] != number or not _is_right(line, before):
            return BrokenLine(chain.decode(errors="replace"), number)
        before = line["seal"]
    return None


def _is_right(line: dict[str, Any], before: bytes) -> bool:
    """Whether a stored line is what was sealed; one that cannot be read is not."""
    try:
        read = {name: str(line[name], "utf-8") for name in TEXTS} | {"number": line["number"]}
        read["at"] = datetime.fromisoformat(read["at"]).replace(tzinfo=UTC)
        seals = [_seal(key, read, before) for key in config.settings.data_keys]
        return any(hmac.compare_digest(seal, line["seal"]) for seal in seals)
    except (ValueError, TypeError):
        return False


def _lines() -> Iterator[dict[str, Any]]:
    chain, number = "", 0
    while some := db.all(_SOME, of=chain, after=number, most=AT_ONCE):
        for row in some:
            yield {name: getattr(row, name) for name in SEALED}
        last = some[-1]  # whoever checks them has stopped if it cannot be read
        chain, number = str(last.chain or b"", "utf-8", "replace"), last.number


def _lines_of(chain: str) -> Iterator[dict[str, Any]]:
    after = -LARGEST
    while some := db.all(_OF, of=chain, after=after, most=AT_ONCE):
        for row in some:
            yield {name: getattr(row, name) for name in SEALED}
        after = some[-1].number


def _seal(key: bytes, line: dict[str, object], before: bytes) -> bytes:
    at = line["at"]
    assert isinstance(at, datetime)
    words = (
        line["chain"],
        line["number"],
        at.astimezone(UTC).isoformat(timespec="microseconds"),
        line["name"],
        line["actor"],
        line["address"],
        line["details"],
    )
    text = json.dumps(words, ensure_ascii=False).encode()
    return hmac.digest(keys.derive(key, "journal"), before + text, "sha256")
