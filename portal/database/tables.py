"""What tables are made of: the catalogue of them, and two types of columns."""

from datetime import UTC, datetime

from sqlalchemy import (
    Column,
    DateTime,
    Dialect,
    LargeBinary,
    MetaData,
    Select,
    func,
    select,
    type_coerce,
)
from sqlalchemy.types import TypeDecorator

from portal import keys

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


LARGEST = 2**31 - 1
"""The greatest number that a column of whole numbers takes on either database."""


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, aware of it on both sides."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class Encrypted(TypeDecorator[str]):
    """Text that only someone with the data keys can read. `place` is its table and column."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def process_bind_param(self, value: str | None, _dialect: object) -> bytes | None:
        return None if value is None else keys.encrypt(value, self.place)

    def process_result_value(self, value: bytes | None, _dialect: object) -> str | None:
        return None if value is None else keys.decrypt(value, self.place)


def key_ids(column: Column[str]) -> Select[tuple[bytes]]:
    """The question under which data keys an encrypted column's values are (`keys.must_know`)."""
    first = func.substr(type_coerce(column, LargeBinary), 1, keys.KEY_ID_BYTES)
    return select(first.label("id")).distinct()
