"""A campaign: whom it asks, at what pace, and that nobody is asked twice or forgotten."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time as real_time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from portal import account, campaign, clock, config, confirmation, journal, keys, organisation
from portal.account import Account, Role
from portal.account.tables import accounts
from portal.campaign import Campaign, Line, Started, State, Way
from portal.campaign.tables import campaign_items, campaigns
from portal.campaign.turns import _take_turn
from portal.confirmation.course import prove
from portal.confirmation.tables import confirmations
from portal.database import db
from portal.organisation import memberships
from portal.outbox import messages
from tests.conftest import LOMOVA
from tests.people import act, enrol
from tests.postgresql import wait_for_who_waits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from flask import Flask

    from tests.conftest import Post, Time

    Own = Callable[[int], list[str]]

EMAIL = "a.sokolova@sever-trakt.example"
ELSEWHERE = "ORG-9"


@pytest.fixture
def owner(keep: Callable[..., None]) -> Account:
    """An administrator of one organisation; another one is somebody else's."""
    keep("ORG-0")
    keep(ELSEWHERE)
    return enrol(EMAIL, Role.ADMINISTRATOR, "ORG-0", name="Соколова Анна Петровна").account


@pytest.fixture
def own(owner: Account) -> Own:
    """Give the administrator so many organisations more; returns their IDs."""

    def make(count: int) -> list[str]:
        ids = [f"OWN-{number:05}" for number in range(count)]
        with db.writing():
            for id in ids:
                organisation.save(id, LOMOVA, EMAIL, "", "tests")
                account.join(owner, id, "tests")
            db.commit()
        return ids

    return make


@pytest.fixture
def pace(app: Flask) -> Callable[[int], None]:
    """Set how many are asked in a minute."""
    return lambda count: config.use(replace(config.settings, campaign_per_minute=count))


def draft(owner: Account, texts: Sequence[str | None]) -> Campaign:
    """A campaign of these lines, as the pages make one."""
    id: str = act(campaign.begin, owner, Way.TYPED)
    lines = [Line(place, text) for place, text in enumerate(texts, 1)]
    for first in range(0, len(lines), campaign.BATCH):
        act(campaign.add, id, owner, lines[first : first + campaign.BATCH])
    made: Campaign = act(campaign.offer, id)
    return made


def running(owner: Account, texts: Sequence[str], *, renews: bool = False) -> Campaign:
    made = draft(owner, texts)
    assert start(made, renews=renews) is Started.STARTED
    return now(made)


def start(known: Campaign, *, renews: bool = False) -> Started:
    with db.writing():
        said = campaign.start(known, "10.20.4.17", renews=renews)
        if said is Started.STARTED:
            db.commit()
    return said


def now(known: Campaign) -> Campaign:
    with db.reading():
        found = campaign.find(known.id)
    assert found
    return found


def counts(known: Campaign) -> dict[str, int]:
    with db.reading():
        return {str(outcome): count for outcome, count in campaign.counts(known).items()}


def outcomes(known: Campaign) -> list[str]:
    """What came of each line, in their order."""
    with db.reading():
        return [str(item.outcome) for item in campaign.items(known, most=10_000)]


def asked(id: str | None = None) -> list[Any]:
    """The requests that were made; of one organisation, or all."""
    with db.reading():
        rows = db.all(select(confirmations.c.organisation_id, confirmations.c.requested_by))
    return [row for row in rows if id in {None, row.organisation_id}]


def letters() -> int:
    with db.reading():
        return sum(row.letter == "confirmation" for row in db.all(select(messages.c.letter)))


def confirm(id: str) -> None:
    """The responsible person confirms both contacts."""
    with db.writing():
        found = organisation.find(id)
        assert found
        last = confirmation.last_request(id)
        request = last.id if last and last.is_open else confirmation.request(found, "tests")
        for kind in ("phone", "email"):
            known = confirmation.find(request or "")
            assert known
            prove(known, kind, "10.20.4.17")
        db.commit()


def lines_of(owner: Account) -> list[tuple[str, str]]:
    with db.reading():
        rows = db.all(journal.events.select().order_by(journal.events.c.id))
    return [
        (row.name, row.actor)
        for row in rows
        if row.chain == owner.chain and row.name.startswith("campaign.")
    ]


# The draft


