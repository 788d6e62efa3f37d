"""Many people at once, and what goes wrong meanwhile."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from random import Random
from typing import TYPE_CHECKING

from tqdm import tqdm

from portal.database import db
from tests.faults.person import Person

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.house import House
    from tests.faults.person import Story


def walk_all(
    house: House,
    count: int,
    seed: int,
    fault: Callable[[threading.Event, Random], None] | None = None,
    *,
    at_once: int = 8,
    seconds: float = 300,
    hops: bool = False,
) -> list[Story]:
    """So many journeys, `at_once` at a time; `fault` runs beside them until they have ended."""
    numbers = house.found(count)
    over = threading.Event()
    beside = threading.Thread(target=_beside, args=(house, fault, over, Random(f"fault {seed}")))
    beside.start()

    def walk(number: int) -> Story:
        with house.app.app_context():
            try:
                person = Person(house, number, Random(f"{seed} {number}"), hops=hops)
                return person.walk(seconds)
            finally:
                db.close()

    try:
        with ThreadPoolExecutor(at_once) as pool:
            walked = pool.map(walk, numbers)
            return list(tqdm(walked, total=count, unit=" journeys", disable=None, leave=False))
    finally:
        over.set()
        beside.join()


def _beside(
    house: House,
    fault: Callable[[threading.Event, Random], None] | None,
    over: threading.Event,
    random: Random,
) -> None:
    if fault is not None:
        with house.app.app_context(), house.trouble():
            fault(over, random)
            db.close()
