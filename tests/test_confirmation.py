"""The confirmation as a noun: its moves, many at once, and any order of steps."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

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

from portal import clock, config, confirmation, create_app, journal, organisation
from portal.confirmation import Confirmation, Judgement, NotOpenError, Standing
from portal.confirmation.tables import codes, confirmations, proofs
from portal.database import db, metadata
from portal.outbox import messages
from tests.conftest import ADMINISTRATOR, ENVIRONMENT, LOMOVA, Post

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask import Flask

    from tests.conftest import Time

ADDRESS = "10.20.4.17"
AT_ONCE = 50
# Compiled once each, for a walk asks them at every step.
CONFIRMATIONS, MESSAGES = confirmations.select(), messages.select()
CODES = codes.select().order_by(codes.c.id)
EMPTYING = [table.delete() for table in reversed(metadata.sorted_tables)]


def load(id: str) -> Confirmation:
    found = confirmation.find(id)
    assert found is not None
    return found


@db.again
def act(id: str, verb: Callable[..., object], *arguments: object) -> object:
    """One step in a transaction of its own, as a request takes it."""
    with db.writing():
        outcome = verb(load(id), *arguments, ADDRESS)
        db.commit()
    return outcome


def rows(table: object) -> int:
    with db.reading():
        return len(db.all(table.select()))  # type: ignore[attr-defined]


# Many at once


def test_of_fifty_right_codes_at_once_one_is_taken(post: Post, asked: str) -> None:
    act(asked, confirmation.request_code)
    code = post.code()
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: act(asked, confirmation.enter_code, code), range(AT_ONCE))
        )
    assert {answer.judgement for answer in answers} == {Judgement.RIGHT}  # type: ignore[attr-defined]
    assert rows(proofs) == 1
    with db.reading():
        names = Counter(
            row.name for row in db.all(journal.events.select().order_by(journal.events.c.id))
        )
    assert names["phone.confirmed"] == 1


def test_of_fifty_wrong_codes_at_once_five_are_judged(post: Post, asked: str) -> None:
    act(asked, confirmation.request_code)
    wrong = "111111" if post.code() == "000000" else "000000"
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: act(asked, confirmation.enter_code, wrong), range(AT_ONCE))
        )
    kinds = Counter(answer.judgement for answer in answers)  # type: ignore[attr-defined]
    assert kinds == {Judgement.WRONG: 4, Judgement.USED_UP: AT_ONCE - 4}
    with db.reading():
        assert [row.tries for row in db.all(codes.select())] == [5]


def test_of_fifty_presses_at_once_one_sms_comes(post: Post, asked: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: act(asked, confirmation.request_code), range(AT_ONCE)))
    assert len(post.codes()) == 1


def test_of_fifty_follows_at_once_one_confirms(post: Post, asked: str) -> None:
    act(asked, confirmation.send_email_link)
    with db.reading():
        link = load(asked).email_link
    assert link is not None
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(lambda _: act(asked, confirmation.follow_email_link, link.id), range(AT_ONCE))
        )
    assert rows(proofs) == 1


def test_phone_and_email_at_once_complete_once(post: Post, asked: str) -> None:
    act(asked, confirmation.request_code)
    act(asked, confirmation.send_email_link)
    code = post.code()
    with db.reading():
        link = load(asked).email_link
    assert link is not None
    with ThreadPoolExecutor(2) as pool:
        pool.submit(act, asked, confirmation.enter_code, code)
        pool.submit(act, asked, confirmation.follow_email_link, link.id)
    assert len(post.letters(ADMINISTRATOR)) == 1
    assert rows(proofs) == 2


def test_requests_at_once_leave_one_open(app: Flask, keep: Callable[..., None]) -> None:
    keep()

    @db.again
    def request(_: int) -> None:
        with db.writing():
            found = organisation.find("ORG-004217")
            assert found is not None
            confirmation.request(found, "tests")
            db.commit()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(request, range(20)))
    with db.reading():
        states = Counter(row.state for row in db.all(CONFIRMATIONS))
    assert states == {"open": 1, "retired": 19}


# What waits in the post


def test_what_was_not_sent_is_withdrawn_when_its_request_ends(
    asked: str, ask: Callable[..., str], post: Post
) -> None:
    act(asked, confirmation.request_code)
    act(asked, confirmation.send_email_link)
    ask()
    letters = post.letters(LOMOVA.email)
    assert [each.subject for each in letters] == ["Подтверждение данных"]
    assert post.codes() == []
    with db.reading():
        assert all(row.words is None or row.due_at for row in db.all(MESSAGES))


def test_an_older_code_is_not_sent_after_a_newer_one(asked: str, post: Post, time: Time) -> None:
    act(asked, confirmation.request_code)
    time.passes(seconds=30)
    act(asked, confirmation.send_code_again)
    assert len(post.codes()) == 1
    answer = act(asked, confirmation.enter_code, post.code())
    assert answer.judgement is Judgement.RIGHT  # type: ignore[attr-defined]


# Any order of steps


class Walk(RuleBasedStateMachine):
    """Any steps in any order; what must hold, holds after each."""

    place: Path
    app: Flask

    @initialize()
    def begin(self) -> None:
        self.context = self.app.app_context()
        self.context.push()
        with db.writing():
            for rows in EMPTYING:
                db.execute(rows)
            db.commit()
        self.post = Post()
        self.phones, self.keep_phone = 0, LOMOVA.phone
        self.keep()
        self.id = self.request()
        self.sent_at: dict[str, list[object]] = {}
        self.right: str | None = None

    def teardown(self) -> None:
        clock.reset()
        self.context.pop()

    def keep(self) -> None:
        with db.writing():
            details = replace(LOMOVA, phone=self.keep_phone)
            organisation.save("ORG-004217", details, ADMINISTRATOR, "", "tests")
            db.commit()

    def request(self) -> str:
        with db.writing():
            found = organisation.find("ORG-004217")
            assert found is not None
            id = confirmation.request(found, "tests")
            db.commit()
        return id or self.id

    def step(self, verb: Callable[..., object], *arguments: object) -> object:
        with db.reading():
            before = load(self.id)
        try:
            return act(self.id, verb, *arguments)
        except NotOpenError:
            link_is_dead = verb is confirmation.follow_email_link and (
                not before.awaits_email_link or arguments[0] != before.email_link.id  # type: ignore[union-attr]
            )
            assert not before.is_open or link_is_dead
            return None

    @rule()
    def press_phone(self) -> None:
        self.step(confirmation.request_code)
        self.post.deliver()

    @rule()
    def send_again(self) -> None:
        count = rows(codes)
        with db.reading():
            code, paused = load(self.id).code, load(self.id).pause_ends_at
        self.step(confirmation.send_code_again)
        if paused or (code and clock.now() < code.again_at):
            assert rows(codes) == count
        self.post.deliver()

    @rule(which=st.sampled_from(["newest", "older", "000000", "12 34", "x"]))
    def type_code(self, which: str) -> None:
        with db.reading():
            before = load(self.id)
        known = self.post.codes(before.details.phone)
        typed = which
        if which == "newest" and known:
            typed = known[-1]
        if which == "older" and len(known) > 1:
            typed = known[-2]
        answer = self.step(confirmation.enter_code, typed)
        with db.reading():
            after = load(self.id)
        newly = after.phone_confirmed_at and not before.phone_confirmed_at
        live = before.awaits_code and not before.pause_ends_at
        assert bool(newly) == bool(live and known and typed == known[-1])
        if newly:
            assert answer == confirmation.Answer(Judgement.RIGHT)

    @rule()
    def press_email(self) -> None:
        self.step(confirmation.send_email_link)
        self.post.deliver()

    @rule(newest=st.booleans())
    def follow_link(self, *, newest: bool) -> None:
        with db.reading():
            before = load(self.id)
        link = before.email_link
        id = link.id if link and newest else "x" * 22
        self.step(confirmation.follow_email_link, id)
        with db.reading():
            after = load(self.id)
        newly = after.email_confirmed_at and not before.email_confirmed_at
        assert bool(newly) == bool(newest and before.awaits_email_link)

    @rule(seconds=st.sampled_from([1, 30, 61, 300, 601, 901, 86_401]))
    def wait(self, seconds: int) -> None:
        clock.shift(timedelta(seconds=seconds))

    @precondition(lambda self: self.phones < 3)
    @rule()
    def change_phone(self) -> None:
        self.phones += 1
        self.keep_phone = f"+7921555019{self.phones}"
        self.keep()
        with db.reading():
            assert load(self.id).standing in {
                Standing.CHANGED,
                Standing.COMPLETED,
                Standing.REPORTED,
                Standing.RETIRED,
            }

    @rule()
    def renew(self) -> None:
        self.id = self.request()

    @rule()
    def report(self) -> None:
        self.step(confirmation.report, {"position": "Директор"}, "")

    @invariant()
    def completed_means_both(self) -> None:
        if not hasattr(self, "id"):
            return
        with db.reading():
            found = load(self.id)
            completed = [row for row in db.all(CONFIRMATIONS) if row.state == "completed"]
            letters = [row for row in db.all(MESSAGES) if row.letter == "completed"]
            assert journal.first_broken_line() is None
        if found.state is Standing.COMPLETED:
            assert found.phone_confirmed_at
            assert found.email_confirmed_at
        assert len(letters) == len(completed)

    @invariant()
    def limits_hold(self) -> None:
        if not hasattr(self, "id"):
            return
        with db.reading():
            sent = db.all(CODES)
            assert all(row.tries <= 5 for row in sent)
        for earlier, later in zip(sent, sent[5:], strict=False):
            if earlier.confirmation_id == later.confirmation_id:
                assert later.posted_at - earlier.posted_at >= timedelta(minutes=10)

    @invariant()
    def nothing_secret_is_readable(self) -> None:
        if not hasattr(self, "id"):
            return
        stored = (self.place / "portal.db").read_bytes()
        for secret in (LOMOVA.email, LOMOVA.last_name, LOMOVA.phone, ADMINISTRATOR):
            assert secret.encode() not in stored


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
def test_any_order_of_steps_keeps_what_must_hold(tmp_path: Path, empty_database: Path) -> None:
    (tmp_path / "portal.db").write_bytes(empty_database.read_bytes())
    url = {"PORTAL_DATABASE_URL": f"sqlite:///{tmp_path}/portal.db"}
    Walk.app, Walk.place = create_app(config.load(ENVIRONMENT | url)), tmp_path
    run_state_machine_as_test(
        Walk,
        settings=settings(
            max_examples=80,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    db.dispose()


def test_the_sms_fits_and_fills_itself_in(asked: str, post: Post) -> None:
    act(asked, confirmation.request_code)
    post.deliver()
    text = post.sms.arrived[-1].text
    assert re.fullmatch(r"(\d{6}) — .+\n\n@127\.0\.0\.1 #\1", text)
    assert len(text) <= 134
