"""What strangers and insiders try: none of it opens, changes, tells or stops anything."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import stat
import subprocess
import sys
import tempfile
import time as real_time
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pysqlite3
import pytest
from sqlalchemy import select

from portal import clock, config, door, importing, pages
from portal.account import Role
from portal.confirmation.tables import codes
from portal.database import db
from tests.browser import Browser
from tests.conftest import ENVIRONMENT
from tests.hostile import FORM, INSIDE, OUTSIDE, ask, check, rows
from tests.loops import run
from tests.people import enrol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flask import Flask

    from tests.conftest import Post, Time

METHODS = ("GET", "HEAD", "OPTIONS", "POST")
RARE_METHODS = ("PUT", "PATCH", "DELETE", "TRACE", "FOO")
BODIES: tuple[tuple[bytes, str], ...] = (
    (b"", ""),
    (b"code=123456", FORM),
    (b"code=123456&csrf_token=IjEyMyI.aaaa.bbbb", FORM),
    (b"code=%ff%fe%00%ed%a0%80&comment=\xff\xfe", FORM),
    (b"&".join(b"f%d=1" % number for number in range(3000)), FORM),
    (b"code=" + b"1" * 70_000, FORM),
    (b'{"code": "123456"}', "application/json"),
    (
        b'--b\r\nContent-Disposition: form-data; name="code"\r\n\r\n1\r\n--b--',
        "multipart/form-data",
    ),
    (
        b'--b\r\nContent-Disposition: form-data; name="code"; filename="\xff\x00"\r\n\r\n1',
        "multipart/form-data; boundary=b",
    ),
    (
        b"".join(
            b'--b\r\nContent-Disposition: form-data; name="%d"; filename="x"\r\n\r\n\r\n' % number
            for number in range(1500)
        ),
        "multipart/form-data; boundary=b",
    ),
    (b"\x00" * 100, "text/plain; charset=\xff"),
)
ODD: tuple[dict[str, str], ...] = (
    {},
    {"HX-Request": "true", "HX-Target": "div#confirmation"},
    {"HX-Request": "true", "HX-Target": "../../letters/code", "HX-Current-URL": "http://["},
    {"HX-Request": "%ff", "HX-Target": "%zz", "HX-Target-URI-AutoEncoded": "true"},
    {"HX-Prompt": "%", "HX-Prompt-URI-AutoEncoded": "true", "HX-Boosted": "\xff"},
    {"Host": "evil.example"},
    {"Host": "[", "Referer": "http://["},
    {"Host": "a,b", "Referer": "http://a,b/\\evil.example"},
    {"Cookie": "session=\xff\xfe; language=\xff"},
    {"Cookie": "session=" + "A" * 9000},
    {"Cookie": "session=.eJw; session=e30.x; language=../../etc/passwd"},
    {"Accept-Encoding": "br;q=x, \xff, gzip;q=9e999, *"},
    {"Range": "bytes=0-10, 5-, -1", "If-Range": "x"},
    {"If-None-Match": "*", "If-Modified-Since": "Fri, 99 Xxx 99999999 00:00:00 GMT"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
    {"X-HTTP-Method-Override": "DELETE", "X-Original-URL": "/inbox", "X-Rewrite-URL": "/inbox"},
    {"X-Forwarded-For": INSIDE, "Forwarded": f"for={INSIDE}", "X-Real-IP": INSIDE},
    {"Authorization": "Basic \xff", "Expect": "\xff", "Content-Encoding": "gzip"},
)
NAMES = ("x", "%00", "%ff", "%f0%9f%98%80", "..%2f..%2fconfig.py", "a" * 3000, "9" * 30, "-1", "0")


def paths(app: Flask, known: dict[str, str], names: Sequence[str] = NAMES) -> list[str]:
    """Every address of the portal, with good and with bad names in its gaps."""
    found = []
    for rule in app.url_map.iter_rules():
        before, gap, rest = re.fullmatch("([^<]*)(<[^>]+>)?(.*)", rule.rule).groups()  # type: ignore[union-attr]
        values = (*names, *known.values()) if gap else ("",)
        found += [f"{before}{value}{rest}" for value in values]
    extra = ["//", "/confirm", "/confirm//x", "/%2e%2e/", "/;x=1", "/static/../config.py", "/\xff"]
    return [*found, *extra]


@pytest.fixture
def opened(browser: Browser, post: Post, asked: str) -> tuple[Browser, dict[str, str]]:
    """A browser that opened both links, and what is known of them."""
    letter = post.link()
    browser.open(letter).press("Подтвердить номер телефона")
    browser.press("Подтвердить email")
    second = post.link()
    browser.open(second)
    return (
        browser,
        {
            "token": letter.rpartition("/")[2],
            "second token": second.rpartition("/")[2],
            "id": asked,
            "link": browser.path.rpartition("/")[2],
        },
    )


# For a computer that is let in nowhere else.
PUBLIC = ("/static/", "/health/", "/help")
EVERYWHERE = {"/", "/diagnostics", "/diagnostics/result"}
WHO = [  # each on one database; what it asks for meets the other one in test_fuzz.py, too,
    # but for strangers, who come to hardly a row
    pytest.param("a stranger", marks=pytest.mark.sqlite),
    pytest.param("an insider", marks=pytest.mark.sqlite),
    pytest.param("who opened the links", marks=pytest.mark.postgresql),
    pytest.param("who is signed in", marks=pytest.mark.postgresql),
]


def signed_in(app: Flask) -> Browser:
    """A browser with a session in it, with a second factor of a moment ago."""
    administrator = enrol("a@sever-trakt.example", Role.ADMINISTRATOR)
    return administrator.come_in(Browser(app.test_client()))


@pytest.mark.parametrize("who", WHO)
def test_a_thousand_hostile_requests_change_nothing(
    who: str, app: Flask, opened: tuple[Browser, dict[str, str]]
) -> None:
    browser, known = opened
    address = OUTSIDE if who == "a stranger" else INSIDE
    cookies = browser if who == "who opened the links" else None
    if who == "who is signed in":
        cookies = signed_in(app)
    before, count = rows(), 0

    def hostile(path: str, method: str, headers: dict[str, str], body: tuple[bytes, str]) -> None:
        nonlocal count
        reply = ask(
            app,
            path,
            method=method,
            address=address,
            headers=headers,
            body=body,
            browser=cookies,
        )
        plain = "/" + path.lstrip("/")  # as WSGI takes it
        check(reply, is_static=plain.startswith("/static"))
        if who == "a stranger" and reply.status == 200 and method != "OPTIONS":
            assert plain.startswith(PUBLIC) or plain in EVERYWHERE, reply.asked
        count += 1

    every = paths(app, known)
    spelled = [f"{path}/" for path in every] + [f"/{path}" for path in every]
    walk = [*product(every, METHODS), *product(spelled, ("GET",))]
    walk += product(paths(app, {}, NAMES[:1]), RARE_METHODS)
    for number, (path, method) in enumerate(walk):
        body = BODIES[number % len(BODIES)] if method not in pages.SAFE_METHODS else (b"", "")
        hostile(path, method, ODD[number % len(ODD)], body)
    steps = [f"/confirmation/{known['id']}/{step}" for step in ("phone", "code", "email", "report")]
    steps += [f"/confirmation/{known['id']}/code/new", f"/email/{known['link']}"]
    for path, headers, body in product(steps, ODD, BODIES):
        hostile(path, "POST", headers, body)
    assert count > 1000
    after = rows()
    if who == "who is signed in":
        asked = after.pop("events")[len(before.pop("events")) :]
        assert {row.name for row in asked} == {"access.refused"}, "for pages of others"
        for each in (before, after):
            each.pop("uses")  # refusals are counted: nobody fills the journal with them
            each["sessions"] = [row._replace(seen_at=None) for row in each["sessions"]]
    assert after == before


# The secure channel


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[str]:
    """The production server, behind a proxy on a Unix socket."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "portal.db").write_bytes(empty_database.read_bytes())
        settings = {"PORTAL_DATABASE_URL": f"sqlite:///{folder}/portal.db"}
        command = [sys.executable, "-m", "portal", "serve", "--socket", f"{folder}/web"]
        process = subprocess.Popen(command, env=os.environ | ENVIRONMENT | settings)
        try:
            until = real_time.monotonic() + 30
            while not Path(folder, "web").exists() and real_time.monotonic() < until:
                real_time.sleep(0.05)
            yield f"{folder}/web"
        finally:
            process.terminate()
            process.wait()


