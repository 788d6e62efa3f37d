"""What a case is: where it stands, and how it is found."""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, or_, select, true

from portal import clock, config
from portal.account import STAFF, Account
from portal.account.account import COLUMNS, read
from portal.account.session import SHORT
from portal.account.tables import accounts
from portal.database import LARGEST, db
from portal.language import mark as _
from portal.organisation import memberships
from portal.recovery.tables import cases
from portal.version import version_of

OPEN_LASTS = timedelta(hours=72)  # until the answers are judged: over a weekend (docs/decisions.md)
GRANT_LASTS = timedelta(hours=24)  # product.md, «Numbers»: 24 hours to use the grant
APPROVED_WITHIN = GRANT_LASTS  # after the wait, a second specialist may still agree
LAST_NUMBER = LARGEST  # no case ever has it
FIRST_OVER = LAST_NUMBER // 2  # in a list: open cases by number before it, others from the end on


class State(StrEnum):
    """How far a case has come, as it is stored."""

    OPENED = "opened"  # the person is to call and to read out the computer's number
    ROUTED = "routed"  # the organisation's administrators are to look after it
    ASKING = "asking"  # a specialist asks the questions
    WAITING = "waiting"  # the answers were enough; a code is on its way
    COMPLETED = "completed"
    REFUSED = "refused"
    CANCELLED = "cancelled"


class Standing(StrEnum):
    """Where a case stands now. The last three are never stored: time is not a move."""

    OPENED = "opened"
    ROUTED = "routed"
    ASKING = "asking"
    WAITING = "waiting"
    COMPLETED = "completed"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    APPROVAL = "approval"  # a second specialist has to agree
    GRANTED = "granted"  # the wait is over: the code works
    EXPIRED = "expired"


class Reason(StrEnum):
    """Why a case ended without a new device."""

    ANSWERS = "answers"
    TRIES = "tries"
    STRANGER = "stranger"
    DENIED = "denied"
    REVOKED = "revoked"
    COMPUTER = "computer"
    WITHDRAWN = "withdrawn"
    LINK = "link"
    SIGN_IN = "sign_in"
    CHANGED = "changed"
    WRONG_FACTORS = "wrong_factors"
    SUSPENDED = "suspended"
    WORKER = "worker"
    EXPIRED = "expired"


REASONS = {
    Reason.ANSWERS: _("Ответов оказалось недостаточно."),
    Reason.TRIES: _("Одноразовый код пять раз ввели неверно."),
    Reason.STRANGER: _("Похоже, что обращается не владелец учётной записи."),
    Reason.DENIED: _("Администратор организации решил, что обращается не владелец."),
    Reason.REVOKED: _("Администратор организации отозвал код."),
    Reason.COMPUTER: _("Компьютер не подходит: незнакомый адрес или не тот браузер."),
    Reason.WITHDRAWN: _("Владелец попросил остановить: восстанавливать больше не нужно."),
    Reason.LINK: _("Остановлено по ссылке из письма владельцу."),
    Reason.SIGN_IN: _("Владелец вошёл со своим устройством или резервным кодом."),
    Reason.CHANGED: _("Email, роль или пароль учётной записи изменили."),
    Reason.WRONG_FACTORS: _("Много раз подряд ввели неверный второй фактор."),
    Reason.SUSPENDED: _("Учётную запись приостановили."),
    Reason.WORKER: _("Тот, кто занимался обращением, больше не может этого делать."),
    Reason.EXPIRED: _("Срок истёк."),
}
CHOSEN_REASONS = (Reason.STRANGER, Reason.COMPUTER, Reason.WITHDRAWN)  # by who refuses


class NotOpenError(Exception):
    """The case does not take this action, or no action any more; its standing says why."""


@dataclass(frozen=True, slots=True)
class Case:
    """One recovery of a lost device."""

    id: str
    number: int
    owner: Account
    state: State
    service: str
    opened_at: datetime
    opened_by: str
    specialist_id: str | None
    diagnostics_id: str | None
    answers: dict[str, str] = field(repr=False)
    decided_at: datetime | None
    wait_until: datetime | None
    approved_by: str | None
    approved_at: datetime | None
    seal: bytes | None = field(repr=False)
    tries: int
    ended_at: datetime | None
    reason: Reason | None

    @property
    def standing(self) -> Standing:
        if self.reason is Reason.EXPIRED or (not self.ended_at and clock.now() >= self.expires_at):
            return Standing.EXPIRED
        if self.state is not State.WAITING:
            return Standing(self.state)
        if self.needs_approval:
            return Standing.APPROVAL
        return Standing.GRANTED if self.has_waited else Standing.WAITING

    @property
    def expires_at(self) -> datetime:
        """When the case comes to nothing, if nobody acts. Of a grant: until when it is used.

        So a second specialist has as long for agreeing as the owner for the code.
        """
        if not self.wait_until:
            return self.opened_at + OPEN_LASTS
        return max(self.wait_until, self.approved_at or self.wait_until) + GRANT_LASTS

    @property
    def ends_at(self) -> datetime:
        """Until when it can end otherwise than by time: who gave the code is let in for a while."""
        return self.expires_at + SHORT if self.wait_until else self.expires_at

    @property
    def needs_approval(self) -> bool:
        """Whether a second specialist has yet to agree: there is no code before.

        Nor is there one for who was made administrator or specialist since.
        """
        return (
            self.state is State.WAITING
            and not self.approved_by
            and (self.seal is None or self.owner.role in STAFF)
        )

    @property
    def has_waited(self) -> bool:
        return self.wait_until is not None and clock.now() >= self.wait_until

    @property
    def is_open(self) -> bool:
        return not self.ended_at and self.standing is not Standing.EXPIRED

    @property
    def may_be_stopped(self) -> bool:
        """Whether somebody may yet come in by it: also who gave the code, and enrols a device."""
        return not self.ended_at and clock.now() < self.ends_at

    @property
    def is_administrators(self) -> bool:
        """Whether the organisation's administrators look after it, and specialists have no say.

        Then nobody asks questions, so it is about no service.
        """
        return not self.service

    @property
    def version(self) -> str:
        """A short word that changes whenever a page of the case would read differently."""
        seen = (
            self.standing,
            self.has_waited,
            self.specialist_id,
            self.diagnostics_id,
            self.tries,
            self.ended_at,
        )
        return version_of(*seen)

    def must_be(self, *standings: Standing) -> None:
        """Raise NotOpenError unless the case stands in one of these."""
        if self.standing not in standings:
            raise NotOpenError(self.standing)


