"""Mail server and SMS gateway down, slow, refusing, silent, while people are on their way."""

from __future__ import annotations

import statistics
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.faults.crowd import walk_all
from tests.faults.far_ends import DROP, HANG, HARD_REFUSAL
from tests.faults.house import open_house
from tests.faults.invariants import Figures, check

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path
    from random import Random

    from tests.faults.house import House
    from tests.faults.person import Story

PACE = 6
CODE_LIVES = 600 + 1  # seconds


@contextmanager
def weather(house: House, name: str) -> Iterator[None]:
    """The far ends as they are on such a day."""
    mail, sms = house.mail, house.sms
    match name:
        case "down":
            mail.stop()
            sms.stop()
        case "slow":
            mail.seconds = sms.seconds = 2
        case "greylisting, 429":
            mail.greylists, sms.answer = True, 429
        case "4xx, 500":
            mail.moods["DATA"], sms.answer = "451 try later", 500
        case "wrong password, 503":
            mail.moods["MAIL"], sms.answer = HARD_REFUSAL, 503
        case "answers lost":
            mail.loses = sms.loses = 0.5
        case "dropped":
            mail.moods["RCPT"] = sms.answer = DROP
        case "silent":
            mail.moods["MAIL"] = sms.answer = HANG
    try:
        yield
    finally:
        mail.moods.clear()
        mail.seconds = sms.seconds = mail.loses = sms.loses = 0
        mail.greylists, sms.answer = False, None
        if name == "down":
            mail.start()
            sms.start()


ALL = (
    "down",
    "slow",
    "greylisting, 429",
    "4xx, 500",
    "wrong password, 503",
    "answers lost",
    "dropped",
    "silent",
)


def run(
    folder: Path,
    url: str,
    *,
    journeys: int,
    seed: int,
    days: tuple[str, ...] = ALL,
    day_seconds: float = 8,
    at_once: int = 6,
) -> Figures:
    with open_house(folder, url, pace=PACE) as house:
        house.serve(workers=2)
        for _ in range(2):
            house.deliver()
        house.wait_until_ready()
        bad: list[tuple[float, float]] = []

        def spoil(over: threading.Event, random: Random) -> None:
            while not over.wait(day_seconds / 4):
                name = days[len(bad) % len(days)]
                with weather(house, name):
                    began = time.monotonic()
                    over.wait(day_seconds)
                    bad.append((began, time.monotonic()))

        stories = walk_all(house, journeys, seed, spoil, at_once=at_once, seconds=600)
        expired = let_codes_expire(house)
        house.drain()
        found = check(house, stories)
        found.more["bad days"] = str(len(bad))
        found.more["codes that expired unsent"] = str(expired)
        found.more["pages, bad / good"] = ratio(stories, bad)
        return found


def let_codes_expire(house: House) -> int:
    """Ask for codes that no gateway takes until they are worth nothing; how many there were."""
    numbers = house.found(3, start=900_000)
    with weather(house, "down"):
        posted = house.post_codes(numbers)
        house.clock.jump(CODE_LIVES)
        house.clock.sleep(6)
    house.drain()
    return posted


def ratio(stories: list[Story], bad: list[tuple[float, float]]) -> str:
    """How long pages took while the far ends were bad, against the rest; medians."""
    there: dict[bool, list[float]] = {True: [], False: []}
    for story in stories:
        for moment, seconds in story.answered:
            is_bad = any(a <= moment <= b for a, b in bad)
            there[is_bad].append(seconds)
    if not all(there.values()):
        return "too few"
    worse, usual = (statistics.median(there[is_bad]) for is_bad in (True, False))
    return f"{worse / usual:.2f} ({worse * 1000:.0f} ms / {usual * 1000:.0f} ms)"