def connect(path: str) -> socket.socket:
    wire = socket.socket(socket.AF_UNIX)
    wire.settimeout(30)
    for _try in range(1200):
        with contextlib.suppress(OSError):
            wire.connect(path)
            return wire
        real_time.sleep(0.05)
    raise AssertionError("nobody listens")


def say(path: str, *lines: str, body: bytes = b"") -> str:
    """One request, word for word; returns the answer."""
    with connect(path) as wire:
        head = "\r\n".join([*lines, "Host: portal", "Connection: close", "", ""])
        wire.sendall(head.encode("latin-1") + body)
        return b"".join(iter(lambda: wire.recv(65536), b"")).decode()


@pytest.mark.parametrize(
    "headers",
    [
        ["X_Forwarded_For: 10.20.4.17"],
        [f"X-Forwarded-For: {OUTSIDE}", "X_Forwarded_For: 10.20.4.17"],
        [f"X-Forwarded-For: {OUTSIDE}", "X-Forwarded_For: 10.20.4.17"],
        ["X_Forwarded_For: 10.20.4.17", f"X-Forwarded-For: {OUTSIDE}"],
        ["X-Forwarded-For: 10.20.4.17", f"X-Forwarded-For: {OUTSIDE}"],
        [f"X-Forwarded-For: 10.20.4.17, {OUTSIDE}"],
        ["X-Forwarded-For: 10.20.4.17,"],
        ["X-Forwarded-For: 10.20.4.17:80"],
        ["X-Forwarded-For: [::ffff:10.20.4.17]"],
        ["X-Forwarded-For: \xff10.20.4.17"],
        ["X-Real-IP: 10.20.4.17", "Forwarded: for=10.20.4.17"],
    ],
)
def test_no_header_but_the_proxys_own_says_where_one_is(served: str, headers: list[str]) -> None:
    answer = say(served, "GET /confirm/x HTTP/1.1", *headers)
    assert " 403 " in answer.splitlines()[0]


