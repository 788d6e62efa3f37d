"""A portal as an operator runs it, on this computer: processes, far ends, a database, a clock."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from base64 import urlsafe_b64encode
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from portal import clock, config, confirmation, create_app, organisation, outbox, schema
from portal.database import db
from tests.conftest import LOMOVA
from tests.faults.clocks import Clock
from tests.faults.far_ends import HOST, Box, Mail, Sms
from tests.faults.process import ROOT, Process, ask_ready
from tests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

STARTS_WITHIN = 90  # seconds; the machine may be busy
AT_ONCE = 100  # rows written in one transaction


class House:
    """The portal and all that it needs. `database_url` is of a migrated database without rows."""

    def __init__(self, folder: Path, database_url: str, *, pace: float = 1, webs: int = 1) -> None:
        self.folder = folder
        self.database_url = database_url
        self.clock = Clock.make(folder / "clock", pace)
        self.pace = pace
        self.mailbox, self.phones = Box(self.clock.now), Box(self.clock.now)
        self.mail, self.sms = Mail(self.mailbox), Sms(self.phones)
        self.mail.start()
        self.sms.start()
        self.ports = [free_port() for _ in range(webs)]
        key = urlsafe_b64encode(os.urandom(32)).decode()
        self.environment = {
            "PORTAL_SECRET_KEY": key,
            "PORTAL_DATA_KEYS": key,
            "PORTAL_DATABASE_URL": database_url,
            "PORTAL_BASE_URL": f"http://127.0.0.1:{self.ports[0]}",
            "PORTAL_SECURE_NETWORKS": "127.0.0.0/8",
            "PORTAL_MAIL_URL": self.mail.url(),
            "PORTAL_SMS_URL": self.sms.url,
            "PORTAL_FLOOD_PER_MINUTE": "1000000",
            "PORTAL_FLOOD_FORMS_PER_MINUTE": "1000000",
        }
        self.app = create_app(config.load(self.environment))
        self.processes: list[Process] = []
        self.troubles: list[tuple[float, float]] = []  # when something was broken on purpose
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    @property
    def whole_environment(self) -> dict[str, str]:
        others = {name: value for name, value in os.environ.items() if name[:7] != "PORTAL_"}
        return others | self.environment

    # What runs

    def serve(self, number: int = 0, *, workers: int = 1, ahead: float = 0) -> Process:
        port = self.ports[number]
        command = ("serve", "--port", str(port), "--workers", str(workers))
        return self._begin(Process(self, *command, ahead=ahead, port=port))

    def deliver(self, *, ahead: float = 0) -> Process:
        return self._begin(Process(self, "deliver", ahead=ahead))

    def _begin(self, process: Process) -> Process:
        self.processes.append(process)
        process.start()
        return process

    def run(self, *command: str) -> str:
        """A command that ends; what it says."""
        launch = [sys.executable, "-m", "tests.faults.launch", str(self.folder / "clock"), "0"]
        done = subprocess.run(
            [*launch, *command],
            env=self.whole_environment,
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    def wait_until_ready(self, seconds: float = STARTS_WITHIN) -> float:
        """Wait until every web server takes requests; returns how long that took."""
        began = time.monotonic()
        for process in self.processes:
            while process.is_web and ask_ready(process.port) != 200:
                assert time.monotonic() < began + seconds, f"not ready: {process.command}"
                time.sleep(0.05)
        return time.monotonic() - began

    @contextmanager
    def trouble(self) -> Iterator[None]:
        """While it lasts, and for a while after, people may see that the portal is not there."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.troubles.append((began, time.monotonic()))

    def _keep(self) -> None:
        while not self._over.wait(0.1):
            for process in list(self.processes):
                process.revive()

    # What it is about

    def found(self, count: int, start: int = 0) -> list[int]:
        """Organisations, each with a person of its own; their numbers."""
        numbers = list(range(start, start + count))
        for begin in range(0, count, AT_ONCE):
            with db.writing():
                for number in numbers[begin : begin + AT_ONCE]:
                    details = replace(LOMOVA, phone=phone_of(number), email=email_of(number))
                    organisation.save(id_of(number), details, boss_of(number), "", "tests")
                db.commit()
        return numbers

    def request(self, number: int) -> str:
        """An administrator asks for a confirmation, again if need be; its id."""

        @db.again
        def ask() -> str:
            with db.writing():
                found = organisation.find(id_of(number))
                assert found
                id = confirmation.request(found, "tests")
                assert id
                db.commit()
            return id

        while True:
            try:
                return ask()
            except OperationalError:  # the database is away: they are told so
                time.sleep(0.5)

    def post_codes(self, numbers: list[int]) -> int:
        """Have codes posted, as the button does; how many were."""
        for number in numbers:
            id = self.request(number)

            @db.again
            def press(id: str = id) -> None:
                with db.writing():
                    found = confirmation.find(id)
                    assert found
                    assert confirmation.request_code(found, HOST) is None
                    db.commit()

            press()
        return len(numbers)

    def drain(self, seconds: float = 120) -> float:
        """Wait until nothing is due or in anybody's hands; leases and waits are cut short."""
        began = time.monotonic()
        while left := self.in_the_post():
            assert time.monotonic() < began + seconds, f"{left} messages never left"
            time.sleep(0.5)
            if self.in_the_post(due=True) == 0:
                self.clock.jump(60)
        return time.monotonic() - began

    def in_the_post(self, *, due: bool = False) -> int:
        """How many messages are due, or will be in minutes: not what waits for another day."""
        rows = outbox.messages.c
        until = clock.now().timestamp() + (0 if due else 600)
        limit = type(clock.now()).fromtimestamp(until, clock.now().tzinfo)
        with db.reading():
            return int(db.scalar(select(func.count()).where(rows.due_at <= limit)))

    def close(self, *, gently: bool = False) -> None:
        self._over.set()
        self._keeper.join()
        for process in self.processes:
            process.stop(gently=gently)
        self.mail.stop()
        self.sms.stop()


@contextmanager
def open_house(
    folder: Path, database_url: str, *, pace: float = 1, webs: int = 1, is_new: bool = False
) -> Iterator[House]:
    """A house, in this process's application context and by its clock."""
    folder.mkdir(parents=True, exist_ok=True)
    house = House(folder, database_url, pace=pace, webs=webs)
    machine = clock.now
    clock.now = house.clock.now
    try:
        with house.app.app_context():
            if is_new:
                schema.upgrade()
            yield house
    finally:
        house.close()
        clock.now = machine
        db.dispose()


def id_of(number: int) -> str:
    return f"ORG-{number:06}"


def phone_of(number: int) -> str:
    return f"+7921{number:07}"


def email_of(number: int) -> str:
    return f"person{number}@faults.example"


def boss_of(number: int) -> str:
    return f"boss{number}@faults.example"