def test_a_draft_says_of_every_line_what_will_come_of_it(
    owner: Account, own: Own, ask: Callable[..., str | None]
) -> None:
    first, second, third = own(3)
    ask(second)
    confirm(third)
    known = draft(
        owner,
        [
            first,
            second,
            third,
            first,
            ELSEWHERE,
            "NOWHERE-1",
            "две строки\nв поле",
            None,
            "",
            "a" * 41,
        ],
    )
    assert outcomes(known) == [
        *("waiting", "asked", "confirmed", "twice"),
        *("unknown", "unknown", "unreadable", "unreadable", "unreadable", "unreadable"),
    ]
    assert (known.state, known.size, known.letters) == (State.DRAFT, 10, 1)
    assert len(asked(first)) == 0, "nothing is sent yet"


def test_a_request_that_is_over_or_of_another_record_is_not_in_force(
    owner: Account, own: Own, ask: Callable[..., str | None], keep: Callable[..., None], time: Time
) -> None:
    late, changed = own(2)
    ask(late)
    time.passes(days=8)
    ask(changed)
    keep(changed, position="Директор")
    assert outcomes(draft(owner, [late, changed])) == ["waiting", "waiting"]


def test_who_answers_at_another_number_has_to_confirm_anew(
    owner: Account, own: Own, keep: Callable[..., None]
) -> None:
    (id,) = own(1)
    confirm(id)
    assert outcomes(draft(owner, [id])) == ["confirmed"]
    keep(id, phone="+79215550199")
    assert outcomes(draft(owner, [id])) == ["waiting"]


def test_a_line_is_repeated_across_batches(owner: Account, own: Own) -> None:
    ids = own(3)
    known = draft(owner, [ids[0], *["NOWHERE"] * (campaign.BATCH + 5), ids[0], ids[1]])
    assert counts(known) == {"unknown": campaign.BATCH + 5, "waiting": 2, "twice": 1}


def test_an_id_in_lower_case_is_the_one_in_capitals_unless_it_is_one_itself(
    owner: Account, own: Own, keep: Callable[..., None]
) -> None:
    own(2)
    keep("own-00001")
    act(account.join, owner, "own-00001", "tests")
    known = draft(owner, ["own-00000", "own-00001", "OWN-00001", "Own-00000", ELSEWHERE.lower()])
    assert outcomes(known) == ["waiting", "waiting", "waiting", "twice", "unknown"]
    with db.reading():
        ids = [item.id for item in campaign.items(known, most=10)]
    assert ids[:4] == ["OWN-00000", "own-00001", "OWN-00001", "OWN-00000"]
    assert ids[4] == ELSEWHERE.lower(), "as it was typed"


def test_what_is_no_organisation_of_theirs_stands_nowhere_readable(owner: Account) -> None:
    typed = ["79215550147", ELSEWHERE, "Ломова Ирина"]
    known = draft(owner, typed)
    with db.reading():
        stored = db.connection.exec_driver_sql("SELECT * FROM campaign_items").fetchall()
        shown = [item.id for item in campaign.items(known, most=10)]
    assert shown == typed, "its owner reads it"
    for line in typed:
        assert line not in str(stored)
        assert line.encode() not in b"".join(row.typed for row in stored)
    assert {row.organisation_id for row in stored} == {None}


def test_the_name_of_an_organisation_that_is_another_s_by_now_is_not_told(
    owner: Account, own: Own
) -> None:
    (id,) = own(1)
    known = draft(owner, [id])
    with db.writing():
        db.execute(memberships.delete().where(memberships.c.organisation_id == id))
        db.commit()
    with db.reading():
        (item,) = campaign.items(known, most=10)
    assert (item.id, item.short_name, item.is_own) == (id, "", False)


def test_nobody_sees_a_list_before_all_of_it_is_there(owner: Account, time: Time) -> None:
    id = act(campaign.begin, owner, Way.FILE)
    act(campaign.add, id, owner, [Line(1, "ORG-0")])
    with db.reading():
        assert campaign.find(id) is None
        assert campaign.campaigns_of(owner.id, most=10) == []


