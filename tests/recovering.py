"""A recovery, step by step: everybody who has to do with a case, and what they do."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pyotp

from portal import clock, device, diagnostics, journal, recovery
from portal.account import Account, Role, session
from portal.account.session import Stage
from portal.clock import MOSCOW
from portal.database import db
from portal.outbox import messages
from portal.recovery import Answer, Approval, Case, Claim, Judgement, Standing, Verdict
from tests.people import enrol

if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESS = "10.20.4.17"
SUPPORT_ADDRESS = "10.20.0.3"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/156.0.0.0 Safari/537.36"
)
ORGANISATION, OTHER = "ORG-004217", "ORG-000318"
PHONE = "+79215550199"
WRONG = {"created": "не помню", "second_factor": ""}
DAY = timedelta(hours=24)
_MESSAGES = messages.select().order_by(messages.c.posted_at)  # compiled once, and asked often
_EVENTS = journal.events.select().order_by(journal.events.c.id)


@db.again
def act(verb: Callable[..., Any], *arguments: Any) -> Any:
    """One step in a transaction of its own, as a request takes it."""
    with db.writing():
        outcome = verb(*arguments)
        db.commit()
    return outcome


def look(verb: Callable[..., Any], *arguments: Any) -> Any:
    with db.reading():
        return verb(*arguments)


def load(case: Case) -> Case:
    found: Case | None = look(recovery.find, case.id)
    assert found is not None
    return found


def posted(letter: str = "", *, due: bool = False) -> list[Any]:
    """Messages of a kind, oldest first; those that are still to leave."""
    with db.reading():
        rows = db.all(_MESSAGES)
    return [
        row
        for row in rows
        if row.letter.startswith(letter or "case_") and (row.due_at is not None or not due)
    ]


def words(row: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(row.words)
    return found


def events(name: str) -> list[Any]:
    with db.reading():
        return [row for row in db.all(_EVENTS) if row.name == name]


@dataclass
class Scene:
    """Everybody who has to do with a case, and their steps."""

    owner: Account
    specialist: Account
    second: Account
    cookie: str = ""
    case: Case = field(init=False)

    @property
    def answers(self) -> dict[str, str]:
        created = self.owner.created_at.astimezone(MOSCOW)
        return {"created": f"{created:%d.%m.%Y %H:%M}", "second_factor": f"{created:%d.%m.%Y}"}

    def open(self) -> Case:
        opened = act(recovery.open_by_owner, self.owner, "cabinet", ADDRESS)
        assert isinstance(opened, Case)
        self.case = opened
        return opened

    def number(self, owner: Account | None = None) -> str:
        """The number of the owner's computer; its browser keeps the cookie."""
        about = owner or self.owner
        self.cookie = act(diagnostics.begin, about.id, ADDRESS, CHROME, self.cookie)
        found: str = look(diagnostics.of_browser, self.cookie).shown_number
        return found

    def ask(self) -> Case:
        self.open()
        assert self.claim() is Claim.FOUND
        return load(self.case)

    def claim(self, specialist: Account | None = None, number: str = "") -> Claim:
        found: Claim = act(
            recovery.claim_number,
            load(self.case),
            specialist or self.specialist,
            number or self.number(),
            SUPPORT_ADDRESS,
        )
        return found

    def decide(self, answers: dict[str, str] | None = None) -> Verdict:
        found: Verdict = act(
            recovery.decide,
            load(self.case),
            self.specialist,
            self.answers if answers is None else answers,
            SUPPORT_ADDRESS,
        )
        return found

    def wait(self) -> Case:
        self.ask()
        assert self.decide() is Verdict.ENOUGH
        return load(self.case)

    def approve(self, approver: Account | None = None) -> Approval:
        found: Approval = act(
            recovery.approve, load(self.case), approver or self.second, SUPPORT_ADDRESS
        )
        return found

    def grant(self) -> Case:
        """A case whose wait is over."""
        waiting = self.wait()
        if waiting.standing is Standing.APPROVAL:
            self.approve()
        assert waiting.wait_until
        clock.shift(waiting.wait_until - clock.now())
        granted = load(self.case)
        assert granted.standing is Standing.GRANTED
        return granted

    @property
    def code(self) -> str:
        """The newest code; its letter is still in the post."""
        code: str = words(posted("case_code", due=True)[-1])["code"]
        return code

    def enter(
        self, typed: str = "", owner: Account | None = None, cookie: str | None = None
    ) -> Answer:
        found: Answer = act(
            recovery.enter_code,
            load(self.case),
            owner or self.owner,
            typed or self.code,
            self.cookie if cookie is None else cookie,
            ADDRESS,
        )
        return found

    def enrolment(self) -> str:
        """Who typed the right code may enrol."""
        assert self.enter().judgement is Judgement.RIGHT
        token: str = act(begin_enrolment, self.owner, self.case)
        return token

    def finish(self, token: str) -> str:
        """A new device in place of the lost one; returns its id."""
        id: str = act(finish, self.owner, token)
        return id

    def administrator(self) -> Account:
        return enrol("b@sever-trakt.example", Role.ADMINISTRATOR, name="Соколова Анна").account


def begin_enrolment(owner: Account, case: Case) -> str:
    return session.begin(owner, Stage.ENROLMENT, ADDRESS, CHROME, case_id=case.id)


def finish(owner: Account, token: str) -> str:
    found = session.find(token)
    assert found is not None, "the session has ended"
    secret = device.new_secret()
    code = pyotp.TOTP(secret).at(clock.now())
    id = device.add_totp(owner, secret, code, "", ADDRESS)
    assert isinstance(id, str)
    recovery.complete(found, id, ADDRESS)
    return id


def tell_apart(name: str, role: Role = Role.SPECIALIST) -> Account:
    return enrol(f"{name}@izkt.example", role, name=name).account
