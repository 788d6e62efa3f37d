"""PostgreSQL, through psycopg: any number of processes and machines.

`PORTAL_DATABASE_URL` may name several hosts: the one that takes writes is used, and looked for
anew when a connection breaks. Who writes does so in serializable transactions (PostgreSQL 13.2.3).
"""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import psycopg
from psycopg import conninfo, errors
from sqlalchemy import Connection, Engine, NullPool, create_engine, event

from portal import config
from portal.database.dbms import BUSY_SECONDS, new_file

DEFAULTS: dict[str, str | int] = {
    "application_name": "portal",
    "connect_timeout": 3,  # seconds for each host
    "target_session_attrs": "read-write",  # a standby is no database to write to
    # A host that vanished is noticed within ten seconds, not after the kernel's two hours.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 9_000,  # milliseconds
}
MIGRATIONS = 0x706F7274616C  # the advisory lock of who changes the schema
SHORTEST_MS = 500  # what any statement may take
LOCK_SECONDS = 3  # what a migration waits for a table: who waits for a lock lets nobody pass
OVERTAKEN = (errors.SerializationFailure, errors.DeadlockDetected, errors.LockNotAvailable)
# The schema is not there, or not that of this version; or the database takes no writes now.
UNUSABLE = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.InsufficientPrivilege,
    errors.ReadOnlySqlTransaction,
)
# A table that is always there, never waited for by who reads, and big for nobody.
PLACES = "alembic_version"
# Of two who find that a row is not there and write it, one is told this.
DUPLICATE = errors.UniqueViolation
BY_BYTES = {"C", "POSIX", "C.UTF-8", "C.utf8"}
CHECKED = (
    "SELECT datcollate, pg_encoding_to_char(encoding) FROM pg_database"
    " WHERE datname = current_database()"
)


