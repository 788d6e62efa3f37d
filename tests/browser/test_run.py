"""A portal as its users have it: only an address and its inbox are known.

Without `--portal-url` it is `portal run --demo`, started here.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.ports import free_port
from tests.window import open_window, violations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Page

    from tests.window import Watch

SECONDS_TO_START = 60
SECONDS_TO_STOP = 30
MOST_LETTERS = 20
REQUEST = "Подтверждение данных"
LINK = re.compile(r"https?://[^/\s\"]+(/confirm[^\s\"<]+)")


@pytest.fixture(scope="module")
def portal(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[str] | None]:
    """The portal's process; None where it was deployed by somebody else."""
    if pytestconfig.getoption("--portal-url"):
        yield None
        return
    process = start(tmp_path_factory.mktemp("portal"))
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.communicate(timeout=SECONDS_TO_STOP)


@pytest.fixture(scope="module")
def site(pytestconfig: pytest.Config, portal: subprocess.Popen[str] | None) -> str:
    """The portal's address."""
    url = pytestconfig.getoption("--portal-url")
    return str(url).rstrip("/") if url else announced(portal)


@pytest.fixture
def new_window(chromium: Chromium, site: str, watch: Watch) -> Iterator[Callable[[], Page]]:
    pages: list[Page] = []

    def open() -> Page:
        pages.append(open_window(chromium, site, watch))
        return pages[-1]

    yield open
    for page in pages:
        page.context.close()


@pytest.fixture
def inbox(new_window: Callable[[], Page]) -> Page:
    """The portal's inbox; a portal with real mail and SMS has none."""
    page = new_window()
    if page.request.get("/inbox").status == 404:
        pytest.skip("this portal has no inbox")
    page.goto("/inbox")
    return page


def start(folder: Path) -> subprocess.Popen[str]:
    """`portal run --demo` in a folder of its own, on a port that is free."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    return subprocess.Popen(
        [sys.executable, "-m", "portal", "run", "--demo", "--port", str(free_port())],
        cwd=folder,
        env=clean | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"},
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def announced(portal: subprocess.Popen[str] | None) -> str:
    """The address that a starting portal says it has, once it answers there."""
    assert portal is not None
    assert portal.stdout is not None
    found = next(filter(None, map(re.compile(r"Портал: (\S+)").search, portal.stdout)), None)
    assert found, "it ended before it said where it is"
    deadline = time.monotonic() + SECONDS_TO_START
    while not answers(found[1]):
        assert portal.poll() is None, "it ended"
        assert time.monotonic() < deadline, "it does not answer"
        time.sleep(0.05)
    return found[1]


def answers(url: str) -> bool:
    where = urlsplit(url)
    try:
        socket.create_connection((where.hostname or "", where.port or 80), timeout=1).close()
    except OSError:
        return False
    return True


def links(inbox: Page, subject: str) -> list[str]:
    """The paths of the links in the letters with that subject, newest first."""
    letters = inbox.get_by_role("link", name=subject).all()
    addresses = [each.get_attribute("href") or "" for each in letters[:MOST_LETTERS]]
    texts = [inbox.request.get(address).text() for address in addresses]
    return [found[1] for found in map(LINK.search, texts) if found]


def untouched(inbox: Page) -> str:
    """The link of a request in which nothing is confirmed yet."""
    expect(inbox.get_by_role("link", name=REQUEST).first).to_be_visible()
    for link in links(inbox, REQUEST):
        text = inbox.request.get(link).text()
        if "confirm-phone" in text and "confirm-email" in text:
            return link
    pytest.skip("no request is open: import organisations, or request confirmations")


@pytest.mark.deployed
def test_the_journey_is_walked_through_the_inbox(
    inbox: Page, new_window: Callable[[], Page]
) -> None:
    page = new_window()
    page.goto(untouched(inbox))
    messages = inbox.get_by_test_id("message")

    before = messages.count()
    page.get_by_test_id("confirm-phone").click()
    expect(page.get_by_test_id("code")).to_be_focused()
    expect(messages).not_to_have_count(before)  # the inbox shows by itself what is new
    code = re.search(r"\b\d{6}\b", messages.first.inner_text())
    assert code
    page.get_by_test_id("code").press_sequentially(code[0])
    expect(page.get_by_test_id("phone-status")).to_contain_text(re.compile(r"\d\d:\d\d"))

    before = messages.count()
    page.get_by_test_id("confirm-email").click()
    expect(page.get_by_test_id("email-sent")).to_be_visible()
    expect(messages).not_to_have_count(before)
    tab = new_window()
    tab.goto(links(inbox, "Подтверждение email")[0])
    before = messages.count()
    tab.get_by_test_id("confirm-address").click()
    expect(tab.get_by_test_id("email-page")).to_be_visible()
    expect(page.get_by_test_id("completed")).to_be_visible()
    expect(messages).not_to_have_count(before)
    expect(messages.first).to_contain_text("Проверка завершена")


@pytest.mark.deployed
def test_the_front_door_reads_well(new_window: Callable[[], Page]) -> None:
    page = new_window()
    page.goto("/")
    expect(page.get_by_test_id("support-phone")).to_be_visible()
    assert not violations(page)


@pytest.mark.deployed
def test_a_forged_link_is_dead(new_window: Callable[[], Page], watch: Watch) -> None:
    watch.means(410)
    page = new_window()
    page.goto("/confirm/forged")
    expect(page.get_by_test_id("advice")).to_be_visible()
    assert not violations(page)


@pytest.mark.deployed
def test_the_portal_is_live_and_ready(new_window: Callable[[], Page]) -> None:
    request = new_window().request
    assert request.get("/health/live").status == 200
    assert request.get("/health/ready").status == 200


@pytest.mark.deployed
def test_every_answer_has_the_strict_policy(new_window: Callable[[], Page]) -> None:
    request = new_window().request
    for path in ("/", "/nothing", "/confirm/forged"):
        headers = request.get(path).headers
        assert "unsafe" not in headers["content-security-policy"]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"


def test_a_signal_stops_all_of_it(portal: subprocess.Popen[str] | None, site: str) -> None:
    """The last test of this file: the portal that it stops is the one that the others used."""
    if portal is None:
        pytest.skip("somebody else's portal is not stopped")
    portal.send_signal(signal.SIGTERM)
    assert portal.wait(SECONDS_TO_STOP) == 0
    assert not answers(site)
