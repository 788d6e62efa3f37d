"""A portal that a real browser can open: the application on a port, and the post beside it."""

from __future__ import annotations

import shutil
import threading
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler, make_server

from portal.door import ask
from tests.conftest import Post

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from flask import Flask
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Playwright

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
# The same browser without an address bar, tabs and menus, which nobody sees while tests run: all of
# that is made for each window, and is a third of a test's work.
SHELL_NAMES = ("chromium-headless-shell",)
ASKED_TO_STOP = 0.02  # seconds between two looks whether it is: each test waits for one at its end
# Playwright's list, as far as it matters here, for the last one counts; and after it pages of the
# address bar and a process in reserve, which the browser makes anew for each window of a test.
UNUSED_FEATURES = (
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsUpgrades",
    "HttpsFirstBalancedModeAutoEnable",
    "LensOverlay",
    "MediaRouter",
    "PaintHolding",
    "ThirdPartyStoragePartitioning",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "OptimizationHints",
    "NetworkTimeServiceQuerying",
    "AimEnabled",
    "PreconnectToSearch",
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "SpareRendererForSitePerProcess",
)
# Chromium would else ask its maker's hosts for things, which a closed network refuses one by one.
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--font-render-hinting=none",  # the shell would make words wider than the browser does
    f"--disable-features={','.join(UNUSED_FEATURES)}",
)


class Silent(WSGIRequestHandler):
    """Addresses hold tokens, and tokens are in no log."""

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""


def whole(app: Flask) -> Any:
    """The application, read out to its end before anything is sent, as the portal's own door does.

    This server forgets to close an answer whose reader went away.
    """

    def answer(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        given = ask(app, environ)
        start_response(f"{given.status} {HTTPStatus(given.status).phrase}", given.headers)
        return [given.body]

    return answer


@contextmanager
def served(app: Flask, port: int = 0, *, at: socket.socket | None = None) -> Iterator[str]:
    """The application on a port of this computer, or where somebody listens; its address."""
    server = make_server(
        *("127.0.0.1", port, whole(app)),
        threaded=True,
        request_handler=Silent,
        fd=at.fileno() if at else None,
    )
    server.daemon_threads = False  # type: ignore[attr-defined] # threaded servers have it
    thread = threading.Thread(target=server.serve_forever, args=(ASKED_TO_STOP,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()  # waits for the last answers: else they meet the next test


@contextmanager
def delivering(app: Flask, post: Post) -> Iterator[None]:
    """The delivery worker, in a thread."""
    stop = threading.Event()

    def work() -> None:
        with app.app_context():
            while not stop.wait(0.1):
                post.deliver()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def launch(playwright: Playwright, *, headed: bool = False) -> Chromium:
    """The Chromium of this computer, without a window unless somebody wants to watch."""
    names = CHROMIUM_NAMES if headed else (*SHELL_NAMES, *CHROMIUM_NAMES)
    path = next(filter(None, map(shutil.which, names)), None)
    assert path, "no Chromium found: `make chromium` installs one"
    return playwright.chromium.launch(executable_path=path, args=list(QUIET), headless=not headed)
