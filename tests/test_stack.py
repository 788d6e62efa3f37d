"""All that an operator runs, together: a journey through it, and what happens when parts stop."""

from __future__ import annotations

import select
import shutil
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from portal import schema
from tests import proxies, stack
from tests.ports import free_port
from tests.proxies import NAME, PROXY, Ports, Visitor
from tests.servers import Authority
from tests.stack import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.browser import Browser
    from tests.stack import Stack

ROOT = Path(__file__).parents[1]
HEADER = (
    "id,name,short_name,inn,kpp,ogrn,legal_address,administrator_email,responsible_last_name,"
    "responsible_first_name,responsible_position,responsible_phone,responsible_email"
)
LINE = (
    "ORG-{0},Общество с ограниченной ответственностью «Тракт {0}»,ООО «Тракт {0}»,2901999014,"
    "290101001,1022900999109,г. Архангельск,admin{0}@tracts.example,Ломова,Ирина,Механик,"
    "+7921555{0},person{0}@tracts.example"
)
PEOPLE = [str(number) for number in range(1001, 1025)]
PHONE, EMAIL, ENTER = "Подтвердить номер телефона", "Подтвердить email", "Подтвердить"
REQUEST, SECOND, DONE = "Подтверждение данных", "Подтверждение email", "Проверка завершена"
PRESSED_AT_ONCE = 6  # each server gets three of them,
BEGUN = 4  # and has a thread for two at least: the third may wait for one
A_NEWER_VERSION = """
from alembic import op
import sqlalchemy as sa

revision, down_revision = "9999", "{newest}"


def upgrade() -> None:
    op.add_column("organisations", sa.Column("of_a_newer_version", sa.Text))
    op.create_table("of_a_newer_version", sa.Column("id", sa.Text, primary_key=True))
"""


class Person:
    """A responsible person who is asked to confirm."""

    def __init__(self, runs: Stack, number: str) -> None:
        self.number = number
        self.phone, self.email = f"+7921555{number}", f"person{number}@tracts.example"
        self.browser = runs.browser()

    def open(self, runs: Stack) -> Browser:
        return self.browser.open(runs.link(self.email, REQUEST))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack.running(tmp_path_factory.mktemp("stack")) as found:
        file = found.folder / "organisations.csv"
        file.write_text("\n".join([HEADER, *(LINE.format(number) for number in PEOPLE)]))
        found.run("organisations", "import", str(file))
        found.run("confirmations", "request", "--all-unconfirmed")
        yield found


@pytest.fixture(scope="module")
def numbers() -> Iterator[str]:
    """Each person is met once."""
    return iter(PEOPLE)


def meet(runs: Stack, numbers: Iterator[str], count: int = 1) -> list[Person]:
    """People who were asked, each with the page open."""
    people = [Person(runs, next(numbers)) for _ in range(count)]
    for each in people:
        each.open(runs)
    return people


def test_a_journey_goes_through_all_of_it(runs: Stack, numbers: Iterator[str]) -> None:
    (person,) = meet(runs, numbers)
    browser = person.browser
    assert browser.page.heading == f"ООО «Тракт {person.number}»"
    browser.press(PHONE).press(ENTER, code=runs.code(person.phone))
    assert "подтверждён" in browser.named("phone-status")
    browser.press(EMAIL)
    browser.open(runs.link(person.email, SECOND)).press("Подтвердить адрес")
    browser.follow("К данным организации")
    assert browser.has("completed")
    runs.link(f"admin{person.number}@tracts.example", DONE)
    assert len(runs.sms.codes(person.phone)) == 1
    assert len(runs.mail.to(person.email)) == 2
    assert "цел" in runs.run("journal", "verify")


def test_nginx_and_the_portal_call_a_request_the_same(runs: Stack) -> None:
    named = runs.browser().open("/signin").response.headers["X-Request-ID"]
    log = runs.folder / "portal.log"
    wait_for(lambda: named in log.read_text())


def test_flood_limits_are_counted_in_redis(runs: Stack) -> None:
    def is_counted() -> bool:
        runs.browser().open("/signin")
        with socket.create_connection((PROXY, runs.redis.port)) as wire:
            wire.sendall(b"DBSIZE\r\n")
            return int(wire.recv(100).strip(b":\r\n")) > 0

    wait_for(is_counted)  # a slow Redis is not waited for, and asked again


@pytest.mark.parametrize("which", [0, 1], ids=["on a socket of systemd", "on a port"])
def test_a_web_server_that_stops_answers_what_it_has_begun(
    runs: Stack, numbers: Iterator[str], which: int
) -> None:
    people = meet(runs, numbers, PRESSED_AT_ONCE)
    server, port = runs.web[which], (runs.ports.portal, runs.ports.second)[which]
    with ThreadPoolExecutor(PRESSED_AT_ONCE) as at_once:
        with writing_is_held(runs) as is_waiting:
            pressed = [at_once.submit(each.browser.press, PHONE) for each in people]
            wait_for(lambda: is_waiting() >= BEGUN)
            server.tell()
            if which:
                wait_for(lambda: not runs.is_ready(port))  # it takes nobody new
            assert server.runs()
        assert server.ended() == 0
        server.start()
        for each in pressed:
            assert each.result().status == 200
    for person in people:
        person.browser.press(ENTER, code=runs.code(person.phone))
        assert "подтверждён" in person.browser.named("phone-status")
        assert len(runs.sms.codes(person.phone)) == 1
    wait_for(lambda: runs.is_ready(port))