def test_what_was_read_and_never_offered_is_forgotten_some_at_a_time(
    owner: Account, time: Time
) -> None:
    id = act(campaign.begin, owner, Way.FILE)
    count = campaign.BATCH + 5
    for first in range(0, count, campaign.BATCH):
        places = range(first + 1, min(first + campaign.BATCH, count) + 1)
        act(campaign.add, id, owner, [Line(place, "NOWHERE") for place in places])
    assert not campaign.forget_left(), "somebody may still be reading it"
    time.passes(hours=2)
    other = draft(owner, ["ORG-0"])
    left = []
    while campaign.forget_left():
        left.append(len(rows_of(campaign_items)) - 1)
    assert left == [5, 0, 0]
    assert [row["id"] for row in rows_of(campaigns)] == [other.id]


def test_campaigns_are_listed_from_the_newest_page_after_page(owner: Account, time: Time) -> None:
    made = []
    for _each in range(5):
        made.append(draft(owner, ["ORG-0"]).id)
        time.passes(minutes=1)
    with db.reading():
        newest = campaign.campaigns_of(owner.id, most=3)
        older = campaign.campaigns_of(owner.id, newest[-1], most=3)
    assert [each.id for each in (*newest, *older)] == made[::-1]


# Its moves


@pytest.mark.parametrize(
    ("state", "possible"),
    [
        (State.DRAFT, {"start", "cancel"}),
        (State.RUNNING, {"pause", "cancel"}),
        (State.PAUSED, {"resume", "cancel"}),
        (State.CANCELLED, set()),
        (State.DONE, set()),
    ],
)
def test_a_campaign_moves_along_its_map_alone(
    owner: Account, own: Own, state: State, possible: set[str]
) -> None:
    moves: dict[str, Callable[[Campaign], bool]] = {
        "start": lambda known: campaign.start(known, "") is Started.STARTED,
        "pause": lambda known: campaign.pause(known, ""),
        "resume": lambda known: campaign.resume(known, ""),
        "cancel": lambda known: campaign.cancel(known, ""),
    }
    known = draft(owner, own(1))
    with db.writing():
        db.execute(campaigns.update().values(state=state))
        db.commit()
    known = now(known)
    for name, move in moves.items():
        with db.writing():
            assert move(known) is (name in possible), name


def test_who_presses_on_an_older_page_moves_nothing(owner: Account, own: Own) -> None:
    seen = running(owner, own(1))
    assert act(campaign.pause, seen, "")
    for verb in (campaign.pause, campaign.cancel):
        assert not act(verb, seen, ""), "it is paused by now"
    assert now(seen).state is State.PAUSED


def test_a_list_of_nobody_does_not_start(owner: Account) -> None:
    known = draft(owner, [ELSEWHERE])
    assert start(known) is Started.EMPTY
    assert now(known).state is State.DRAFT


def test_each_move_is_a_line_in_the_owner_s_chain(owner: Account, own: Own, time: Time) -> None:
    known = running(owner, own(1))
    act(campaign.pause, known, "10.20.4.17")
    act(campaign.resume, now(known), "10.20.4.17")
    act(campaign.continue_due)
    act(campaign.cancel, draft(owner, ["ORG-0"]), "10.20.4.17")
    assert lines_of(owner) == [
        ("campaign.started", owner.id),
        ("campaign.paused", owner.id),
        ("campaign.resumed", owner.id),
        ("campaign.done", "delivery"),
        ("campaign.cancelled", owner.id),
    ]
    with db.reading():
        assert journal.first_broken_line() is None


def test_the_lines_of_a_day_have_an_end(
    owner: Account, monkeypatch: pytest.MonkeyPatch, time: Time
) -> None:
    monkeypatch.setattr("portal.campaign.choosing.MOST_A_DAY", 10)
    draft(owner, ["NOWHERE"] * 6)
    time.passes(hours=5)
    draft(owner, ["NOWHERE"] * 6)
    assert act(campaign.begin, owner, Way.TYPED) is None
    with db.reading():
        until = campaign.may_begin_at(owner)
    assert until == pytest.approx(clock.now() + timedelta(hours=19), abs=timedelta(minutes=1))
    time.passes(hours=19, minutes=1)
    assert act(campaign.begin, owner, Way.TYPED)


# Its turns


def test_one_letter_a_second_leaves_and_none_twice(
    owner: Account, own: Own, post: Post, time: Time
) -> None:
    ids = own(3)
    known = running(owner, ids)
    for done in (1, 2, 3):
        assert campaign.continue_due()
        assert not campaign.continue_due(), "not before the next second"
        assert counts(known).get("sent") == done
        time.passes(seconds=1)
    known = now(known)
    assert (known.state, known.handled, known.left) == (State.DONE, 3, 0)
    assert known.ended_at
    assert [row.requested_by for row in asked()] == [owner.id] * 3
    assert len(post.letters(LOMOVA.email)) == 3
    time.passes(hours=1)
    assert not campaign.continue_due()


