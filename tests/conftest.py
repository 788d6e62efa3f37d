"""What the tests share: a portal of their own, people's browsers, and the post."""

from __future__ import annotations

import gc
import os
import re
import shutil
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from portal import (
    clock,
    config,
    confirmation,
    create_app,
    language,
    organisation,
    outbox,
    schema,
)
from portal.database import db, metadata
from portal.gateways import Outgoing
from portal.organisation import Details
from tests import postgresql
from tests.browser import Browser
from tests.compiled import COMPILED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

ENVIRONMENT = {
    "PORTAL_SECRET_KEY": "a secret key of the tests, 32 bytes long at least",
    "PORTAL_DATA_KEYS": "dGVzdHMgZW5jcnlwdCB3aXRoIHRoaXMgb25lIGtleSE=",
    "PORTAL_BASE_URL": "http://127.0.0.1:8000",
    "PORTAL_SECURE_NETWORKS": "10.20.0.0/16",
    "PORTAL_MAIL_URL": "inbox:",
    "PORTAL_SMS_URL": "inbox:",
    "PORTAL_FLOOD_PER_MINUTE": "1000000",  # tests ask more in a minute than people do
    "PORTAL_FLOOD_FORMS_PER_MINUTE": "1000000",
}
LOMOVA = Details(
    name="Общество с ограниченной ответственностью «Северный тракт»",
    short_name="ООО «Северный тракт»",
    inn="2901999014",
    kpp="290101001",
    ogrn="1022900999109",
    legal_address="163000, г. Архангельск, ул. Поморская, д. 12",
    postal_address="",
    last_name="Ломова",
    first_name="Ирина",
    patronymic="Васильевна",
    position="Главный механик",
    phone="+79215550147",
    email="i.lomova@sever-trakt.example",
)
ADMINISTRATOR = "a.sokolova@sever-trakt.example"


# Its own choice here would be a package that draws frames around every traceback, at length.
structlog.configure(
    processors=[
        structlog.stdlib.add_log_level,
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)


def pytest_configure() -> None:
    """Keep the databases in memory: a commit waits for no disk."""
    memory = Path("/dev/shm")
    if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > postgresql.ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(memory))


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays to the end: modules, and thousands of tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)  # as the portal does (portal/cli/servers.py)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options of the browser tests (docs/testing.md)."""
    group = parser.getgroup("portal")
    group.addoption("--portal-url", help="run the tests marked `deployed` against this portal")
    group.addoption("--headed", action="store_true", help="show the browser's windows")
    group.addoption("--screenshots", metavar="FOLDER", help="write each page and state there")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A migrated database without rows: each test that has data runs on both kinds.

    But those marked `sqlite` or `postgresql`, which try what only one of them has.
    """
    if request.param == "sqlite":
        copied: Path = request.getfixturevalue("empty_database")
        (tmp_path / "portal.db").write_bytes(copied.read_bytes())
        yield f"sqlite:///{tmp_path}/portal.db"
    else:
        emptier: postgresql.Emptier = request.getfixturevalue("emptier")
        yield emptier.url
        emptier.empty()


@pytest.fixture
def environment(database_url: str) -> dict[str, str]:
    """The settings of the portal under test; a test changes them before it asks for `app`."""
    return ENVIRONMENT | {"PORTAL_DATABASE_URL": database_url}


@pytest.fixture
def everything_stored(app: Flask, tmp_path: Path) -> Callable[[], bytes]:
    """What somebody sees who has the database and no key, as it is now."""

    def files() -> bytes:
        found = sorted(tmp_path.glob("portal.db*"))
        assert tmp_path / "portal.db-wal" in found, "what was just written, too"
        return b"".join(each.read_bytes() for each in found)

    def rows() -> bytes:
        with db.reading():
            cells = [
                cell
                for table in metadata.sorted_tables
                for row in db.connection.exec_driver_sql(f"SELECT * FROM {table.name}")
                for cell in row
            ]
        return b"\n".join(cell if isinstance(cell, bytes) else str(cell).encode() for cell in cells)

    return files if db.url.startswith("sqlite") else rows


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the other database where a test is marked for one.

    What is for PostgreSQL comes last in each file: a connection to it outlives its test, but not
    one for SQLite between.
    """
    left_out = [item for item in items if not _is_for_its_database(item)]
    config.hook.pytest_deselected(items=left_out)
    files = list(dict.fromkeys(item.path for item in items))
    items[:] = sorted(
        filter(_is_for_its_database, items),
        key=lambda item: (files.index(item.path), _database_of(item) == "postgresql"),
    )


def _database_of(item: pytest.Item) -> str | None:
    """Which database a test has, if it has one."""
    callspec = getattr(item, "callspec", None)
    return callspec and callspec.params.get("database_url")


