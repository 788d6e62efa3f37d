"""`GET /access`: what a reverse proxy is told; nothing but a good answer lets anybody in."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time as wall
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import psycopg
import pysqlite3
import pytest
from sqlalchemy import select, text

from portal import account, organisation
from portal.account import Role
from portal.account.tables import sessions
from portal.database import db
from portal.organisation import Status
from tests.browser import Browser
from tests.locks import locked
from tests.people import Person, act, cookie_of, enrol, plant
from tests.test_operations_journey import bring, go

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask import Flask

    from tests.conftest import Time

ID = "ORG-004217"
NAMES = ("X-Portal-Account", "X-Portal-Role", "X-Portal-Organisation")
IN_TIME = 2  # seconds, product.md: «answer within 2 seconds»
SLOW_MACHINE = 3  # seconds more
NAVIGATES = {"Sec-Fetch-Mode": "navigate"}
POSTS = {"X-Forwarded-Method": "POST"}


@pytest.fixture
def petrov(keep: Callable[..., None]) -> Person:
    keep()
    bring(Status.VERIFIED)
    return enrol("petrov@sever-trakt.example", name="Петров Пётр Ильич")


@pytest.fixture
def here(petrov: Person, new_browser: Callable[..., Browser]) -> Browser:
    return petrov.come_in(new_browser())


def access(browser: Browser, method: str = "get", **headers: str) -> Any:
    return browser.ask(method, "/access", headers=headers, follow_redirects=False)


def ask(browser: Browser, **headers: str) -> int:
    """What `/access` answers; whatever it is, it is bare."""
    answer = access(browser, **headers)
    assert answer.data == b""
    assert "Set-Cookie" not in answer.headers
    assert "Content-Type" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    said = [name for name in NAMES if name in answer.headers]
    assert said == (list(NAMES) if answer.status_code == 204 else [])
    return int(answer.status_code)


# Who may in


@pytest.mark.parametrize("role", sorted(account.OPERATIONAL))
def test_an_operational_user_of_an_open_organisation_may_in(
    keep: Callable[..., None], new_browser: Callable[..., Browser], role: Role
) -> None:
    keep()
    bring(Status.VERIFIED)
    person = enrol("someone@sever-trakt.example", role)
    here = person.sign_in(new_browser())
    answer = access(here)
    assert answer.status_code == 204
    assert [answer.headers[name] for name in NAMES] == [person.account.id, str(role), ID]
    assert ask(here) == 204
    assert access(here, "head").status_code == 204


@pytest.mark.parametrize("status", Status)
def test_the_status_decides(here: Browser, keep: Callable[..., None], status: Status) -> None:
    """The same function that the pages ask."""
    for to in {
        Status.UNVERIFIED: (),
        Status.SUBMITTED: (),
        Status.VERIFIED: (),
        Status.EDITING: (Status.EDITING,),
        Status.RESUBMITTED: (Status.EDITING, Status.RESUBMITTED),
    }[status]:
        go(to)
    if status in {Status.UNVERIFIED, Status.SUBMITTED}:  # no verified one ever is that again
        put(f"UPDATE organisations SET status = '{status}'")
    assert ask(here) == (204 if organisation.is_open(status) else 403)


def put(sql: str) -> None:
    with db.writing():
        db.execute(text(sql))
        db.commit()


@pytest.mark.parametrize("role", [Role.ADMINISTRATOR, Role.SPECIALIST])
def test_administrators_and_specialists_have_nothing_to_do_there(
    keep: Callable[..., None], new_browser: Callable[..., Browser], role: Role
) -> None:
    keep()
    bring(Status.VERIFIED)
    assert ask(enrol("other@sever-trakt.example", role).come_in(new_browser())) == 403


def test_nobody_is_asked_to_sign_in(here: Browser, new_browser: Callable[..., Browser]) -> None:
    assert ask(new_browser()) == 401
    cookie = cookie_of(here)
    said, _, signature = cookie.rpartition(".")
    other = f"{said}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"
    for forged in ("", "x", other, cookie.replace(".", "", 1)):
        assert ask(plant(new_browser(), forged)) == 401
    assert ask(plant(new_browser(), cookie)) == 204


def test_a_password_alone_is_not_enough(
    petrov: Person, new_browser: Callable[..., Browser]
) -> None:
    assert ask(petrov.enter_password(new_browser())) == 401


def test_a_session_that_ended_is_nobodys(
    petrov: Person, here: Browser, new_browser: Callable[..., Browser], time: Time
) -> None:
    left, idle = petrov.sign_in(new_browser()), petrov.sign_in(new_browser())
    old = plant(new_browser(), cookie_of(left))
    left.press("Выйти")
    assert ask(left) == 401
    assert ask(old) == 401, "nor does a copy of its cookie help"
    time.passes(minutes=31)
    assert ask(idle) == 401


def test_who_is_suspended_is_out_at_once(petrov: Person, here: Browser) -> None:
    assert ask(here) == 204
    act(account.suspend, petrov.account, "tests", "")
    assert ask(here) == 401
    act(account.restore, petrov.account, "tests", "")
    assert ask(here) == 401, "the session ended"


def test_a_change_of_role_is_in_force_at_once(petrov: Person, here: Browser) -> None:
    put(f"UPDATE accounts SET role = 'controller' WHERE id = '{petrov.account.id}'")
    assert access(here).headers["X-Portal-Role"] == "controller"
    put(f"UPDATE accounts SET role = 'administrator' WHERE id = '{petrov.account.id}'")
    assert ask(here) == 403


def test_who_left_the_organisation_is_out(petrov: Person, here: Browser) -> None:
    put(f"DELETE FROM memberships WHERE account_id = '{petrov.account.id}'")
    assert ask(here) == 403


@pytest.mark.parametrize("address", ["203.0.113.9", "", "?", "10.21.0.1"])
def test_from_elsewhere_nobody_may_in(here: Browser, address: str) -> None:
    here.address = address
    assert ask(here) == 403
    here.client.delete_cookie("session")
    assert ask(here) == 403


class TestThroughAProxy:
    """The address is what the listed proxy says."""

    @pytest.fixture
    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        return environment | {"PORTAL_TRUSTED_PROXIES": "10.9.0.1/32"}

    def test_its_header_counts(self, here: Browser) -> None:
        assert ask(here, **{"X-Forwarded-For": "203.0.113.9"}) == 204, "of nobody else"
        here.address = "10.9.0.1"
        assert ask(here, **{"X-Forwarded-For": "10.20.4.17"}) == 204
        for lie in ("203.0.113.9", "10.20.4.17, 203.0.113.9", '"', ""):
            assert ask(here, **{"X-Forwarded-For": lie}) == 403
        assert ask(here) == 403


def test_an_id_in_russian_is_written_in_percents(
    keep: Callable[..., None], new_browser: Callable[..., Browser]
) -> None:
    keep("ОРГ-7")
    for to in (Status.SUBMITTED, Status.VERIFIED):
        go(to, "ОРГ-7")
    here = enrol("petrov@sever-trakt.example", Role.MANAGER, "ОРГ-7").sign_in(new_browser())
    said = access(here).headers["X-Portal-Organisation"]
    assert said.isascii()
    assert unquote(said) == "ОРГ-7"


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "options"])
def test_other_methods_are_refused(here: Browser, method: str) -> None:
    assert access(here, method).status_code == 405


def test_no_other_address_answers_for_it(here: Browser) -> None:
    for path in ("/access/", "//access", "/ACCESS", "/access%20", "/access;x"):
        answer = here.ask("get", path, follow_redirects=False)
        assert answer.status_code in {308, 404}, path


def test_a_client_cannot_say_who_it_is(here: Browser) -> None:
    lies = dict.fromkeys(NAMES, "lie")
    assert access(here, **lies).headers["X-Portal-Role"] == "operator"
    go(Status.EDITING)
    assert ask(here, **lies) == 403


# In force at once


def test_a_change_is_in_force_for_every_process(here: Browser, environment: dict[str, str]) -> None:
    """Another process moves the status; this one has kept nothing."""
    change = """
