"""The database: one connection for the request, command or worker step that is running.

Tables are SQLAlchemy Core; a noun keeps its own. Every row that a page shows is read by a
statement built once, at import: that is what a page costs, so there is no ORM (docs/decisions.md).

Reading and writing are told apart before the first statement. Who only reads cannot change
anything: SQLite refuses it (`PRAGMA query_only`). Who writes begins with the write lock
(`BEGIN IMMEDIATE`), so what it read is still true when it writes. Writers of one process wait for
each other in order, on a lock of their own, which is far fairer than SQLite's busy handler.
"""

import threading
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pysqlite3
from sqlalchemy import (
    Connection,
    DateTime,
    Engine,
    LargeBinary,
    MetaData,
    Row,
    create_engine,
    event,
)
from sqlalchemy.engine import CursorResult, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.sql import Executable
from sqlalchemy.types import TypeDecorator

from portal import config, keys

if TYPE_CHECKING:
    from collections.abc import Iterator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BUSY_SECONDS = 15


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, aware of it on both sides."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: object) -> datetime | None:
        return value and value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: object) -> datetime | None:
        return value and value.replace(tzinfo=UTC)


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


class Database:
    """Engines for reading and writing, and the open connection of each thread."""

    def __init__(self) -> None:
        self._here = threading.local()
        self._engines: tuple[Engine, ...] = ()

    def use(self, url: str) -> None:
        """Work on the database at `url`; nothing is opened yet."""
        self.dispose()
        path = make_url(url).database or ""
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = f"PORTAL_DATABASE_URL names a folder that cannot be made: {error.strerror}."
            raise config.BadSettingError(reason) from None
        self.url = url
        self._engines = self._reader, self._writer = _reader(url), _writer(url, self._here)

    def dispose(self) -> None:
        """Close every connection; the next statement opens new ones."""
        self.close()
        for engine in self._engines:
            engine.dispose()

    @contextmanager
    def writing(self) -> "Iterator[None]":
        """What runs inside may write; what it did not commit is undone at the end."""
        self.begin(writes=True)
        try:
            yield
        finally:
            self.begin(writes=False)  # who comes next takes no lock without saying so

    @contextmanager
    def reading(self) -> "Iterator[None]":
        """What runs inside reads, and cannot write."""
        self.begin(writes=False)
        try:
            yield
        finally:
            self.close()

    def begin(self, *, writes: bool) -> None:
        """Say, before the first statement, whether this thread's next transaction writes."""
        self.close()
        self._here.writes = writes

    @property
    def memo(self) -> dict[str, Any]:
        """What a noun wants to remember until the running transaction ends."""
        memo: dict[str, Any] | None = getattr(self._here, "memo", None)
        if memo is None:
            memo = self._here.memo = {}
        return memo

    @property
    def connection(self) -> Connection:
        """The connection of this thread; begins a transaction if none is open."""
        here = self._here
        connection: Connection | None = getattr(here, "connection", None)
        if connection is None:
            engine = self._writer if getattr(here, "writes", False) else self._reader
            connection = here.connection = engine.connect()
        return connection

    def execute(
        self,
        statement: Executable,
        parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> CursorResult[Any]:
        return self.connection.execute(statement, parameters)

    def one(self, statement: Executable, **parameters: object) -> Row[Any] | None:
        """The first row of what a statement finds, or None."""
        return self.connection.execute(statement, parameters).first()

    def all(self, statement: Executable, **parameters: object) -> Sequence[Row[Any]]:
        return self.connection.execute(statement, parameters).all()

    def scalar(self, statement: Executable, **parameters: object) -> Any:
        return self.connection.execute(statement, parameters).scalar()

    def changed(self, statement: Executable, **parameters: object) -> int:
        """How many rows an UPDATE or DELETE changed: 0 means that somebody was first."""
        return self.connection.execute(statement, parameters).rowcount

    def commit(self) -> None:
        """Keep what this transaction wrote; what comes after it reads, and takes no lock."""
        connection = getattr(self._here, "connection", None)
        if connection is not None:
            connection.commit()
        self.begin(writes=False)

    def close(self) -> None:
        """Undo what was not committed and let the connection go."""
        self._release()

    def _release(self) -> None:
        connection = getattr(self._here, "connection", None)
        if connection is not None:
            self._here.connection = None
            self._here.memo = None
            connection.close()


db = Database()


def _reader(url: str) -> Engine:
    engine = create_engine(
        url, module=pysqlite3, isolation_level="AUTOCOMMIT", hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        _set_up(connection)
        connection.execute("PRAGMA query_only = ON")

    return engine


def _writer(url: str, here: threading.local) -> Engine:
    engine = create_engine(url, module=pysqlite3, hide_parameters=True)
    turn = threading.Lock()

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        _set_up(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if not turn.acquire(timeout=BUSY_SECONDS):
            raise OperationalError("BEGIN", None, TimeoutError("another writer held the lock"))
        here.has_turn = True
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    @event.listens_for(engine, "checkin")
    def _return(_connection: object, _record: object) -> None:
        if getattr(here, "has_turn", False):
            here.has_turn = False
            turn.release()

    return engine


def _set_up(connection: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    connection.execute("PRAGMA foreign_keys = ON")
