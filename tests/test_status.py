"""An organisation's statuses: the map, the one guard, and what an edit does to the contacts."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from portal import confirmation, editing, journal, organisation, verification
from portal.account import Role
from portal.confirmation import Standing
from portal.database import db
from portal.organisation import (
    STATUS_NAMES,
    Details,
    MovedError,
    Organisation,
    Outcome,
    Status,
    is_open,
)
from portal.organisation.status import (
    ADMINISTRATORS_TURN,
    AFTER_A_CHANGE,
    MOVES,
    OPEN,
    SPECIALISTS_TURN,
    move,
)
from portal.organisation.tables import memberships
from portal.verification import Sent, course
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.people import Person, act, enrol

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Post, Time

ID = "ORG-004217"
PETROV = replace(LOMOVA, last_name="Петров", first_name="Пётр", patronymic="Петрович")
OTHER_PHONE = "+79215550148"


@pytest.fixture
def boss(keep: Callable[..., None]) -> Person:
    keep()
    return enrol(ADMINISTRATOR, Role.ADMINISTRATOR)


@pytest.fixture
def specialist(boss: Person) -> Person:
    return enrol("specialist@izkt.example", Role.SPECIALIST)


def now() -> Organisation:
    with db.reading():
        found = organisation.find(ID)
    assert found
    return found


def proved() -> set[str]:
    with db.reading():
        return confirmation.proved(now())


def save(details: Details, *, is_another_person: bool | None = None, **beside: str) -> Outcome:
    """What an edit that is applied does, with what follows it."""
    known = now()
    email = beside.get("administrator_email", known.administrator_email)
    networks = beside.get("networks", " ".join(map(str, known.networks)))
    with db.writing():
        outcome = organisation.save(
            ID, details, email, networks, "tests", is_another_person=is_another_person
        )
        editing.end_outdated(ID, "tests")
        db.commit()
    return outcome


def confirm(*kinds: str) -> None:
    """What the responsible person does, without the pages."""
    known = now()
    with db.writing():
        id = confirmation.request(known, "tests")
        assert id
        for kind in kinds:
            found = confirmation.find(id)
            assert found
            confirmation.course.prove(found, kind, "10.20.4.17")
        db.commit()


def bring_to(status: Status, boss: Person, specialist: Person) -> None:
    """Bring a new organisation to a status by the way that people take."""
    assert now().status is Status.UNVERIFIED
    if status is Status.UNVERIFIED:
        return
    confirm("phone", "email")
    assert act(verification.submit, now(), boss.account, "") is Sent.SENT
    if status is Status.SUBMITTED:
        return
    decide(specialist)
    if status is Status.VERIFIED:
        return
    save(replace(LOMOVA, position="Директор"))
    if status is Status.RESUBMITTED:
        assert act(verification.submit, now(), boss.account, "") is Sent.SENT


def decide(specialist: Person) -> None:
    """A specialist takes what waits, and verifies it."""
    waiting = open_one()
    assert act(verification.take, waiting, specialist.account)
    act(verification.verify, open_one(), specialist.account, "")


def open_one() -> Any:
    with db.reading():
        return verification.open_one(ID)


# The map


def test_every_status_has_a_name_and_a_way_on() -> None:
    assert set(MOVES) == set(AFTER_A_CHANGE) == set(STATUS_NAMES) == set(Status)
    assert all(MOVES.values())
    for status, after in AFTER_A_CHANGE.items():
        assert after is status or after in MOVES[status]


def test_the_operational_part_is_open_in_two_statuses() -> None:
    assert {status for status in Status if is_open(status)} == OPEN
    assert {Status.VERIFIED, Status.RESUBMITTED} == OPEN
    assert not any(is_open(AFTER_A_CHANGE[status]) for status in Status), "an edit never opens it"


def test_one_has_the_next_step_until_it_is_verified(boss: Person, specialist: Person) -> None:
    assert not ADMINISTRATORS_TURN & SPECIALISTS_TURN
    assert set(Status) - ADMINISTRATORS_TURN - SPECIALISTS_TURN == {Status.VERIFIED}
    assert set(course.SENT) == ADMINISTRATORS_TURN
    assert set(course.RETURNED) == set(course.SENT.values()) == SPECIALISTS_TURN
    assert now().is_administrators_turn
    bring_to(Status.RESUBMITTED, boss, specialist)
    assert (now().is_administrators_turn, now().is_specialists_turn) == (False, True)


@pytest.mark.parametrize("to", Status)
@pytest.mark.parametrize("seen", Status)
def test_only_the_moves_of_the_map_are_made(
    boss: Person, specialist: Person, seen: Status, to: Status
) -> None:
    bring_to(seen, boss, specialist)
    before = now()
    assert before.status is seen
    if to in MOVES[seen]:
        act(move, ID, seen, to, "tests")
        assert now().status is to
        return
    with pytest.raises(MovedError):
        act(move, ID, seen, to, "tests")
    assert now() == before


def test_a_move_from_a_status_that_is_gone_is_refused(boss: Person, specialist: Person) -> None:
    bring_to(Status.VERIFIED, boss, specialist)
    before = now(), lines()
    with pytest.raises(MovedError):
        act(move, ID, Status.UNVERIFIED, Status.SUBMITTED, "tests")
    assert (now(), lines()) == before


def lines() -> list[Any]:
    with db.reading():
        return db.all(
            journal.events.select()
            .where(journal.events.c.chain == f"organisation:{ID}")
            .order_by(journal.events.c.id)
        )


def test_a_move_is_dated_and_written_down(boss: Person, specialist: Person, time: Time) -> None:
    bring_to(Status.SUBMITTED, boss, specialist)
    since = now().status_since
    time.passes(hours=3)
    decide(specialist)
    assert (now().status_since - since).total_seconds() >= 3 * 3600
    assert lines()[-1].name == "organisation.verified"
    assert lines()[-1].actor == specialist.account.id
    assert '"old": "submitted"' in lines()[-1].details


@pytest.mark.parametrize("status", Status)
def test_memberships_carry_the_same_status(
    boss: Person, specialist: Person, status: Status
) -> None:
    bring_to(status, boss, specialist)
    enrol("late@sever-trakt.example", Role.OPERATOR)
    with db.reading():
        copies = [row.status for row in db.all(select(memberships.c.status))]
    assert copies == [status, status]


# What an edit moves


@pytest.mark.parametrize("status", Status)
def test_a_changed_record_moves_the_status(
    boss: Person, specialist: Person, status: Status
) -> None:
    bring_to(status, boss, specialist)
    save(replace(now().details, position="Главный инженер"))
    assert now().status is AFTER_A_CHANGE[status]
    assert open_one() is None, "what a specialist saw is not what is written"
    assert not now().is_open


@pytest.mark.parametrize("status", Status)
def test_what_stands_beside_the_record_moves_nothing(
    boss: Person, specialist: Person, status: Status
) -> None:
    bring_to(status, boss, specialist)
    before = now()
    waiting = open_one()
    assert save(before.details, networks="10.20.4.0/24") is Outcome.CHANGED
    assert save(before.details, administrator_email="new@sever-trakt.example") is Outcome.CHANGED
    assert (now().status, now().record_id) == (status, before.record_id)
    assert open_one() == waiting


def test_an_edit_is_discarded_to_what_was_verified(boss: Person, specialist: Person) -> None:
    bring_to(Status.VERIFIED, boss, specialist)
    verified = now()
    save(replace(LOMOVA, short_name="АО «Другое»"))
    save(PETROV)
    act(organisation.discard_edit, now(), "tests", "10.20.4.2")
    restored = now()
    assert restored.details == LOMOVA
    assert (restored.record_id, restored.person) == (verified.record_id, verified.person)
    assert restored.status is Status.VERIFIED
    assert restored.is_open
    assert proved() == {"phone", "email"}, "what was confirmed is confirmed again"
    with db.reading():
        assert [each.id for each in organisation.search("Северный", most=2)] == [ID]
        assert not organisation.search("Другое", most=2)


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.EDITING}))
def test_only_an_edit_is_discarded(boss: Person, specialist: Person, status: Status) -> None:
    bring_to(status, boss, specialist)
    before = now()
    with pytest.raises(MovedError):
        act(organisation.discard_edit, before, "tests", "")
    assert now() == before


def test_an_edit_is_discarded_once(boss: Person, specialist: Person) -> None:
    bring_to(Status.EDITING, boss, specialist)
    seen = now()
    act(organisation.discard_edit, seen, "tests", "")
    with pytest.raises(MovedError):
        act(organisation.discard_edit, seen, "tests", "")
    assert now().status is Status.VERIFIED


# What has to be confirmed anew


@pytest.fixture
def confirmed(boss: Person) -> None:
    confirm("phone", "email")


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        ({"phone": OTHER_PHONE}, {"email"}),
        ({"email": "new@sever-trakt.example"}, {"phone"}),
        ({"phone": OTHER_PHONE, "email": "new@sever-trakt.example"}, set()),
        ({"last_name": "Петрова"}, set()),
        ({"first_name": "Ирена"}, set()),
        ({"last_name": "ЛОМОВА"}, {"phone", "email"}),
        ({"patronymic": "Викторовна"}, {"phone", "email"}),
        ({"position": "Директор"}, {"phone", "email"}),
        ({"legal_address": "г. Архангельск"}, {"phone", "email"}),
        ({"email": LOMOVA.email.upper()}, {"phone", "email"}),
        ({}, {"phone", "email"}),
    ],
)
def test_only_what_changed_is_asked_for(
    confirmed: None, changed: dict[str, str], left: set[str]
) -> None:
    save(replace(LOMOVA, **changed))
    assert proved() == left


@pytest.mark.parametrize("typed", ["8 921 555-01-47", "+7 (921) 555 01 47", "79215550147"])
def test_another_spelling_of_the_phone_is_no_change(confirmed: None, typed: str) -> None:
    before = now()
    phone = organisation.EDITED_CHECKS["phone"](typed)
    assert save(replace(LOMOVA, phone=phone)) is Outcome.SAME
    assert now() == before
    assert proved() == {"phone", "email"}


def test_an_earlier_phone_is_still_confirmed(confirmed: None) -> None:
    save(replace(LOMOVA, phone=OTHER_PHONE))
    save(LOMOVA)
    assert proved() == {"phone", "email"}


def test_the_administrator_says_who_is_meant(confirmed: None) -> None:
    married = replace(LOMOVA, last_name="Северная")
    save(married, is_another_person=False)
    assert proved() == {"phone", "email"}
    save(married, is_another_person=True)
    assert proved() == set(), "a namesake has confirmed nothing"


def test_an_edit_ends_the_request_that_showed_something_else(
    boss: Person, ask: Callable[..., str | None], post: Post
) -> None:
    id = ask()
    assert id
    save(now().details, administrator_email="new@sever-trakt.example")
    assert standing(id) is Standing.OPEN, "the person was shown the same"
    save(replace(LOMOVA, phone=OTHER_PHONE))
    assert standing(id) is Standing.CHANGED
    assert not post.letters(LOMOVA.email), "the letter did not leave any more"


def standing(id: str) -> Standing:
    with db.reading():
        found = confirmation.find(id)
    assert found
    return found.standing


def test_details_are_compared_field_by_field() -> None:
    for name in asdict(LOMOVA):
        other = replace(LOMOVA, **{name: "другое"})
        assert organisation.differences(LOMOVA, other) == [name]
        [change] = organisation.compare(LOMOVA, other)
        assert change == (name, getattr(LOMOVA, name), "другое")