import sys
from sqlalchemy import text
from portal.database import db

db.use(sys.argv[1])
with db.writing():
    db.execute(text("UPDATE organisations SET status = :to"), {"to": sys.argv[2]})
    db.commit()
"""
    for status, answer in (("editing", 403), ("resubmitted", 204), ("editing", 403)):
        subprocess.run([sys.executable, "-c", change, db.url, status], check=True)
        assert ask(here) == answer


# It writes nothing, but keeps who works signed in


def seen_at() -> list[Any]:
    with db.reading():
        return [row.seen_at for row in db.all(select(sessions))]


def test_a_call_writes_nothing(here: Browser, time: Time) -> None:
    before = seen_at()
    for headers in ({}, NAVIGATES, POSTS):
        assert ask(here, **headers) == 204
    time.passes(minutes=5)
    for headers in ({}, {"Sec-Fetch-Mode": "cors"}, {"X-Forwarded-Method": "GET"}):
        assert ask(here, **headers) == 204
    assert seen_at() == before, "looking is no use, and polls look"


@pytest.mark.parametrize(
    "headers", [NAVIGATES, POSTS, {"X-Original-Method": "DELETE"}, {"X-Forwarded-Method": "post"}]
)
def test_use_is_noted_once_a_minute(here: Browser, time: Time, headers: dict[str, str]) -> None:
    times = set(seen_at())
    for _ in range(8):
        time.passes(seconds=20)
        assert ask(here, **headers) == 204
        times |= set(seen_at())
    assert len(times) == 3, "at the beginning, after one minute and after two"


def test_who_works_stays_signed_in_and_who_only_polls_does_not(here: Browser, time: Time) -> None:
    for _ in range(5):
        time.passes(minutes=20)
        assert ask(here, **POSTS) == 204
    for _ in range(2):
        time.passes(minutes=14)
        assert ask(here) == 204
    time.passes(minutes=3)
    assert ask(here, **POSTS) == 401


def test_who_is_blocked_is_kept_in_by_nothing(here: Browser, time: Time) -> None:
    go(Status.EDITING)
    before = seen_at()
    time.passes(minutes=5)
    assert ask(here, **POSTS) == 403
    assert seen_at() == before


@pytest.mark.sqlite
def test_noting_use_waits_for_nobody(here: Browser, time: Time) -> None:
    """A writer holds the lock: the answer is the same, and at once."""
    time.passes(minutes=5)
    before = seen_at()
    held, go_on = threading.Event(), threading.Event()

    def write() -> None:
        with db.writing():
            db.execute(text("UPDATE organisations SET administrator_email = ''"))
            held.set()
            go_on.wait(60)

    for writer in (write, lambda: hold_from_outside(held, go_on)):
        held.clear()
        go_on.clear()
        thread = threading.Thread(target=writer)
        thread.start()
        assert held.wait(60)
        begun = wall.monotonic()
        assert ask(here, **POSTS) == 204
        assert wall.monotonic() - begun < 8, "and not when the writer has done"
        go_on.set()
        thread.join()
        assert seen_at() == before
    assert ask(here, **POSTS) == 204
    assert seen_at() != before


@pytest.mark.postgresql
@pytest.mark.parametrize("lock", ["SELECT FROM sessions FOR UPDATE", "LOCK TABLE alembic_version"])
def test_noting_use_waits_for_no_lock(here: Browser, time: Time, lock: str) -> None:
    """Somebody holds the row, or writes alone: the answer is the same, and at once."""
    time.passes(minutes=5)
    before = seen_at()
    with psycopg.connect(db.url) as other:
        other.execute(lock)
        begun = wall.monotonic()
        assert ask(here, **POSTS) == 204
        assert wall.monotonic() - begun < 8, "and not after the 15 seconds of others"
    assert seen_at() == before
    assert ask(here, **POSTS) == 204
    assert seen_at() != before


def hold_from_outside(held: threading.Event, go_on: threading.Event) -> None:
    """What another process with the write lock does."""
    other = pysqlite3.connect(db.url.removeprefix("sqlite:///"))
    other.execute("BEGIN IMMEDIATE")
    held.set()
    go_on.wait(60)
    other.close()


# Whatever goes wrong


def in_time(browser: Browser) -> int:
    """What is answered, within the time that is promised."""
    begun = wall.monotonic()
    answered = ask(browser)
    assert wall.monotonic() - begun < IN_TIME + SLOW_MACHINE
    return answered


def path_of_database() -> Path:
    from pathlib import Path

    return Path(db.url.removeprefix("sqlite:///"))


GARBAGE = b"\x7fELF" + os.urandom(8192)


def write_garbage(path: Path) -> None:
    path.write_bytes(GARBAGE)


def replace_by_garbage(path: Path) -> None:
    path.unlink()
    path.write_bytes(GARBAGE)


def replace_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_an_empty_one(path: Path) -> None:
    path.unlink()
    path.touch()


def take_away(path: Path) -> None:
    path.rename(path.with_name("away.db"))


def close_the_folder(path: Path) -> None:
    """As a disk that is no longer there."""
    path.parent.rename(path.parent.with_name(f"{path.parent.name}-gone"))


def drop_the_table(path: Path) -> None:
    other = pysqlite3.connect(path)
    other.executescript("PRAGMA foreign_keys = OFF; DROP TABLE sessions;")
    other.close()


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "harm",
    [
        write_garbage,
        replace_by_garbage,
        replace_by_a_folder,
        replace_by_an_empty_one,
        take_away,
        close_the_folder,
        drop_the_table,
    ],
)
@pytest.mark.parametrize("is_open", [True, False], ids=["connected", "afresh"])
def test_a_database_that_cannot_be_read_lets_nobody_in(
    here: Browser, harm: Callable[[Path], None], is_open: bool
) -> None:
    assert ask(here) == 204
    if not is_open:
        db.dispose()
    harm(path_of_database())
    for _twice in range(2):
        assert in_time(here) in {401, 403}


@pytest.mark.sqlite
def test_a_database_that_was_put_back_is_read_anew(here: Browser) -> None:
    """A copy of yesterday's, say: no connection goes on with the file that is gone."""
    path = path_of_database()
    db.dispose()  # the log is part of the file now
    good = path.read_bytes()
    assert ask(here) == 204
    go(Status.EDITING)
    assert ask(here) == 403
    replace_by_garbage(path)
    assert ask(here) == 403
    for rest in ("-wal", "-shm"):
        path.with_name(path.name + rest).unlink(missing_ok=True)
    path.unlink()
    path.write_bytes(good)
    assert ask(here) == 204


