"""Who is signed in: a row for each browser, that the server can end.

product.md, «Numbers»: 30 minutes idle, 12 hours at most. The cookie carries a token; the row knows
its SHA-256 alone, so who reads the database gets no session. A session has a stage: after the
password it may do nothing but give the second factor; after an invitation or a recovery nothing
but enrol a new device.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, insert, select, update

from portal import agents, clock, config, journal, metrics, proofs
from portal.account.account import COLUMNS, Account, NotAllowedError, read, tell
from portal.account.tables import accounts, sessions
from portal.database import db
from portal.language import gettext as _

SHORT = timedelta(minutes=10)  # product.md: the enrolment session; the password waits as long
FRESH = timedelta(minutes=5)  # how long a second factor allows to change devices
SEEN_AFTER = timedelta(seconds=10)  # use is not written down more often
WRONG_PER_SIGN_IN = 5  # product.md, «Numbers», as the two below
WRONG_IN_A_ROW = 10  # then a pause: wrong factors, and wrong passwords (product.md, «Numbers»)


class Stage(StrEnum):
    """How far somebody has come."""

    PASSWORD = "password"  # noqa: S105 - the second factor is missing
    ENROLMENT = "enrolment"
    FULL = "full"


@dataclass(frozen=True, slots=True, repr=False)  # what is pending stays out of tracebacks
class Session:
    """One browser of an account."""

    id: str
    account: Account
    stage: Stage
    factor: str | None
    factor_at: datetime | None
    begun_at: datetime
    seen_at: datetime
    ends_at: datetime
    address: str
    agent: str
    wrong: int
    link_id: str | None
    case_id: str | None
    pending: dict[str, Any]

    @property
    def is_fresh(self) -> bool:
        """Whether a second factor was given so lately that devices may be changed."""
        return self.factor_at is not None and clock.now() < self.factor_at + FRESH


class Wrong(NamedTuple):
    """What a wrong second factor leaves: tries, or a pause."""

    tries_left: int
    paused_until: datetime | None


class Seen(NamedTuple):
    """How often, and when last, an account signed in from an address."""

    times: int
    last: datetime | None


_OWN = tuple(each for each in sessions.c if each.key not in {"seal", "account_id", "ended_at"})
LIVE = (
    sessions.c.seal == bindparam("seal"),
    sessions.c.ended_at.is_(None),
    accounts.c.suspended_at.is_(None),
    sessions.c.ends_at > bindparam("now"),
    sessions.c.seen_at > bindparam("idle_since"),
)
"""Where a row is the live session of a token: `live_values` are its parameters."""
_FIND = (
    select(*COLUMNS, *(each.label(f"session_{each.key}") for each in _OWN))
    .join(accounts, accounts.c.id == sessions.c.account_id)
    .where(*LIVE)
)
_WHOSE = select(sessions.c.account_id).where(sessions.c.seal == bindparam("seal"))
_ADD = insert(sessions)
_OF = sessions.c.id == bindparam("of")
_NOT_ENDED = sessions.c.ended_at.is_(None)
_SEE = update(sessions).where(_OF).values(seen_at=bindparam("now"))
_KEEP = update(sessions).where(_OF, _NOT_ENDED).values(pending=bindparam("what"))
_RENEWED: dict[str, Any] = {
    "seal": bindparam("seal"),
    "factor": bindparam("factor"),
    "factor_at": bindparam("now"),
    "seen_at": bindparam("now"),
    "wrong": 0,
    "pending": None,
}
_ASK_AGAIN = update(sessions).where(_OF, _NOT_ENDED).values(_RENEWED)
_COMPLETE = (
    update(sessions)
    .where(_OF, _NOT_ENDED)
    .values(
        _RENEWED
        | {
            "stage": Stage.FULL,
            "begun_at": bindparam("now"),
            "ends_at": bindparam("until"),
            "address": bindparam("address"),
            "agent": bindparam("agent"),
            "link_id": None,
            "case_id": None,
        }
    )
)
_TAKE_PENDING = update(sessions).where(_OF, sessions.c.pending.is_not(None)).values(pending=None)
_END = (
    update(sessions)
    .where(_OF, sessions.c.account_id == bindparam("owner"), _NOT_ENDED)
    .values(ended_at=bindparam("now"), pending=None)
)
_END_ALL = (
    update(sessions)
    .where(
        sessions.c.account_id == bindparam("owner"), sessions.c.id != bindparam("but"), _NOT_ENDED
    )
    .values(ended_at=bindparam("now"), pending=None)
)
_END_OF_CASE = (
    update(sessions)
    .where(sessions.c.case_id == bindparam("of"), _NOT_ENDED)
    .values(ended_at=bindparam("now"), pending=None)
)
_SIGN_INS = (
    select(
        sessions.c.id,
        sessions.c.factor,
        sessions.c.begun_at,
        sessions.c.seen_at,
        sessions.c.ends_at,
        sessions.c.ended_at,
        sessions.c.address,
        sessions.c.agent,
    )
    .where(sessions.c.account_id == bindparam("of"), sessions.c.stage == Stage.FULL)
    .order_by(sessions.c.begun_at.desc())
    .limit(bindparam("most"))
)
_SEEN_FROM = select(func.count(), func.max(sessions.c.begun_at)).where(
    sessions.c.account_id == bindparam("of"),
    sessions.c.stage == Stage.FULL,
    sessions.c.address == bindparam("address"),
)
_COUNT_WRONG = (
    update(sessions).where(_OF).values(wrong=sessions.c.wrong + 1).returning(sessions.c.wrong)
)
_COUNT_IN_A_ROW = (
    update(accounts)
    .where(accounts.c.id == bindparam("of"))
    .values(wrong_factors=accounts.c.wrong_factors + 1)
    .returning(accounts.c.wrong_factors)
)
_PAUSE = (
    update(accounts)
    .where(accounts.c.id == bindparam("of"))
    .values(wrong_factors=0, paused_until=bindparam("until"))
)


def begin(
    account: Account,
    stage: Stage,
    address: object,
    agent: str,
    *,
    factor: str | None = None,
    link_id: str | None = None,
    case_id: str | None = None,
) -> str:
    """Begin a session in the running transaction; returns the token for the cookie."""
    now, token = clock.now(), proofs.new_public_id()
    lifetime = timedelta(hours=config.settings.session_hours) if stage is Stage.FULL else SHORT
    db.execute(
        _ADD,
        {
            "id": proofs.new_public_id(),
            "seal": seal(token),
            "account_id": account.id,
            "stage": stage,
            "factor": factor,
            "factor_at": now if factor else None,
            "begun_at": now,
            "seen_at": now,
            "ends_at": now + lifetime,
            "address": str(address or ""),
            "agent": agent[: agents.LONGEST],
            "link_id": link_id,
            "case_id": case_id,
        },
    )
    return token


def find(token: str) -> Session | None:
    """The live session of a token."""
    row = db.one(_FIND, **live_values(token))
    if row is None:
        return None
    own = {each.key: getattr(row, f"session_{each.key}") for each in _OWN}
    pending = json.loads(own["pending"]) if own["pending"] else {}
    return Session(account=read(row), **own | {"stage": Stage(own["stage"]), "pending": pending})


def whose(token: str) -> str | None:
    """The id of whose session a token began, though it has ended; None where nobody knows."""
    id: str | None = db.scalar(_WHOSE, seal=seal(token))
    return id


def see(session: Session) -> bool:
    """Note that a session is used; False if that was noted a moment ago."""
    now = clock.now()
    if now < session.seen_at + SEEN_AFTER:
        return False
    db.execute(_SEE, {"of": session.id, "now": now})
    return True


def renew(session: Session, factor: str, address: object, agent: str) -> str:
    """After a second factor: the new token of the session; the old one is dead.

    The sign-in is complete now, or was before: then the address that it came from stays, and
    twelve hours count from then. Raises NotAllowedError where the session has ended meanwhile.
    """
    now, token = clock.now(), proofs.new_public_id()
    renewed: dict[str, object] = {
        "of": session.id,
        "seal": seal(token),
        "factor": factor,
        "now": now,
    }
    if session.stage is Stage.FULL:
        is_live = db.changed(_ASK_AGAIN, **renewed)
    else:
        is_live = db.changed(
            _COMPLETE,
            **renewed,
            until=now + timedelta(hours=config.settings.session_hours),
            address=str(address or ""),
            agent=agent[: agents.LONGEST],
        )
        metrics.sign_ins.note(factor)
    if not is_live:
        raise NotAllowedError(_("Этот сеанс уже завершён. Войдите ещё раз."))
    owner = session.account
    if session.stage is not Stage.FULL:
        journal.record(owner.chain, "session.begun", owner.id, address, factor=factor)
    forget_wrong(owner)
    return token


def keep(session: Session, **pending: object) -> None:
    """Keep what the next step of a session needs, encrypted, in place of what was kept."""
    what = json.dumps(pending, ensure_ascii=False) if pending else None
    db.execute(_KEEP, {"of": session.id, "what": what})


def take_pending(session: Session) -> bool:
    """Use up what was kept; False if somebody else did: a challenge counts once."""
    return bool(db.changed(_TAKE_PENDING, of=session.id))


def end(session: Session) -> bool:
    """End a session; False if it had ended."""
    return end_one(session.account, session.id)


def end_one(account: Account, id: str) -> bool:
    """End a session of an account by its id; False if it had ended, or is another's."""
    return bool(db.changed(_END, of=id, owner=account.id, now=clock.now()))


