"""How SQLite looks for rows: whether a statement goes along an index."""

from __future__ import annotations

from typing import Any

from portal.database import db


def plan(statement: Any, **values: object) -> str:
    """How SQLite is going to look for the rows of a statement."""
    needed = {name: value for name, value in values.items() if name in statement.compile().params}
    prepared = db._prepare(statement, needed)
    cursor = db.connection.connection.cursor()
    cursor.execute(f"EXPLAIN QUERY PLAN {prepared.sql}", prepared.bind(needed))
    return " ".join(str(row) for row in cursor.fetchall())
