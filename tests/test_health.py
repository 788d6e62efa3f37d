"""Whether the portal lives, and whether it may take requests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time as wall
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from portal import config, door, proofs
from portal.confirmation.course import LINK
from portal.database import db
from tests.conftest import ENVIRONMENT
from tests.locks import hung
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.browser import Browser

PROMISED = 2  # seconds
SLOW_MACHINE = 3  # seconds more


def ask(browser: Browser, path: str) -> tuple[int, str]:
    answer = browser.ask("get", path)
    return answer.status_code, answer.text


def test_both_answer_without_data_and_from_anywhere(new_browser: Callable[..., Browser]) -> None:
    for address in ("10.20.4.17", "203.0.113.9", ""):
        for path in ("/health/live", "/health/ready"):
            assert ask(new_browser(address), path) == (200, "")


@pytest.mark.sqlite
@pytest.mark.parametrize("harm", ["nothing is there", "garbage", "another schema"])
def test_without_its_database_the_portal_lives_and_is_not_ready(
    browser: Browser, tmp_path: Path, harm: str
) -> None:
    file = tmp_path / "portal.db"
    if harm == "another schema":
        with db.writing():
            db.connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
            db.commit()
    else:
        db.dispose()
        for each in tmp_path.glob("portal.db*"):
            each.unlink()
        if harm == "garbage":
            file.write_bytes(b"\x7fELF" + os.urandom(8192))
    assert ask(browser, "/health/live") == (200, "")
    assert ask(browser, "/health/ready") == (503, "")


def test_an_error_of_ours_is_not_ready(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("S3CRET")

    monkeypatch.setattr("portal.schema.is_current", fail)
    assert ask(browser, "/health/ready") == (503, "")


def status(address: str, path: str) -> int:
    try:
        with urllib.request.urlopen(f"{address}{path}", timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[str]:
    """The production server."""
    port = free_port()
    command = [sys.executable, "-m", "portal", "serve", "--port", str(port)]
    own = os.environ | ENVIRONMENT | environment
    with subprocess.Popen(command, env=own, start_new_session=True) as process:
        try:
            for _ in range(1800):
                with suppress(OSError):
                    status(f"http://127.0.0.1:{port}", "/health/live")
                    break
                wall.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # what hangs would be waited for


def test_though_the_database_hangs_and_all_wait_for_it_both_answer_in_time(
    tmp_path: Path, empty_database: Path
) -> None:
    file = tmp_path / "portal.db"
    file.write_bytes(empty_database.read_bytes())
    environment = {
        "PORTAL_DATABASE_URL": f"sqlite:///{file}",
        "PORTAL_SECURE_NETWORKS": "127.0.0.0/8",
    }
    config.use(config.load(ENVIRONMENT | environment))
    link = f"/confirm/{proofs.sign(LINK, proofs.new_public_id())}"  # of no request

    def wait_for_a_page(address: str) -> None:
        with suppress(OSError):  # its server is killed at the end
            status(address, link)

    with serving(environment) as address:
        assert status(address, "/health/ready") == 200
        with hung(file) as is_held:
            assert is_held
            waiting = [threading.Thread(target=wait_for_a_page, args=(address,)) for _ in range(4)]
            for each in waiting:  # twice as many as there are threads
                each.start()
            wall.sleep(0.2)
            for path, expected in (("/health/ready", 503), ("/health/live", 200)):
                begun = wall.monotonic()
                assert all(each.is_alive() for each in waiting)
                assert status(address, path) == expected
                assert wall.monotonic() - begun < PROMISED + SLOW_MACHINE
    for each in waiting:
        each.join()


def test_who_waits_for_an_answer_is_promised_it() -> None:
    assert door.IN_TIME_SECONDS < PROMISED
    assert set(door.IN_TIME) == {"/access", "/health/live", "/health/ready"}