def test_the_proxys_own_header_says_where_one_is(served: str) -> None:
    answer = say(served, "GET /confirm/x HTTP/1.1", "X-Forwarded-For: 10.20.4.17")
    assert " 410 " in answer.splitlines()[0]


def test_a_folded_header_is_refused(served: str) -> None:
    answer = say(served, "GET /confirm/x HTTP/1.1", "X-Forwarded-For: 203.0.113.9,", " 10.20.4.17")
    assert " 400 " in answer.splitlines()[0]


def test_bodies_that_never_end_stop_nobody(served: str) -> None:
    waiting = [connect(served) for _each in range(20)]
    for wire in waiting:
        wire.sendall(b"POST / HTTP/1.1\r\nHost: portal\r\nContent-Length: 1000\r\n\r\na=")
    begun = real_time.monotonic()
    assert " 200 " in say(served, "GET /health/live HTTP/1.1").splitlines()[0]
    assert real_time.monotonic() - begun < 4
    for wire in waiting:
        wire.close()


def test_a_body_that_is_too_long_is_refused(served: str) -> None:
    long = [f"Content-Type: {FORM}", "Content-Length: 70000"]
    answer = say(served, "POST / HTTP/1.1", *long, body=b"a" * 70000)
    assert " 413 " in answer.splitlines()[0]
    assert "content-security-policy" in answer.lower()