@pytest.mark.parametrize(
    ("per_minute", "seconds", "sent"), [(1, 59, 1), (1, 61, 2), (90, 4, 6), (600, 2, 20)]
)
def test_the_pace_is_the_setting_s(
    owner: Account,
    own: Own,
    time: Time,
    pace: Callable[[int], None],
    per_minute: int,
    seconds: int,
    sent: int,
) -> None:
    pace(per_minute)
    known = running(owner, own(30))
    for _second in range(seconds):
        campaign.continue_due()
        time.passes(seconds=1)
    assert abs(counts(known)["sent"] - sent) <= max(1, per_minute // 60)


def test_all_that_run_share_the_pace_and_take_turns(
    owner: Account, own: Own, keep: Callable[..., None], time: Time
) -> None:
    ids = own(40)
    keep("ORG-8")
    colleague = enrol("colleague@sever-trakt.example", Role.ADMINISTRATOR, "ORG-8").account
    for id in ids[20:]:
        act(account.join, colleague, id, "tests")
    running_now = [running(owner, ids[:20]), running(colleague, ids[20:])]
    with db.reading():
        ends = [campaign.ends_at(each) - clock.now() for each in running_now]
    assert [round(each.total_seconds()) for each in ends] == [40, 40]
    for _second in range(10):
        while campaign.continue_due():
            pass
        time.passes(seconds=1)
    sent = [counts(each)["sent"] for each in running_now]
    assert sum(sent) == 10
    assert sent == [5, 5]
    act(campaign.cancel, now(running_now[0]), "")
    for _second in range(5):
        campaign.continue_due()
        time.passes(seconds=1)
    assert counts(running_now[1])["sent"] == 10, "the others get what it leaves"


def test_who_runs_many_lists_gets_no_more_turns_than_who_runs_one(
    owner: Account, own: Own, keep: Callable[..., None], time: Time
) -> None:
    ids = own(40)
    keep("ORG-8")
    colleague = enrol("colleague@sever-trakt.example", Role.ADMINISTRATOR, "ORG-8").account
    for id in ids[30:]:
        act(account.join, colleague, id, "tests")
    many = [running(owner, ids[begin : begin + 10]) for begin in (0, 10, 20)]
    one = running(colleague, ids[30:])
    for _second in range(12):
        while campaign.continue_due():
            pass
        time.passes(seconds=1)
    assert counts(one)["sent"] == 6
    assert [counts(each)["sent"] for each in many] == [2, 2, 2]


def test_stopping_and_starting_wins_no_letter(owner: Account, own: Own, time: Time) -> None:
    ids = own(20)
    known = running(owner, ids[:10])
    for _each in range(5):
        campaign.continue_due()
        act(campaign.pause, now(known), "")
        act(campaign.resume, now(known), "")
    assert letters() == 1
    act(campaign.cancel, now(known), "")
    running(owner, ids[10:])
    assert not campaign.continue_due()
    assert letters() == 1
    time.passes(seconds=1)
    assert campaign.continue_due()
    assert letters() == 2


def test_what_was_missed_while_no_worker_ran_is_not_made_up_for_at_once(
    owner: Account, own: Own, time: Time
) -> None:
    known = running(owner, own(20))
    campaign.continue_due()
    time.passes(hours=1)
    campaign.continue_due()
    assert counts(known)["sent"] <= 3


def test_each_organisation_is_judged_anew_when_it_has_its_turn(
    owner: Account,
    own: Own,
    ask: Callable[..., str | None],
    time: Time,
    pace: Callable[[int], None],
) -> None:
    pace(600)
    confirmed, asked_since, taken_away, same = own(4)
    known = running(owner, [confirmed, asked_since, taken_away, same])
    act(campaign.pause, known, "")
    confirm(confirmed)
    ask(asked_since)
    with db.writing():
        db.execute(memberships.delete().where(memberships.c.organisation_id == taken_away))
        db.commit()
    act(campaign.resume, now(known), "")
    for _each in range(3):
        campaign.continue_due()
        time.passes(seconds=1)
    assert outcomes(known) == ["confirmed", "asked", "unknown", "sent"]
    assert now(known).state is State.DONE
    assert len(asked(asked_since)) == 1
    assert not asked(taken_away)


def report(id: str) -> None:
    """The responsible person says that something is wrong."""
    with db.writing():
        last = confirmation.last_request(id)
        request = confirmation.find(last.id) if last else None
        assert request
        confirmation.report(request, {"position": "Механик"}, "", "10.20.4.17")
        db.commit()


def test_who_reported_an_error_is_not_asked_before_it_is_mended(
    owner: Account, own: Own, ask: Callable[..., str | None], time: Time, keep: Callable[..., None]
) -> None:
    """They would get a letter with the very record that they said is wrong."""
    first, later, asked_again, mended = own(4)
    for id in (first, asked_again, mended):
        ask(id)
        report(id)
        time.passes(minutes=2)
    ask(asked_again)
    keep(mended, position="Механик")
    known = running(owner, [first, later, asked_again, mended])
    assert outcomes(known)[0] == "reported"
    assert outcomes(known)[2:] == ["asked", "waiting"]
    act(campaign.pause, known, "")
    ask(later)
    report(later)
    act(campaign.resume, now(known), "")
    for _each in range(3):
        time.passes(seconds=1)
        campaign.continue_due()
    assert outcomes(known) == ["reported", "reported", "asked", "sent"]
    assert len(asked(first)) == 1
    with db.reading():
        assert first not in confirmation.unconfirmed_organisations()


def test_a_campaign_without_a_line_left_is_done_and_takes_no_turns(
    owner: Account, own: Own, time: Time
) -> None:
    known = running(owner, own(1))
    with db.writing():  # the line had its turn while the campaign was paused
        db.execute(campaign_items.update().values(outcome="failed"))
        db.commit()
    time.passes(seconds=1)
    campaign.continue_due()
    assert now(known).state is State.DONE
    assert not campaign.continue_due()


def test_open_requests_are_renewed_only_when_that_is_wanted(
    owner: Account, own: Own, ask: Callable[..., str | None], time: Time
) -> None:
    (id,) = own(1)
    ask(id)
    time.passes(minutes=2)
    assert start(draft(owner, [id])) is Started.EMPTY
    known = running(owner, [id], renews=True)
    assert (known.letters, known.renews) == (1, True)
    campaign.continue_due()
    assert outcomes(known) == ["sent"]
    with db.reading():
        states = [row.state for row in db.all(select(confirmations.c.state))]
    assert sorted(states) == ["open", "retired"]


def test_nobody_is_asked_more_often_than_by_hand(
    owner: Account, own: Own, ask: Callable[..., str | None]
) -> None:
    (id,) = own(1)
    ask(id)
    known = running(owner, [id], renews=True)
    campaign.continue_due()
    assert outcomes(known) == ["often"]
    assert len(asked(id)) == 1


def test_nothing_leaves_while_it_is_paused_and_all_does_afterwards(
    owner: Account, own: Own, time: Time
) -> None:
    known = running(owner, own(2))
    campaign.continue_due()
    act(campaign.pause, now(known), "")
    time.passes(minutes=5)
    assert not campaign.continue_due()
    assert letters() == 1
    act(campaign.resume, now(known), "")
    campaign.continue_due()
    assert letters() == 2


def test_a_cancelled_one_sends_nothing_more_and_keeps_what_left(
    owner: Account, own: Own, post: Post, time: Time
) -> None:
    known = running(owner, own(3))
    campaign.continue_due()
    act(campaign.cancel, now(known), "")
    time.passes(minutes=5)
    assert not campaign.continue_due()
    assert counts(known) == {"sent": 1, "waiting": 2}
    assert len(post.letters(LOMOVA.email)) == 1


@pytest.mark.parametrize("change", [{"suspended_at": True}, {"role": Role.OPERATOR}])
def test_the_campaigns_of_who_is_no_administrator_any_more_stop(
    owner: Account, own: Own, time: Time, change: dict[str, Any]
) -> None:
    known = running(owner, own(3))
    campaign.continue_due()
    values = {"suspended_at": clock.now()} if "suspended_at" in change else change
    with db.writing():
        db.execute(accounts.update().where(accounts.c.id == owner.id).values(**values))
        db.commit()
    time.passes(seconds=1)
    campaign.continue_due()
    assert now(known).state is State.PAUSED
    assert letters() == 1
    assert lines_of(owner)[-1] == ("campaign.paused", "delivery")
    with db.writing():
        restored = {"suspended_at": None, "role": Role.ADMINISTRATOR}
        db.execute(accounts.update().where(accounts.c.id == owner.id).values(**restored))
        db.commit()
    time.passes(minutes=1)
    assert not campaign.continue_due(), "it is for them to go on"
    act(campaign.resume, now(known), "")
    campaign.continue_due()
    assert letters() == 2


def test_an_owner_whom_nobody_can_read_holds_up_no_other(
    owner: Account, own: Own, keep: Callable[..., None], time: Time
) -> None:
    keep("ORG-8")
    colleague = enrol("colleague@sever-trakt.example", Role.ADMINISTRATOR, "ORG-8").account
    broken = running(owner, own(2))
    good = running(colleague, ["ORG-8"])
    with db.writing():
        other = keys.encrypt("x", "somewhere else")
        db.execute(
            text("UPDATE accounts SET email = :to WHERE id = :of"), {"to": other, "of": owner.id}
        )
        db.commit()
    for _each in range(2):
        campaign.continue_due()
        time.passes(seconds=1)
    assert (now(broken).state, now(broken).handled) == (State.PAUSED, 0)
    assert counts(good) == {"sent": 1}


def test_a_record_that_nobody_can_read_holds_up_no_other(
    owner: Account, own: Own, pace: Callable[[int], None], time: Time
) -> None:
    pace(600)
    broken, good = own(2)
    known = running(owner, [broken, good])
    with db.writing():
        found = organisation.find(broken)
        assert found
        other = keys.encrypt("{}", "somewhere else")
        db.execute(
            text("UPDATE records SET details = :to WHERE id = :of"),
            {"to": other, "of": found.record_id},
        )
        db.commit()
    for _each in range(2):
        campaign.continue_due()
        time.passes(seconds=1)
    assert outcomes_by_place(known) == ["failed", "sent"]
    assert now(known).state is State.DONE


def outcomes_by_place(known: Campaign) -> list[str]:
    """As `outcomes`, without reading the organisations."""
    with db.reading():
        rows = db.all(select(campaign_items.c.outcome).order_by(campaign_items.c.place))
    return [row.outcome for row in rows]


def test_a_turn_that_is_broken_off_leaves_nothing_and_comes_again(
    owner: Account, own: Own, time: Time
) -> None:
    """Here the table of messages is away, for a while."""
    known = running(owner, own(2))
    campaign.continue_due()
    before = rows_of(confirmations, campaign_items, campaigns, journal.events)
    time.passes(seconds=1)
    rename("messages", "away")
    with pytest.raises(DBAPIError):
        campaign.continue_due()
    rename("away", "messages")
    after = rows_of(confirmations, campaign_items, campaigns, journal.events)
    due = {"next_at", "paced_until"}
    assert strip(before, due) == strip(after, due)
    time.passes(seconds=1)
    campaign.continue_due()
    assert counts(known) == {"sent": 2}
    assert letters() == 2


def rows_of(*tables: Any) -> list[dict[str, Any]]:
    with db.reading():
        return [row._asdict() for table in tables for row in db.all(select(table))]


def strip(rows: list[dict[str, Any]], names: set[str]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in row if name not in names} for row in rows]


