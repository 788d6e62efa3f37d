"""What only PostgreSQL has: others who were first, connections that break, news of what is due."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from portal import (
    clock,
    config,
    confirmation,
    create_app,
    journal,
    limits,
    organisation,
    outbox,
    proofs,
    reminders,
    schema,
)
from portal.confirmation.code import PER_NUMBER
from portal.confirmation.course import LINK
from portal.database import Overtaken, db
from portal.gateways import Outgoing, Reason, Trouble
from tests.conftest import ADMINISTRATOR, ENVIRONMENT, LOMOVA
from tests.postgresql import program_path, running, wait_for_who_waits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask import Flask

    from tests.browser import Browser
    from tests.conftest import Post
    from tests.postgresql import Server

pytestmark = pytest.mark.postgresql
CHAIN = journal.of_organisation("ORG-004217")
SECONDS = 10  # for what another thread does
LET_GO = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"


def elsewhere(work: Callable[[], Any]) -> Any:
    """What another thread, with connections of its own, comes back with."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0] if found else None


def let_go_of_all(url: str) -> None:
    """Break every connection, as a server does that is restarted."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(LET_GO)


# Who was first


def names() -> list[str]:
    with db.reading():
        return [each.details.short_name for each in organisation.search(most=10)]


def test_who_writes_what_another_changed_meanwhile_is_overtaken(
    keep: Callable[..., None],
) -> None:
    keep()
    with db.writing():
        organisation.find("ORG-004217")
        elsewhere(lambda: keep(short_name="ООО «Первый»"))
        with pytest.raises(Overtaken):
            organisation.save(
                *("ORG-004217", LOMOVA, "second@sever-trakt.example", "", "tests"),
            )
    assert names() == ["ООО «Первый»"]


def test_what_was_overtaken_is_done_again(keep: Callable[..., None]) -> None:
    keep()
    others = iter(["ООО «Первый»"])
    seen = []

    @db.again
    def change() -> None:
        with db.writing():
            found = organisation.find("ORG-004217")
            assert found
            seen.append(found.details.short_name)
            name = next(others, None)
            if name:
                elsewhere(lambda: keep(short_name=name))
            organisation.save(*("ORG-004217", LOMOVA, "last@sever-trakt.example", "", "tests"))
            db.commit()

    change()
    assert seen == [LOMOVA.short_name, "ООО «Первый»"]
    with db.reading():
        found = organisation.find("ORG-004217")
        assert found
        assert found.administrator_email == "last@sever-trakt.example"
        assert journal.first_broken_line() is None


def test_a_request_that_was_overtaken_is_answered_anew(
    browser: Browser, post: Post, asked: str, database_url: str
) -> None:
    """It waits for another who adds a line to the same chain, is told that it came second, and is
    asked once more: the form is read twice, and the person sees nothing of it."""
    browser.open(post.link()).press("Подтвердить номер телефона")
    code, has_begun = post.code(), threading.Event()

    def be_first() -> None:
        with db.writing():
            journal.record(CHAIN, "organisation.noted", "tests")
            has_begun.set()
            wait_for_who_waits(database_url)
            db.commit()

    first = threading.Thread(target=be_first)
    first.start()
    has_begun.wait(SECONDS)
    browser.press("Подтвердить", code=code)
    first.join()
    assert browser.named("phone-status").startswith("подтверждён")
    with db.reading():
        assert db.scalar(text("SELECT tries FROM codes")) == 1, "counted once, though asked twice"
        newest, before = journal.lines(CHAIN, most=2)
        assert (newest.name, before.name) == ("phone.confirmed", "organisation.noted")
        assert journal.first_broken_line() is None


# Steps of different persons at the same moment


def request_code(id: str) -> confirmation.Wait | None:
    confirmation.begin_step(id)
    found = confirmation.find(id)
    assert found
    wait = confirmation.request_code(found, "10.20.30.40")
    db.commit()
    return wait


def test_persons_of_different_organisations_do_not_overtake_each_other(
    keep: Callable[..., None], ask: Callable[..., str | None]
) -> None:
    keep("ORG-000001", phone="+79210000001")
    keep("ORG-000002", phone="+79210000002")
    one, two = ask("ORG-000001"), ask("ORG-000002")
    assert one
    assert two
    confirmation.begin_step(one)
    found = confirmation.find(one)
    assert found
    elsewhere(lambda: request_code(two))
    confirmation.request_code(found, "10.20.30.40")
    db.commit()
    with db.reading():
        assert db.scalar(text("SELECT count(*) FROM codes")) == 2
        assert journal.first_broken_line() is None


def test_a_step_knows_what_happened_since_it_looked(asked: str) -> None:
    confirmation.begin_step(asked)
    found = confirmation.find(asked)
    assert found

    def be_first() -> None:
        with db.writing():
            journal.record(CHAIN, "organisation.noted", "tests")
            db.commit()

    elsewhere(be_first)
    with pytest.raises(Overtaken):
        confirmation.request_code(found, "10.20.30.40")
    db.close()
    with db.reading():
        assert db.scalar(text("SELECT count(*) FROM codes")) == 0


def test_steps_on_one_request_wait_for_each_other(asked: str, database_url: str) -> None:
    confirmation.begin_step(asked)
    with ThreadPoolExecutor(1) as other:
        second = other.submit(request_code, asked)
        wait_for_who_waits(database_url)
        found = confirmation.find(asked)
        assert found
        assert confirmation.request_code(found, "10.20.30.40") is None
        db.commit()
        assert second.result(SECONDS) is None, "the first one's code is on its way"
    with db.reading():
        assert db.scalar(text("SELECT count(*) FROM codes")) == 1


def test_codes_to_one_number_are_counted_together(
    keep: Callable[..., None], ask: Callable[..., str | None], database_url: str
) -> None:
    """Two organisations, one phone, and one code left of those that it may get in ten minutes."""
    keep("ORG-000001")
    keep("ORG-000002")
    one, two = ask("ORG-000001"), ask("ORG-000002")
    assert one
    assert two
    with db.writing():
        for _ in range(PER_NUMBER[0].times - 1):
            limits.use(f"sms to {LOMOVA.phone}")
        db.commit()
    confirmation.begin_step(one)
    found = confirmation.find(one)
    assert found
    assert confirmation.request_code(found, "10.20.30.40") is None
    with ThreadPoolExecutor(1) as other:
        second = other.submit(request_code, two)
        wait_for_who_waits(database_url)
        db.commit()
        assert second.result(SECONDS) is not None
    with db.reading():
        assert db.scalar(text("SELECT count(*) FROM codes")) == 1


class Refusing:
    """A gateway that takes no message."""

    def send(self, _message: Outgoing) -> str:
        raise Trouble(Reason.REFUSED, permanent=True)

    def close(self) -> None:
        """Nothing is open."""


def test_nobody_is_told_of_a_message_whose_request_ends_at_this_moment(
    app: Flask, asked: str, post: Post, database_url: str
) -> None:
    post.deliver()
    request_code(asked)
    outbox.deliver_due("sms", Refusing())
    confirmation.begin_step(asked)
    found = confirmation.find(asked)
    assert found

    def tell() -> None:
        with app.app_context():
            reminders.tell_of_failures()

    with ThreadPoolExecutor(1) as other:
        told = other.submit(tell)
        wait_for_who_waits(database_url)
        confirmation.report(found, {"phone": ""}, "", "10.20.30.40")
        db.commit()
        told.result(SECONDS)
    post.deliver()
    assert [each.subject for each in post.letters(ADMINISTRATOR)] == [
        "Сообщение об ошибке в данных"
    ]


# Connections that break


def test_who_only_read_does_not_notice_a_connection_that_broke(
    keep: Callable[..., None], database_url: str
) -> None:
    keep()
    assert names() == [LOMOVA.short_name]
    let_go_of_all(database_url)
    assert names() == [LOMOVA.short_name]


def test_who_wrote_nothing_yet_begins_anew(keep: Callable[..., None], database_url: str) -> None:
    keep()
    let_go_of_all(database_url)
    keep(short_name="ООО «Снова здесь»")
    assert names() == ["ООО «Снова здесь»"]


def test_what_was_half_done_is_undone_and_said(
    keep: Callable[..., None], database_url: str
) -> None:
    keep()
    with db.writing():
        db.execute(text("DELETE FROM organisation_words"))
        let_go_of_all(database_url)
        with pytest.raises(OperationalError):
            db.execute(text("DELETE FROM organisation_words"))
    with db.reading():
        assert db.scalar(text("SELECT count(*) FROM organisation_words"))


@pytest.mark.usefixtures("app")
def test_a_page_is_there_again_when_the_database_is() -> None:
    with running() as server:
        url = server.create("portal")
        app = create_app(config.load(ENVIRONMENT | {"PORTAL_DATABASE_URL": url}))
        with app.app_context():
            schema.upgrade()
        client = app.test_client()
        link = f"/confirm/{proofs.sign(LINK, proofs.new_public_id())}"  # of no request

        def asked() -> tuple[int, int]:
            page = client.get(link, environ_base={"REMOTE_ADDR": "10.20.4.17"})
            return client.get("/health/ready").status_code, page.status_code

        assert asked() == (200, 410)
        server.stop("immediate")
        assert asked() == (503, 503)
        assert client.get("/health/live").status_code == 200
        server.start()
        assert asked() == (200, 410)
        db.dispose()


def test_who_tells_others_when_the_connection_broke_is_told_so(
    keep: Callable[..., None], database_url: str
) -> None:
    keep()
    with db.writing():
        db.execute(text("DELETE FROM organisation_words"))
        let_go_of_all(database_url)
        with pytest.raises(OperationalError):
            db.tell("portal_email")


# News of what is due


def test_who_waits_is_woken_by_a_commit_and_by_nothing_else(
    keep: Callable[..., None], ask: Callable[..., str | None]
) -> None:
    keep()
    email, sms = (db.listen(outbox.topic_of(channel)) for channel in ("email", "sms"))
    for each in (email, sms):
        each.wait(10, lambda: False)  # it begins to listen
    ask()
    began = time.monotonic()
    email.wait(30, lambda: False)
    assert time.monotonic() - began < 20, "it was woken"
    sms.wait(0.3, lambda: False)
    for each in (email, sms):
        each.close()


def test_who_waits_stops_waiting_when_it_is_over(app: Flask) -> None:
    listener = db.listen("portal_email")
    listener.wait(10, lambda: False)
    over = threading.Event()
    threading.Timer(0.1, over.set).start()
    began = time.monotonic()
    listener.wait(60, over.is_set)
    listener.close()
    assert time.monotonic() - began < 30


def test_who_waits_opens_another_connection_when_its_own_broke(
    keep: Callable[..., None], ask: Callable[..., str | None], database_url: str
) -> None:
    keep()
    listener = db.listen("portal_email")
    listener.wait(10, lambda: False)
    let_go_of_all(database_url)
    began = time.monotonic()
    listener.wait(30, lambda: False)  # it listens again, and has to look for itself
    ask()
    listener.wait(30, lambda: False)
    listener.close()
    assert time.monotonic() - began < 20


class Slow:
    """A gateway that is in no hurry, and waits for the other one before it begins."""

    def __init__(self, both: threading.Barrier) -> None:
        self.arrived: list[str] = []
        self._both = both

    def send(self, message: Outgoing) -> str:
        if not self.arrived:
            self._both.wait(60)
        time.sleep(0.002)
        self.arrived.append(message.id)
        return message.id

    def close(self) -> None:
        """Nothing is open."""


def test_two_workers_share_what_is_due_and_hand_nothing_over_twice(app: Flask) -> None:
    now = clock.now().isoformat()
    with db.writing():
        for number in range(200):
            outbox.post("email", "queue", f"{number}@example.ru", count=1, at=now, name="")
        db.commit()
    both = threading.Barrier(2)
    gateways = [Slow(both), Slow(both)]
    threads = [threading.Thread(target=_deliver, args=(app, gateway)) for gateway in gateways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = (gateway.arrived for gateway in gateways)
    assert len(set(first + second)) == len(first + second) == 200
    assert first, "they shared"
    assert second


def _deliver(app: Flask, gateway: Slow) -> None:
    with app.app_context():
        outbox.deliver_due("email", gateway)
        db.close()


def shut(server: Server, *, to: bool) -> None:
    """Let nobody into the database, and throw out who is in; or let them in again."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE portal ALLOW_CONNECTIONS {not to}")
        connection.execute(f"{LET_GO} AND datname = 'portal'")


