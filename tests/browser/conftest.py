"""What the browser tests share: a portal on a port, one Chromium, and windows that are watched."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.live import launch, served
from tests.window import INSIDE, WIDE, Watch, open_window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Page

    from tests.conftest import Post

HERE = Path(__file__).parent
ON_BOTH_DATABASES = {
    "test_the_life_of_an_organisation",
    "test_a_lost_device_is_replaced_while_everybody_looks_on",
}
PATIENCE_MS = 15_000
ONCE_MORE = pytest.mark.flaky(reruns=1)

expect.set_options(timeout=PATIENCE_MS)


@pytest.hookimpl(tryfirst=True)  # the marks are looked at in tests/conftest.py
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Against a deployed portal, only what is meant for one.

    A window shows the same whatever the database is, and costs a second: only the two longest
    walks are done on both. What fails is looked at once more, for a browser on a busy machine may
    be late; pytest's last line counts how often that was («1 rerun»).
    """
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(ONCE_MORE)
        if item.path.parent == HERE and _name(item) not in ON_BOTH_DATABASES:
            item.add_marker("sqlite")
    if config.getoption("--portal-url"):
        for item in items:
            if not item.get_closest_marker("deployed"):
                item.add_marker(pytest.mark.skip(reason="needs a portal of its own"))


def _name(item: pytest.Item) -> str:
    return item.name.partition("[")[0]


@pytest.fixture
def host() -> str:
    """What the portal is called. Passkeys need a domain: their tests say `localhost` instead."""
    return "127.0.0.1"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port, held before the portal is made: its settings name the address that it has."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def environment(environment: dict[str, str], listener: socket.socket, host: str) -> dict[str, str]:
    """A browser says by a header where it is, as if a proxy had seen it there."""
    environment = environment | {"PORTAL_TRUSTED_PROXIES": "127.0.0.1/32"}
    if host == "localhost":
        environment["PORTAL_BASE_URL"] = f"http://localhost:{listener.getsockname()[1]}"
    return environment


@pytest.fixture(scope="session")
def chromium(pytestconfig: pytest.Config) -> Iterator[Chromium]:
    """One browser for all tests of a process; each test has windows of its own."""
    with sync_playwright() as playwright:
        chromium = launch(playwright, headed=pytestconfig.getoption("--headed"))
        yield chromium
        chromium.close()


@pytest.fixture
def site(app: Flask, listener: socket.socket, host: str) -> Iterator[str]:
    """The portal under test, on a port; its clock is the test's `time`."""
    with served(app, at=listener) as url:
        yield url.replace("127.0.0.1", host)


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Everything that goes wrong in any window of the test; at its end there is nothing."""
    watch = Watch()
    yield watch
    assert not watch.verdict()


@pytest.fixture
def new_window(chromium: Chromium, site: str, watch: Watch) -> Iterator[Callable[..., Page]]:
    """A window of another browser; `page.context.new_page()` is a tab of the same one."""
    pages: list[Page] = []

    def open(address: str = INSIDE, *, scripts: bool = True, size: tuple[int, int] = WIDE) -> Page:
        page = open_window(chromium, site, watch, address=address, scripts=scripts, size=size)
        page.set_default_timeout(PATIENCE_MS)
        pages.append(page)
        return page

    yield open
    for page in pages:
        page.context.close()


@pytest.fixture
def window(new_window: Callable[..., Page]) -> Page:
    """The responsible person's window, in the secure channel."""
    return new_window()


@pytest.fixture
def opened(window: Page, post: Post, asked: str) -> Page:
    """The page behind the letter's link."""
    window.goto(post.link())
    return window
