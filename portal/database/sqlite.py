"""SQLite, in a file of this machine: one writer at a time, and readers that wait for nobody."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pysqlite3
from sqlalchemy import Connection, Engine, NullPool, RootTransaction, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from portal import config
from portal.database.dbms import BUSY_SECONDS, new_file


class Sqlite:
    """Reading is each statement on its own; writing begins with the write lock.

    Writers of one process wait for each other on a lock of their own, which is far fairer than
    SQLite's busy handler.
    """

    driver_error = pysqlite3.Error
    overtakes = False

    def __init__(self, url: str) -> None:
        self.path = Path(make_url(url).database or "")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = f"PORTAL_DATABASE_URL names a folder that cannot be made: {error.strerror}."
            raise config.BadSettingError(reason) from None
        self._engines = _engine(self.path, writes=False), _engine(self.path, writes=True)
        self.dialect = self._engines[0].dialect
        self._turn = threading.Lock()
        self._here = threading.local()

    def connect(self, *, writes: bool, seconds: float) -> Connection:
        _patience.seconds = seconds
        return self._engines[writes].connect()

    def wait(self, connection: Connection, seconds: float) -> None:
        _wait(connection.connection, seconds)

    def begin(
        self,
        connection: Connection,
        *,
        shared: bool,  # noqa: ARG002 - who writes is alone
        alone: bool,  # noqa: ARG002
        seconds: float,
    ) -> None:
        if not self._turn.acquire(timeout=seconds):
            raise OperationalError("BEGIN", None, TimeoutError("another writer held the lock"))
        try:
            _begin(connection)
        except BaseException:
            self._turn.release()
            raise

    def ended(self) -> None:
        self._turn.release()

    def is_gone(self, connection: Connection, error: Exception) -> bool:  # noqa: ARG002 - a file stays
        return False

    def is_unusable(self, error: Exception) -> bool:  # noqa: ARG002 - the driver says it so itself
        return False

    def is_overtaken(self, error: Any) -> bool:  # noqa: ARG002 - who writes, writes alone
        return False

    def is_stale(self) -> bool:
        """Whether another file is there now, or the same was written since the last look.

        A connection would go on with the file that it opened, which may have been replaced by
        strangers. In WAL it is written at each checkpoint.
        """
        try:
            found = self.path.stat()
            seen = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        except OSError as error:
            raise OperationalError("open", None, error) from error
        if seen == getattr(self._here, "seen", None):
            return False
        self._here.seen = seen
        return True

    def hold(self, key: int) -> None:  # noqa: ARG002 - who writes holds everything
        return None

    def tell(self, topic: str) -> None:  # noqa: ARG002 - nobody can be told; who waits, looks often
        return None

    def listen(self, topic: str) -> "Looking":  # noqa: ARG002
        return Looking()

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """With the write lock.

        SQLite changes a table by dropping it and making it anew, which rows that refer to it would
        forbid: so references are checked once, before the commit.
        """
        with suppress(OSError):  # a file that cannot be made is said when it is opened
            self.path.touch(mode=0o600, exist_ok=False)  # SQLite's own would be readable by all
        engine = _engine(self.path, writes=True, checks_references=False)
        with self._turn, engine.connect() as connection, _begin(connection):
            yield connection
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
            if broken:
                raise RuntimeError(f"a row of {broken[0]} would refer to nothing")

    def back_up(self, file: Path) -> None:
        with new_file(file) as output, self._engines[False].connect() as source:
            copy = pysqlite3.connect(output.name)
            try:
                source.connection.driver_connection.backup(copy)  # type: ignore[union-attr]
            except pysqlite3.Error as error:  # the disk is full, or the database damaged
                raise OSError(str(error)) from error
            finally:
                copy.close()

    def dispose(self) -> None:
        for engine in self._engines:
            engine.dispose()


class Looking:
    """Who waits for news that nobody tells looks every quarter of a second."""

    SECONDS = 0.25

    def wait(self, seconds: float, is_over: Callable[[], bool]) -> None:
        if not is_over():
            threading.Event().wait(min(seconds, self.SECONDS))

    def close(self) -> None:
        """Nothing is open."""


class _Patience(threading.local):
    """How long the connection waits that this thread opens."""

    seconds: float = BUSY_SECONDS


_patience = _Patience()


def _engine(path: Path, *, writes: bool, checks_references: bool = True) -> Engine:
    """An engine for reading, each statement on its own, or for writing, the lock taken first."""
    level = {} if writes else {"isolation_level": "AUTOCOMMIT"}
    file = f"{path.absolute().as_uri()}?mode=rw"  # never made by who only opens it

    def connect() -> Any:
        return pysqlite3.connect(file, uri=True, check_same_thread=False)

    engine = create_engine(
        "sqlite://",
        creator=connect,
        module=pysqlite3,
        hide_parameters=True,
        poolclass=NullPool,  # each thread keeps its own connections
        **level,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        _wait(connection, _patience.seconds)
        connection.execute(f"PRAGMA foreign_keys = {'ON' if checks_references else 'OFF'}")
        if writes:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        else:
            connection.execute("PRAGMA query_only = ON")

    return engine


def _begin(connection: Connection) -> RootTransaction:
    """Begin a transaction with the write lock."""
    transaction = connection.begin()
    try:
        connection.connection.cursor().execute("BEGIN IMMEDIATE")
    except BaseException as error:
        transaction.rollback()
        if not isinstance(error, pysqlite3.Error):
            raise
        raise DBAPIError.instance("BEGIN", None, error, pysqlite3.Error) from error
    return transaction


def _wait(connection: Any, seconds: float) -> None:
    """Have a connection of the driver wait that long for the locks of others."""
    connection.cursor().execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")