def _is_for_its_database(item: pytest.Item) -> bool:
    kind = _database_of(item)
    only = {"sqlite", "postgresql"} & {mark.name for mark in item.iter_markers()}
    return kind is None or not only or kind in only


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql.Server]:
    """A PostgreSQL for all tests of this process."""
    with postgresql.running() as server:
        yield server


@pytest.fixture(scope="session")
def emptier(postgresql_server: postgresql.Server) -> Iterator[postgresql.Emptier]:
    """A migrated database without rows, and what leaves it without rows."""
    url = postgresql_server.create("portal")
    app = create_app(config.load(ENVIRONMENT | {"PORTAL_DATABASE_URL": url}))
    with app.app_context():
        schema.upgrade()
    db.dispose()
    with closing(postgresql.Emptier(url)) as emptier:
        yield emptier


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated database without rows, to be copied."""
    path = tmp_path_factory.mktemp("empty") / "portal.db"
    app = create_app(config.load(ENVIRONMENT | {"PORTAL_DATABASE_URL": f"sqlite:///{path}"}))
    with app.app_context():
        schema.upgrade()
    db.dispose()  # the write-ahead log is now part of the file
    return path


@pytest.fixture
def app(environment: dict[str, str]) -> Iterator[Flask]:
    app = create_app(config.load(environment))
    app.testing = True
    app.jinja_env.bytecode_cache = COMPILED
    with app.app_context():
        yield app
    postgresql.let_go()
    clock.reset()
    language.choose(None)  # requests of a bare client choose it for the tests that follow, too


@pytest.fixture
def time() -> Iterator[Time]:
    yield Time()
    clock.reset()


class Time:
    """The clock, in a test's hands."""

    def passes(self, **span: float) -> None:
        clock.shift(timedelta(**span))

    def begins_a_minute(self) -> None:
        """Hours and minutes on a page stay what they are for a while."""
        self.passes(seconds=60 - clock.now().second)


@pytest.fixture
def browser(app: Flask) -> Browser:
    """The responsible person's browser, in the secure channel."""
    return Browser(app.test_client())


@pytest.fixture
def new_browser(app: Flask) -> Callable[..., Browser]:
    """Another person's browser, or another computer's."""
    return lambda address="10.20.4.17": Browser(app.test_client(), address)


@pytest.fixture
def post(app: Flask) -> Post:
    return Post()


class Letterbox:
    """A gateway that keeps what it is given; the far end of the wire in tests of pages."""

    def __init__(self) -> None:
        self.arrived: list[Outgoing] = []

    def send(self, message: Outgoing) -> str:
        self.arrived.append(message)
        return message.id

    def close(self) -> None:
        """Nothing is open."""


class Post:
    """Everything that left, newest last."""

    def __init__(self) -> None:
        self.email, self.sms = Letterbox(), Letterbox()
        self._turn = Lock()

    def deliver(self) -> None:
        with self._turn:  # what a worker in another thread has in its hands, too, has arrived then
            outbox.deliver_due("email", self.email)
            outbox.deliver_due("sms", self.sms)

    def letters(self, recipient: str) -> list[Outgoing]:
        self.deliver()
        return [each for each in self.email.arrived if each.recipient == recipient]

    def link(self, recipient: str = LOMOVA.email) -> str:
        """The path of the link in the newest letter."""
        found = re.search(r"http://127\.0\.0\.1:8000(/\S+)", self.letters(recipient)[-1].text)
        assert found
        return found[1]

    def codes(self, phone: str = LOMOVA.phone) -> list[str]:
        self.deliver()
        return [each.text[:6] for each in self.sms.arrived if each.recipient == phone]

    def code(self, phone: str = LOMOVA.phone) -> str:
        return self.codes(phone)[-1]


@pytest.fixture
def keep(app: Flask) -> Callable[..., None]:
    """Keep an organisation, with some details changed."""

    def save(id: str = "ORG-004217", networks: str = "", **changed: Any) -> None:
        with db.writing():
            organisation.save(id, replace(LOMOVA, **changed), ADMINISTRATOR, networks, "tests")
            db.commit()

    return save


@pytest.fixture
def ask(app: Flask) -> Callable[..., str | None]:
    """Request a confirmation; returns its public id, or None where none is needed."""

    def request(id: str = "ORG-004217") -> str | None:
        with db.writing():
            found = organisation.find(id)
            assert found is not None
            public_id = confirmation.request(found, "tests")
            db.commit()
        return public_id

    return request


@pytest.fixture
def asked(keep: Callable[..., None], ask: Callable[..., str | None]) -> str:
    """An organisation whose responsible person was just asked to confirm."""
    keep()
    public_id = ask()
    assert public_id
    return public_id