def rename(old: str, new: str) -> None:
    with db.writing():
        if db.url.startswith("sqlite"):
            db.connection.exec_driver_sql("PRAGMA legacy_alter_table = ON")
        db.connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")
        db.commit()


@pytest.mark.postgresql
def test_who_is_overtaken_loses_nothing_of_a_turn(
    app: Flask,
    owner: Account,
    own: Own,
    pace: Callable[[int], None],
    time: Time,
    database_url: str,
) -> None:
    pace(120)
    ids = own(4)
    known = running(owner, ids)
    campaign.continue_due()
    time.passes(seconds=5)
    has_begun = threading.Event()

    def be_first() -> None:
        with app.app_context(), db.writing():
            journal.record(journal.of_organisation(ids[1]), "organisation.noted", "tests")
            has_begun.set()
            wait_for_who_waits(database_url)
            db.commit()

    first = threading.Thread(target=be_first)
    first.start()
    has_begun.wait(10)
    campaign.continue_due()
    first.join()
    assert now(known).handled == 4, "one at first, and three for the second that was missed"
    assert letters() == 4


def test_many_workers_ask_each_organisation_once(
    app: Flask, owner: Account, own: Own, pace: Callable[[int], None]
) -> None:
    pace(10_000)
    ids = own(60)
    known = running(owner, ids)
    until = real_time.monotonic() + 20

    def work() -> None:
        with app.app_context():
            while now(known).state is State.RUNNING and real_time.monotonic() < until:
                campaign.continue_due()

    workers = [threading.Thread(target=work) for _each in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert now(known).state is State.DONE
    assert sorted(row.organisation_id for row in asked()) == ids
    assert (letters(), now(known).handled) == (60, 60)


def test_a_campaign_goes_on_after_another_start(
    app: Flask, environment: dict[str, str], owner: Account, own: Own, time: Time
) -> None:
    from portal import create_app

    ids = own(2)
    known = running(owner, ids)
    campaign.continue_due()
    db.dispose()
    with create_app(config.load(environment)).app_context():
        time.passes(seconds=1)
        campaign.continue_due()
        assert counts(known) == {"sent": 2}


@pytest.fixture
def deliver(environment: dict[str, str]) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Start `portal deliver` as an operator does, with a pace that is in a hurry."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    begun: list[subprocess.Popen[bytes]] = []

    def run() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "portal", "deliver"],
            env=ours | environment | {"PORTAL_CAMPAIGN_PER_MINUTE": "10000"},
            stderr=subprocess.DEVNULL,
        )
        begun.append(process)
        return process

    yield run
    for process in begun:
        process.kill()
        process.wait()