@contextmanager
def writing_is_held(runs: Stack) -> Iterator[Callable[[], int]]:
    """No message can be posted meanwhile; gives how many requests wait for that."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND query LIKE 'INSERT INTO messages%%'"
    )
    with psycopg.connect(runs.database_url) as holder:
        holder.execute("LOCK TABLE messages IN EXCLUSIVE MODE")
        yield lambda: int(runs.rows(waiting)[0][0])


def test_who_comes_while_a_web_server_is_started_anew_waits(
    runs: Stack, numbers: Iterator[str]
) -> None:
    people = meet(runs, numbers, PRESSED_AT_ONCE)
    server = runs.web[0]
    server.tell()
    assert server.ended() == 0
    with ThreadPoolExecutor(PRESSED_AT_ONCE) as at_once:
        pressed = [at_once.submit(each.browser.press, PHONE) for each in people]
        waiting, _, _ = select.select([runs.listener], [], [], stack.SECONDS)
        assert waiting, "nobody came to the server that is away"
        server.start()
        for each in pressed:
            assert each.result().status == 200
    for person in people:
        runs.code(person.phone)
        assert len(runs.sms.codes(person.phone)) == 1


def test_a_deliverer_that_stops_finishes_what_is_in_hand(
    runs: Stack, numbers: Iterator[str]
) -> None:
    (person,) = meet(runs, numbers)
    runs.sms.may_answer.clear()
    person.browser.press(PHONE)
    wait_for(lambda: runs.sms.codes(person.phone))
    for each in runs.deliverers:
        each.tell()
    wait_for(lambda: not all(each.runs() for each in runs.deliverers))  # one has nothing in hand
    assert any(each.runs() for each in runs.deliverers)
    runs.sms.may_answer.set()
    assert [each.ended() for each in runs.deliverers] == [0, 0]
    noted = (
        "SELECT delivered_at IS NOT NULL FROM messages WHERE channel = 'sms' AND gateway_id = %s"
    )
    assert runs.rows(noted, f"g-{len(runs.sms.asked)}") == [(True,)]
    for each in runs.deliverers:
        each.start()
    person.browser.press(ENTER, code=runs.code(person.phone))
    assert "подтверждён" in person.browser.named("phone-status")
    person.browser.press(EMAIL)
    runs.link(person.email, SECOND)  # they deliver again
    assert len(runs.sms.codes(person.phone)) == 1


def test_the_schema_of_a_newer_version_comes_while_everything_runs(
    runs: Stack, numbers: Iterator[str], tmp_path: Path
) -> None:
    person, other = meet(runs, numbers, 2)
    person.browser.press(PHONE)
    runs.run("database", "upgrade")  # nothing to do
    migrations = tmp_path / "migrations"
    shutil.copytree(schema.HERE, migrations)
    newest = max(each.name[:4] for each in (migrations / "versions").glob("0*.py"))
    (migrations / "versions/9999_newer.py").write_text(A_NEWER_VERSION.format(newest=newest))
    upgrade = (
        "import sys; from pathlib import Path; from portal import cli, schema;"
        f"schema.HERE = Path({str(migrations)!r}); sys.argv = ['portal', 'database', 'upgrade'];"
        "cli.main()"
    )
    subprocess.run([sys.executable, "-c", upgrade], env=runs.environment, check=True)
    assert runs.rows("SELECT version_num FROM alembic_version") == [("9999",)]
    assert all(runs.is_ready(port) for port in (runs.ports.portal, runs.ports.second))
    person.browser.press(ENTER, code=runs.code(person.phone))
    assert "подтверждён" in person.browser.named("phone-status")
    other.browser.press(EMAIL)
    other.browser.open(runs.link(other.email, SECOND)).press("Подтвердить адрес")
    assert "Осталось подтвердить номер телефона" in other.browser


# nginx alone, before two servers that break off


class BreaksOff:
    """A server that hears a request and lets go of the connection."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._listener = socket.create_server((PROXY, 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        with suppress(OSError):  # its end
            while True:
                wire, _ = self._listener.accept()
                with wire:
                    self.heard.append(wire.recv(65536).decode().split(" ", 1)[0])

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def breaking(tmp_path: Path) -> Iterator[tuple[Visitor, list[BreaksOff]]]:
    authority = Authority(tmp_path)
    authority.server(NAME)
    for name in ("fullchain.pem", "privkey.pem"):
        shutil.copy(tmp_path / f"{NAME} 1.pem", tmp_path / name)
    servers = [BreaksOff(), BreaksOff()]
    ports = Ports(servers[0].port, free_port(), free_port(), free_port(), servers[1].port)
    with proxies.running("nginx", tmp_path, ports):
        yield Visitor(ports, tmp_path / "authority.pem"), servers
    for each in servers:
        each.stop()


def test_what_changes_something_is_never_sent_twice(
    breaking: tuple[Visitor, list[BreaksOff]],
) -> None:
    visitor, servers = breaking
    answer = visitor.ask("/signin", method="POST", body=b"x=1")
    assert [len(each.heard) for each in servers] == [1, 0]
    assert answer.status == 503
    assert "посмотрите, сохранилось ли" in answer.body


def test_what_only_shows_something_is_asked_of_another_server(
    breaking: tuple[Visitor, list[BreaksOff]],
) -> None:
    visitor, servers = breaking
    assert visitor.ask("/signin").status == 503
    assert [each.heard for each in servers] == [["GET"], ["GET"]]
