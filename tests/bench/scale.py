"""What another process adds on PostgreSQL, and how soon a code leaves.

Compared are the journeys in a second with one web and one delivery process, and with two of each;
beside them stands how much of this machine's CPU was in use. A machine has few cores, and clients,
gateways and the database take their part of them; with all cores in use a second process can add
no more. So there is a second comparison, in which each process of the portal is held to a share of
a core, as if it had a small machine of its own: it is stopped and let go on, many times a second,
in the middle of a transaction, too. How soon a code leaves is measured with one journey at a time.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from aiosmtpd.controller import Controller

from tests import postgresql
from tests.bench import journey
from tests.bench.journey import Client, MailSink, SmsSink, arrived, organisations, started, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.postgresql import Server

JOURNEYS = 60  # of each count of processes, in each round
ROUNDS = 3
CODES = 40
AT_ONCE = 8  # clients for each web process
SHARES = (1, 0.2)  # of a core
PERIOD = 0.05  # seconds
FIRST_PORT = 8481
MAIL_PORT, SMS_PORT = 8473, 8474
BUSY_FIELDS = (0, 1, 2, 5, 6, 7)  # of /proc/stat: all but idle and waiting for a disk


@contextmanager
def held_to(share: float, *pids: int) -> Iterator[None]:
    """Let each process, and those that it started, run for that share of the time only."""
    if share == 1:
        yield
        return
    over = threading.Event()

    def send(pid: int, what: signal.Signals) -> None:
        for each in (pid, *_children(pid)):
            with suppress(ProcessLookupError):
                os.kill(each, what)

    def hold(pid: int, late: float) -> None:
        over.wait(late)
        while not over.wait(PERIOD * share):
            send(pid, signal.SIGSTOP)
            over.wait(PERIOD * (1 - share))
            send(pid, signal.SIGCONT)

    threads = [
        threading.Thread(target=hold, args=(pid, PERIOD * place / len(pids)))
        for place, pid in enumerate(pids)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(each) for each in found.read_text().split()] if found.exists() else []


def busy_seconds() -> float:
    """CPU that this machine used so far."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    return sum(int(fields[place]) for place in BUSY_FIELDS) / os.sysconf("SC_CLK_TCK")


class Bench:
    """A portal on PostgreSQL with as many processes as wanted, and persons with letters."""

    def __init__(self, server: Server, place: Path) -> None:
        key = urlsafe_b64encode(os.urandom(32)).decode()
        self.environment = {
            "PORTAL_SECRET_KEY": key,
            "PORTAL_DATA_KEYS": key,
            "PORTAL_BASE_URL": f"http://127.0.0.1:{journey.PORT}",
            "PORTAL_SECURE_NETWORKS": "127.0.0.0/8",
            "PORTAL_MAIL_URL": f"smtp://127.0.0.1:{MAIL_PORT}",
            "PORTAL_SMS_URL": f"http://127.0.0.1:{SMS_PORT}/",
            "PORTAL_DATABASE_URL": server.create("bench"),
            "PORTAL_FLOOD_PER_MINUTE": "100000",
            "PORTAL_FLOOD_FORMS_PER_MINUTE": "100000",
        }
        self._next = 0
        count = len(SHARES) * ROUNDS * 2 * (JOURNEYS + AT_ONCE) + CODES + 100
        organisations(place / "bench.csv", count)
        for command in (
            ["database", "upgrade"],
            ["organisations", "import", str(place / "bench.csv")],
            ["confirmations", "request", "--all-unconfirmed"],
        ):
            subprocess.run(
                [sys.executable, "-m", "portal", *command],
                env=os.environ | self.environment,
                check=True,
                capture_output=True,
            )
        with started("-m", "portal", "deliver", environment=self.environment):
            while len(arrived) < count:
                time.sleep(0.2)

    @contextmanager
    def processes(self, count: int) -> Iterator[list[int]]:
        """So many web servers, on ports from FIRST_PORT on, and as many deliverers."""
        with ExitStack() as stack:
            pids: list[int] = []
            for number in range(count):
                port = str(FIRST_PORT + number)
                serve = ["-m", "portal", "serve", "--port", port, "--threads", "4"]
                pids += [
                    stack.enter_context(started(*command, environment=self.environment))
                    for command in (serve, ["-m", "portal", "deliver"])
                ]
            for number in range(count):
                wait_for(FIRST_PORT + number, "/health/ready")
            yield pids

    def persons(self, count: int) -> range:
        """People who have a letter and did nothing yet."""
        begin, self._next = self._next, self._next + count
        return range(begin, self._next)

    def speed(self, count: int, share: float) -> tuple[float, float]:
        """Journeys in a second with so many processes, and which part of the CPU was in use."""

        def walk(number: int) -> None:
            journey.journey(number, FIRST_PORT + number % count)

        with self.processes(count) as pids, ThreadPoolExecutor(AT_ONCE * count) as pool:
            list(pool.map(walk, self.persons(AT_ONCE * count)))  # each thread has its connections
            with held_to(share, *pids):
                began, used = time.monotonic(), busy_seconds()
                list(pool.map(walk, self.persons(JOURNEYS * count // 2)))
                took, used = time.monotonic() - began, busy_seconds() - used
        return JOURNEYS * count // 2 / took, used / took / (os.cpu_count() or 1)

    def code_seconds(self) -> list[float]:
        """From the press of the button to the SMS at the gateway, for one person at a time."""
        found = []
        with self.processes(1):
            for number in self.persons(CODES):
                client = Client(FIRST_PORT)
                client.get(
                    journey.path_in(arrived[f"person{number}@bench.example"].get(timeout=60))
                )
                time.sleep(0.05)  # the worker is idle
                began = time.monotonic()
                client.post(f"{client.path}/phone", part="confirmation")
                arrived[f"+7921{number:07}"].get(timeout=60)
                found.append(time.monotonic() - began)
                client.connection.close()
        return found


def main() -> None:
    mail = Controller(MailSink(), hostname="127.0.0.1", port=MAIL_PORT)
    mail.start()
    sms = ThreadingHTTPServer(("127.0.0.1", SMS_PORT), SmsSink)
    threading.Thread(target=sms.serve_forever, daemon=True).start()
    place = Path(tempfile.mkdtemp())
    try:
        with postgresql.running("max_connections=200", on_disk=True) as server:
            _report(Bench(server, place))
    finally:
        mail.stop()
        sms.shutdown()
        shutil.rmtree(place)


def _report(bench: Bench) -> None:
    codes = bench.code_seconds()
    print(
        f"a code is at the gateway after {statistics.median(codes):.3f} s at the median, "
        f"{max(codes):.3f} s at most ({len(codes)} codes, PostgreSQL, idle worker)"
    )
    print("journeys/s on PostgreSQL   1 process   CPU in use   2 processes   CPU in use   ratio")
    for share in SHARES:
        held = "as they are" if share == 1 else f"{share} of a core each"
        ratios = []
        for number in range(ROUNDS):
            (one, used_by_one), (two, used_by_two) = bench.speed(1, share), bench.speed(2, share)
            ratios.append(two / one)
            print(
                f"{held}, {number + 1:<{22 - len(held)}}{one:>12.2f}{used_by_one:>13.0%}"
                f"{two:>14.2f}{used_by_two:>13.0%}{ratios[-1]:>8.2f}"
            )
        print(f"{held}: twice the processes, {statistics.median(ratios):.2f} times the journeys")


if __name__ == "__main__":
    main()
