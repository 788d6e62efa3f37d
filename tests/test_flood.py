"""Too much from one address, with Redis and without; an empty answer; samples out of place."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time as real_time
from contextlib import ExitStack, closing, contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from portal import cli, config, create_app, limits, redis_counts
from portal import flood as flooding
from portal.account import links, sign_in
from portal.account.tables import account_links
from portal.database import Database, db
from portal.flood import Flood
from tests import redis_server
from tests.browser import Browser, check_headers
from tests.conftest import ENVIRONMENT
from tests.people import PASSWORD, cookie_of, enrol, to_factor
from tests.redis_server import Redis

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from tests.conftest import Time

EMAIL = "p.petrov@sever-trakt.example"
ADDRESS = "10.20.4.17"


@pytest.fixture
def petrov(keep: Callable[..., None]) -> None:
    keep()
    enrol(EMAIL)


def use_up(name: str, times: int) -> None:
    with db.writing():
        limits.use(*[name] * times)
        db.commit()


def test_sign_ins_from_one_address_are_paused_and_others_are_not(petrov: None, time: Time) -> None:
    use_up(f"passwords from {ADDRESS}", 100)
    with db.writing():
        here = sign_in.enter(EMAIL, PASSWORD, ADDRESS, "")
        there = sign_in.enter(EMAIL, PASSWORD, "10.20.4.18", "")
    assert here.pause
    assert here.token is None
    assert there.token
    time.passes(minutes=10)
    with db.writing():
        assert sign_in.enter(EMAIL, PASSWORD, ADDRESS, "").token


def test_whose_address_is_paused_is_told_no_lie(
    petrov: None, new_browser: Callable[..., Browser]
) -> None:
    browser = new_browser()
    use_up(f"passwords from {ADDRESS}", 100)
    browser.open("/signin").press("Войти", email=EMAIL, password=PASSWORD)
    assert browser.status == 429
    assert "С вашего адреса в сети" in browser.named("error")
    assert "неверных" not in browser.named("error")


def test_one_computer_with_many_addresses_is_counted_as_one(petrov: None) -> None:
    """An IPv6 network gives a computer 2^64 of them to choose from."""
    for number in range(100):
        with db.writing():
            sign_in.enter("nobody@example.ru", "x", ip_address(f"fd00::{number:x}"), "")
            db.commit()
    with db.writing():
        same = sign_in.enter(EMAIL, PASSWORD, ip_address("fd00::ffff:0:1"), "")
        other = sign_in.enter(EMAIL, PASSWORD, ip_address("fd00:0:0:1::1"), "")
    assert same.pause
    assert other.token


def test_new_passwords_asked_for_from_one_address_leave_no_rows_without_end(petrov: None) -> None:
    use_up(f"password resets from {ADDRESS}", 30)
    with db.writing():
        links.request_reset("nobody@example.ru", ADDRESS)
        assert not db.all(account_links.select())
        links.request_reset("nobody@example.ru", "10.20.4.18")
        assert len(db.all(account_links.select())) == 1


def test_an_empty_code_costs_no_try(petrov: None, browser: Browser) -> None:
    browser.open("/signin").press("Войти", email=EMAIL, password=PASSWORD)
    for page in ("/signin/factor", "/signin/code"):
        to_factor(browser).open(page).press("Войти", code=" ")
        assert (browser.status, browser.named("error")) == (422, "Введите код.")
    browser.press("Войти", code="000000")
    assert "Осталось попыток: 4." in browser.named("error")


def test_a_replacement_is_shown_for_five_minutes(
    keep: Callable[..., None], browser: Browser, time: Time
) -> None:
    """It is a working second factor: a stolen session must not read it later."""
    keep()
    person = enrol(EMAIL, codes=True)
    shown = person.sign_in_by_code(browser, person.codes[2]).named("replacement")
    time.passes(minutes=5, seconds=1)
    browser.open("/devices/codes/replacement")
    assert browser.path == "/check"
    assert shown not in browser.response.text


def test_samples_are_for_a_portal_whose_letters_stay_in_the_house(
    app: Flask, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outward = environment | {
        "PORTAL_MAIL_URL": "smtp://127.0.0.1:2525",
        "PORTAL_SMS_URL": "http://127.0.0.1:2526",
    }
    result = CliRunner().invoke(cli.portal, ["run", "--demo"], env=outward)
    assert result.exit_code == 2
    assert "/inbox" in result.output
    with db.reading():
        assert not db.all(account_links.select()), "nobody was made"


# Requests of one address


FEW = {"PORTAL_FLOOD_PER_MINUTE": "5", "PORTAL_FLOOD_FORMS_PER_MINUTE": "2"}


@pytest.fixture
def few(environment: dict[str, str], time: Time) -> dict[str, str]:
    """To be asked for before `app`: five pages a minute, and two forms."""
    environment |= FEW
    time.begins_a_minute()  # at its change counts would begin anew
    return environment


def ask(browser: Browser, url: str = "/", method: str = "get", **what: Any) -> Any:
    return browser.ask(method, url, follow_redirects=False, buffered=True, **what)


def statuses(browser: Browser, times: int, url: str = "/", method: str = "get") -> list[int]:
    return [ask(browser, url, method).status_code for _each in range(times)]


def test_too_many_requests_get_a_page_that_says_when_to_come_back(
    few: dict[str, str], browser: Browser, time: Time
) -> None:
    assert statuses(browser, 5) == [200] * 5
    answer = ask(browser)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert ">Слишком много запросов</h1>" in answer.text
    check_headers(answer)
    time.passes(minutes=1)
    assert statuses(browser, 1) == [200]


def test_what_was_written_is_on_the_page_but_no_secret(
    few: dict[str, str], browser: Browser
) -> None:
    typed = {"email": "boss@sever-trakt.example", "password": "S3CRET-words"}
    browser.open("/signin")
    form = browser.page.form_of("Войти")
    sent = [ask(browser, form.action, "post", data=form.fields | typed) for _each in range(4)]
    answer = sent[-1]
    assert answer.status_code == 429
    assert "boss@sever-trakt.example" in answer.text
    assert "S3CRET" not in answer.text
    assert form.fields["csrf_token"] not in answer.text


def test_others_are_not_held_up_and_neither_are_forms(
    few: dict[str, str], browser: Browser, new_browser: Callable[..., Browser]
) -> None:
    assert statuses(browser, 6)[-1] == 429
    assert statuses(new_browser("10.20.4.18"), 1) == [200]
    assert statuses(browser, 3, "/diagnostics", "post") == [422, 422, 429]


def test_a_poll_that_is_too_many_leaves_the_window_as_it_is(
    few: dict[str, str], browser: Browser
) -> None:
    statuses(browser, 5)
    answer = ask(browser, headers={"HX-Request": "true", "HX-Target": "div#confirmation"})
    assert answer.status_code == 429
    assert answer.headers["HX-Reswap"] == "none"
    assert "HX-Refresh" not in answer.headers


@pytest.mark.parametrize(
    ("url", "status"), [("/health/live", 200), ("/static/portal.css", 200), ("/access", 401)]
)
def test_what_others_rely_on_is_not_counted(
    few: dict[str, str], browser: Browser, url: str, status: int
) -> None:
    assert statuses(browser, 10, url) == [status] * 10
    assert statuses(browser, 6) == [200] * 5 + [429]
    assert statuses(browser, 1, url) == [status]


def test_a_flood_asks_the_database_nothing(
    few: dict[str, str],
    keep: Callable[..., None],
    browser: Browser,
    new_browser: Callable[..., Browser],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither for who is signed in, nor for who sends a file, whose account decides how long."""
    keep()
    address = "10.20.4.18"
    elsewhere = new_browser(address)
    elsewhere.client.set_cookie("session", cookie_of(enrol(EMAIL).sign_in(browser)))
    statuses(elsewhere, 5)
    statuses(elsewhere, 2, "/campaigns", "post")

    def fail(_self: object) -> None:
        raise AssertionError("the database is asked")

    monkeypatch.setattr(Database, "connection", property(fail))
    assert statuses(elsewhere, 3, "/devices") == [429] * 3
    assert statuses(elsewhere, 3, "/campaigns", "post") == [429] * 3


