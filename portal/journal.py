"""The journal: what happened, in lines that cannot be changed unseen.

Every line carries a seal over itself and the line before it in its chain, made with a key outside
the database. There is a chain for each organisation and each account, not one for all, so that no
two writers wait for each other. A line names people and messages by their ids only: personal data
can be deleted without breaking a chain.
"""

import hmac
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    insert,
    select,
)

from portal import clock, config, keys
from portal.database import Moment, db, metadata

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

_LAST = (
    select(events.c.number, events.c.seal)
    .where(events.c.chain == bindparam("chain"))
    .order_by(events.c.number.desc())
    .limit(1)
)
_ADD = insert(events)
_ALL = select(events).order_by(events.c.chain, events.c.number)


@dataclass(frozen=True, slots=True)
class BrokenLine:
    """The first line of a chain whose seal is not what it should be."""

    chain: str
    number: int


def record(chain: str, name: str, actor: str, address: object = "", **details: object) -> None:
    """Add a line to a chain, in the transaction of the change that it tells of.

    `chain` is `organisation:<id>` or `account:<id>`, `name` a noun and a past participle,
    `actor` who did it, `address` from where. `details` are ids and plain words, never personal
    data, codes or links.
    """
    last: Sequence[Any] | None = db.memo.get(chain) or db.one(_LAST, chain=chain)
    number, before = last or (0, b"")
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


def first_broken_line() -> BrokenLine | None:
    """Check every chain; None means that each line is as it was written, and none is missing.

    Lines cut off the end of a chain leave no gap and are not seen.
    """
    chain, number, before = "", 0, b""
    for line in _lines():
        stored = line.pop("seal")
        assert isinstance(stored, bytes)
        if line["chain"] != chain:
            chain, number, before = str(line["chain"]), 0, b""
        number += 1
        right = any(
            hmac.compare_digest(_seal(key, line, before), stored)
            for key in config.settings.data_keys
        )
        if line["number"] != number or not right:
            return BrokenLine(chain, number)
        before = stored
    return None


def _lines() -> Iterator[dict[str, object]]:
    result = db.connection.execution_options(yield_per=1000).execute(_ALL)
    for row in result.mappings():
        yield {name: value for name, value in row.items() if name != "id"}


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
