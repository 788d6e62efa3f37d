"""A new password of one's own, changed by who is signed in and says the old one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from portal import recovery
from portal.database import db, metadata
from portal.recovery import Reason
from tests.people import PASSWORD, Person, act, enrol, is_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser import Browser
    from tests.conftest import Post, Time

    NewBrowser = Callable[..., Browser]

EMAIL = "p.petrov@sever-trakt.example"
CHANGE, PAGE = "Сменить пароль", "/devices/password"
OTHER = "четыре зелёных сапога поют"


@pytest.fixture
def petrov(keep: Callable[..., None]) -> Person:
    keep()
    return enrol(EMAIL)


@pytest.fixture
def inside(petrov: Person, browser: Browser) -> Browser:
    return petrov.sign_in(browser).open("/devices").follow(CHANGE)


def change(browser: Browser, old: str = PASSWORD, new: str = OTHER, again: str = "") -> Browser:
    return browser.press(CHANGE, old=old, password=new, again=again or new)


def test_with_the_old_password_a_new_one_is_chosen(
    petrov: Person, inside: Browser, new_browser: NewBrowser, post: Post
) -> None:
    elsewhere = petrov.sign_in(new_browser())
    change(inside)
    assert inside.path == "/signin"
    assert not is_in(inside)
    assert not is_in(elsewhere), "every session ends"
    assert "Пароль изменён" in post.letters(EMAIL)[-1].subject
    assert petrov.enter_password(inside).path == "/signin", "the old one opens nothing"
    petrov.password = OTHER
    assert is_in(petrov.sign_in(inside))


def test_a_recovery_ends_that_was_asked_for_with_the_old_password(
    petrov: Person, inside: Browser
) -> None:
    asked = act(recovery.open_by_owner, petrov.account, "cabinet", "10.20.9.9")
    change(inside)
    with db.reading():
        ended = recovery.find(asked.id)
    assert ended
    assert ended.reason is Reason.CHANGED


def test_without_the_old_password_nothing_changes(
    petrov: Person, inside: Browser, new_browser: NewBrowser
) -> None:
    for old, sentence in (("", "Введите нынешний пароль"), (OTHER, "Это не нынешний пароль")):
        change(inside, old=old)
        assert inside.status == 422
        assert sentence in inside.fault("old")
    assert is_in(inside)
    assert is_in(petrov.sign_in(new_browser())), "the password is the one it was"


def test_a_bad_new_password_is_refused_before_the_old_one_is_judged(inside: Browser) -> None:
    for new, again, sentence in (
        ("короткий", "", "Слишком короткий"),
        ("password1234", "", "легко подобрать"),
        (OTHER, PASSWORD, "не совпадают"),
    ):
        change(inside, old="не тот", new=new, again=again)
        assert inside.status == 422
        assert sentence in inside.fault("password")
    with db.reading():
        tried = db.all(metadata.tables["wrong_passwords"].select())
    assert [row.count for row in tried] == [0]


def test_wrong_old_passwords_are_counted_as_in_signing_in(
    petrov: Person, inside: Browser, new_browser: NewBrowser, time: Time
) -> None:
    for _try in range(10):
        change(inside, old=OTHER)
    assert inside.status == 429
    assert change(inside).status == 429, "not even the right one"
    assert petrov.enter_password(new_browser()).status == 429
    time.passes(minutes=16)
    inside.open(PAGE).press("Подтвердить", code=petrov.code)
    assert change(inside).path == "/signin"


def test_it_needs_a_second_factor_of_the_last_five_minutes(
    petrov: Person, inside: Browser, time: Time
) -> None:
    time.passes(minutes=6)
    assert change(inside).path == "/check", "though the page was open"
    inside.press("Подтвердить", code=petrov.code)
    assert inside.path == PAGE, "and back to where it was wanted"
    assert change(inside).path == "/signin"


def test_an_old_form_changes_nothing(inside: Browser) -> None:
    form = inside.page.form_of(CHANGE).fields | {"csrf_token": "old", "old": PASSWORD}
    answer = inside.ask("post", PAGE, data=form | {"password": OTHER, "again": OTHER})
    assert answer.status_code == 422
    assert "Страница устарела" in answer.text
    assert OTHER not in answer.text
    assert is_in(inside)
