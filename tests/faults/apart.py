"""Clocks that are apart: two web servers and two delivery workers, by half a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyotp

from portal import clock
from portal.account import Role
from portal.database import db
from tests.faults.crowd import walk_all
from tests.faults.house import House, id_of, open_house
from tests.faults.invariants import Figures, check
from tests.faults.visitor import Visitor
from tests.people import enrol

if TYPE_CHECKING:
    from pathlib import Path

PACE = 2
APART = 30  # seconds


def run(folder: Path, url: str, *, journeys: int, seed: int) -> Figures:
    """Every request goes to the other web server; links, codes and limits hold."""
    with open_house(folder, url, pace=PACE, webs=2) as house:
        house.serve(0)
        house.serve(1, ahead=APART)
        house.deliver()
        house.deliver(ahead=APART)
        house.wait_until_ready()
        stories = walk_all(house, journeys, seed, at_once=4, hops=True)
        expire_apart(house)
        house.drain()
        found = check(house, stories, skew=APART)
        found.broken += signing_in(house)
        found.more["apart"] = f"{APART} s"
        return found


def expire_apart(house: House) -> None:
    """Codes that wait for a gateway until their time is over on every clock."""
    numbers = house.found(2, start=900_000)
    house.sms.stop()
    house.post_codes(numbers)
    house.clock.jump(600)
    house.clock.sleep(3)
    house.sms.start()


def signing_in(house: House) -> list[str]:
    """Password and app at one server, and the session at the other; what went wrong."""
    house.found(1, start=800_000)
    person = enrol("boss@faults.example", Role.ADMINISTRATOR, id_of(800_000))
    db.close()
    broken = []
    house.clock.jump(60)  # the app showed its last code when it was added
    for number in (0, 1):
        house.clock.jump(90)  # each code counts once, by the clock that is ahead, too
        visitor = Visitor(house.ports[number])
        visitor.get("/signin")
        visitor.post("/signin", email=person.account.email, password=person.password)
        code = pyotp.TOTP(person.secret).at(clock.now())
        visitor.post("/signin/factor", code=code)
        for port in (*house.ports, *reversed(house.ports)):
            visitor.port = port
            if visitor.get("/organisations") != 200 or visitor.path != "/organisations":
                broken.append(f"signed in at {number}, unknown at {house.ports.index(port)}")
        second = Visitor(house.ports[1 - number])
        second.get("/signin")
        second.post("/signin", email=person.account.email, password=person.password)
        second.post("/signin/factor", code=code)
        if second.get("/organisations") == 200 and second.path == "/organisations":
            broken.append("a code of the app counted twice")
    return broken