def counts(**changed: str) -> Flood:
    """Counts as those of a process that starts now."""
    made = Flood()
    made.use(config.load(ENVIRONMENT | FEW | changed))
    return made


def taken(flood: Flood, times: int, address: str = ADDRESS) -> int:
    """How many of some requests are let through."""
    where = ip_address(address) if address else None
    return sum(not flood.wait(where, writes=False) for _each in range(times))


def test_an_ipv6_network_of_one_computer_counts_as_one_address(time: Time) -> None:
    time.begins_a_minute()
    flood = counts()
    assert taken(flood, 3, "2001:db8:0:1::1") == 3
    assert taken(flood, 3, "2001:db8:0:1:ffff::2") == 2
    assert taken(flood, 3, "2001:db8:0:2::1") == 3


def test_addresses_that_cannot_be_known_are_counted_together(time: Time) -> None:
    time.begins_a_minute()
    assert taken(counts(), 9, "") == 5


# Redis


@pytest.fixture
def redis(tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch) -> Iterator[Redis]:
    """A server of one's own. However slow this machine is, it is waited for."""
    if redis_server.program() is None:
        pytest.skip("no redis-server: `make servers` fetches it")
    server = Redis(tmp_path)
    server.start()
    monkeypatch.setattr(redis_counts, "PATIENCE_SECONDS", 20)
    time.begins_a_minute()  # at its change counts would begin anew
    yield server
    server.kill()