@pytest.mark.sqlite
def test_a_locked_database_lets_nobody_in(here: Browser) -> None:
    """By another process that hangs. A connection that is open cannot be locked out so."""
    path = path_of_database()
    with locked(path) as is_held:
        assert not is_held
        assert ask(here) == 204
    db.dispose()
    with locked(path) as is_held:
        assert is_held
        for _twice in range(2):
            assert in_time(here) == 403
    assert ask(here) == 204


@pytest.mark.sqlite
def test_an_exclusively_locked_database_lets_nobody_in(here: Browser) -> None:
    path = path_of_database()
    db.dispose()
    other = pysqlite3.connect(path)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN EXCLUSIVE")
    assert in_time(here) == 403
    other.rollback()
    other.close()
    assert ask(here) == 204


def test_an_error_of_ours_lets_nobody_in(
    app: Flask, here: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("S3CRET")

    for testing in (True, False):
        app.testing = testing
        for broken in ("block.enter", "networks.is_staff", "access.token"):
            with monkeypatch.context() as patch:
                patch.setattr(f"portal.routes.forward_auth.{broken}", fail)
                assert ask(here) == 403
        with monkeypatch.context() as patch:
            patch.setattr("portal.pages.client_address", fail)
            assert ask(here) == 403
    assert ask(here) == 204


@pytest.mark.sqlite
def test_waiting_for_less_is_for_that_call_alone(here: Browser) -> None:
    """A page that this thread answers next waits as long as ever."""
    assert ask(here) == 204
    with db.reading():
        assert db.scalar(text("PRAGMA busy_timeout")) == 15_000
    with db.writing():
        assert db.scalar(text("PRAGMA busy_timeout")) == 15_000
    with db.reading(patience=0.5):
        assert db.scalar(text("PRAGMA busy_timeout")) == 500