@pytest.mark.parametrize("length", [[], ["Content-Length: 1000"], ["Content-Length: 6"]])
@pytest.mark.parametrize("end", [b"0\r\n\r\n", b"zz\r\n"])
def test_a_body_without_a_length_is_refused(served: str, length: list[str], end: bytes) -> None:
    """It may have broken off. And two lengths are read by a proxy in its own way: RFC 9112, 6.3."""
    chunked = [f"Content-Type: {FORM}", "Transfer-Encoding: chunked", *length]
    answer = say(served, "POST /signin HTTP/1.1", *chunked, body=b"6\r\nemail=\r\n" + end)
    assert " 411 " in answer.splitlines()[0]
    assert "content-security-policy" in answer.lower()


def test_two_lengths_that_differ_are_refused(served: str) -> None:
    several = ["Content-Length: 5", "Content-Length: 6"]
    answer = say(served, "POST / HTTP/1.1", *several, body=b"a=1&b=")
    assert " 400 " in answer.splitlines()[0]


def test_a_form_that_breaks_off_is_not_taken_for_whole(served: str) -> None:
    """A tunnel that falls in the middle of it must not send half a form."""
    page = say(served, "GET /diagnostics HTTP/1.1")
    cookie, token = (
        found[1]
        for pattern in (r"(?i)set-cookie: (session=[^;]+)", r'name="csrf_token" value="([^"]+)"')
        if (found := re.search(pattern, page))
    )
    body = urlencode({"csrf_token": token, "language": "ru"}).encode()
    known = [f"Cookie: {cookie}", f"Content-Type: {FORM}", f"Content-Length: {len(body)}"]
    head = "\r\n".join(["POST /diagnostics HTTP/1.1", "Host: portal", *known, "", ""]).encode()
    for _each in range(5):
        with connect(served) as wire:
            wire.sendall(head + body[:-2])
            say(served, "GET /health/ready HTTP/1.1")  # meanwhile the rest is waited for
    assert " 303 " in say(served, "POST /diagnostics HTTP/1.1", *known, body=body).splitlines()[0]
    with contextlib.closing(pysqlite3.connect(Path(served).parent / "portal.db")) as database:
        assert database.execute("SELECT count(*) FROM diagnostics").fetchone() == (1,)


class Wire:
    """What granian hands to the door, in a test's hands."""

    client, server, scheme, http_version = "192.0.2.1:5000", "127.0.0.1:8000", "http", "1.1"
    method, path, query_string = "POST", "/confirm/\udcff", ""

    def __init__(self, **headers: str) -> None:
        self.headers = headers
        self.answer: tuple[int, dict[str, str], bytes] | None = None

    async def __aiter__(self) -> Any:
        yield b"a="
        await asyncio.sleep(60)

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.answer = status, dict(headers), body


def test_a_body_that_does_not_come_is_not_waited_for(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "BODY_SECONDS", 0.05)
    wire = Wire(**{"content-length": "100"})
    run(door.Door(app, 1).__rsgi__(wire, wire))
    assert wire.answer is not None
    status, headers, _body = wire.answer
    assert status == 408
    assert headers.items() >= pages.HEADERS.items()
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("strange", ["%0ax", "%0d%0aX-Injected:1", "%00", "%e2%80%a8"])
def test_an_address_with_a_line_break_above_one_for_forms_is_none(
    browser: Browser, strange: str
) -> None:
    for form in ("/organisations/{}/submit", "/verifications/{}/take", "/confirmation/{}/code/new"):
        answer = browser.ask("get", form.format(strange), follow_redirects=False)
        assert answer.status_code in {303, 404, 405}, form
        assert "X-Injected" not in answer.headers


