"""The database: the connections of the request, command or worker step that is running.

Tables are SQLAlchemy Core; a noun keeps its own. Every row that a page shows is read by a
statement built once, at import: that is what a page costs, so there is no ORM (docs/decisions.md).

Reading and writing are told apart before the first statement. Who only reads cannot change
anything: SQLite refuses it (`PRAGMA query_only`). Who writes begins with the write lock
(`BEGIN IMMEDIATE`), so what it read is still true when it writes. Writers of one process wait for
each other on a lock of their own, which is far fairer than SQLite's busy handler.

Who has to answer soon says how long to wait for others (`patience`, in seconds): after that an
OperationalError says that the database is busy, instead of after BUSY_SECONDS.
"""

import threading
from contextlib import contextmanager, suppress
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
    NullPool,
    create_engine,
    event,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.sql import ClauseElement
from sqlalchemy.types import TypeDecorator

from portal import config, keys
from portal.statements import Parameters, Prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BUSY_SECONDS = 15
MOST_PREPARED = 500


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
    """Two connections for each thread, one that reads and one that writes."""

    def __init__(self) -> None:
        self._here = threading.local()
        self._path = Path()
        self._engines: tuple[Engine, ...] = ()
        self._turn = threading.Lock()
        self._prepared: dict[tuple[ClauseElement, tuple[str, ...]], Prepared] = {}

    def use(self, url: str) -> None:
        """Work on the database at `url`; nothing is opened yet."""
        self.dispose()
        self._path = Path(make_url(url).database or "")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = f"PORTAL_DATABASE_URL names a folder that cannot be made: {error.strerror}."
            raise config.BadSettingError(reason) from None
        with suppress(OSError):  # a file that cannot be made is said when it is opened
            self._path.touch(mode=0o600, exist_ok=False)  # SQLite's own would be readable by all
        self.url = url
        waits = self._patience
        self._engines = (
            _engine(url, writes=False, waits=waits),
            _engine(url, writes=True, waits=waits),
        )

    def dispose(self) -> None:
        """Close this thread's connections, and have every thread open new ones."""
        self.close()
        for connection in self._connections():
            if connection is not None:
                connection.close()
        self._here = threading.local()
        for engine in self._engines:
            engine.dispose()

    @contextmanager
    def writing(self, *, patience: float = BUSY_SECONDS) -> "Iterator[None]":
        """What runs inside may write; what it did not commit is undone at the end."""
        self.begin(writes=True, patience=patience)
        try:
            yield
        finally:
            self.begin(writes=False)  # who comes next takes no lock without saying so

    @contextmanager
    def reading(self, *, patience: float = BUSY_SECONDS) -> "Iterator[None]":
        """What runs inside reads, and cannot write."""
        self.begin(writes=False, patience=patience)
        try:
            yield
        finally:
            self.begin(writes=False)  # who comes next has its own patience

    @contextmanager
    def migrating(self) -> "Iterator[Connection]":
        """A connection with the write lock, for changing the schema; commits at the end.

        SQLite changes a table by dropping it and making it anew, which rows that refer to it would
        forbid: so references are checked once, before the commit.
        """
        self.close()
        engine = _engine(self.url, writes=True, waits=self._patience, checks_references=False)
        with self._turn, engine.connect() as connection, connection.begin():
            yield connection
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            if broken:
                raise RuntimeError(f"a row of {broken[0]} would refer to nothing")

    def begin(self, *, writes: bool, patience: float = BUSY_SECONDS) -> None:
        """Say, before the first statement, whether this thread's next transaction writes.

        It waits `patience` seconds for others, both for the lock of this process and for SQLite's.
        """
        self.close()
        self._here.writes, self._here.patience = writes, patience

    def look_again(self) -> None:
        """Read the file that is there now: another one, or one written by strangers, counts.

        A connection would go on with the file that it opened, which may have been replaced since.
        It is opened anew when the file was written, too: in WAL that is each checkpoint.
        """
        try:
            found = self._path.stat()
            seen = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        except OSError as error:
            raise OperationalError("open", None, error) from error
        if seen == getattr(self._here, "seen", None):
            return
        self.close()
        reader = self._connections()[False]
        if reader is not None:
            self._connections()[False] = None
            reader.close()
        self._here.seen = seen

    @property
    def memo(self) -> dict[str, Any]:
        """What a noun wants to remember until the running transaction ends."""
        memo: dict[str, Any] | None = getattr(self._here, "memo", None)
        if memo is None:
            memo = self._here.memo = {}
        return memo

    @property
    def connection(self) -> Connection:
        """The connection of this thread, for what needs SQLAlchemy's own; begins if none began."""
        writes = bool(getattr(self._here, "writes", False))
        connection = self._connections()[writes]
        if connection is None:
            connection = self._engines[writes].connect()
            self._connections()[writes] = connection
            self._waits()[writes] = self._patience()
        if self._waits()[writes] != self._patience():
            _wait(connection.connection, self._patience())
            self._waits()[writes] = self._patience()
        if writes and not connection.in_transaction():
            self._begin(connection)
        return connection

    def execute(self, statement: ClauseElement, *parameters: Parameters) -> None:
        """Run a statement, once for each set of parameters."""
        for each in parameters or ({},):
            prepared = self._prepare(statement, each)
            self._run(prepared, each)

    def one(self, statement: ClauseElement, **parameters: object) -> Any:
        """The first row of what a statement finds, or None."""
        prepared = self._prepare(statement, parameters)
        stored = self._run(prepared, parameters).fetchall()
        return prepared.read(stored[0]) if stored else None

    def all(self, statement: ClauseElement, **parameters: object) -> list[Any]:
        prepared = self._prepare(statement, parameters)
        stored = self._run(prepared, parameters).fetchall()
        return [prepared.read(each) for each in stored]

    def scalar(self, statement: ClauseElement, **parameters: object) -> Any:
        """The first value of the first row, or None."""
        row = self.one(statement, **parameters)
        return row[0] if row else None

    def changed(self, statement: ClauseElement, **parameters: object) -> int:
        """How many rows an UPDATE or DELETE changed: 0 means that somebody was first."""
        prepared = self._prepare(statement, parameters)
        return int(self._run(prepared, parameters).rowcount)

    def commit(self) -> None:
        """Keep what this transaction wrote; what comes after it reads, and takes no lock."""
        self._end("commit")
        self.begin(writes=False)

    def close(self) -> None:
        """Undo what was not committed."""
        self._end("rollback")
        self._here.memo = None

    def _prepare(self, statement: ClauseElement, parameters: Parameters) -> Prepared:
        key = statement, tuple(parameters)
        prepared = self._prepared.get(key)
        if prepared is None:
            if len(self._prepared) >= MOST_PREPARED:
                self._prepared.clear()  # somebody builds statements anew: keep them from piling up
            prepared = Prepared(statement, key[1], self._engines[0].dialect)
            self._prepared[key] = prepared
        return prepared

    def _run(self, prepared: Prepared, parameters: Parameters) -> Any:
        cursor = self.connection.connection.cursor()
        try:
            cursor.execute(prepared.sql, prepared.bind(parameters))
        except pysqlite3.Error as error:
            raise DBAPIError.instance(
                prepared.sql, None, error, pysqlite3.Error, hide_parameters=True
            ) from error
        return cursor

    def _connections(self) -> list[Connection | None]:
        here = self._here
        connections: list[Connection | None] | None = getattr(here, "connections", None)
        if connections is None:
            connections = here.connections = [None, None]
        return connections

    def _waits(self) -> list[float]:
        """How long each of this thread's connections waits now."""
        waits: list[float] | None = getattr(self._here, "waits", None)
        if waits is None:
            waits = self._here.waits = [BUSY_SECONDS, BUSY_SECONDS]
        return waits

    def _patience(self) -> float:
        return getattr(self._here, "patience", BUSY_SECONDS)

    def _begin(self, connection: Connection) -> None:
        if not self._turn.acquire(timeout=self._patience()):
            raise OperationalError("BEGIN", None, TimeoutError("another writer held the lock"))
        try:
            connection.begin()
        except BaseException:
            self._turn.release()
            raise

    def _end(self, how: str) -> None:
        for connection in self._connections():
            if connection is not None and connection.in_transaction():
                wrote = connection is self._connections()[True]
                try:
                    getattr(connection, how)()
                except BaseException:  # the disk is full, say: begin anew on a fresh connection
                    connection.invalidate()
                    connection.close()
                    self._connections()[wrote] = None
                    raise
                finally:
                    if wrote:
                        self._turn.release()


db = Database()


def _engine(
    url: str, *, writes: bool, waits: "Callable[[], float]", checks_references: bool = True
) -> Engine:
    """An engine for reading, each statement on its own, or for writing, the lock taken first.

    `waits` says how long the thread that opens a connection waits for others.
    """
    level = {} if writes else {"isolation_level": "AUTOCOMMIT"}
    engine = create_engine(
        url, module=pysqlite3, hide_parameters=True, poolclass=NullPool, **level
    )  # each thread keeps its own connections

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        _wait(connection, waits())
        connection.execute(f"PRAGMA foreign_keys = {'ON' if checks_references else 'OFF'}")
        if writes:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        else:
            connection.execute("PRAGMA query_only = ON")

    if writes:

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _wait(connection: Any, seconds: float) -> None:
    """Have a connection of the driver wait that long for the locks of others."""
    connection.cursor().execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")