def test_a_worker_that_is_killed_repeats_nothing_and_loses_nothing(
    owner: Account, own: Own, deliver: Callable[[], subprocess.Popen[bytes]]
) -> None:
    ids = own(400)
    known = running(owner, ids)
    first = deliver()
    wait(lambda: now(known).handled > 20)
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    reached = now(known)
    assert 20 < reached.handled < 400, "in the middle"
    assert counts(known) == {"sent": reached.handled, "waiting": 400 - reached.handled}
    assert len(asked()) == letters() == reached.handled
    deliver()
    wait(lambda: now(known).state is State.DONE)
    assert sorted(row.organisation_id for row in asked()) == ids
    assert (letters(), now(known).handled) == (400, 400)
    with db.reading():
        assert journal.first_broken_line() is None


def wait(until: Callable[[], bool]) -> None:
    end = real_time.monotonic() + 30
    while not until():
        assert real_time.monotonic() < end, "it takes too long"
        real_time.sleep(0.02)


@contextmanager
def statements() -> Iterator[list[str]]:
    """The statements that this thread writes with meanwhile."""
    ran: list[str] = []
    with db.writing():
        driver = db.connection.connection.driver_connection
    assert driver
    driver.set_trace_callback(ran.append)
    try:
        yield ran
    finally:
        driver.set_trace_callback(None)