def test_an_application_that_breaks_is_asked_again(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = door.Door(app, 1)
    with monkeypatch.context() as broken:
        broken.setattr(door, "ask", lambda *_: 1 / 0)
        wire = Wire()
        run(opened.__rsgi__(wire, wire))
        assert wire.answer is not None
        assert wire.answer[0] == 500
    run(opened.__rsgi__(wire, wire))
    assert wire.answer[0] == 405


def test_every_address_as_a_proxy_stops_the_start(environment: dict[str, str]) -> None:
    for everything in ("0.0.0.0/0", "127.0.0.1/32, ::/0", "::ffff:0.0.0.0/96"):
        with pytest.raises(config.BadSettingError, match="PORTAL_TRUSTED_PROXIES"):
            config.load(environment | {"PORTAL_TRUSTED_PROXIES": everything})


# Links and answers


def test_from_outside_a_link_tells_nothing_however_it_is_spelled(
    app: Flask, opened: tuple[Browser, dict[str, str]]
) -> None:
    _browser, known = opened
    good, forged = known["token"], known["token"][:-1] + "."
    for spelled in ("/confirm/{}", "/confirm-email/{}", "/confirmation/{}", "/confirm//{}"):
        answers = [
            ask(app, spelled.format(token), address=OUTSIDE) for token in (good, forged, "x")
        ]
        for each in answers:
            del each.headers["X-Request-ID"]  # which is another one each time
        seen = {(each.status, each.body, str(each.headers)) for each in answers}
        assert len(seen) == 1, spelled


def test_no_answer_repeats_a_token(app: Flask, opened: tuple[Browser, dict[str, str]]) -> None:
    browser, known = opened
    for token in (known["token"], known["second token"]):
        for path in (f"//confirm/{token}", f"/confirm//{token}", f"/confirm/{token}/"):
            reply = ask(app, path, browser=browser)
            assert token not in str(reply.headers) + reply.text


@pytest.mark.parametrize(
    "referer",
    [
        "http://{host}//evil.example/x",
        "http://{host}/\\evil.example",
        "http://{host}/%5cevil.example/confirm",
        "http://{host}/confirm/%0d%0aSet-Cookie:x=1",
        "http://evil.example/confirm/x",
        "//evil.example",
        "javascript:alert(1)",
        "http://[",
        "http://{host}/nowhere",
    ],
)
@pytest.mark.parametrize("host", ["localhost", "evil.example", ""])
def test_the_way_back_stays_in_the_house(app: Flask, referer: str, host: str) -> None:
    headers = {"Host": host, "Referer": referer.format(host=host)}
    reply = ask(app, "/language/en", headers=headers)
    assert reply.status == 303
    assert re.fullmatch("/|/confirm/[A-Za-z0-9%:=-]+", reply.headers["Location"])
    assert "x" not in {cookie.partition("=")[0] for cookie in reply.headers.getlist("Set-Cookie")}


# Forms of others


def test_a_form_of_another_session_does_nothing(
    opened: tuple[Browser, dict[str, str]], new_browser: Callable[..., Browser], post: Post
) -> None:
    browser, known = opened
    other = new_browser().open(f"/confirm/{known['token']}")
    token = other.page.form_of("Подтвердить номер телефона").fields["csrf_token"]
    typed = post.code()
    before = rows()
    for path, fields in (
        (f"/confirmation/{known['id']}/code", {"code": typed}),
        (f"/confirmation/{known['id']}/code/new", {}),
        (f"/confirmation/{known['id']}/email", {}),
        (f"/confirmation/{known['id']}/report", {"comment": "Ошибка."}),
        (f"/email/{known['link']}", {}),
    ):
        for foreign in ({"csrf_token": token}, {"csrf_token": ""}, {}):
            assert browser.ask("post", path, data=fields | foreign).status_code == 422, path
    assert rows() == before


def test_a_cookie_planted_by_another_learns_nothing(
    new_browser: Callable[..., Browser], opened: tuple[Browser, dict[str, str]]
) -> None:
    _browser, known = opened
    attacker, victim = new_browser(), new_browser()
    attacker.open(f"/confirm-email/{known['second token']}")
    planted = attacker.client.get_cookie("session")
    assert planted is not None
    victim.client.set_cookie("session", planted.value)
    victim.open(f"/confirm/{known['token']}")
    assert victim.status == 200
    assert attacker.open(f"/confirmation/{known['id']}").status == 410


# Guessing


@pytest.fixture
def renew(request: pytest.FixtureRequest) -> Callable[..., str | None]:
    """The administrator's request, under a name of its own."""
    found: Callable[..., str | None] = request.getfixturevalue("ask")
    return found


def test_an_insider_gets_fifty_guesses_a_day(
    browser: Browser, post: Post, asked: str, renew: Callable[..., str | None], time: Time
) -> None:
    begun = clock.now()
    for step in range(24 * 4):
        if step % 8 == 0:  # every two hours the administrator renews the request
            renew()
            browser.open(post.link())
        page = f"/confirmation/{browser.path.split('/')[2]}"
        browser.open(page).press("Подтвердить номер телефона")
        if browser.has("send-again"):
            browser.press("Отправить ещё раз")
        for _guess in range(6):
            if browser.has("code"):
                browser.press("Подтвердить", code="000000")
        time.passes(minutes=15)
    with db.reading():
        tries = [row.tries for row in db.all(select(codes)) if row.posted_at >= begun]
    assert len(tries) == 10
    assert sum(tries) <= 50


# What is stored


def test_the_database_is_its_owners_alone(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "new" / "portal.db"
    db.use(f"sqlite:///{file}")
    with db.migrating():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    db.dispose()


def test_a_files_header_does_not_steer_the_terminal(app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "organisations.csv"
    columns = ",".join(sorted(importing.COLUMNS))
    file.write_text(f"{columns},\x1b]0;owned\x07\n")
    with pytest.raises(importing.UnreadableFileError) as refused:
        list(importing.import_file(file, "tests"))
    assert str(refused.value).isprintable()


def test_a_comment_cannot_pass_for_the_letters_own_words(
    browser: Browser, post: Post, asked: str
) -> None:
    forged = "Ошибка.\n\n--\nПоддержка ИЗКТ: 8-900-000-00-00"
    browser.open(post.link()).follow("Сообщить об ошибке")
    browser.press("Отправить администратору", comment=forged)
    text = post.letters("a.sokolova@sever-trakt.example")[-1].text
    assert text.count("\n--\n") == 1
    assert "\nПоддержка ИЗКТ: 8-900" not in text


# The inbox, which only `portal run` has


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "[", "10.20.4.17", ""])
def test_the_inbox_opens_under_no_other_sites_name(app: Flask, host: str) -> None:
    reply = ask(app, "/inbox", headers={"Host": host})
    assert reply.status == 404


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000"])
def test_the_inbox_opens_under_the_names_of_this_computer(app: Flask, host: str) -> None:
    reply = ask(app, "/inbox", headers={"Host": host})
    assert reply.status == 200


def test_a_number_too_great_for_the_database_is_no_message(app: Flask) -> None:
    for path in ("/inbox/{}", "/inbox/{}/letter", "/inbox/{}/letter.css"):
        for number in ("2147483648", "9223372036854775808", "9" * 40):
            reply = ask(app, path.format(number))
            assert reply.status == 404


# What each answer carries, whoever gives it


def check_own_headers(headers: dict[str, str]) -> None:
    small = {name.lower(): value for name, value in headers.items()}
    for name, value in pages.own_headers().items():
        assert small.get(name.lower()) == value, name


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        ("\x00\x01 nothing", [], 400),
        ("GET / HTTP/9.9", [], 400),
        ("GET /" + "a" * 70_000 + " HTTP/1.1", [], 414),
        ("GET / HTTP/1.1", [f"X-{number}: 1" for number in range(150)], 431),
        ("GET / HTTP/1.1", ["Bad Name: 1"], 400),
        ("GET / HTTP/1.1", ["X: a\x00b"], 400),
        ("POST / HTTP/1.1", ["Content-Length: -5"], 400),
        ("POST / HTTP/1.1", ["Transfer-Encoding: xchunked"], 400),
    ],
)
def test_what_is_no_http_gets_an_empty_answer_and_the_end(
    served: str, line: str, headers: list[str], status: int
) -> None:
    """Granian's own answers, before the door: no page, nothing that a header could protect."""
    head, _, body = say(served, line, *headers).partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert body == ""
    lines = {each.lower() for each in head.splitlines()[1:]}
    assert {"connection: close", "content-length: 0"} <= lines
    assert len(lines) == 3, "and the date"