class Which(StrEnum):
    """Which cases a list shows."""

    ALL = "all"
    OPEN = "open"
    ENDED = "ended"


class Listed(NamedTuple):
    """A page of cases; `after` begins the next page, None if this is the last one."""

    cases: list[Case]
    after: int | None


_SEEN = select(*COLUMNS, *(each.label(f"case_{each.key}") for each in cases.c)).join(
    accounts, accounts.c.id == cases.c.account_id
)
_BY_ID = _SEEN.where(cases.c.id == bindparam("of"))
_NEWEST_OF = (
    _SEEN.where(cases.c.account_id == bindparam("of")).order_by(cases.c.number.desc()).limit(1)
)
_WORKED_ON = _SEEN.where(
    cases.c.ended_at.is_(None),
    or_(cases.c.specialist_id == bindparam("by"), cases.c.approved_by == bindparam("by")),
)
_ROUTED = (
    _SEEN.join(memberships, memberships.c.account_id == accounts.c.id)
    .where(
        memberships.c.organisation_id == bindparam("of"),
        cases.c.ended_at.is_(None),
        cases.c.state == State.ROUTED,
        cases.c.opened_at > bindparam("opened_since"),
    )
    .order_by(cases.c.number)
    .limit(bindparam("most"))
)
# The same as `standing`, for all rows at once.
_IS_OPEN = and_(
    cases.c.ended_at.is_(None),
    or_(
        and_(cases.c.wait_until.is_(None), cases.c.opened_at > bindparam("opened_since")),
        cases.c.wait_until > bindparam("granted_since"),
        cases.c.approved_at > bindparam("granted_since"),
    ),
)
# Each goes along an index, for a list is looked at again and again.
_OPEN_BEHIND = (
    _SEEN.where(_IS_OPEN, cases.c.number > bindparam("after"))
    .order_by(cases.c.number)
    .limit(bindparam("most"))
)
_OVER_BEFORE = (
    _SEEN.where(_IS_OPEN.is_not(true()), cases.c.number < bindparam("before"))
    .order_by(cases.c.number.desc())
    .limit(bindparam("most"))
)


def longest() -> timedelta:
    """How long a case may be open at most: until then its browser has to be known."""
    wait = max(config.settings.recovery_hours, config.settings.recovery_staff_hours)
    return OPEN_LASTS + timedelta(hours=wait) + APPROVED_WITHIN + GRANT_LASTS


def find(id: str) -> Case | None:
    """The case of that id."""
    row = db.one(_BY_ID, of=id)
    return _read(row) if row else None


def last_case_of(owner: Account) -> Case | None:
    """The newest case of an account, whatever came of it."""
    row = db.one(_NEWEST_OF, of=owner.id)
    return _read(row) if row else None


def open_case_of(owner: Account) -> Case | None:
    """The case of an account that is open now; there is one at most."""
    last = last_case_of(owner)
    return last if last and last.is_open else None


def worked_on_by(worker: Account) -> list[Case]:
    """Cases that have not ended, which somebody works on, granted or agreed to."""
    return [_read(row) for row in db.all(_WORKED_ON, by=worker.id)]


def routed_in(organisation_id: str, most: int) -> list[Case]:
    """Cases that wait for an organisation's administrators, the oldest first."""
    since = clock.now() - OPEN_LASTS
    rows = db.all(_ROUTED, of=organisation_id, opened_since=since, most=most)
    return [_read(row) for row in rows]


def list_cases(which: Which = Which.ALL, after: int = 0, most: int = 20) -> Listed:
    """Cases, open ones first, the oldest first; then the others, the newest first."""
    now, limit = clock.now(), most + 1
    since = {"opened_since": now - OPEN_LASTS, "granted_since": now - GRANT_LASTS}
    rows: dict[int, Any] = {}  # by what a next page begins behind
    if which is not Which.ENDED and after < FIRST_OVER:
        found = db.all(_OPEN_BEHIND, after=after, most=limit, **since)
        rows |= {row.case_number: row for row in found}
    if which is not Which.OPEN and len(rows) < limit:
        before = LAST_NUMBER - max(after, FIRST_OVER)
        found = db.all(_OVER_BEFORE, before=before, most=limit - len(rows), **since)
        rows |= {LAST_NUMBER - row.case_number: row for row in found}
    shown = list(rows)[:most]
    return Listed([_read(rows[each]) for each in shown], shown[-1] if len(rows) > most else None)


def _read(row: Any) -> Case:
    own = {each.key: getattr(row, f"case_{each.key}") for each in cases.c}
    own["state"] = State(own["state"])
    own["reason"] = Reason(own["reason"]) if own["reason"] else None
    own["answers"] = json.loads(own["answers"]) if own["answers"] else {}
    del own["account_id"]
    return Case(owner=read(row), **own)
