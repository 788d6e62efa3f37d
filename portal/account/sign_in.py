"""The first step of signing in: email and password.

Known and unknown emails get the same answer after the same work: wrong passwords are counted for
whatever was typed, and one that nobody has is compared with nobody's hash.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from sqlalchemy import bindparam, insert, or_, select, update

from portal import clock, config, journal, keys, limits, metrics, networks
from portal.account import password, session
from portal.account.account import Account, find_by_email, one_spelling
from portal.account.session import WRONG_IN_A_ROW, Stage
from portal.account.tables import accounts, wrong_passwords
from portal.database import db
from portal.limits import Limit

PER_ADDRESS = (Limit(100, timedelta(minutes=10)),)  # sign-ins: a whole office may share one

log = structlog.get_logger()

_THIS = wrong_passwords.c.key == bindparam("of")
_FIND = select(wrong_passwords.c.key, wrong_passwords.c.paused_until).where(_THIS)
_ADD = insert(wrong_passwords)
_COUNT = (
    update(wrong_passwords)
    .where(
        _THIS,
        or_(
            wrong_passwords.c.paused_until.is_(None),
            wrong_passwords.c.paused_until <= bindparam("now"),
        ),
    )
    .values(count=wrong_passwords.c.count + 1, counted_at=bindparam("now"))
    .returning(wrong_passwords.c.count)
)
_SET = update(wrong_passwords).where(_THIS).values(count=0, paused_until=bindparam("until"))
_REHASH = (
    update(accounts)
    .where(accounts.c.id == bindparam("of"), accounts.c.password == bindparam("old"))
    .values(password=bindparam("hash"))
)


class Pause(NamedTuple):
    """Until when no password is judged: of one email, or of whoever is at an address."""

    until: datetime
    of_address: bool = False


class Entry(NamedTuple):
    """What came of an email and a password: a session's token, a pause, or nothing.

    `suspended` is whose both are, where nobody may sign in with them now.
    """

    token: str | None = None
    account: Account | None = None
    pause: Pause | None = None
    suspended: Account | None = None


class Judged(NamedTuple):
    """Whose email and password both are, or until when none are judged."""

    account: Account | None = None
    pause: Pause | None = None


def enter(email: str, typed: str, address: object, agent: str) -> Entry:
    """Judge an email and a password; the session that begins lacks the second factor."""
    found, pause = judge(email, typed, address)
    if found is None:
        return Entry(pause=pause)
    metrics.sign_ins.note("suspended" if found.suspended_at else "password")
    if found.suspended_at:  # said to who knows the password alone
        return Entry(suspended=found)
    return Entry(session.begin(found, Stage.PASSWORD, address, agent), found)


def judge(email: str, typed: str, address: object) -> Judged:
    """Whether a password is that of an email; wrong ones are counted."""
    where = f"passwords from {networks.counted_as(address)}"
    until = limits.free_at(where, PER_ADDRESS)
    if until:
        log.warning("passwords paused", of="address")
        metrics.sign_ins.note("paused")
        return Judged(pause=Pause(until, of_address=True))
    limits.use(where)
    key = _key(email)
    # Counted before compared: of any number of tries at one moment no more are judged.
    in_a_row = db.scalar(_COUNT, of=key, now=clock.now())
    if in_a_row is None:
        log.warning("passwords paused", of="email")
        metrics.sign_ins.note("paused")
        return Judged(pause=Pause(db.one(_FIND, of=key).paused_until))
    found = find_by_email(email)
    if not password.is_right(found.password if found else None, typed) or found is None:
        return _wrong(key, in_a_row, found, address)
    db.execute(_SET, {"of": key, "until": None})
    if found.password and password.is_outdated(found.password):
        renewed = password.hash(password.normal(typed))
        db.execute(_REHASH, {"of": found.id, "old": found.password, "hash": renewed})
    return Judged(found)


def _wrong(key: bytes, in_a_row: int, found: Account | None, address: object) -> Judged:
    log.warning("password refused", in_a_row=in_a_row)  # of nobody's email, too: in no journal
    metrics.sign_ins.note("wrong_password")
    if found:
        journal.record(found.chain, "password.wrong", "unknown", address, in_a_row=in_a_row)
    if in_a_row < WRONG_IN_A_ROW:
        return Judged()
    until = clock.now() + config.settings.pause
    db.execute(_SET, {"of": key, "until": until})
    return Judged(pause=Pause(until))


def _key(email: str) -> bytes:
    """What wrong passwords of an email are counted under, in a row that is made if need be.

    One that was made under an older data key goes on counting.
    """
    prints = keys.fingerprints(one_spelling(email), "sign-in")
    for key in prints:
        if db.one(_FIND, of=key):
            return key
    db.execute(_ADD, {"key": prints[0], "count": 0})
    return prints[0]