def test_what_granian_takes_is_answered_by_the_portal(served: str) -> None:
    inside = "X-Forwarded-For: 10.20.4.17"
    for line, status in (
        ("CONNECT evil.example:80 HTTP/1.1", 404),
        ("GET http://evil.example/ HTTP/1.1", 200),
        ("OPTIONS * HTTP/1.1", 404),
        ("GET /%zz%ff%00 HTTP/1.1", 404),
        ("GET /?" + "a=1&" * 2000 + " HTTP/1.1", 414),
    ):
        head = say(served, line, inside).partition("\r\n\r\n")[0]
        assert head.startswith(f"HTTP/1.1 {status} "), line
        check_own_headers(dict(each.split(": ", 1) for each in head.splitlines()[1:]))


HTTPS = {
    "PORTAL_BASE_URL": "https://portal.example.ru",
    "PORTAL_MAIL_URL": "smtps://mail.example.ru",
    "PORTAL_SMS_URL": "https://sms.example.ru",
}


def test_refusals_of_the_door_have_every_header_over_https_too(
    app: Flask, environment: dict[str, str]
) -> None:
    config.use(config.load(environment | HTTPS))
    for status in (400, 403, 408, 411, 500):
        headers = dict(door.refusal(status).headers)
        check_own_headers(headers)
        assert "Strict-Transport-Security" in headers
        assert headers["Cache-Control"] == "no-store"


