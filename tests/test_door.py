"""The door while the database hangs: who waits is told, and files keep nobody from a page."""

from __future__ import annotations

import asyncio
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from portal import door, pages
from portal.account import Role
from portal.pages import static_url
from tests.conftest import ADMINISTRATOR
from tests.locks import hung
from tests.people import cookie_of, enrol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from flask import Flask

    from tests.browser import Browser
    from tests.conftest import Post

pytestmark = pytest.mark.sqlite  # the other one is made to hang by whole servers: tests/faults
HANGS = 0.3  # seconds until what hangs has certainly been reached


class Wire:
    """What granian hands to the door, in a test's hands."""

    client, server, scheme, http_version = "10.20.4.17:5000", "127.0.0.1:8000", "http", "1.1"

    def __init__(self, path: str, cookie: str = "", *, gone: bool = False, **fields: str) -> None:
        self.path, _, self.query_string = path.partition("?")
        self.method = "POST" if fields else "GET"
        self.headers = {"host": self.server, "cookie": cookie, "sec-fetch-site": "same-origin"}
        self._body = urlencode(fields).encode()
        if fields:
            self.headers["content-type"] = "application/x-www-form-urlencoded"
            self.headers["content-length"] = str(len(self._body))
        self._gone = gone
        self.answer: tuple[int, dict[str, str], str] | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body

    async def client_disconnect(self) -> None:
        """Come back when the person has gone."""
        await asyncio.sleep(HANGS if self._gone else 60)

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.answer = status, dict(headers), body.decode()


@pytest.fixture
def owner(keep: Callable[..., None], new_browser: Callable[..., Browser]) -> str:
    """The cookie of an administrator who is signed in."""
    keep()
    person = enrol(ADMINISTRATOR, Role.ADMINISTRATOR, name="Соколова Анна")
    return f"session={cookie_of(person.come_in(new_browser()))}"


def test_who_waits_long_is_told_and_keeps_what_was_typed(
    app: Flask,
    asked: str,
    browser: Browser,
    post: Post,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    browser.open(post.link())
    page = Wire(f"{browser.path}/report", comment="Телефон сменился летом.")
    later = Wire("/help")
    monkeypatch.setattr(door, "PAGE_SECONDS", HANGS)

    async def scenario() -> None:
        opened = door.Door(app, 1)
        with hung(tmp_path / "portal.db") as is_held:
            assert is_held
            await opened.__rsgi__(page, page)
        monkeypatch.setattr(door, "PAGE_SECONDS", 30.0)
        await opened.__rsgi__(later, later)  # by the same thread, once it is free

    page.headers["cookie"] = f"session={cookie_of(browser)}"
    asyncio.run(scenario())
    assert page.answer
    status, headers, text = page.answer
    assert status == 503
    assert "Портал временно недоступен" in text
    assert "Телефон сменился летом." in text
    assert headers.items() >= pages.HEADERS.items()
    assert headers["Cache-Control"] == "no-store"
    assert int(headers["Retry-After"]) <= 60
    assert later.answer
    assert later.answer[0] == 200


def test_a_file_that_takes_long_keeps_nobody_from_a_page(
    app: Flask, owner: str, tmp_path: Path
) -> None:
    file = Wire("/journal.csv", owner)
    page = Wire(static_url("portal.css"))

    async def scenario() -> None:
        opened = door.Door(app, 1)
        with hung(tmp_path / "portal.db") as is_held:
            assert is_held
            made = asyncio.create_task(opened.__rsgi__(file, file))
            await asyncio.sleep(HANGS)
            await opened.__rsgi__(page, page)
            assert page.answer
            assert page.answer[0] == 200
            assert file.answer is None
        await made

    asyncio.run(scenario())
    assert file.answer
    assert file.answer[0] == 200
    assert file.answer[1]["Content-Type"].startswith("text/csv")


def test_a_file_that_is_sent_keeps_nobody_from_a_page(
    app: Flask, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, read = Event(), Event()
    answer = door.ask

    def slow(app: Flask, environ: dict[str, Any]) -> door.Answer:
        if environ["REQUEST_METHOD"] == "POST":
            reached.set()
            assert read.wait(60)
        return answer(app, environ)

    monkeypatch.setattr(door, "ask", slow)
    file = Wire("/campaigns", owner, file="ORG-1\n" * 20_000)
    page = Wire(static_url("portal.css"))

    async def scenario() -> None:
        opened = door.Door(app, 1)
        sent = asyncio.create_task(opened.__rsgi__(file, file))
        assert await asyncio.to_thread(reached.wait, 60)
        await opened.__rsgi__(page, page)
        read.set()
        await sent

    asyncio.run(scenario())
    assert page.answer
    assert page.answer[0] == 200
    assert file.answer
    assert file.answer[0] == 422, "it was read: a form of no page of ours"


def test_a_file_that_nobody_waits_for_any_more_is_not_made(
    app: Flask, owner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    answer = door.ask

    def noted(app: Flask, environ: dict[str, Any]) -> door.Answer:
        made.append(environ["PATH_INFO"])
        return answer(app, environ)

    monkeypatch.setattr(door, "ask", noted)
    first, waiting = Wire("/journal.csv", owner), Wire("/journal.csv", owner, gone=True)
    last = Wire("/journal.csv?last", owner)

    async def scenario() -> None:
        opened = door.Door(app, 1)
        with hung(tmp_path / "portal.db") as is_held:
            assert is_held
            begun = [
                asyncio.create_task(opened.__rsgi__(each, each)) for each in (first, waiting, last)
            ]
            await begun[1]
        await asyncio.gather(*begun)

    asyncio.run(scenario())
    assert waiting.answer is None
    assert len(made) == 2, "the first and the last"
    assert first.answer
    assert last.answer