class Postgresql:
    """Reading is each statement on its own; writing is serializable, or shared where said."""

    driver_error = psycopg.Error
    overtakes = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._where = {**DEFAULTS, **conninfo.conninfo_to_dict(url), "client_encoding": "utf8"}
        self._engines = self._engine(writes=False), self._engine(writes=True)
        self.dialect = self._engines[0].dialect

    def connect(self, *, writes: bool, seconds: float) -> Connection:
        connection = self._engines[writes].connect()
        self.wait(connection, seconds)
        return connection

    def wait(self, connection: Connection, seconds: float) -> None:
        """Who waits for nobody still gives the database time to do it."""
        milliseconds = max(1, round(seconds * 1000))
        of_locks = milliseconds if milliseconds < SHORTEST_MS else 0  # 0: as long as a statement
        raw = _raw(connection)
        raw.execute(f"SET lock_timeout = {of_locks}")
        raw.execute(f"SET statement_timeout = {max(milliseconds, SHORTEST_MS)}")

    def begin(
        self,
        connection: Connection,
        *,
        shared: bool,
        alone: bool,
        seconds: float,  # noqa: ARG002 - its time-out is set
    ) -> None:
        """Begin, and take a place beside the others, or all of them.

        A lock of a table is taken before the snapshot is (PostgreSQL, LOCK): who waited for others
        sees what they did.
        """
        level = "READ COMMITTED" if shared else "SERIALIZABLE"
        mode = "EXCLUSIVE" if alone else "ROW SHARE"
        connection.begin()
        _raw(connection).execute(
            f"BEGIN ISOLATION LEVEL {level}; LOCK TABLE {PLACES} IN {mode} MODE"
        )

    def ended(self) -> None:
        """Nobody waits for turns."""

    def is_gone(self, connection: Connection, error: Exception) -> bool:
        is_demoted = isinstance(error, errors.ReadOnlySqlTransaction)  # another takes writes now
        return is_demoted or connection.invalidated or _raw(connection).closed

    def is_unusable(self, error: Exception) -> bool:
        return isinstance(error, UNUSABLE)

    def is_overtaken(self, error: Any) -> bool:
        return isinstance(error, (*OVERTAKEN, DUPLICATE))

    def is_stale(self) -> bool:
        return False  # a connection that lives is to the database that is there

    def hold(self, key: int) -> str:
        return f"SELECT pg_advisory_xact_lock({key})"

    def tell(self, topic: str) -> str:
        return f"NOTIFY {topic}"

    def listen(self, topic: str) -> "Listening":
        return Listening(self._connect, topic)

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Under an advisory lock. A table that is in use is waited for only for moments."""
        with self._engines[True].connect() as connection:
            raw = _raw(connection)
            raw.execute("SET statement_timeout = 0")
            raw.execute("SELECT pg_advisory_lock(%s)", [MIGRATIONS])
            raw.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
            _check(raw)
            with connection.begin():
                raw.execute("BEGIN")
                yield connection

    def back_up(self, file: Path) -> None:
        """In the custom format of pg_dump, for pg_restore."""
        program = shutil.which("pg_dump")
        if program is None:
            raise FileNotFoundError("pg_dump is not there: install the PostgreSQL client.")
        where = dict(self._where)
        secret = str(where.pop("password", "")).replace("\\", r"\\").replace(":", r"\:")
        alone: list[str] = []
        with NamedTemporaryFile("w") as passwords, new_file(file) as output:
            if secret:  # on the command line everybody on this machine could read it
                passwords.write(f"*:*:*:*:{secret}\n")
                passwords.flush()
                where["passfile"] = passwords.name
                # pg_dump would take a password of the environment before that of the URL.
                alone = ["/usr/bin/env", "-u", "PGPASSWORD"]
            named = conninfo.make_conninfo(**where)  # type: ignore[arg-type]
            command = [*alone, program, "--format=custom", f"--dbname={named}"]
            subprocess.run(command, stdout=output, check=True)

    def dispose(self) -> None:
        for engine in self._engines:
            engine.dispose()

    def _connect(self) -> "psycopg.Connection[Any]":
        return psycopg.connect(**self._where)  # type: ignore[arg-type]

    def _engine(self, *, writes: bool) -> Engine:
        engine = create_engine(
            "postgresql+psycopg://",
            creator=self._connect,
            paramstyle="format",  # a statement is run with its values in order
            isolation_level="AUTOCOMMIT",  # we say BEGIN ourselves
            hide_parameters=True,
            poolclass=NullPool,
        )

        @event.listens_for(engine, "connect")
        def _prepare(connection: "psycopg.Connection[Any]", _record: object) -> None:
            connection.autocommit = True
            connection.execute("SET timezone = 'UTC'")
            connection.execute(f"SET idle_in_transaction_session_timeout = '{4 * BUSY_SECONDS}s'")
            if writes:
                # Who reads a whole table, small as it may be, overtakes everybody who writes to it.
                connection.execute("SET enable_seqscan = off")
            else:
                connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")

        return engine


class Listening:
    """Who waits for news has a connection for it, and opens another when it breaks."""

    LOOKS_UP = 0.2  # seconds between two looks whether it is over

    def __init__(self, connect: "Callable[[], psycopg.Connection[Any]]", topic: str) -> None:
        self._connect = connect
        self._topic = topic
        self._connection: psycopg.Connection[Any] | None = None

    def wait(self, seconds: float, is_over: Callable[[], bool]) -> None:
        until = time.monotonic() + seconds
        while not is_over() and (left := until - time.monotonic()) > 0:
            try:
                if self._connection is None:
                    self._open()
                    return  # what was told before it listened, it has to look for
                if any(self._connection.notifies(timeout=min(left, self.LOOKS_UP), stop_after=1)):
                    return
            except psycopg.Error:
                self.close()
                threading.Event().wait(min(left, self.LOOKS_UP))

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def _open(self) -> None:
        connection = self._connect()
        connection.autocommit = True
        connection.execute(f"LISTEN {self._topic}")
        self._connection = connection


def _raw(connection: Connection) -> "psycopg.Connection[Any]":
    return connection.connection.driver_connection  # type: ignore[return-value]


def _check(raw: "psycopg.Connection[Any]") -> None:
    """Lists go by the bytes of IDs on either database: another locale would reorder them."""
    collation, encoding = raw.execute(CHECKED).fetchone() or ("", "")
    if collation not in BY_BYTES or encoding != "UTF8":
        raise config.BadSettingError(
            "PORTAL_DATABASE_URL names a database that is not of UTF8 and the locale C: make it "
            "by CREATE DATABASE portal OWNER portal ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0."
        )
