"""All the faults: `make faults`. Exit status 1 if something is broken that must never be."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from portal import config, create_app, schema
from portal.database import db
from tests import postgresql
from tests.conftest import ENVIRONMENT
from tests.faults import apart, databases, failover, gateways, kills, many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faults.invariants import Figures
    from tests.postgresql import Server

COLUMNS = {
    "journeys": "journeys",
    "kills": "kills",
    "retries": "retries",
    "away": "502/503",
    "messages": "messages",
    "taken_twice": "twice, same id",
    "lost": "lost",
    "confirmed_twice": "confirmed twice",
    "after_expiry": "after expiry",
}
DATABASES = ("sqlite", "postgresql")
SCENARIOS = ("kills", "gateways", "database", "disk", "clocks", "many", "failover")
SHOWN = 20  # sentences of what is broken


def main() -> None:
    asked = read_arguments()
    print(f"seed {asked.seed}")
    found: dict[str, Figures] = {}
    for name in asked.scenarios:
        for kind in asked.databases:
            for run in runs(name, kind, asked):
                began = time.monotonic()
                title = f"{name}, {kind}"
                print(f"{title} …", file=sys.stderr, flush=True)
                found[title] = run()
                found[title].more["took"] = f"{time.monotonic() - began:.0f} s"
                report(title, found[title])
    print_table(found)
    sys.exit(1 if any(each.broken for each in found.values()) else 0)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(SCENARIOS))
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=DATABASES)
    parser.add_argument("--journeys", type=int, default=500, help="under kill -9; a tenth else")
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    asked = parser.parse_args()
    asked.scenarios = asked.scenarios or list(SCENARIOS)
    unknown = set(asked.scenarios) - set(SCENARIOS)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    return asked


def runs(name: str, kind: str, asked: argparse.Namespace) -> Iterator[Callable[[], Figures]]:
    """The scenario on a database of its own; nothing where it cannot be run."""
    seed, some = asked.seed, max(10, asked.journeys // 10)
    if name == "failover":
        if kind == "postgresql":
            with tempfile.TemporaryDirectory() as folder:
                place = Path(folder)
                yield lambda: failover.run(place, journeys=some, seed=seed)
        return
    if name == "disk":
        yield from runs_out_of_room(kind, some, seed)
        return
    with made(kind) as (folder, url, server):
        match name:
            case "kills":
                yield lambda: kills.run(folder, url, journeys=asked.journeys, seed=seed)
            case "gateways":
                yield lambda: gateways.run(folder, url, journeys=2 * some, seed=seed)
            case "database":
                broken = (
                    databases.restarting(server)
                    if server
                    else databases.locking(folder / "portal.db", 18)
                )
                most = 100 if server else 6  # a lock is held until people are told so
                yield lambda: databases.run(
                    folder, url, broken, journeys=some, seed=seed, most=most
                )
            case "clocks":
                yield lambda: apart.run(folder, url, journeys=some, seed=seed)
            case "many":
                yield lambda: many.run(folder, url, messages=asked.messages, seed=seed)


def runs_out_of_room(kind: str, journeys: int, seed: int) -> Iterator[Callable[[], Figures]]:
    with ExitStack() as stack:
        disk = stack.enter_context(databases.small_disk())
        if disk is None:
            print(f"disk, {kind}: left out, for nobody lets us mount a small file system")
            return
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if kind == "postgresql":
            server = stack.enter_context(postgresql.running(*databases.DURABLE))
            url = databases.small_tablespace(server, disk)
        else:
            url = f"sqlite:///{disk}/portal.db"
        full = databases.filling(disk)
        yield lambda: databases.run(folder, url, full, journeys=journeys, seed=seed, is_new=True)


@contextmanager
def made(kind: str) -> Iterator[tuple[Path, str, Server | None]]:
    """A folder, and a migrated database without rows in it or in a server of its own."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = None
        url = f"sqlite:///{folder}/portal.db"
        if kind == "postgresql":
            server = stack.enter_context(postgresql.running(*databases.DURABLE))
            url = server.create("portal")
        app = create_app(config.load(ENVIRONMENT | {"PORTAL_DATABASE_URL": url}))
        with app.app_context():
            schema.upgrade()
        db.dispose()
        yield folder, url, server


def report(title: str, found: Figures) -> None:
    print(f"{title}: " + "; ".join(f"{name} {value}" for name, value in found.more.items()))
    for sentence in found.broken[:SHOWN]:
        print(f"  BROKEN: {sentence}")
    if len(found.broken) > SHOWN:
        print(f"  and {len(found.broken) - SHOWN} more")
    sys.stdout.flush()


def print_table(found: dict[str, Figures]) -> None:
    print()
    print(f"{'':<22}" + "".join(f"{words:>16}" for words in COLUMNS.values()))
    for title, figures in found.items():
        numbers = "".join(f"{getattr(figures, name):>16,}" for name in COLUMNS)
        print(f"{title:<22}{numbers}")


if __name__ == "__main__":
    main()