class Unlucky(Slow):
    """A gateway at which the database goes away, for a while, just when a message has left."""

    def __init__(self, server: Server) -> None:
        super().__init__(threading.Barrier(1))
        self._server = server

    def send(self, message: Outgoing) -> str:
        shut(self._server, to=True)
        threading.Timer(0.3, shut, (self._server,), {"to": False}).start()
        return super().send(message)


def test_what_left_is_noted_when_the_database_is_back(
    app: Flask, postgresql_server: Server
) -> None:
    with db.writing():
        at = clock.now().isoformat()
        id = outbox.post("email", "queue", "one@example.ru", count=1, at=at, name="")
        db.commit()
    gateway = Unlucky(postgresql_server)
    assert outbox.deliver_due("email", gateway) == 1
    with db.reading():
        assert outbox.state(id) is outbox.State.DELIVERED
    assert gateway.arrived == [id], "and not once more when its claim ended"


# The schema


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_in_another_order_is_refused(postgresql_server: Server, encoding: str) -> None:
    with psycopg.connect(postgresql_server.url("postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS latin")
        connection.execute(
            f"CREATE DATABASE latin ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
        )
    url = postgresql_server.url("latin")
    app = create_app(config.load(ENVIRONMENT | {"PORTAL_DATABASE_URL": url}))
    with app.app_context(), pytest.raises(config.BadSettingError, match="LOCALE 'C'"):
        schema.upgrade()
    db.dispose()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_copy_that_is_stopped_leaves_nothing(
    environment: dict[str, str], app: Flask, tmp_path: Path, number: int
) -> None:
    programs, temporary, copies = (tmp_path / name for name in ("bin", "tmp", "copies"))
    for each in (programs, temporary, copies):
        each.mkdir()
    (programs / "pg_dump").write_text("#!/bin/sh\nexec sleep 60\n")
    (programs / "pg_dump").chmod(0o755)
    there = {"PATH": f"{programs}:{os.environ['PATH']}", "TMPDIR": str(temporary)}
    url = environment["PORTAL_DATABASE_URL"].replace("@", ":S3CRET@", 1)
    # Whoever runs the tests may ignore what ends a terminal, and commands inherit that.
    command = ["env", "--default-signal=HUP", sys.executable, "-m", "portal"]
    command += ["database", "backup", str(copies / "copy")]
    settings = environment | there | {"PORTAL_DATABASE_URL": url}
    with subprocess.Popen(command, env=os.environ | settings) as process:
        until = time.monotonic() + 60
        while not (any(copies.iterdir()) and any(temporary.iterdir())):
            assert time.monotonic() < until, "it does not begin"
            assert process.poll() is None, "it ended"
            time.sleep(0.02)
        process.send_signal(number)
    assert process.returncode == 128 + number
    assert not [*copies.iterdir(), *temporary.iterdir()]


def test_migrations_run_one_after_another(postgresql_server: Server) -> None:
    """Two new machines start at once."""
    url = postgresql_server.create("begun")
    app = create_app(config.load(ENVIRONMENT | {"PORTAL_DATABASE_URL": url}))
    done: list[bool] = []

    def upgrade() -> None:
        with app.app_context():
            schema.upgrade()
            done.append(True)

    threads = [threading.Thread(target=upgrade) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 3
    with app.app_context(), db.reading():
        assert schema.is_current()
    db.dispose()


def test_a_migration_does_not_hold_up_others_behind_a_table_that_is_in_use(
    postgresql_server: Server,
) -> None:
    url = postgresql_server.create("used")
    app = create_app(config.load(ENVIRONMENT | {"PORTAL_DATABASE_URL": url}))
    with app.app_context():
        schema.upgrade()
        with psycopg.connect(url) as reader:
            reader.execute("SELECT * FROM messages")
            with db.migrating() as connection, pytest.raises(OperationalError, match="lock time"):
                connection.exec_driver_sql("ALTER TABLE messages ADD COLUMN another integer")
    db.dispose()


# A copy


def test_a_copy_is_restored_elsewhere(
    keep: Callable[..., None], postgresql_server: Server, tmp_path: Path
) -> None:
    keep()
    file = tmp_path / "portal.dump"
    db.back_up(file)
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        db.back_up(file)
    url = postgresql_server.create("restored")
    command = [program_path("pg_restore"), "--no-owner", f"--dbname={url}", str(file)]
    subprocess.run(command, check=True)
    app = create_app(config.load(ENVIRONMENT | {"PORTAL_DATABASE_URL": url}))
    with app.app_context():
        assert names() == [LOMOVA.short_name]
        with db.reading():
            assert schema.is_current()
            assert journal.first_broken_line() is None
    db.dispose()


def test_a_copy_needs_the_program_that_makes_it(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("pg_dump") is None
    with pytest.raises(FileNotFoundError, match="pg_dump"):
        db.back_up(tmp_path / "portal.dump")