def test_counts_are_shared_through_redis(redis: Redis, time: Time) -> None:
    one, other = counts(PORTAL_REDIS_URL=redis.url), counts(PORTAL_REDIS_URL=redis.url)
    assert taken(one, 3) == 3
    assert taken(other, 3) == 2
    assert taken(counts(), 3) == 3, "who has no Redis counts alone"


def test_without_redis_each_process_counts_alone_until_it_is_back(
    redis: Redis, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flooding, "REST_SECONDS", 0.05)
    one, other = counts(PORTAL_REDIS_URL=redis.url), counts(PORTAL_REDIS_URL=redis.url)
    assert taken(one, 3) == 3
    redis.kill()
    with capture_logs() as said:
        for _each in range(3):
            assert taken(one, 9) <= 5, "its own limit holds"
            real_time.sleep(0.06)  # it asks again, and says nothing more
    assert [line["event"] for line in said] == ["flood limits not shared"]
    assert taken(other, 9) == 5
    redis.start()
    real_time.sleep(0.06)
    time.passes(minutes=1)
    with capture_logs() as said:
        assert (taken(one, 3), taken(other, 3)) == (3, 2)
    assert {line["event"] for line in said} == {"flood limits shared again"}


def test_a_redis_that_hangs_is_waited_for_once(
    redis: Redis, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_counts, "PATIENCE_SECONDS", 1)
    flood = counts(PORTAL_REDIS_URL=redis.url)
    assert taken(flood, 1) == 1
    redis.freeze()
    begun = real_time.monotonic()
    assert taken(flood, 500, "10.20.4.18") == 5
    waited = real_time.monotonic() - begun
    redis.thaw()
    assert waited < flooding.REST_SECONDS, "500 times would be 500 seconds"


def test_a_redis_that_refuses_breaks_no_page(redis: Redis, time: Time) -> None:
    redis.kill()
    redis.start("--requirepass", "another")
    url = redis.url.replace("//", "//:S3CRET@")
    with capture_logs() as said:
        assert taken(counts(PORTAL_REDIS_URL=url), 9) == 5
    assert len(said) == 1
    assert "S3CRET" not in str(said)


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[str]:
    """A production web server on a Unix socket, where its proxy would be; it may still start."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/web"
        command = [sys.executable, "-m", "portal", "serve", "--socket", path]
        process = subprocess.Popen(command, env=os.environ | environment)
        try:
            yield path
        finally:
            process.terminate()
            process.wait()


def hear(path: str) -> int:
    """The status of one request."""
    for _try in range(1000):
        with suppress(OSError), closing(socket.socket(socket.AF_UNIX)) as wire:
            wire.connect(path)
            connection = http.client.HTTPConnection("portal")
            connection.sock = wire
            connection.request("GET", "/", headers={"X-Forwarded-For": ADDRESS})
            return connection.getresponse().status
        real_time.sleep(0.05)
    raise AssertionError("nobody listens")


@pytest.mark.sqlite  # no row has to do with it
def test_two_servers_share_a_limit_and_outlive_redis(
    app: Flask, environment: dict[str, str], redis: Redis
) -> None:
    environment |= {"PORTAL_REDIS_URL": redis.url, "PORTAL_FLOOD_PER_MINUTE": "20"}
    with ExitStack() as stack:
        paths = [stack.enter_context(serving(environment)) for _each in range(2)]
        while [hear(path) for path in paths] and real_time.time() % 60 > 55:
            real_time.sleep(1)  # counts end with the minute, and would begin anew
        answers = [hear(paths[turn % 2]) for turn in range(40)]
        assert 1 <= answers.count(200) <= 20
        assert answers[-10:] == [429] * 10
        redis.kill()
        assert [hear(path) for path in paths] == [200, 200]


def test_a_limit_is_that_of_the_settings(environment: dict[str, str], app: Flask) -> None:
    assert create_app(config.load(environment | FEW)).test_client().get("/").status_code == 200
    assert config.load(environment).redis_url == ""
    for name in FEW:
        for bad in ("0", "-1", "1e3", "", "10000001"):
            with pytest.raises(config.BadSettingError, match=name):
                config.load(environment | {name: bad})
    for bad in ("http://h", "redis://", "redis://h/x", "rediss://h:port", "redis://h/0?x=1"):
        with pytest.raises(config.BadSettingError, match="PORTAL_REDIS_URL"):
            config.load(environment | {"PORTAL_REDIS_URL": bad})
