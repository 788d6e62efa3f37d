"""The database restarted, locked, or out of room, while people are on their way."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pysqlite3

from tests import postgresql
from tests.faults.crowd import walk_all
from tests.faults.house import open_house
from tests.faults.invariants import Figures, check
from tests.faults.process import ask_ready

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from random import Random

    from tests.faults.house import House
    from tests.faults.person import Story
    from tests.postgresql import Server

PACE = 6
ROOM = "16m"  # of the small file system
DURABLE = ("fsync=off", "full_page_writes=off")  # the machine lives on; a commit is written


def run(
    folder: Path,
    url: str,
    broken: Callable[[House], Callable[[threading.Event, Random], None]],
    *,
    journeys: int,
    seed: int,
    most: int = 100,
    deliverers: int = 2,
    is_new: bool = False,
) -> Figures:
    with open_house(folder, url, pace=PACE, is_new=is_new) as house:
        house.serve(workers=2)
        for _ in range(deliverers):
            house.deliver()
        house.wait_until_ready()
        times: list[tuple[float, float]] = []
        spoil = broken(house)

        def again_and_again(over: threading.Event, random: Random) -> None:
            while len(times) < most and not over.wait(random.uniform(0.3, 1)):
                began = time.monotonic()
                spoil(over, random)
                times.append((began, time.monotonic()))
                house.wait_until_ready()
                over.wait(random.uniform(1, 2))

        stories = walk_all(house, journeys, seed, again_and_again, at_once=3)
        house.drain()
        found = check(house, stories)
        found.more["times"] = str(len(times))
        found.more["last 503 after"] = f"{last_away(stories, times):.1f} s"
        return found


def last_away(stories: list[Story], broken: list[tuple[float, float]]) -> float:
    """How long after the database was well again somebody was still told that it is away."""
    late = 0.0
    for story in stories:
        for moment, _status in story.away:
            if not any(began <= moment <= end for began, end in broken):
                late = max(late, min(moment - end for _began, end in broken if end < moment))
    return late


# Restarted, locked


def restarting(server: Server) -> Callable[[House], Callable[[threading.Event, Random], None]]:
    """`pg_ctl restart -m immediate`: a crash of the server, and its start."""

    def begin(_house: House) -> Callable[[threading.Event, Random], None]:
        def restart(over: threading.Event, random: Random) -> None:
            server.stop("immediate")
            over.wait(random.uniform(0, 1.5))
            server.start()

        return restart

    return begin


def locking(file: Path, seconds: float) -> Callable[[House], Callable[..., None]]:
    """Another program holds the write lock of the file for a while."""

    def begin(_house: House) -> Callable[[threading.Event, Random], None]:
        def lock(over: threading.Event, _random: Random) -> None:
            connection = pysqlite3.connect(str(file), isolation_level=None, timeout=30)
            connection.execute("BEGIN IMMEDIATE")
            over.wait(seconds)
            connection.execute("ROLLBACK")
            connection.close()

        return lock

    return begin


# Out of room


@contextmanager
def small_disk() -> Iterator[Path | None]:
    """A file system with little room; None where nobody lets us mount one."""
    folder = Path(tempfile.mkdtemp(prefix="portal-small-"))
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, check=False) if os.geteuid() == 0 else None
    is_mounted = done is not None and done.returncode == 0
    try:
        yield folder if is_mounted else None
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def filling(disk: Path) -> Callable[[House], Callable[[threading.Event, Random], None]]:
    """Something else fills the disk to the last byte, and goes away."""
    ballast = disk / "ballast"

    def begin(house: House) -> Callable[[threading.Event, Random], None]:
        def fill(over: threading.Event, random: Random) -> None:
            until = time.monotonic() + random.uniform(2, 4)
            try:
                while time.monotonic() < until and not over.is_set():
                    fill_up(ballast)  # and what is let go meanwhile, too
                    time.sleep(0.05)
                assert ask_ready(house.ports[0]) in {200, 503}
            finally:
                ballast.unlink()

        return fill

    return begin


def fill_up(file: Path) -> None:
    with file.open("ab", buffering=0) as opened:
        for size in (1024 * 1024, 4096):
            try:
                while True:
                    opened.write(b"\0" * size)
            except OSError:
                continue


def small_tablespace(server: Server, disk: Path) -> str:
    """A database whose tables lie on the small disk; its URL."""
    place = disk / "tablespace"
    place.mkdir()
    if os.geteuid() == 0:
        disk.chmod(0o755)
        shutil.chown(place, postgresql.OWNER, postgresql.OWNER)
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'")
        connection.execute("CREATE DATABASE small TEMPLATE template0 TABLESPACE small")
    return server.url("small")
