"""One process of a house: started again whenever it ends, as systemd does, and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults.far_ends import HOST

if TYPE_CHECKING:
    from tests.faults.house import House

ROOT = Path(__file__).parents[2]
RESTARTED_AFTER = 0.1  # seconds, as systemd does by default
DELIVERING_THREADS = 4  # of `portal deliver`: one for each channel, for chores, and its own


class Process:
    """One command of the portal, which is started again whenever it ends."""

    def __init__(self, house: House, *command: str, ahead: float = 0, port: int = 0) -> None:
        self.command, self.port = command, port
        self.kills = 0
        self.starts = 0
        self._house, self._ahead = house, ahead
        self._running: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()
        self._is_wanted = False

    @property
    def is_web(self) -> bool:
        return bool(self.port)

    def start(self) -> None:
        with self._turn:
            self._is_wanted = True
            self._start()

    def _start(self) -> None:
        clock_file = str(self._house.folder / "clock")
        launch = [sys.executable, "-m", "tests.faults.launch", clock_file, str(self._ahead)]
        name = "-".join(each.strip("-") for each in self.command)
        with (self._house.folder / f"{name}.log").open("ab") as log:
            self._running = subprocess.Popen(
                [*launch, *self.command],
                env=self._house.whole_environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a group of its own, as a unit of systemd has
            )
        self.starts += 1

    @property
    def is_up(self) -> bool:
        """Whether it does its work by now."""
        if self._running is None or self._running.poll() is not None:
            return False
        if self.is_web:
            return ask_ready(self.port) == 200
        return threads_of(self._running.pid) >= DELIVERING_THREADS

    def revive(self) -> None:
        """Start it again if it has ended; what is left of it is killed first, as systemd does."""
        with self._turn:
            if self._is_wanted and self._running and self._running.poll() is not None:
                self._kill_group()
                time.sleep(RESTARTED_AFTER)
                self._start()

    def kill(self) -> None:
        """`kill -9` of the process, and of all that it started."""
        with self._turn:
            if self._running and self._running.poll() is None:
                self.kills += 1
                self._kill_group()

    def kill_a_worker(self, number: int) -> None:
        """`kill -9` of one of the processes that it started; of itself if there is none."""
        with self._turn:
            if self._running and self._running.poll() is None:
                self.kills += 1
                children = children_of(self._running.pid) or [self._running.pid]
                with suppress(ProcessLookupError):
                    os.kill(children[number % len(children)], signal.SIGKILL)

    def send(self, what: signal.Signals) -> None:
        assert self._running
        os.killpg(self._running.pid, what)

    def stop(self, *, gently: bool = True) -> None:
        with self._turn:
            self._is_wanted = False
            if self._running is None:
                return
            if gently and self._running.poll() is None:
                self._running.terminate()
                with suppress(subprocess.TimeoutExpired):
                    self._running.wait(30)
            self._kill_group()

    def _kill_group(self) -> None:
        assert self._running
        with suppress(ProcessLookupError):
            os.killpg(self._running.pid, signal.SIGKILL)
        self._running.wait()


def ask_ready(port: int) -> int:
    """What /health/ready says; 0 if nobody answers."""
    connection = HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()


def threads_of(pid: int) -> int:
    try:
        return len(list(Path(f"/proc/{pid}/task").iterdir()))
    except OSError:
        return 0


def children_of(parent: int) -> list[int]:
    try:
        found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    except OSError:
        return []
    return [int(each) for each in found]