def end_all(account: Account, but: Session | None = None) -> int:
    """End all sessions of an account but one; returns how many."""
    return db.changed(_END_ALL, owner=account.id, but=but.id if but else "", now=clock.now())


def end_of_case(case_id: str) -> None:
    """Let out who was let in by a recovery that was stopped."""
    db.execute(_END_OF_CASE, {"of": case_id, "now": clock.now()})


def sign_ins(account: Account, most: int = 20) -> list[Any]:
    """The newest sign-ins, with `factor`, `begun_at`, `address`, `agent` and whether they last."""
    return db.all(_SIGN_INS, of=account.id, most=most)


def lasts(sign_in: Any) -> bool:
    """Whether the session of a sign-in is still alive."""
    now = clock.now()
    idle = timedelta(minutes=config.settings.session_idle_minutes)
    return not sign_in.ended_at and now < sign_in.ends_at and now < sign_in.seen_at + idle


def seen_from(account: Account, address: object) -> Seen:
    """Whether an account signed in from an address before."""
    times, last = db.one(_SEEN_FROM, of=account.id, address=str(address))
    return Seen(times, last)


def count_wrong(session: Session, address: object) -> Wrong:
    """Count a wrong second factor; after too many the sign-in ends, or a pause begins."""
    account = session.account
    of_sign_in = WRONG_PER_SIGN_IN - db.scalar(_COUNT_WRONG, of=session.id)
    in_a_row = db.scalar(_COUNT_IN_A_ROW, of=account.id)
    journal.record(account.chain, "factor.wrong", account.id, address, in_a_row=in_a_row)
    metrics.sign_ins.note("wrong_factor")
    until = None
    if in_a_row >= WRONG_IN_A_ROW:
        until = clock.now() + config.settings.pause
        db.execute(_PAUSE, {"of": account.id, "until": until})
        journal.record(account.chain, "factors.paused", account.id, address)
        tell(account, "factors.paused", address)  # somebody knows the password
    left = WRONG_IN_A_ROW - in_a_row
    if session.stage is Stage.PASSWORD:
        left = min(left, of_sign_in)
        if of_sign_in <= 0:
            end(session)
    return Wrong(max(0, left), until)


def forget_wrong(account: Account) -> None:
    """Begin to count anew, after a right second factor."""
    if account.wrong_factors:
        db.execute(_PAUSE, {"of": account.id, "until": None})


def live_values(token: str) -> dict[str, object]:
    """The parameters of LIVE: a session lasts so long unused (product.md, «Numbers»)."""
    now = clock.now()
    idle = timedelta(minutes=config.settings.session_idle_minutes)
    return {"seal": seal(token), "now": now, "idle_since": now - idle}


def seal(token: str) -> bytes:
    """What the row of a session knows of its token."""
    return hashlib.sha256(token.encode()).digest()
