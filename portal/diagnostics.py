"""The computer's number: what a person reads to the specialist, and what the computer was like.

The number is told by phone, so its last digit is a check digit (Damm's), which catches every wrong
digit and every two neighbours that changed places. The browser is known again by tokens in a
cookie; a row has the SHA-256 of its token alone, so who reads the database is no browser of ours.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Table,
    bindparam,
    insert,
    select,
    update,
)
from stdnum import damm

from portal import agents, clock, limits, networks, proofs
from portal.database import Encrypted, Moment, db, metadata
from portal.limits import Limit

CLAIM_WITHIN = timedelta(minutes=15)  # product.md, «Numbers», as the next
EVIDENCE_FOR = timedelta(minutes=60)
NUMBER = re.compile(r"[0-9]{9}")
RANDOM_DIGITS = 8
LIMITS = (Limit(20, timedelta(minutes=10)),)  # numbers for one address: a whole office may share it
MOST_KEPT = 8  # tokens in one cookie
MOST_SECONDS = 10 * 365 * 24 * 3600  # a clock that is further off is said to be so far off

diagnostics = Table(
    "diagnostics",
    metadata,
    Column("id", String(22), primary_key=True),
    Column("number", String(9), nullable=False, unique=True),
    Column("seal", LargeBinary(32), nullable=False, unique=True),  # SHA-256 of the cookie's token
    Column("account_id", String(22), ForeignKey("accounts.id")),  # who had typed the password
    Column("address", String(45), nullable=False),
    Column("agent", Encrypted("diagnostics.agent"), nullable=False),
    Column("scripts", Boolean, nullable=False, server_default="0"),  # whether they ran
    Column("clock_seconds", Integer),  # how far ahead of ours; None without scripts
    Column("made_at", Moment, nullable=False),
    Column("claimed_at", Moment),
    sqlite_with_rowid=False,
)


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """One look at a computer. `address` is empty where it could not be known."""

    id: str
    number: str
    account_id: str | None
    address: str
    agent: str
    scripts: bool
    clock_seconds: int | None
    made_at: datetime
    claimed_at: datetime | None

    @property
    def claim_until(self) -> datetime:
        return self.made_at + CLAIM_WITHIN

    @property
    def is_claimable(self) -> bool:
        """Whether the number may still be told to a specialist."""
        return not self.claimed_at and clock.now() < self.claim_until

    @property
    def is_evidence(self) -> bool:
        """Whether it still says something about the computer that the person sits at."""
        return clock.now() < self.made_at + EVIDENCE_FOR

    @property
    def shown_number(self) -> str:
        """The number as it is read aloud: 482 109 375."""
        return f"{self.number[:3]} {self.number[3:6]} {self.number[6:]}"


class Result(StrEnum):
    """What became of a number that a specialist typed."""

    FOUND = "found"
    MISTYPED = "mistyped"  # the check digit, or the form, is wrong
    UNKNOWN = "unknown"
    OLD = "old"
    CLAIMED = "claimed"  # it was told once before


class Claim(NamedTuple):
    """The answer to a typed number; what the computer was like only with `FOUND`."""

    result: Result
    diagnostics: Diagnostics | None = None


_SEEN = select(*(column for column in diagnostics.c if column.key != "seal"))
_BY_SEAL = _SEEN.where(diagnostics.c.seal == bindparam("of"))
_BY_ID = _SEEN.where(diagnostics.c.id == bindparam("of"))
_BY_NUMBER = _SEEN.where(diagnostics.c.number == bindparam("of"))
_ADD = insert(diagnostics)
_UNCLAIMED = (diagnostics.c.claimed_at.is_(None), diagnostics.c.made_at > bindparam("since"))
_MEASURE = (
    update(diagnostics)
    .where(diagnostics.c.id == bindparam("of"), diagnostics.c.scripts.is_(False), *_UNCLAIMED)
    .values(scripts=True, clock_seconds=bindparam("seconds"))
)
_CLAIM = (
    update(diagnostics)
    .where(diagnostics.c.number == bindparam("of"), *_UNCLAIMED)
    .values(claimed_at=bindparam("now"))
)


def free_at(address: object) -> datetime | None:
    """When the next number for an address may be made, or None if that is now."""
    return limits.free_at(_use(address), LIMITS)


def begin(account_id: str | None, address: object, agent: str, cookie: str = "") -> str:
    """Note what a computer is like; what the browser's cookie is to hold from now on.

    `cookie` is what it held. A browser that runs the diagnostics again while a case waits stays
    known as the one that ran it before: tokens whose number was claimed, or may be, are kept.
    """
    token = proofs.new_public_id()
    limits.use(_use(address))
    db.execute(
        _ADD,
        {
            "id": proofs.new_public_id(),
            "number": _new_number(),
            "seal": _seal(token),
            "account_id": account_id,
            "address": str(address or ""),
            "agent": agent[: agents.LONGEST],
            "made_at": clock.now(),
        },
    )
    known = [(each, found) for each in _tokens(cookie) if (found := _of_token(each))]
    claimed = [each for each, found in known if found.claimed_at]
    claimable = [each for each, found in known if found.is_claimable]
    return ".".join([token, *claimed, *claimable][:MOST_KEPT])


def find(id: str) -> Diagnostics | None:
    """What was noted under that id."""
    row = db.one(_BY_ID, of=id)
    return Diagnostics(*row) if row else None


def of_browser(cookie: str) -> Diagnostics | None:
    """What the browser with that cookie ran last."""
    tokens = _tokens(cookie)
    return _of_token(tokens[0]) if tokens else None


def is_browser_of(cookie: str, id: str) -> bool:
    """Whether that diagnostics was run in the browser with that cookie, last or before."""
    found = (_of_token(token) for token in _tokens(cookie))
    return any(each is not None and each.id == id for each in found)


def measure(found: Diagnostics, clock_seconds: int) -> None:
    """Note that scripts run, and how far the computer's clock is ahead of ours.

    Once: what a specialist has seen, or could not see any more, stays as it was.
    """
    seconds = max(-MOST_SECONDS, min(MOST_SECONDS, clock_seconds))
    db.changed(_MEASURE, of=found.id, seconds=seconds, since=clock.now() - CLAIM_WITHIN)


def is_number_of(typed: str, id: str) -> bool:
    """Whether a number is that of a diagnostics that still says something."""
    found = find(id)
    return found is not None and found.is_evidence and _one_spelling(typed) == found.number


def claim(typed: str) -> Claim:
    """Give the number that a person read out to the one specialist who types it first."""
    number = _one_spelling(typed)
    if not NUMBER.fullmatch(number):
        return Claim(Result.MISTYPED)
    if not damm.is_valid(number):
        return Claim(Result.MISTYPED)
    now = clock.now()
    is_first = db.changed(_CLAIM, of=number, now=now, since=now - CLAIM_WITHIN) == 1
    row = db.one(_BY_NUMBER, of=number)
    if row is None:
        return Claim(Result.UNKNOWN)
    found = Diagnostics(*row)
    if is_first:
        return Claim(Result.FOUND, found)
    return Claim(Result.CLAIMED if found.claimed_at else Result.OLD)


def _one_spelling(typed: str) -> str:
    return proofs.FORGIVEN.sub("", typed) if len(typed) <= proofs.LONGEST_TYPED else ""


def _new_number() -> str:
    """A number that no row has: eight random digits and their check digit."""
    while True:
        digits = f"{secrets.randbelow(10**RANDOM_DIGITS):0{RANDOM_DIGITS}}"
        number = digits + damm.calc_check_digit(digits)
        if db.one(_BY_NUMBER, of=number) is None:
            return number


def _tokens(cookie: str) -> list[str]:
    """The tokens in a cookie, the newest first; none if somebody wrote it."""
    tokens = cookie.split(".", MOST_KEPT)  # of a longer one the last part is no token
    return tokens if all(map(proofs.PUBLIC_ID.fullmatch, tokens)) else []


def _of_token(token: str) -> Diagnostics | None:
    row = db.one(_BY_SEAL, of=_seal(token))
    return Diagnostics(*row) if row else None


def _seal(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _use(address: object) -> str:
    return f"diagnostics from {networks.counted_as(address)}"
