"""What the portal says of itself: lines of JSON, without anybody's data."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError

from portal import logs, outbox, watching
from portal.database import db
from portal.gateways import Reason, Trouble
from portal.organisation import organisations
from tests.browser import Browser
from tests.conftest import LOMOVA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from portal.gateways import Outgoing
    from tests.conftest import Post

    Said = Callable[[], list[dict[str, Any]]]

log = structlog.get_logger()

SECRET = "z.zimina@rechnoy.example"
PROXY = "192.0.2.1"


@pytest.fixture
def own_logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As commands have them; the tests that follow have theirs again."""
    before, own = logging.getLogger().handlers, structlog.get_config()
    monkeypatch.setattr(watching, "SLOW_SECONDS", 1000)  # this machine may be slow
    logs.configure()
    yield
    logging.getLogger().handlers = before
    structlog.configure(**own)
    logs.end_request()


@pytest.fixture
def said(own_logs: None, capfd: pytest.CaptureFixture[str]) -> Said:
    """The lines since it was asked last; each is JSON, or the test fails."""
    capfd.readouterr()
    return lambda: [json.loads(line) for line in capfd.readouterr().err.splitlines()]


# The id of a request


class TestRequests:
    @pytest.fixture
    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        return environment | {"PORTAL_TRUSTED_PROXIES": f"{PROXY}/32"}

    def ask(self, browser: Browser, peer: str, **headers: str) -> str:
        """Ask for a link from outside, which is logged; returns the id of the answer."""
        browser.client.environ_base["REMOTE_ADDR"] = peer
        return str(browser.client.get("/confirm/x", headers=headers).headers["X-Request-ID"])

    def test_every_line_of_a_request_carries_its_id_and_so_does_the_answer(
        self, browser: Browser, said: Said
    ) -> None:
        ids = [self.ask(browser, "203.0.113.9") for _each in range(3)]
        lines = said()
        assert [line["request"] for line in lines] == ids
        assert len(set(ids)) == 3
        log.info("the worker looks around")
        assert "request" not in said()[0], "what comes after belongs to no request"

    @pytest.mark.parametrize("id", ["a" * 32, "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "A.b_c-90"])
    @pytest.mark.parametrize("peer", [PROXY, f"::ffff:{PROXY}", ""])
    def test_a_trusted_proxy_names_it(
        self, browser: Browser, said: Said, id: str, peer: str
    ) -> None:
        assert self.ask(browser, peer, **{"X-Request-ID": id}) == id
        assert said()[0]["request"] == id

    @pytest.mark.parametrize(
        "id", ["", "short", "a" * 65, 'a"b"c"d"e"f', "a b c d e f", "ä" * 20, "a,b,c,d,e"]
    )
    def test_what_is_not_well_formed_is_named_anew(self, browser: Browser, id: str) -> None:
        named = self.ask(browser, PROXY, **{"X-Request-ID": id})
        assert named != id
        assert logs.WELL_FORMED.fullmatch(named)

    @pytest.mark.parametrize("peer", ["203.0.113.9", "10.20.4.17", "127.0.0.1", "?"])
    def test_nobody_else_names_it(self, browser: Browser, peer: str) -> None:
        assert self.ask(browser, peer, **{"X-Request-ID": "a" * 32}) != "a" * 32

    def test_what_failed_before_any_page_could_be_made_is_told_without_the_path(
        self, app: Flask, browser: Browser, said: Said, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app.testing = False

        def fail() -> None:
            raise RuntimeError(f"no headers for {SECRET}")

        monkeypatch.setattr("portal.pages.own_headers", fail)
        browser.client.environ_base["REMOTE_ADDR"] = "10.20.4.17"
        assert browser.client.get(f"/confirm/{SECRET}").status_code == 500
        lines = said()
        failed = [line for line in lines if line["event"] == "request failed"]
        assert {line["endpoint"] for line in failed} == {"confirm.open_link"}
        assert failed[0]["request"]
        assert failed[0]["error"][0]["type"] == "RuntimeError"
        assert SECRET not in json.dumps(lines)


def test_only_what_was_slow_has_a_line_and_it_names_the_endpoint(
    browser: Browser, post: Post, asked: str, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = post.link().rpartition("/")[2]
    browser.open(post.link())
    assert said() == []
    monkeypatch.setattr(watching, "SLOW_SECONDS", 0)
    browser.open(f"/confirm/{token}?to={SECRET}")
    lines = said()
    assert [line["endpoint"] for line in lines] == ["confirm.open_link", "confirm.page"]
    assert [line["event"] for line in lines] == ["request was slow"] * 2
    assert [line["status"] for line in lines] == [303, 200]
    assert lines[0]["seconds"] >= 0
    for each in (token, asked, SECRET):
        assert each not in json.dumps(lines)


# The worker


class Broken:
    """A gateway whose library says too much."""

    def send(self, message: Outgoing) -> str:
        logging.getLogger("smpplib.client").warning("cannot reach %s", message.recipient)
        raise Trouble(Reason.UNREACHABLE) from OSError(111, message.recipient)

    def close(self) -> None:
        """Nothing is open."""


def test_every_line_of_a_message_carries_its_id(app: Flask, asked: str, said: Said) -> None:
    assert outbox.deliver_due("email", Broken()) == 2, "it is tried again at once"
    lines = said()
    assert [line["event"] for line in lines] == ["cannot reach %s", "message did not leave"] * 2
    assert len({line["message"] for line in lines}) == 1
    assert LOMOVA.email not in json.dumps(lines)
    log.info("the worker looks around")
    assert "message" not in said()[0]


# The form

TEXT = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
ANY = st.text() | st.text("\n\r\x00\x1b\x7f\x85\x9b\u2028\u2029\u202e\ud800\\\"'{},:")


@TEXT
@given(event=ANY, value=ANY)
def test_whatever_a_value_holds_a_line_stays_one_line(
    own_logs: None, event: str, value: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        written = io.StringIO()
        patch.setattr(sys, "stderr", written)
        log.warning(event, value=value, values=[value], of={"this": value})
    line = written.getvalue()
    assert line.endswith("\n")
    assert line[:-1].isascii()
    assert line[:-1].isprintable()
    told = json.loads(line)
    assert told["event"] == event
    assert told["value"] == told["values"][0] == told["of"]["this"] == value


def test_what_is_no_plain_value_says_only_what_it_is(said: Said) -> None:
    log.info("somebody came", who=LOMOVA, why=ValueError(SECRET))
    line = said()[0]
    assert (line["who"], line["why"]) == ("Details", "ValueError")


def test_a_standard_error_that_is_closed_breaks_nothing(
    own_logs: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = io.StringIO()
    closed.close()
    for broken in (closed, None):
        monkeypatch.setattr(sys, "stderr", broken)
        log.error("nobody hears this", exc_info=ValueError())


@pytest.mark.parametrize(
    "name", ["_granian", "alembic.runtime.migration", "asyncio", "portal", "smpplib", "urllib3"]
)
def test_libraries_speak_in_the_same_form_and_name_nobody(said: Said, name: str) -> None:
    library = logging.getLogger(name)
    library.info("not of interest")
    library.warning("no answer from %s", SECRET)
    library.warning(ValueError(SECRET))
    library.error(f"Application callable raised an exception\nTraceback\n {SECRET}")
    try:
        int(SECRET)
    except ValueError:
        library.exception("it failed: %r", SECRET)
    lines = said()
    assert [(line["level"], line["event"]) for line in lines] == [
        ("warning", "no answer from %s"),
        ("warning", "ValueError"),
        ("error", "Application callable raised an exception"),
        ("error", "it failed: %r"),
    ]
    assert {line["logger"] for line in lines} == {name}
    assert lines[-1]["error"][0]["type"] == "ValueError"
    assert SECRET not in json.dumps(lines)


# Exceptions


def raise_value_error(secret: str) -> None:
    int(secret)


def raise_key_error(secret: str) -> None:
    dict[str, str]()[secret]


def raise_words(secret: str) -> None:
    raise RuntimeError(f"no account of {secret}")


def raise_from(secret: str) -> None:
    try:
        int(secret)
    except ValueError as error:
        raise RuntimeError(secret) from error


def raise_while_handling(secret: str) -> None:
    try:
        int(secret)
    except ValueError:
        dict[str, str]()[secret]


def raise_encoding(secret: str) -> None:
    (secret + "ё").encode("ascii")


def raise_file(secret: str) -> None:
    with open(secret):  # noqa: PTH123 - the exception says the name
        pass


def raise_group(secret: str) -> None:
    raise ExceptionGroup(secret, [ValueError(secret)])


def raise_with_a_note(secret: str) -> None:
    error = ValueError(secret)
    error.add_note(secret)
    raise error


def raise_what_cannot_be_written(secret: str) -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise ValueError(secret)

    raise Odd


def raise_of_the_database(secret: str) -> None:
    values = {"id": secret, "status": "editing"}  # the rest may not be missing
    with db.writing():
        db.execute(insert(organisations).values(values))


@pytest.mark.parametrize(
    ("fail", "type", "code"),
    [
        (raise_value_error, "ValueError", None),
        (raise_key_error, "KeyError", None),
        (raise_words, "RuntimeError", None),
        (raise_from, "RuntimeError", None),
        (raise_while_handling, "KeyError", None),
        (raise_encoding, "UnicodeEncodeError", None),
        (raise_file, "FileNotFoundError", "ENOENT"),
        (raise_group, "ExceptionGroup", None),
        (raise_with_a_note, "ValueError", None),
        (raise_what_cannot_be_written, "Odd", None),
        (raise_of_the_database, "IntegrityError", None),
    ],
)
def test_an_exception_is_told_without_values(
    app: Flask, said: Said, fail: Callable[[str], None], type: str, code: str | None
) -> None:
    try:
        fail(SECRET)
    except Exception:
        log.exception("it failed")
    (line,) = said()
    assert SECRET not in json.dumps(line)
    first = line["error"][0]
    assert (first["type"], first.get("code")) == (type, code)
    places = [place.partition(":")[0] for place in first["at"]]
    assert places[0] == "test_logs.py"
    assert fail.__name__ in str(first["at"])


def test_what_led_to_an_exception_is_told(said: Said) -> None:
    for fail, types in (
        (raise_from, ["RuntimeError", "ValueError"]),
        (raise_while_handling, ["KeyError", "ValueError"]),
    ):
        try:
            fail(SECRET)
        except Exception:
            log.exception("it failed")
        assert [each["type"] for each in said()[0]["error"]] == types


def test_a_database_says_which_rule_was_broken_by_its_code(app: Flask) -> None:
    with pytest.raises(IntegrityError) as caught:
        raise_of_the_database(SECRET)
    codes = [each.get("code") for each in logs.described(caught.value)]
    assert codes[1] in {"SQLITE_CONSTRAINT", "23502"}


def test_the_text_of_an_exception_is_told_where_it_stands_in_the_code(said: Said) -> None:
    def fail(words: str) -> None:
        raise RuntimeError("no more room" if words == "" else words)

    for words in ("", SECRET):
        try:
            fail(words)
        except RuntimeError:
            log.exception("it failed")
    with_text, without = said()
    assert with_text["error"][0]["text"] == "no more room"
    assert "text" not in without["error"][0]


UNCAUGHT = """
import sys, threading, warnings
from portal import logs
logs.configure()
logs.take_over()
warnings.warn(sys.argv[1], UserWarning)
thread = threading.Thread(target=int, args=(sys.argv[1],))
thread.start()
thread.join()
class Fleeting:
    def __del__(self):
        int(sys.argv[1])
Fleeting()
int(sys.argv[1])
"""


def test_what_nobody_caught_takes_the_same_form() -> None:
    command = [sys.executable, "-c", UNCAUGHT, SECRET]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert ended.returncode == 1
    assert [line["event"] for line in lines] == ["warning of Python", *["uncaught"] * 3]
    assert [line["error"][0]["type"] for line in lines[1:]] == ["ValueError"] * 3
    assert SECRET not in ended.stdout + ended.stderr