@pytest.mark.sqlite
def test_a_long_list_is_judged_and_started_in_a_few_statements(owner: Account, own: Own) -> None:
    ids = own(2 * campaign.BATCH)
    with statements() as ran:
        known = draft(owner, ids)
        assert start(known) is Started.STARTED
    assert counts(known) == {"waiting": len(ids)}
    assert len([each for each in ran if "campaign_items SET" in each]) == 2, "one for each batch"
    others = [each for each in ran if not each.startswith("INSERT INTO campaign_items")]
    assert len(others) < 40


@pytest.mark.sqlite
def test_a_turn_costs_the_same_however_long_the_list_is(owner: Account, own: Own) -> None:
    ids = own(300)
    spent = []
    for count in (3, 300):
        known = running(owner, ids[:count], renews=True)
        with statements() as ran:
            assert _take_turn(known.id)
        assert counts(known)["sent"] == 1
        spent.append(len(ran))
        act(campaign.cancel, now(known), "")
        ids.reverse()
    assert spent[0] == spent[1] < 60


def test_the_pace_is_a_setting(environment: dict[str, str], tmp_path: Path) -> None:
    assert config.load(environment).campaign_per_minute == 60
    name = "PORTAL_CAMPAIGN_PER_MINUTE"
    assert config.load(environment | {name: "600"}).campaign_per_minute == 600
    for bad in ("0", "-1", "много", "99999"):
        with pytest.raises(config.BadSettingError, match=name):
            config.load(environment | {name: bad})
