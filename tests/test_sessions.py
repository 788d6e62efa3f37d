"""Sessions as rows: how long they last, what ends them, and what a second factor changes."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from portal import account, clock, config, journal, networks
from portal.account import Account, NotAllowedError, Role, session
from portal.account.session import Seen, Session, Stage, Wrong
from portal.account.tables import sessions
from portal.database import db
from portal.outbox import messages
from tests.people import enrol

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from tests.conftest import Time

ADDRESS = "10.20.4.17"
ELSEWHERE = "10.20.9.99"
AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Firefox/145.0"
A_BIT = timedelta(seconds=5)


@db.again
def act(verb: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """One step in a transaction of its own, as a request takes it."""
    with db.writing():
        outcome = verb(*arguments, **named)
        db.commit()
    return outcome


def rows(table: Any) -> list[Any]:
    with db.reading():
        return db.all(select(table))


def find(token: str) -> Session | None:
    with db.reading():
        return session.find(token)


def live(token: str) -> Session:
    found = find(token)
    assert found, "the session lives"
    return found


def reload(owner: Account) -> Account:
    with db.reading():
        found = account.find(owner.id)
    assert found
    return found


def begin(owner: Account, stage: Stage = Stage.PASSWORD, **named: Any) -> str:
    return str(act(session.begin, owner, stage, ADDRESS, AGENT, **named))


def renew(token: str, factor: str = "totp", address: str = ADDRESS, agent: str = AGENT) -> str:
    return str(act(session.renew, live(token), factor, address, agent))


def sign_in(owner: Account) -> str:
    return renew(begin(owner))


def use(token: str) -> bool:
    """A request of somebody who is signed in."""
    return bool(act(session.see, live(token)))


@pytest.fixture
def owner(app: Flask) -> Account:
    return enrol("p.orlova@izkt.example", Role.SPECIALIST, name="Орлова Полина").account


@pytest.fixture
def another(app: Flask) -> Account:
    return enrol("v.orlov@izkt.example", Role.SPECIALIST, name="Орлов Виктор").account


# How long a session lasts


@pytest.mark.parametrize("stage", [Stage.PASSWORD, Stage.ENROLMENT])
def test_who_is_on_the_way_in_has_ten_minutes(owner: Account, time: Time, stage: Stage) -> None:
    token = begin(owner, stage)
    time.passes(minutes=9, seconds=55)
    assert live(token).stage is stage
    assert use(token)
    time.passes(seconds=5)
    assert find(token) is None


def test_who_does_nothing_for_thirty_minutes_is_out(owner: Account, time: Time) -> None:
    token = sign_in(owner)
    time.passes(minutes=29, seconds=55)
    assert find(token)
    time.passes(seconds=5)
    assert find(token) is None


def test_who_goes_on_working_is_out_after_twelve_hours(owner: Account, time: Time) -> None:
    token = sign_in(owner)
    for _half_hour in range(24):
        time.passes(minutes=29)
        assert use(token)
    time.passes(minutes=23, seconds=55)
    assert use(token)
    time.passes(seconds=5)
    assert find(token) is None


def test_the_settings_say_how_long(owner: Account, time: Time) -> None:
    before = config.settings
    config.use(replace(before, session_hours=1, session_idle_minutes=5))
    token = sign_in(owner)
    time.passes(minutes=5)
    assert find(token) is None
    token = sign_in(owner)
    for _four_minutes in range(14):
        time.passes(minutes=4)
        use(token)
    time.passes(minutes=4)
    assert find(token) is None
    config.use(before)


def test_looking_keeps_no_session_alive(owner: Account, time: Time) -> None:
    token = sign_in(owner)
    for _minute in range(30):
        assert find(token)
        time.passes(minutes=1)
    assert find(token) is None


def test_use_is_noted_every_ten_seconds(owner: Account, time: Time) -> None:
    token = sign_in(owner)
    assert not use(token)
    time.passes(seconds=10)
    assert use(token)
    assert not use(token)
    assert live(token).seen_at == pytest.approx(clock.now(), abs=A_BIT)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8"), max_size=100))
@example("")
def test_no_other_text_is_a_token(owner: Account, typed: str) -> None:
    if not rows(sessions):
        begin(owner)
    assert find(typed) is None


def test_no_token_and_nothing_of_a_browser_is_readable_in_the_database(
    owner: Account, everything_stored: Callable[[], bytes]
) -> None:
    first = begin(owner)
    second = renew(first)
    act(session.keep, live(second), secret="JBSWY3DPEHPK3PXP", name="Рабочий телефон")
    everything = everything_stored()
    name = "Рабочий телефон"
    for secret in (first, second, AGENT, "JBSWY3DPEHPK3PXP", name, json.dumps(name)[1:-1]):
        assert secret.encode() not in everything
    assert owner.id.encode() in everything, "what is no secret is found"


def test_a_browser_that_talks_much_is_cut_short(owner: Account) -> None:
    token = str(act(session.begin, owner, Stage.PASSWORD, None, "Ы" * 10_000))
    assert (live(token).agent, live(token).address) == ("Ы" * 400, "")
    token = renew(token, agent="Ю" * 10_000)
    assert live(token).agent == "Ю" * 400


# The second factor


@pytest.mark.parametrize("stage", [Stage.PASSWORD, Stage.ENROLMENT])
def test_the_second_factor_completes_a_sign_in_under_a_new_token(
    owner: Account, time: Time, stage: Stage
) -> None:
    older = begin(owner, stage, link_id="x" * 22, case_id="y" * 22)
    act(session.keep, live(older), challenge="00ff")
    act(session.count_wrong, live(older), ADDRESS)
    time.passes(minutes=9)
    newer = renew(older, "passkey", ELSEWHERE)
    assert find(older) is None
    assert newer != older
    found = live(newer)
    assert found.stage is Stage.FULL
    assert found.factor == "passkey"
    assert found.address == ELSEWHERE
    assert (found.wrong, found.pending, found.link_id, found.case_id) == (0, {}, None, None)
    for moment in (found.begun_at, found.seen_at, found.factor_at):
        assert moment == pytest.approx(clock.now(), abs=A_BIT)
    assert found.ends_at == pytest.approx(clock.now() + timedelta(hours=12), abs=A_BIT)
    assert len(rows(sessions)) == 1


def test_a_second_factor_asked_for_again_leaves_the_sign_in_as_it_was(
    owner: Account, time: Time
) -> None:
    older = sign_in(owner)
    before = live(older)
    time.passes(minutes=20)
    act(session.keep, before, secret="x")
    newer = renew(older, "code", ELSEWHERE)
    assert find(older) is None
    found = live(newer)
    assert (found.factor, found.pending) == ("code", {})
    assert found.factor_at == pytest.approx(clock.now(), abs=A_BIT)
    for name in ("id", "stage", "begun_at", "ends_at", "address"):
        assert getattr(found, name) == getattr(before, name)
    time.passes(minutes=29)
    assert find(newer), "giving it is a use"


def test_a_second_factor_is_fresh_for_five_minutes(owner: Account, time: Time) -> None:
    assert not live(begin(owner)).is_fresh
    token = sign_in(owner)
    time.passes(minutes=4, seconds=55)
    assert live(token).is_fresh
    time.passes(seconds=5)
    assert not live(token).is_fresh
    assert live(renew(token)).is_fresh


@pytest.mark.parametrize("stage", list(Stage))
def test_what_has_ended_meanwhile_does_not_come_back(owner: Account, stage: Stage) -> None:
    token = begin(owner, stage)
    found = live(token)
    assert act(session.end, found)
    with pytest.raises(NotAllowedError):
        act(session.renew, found, "totp", ADDRESS, AGENT)
    assert [row.ended_at is None for row in rows(sessions)] == [False]
    lines = [row.name for row in rows(journal.events)]
    assert "session.begun" not in lines


def test_a_sign_in_is_in_the_journal_once(owner: Account) -> None:
    token = renew(begin(owner), "passkey")
    renew(renew(token))
    (line,) = (row for row in rows(journal.events) if row.name == "session.begun")
    assert (line.chain, line.actor, line.address) == (owner.chain, owner.id, ADDRESS)
    assert json.loads(line.details) == {"factor": "passkey"}


def test_of_many_renewals_at_once_one_token_is_left(owner: Account) -> None:
    before = live(begin(owner))
    with ThreadPoolExecutor(8) as pool:
        tokens = list(
            pool.map(lambda _: act(session.renew, before, "totp", ADDRESS, AGENT), range(20))
        )
    assert len([token for token in tokens if find(token)]) == 1


# Wrong second factors


def count_wrong(token: str) -> Wrong:
    wrong = act(session.count_wrong, live(token), ADDRESS)
    assert isinstance(wrong, Wrong)
    return wrong


def test_five_wrong_second_factors_end_a_sign_in(owner: Account) -> None:
    token = begin(owner)
    assert [count_wrong(token) for _ in range(5)] == [Wrong(left, None) for left in (4, 3, 2, 1, 0)]
    assert find(token) is None


@pytest.mark.parametrize("stage", [Stage.ENROLMENT, Stage.FULL])
def test_who_is_further_is_not_thrown_out(owner: Account, stage: Stage) -> None:
    token = begin(owner, stage)
    wrong = [count_wrong(token) for _try in range(6)]
    assert wrong[-1] == Wrong(4, None), "a pause comes after ten"
    assert live(token).wrong == 6


def test_the_tries_that_are_told_end_with_the_pause(owner: Account) -> None:
    for _sign_in in range(2):
        token = begin(owner)
        for _try in range(4):
            count_wrong(token)
    token = begin(owner)
    assert count_wrong(token) == Wrong(1, None), "nine in a row: the next one is the last"
    assert count_wrong(token).paused_until


def test_ten_wrong_in_a_row_pause_the_account_for_15_minutes(owner: Account, time: Time) -> None:
    tokens = [begin(owner), begin(owner)]
    for token in tokens:
        for _try in range(4):
            count_wrong(token)
    assert count_wrong(begin(owner)).paused_until is None
    assert reload(owner).pause_ends_at is None
    tenth = count_wrong(begin(owner))
    assert tenth.paused_until == pytest.approx(clock.now() + timedelta(minutes=15), abs=A_BIT)
    assert tenth.paused_until == reload(owner).pause_ends_at
    assert find(tokens[0]), "the pause ends no sign-in"
    time.passes(minutes=14, seconds=55)
    assert reload(owner).pause_ends_at
    time.passes(seconds=5)
    assert reload(owner).pause_ends_at is None
    assert reload(owner).wrong_factors == 0
    names = Counter(row.name for row in rows(journal.events) if row.chain == owner.chain)
    assert (names["factor.wrong"], names["factors.paused"]) == (10, 1)
    (letter,) = rows(messages)
    assert letter.recipient == owner.email
    assert json.loads(letter.words)["event"] == "factors.paused"


def test_a_right_second_factor_begins_the_count_anew(owner: Account) -> None:
    for _round in range(3):
        for _sign_in in range(2):
            token = begin(owner)
            for _try in range(4):
                assert count_wrong(token).paused_until is None
        sign_in(reload(owner))
        assert reload(owner).wrong_factors == 0


def test_wrong_ones_of_one_account_are_not_counted_for_another(
    owner: Account, another: Account
) -> None:
    token = begin(owner, Stage.FULL)
    for _try in range(10):
        count_wrong(token)
    assert reload(owner).pause_ends_at
    assert reload(another) == another


def test_of_many_wrong_ones_at_once_each_counts(owner: Account) -> None:
    before = live(begin(owner))
    with ThreadPoolExecutor(8) as pool:
        wrong = list(pool.map(lambda _: act(session.count_wrong, before, ADDRESS), range(9)))
    assert sorted(each.tries_left for each in wrong) == [0, 0, 0, 0, 0, 1, 2, 3, 4]
    assert reload(owner).wrong_factors == 9
    assert not [row for row in rows(sessions) if row.ended_at is None]


# What a session keeps for its next step


def test_what_is_kept_takes_the_place_of_what_was(owner: Account) -> None:
    token = begin(owner)
    assert live(token).pending == {}
    act(session.keep, live(token), challenge="00ff", name="Телефон")
    assert live(token).pending == {"challenge": "00ff", "name": "Телефон"}
    act(session.keep, live(token), codes=["1", "2"])
    assert live(token).pending == {"codes": ["1", "2"]}
    act(session.keep, live(token))
    assert live(token).pending == {}


def test_what_is_kept_counts_once(owner: Account) -> None:
    token = begin(owner)
    act(session.keep, live(token), challenge="00ff")
    before = live(token)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: act(session.take_pending, before), range(20)))
    assert sum(taken) == 1
    assert live(token).pending == {}


# Ending sessions


def test_a_session_ends_once_and_forgets_what_it_kept(owner: Account) -> None:
    token = begin(owner)
    act(session.keep, live(token), secret="x")
    found = live(token)
    assert act(session.end, found)
    assert find(token) is None
    assert not act(session.end, found)
    assert [row.pending for row in rows(sessions)] == [None]


def test_nobody_ends_the_session_of_another(owner: Account, another: Account) -> None:
    token = sign_in(owner)
    assert not act(session.end_one, another, live(token).id)
    assert not act(session.end_one, owner, "")
    assert find(token)
    assert act(session.end_one, owner, live(token).id)
    assert find(token) is None


def test_all_sessions_end_but_one_and_nobody_elses(owner: Account, another: Account) -> None:
    others = [sign_in(owner), begin(owner), begin(owner, Stage.ENROLMENT)]
    own, strangers = sign_in(owner), sign_in(another)
    assert act(session.end_all, owner, but=live(own)) == 3
    assert [find(token) for token in others] == [None] * 3
    assert find(own)
    assert act(session.end_all, owner) == 1
    assert find(own) is None
    assert find(strangers)


# What is told of sessions


def test_sign_ins_are_told_newest_first(owner: Account, another: Account, time: Time) -> None:
    tokens = []
    for _minute in range(4):
        tokens.append(sign_in(owner))
        time.passes(minutes=1)
    sign_in(another)
    begin(owner)
    begin(owner, Stage.ENROLMENT)
    act(session.end, live(tokens[0]))
    renew(tokens[1])
    with db.reading():
        told = session.sign_ins(owner)
        newest = session.sign_ins(owner, 2)
    assert [each.begun_at for each in told] == sorted(
        (each.begun_at for each in told), reverse=True
    )
    assert len(told) == 4
    assert newest == told[:2]
    assert [session.lasts(each) for each in told] == [True, True, True, False]
    assert (told[0].factor, told[0].address, told[0].agent) == ("totp", ADDRESS, AGENT)
    time.passes(minutes=28)
    assert [session.lasts(each) for each in told] == [True, False, True, False]


def test_it_is_known_from_where_somebody_signed_in(
    owner: Account, another: Account, time: Time
) -> None:
    def seen(address: object) -> Seen:
        with db.reading():
            return session.seen_from(owner, address)

    begin(owner)
    sign_in(another)
    assert seen(ADDRESS) == Seen(0, None)
    first = sign_in(owner)
    time.passes(hours=1)
    act(session.end_all, owner)
    assert find(first) is None
    second = sign_in(owner)
    before = live(second)
    time.passes(minutes=6)
    renew(second, address=ELSEWHERE)
    assert seen(ADDRESS) == seen(networks.parse(ADDRESS)) == Seen(2, before.begun_at)
    assert seen(ELSEWHERE) == Seen(0, None), "a factor asked for again is no sign-in"
    assert seen(None) == Seen(0, None)


def test_a_session_has_the_account_as_it_is_now(owner: Account) -> None:
    token = sign_in(owner)
    act(account.change, owner, "name", "Громова Полина", "tests")
    assert live(token).account == reload(owner)
