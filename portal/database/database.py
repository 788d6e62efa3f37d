"""The connections of each thread, and the statements that run on them."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.sql import ClauseElement

from portal import metrics
from portal.database.dbms import BUSY_SECONDS, Dbms, Listener, Overtaken
from portal.database.several import filled
from portal.statements import Parameters, Prepared

MOST_PREPARED = 500

Statements = dict[tuple[ClauseElement, tuple[str, ...]], Prepared]
Asked = ParamSpec("Asked")
Result = TypeVar("Result")


class Database:
    """Two connections for each thread, one that reads and one that writes."""

    _dbms: Dbms

    def __init__(self) -> None:
        self._here = threading.local()
        self._prepared_of: dict[str, Statements] = defaultdict(dict)  # each kind has its own SQL
        self._prepared: Statements = {}
        self.url = ""

    def use(self, url: str) -> None:
        """Work on the database at `url`; nothing is opened yet. Raises config.BadSettingError."""
        self.dispose()
        kind = url.partition(":")[0]
        if kind == "sqlite":
            from portal.database.sqlite import Sqlite  # noqa: PLC0415 - only one is needed

            self._dbms = Sqlite(url)
        else:
            from portal.database.postgresql import Postgresql  # noqa: PLC0415

            self._dbms = Postgresql(url)
        self._prepared = self._prepared_of[kind]
        self.url = url

    def dispose(self) -> None:
        """Close this thread's connections, and have every thread open new ones."""
        self.close()
        for connection in self._connections():
            if connection is not None:
                connection.close()
        self._here = threading.local()
        if self.url:
            self._dbms.dispose()

    @contextmanager
    def writing(self, *, patience: float = BUSY_SECONDS, shared: bool = False) -> Iterator[None]:
        """What runs inside may write; what it did not commit is undone at the end.

        `shared`: what it reads may be another's a moment later, so each statement says itself what
        has to be true. That is never overtaken.
        """
        self.begin(writes=True, patience=patience, shared=shared)
        try:
            yield
        finally:
            self.begin(writes=False)  # who comes next takes no lock without saying so

    @contextmanager
    def reading(self, *, patience: float = BUSY_SECONDS) -> Iterator[None]:
        """What runs inside reads, and cannot write."""
        self.begin(writes=False, patience=patience)
        try:
            yield
        finally:
            self.begin(writes=False)  # who comes next has its own patience

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A connection for changing the schema, one process at a time; commits at the end.

        Raises Overtaken where others would not let go of a table.
        """
        self.close()
        try:
            with self._dbms.migrating() as connection:
                yield connection
        except DBAPIError as error:
            if error.orig and self._dbms.is_overtaken(error.orig):
                raise Overtaken("migrate", None, error.orig, hide_parameters=True) from error
            raise

    def again(self, change: Callable[Asked, Result]) -> Callable[Asked, Result]:
        """Have a function that writes and commits run again, alone, when others were first.

        It changes nothing but the database.
        """

        @wraps(change)
        def run(*args: Asked.args, **kwargs: Asked.kwargs) -> Result:
            until = time.monotonic() + BUSY_SECONDS
            try:
                return change(*args, **kwargs)
            except Overtaken:
                self.close()
            while True:
                metrics.overtaken.inc()
                try:
                    with self.alone():
                        return change(*args, **kwargs)
                except Overtaken:
                    self.close()
                    if time.monotonic() > until:
                        raise

        return run

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else writes while a transaction runs that begins inside."""
        self._here.alone = True
        try:
            yield
        finally:
            self._here.alone = False

    def begin(self, *, writes: bool, patience: float = BUSY_SECONDS, shared: bool = False) -> None:
        """Say, before the first statement, whether this thread's next transaction writes.

        It waits `patience` seconds for others.
        """
        self.close()
        here = self._here
        here.writes, here.patience, here.shared = writes, patience, shared

    def look_again(self) -> None:
        """Read what is there now: a database that was replaced, too."""
        if self._dbms.is_stale():
            self.close()
            self._drop(writes=False)

    def hold(self, key: bytes) -> None:
        """Let nobody else hold `key` until this transaction ends; who comes second waits.

        For what a shared transaction counts: the statements behind this one see what those before
        it kept.
        """
        self._say(self._dbms.hold(int.from_bytes(key[:8], signed=True)))

    def tell(self, topic: str) -> None:
        """Wake who waits for news of `topic`, once the running transaction is committed."""
        if topic not in self.memo:
            self._say(self._dbms.tell(topic))
            self.memo[topic] = True

    def listen(self, topic: str) -> Listener:
        """Somebody who waits for news of `topic`; belongs to the thread that asked."""
        return self._dbms.listen(topic)

    def back_up(self, file: Path) -> None:
        """Write a consistent copy while others work; raises OSError if the file is there."""
        self._dbms.back_up(file)

    @property
    def overtakes(self) -> bool:
        """Whether who writes may be overtaken, and has to do it again."""
        return self._dbms.overtakes

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
        seconds = self._patience()
        if connection is not None and connection.invalidated:
            self._drop(writes=writes)  # SQLAlchemy would open another, without its time-outs
            connection = None
        if connection is None:
            connection = self._dbms.connect(writes=writes, seconds=seconds)
            self._connections()[writes] = connection
            self._waits()[writes] = seconds
        if self._waits()[writes] != seconds:
            self._dbms.wait(connection, seconds)
            self._waits()[writes] = seconds
        if writes and not connection.in_transaction():
            shared = getattr(self._here, "shared", False)
            alone = getattr(self._here, "alone", False)
            self._here.is_new = True
            self._dbms.begin(connection, shared=shared, alone=alone, seconds=seconds)
        return connection

    def execute(self, statement: ClauseElement, *parameters: Parameters) -> None:
        """Run a statement, once for each set of parameters, which all have the same names."""
        every = parameters or ({},)
        self._run(self._prepare(statement, every[0]), *every)

    def one(self, statement: ClauseElement, **parameters: object) -> Any:
        """The first row of what a statement finds, or None."""
        prepared = self._prepare(statement, parameters)
        stored = self._run(prepared, parameters).fetchall()
        return prepared.read(stored[0]) if stored else None

    def all(self, statement: ClauseElement, **parameters: object) -> list[Any]:
        prepared = self._prepare(statement, parameters)
        stored = self._run(prepared, parameters).fetchall()
        return [prepared.read(each) for each in stored]

    def all_of(
        self, statement: Callable[[int], ClauseElement], ids: Collection[object], **more: object
    ) -> list[Any]:
        """What a statement finds for some ids. It is made once for a round number of `places`."""
        if not ids:
            return []
        asked = filled(ids)
        return self.all(statement(len(asked)), **asked, **more)

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
        metrics.keep()
        self.begin(writes=False)

    def close(self) -> None:
        """Undo what was not committed."""
        self._end("rollback")
        metrics.drop()
        self._here.memo = None

    def _say(self, sql: str | None) -> None:
        """Run what only one database system knows; None where there is nothing to do."""
        if not sql:
            return
        try:
            self.connection.connection.cursor().execute(sql)
        except self._dbms.driver_error as error:
            self._lost_connection(error)
            raise self._error(sql, error) from error
        self._here.is_new = False

    def _prepare(self, statement: ClauseElement, parameters: Parameters) -> Prepared:
        key = statement, tuple(parameters)
        prepared = self._prepared.get(key)
        if prepared is None:
            if len(self._prepared) >= MOST_PREPARED:
                self._prepared.clear()  # somebody builds statements anew: keep them from piling up
            prepared = Prepared(statement, key[1], self._dbms.dialect)
            self._prepared[key] = prepared
        return prepared

    def _run(self, prepared: Prepared, *parameters: Parameters, once: bool = False) -> Any:
        bound = [prepared.bind(each) for each in parameters]
        try:
            cursor = self.connection.connection.cursor()
            if len(bound) == 1:
                cursor.execute(prepared.sql, bound[0])
            else:  # on PostgreSQL in one go, and not each on its own way there and back
                cursor.executemany(prepared.sql, bound)
        except self._dbms.driver_error as error:
            if (
                self._lost_connection(error) and not once
            ):  # nothing was done yet: begin on another one
                return self._run(prepared, *parameters, once=True)
            raise self._error(prepared.sql, error) from error
        self._here.is_new = False
        return cursor

    def _lost_connection(self, error: Exception) -> bool:
        """Let go of a connection that broke; whether nothing was lost with it."""
        writes = bool(getattr(self._here, "writes", False))
        connection = self._connections()[writes]
        if connection is None or not self._dbms.is_gone(connection, error):
            return False
        self._drop(writes=writes)
        if writes:
            self._dbms.ended()
        return not writes or self._here.is_new

    def _error(self, sql: str, error: Exception) -> Exception:
        if self._dbms.is_overtaken(error):
            return Overtaken(sql, None, error, hide_parameters=True)
        if self._dbms.is_unusable(error):
            return OperationalError(sql, None, error, hide_parameters=True)
        kind = self._dbms.driver_error
        return DBAPIError.instance(sql, None, error, kind, hide_parameters=True)

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

    def _drop(self, *, writes: bool) -> None:
        """Let go of a connection of this thread: the next statement opens another."""
        connection = self._connections()[writes]
        self._connections()[writes] = None
        if connection is None:
            return
        with suppress(DBAPIError, self._dbms.driver_error):
            connection.invalidate()
        with suppress(DBAPIError, self._dbms.driver_error):
            connection.close()

    def _end(self, how: str) -> None:
        for writes, connection in enumerate(self._connections()):
            if connection is None or not connection.in_transaction():
                continue
            try:
                getattr(connection, how)()
            except BaseException as error:  # the disk is full, say: begin anew
                self._drop(writes=bool(writes))
                if isinstance(error, DBAPIError) and self._dbms.is_overtaken(error.orig):
                    raise Overtaken(how, None, error, hide_parameters=True) from error
                if not (how == "rollback" and isinstance(error, DBAPIError)):
                    raise  # what was not committed is undone by the loss of the connection, too
            finally:
                if writes:
                    self._dbms.ended()


db = Database()
