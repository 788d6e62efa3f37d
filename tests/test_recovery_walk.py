"""The recovery in any order of steps: what must hold, holds after each."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from portal import clock, device, journal, recovery
from portal.account import Role, session
from portal.database import db, metadata
from portal.recovery import (
    Approval,
    Case,
    Claim,
    Judgement,
    NotOpenError,
    Reason,
    Refusal,
    Standing,
    State,
    Verdict,
)
from portal.recovery.tables import cases
from tests.people import enrol
from tests.recovering import (
    ADDRESS,
    DAY,
    PHONE,
    WRONG,
    Scene,
    act,
    begin_enrolment,
    finish,
    look,
    posted,
    tell_apart,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask import Flask

# Compiled once each, for a walk asks them at every step.
ALL_CASES = cases.select()
EMPTYING = [table.delete() for table in reversed(metadata.sorted_tables)]


class Walk(RuleBasedStateMachine):
    """Any steps of anybody in any order; what must hold, holds after each."""

    app: Flask
    keep: Callable[[], None]

    @initialize(kind=st.sampled_from(["operator", "administrator", "routed"]))
    def begin(self, kind: str) -> None:
        self.context = self.app.app_context()
        self.context.push()
        with db.writing():
            for rows in EMPTYING:
                db.execute(rows)
            db.commit()
        self.keep()
        role = Role.ADMINISTRATOR if kind == "administrator" else Role.OPERATOR
        owner = enrol("p@sever-trakt.example", role, phone=PHONE).account
        self.people = [tell_apart(name) for name in ("first", "second", "third")]
        self.scene = Scene(owner, self.people[0], self.people[1])
        self.people.append(owner)
        if kind == "routed":
            self.people.append(self.scene.administrator())
        self.codes: dict[str, str] = {}
        self.enough: set[str] = set()
        self.entered: set[str] = set()
        self.ended: dict[str, Any] = {}
        self.tokens: list[tuple[str, str]] = []

    def teardown(self) -> None:
        clock.reset()
        if hasattr(self, "context"):
            self.context.pop()

    @property
    def case(self) -> Case | None:
        found: Case | None = look(recovery.last_case_of, self.scene.owner)
        if found:
            self.scene.case = found
        return found

    def step(self, verb: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return act(verb, *arguments)
        except NotOpenError:
            return NotOpenError

    def learn(self) -> None:
        """What the owner reads in the letters."""
        for row in posted("case_code", due=True):
            self.codes[row.about] = words(row)["code"]

    @rule(by_phone=st.booleans())
    def open(self, *, by_phone: bool) -> None:
        before = self.case
        arguments = (self.scene.owner, "cabinet", ADDRESS)
        verb: Callable[..., Any] = recovery.open_by_owner
        if by_phone:
            verb = recovery.open_by_specialist
            arguments = (self.people[0], self.scene.owner.email, PHONE, "cabinet", ADDRESS)  # type: ignore[assignment]
        opened = self.step(verb, *arguments)
        assert isinstance(opened, Case) or opened in {Refusal.OPEN_CASE, Refusal.TOO_MANY}
        assert (opened is Refusal.OPEN_CASE) == bool(before and before.is_open)

    @precondition(lambda self: hasattr(self, "people") and self.case)
    @rule(who=st.integers(0, 4), own=st.booleans())
    def claim(self, who: int, *, own: bool) -> None:
        case, person = self.case, self.people[who % len(self.people)]
        number = self.scene.number(None if own else self.people[2])
        result = self.step(recovery.claim_number, case, person, number, ADDRESS)
        if result is Claim.FOUND:
            assert case
            assert own
            assert person.role is Role.SPECIALIST
            assert case.specialist_id in {None, person.id}

    @precondition(lambda self: hasattr(self, "people") and self.case)
    @rule(who=st.integers(0, 4), right=st.booleans())
    def decide(self, who: int, *, right: bool) -> None:
        case, person = self.case, self.people[who % len(self.people)]
        assert case
        answers = self.scene.answers if right else WRONG
        verdict = self.step(recovery.decide, case, person, answers, ADDRESS)
        if verdict is Verdict.ENOUGH:
            assert right
            assert case.standing is Standing.ASKING
            assert person.id == case.specialist_id != case.owner.id
            self.enough.add(case.id)
        self.learn()

    @precondition(lambda self: hasattr(self, "people") and self.case)
    @rule(who=st.integers(0, 4))
    def approve(self, who: int) -> None:
        case, person = self.case, self.people[who % len(self.people)]
        assert case
        said = self.step(recovery.approve, case, person, ADDRESS)
        if said is Approval.APPROVED:
            assert len({case.owner.id, case.specialist_id, person.id}) == 3
        self.learn()

    @precondition(lambda self: hasattr(self, "people") and self.case)
    @rule(who=st.integers(0, 4))
    def refuse(self, who: int) -> None:
        case, person = self.case, self.people[who % len(self.people)]
        if self.step(recovery.refuse, case, person, Reason.STRANGER, ADDRESS) is True:
            assert person.id != self.scene.owner.id

    @rule(who=st.integers(0, 4))
    def grant(self, who: int) -> None:
        person = self.people[who % len(self.people)]
        granted = self.step(recovery.grant_by_administrator, person, self.scene.owner, ADDRESS)
        if isinstance(granted, Case):
            assert person is self.people[-1]
            assert person.role is Role.ADMINISTRATOR
            assert granted.owner.role is Role.OPERATOR
            self.enough.add(granted.id)
        self.learn()

    @rule(by_link=st.booleans())
    def cancel(self, *, by_link: bool) -> None:
        case = self.case
        if by_link and case:
            ended = self.step(recovery.cancel_by_link, case.id, ADDRESS)
        else:
            ended = self.step(recovery.cancel_by_sign_in, self.scene.owner, ADDRESS)
        assert bool(ended) == bool(case and case.is_open)

    @precondition(lambda self: hasattr(self, "people") and self.case)
    @rule(right=st.booleans(), here=st.booleans())
    def enter(self, *, right: bool, here: bool) -> None:
        case = self.case
        assert case
        typed = self.codes.get(case.id, "none") if right else "wrong"
        cookie = self.scene.cookie if here else ""
        answer = self.step(recovery.enter_code, case, self.scene.owner, typed, cookie, ADDRESS)
        if answer.judgement is Judgement.RIGHT:
            assert right
            assert case.standing is Standing.GRANTED
            assert here or case.diagnostics_id is None
            self.entered.add(case.id)
            self.tokens.append((case.id, act(begin_enrolment, self.scene.owner, case)))

    @precondition(lambda self: bool(getattr(self, "tokens", ())))
    @rule(which=st.integers(0, 9))
    def finish(self, which: int) -> None:
        id, token = self.tokens.pop(which % len(self.tokens))
        if look(session.find, token) is None:
            return
        before = look(recovery.find, id)
        done = self.step(finish, self.scene.owner, token)
        if done is not NotOpenError:
            assert not before.ended_at
            assert id in self.entered & self.enough
            assert [each.id for each in look(device.devices_of, self.scene.owner.id)] == [done]

    @rule(steps=st.integers(1, 8))
    def go_on(self, steps: int) -> None:
        """What everybody is there for: left to chance alone, no case would come so far."""
        for _ in range(steps):
            case = self.case
            standing = case.standing if case else Standing.EXPIRED
            administrator = len(self.people) - 1
            match standing:
                case Standing.OPENED:
                    self.claim(0, own=True)
                case Standing.ROUTED:
                    self.grant(administrator)
                case Standing.ASKING:
                    self.scene.cookie = ""
                    worker = [each.id for each in self.people].index(str(case.specialist_id))  # type: ignore[union-attr]
                    self.claim(worker, own=True)
                    self.decide(worker, right=True)
                case Standing.APPROVAL:
                    self.approve(0)
                    self.approve(1)
                case Standing.WAITING if case and case.wait_until:
                    clock.shift(case.wait_until - clock.now())
                case Standing.GRANTED if not self.tokens:
                    self.enter(right=True, here=True)
                case Standing.GRANTED:
                    self.finish(-1)
                case _:
                    self.open(by_phone=False)

    @rule(hours=st.sampled_from([0.15, 1, 20, 24, 72]))
    def wait(self, hours: float) -> None:
        clock.shift(timedelta(hours=hours))

    @invariant()
    def what_must_hold_holds(self) -> None:
        if not hasattr(self, "tokens"):
            return
        with db.reading():
            rows = db.all(ALL_CASES)
            assert journal.first_broken_line() is None
            assert device.has_device(self.scene.owner.id)
        assert sum(row.ended_at is None for row in rows) <= 1, "one open case"
        for row in rows:
            assert row.tries <= 5
            if row.id in self.ended:
                assert row == self.ended[row.id], "an ended case never moves"
            if row.ended_at:
                self.ended[row.id] = row
            if row.state == State.COMPLETED:
                self.check_completed(row)
            if row.approved_by:
                assert len({row.account_id, row.specialist_id, row.approved_by}) == 3

    def check_completed(self, row: Any) -> None:
        assert row.id in self.enough & self.entered
        assert row.wait_until <= row.ended_at
        if row.service:  # which a specialist asks about
            assert row.wait_until - row.decided_at >= DAY
        if self.scene.owner.role is Role.ADMINISTRATOR:
            assert row.approved_by
            assert row.wait_until - row.decided_at >= 3 * DAY
        granted_at = max(row.wait_until, row.approved_at or row.wait_until)
        assert row.ended_at < granted_at + DAY + timedelta(minutes=10)

    @invariant()
    def nothing_of_an_ended_case_is_in_the_post(self) -> None:
        if not hasattr(self, "tokens"):
            return
        ends = {"case_cancelled", "case_refused", "case_completed"}
        for row in posted(due=True):
            assert row.about not in self.ended or row.letter in ends


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
def test_any_order_of_steps_keeps_what_must_hold(
    tmp_path: Path, app: Flask, keep: Callable[..., None]
) -> None:
    Walk.app, Walk.keep = app, staticmethod(keep)
    run_state_machine_as_test(
        Walk,
        settings=settings(
            max_examples=25 if db.url.startswith("postgresql") else 100,  # there five times as long
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
