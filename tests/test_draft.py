"""An edit that has not taken effect: kept, compared, merged with what others changed, applied."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from portal import confirmation, organisation
from portal.account import Role
from portal.checks import BadValueError
from portal.database import db
from portal.organisation import (
    Clash,
    Draft,
    Organisation,
    Outcome,
    Start,
    Status,
    check_networks,
    misfits,
)
from portal.organisation.tables import records
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.people import Person, act, enrol

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Time

ID = "ORG-004217"
OTHER_PHONE = "+79215550148"
OTHER_EMAIL = "other@sever-trakt.example"


@pytest.fixture
def boss(keep: Callable[..., None]) -> Person:
    keep()
    return enrol(ADMINISTRATOR, Role.ADMINISTRATOR)


@pytest.fixture
def colleague(boss: Person) -> Person:
    return enrol("colleague@sever-trakt.example", Role.ADMINISTRATOR)


def now() -> Organisation:
    with db.reading():
        found = organisation.find(ID)
    assert found
    return found


def start() -> Start:
    return organisation.start_of(now())


def draft(
    person: Person,
    *,
    is_another_person: bool = False,
    **changed: str,
) -> Draft:
    """What somebody typed over what the form showed."""
    began = start()
    with db.writing():
        organisation.keep_draft(
            ID,
            person.account.id,
            began,
            {**began.values, **changed},
            is_another_person=is_another_person,
        )
        db.commit()
    return kept(person)


def kept(person: Person) -> Draft:
    with db.reading():
        found = organisation.draft_of(ID, person.account.id)
    assert found
    return found


def apply(of: Draft) -> Outcome:
    outcome = act(organisation.apply_draft, of, "10.20.4.2")
    assert isinstance(outcome, Outcome)
    return outcome


def clashes(of: Draft) -> list[Clash]:
    with db.reading():
        return organisation.clashes(of, now())


# Keeping


def test_a_draft_changes_nothing_before_it_is_applied(boss: Person) -> None:
    before = now()
    of = draft(boss, phone=OTHER_PHONE, networks="10.20.4.0/24")
    assert now() == before
    assert of.details == replace(LOMOVA, phone=OTHER_PHONE)
    assert of.began == start()
    assert not of.is_outdated(before)
    assert apply(of) is Outcome.CHANGED
    after = now()
    assert after.details == of.details
    assert [str(each) for each in after.networks] == ["10.20.4.0/24"]
    assert after.administrator_email == ADMINISTRATOR
    with db.reading():
        assert organisation.draft_of(ID, boss.account.id) is None


def test_a_draft_is_ones_own(boss: Person, colleague: Person, time: Time) -> None:
    mine = draft(boss, phone=OTHER_PHONE)
    draft(colleague, position="Директор")
    assert kept(boss) == mine
    time.passes(seconds=1)
    newer = draft(boss, phone="+79215550149")
    assert kept(boss) == newer
    assert newer.version != mine.version
    assert act(organisation.forget_draft, ID, boss.account.id)
    assert not act(organisation.forget_draft, ID, boss.account.id)
    assert kept(colleague).values["position"] == "Директор"


def test_what_was_typed_cannot_be_read_in_the_database(boss: Person) -> None:
    draft(boss, phone=OTHER_PHONE, last_name="Петрова")
    with db.reading():
        row = db.connection.exec_driver_sql("SELECT * FROM drafts").one()
    stored = b"".join(each if isinstance(each, bytes) else str(each).encode() for each in row)
    assert "Петрова".encode() not in stored
    assert OTHER_PHONE.encode() not in stored
    assert OTHER_PHONE not in repr(kept(boss))


# What it comes to


def test_changes_stand_in_the_order_of_the_page(boss: Person) -> None:
    of = draft(boss, networks="10.20.4.0/24", phone=OTHER_PHONE, kpp="290101002")
    found = organisation.changes(of, now())
    assert found == [
        ("kpp", LOMOVA.kpp, "290101002"),
        ("phone", LOMOVA.phone, OTHER_PHONE),
        ("networks", "", "10.20.4.0/24"),
    ]


@pytest.mark.parametrize(
    ("changed", "another", "left"),
    [
        ({"phone": OTHER_PHONE}, False, {"email"}),
        ({"email": OTHER_EMAIL}, False, {"phone"}),
        ({"last_name": "Петрова"}, False, {"phone", "email"}),
        ({"last_name": "Петрова"}, True, set()),
        ({}, True, set()),
        (
            {"networks": "10.20.4.0/24", "administrator_email": OTHER_EMAIL},
            False,
            {"phone", "email"},
        ),
    ],
)
def test_a_preview_is_what_comes(
    boss: Person, changed: dict[str, str], another: bool, left: set[str]
) -> None:
    known = now()
    with db.writing():
        id = confirmation.request(known, "tests")
        assert id
        for kind in ("phone", "email"):
            found = confirmation.find(id)
            assert found
            confirmation.course.prove(found, kind, "10.20.4.17")
        db.commit()
    of = draft(boss, is_another_person=another, **changed)
    with db.reading():
        foreseen = organisation.preview(of, now())
        assert confirmation.proved(foreseen) == left
    apply(of)
    after = now()
    with db.reading():
        assert confirmation.proved(after) == left
    if not another:
        assert replace(foreseen, record_id=after.record_id) == after


def test_a_preview_knows_the_status(boss: Person) -> None:
    of, beside = draft(boss, phone=OTHER_PHONE), draft(boss, networks="10.20.4.0/24")
    verified = replace(now(), status=Status.VERIFIED)
    assert organisation.preview(of, verified).status is Status.EDITING
    assert organisation.preview(beside, verified).status is Status.VERIFIED
    assert organisation.changes_record(of, verified)
    assert not organisation.changes_record(beside, verified)


# Two at once


def test_what_somebody_else_changed_is_seen(boss: Person, colleague: Person) -> None:
    of = draft(boss, phone=OTHER_PHONE, position="Директор", email=OTHER_EMAIL)
    apply(draft(colleague, phone="+79215550149", kpp="290101002", email=OTHER_EMAIL))
    assert of.is_outdated(now())
    assert clashes(of) == [
        Clash("kpp", LOMOVA.kpp, "290101002", LOMOVA.kpp),
        Clash("phone", LOMOVA.phone, "+79215550149", OTHER_PHONE),
    ]
    assert [clash.is_typed for clash in clashes(of)] == [False, True]


def test_what_stands_beside_the_record_is_seen_too(boss: Person, colleague: Person) -> None:
    of = draft(boss, phone=OTHER_PHONE)
    apply(draft(colleague, networks="10.20.4.0/24"))
    assert now().record_id == of.began.record_id
    assert of.is_outdated(now())
    assert clashes(of) == [Clash("networks", "", "10.20.4.0/24", "")]
    assert organisation.merge(of, now(), set())["networks"] == "10.20.4.0/24"


def test_values_are_merged_row_by_row(boss: Person, colleague: Person) -> None:
    of = draft(boss, phone=OTHER_PHONE, position="Директор")
    apply(draft(colleague, phone="+79215550149", kpp="290101002"))
    current = now()
    theirs = organisation.merge(of, current, set())
    mine = organisation.merge(of, current, {"phone", "kpp"})
    assert theirs == {**organisation.start_of(current).values, "position": "Директор"}
    assert mine == dict(of.values)
    assert organisation.merge(of, current, {"phone"}) == {**mine, "kpp": "290101002"}


def test_the_same_edit_by_two_is_no_clash(boss: Person, colleague: Person) -> None:
    of = draft(boss, phone=OTHER_PHONE)
    apply(draft(colleague, phone=OTHER_PHONE))
    assert of.is_outdated(now())
    assert clashes(of) == []
    assert organisation.merge(of, now(), set()) == start().values
    with db.reading():
        count = len(db.all(records.select()))
    assert apply(of) is Outcome.SAME
    with db.reading():
        assert len(db.all(records.select())) == count


def test_who_changed_a_row_is_known(boss: Person, colleague: Person, time: Time) -> None:
    assert traces() == {}
    apply(draft(colleague, phone=OTHER_PHONE, kpp="290101002"))
    time.passes(hours=1)
    apply(draft(boss, phone="+79215550149", networks="10.20.4.0/24"))
    found = traces()
    assert (found["phone"].by, found["kpp"].by) == (boss.account.id, colleague.account.id)
    assert found["networks"].by == boss.account.id
    assert found["phone"].at > found["kpp"].at
    assert "position" not in found


def test_who_discarded_changed_every_row(boss: Person, colleague: Person) -> None:
    act(organisation.status.move, ID, Status.UNVERIFIED, Status.SUBMITTED, "tests")
    act(organisation.keep_verified, now(), "tests", "")
    apply(draft(boss, phone=OTHER_PHONE))
    act(organisation.discard_edit, now(), colleague.account.id, "")
    assert {trace.by for trace in traces().values()} == {colleague.account.id}
    assert "phone" in traces()


def traces() -> dict[str, Any]:
    with db.reading():
        return organisation.traces(now())


NAME = {"last_name": "Петров", "first_name": "Пётр"}


@pytest.mark.parametrize(
    ("typed", "other", "theirs", "their_other", "mine", "expected"),
    [
        # They left the name alone: what was answered holds.
        (NAME, True, {"phone": OTHER_PHONE}, False, NAME, True),
        ({"last_name": "Ломовая"}, False, {"phone": OTHER_PHONE}, False, {"last_name"}, False),
        ({}, True, {"phone": OTHER_PHONE}, False, {}, True),
        # They corrected the spelling; keeping the old one is no other person.
        ({}, False, {"last_name": "Ломовая"}, False, {"last_name"}, False),
        ({}, False, {"last_name": "Ломовая"}, False, {}, False),
        # They named somebody else: who is meant by a third name has to be asked.
        ({"last_name": "Ломовая"}, False, NAME, True, {"last_name", "first_name"}, None),
        ({"last_name": "Ломовая"}, False, NAME, True, {}, False),
        (NAME, True, NAME, True, {}, False),
    ],
)
def test_who_is_meant_after_a_merge(
    boss: Person,
    colleague: Person,
    typed: dict[str, str],
    other: bool,
    theirs: dict[str, str],
    their_other: bool,
    mine: Any,
    expected: bool | None,
) -> None:
    of = draft(boss, is_another_person=other, **typed)
    apply(draft(colleague, is_another_person=their_other, **theirs))
    with db.reading():
        values = organisation.merge(of, now(), set(mine))
        assert organisation.person_after(of, now(), values) is expected


# What values have to be


def test_a_start_has_a_version(boss: Person) -> None:
    first = start()
    assert start().version == first.version
    apply(draft(boss, networks="10.20.4.0/24"))
    assert start().version != first.version


ALONE = {"inn": "772817289210", "ogrn": "300100000000030", "kpp": ""}


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({}, set()),
        (ALONE, set()),
        ({"kpp": ""}, {"kpp"}),
        (ALONE | {"kpp": LOMOVA.kpp}, {"kpp"}),
        ({"inn": ALONE["inn"]}, {"kpp", "ogrn"}),
        ({"ogrn": ALONE["ogrn"]}, {"ogrn"}),
        ({"ogrn": ALONE["ogrn"], "kpp": ""}, {"kpp", "ogrn"}),
    ],
)
def test_kpp_and_ogrn_go_with_the_inn(changed: dict[str, str], wrong: set[str]) -> None:
    values = {name: getattr(LOMOVA, name) for name in ALONE} | changed
    assert misfits(values).keys() == wrong
    assert all(misfits(values).values())
    for name in ALONE:
        partly = {each: value for each, value in values.items() if each != name}
        assert misfits(partly).keys() <= wrong, "of what cannot be read nothing is said"


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("", ""),
        ("   ", ""),
        ("10.20.4.0/24", "10.20.4.0/24"),
        ("  10.20.4.0/255.255.255.0 \n fd00:20::/64", "10.20.4.0/24 fd00:20::/64"),
        ("10.20.4.17", "10.20.4.17/32"),
        ("10.0.0.0/8", "10.0.0.0/8"),
    ],
)
def test_networks_have_one_spelling(typed: str, stored: str) -> None:
    assert check_networks(typed) == stored
    assert check_networks(stored) == stored


@pytest.mark.parametrize(
    "typed",
    [
        "0.0.0.0/0",
        "::/0",
        "::ffff:0:0/96",
        "10.20.4.0/24 0.0.0.0/0",
        "0.0.0.0/1 128.0.0.0/1",
        "8.0.0.0/7",
        "2001::/31",
        "::/1 8000::/1",
        "10.20.4.0/24,10.20.8.0/24",
        "10.20.4.1/24",
        "сеть",
        "10.20.4.0/33",
        "<script>",
        " ".join(f"10.20.{number}.0/24" for number in range(51)),
    ],
)
def test_what_is_no_network_or_everything_is_refused(typed: str) -> None:
    with pytest.raises(BadValueError):
        check_networks(typed)
