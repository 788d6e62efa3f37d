"""`kill -9` of web and delivery processes at random moments, while people are on their way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.faults.crowd import walk_all
from tests.faults.house import open_house
from tests.faults.invariants import Figures, check

if TYPE_CHECKING:
    import threading
    from pathlib import Path
    from random import Random

    from tests.faults.house import House

PACE = 6  # the house's clock: a lease of 90 seconds ends after 15
FAR_END_SECONDS = 0.1  # so that something is in hand when a worker is killed


def run(
    folder: Path,
    url: str,
    *,
    journeys: int,
    seed: int,
    webs: int = 2,
    at_once: int = 8,
    every: tuple[float, float] = (0.5, 2.5),
    most: int = 100_000,
) -> Figures:
    with open_house(folder, url, pace=PACE, webs=webs) as house:
        house.mail.seconds = house.sms.seconds = FAR_END_SECONDS
        for number in range(webs):
            house.serve(number, workers=2)
        for _ in range(2):
            house.deliver()
        house.wait_until_ready()
        began = time.monotonic()

        def kill(over: threading.Event, random: Random) -> None:
            for _ in range(most):
                if over.wait(random.uniform(*every)):
                    break
                kill_one(house, random)

        stories = walk_all(house, journeys, seed, kill, at_once=at_once)
        walked = time.monotonic() - began
        drained = house.drain()
        found = check(house, stories)
        found.more["journeys/s"] = f"{journeys / walked:.1f}"
        found.more["drained within"] = f"{drained:.0f} s"
        return found


def kill_one(house: House, random: Random) -> None:
    """One that is at work. Of a web server mostly one of its processes, now and then all.

    A delivery worker is killed around the moment at which a message reaches a far end.
    """
    process = random.choice(house.processes)
    if not process.is_up:
        return
    if process.is_web and random.random() < 0.6:
        process.kill_a_worker(random.randrange(100))
        return
    if not process.is_web:
        box = random.choice([house.mailbox, house.phones])
        box.wait_for_one_more(random.uniform(0.2, 1))
        time.sleep(random.uniform(0, FAR_END_SECONDS))
    process.kill()
