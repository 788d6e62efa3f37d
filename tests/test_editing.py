"""What follows from an edit: for requests, verifications, users, and a report of an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from portal import account, confirmation, editing, organisation, verification
from portal.account import Role
from portal.confirmation import Standing
from portal.database import db
from portal.organisation import Change, Draft, MovedError, Organisation, Status
from portal.verification import Outcome, Sent, Verification
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.people import Person, act, enrol

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal.editing import Outlook, Reported

ID, HERE = "ORG-004217", "10.20.4.17"
OTHER_PHONE = "+79215550148"


@pytest.fixture
def boss(keep: Callable[..., None]) -> Person:
    keep()
    return enrol(ADMINISTRATOR, Role.ADMINISTRATOR)


def now() -> Organisation:
    with db.reading():
        found = organisation.find(ID)
    assert found
    return found


def drafted(person: Person, *, is_another_person: bool = False, **changed: str) -> Draft:
    """What somebody typed over what the form showed."""
    began = organisation.start_of(now())
    values = {**began.values, **changed}
    with db.writing():
        organisation.keep_draft(
            ID, person.account.id, began, values, is_another_person=is_another_person
        )
        db.commit()
    with db.reading():
        found = organisation.draft_of(ID, person.account.id)
    assert found
    return found


def outlook(draft: Draft) -> Outlook:
    with db.reading():
        return editing.outlook(draft, now())


def ask() -> str:
    id = act(confirmation.request, now(), "tests")
    assert isinstance(id, str)
    return id


def confirm(*kinds: str) -> None:
    """What the responsible person does."""
    id = ask()

    def prove(kind: str) -> None:
        found = confirmation.find(id)
        assert found
        confirmation.course.prove(found, kind, HERE)

    for kind in kinds:
        act(prove, kind)


def report(comment: str = "", **proposed: str) -> str:
    """The person says what is wrong; returns the id of the request."""
    id = ask()

    def say() -> None:
        found = confirmation.find(id)
        assert found
        confirmation.report(found, proposed, comment, HERE)

    act(say)
    return id


def send(person: Person) -> Verification:
    assert act(verification.submit, now(), person.account, HERE) is Sent.SENT
    with db.reading():
        found = verification.open_one(ID)
    assert found
    return found


def verified(person: Person) -> None:
    """Bring the organisation to «Проверена»."""
    specialist = enrol("specialist@izkt.example", Role.SPECIALIST).account
    confirm("phone", "email")
    act(verification.take, send(person), specialist)
    with db.reading():
        taken = verification.open_one(ID)
    assert taken
    act(verification.verify, taken, specialist, HERE)


# What a draft comes to


def test_what_is_confirmed_anew_and_what_never_was(boss: Person) -> None:
    confirm("phone")
    seen = outlook(drafted(boss, phone=OTHER_PHONE))
    assert seen.changes == [Change("phone", LOMOVA.phone, OTHER_PHONE)]
    assert (seen.again, seen.missing) == (["phone"], ["email"])
    assert seen.is_of_record
    seen = outlook(drafted(boss, position="Директор"))
    assert (seen.again, seen.missing) == ([], ["email"])


def test_of_another_person_all_is_confirmed_anew(boss: Person) -> None:
    confirm("phone", "email")
    seen = outlook(drafted(boss, is_another_person=True))
    assert (seen.changes, seen.again, seen.missing) == ([], ["phone", "email"], [])
    assert seen.is_another_person


def test_users_are_counted_where_the_operational_part_closes(boss: Person) -> None:
    enrol("u@sever-trakt.example", Role.OPERATOR)
    gone = enrol("gone@sever-trakt.example", Role.OPERATOR)
    act(account.suspend, gone.account, boss.account, "")
    of = drafted(boss, position="Директор")
    assert outlook(of).blocked is None, "it is closed anyway"
    verified(boss)
    seen = outlook(of)
    assert (seen.blocked, seen.status) == (1, Status.EDITING)
    beside = outlook(drafted(boss, networks="10.20.4.0/24"))
    assert (beside.blocked, beside.status, beside.is_of_record) == (None, Status.VERIFIED, False)


def test_a_request_and_a_verification_end_with_the_record_only(boss: Person) -> None:
    confirm("phone")
    record, beside = {"position": "Директор"}, {"networks": "10.20.4.0/24"}
    assert outlook(drafted(boss, is_another_person=False, **record)).ends_request
    assert not outlook(drafted(boss, is_another_person=False, **beside)).ends_request
    confirm("email")
    send(boss)
    seen = outlook(drafted(boss, is_another_person=False, **record))
    assert (seen.ends_request, seen.ends_verification) == (False, True)
    assert not outlook(drafted(boss, is_another_person=False, **beside)).ends_verification


@pytest.mark.parametrize(
    ("changed", "needed"),
    [
        ({"position": "Директор"}, False),
        ({"networks": "10.20.4.0/24"}, True),
        ({"administrator_email": "new@izkt.example", "phone": OTHER_PHONE}, True),
    ],
)
def test_who_gets_letters_and_from_where_needs_a_factor(
    boss: Person, changed: dict[str, str], needed: bool
) -> None:
    of = drafted(boss, is_another_person=False, **changed)
    assert editing.needs_factor(of, now()) is needed
    assert outlook(of).needs_factor is needed


def test_applying_ends_what_waited_for_the_record_before(boss: Person) -> None:
    confirm("phone", "email")
    sent = send(boss)
    act(editing.apply, drafted(boss, phone=OTHER_PHONE), HERE)
    with db.reading():
        ended = verification.find(sent.id)
    assert ended
    assert ended.outcome is Outcome.CHANGED
    assert now().status is Status.UNVERIFIED
    asked = ask()
    act(editing.apply, drafted(boss, position="Директор"), HERE)
    with db.reading():
        request = confirmation.last_request(ID)
    assert request
    assert (request.id, request.standing) == (asked, Standing.CHANGED)


# Back to what was verified


def test_only_an_edit_has_a_record_to_go_back_to(boss: Person) -> None:
    assert verified_record() is None
    verified(boss)
    assert verified_record() is None
    first = now().record_id
    act(editing.apply, drafted(boss, phone=OTHER_PHONE), HERE)
    assert verified_record() == first
    ask()
    act(editing.discard, now(), boss.account.id, HERE)
    assert (now().status, now().details) == (Status.VERIFIED, LOMOVA)
    with db.reading():
        assert not editing.has_request(now())
    with pytest.raises(MovedError):
        act(editing.discard, now(), boss.account.id, HERE)


def verified_record() -> int | None:
    with db.reading():
        found = editing.verified_record(now())
    return found.id if found else None


# What the responsible person says is wrong


def reported(draft: Draft | None = None) -> Reported | None:
    with db.reading():
        return editing.reported(now(), draft)


def test_a_report_stands_beside_what_is_written(boss: Person) -> None:
    assert reported() is None
    asked = report("Летом.", phone=OTHER_PHONE, kpp="290101002", email="", position="Директор")
    act(editing.apply, drafted(boss, kpp="290101002"), HERE)
    seen = reported()
    assert seen
    assert (seen.request_id, seen.comment, seen.asks_who) == (asked, "Летом.", False)
    rows = {row.field: row for row in seen.rows}
    assert {name for name, row in rows.items() if row.may_be_taken} == {"phone", "position"}
    assert rows["kpp"].is_done
    assert (rows["kpp"].seen, rows["kpp"].now) == (LOMOVA.kpp, "290101002")
    assert not rows["email"].error, "no value was proposed, which is no mistake"
    ask()
    assert reported() is None, "another request was made since"


def test_a_report_stands_beside_what_is_typed_in_a_draft(boss: Person) -> None:
    report(phone=OTHER_PHONE, position="Директор")
    of = drafted(boss, phone="+79215550149", position="Директор")
    seen = reported(of)
    assert seen
    assert {row.field: (row.now, row.is_done) for row in seen.rows} == {
        "phone": ("+79215550149", False),
        "position": ("Директор", True),
    }
    assert editing.base(now(), of) == (of.began, of.values)


def test_another_name_asks_who_is_meant(boss: Person) -> None:
    report(last_name="Ломовая")
    seen = reported()
    assert seen
    assert seen.asks_who


def test_a_value_that_is_not_good_any_more_says_why(boss: Person) -> None:
    """Such as one whose region was taken off the list meanwhile."""
    report(phone="+77015550148")
    seen = reported()
    assert seen
    [row] = seen.rows
    assert row.error
    assert not row.may_be_taken