def test_parts_and_files_that_did_not_change_have_every_header(
    app: Flask, opened: tuple[Browser, dict[str, str]]
) -> None:
    browser, known = opened
    htmx = {"HX-Request": "true", "HX-Target": "div#confirmation"}
    part = ask(app, f"/confirmation/{known['id']}", headers=htmx, browser=browser)
    assert part.text.lstrip().startswith("<div"), "a part, not a page"
    file = ask(app, "/static/portal.css")
    same = ask(app, "/static/portal.css", headers={"If-None-Match": file.headers["ETag"]})
    assert [part.status, same.status] == [200, 304]
    for reply in (part, same):
        check_own_headers(dict(reply.headers))


def test_a_file_comes_whole(app: Flask) -> None:
    """Parts of it, compressed each by itself, make no file."""
    piece = ask(app, "/static/portal.css", headers={"Range": "bytes=0-9"})
    assert (piece.status, piece.body) == (200, ask(app, "/static/portal.css").body)


def test_a_file_is_kept_only_under_its_own_address(app: Flask) -> None:
    """While versions change, a page may ask a server of the other one for its file."""
    path, _, own = pages.static_url("portal.js").partition("?")
    for query in (own, ""):  # a font, which a stylesheet names, changes with its name
        kept = ask(app, path, query=query).headers["Cache-Control"]
        assert kept == "public, max-age=31536000, immutable", query
    for query in (own[:-1], f"{own}0", "v="):
        assert ask(app, path, query=query).headers["Cache-Control"] == "no-store", query
    assert ask(app, "/static/nothing.js").headers["Cache-Control"] == "no-store"


