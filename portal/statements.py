"""Statements that are compiled once and then run on the driver's own cursor.

SQLAlchemy writes the SQL and knows how each type is stored. Its execution layer does far more than
a page needs: it took more than half of what a statement cost (docs/decisions.md).
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Dialect, String
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

Parameters = Mapping[str, Any]


def _writer(type: TypeEngine[Any], dialect: Dialect) -> Callable[[Any], Any] | None:
    """What makes of a value what is stored; None where it is stored as it is."""
    into = type.dialect_impl(dialect).bind_processor(dialect)
    if into is None and dialect.name == "postgresql" and isinstance(type, String):
        return _without_nul
    return into


def _without_nul(text: str | None) -> str | None:
    """PostgreSQL has no U+0000 in texts, and would refuse the statement: nothing is found by it."""
    return text and text.replace("\0", "\ufffd")


class Prepared:
    """One statement for one set of parameter names."""

    def __init__(self, statement: ClauseElement, names: Sequence[str], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(names))
        assert isinstance(compiled, SQLCompiler)
        assert not compiled.post_compile_params, "an expanding IN has no one text"
        self.sql = str(compiled)
        self._fixed = {
            name: value
            for name, value in compiled.params.items()
            if not compiled.binds[name].required
        }
        self._into = [
            (name, _writer(compiled.binds[name].type, dialect))
            for name in compiled.positiontup or ()
        ]
        columns = list(getattr(statement, "exported_columns", ()))
        names = [column.key for column in columns]
        row: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc]
        self._make = row._make if columns else tuple  # plain text names no columns
        readers = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
        ]
        self._from = [(index, read) for index, read in enumerate(readers) if read]

    def bind(self, parameters: Parameters) -> list[Any]:
        """The parameters in the order of the SQL, each as it is stored."""
        values = {**self._fixed, **parameters}
        return [into(values[name]) if into else values[name] for name, into in self._into]

    def read(self, stored: Sequence[Any]) -> Any:
        """A row by the names of its columns, each value as it was before it was stored."""
        values = list(stored)
        for index, read in self._from:
            values[index] = read(values[index])
        return self._make(values)
