"""Finding organisations by name, ИНН and ID, without a readable word in the database."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import account, config, create_app, organisation
from portal.account import Role
from portal.database import db
from portal.organisation import Status, words
from portal.organisation.status import move
from tests.conftest import LOMOVA

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    Keep = Callable[..., None]

NORTH, VOLGA, SOLE = "ORG-004217", "ORG-004218", "ORG-004226"


@pytest.fixture
def kept(keep: Keep) -> None:
    keep(NORTH)
    keep(VOLGA, name="Общество «Волжские Перевозки»", short_name="ООО «Волжские перевозки»")
    keep(
        SOLE,
        name="Индивидуальный предприниматель Королёв Роман Ильич",
        short_name="ИП Королёв Р. И.",
        inn="770199991041",
        kpp="",
        ogrn="311774600099917",
    )


def found(
    typed: str = "", status: Status | None = None, *, of: str | None = None, **more: str
) -> list[str]:
    with db.reading():
        return [each.id for each in organisation.search(typed, status, of=of, most=50, **more)]


@pytest.mark.parametrize(
    ("typed", "ids"),
    [
        ("", [NORTH, VOLGA, SOLE]),
        ("   ", [NORTH, VOLGA, SOLE]),
        ("Северный тракт", [NORTH]),
        ("ООО «Северный тракт»", [NORTH]),
        ("сев", [NORTH]),
        ("тракт северный", [NORTH]),
        ("северный т", [NORTH]),
        ("с тракт", [NORTH]),
        ("Trans-4217", []),
        ("тракт-4217", [NORTH]),
        ("северный перевозки", []),
        ("ПЕРЕВОЗ", [VOLGA]),
        ("перевозками", [VOLGA]),
        ("Королев", [SOLE]),
        ("королёв роман", [SOLE]),
        ("2901999014", [NORTH, VOLGA]),
        ("29019990", []),
        ("770199991041", [SOLE]),
        ("ORG-004217", [NORTH]),
        ("org-4217", [NORTH]),
        ("org 004217", [NORTH]),
        ("орг-4217", [NORTH]),
        ("Орг 004217", [NORTH]),
        ("004217", [NORTH]),
        (" 4217 ", [NORTH]),
        ("421", []),
        ("ООО", []),
        ("«»", []),
        ("%", []),
        ("ё", []),
        ("\0", []),
        ("сев " * 2000, [NORTH]),
    ],
)
def test_an_organisation_is_found_by_what_people_know_of_it(
    kept: None, typed: str, ids: list[str]
) -> None:
    assert found(typed) == ids


def test_an_organisation_is_found_by_its_new_name_alone(kept: None, keep: Keep) -> None:
    keep(NORTH, name="ООО «Южный путь»", short_name="ООО «Южный путь»")
    assert found("южный") == [NORTH]
    assert found("северный") == []


def test_a_discarded_name_is_forgotten(kept: None, keep: Keep) -> None:
    with db.writing():
        north = organisation.find(NORTH)
        assert north
        move(NORTH, Status.UNVERIFIED, Status.SUBMITTED, "tests")
        north = organisation.find(NORTH)
        assert north
        organisation.keep_verified(north, "tests", "")
        db.commit()
    keep(NORTH, short_name="ООО «Южный путь»")
    with db.writing():
        edited = organisation.find(NORTH)
        assert edited
        organisation.discard_edit(edited, "tests", "")
        db.commit()
    assert found("южный") == []
    assert found("северный") == [NORTH]


def test_ids_of_any_form_are_found(keep: Keep) -> None:
    for id in ("A-B-17", "x1", "77"):
        keep(id, short_name=f"ООО «Номер {id}»")
    assert found("A-B-17") == ["A-B-17"]
    assert found("a-b-17") == ["A-B-17"]
    assert found("x1") == ["x1"]
    assert found("77") == ["77"]


@pytest.mark.parametrize(
    "id",
    [
        *("ОРГ-004217", "Тракт-Юг-2", "Ёлка", "ALFA-BETA", "a1b2c3d4e5", "ABCDEFGHIJK", "ООО", "Ж"),
        *("A-B-C-D-E-F-17", "A" * 40),
    ],
)
def test_an_id_is_found_as_it_is_written(keep: Keep, id: str) -> None:
    keep("ORG-1")
    keep(id)
    for typed in (id, f" {id} ", id.lower(), id.upper(), id.replace("ё", "е").replace("Ё", "Е")):
        assert found(typed) == [id]


def test_a_part_of_an_id_finds_nothing(keep: Keep) -> None:
    for id in ("ALFA-BETA", "a1b2c3d4e5"):
        keep(id)
    for typed in ("ALFA", "BETA", "ALFA-", "a1b2c3d4", "ALFA-BETA-", "ALFA BETA"):
        assert found(typed) == (["ALFA-BETA"] if typed == "ALFA-BETA-" else [])


def test_an_id_is_found_beside_what_has_it_in_its_name(keep: Keep) -> None:
    keep("ORG-1", short_name="ООО «Тракт Юг»")
    keep("Тракт-Юг", short_name="ООО «Другое»")
    assert found("тракт-юг") == ["ORG-1", "Тракт-Юг"]
    assert found("тракт юг") == ["ORG-1"]


def test_a_list_is_read_page_after_page(keep: Keep) -> None:
    for number in range(7):
        keep(f"ORG-{number}")
    pages, after = [], ""
    while True:
        with db.reading():
            page = [each.id for each in organisation.search(of=None, after=after, most=3)]
        if not page:
            break
        pages.append(page)
        after = page[-1]
    assert pages == [["ORG-0", "ORG-1", "ORG-2"], ["ORG-3", "ORG-4", "ORG-5"], ["ORG-6"]]


def test_only_an_accounts_own_organisations_are_found_for_it(kept: None) -> None:
    with db.writing():
        mine = account.create("a@b.example", Role.ADMINISTRATOR, VOLGA, "", "", "tests")
        db.commit()
    assert found(of=mine.id) == [VOLGA]
    assert found("северный", of=mine.id) == []
    assert found("перевозки", of=mine.id) == [VOLGA]
    assert found(of="nobody") == []


def test_organisations_of_a_status_are_found_for_everybody(kept: None) -> None:
    with db.writing():
        mine = account.create("a@b.example", Role.ADMINISTRATOR, VOLGA, "", "", "tests")
        move(VOLGA, Status.UNVERIFIED, Status.SUBMITTED, "tests")
        move(NORTH, Status.UNVERIFIED, Status.SUBMITTED, "tests")
        account.join(mine, NORTH, "tests")  # its status is known here as well
        db.commit()
    assert found(status=Status.SUBMITTED) == [NORTH, VOLGA]
    assert found(status=Status.SUBMITTED, of=mine.id) == [NORTH, VOLGA]
    assert found("перевозки", Status.SUBMITTED, of=mine.id) == [VOLGA]
    assert found(status=Status.UNVERIFIED) == [SOLE]
    assert found(status=Status.UNVERIFIED, of=mine.id) == []


def test_a_word_stands_readable_nowhere(kept: None, app: Flask) -> None:
    with db.reading():
        rows = db.connection.exec_driver_sql("SELECT word FROM organisation_words").fetchall()
    assert len(rows) > 20
    assert all(len(row.word) == words.FINGERPRINT_BYTES for row in rows)
    stored = b"".join(row.word for row in rows)
    for word in ("королев", "роман", "сев", "770199991041"):
        assert word.encode() not in stored


def test_a_new_data_key_finds_what_was_kept_under_the_old_one(
    kept: None, environment: dict[str, str]
) -> None:
    old = environment["PORTAL_DATA_KEYS"]
    new = "YW5vdGhlciBrZXkgb2YgdGhlIHRlc3RzLCAzMiBsb24="
    app = create_app(config.load(environment | {"PORTAL_DATA_KEYS": f"{new},{old}"}))
    with app.app_context():
        assert found("королёв роман") == [SOLE]
        with db.writing():
            organisation.save(NORTH, replace(LOMOVA, short_name="АО «Тракт»"), "a@b.ru", "", "t")
            db.commit()
        assert found("тракт") == [NORTH]


@given(st.text(max_size=60))
def test_anything_may_be_typed(typed: str) -> None:
    found = words.words_in(typed)
    assert len(found) <= words.MOST_WORDS
    assert all(found)