def test_signing_out_sets_no_cookie_but_our_own(
    app: Flask, browser: Browser, keep: Callable[..., None]
) -> None:
    """Flask-Login would take back a cookie that it never gave."""
    keep()
    person = enrol("b@sever-trakt.example", Role.OPERATOR)
    browser.client.set_cookie("remember_token", "1|aaaa")
    person.sign_in(browser)
    form = browser.page.form_of("Выйти")
    answer = browser.ask("post", form.action, data=form.fields, follow_redirects=False)
    assert answer.status_code == 303
    given = {line.partition("=")[0] for line in answer.headers.getlist("Set-Cookie")}
    assert given == {"session"}


@pytest.mark.parametrize("planted", ["1|aaaa", '"a|\\303\\251"', "|", '"\\377|x"'])
def test_a_cookie_that_somebody_planted_is_in_nobodys_way(
    app: Flask, keep: Callable[..., None], planted: str
) -> None:
    """A neighbour below the same domain can set one: Flask-Login would read it."""
    keep()
    for path, status in (("/signin", 200), ("/devices", 303), ("/help", 200)):
        headers = {"Cookie": f"remember_token={planted}"}
        answer = app.test_client(use_cookies=False).get(
            path, headers=headers, environ_base={"REMOTE_ADDR": INSIDE}
        )
        assert answer.status_code == status, path


# Forms of another site, and what is no form


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "evil"])
def test_a_form_that_another_site_sends_does_nothing_though_it_has_the_token(
    app: Flask, browser: Browser, keep: Callable[..., None], site: str
) -> None:
    """A neighbour below the same domain sends our cookie, too: the browser says who sends."""
    keep()
    enrol("a@sever-trakt.example", Role.ADMINISTRATOR).sign_in(browser)
    browser.open("/organisations/ORG-004217")
    form = browser.page.form_of("Запросить подтверждение")
    before = rows()
    foreign = {"Sec-Fetch-Site": site, "Origin": "https://evil.example"}
    answer = browser.ask("post", form.action, data=form.fields, headers=foreign)
    assert answer.status_code == 422
    after = rows()
    for each in (before, after):
        each["sessions"] = [row._replace(seen_at=None) for row in each["sessions"]]
    assert after == before
    own = {"Sec-Fetch-Site": "same-origin"}
    answer = browser.ask("post", form.action, data=form.fields, headers=own, follow_redirects=False)
    assert answer.status_code == 303


@pytest.mark.parametrize("button", ["Подтвердить номер телефона", "Отправить администратору"])
def test_no_other_site_confirms_or_reports_for_a_person(
    browser: Browser, post: Post, asked: str, button: str
) -> None:
    browser.open(post.link())
    if button not in browser.page.buttons:
        browser.follow("Сообщить об ошибке")
    form = browser.page.form_of(button)
    fields = form.fields | {"comment": "Всё неверно."}
    before = rows()
    answer = browser.ask("post", form.action, data=fields, headers={"Sec-Fetch-Site": "same-site"})
    assert answer.status_code == 422
    assert "Страница устарела" in answer.text
    assert rows() == before


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "text/xml", "application/x"])
def test_a_body_that_is_no_form_is_not_read(app: Flask, kind: str) -> None:
    deep = b"[" * 30_000 + b"]" * 30_000
    for path in ("/signin", "/organisations/ORG-004217/edit", "/confirmation/x/report"):
        for body in (deep, b"5", b'"x"', b"null", b'{"csrf_token": []}'):
            reply = ask(app, path, method="POST", body=(body, kind))
            assert reply.status == 415
            check(reply)


def test_an_address_that_is_too_long_is_refused(app: Flask) -> None:
    for length, status in ((pages.LONGEST_QUERY, 200), (pages.LONGEST_QUERY + 1, 414)):
        assert ask(app, "/", query="a" * length).status == status
    assert ask(app, "/health/live", query="a" * 60_000).status == 200
