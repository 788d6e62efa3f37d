"""A PostgreSQL of the tests' own, started where it is needed and gone with them."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from portal.database import db
from portal.database.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator

# Debian keeps it off the PATH, a folder for each version.
PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name))
ROOM = 2**30  # bytes, in memory for the databases of a test run
PORT = 5432  # of a Unix socket in a folder of its own, so nobody else has it
# What is lost by a crash of this machine is lost for a test that is lost, too.
HASTY = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")
# All rows of tests, whatever refers to what; numbers begin anew, as in a new database.
EMPTY = """
DO $$
DECLARE
    name text;
    is_used boolean;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT tablename FROM pg_tables
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I)', name) INTO is_used;
        IF is_used THEN
            EXECUTE format('DELETE FROM %I', name);
        END IF;
    END LOOP;
    PERFORM setval(sequencename::regclass, 1, false) FROM pg_sequences WHERE last_value > 0;
END $$
"""


class Server:
    """A server that listens on a Unix socket, and on loopback if it is given a port."""

    def __init__(self, folder: Path, *settings: str, port: int = PORT) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = port
        self._settings = settings

    def url(self, name: str) -> str:
        return f"postgresql://{OWNER}@/{name}?host={self.folder}&port={self.port}"

    def prepare(self) -> None:
        """A folder that is its own."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(self.folder, OWNER, OWNER)

    def make(self) -> None:
        self.prepare()
        self.run("initdb", "--no-sync", "--locale=C", "--encoding=UTF8", "--auth=trust")

    def start(self) -> None:
        settings = (f"unix_socket_directories={self.folder}", f"port={self.port}", *self._settings)
        if not any(each.startswith("listen_addresses") for each in settings):
            settings = (*settings, "listen_addresses=")
        options = " ".join(f"-c {each}" for each in settings)
        self.run("pg_ctl", "start", "--wait", f"--options={options}", f"--log={self.folder}/log")

    def stop(self, how: str = "fast") -> None:
        """`fast` lets go of everybody, `immediate` is a crash."""
        self.run("pg_ctl", "stop", "--wait", f"--mode={how}")

    def run(self, program: str, *arguments: str) -> None:
        command = [program_path(program), *arguments]
        as_owner = ["runuser", "-u", OWNER, "--"] if os.geteuid() == 0 else []
        subprocess.run(
            [*as_owner, *command],
            env={**os.environ, "PGDATA": str(self.data)},
            cwd="/",
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def create(self, name: str, template: str = "template0") -> str:
        """A new database; its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return self.url(name)


def _owner() -> str:
    """PostgreSQL refuses to run as root."""
    return "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


OWNER = _owner()


def program_path(name: str) -> str:
    found = shutil.which(
        name, path=os.pathsep.join([*map(str, reversed(PLACES)), os.environ["PATH"]])
    )
    assert found, f"no {name} found: `make postgresql` installs it"
    return found


@contextmanager
def folder_for_servers(*, on_disk: bool = False) -> Iterator[Path]:
    """A folder for servers, in memory where there is room for one."""
    memory = Path("/dev/shm")
    has_room = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOM
    is_there = has_room and not on_disk
    with tempfile.TemporaryDirectory(dir=memory if is_there else None) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@contextmanager
def running(*settings: str, port: int = PORT, on_disk: bool = False) -> Iterator[Server]:
    """A server that is stopped at the end, with all that it holds."""
    with folder_for_servers(on_disk=on_disk) as folder:
        server = Server(folder / "pg", *(settings or HASTY), port=port)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")


def wait_for_who_waits(url: str, seconds: float = 10) -> None:
    """Return as soon as somebody waits for a lock."""
    until = time.monotonic() + seconds
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(waiting).fetchone() == (0,):
            assert time.monotonic() < until, "nobody waits"
            time.sleep(0.01)


# New connections know none of the tables yet: 25 ms in each test, so one that ends lets them stay.
_use = Database.use


def _use_again(database: Database, url: str) -> None:
    if url == database.url and is_postgresql(url):
        database.close()
    else:
        _use(database, url)


Database.use = _use_again  # type: ignore[assignment, method-assign]


def is_postgresql(url: str) -> bool:
    return url.startswith("postgresql")


def let_go() -> None:
    """Leave the portal's database at the end of a test."""
    if is_postgresql(db.url):
        db.close()
    else:
        db.dispose()


class Emptier:
    """Takes all rows away, through one connection: a new one knows none of the tables yet."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection = psycopg.connect(url, autocommit=True)

    def empty(self) -> None:
        try:
            self._connection.execute(EMPTY)
        except psycopg.OperationalError:  # a test ended all connections, this one, too
            self.close()
            self._connection = psycopg.connect(self.url, autocommit=True)
            self._connection.execute(EMPTY)

    def close(self) -> None:
        self._connection.close()
