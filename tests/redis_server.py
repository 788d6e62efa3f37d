"""A Redis of the tests' own, which can be killed, frozen and started anew."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from tests.ports import free_port

ROOT = Path(__file__).parents[1]
FETCHED = ROOT / ".venv/fetched/usr"  # `make servers`
HOST = "127.0.0.1"
SECONDS = 20  # to start


def program() -> str | None:
    """Of this computer, or fetched by `make servers`."""
    fetched = FETCHED / "bin/redis-server"
    return shutil.which("redis-server") or (str(fetched) if fetched.exists() else None)


class Redis:
    """One server; it keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://{HOST}:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        found = program()
        assert found
        libraries = ":".join(map(str, FETCHED.glob("lib/*-linux-gnu*")))
        command = [found, "--port", str(self.port), "--bind", HOST, "--save", ""]
        self._process = subprocess.Popen(
            [*command, *options],
            env=os.environ | {"LD_LIBRARY_PATH": libraries},
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection((HOST, self.port), 1) as wire:
                wire.sendall(b"PING\r\n")
                if wire.recv(1) in {b"+", b"-"}:  # the latter where it wants a password
                    return
            time.sleep(0.02)
        raise AssertionError("Redis does not answer")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It takes connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)
