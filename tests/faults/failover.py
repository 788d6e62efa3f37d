"""A primary and a synchronous standby: the primary dies under load, the standby takes its place."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from tests import postgresql
from tests.faults.crowd import walk_all
from tests.faults.far_ends import HOST
from tests.faults.house import open_house
from tests.faults.invariants import Figures, check
from tests.faults.process import children_of
from tests.ports import free_port

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from random import Random


PACE = 6
SETTINGS = ("fsync=off", "full_page_writes=off", f"listen_addresses={HOST}")
FOLLOWS = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"


class Pair:
    """Two servers; every commit is on both before anybody hears of it."""

    def __init__(self, folder: Path) -> None:
        ports = free_port(), free_port()
        every = "synchronous_standby_names=*"
        self.primary = postgresql.Server(folder / "one", *SETTINGS, every, port=ports[0])
        self.standby = postgresql.Server(folder / "two", *SETTINGS, port=ports[1])
        self._alive: list[postgresql.Server] = []
        hosts = ",".join(f"{HOST}:{port}" for port in ports)
        self.url = f"postgresql://{postgresql.OWNER}@{hosts}/portal?target_session_attrs=read-write"

    def start(self) -> None:
        self.primary.make()
        self.primary.start()
        self._alive.append(self.primary)
        self.standby.prepare()
        self.standby.run(
            "pg_basebackup",
            f"--pgdata={self.standby.data}",
            f"--dbname=host={self.primary.folder} port={self.primary.port}",
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
        )
        self.standby.start()
        self._alive.append(self.standby)
        with psycopg.connect(self.primary.url("postgres"), autocommit=True) as connection:
            until = time.monotonic() + 60
            while connection.execute(FOLLOWS).fetchone() != (1,):
                assert time.monotonic() < until, "the standby does not follow"
                time.sleep(0.05)
        self.primary.create("portal")

    def kill_the_primary(self) -> None:
        """`kill -9` of the server and all its processes: as if its machine lost power."""
        first = int((self.primary.data / "postmaster.pid").read_text().split()[0])
        for pid in (first, *children_of(first)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._alive.remove(self.primary)

    def promote(self) -> None:
        self.standby.run("pg_ctl", "promote", "--wait")

    def stop(self) -> None:
        for server in self._alive:
            server.stop("immediate")


@contextmanager
def pair() -> Iterator[Pair]:
    with postgresql.folder_for_servers() as folder:
        both = Pair(folder)
        try:
            both.start()
            yield both
        finally:
            both.stop()


def run(
    folder: Path, *, journeys: int, seed: int, at_once: int = 6, deliverers: int = 2
) -> Figures:
    with pair() as both, open_house(folder, both.url, pace=PACE, is_new=True) as house:
        house.serve(workers=2)
        for _ in range(deliverers):
            house.deliver()
        house.wait_until_ready()
        within: list[float] = []

        def fail(over: threading.Event, random: Random) -> None:
            house.mailbox.wait_for_one_more(60)  # there is something to lose
            over.wait(random.uniform(0.5, 2))
            both.kill_the_primary()
            began = time.monotonic()
            over.wait(random.uniform(0.2, 1))
            both.promote()
            house.wait_until_ready()
            within.append(time.monotonic() - began)

        stories = walk_all(house, journeys, seed, fail, at_once=at_once)
        house.drain()
        found = check(house, stories)
        with psycopg.connect(both.url) as connection:
            assert connection.info.port == both.standby.port, "the standby has taken over"
        found.kills += 1
        found.more["ready again within"] = f"{within[0]:.1f} s"
        return found
