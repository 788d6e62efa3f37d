"""Ten thousand messages and two delivery workers: shared, one killed, one stopped for long."""

from __future__ import annotations

import signal
import time
from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from portal import outbox
from portal.database import db
from tests.faults.house import House, email_of, open_house, phone_of
from tests.faults.invariants import Figures, check

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.far_ends import Box
    from tests.faults.process import Process

AT_ONCE = 500
STOPPED = 600  # seconds
# What no worker in the middle of a write lets others do.
TOUCH = {
    "sqlite": text("UPDATE messages SET attempts = attempts WHERE id = ''"),
    "postgresql": text("SELECT id FROM messages WHERE due_at IS NOT NULL FOR UPDATE"),
}
A_LEASE = 91  # seconds; outbox.LEASE and a moment


def run(folder: Path, url: str, *, messages: int, seed: int) -> Figures:
    """Three shares: both workers live; one is killed; one is stopped for ten minutes."""
    with open_house(folder, url) as house:
        workers = [house.deliver(), house.deliver()]
        random = Random(seed)
        rate, shares = share(house, workers, messages)
        killed = kill_one(house, workers, messages // 10, random)
        # Between the last look and the last octet nobody can look: that it stops just there, and
        # once more, is not to be believed.
        blind = stop_one(house, workers, messages // 10, random)
        blind = blind and stop_one(house, workers, messages // 10, random)
        house.drain()
        found = check(house)
        found.broken += blind
        found.more["messages/s"] = f"{rate:.0f}"
        found.more["shared"] = ", ".join(shares)
        found.more["left after a lease"] = str(killed)
        return found


def post(house: House, count: int) -> None:
    """Half letters, half SMS."""
    for begin in range(0, count, AT_ONCE):
        with db.writing():
            for number in range(begin, min(begin + AT_ONCE, count)):
                post_one(house, number)
            db.commit()


def post_one(house: House, number: int) -> None:
    now = house.clock.now()
    if number % 2:
        outbox.post("sms", "code", phone_of(number), code=f"{number:06}")
    else:
        email = email_of(number)
        outbox.post("email", "queue", email, count=1, at=now.isoformat(), name="")


def taken(house: House) -> Counter[str]:
    return Counter(each.id for box in (house.mailbox, house.phones) for each in box.taken)


def share(house: House, workers: list[Process], messages: int) -> tuple[float, list[str]]:
    """How many leave in a second, and how many each worker handed over."""
    wait_for_workers(workers)
    post(house, messages)
    began = time.monotonic()
    wait_for(house, messages)
    rate = messages / (time.monotonic() - began)
    twice = taken(house).total() - len(taken(house))
    assert twice == 0, f"{twice} messages came twice, and nobody was killed"
    return rate, [shares_of(box) for box in (house.mailbox, house.phones)]


def shares_of(box: Box) -> str:
    return "+".join(str(each) for each in Counter(each.peer for each in box.taken).values())


def kill_one(house: House, workers: list[Process], messages: int, random: Random) -> int:
    """`kill -9` in the middle: what it had in hand leaves once its lease is over."""
    before = len(taken(house))
    house.mail.seconds = house.sms.seconds = 0.02  # the worker is killed with something in hand
    post(house, messages)
    wait_for(house, before + random.randrange(messages // 8, messages // 3))
    with house.trouble():
        workers[0].kill()
        wait_until_idle(house)
        held = house.in_the_post()
        house.clock.jump(A_LEASE)
        wait_for(house, before + messages)
        wait_until_idle(house)
    return held


def stop_one(house: House, workers: list[Process], messages: int, random: Random) -> list[str]:
    """SIGSTOP for ten minutes, then SIGCONT: it sends nothing that another has sent meanwhile."""
    wait_for_workers(workers)
    before = len(taken(house))
    house.mail.seconds = house.sms.seconds = 0.02  # it is stopped with something in hand
    post(house, messages)
    wait_for(house, before + random.randrange(messages // 8, messages // 3))
    stop_between_writes(house, workers[1])
    wait_until_idle(house)
    house.clock.jump(STOPPED)
    wait_for(house, before + messages)
    wait_until_idle(house)
    at_the_end = taken(house)
    workers[1].send(signal.SIGCONT)
    house.clock.sleep(1.5)
    house.mail.seconds = house.sms.seconds = 0
    blind = taken(house) - at_the_end
    return [f"sent a second time blindly: {id}" for id in blind]


def stop_between_writes(house: House, worker: Process) -> None:
    """SIGSTOP, but not in a transaction: else all wait for it, or for the server to end that."""
    touch = TOUCH[house.database_url.partition(":")[0]]
    while True:
        worker.send(signal.SIGSTOP)
        try:
            with db.writing(patience=1, shared=True):
                db.execute(touch)
        except OperationalError:
            worker.send(signal.SIGCONT)
            time.sleep(0.01)
        else:
            return


def wait_for_workers(workers: list[Process], seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not all(worker.is_up for worker in workers):
        assert time.monotonic() < until, "a delivery worker does not start"
        time.sleep(0.1)


def wait_for(house: House, count: int, seconds: float = 1200) -> None:
    """Wait until so many different messages came."""
    until = time.monotonic() + seconds
    while len(taken(house)) < count:
        assert time.monotonic() < until, f"{len(taken(house))} of {count} messages came"
        time.sleep(0.1)


def wait_until_idle(house: House, seconds: float = 300) -> None:
    """Wait until nothing is due: what is in somebody's hands stays there."""
    until = time.monotonic() + seconds
    while house.in_the_post(due=True):
        assert time.monotonic() < until, "what is due does not leave"
        time.sleep(0.1)
    time.sleep(0.3)  # what was claimed last is handed over
