"""Keys are rotated while people have forms open: what was typed is there, and the form works."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from portal import config, confirmation, create_app, organisation
from portal.account import Role
from portal.database import db
from tests.browser import Browser
from tests.compiled import COMPILED
from tests.conftest import ADMINISTRATOR, ENVIRONMENT
from tests.hostile import rows
from tests.people import PASSWORD, enrol, invite, next_code

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from tests.conftest import Post

OLD_KEY = "an older key of these tests and long enough"  # a comma would make two of it
OLD_DATA = ENVIRONMENT["PORTAL_DATA_KEYS"]
NEW_KEY = "a newer key of the same tests, as long as that"
NEW_DATA = base64.urlsafe_b64encode(bytes(range(32))).decode()
SECRET = {"PORTAL_SECRET_KEY": NEW_KEY, "PORTAL_SECRET_KEY_FALLBACKS": OLD_KEY}
DATA = {"PORTAL_DATA_KEYS": f"{NEW_DATA},{OLD_DATA}"}
ROTATIONS = {"secret key": SECRET, "data keys": DATA, "both": SECRET | DATA}
NEVER_REPEATED = {"password", "again", "code"}

rotated = pytest.mark.parametrize("which", sorted(ROTATIONS))


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"PORTAL_SECRET_KEY": OLD_KEY}


@pytest.fixture
def rotate(app: Flask, environment: dict[str, str]) -> Callable[..., None]:
    """The portal starts anew with other keys; browsers keep what they show, and their cookies."""

    def start(changed: dict[str, str], *browsers: Browser) -> None:
        again = create_app(config.load(environment | changed))
        again.testing = True
        again.jinja_env.bytecode_cache = COMPILED
        for browser in browsers:
            browser.client.application = again

    return start


def press_twice(browser: Browser, which: str, button: str, **answers: str) -> Browser:
    """A form of the older secret key is shown again, with what was typed, and works then."""
    browser.press(button, **answers)
    if which == "data keys":
        return browser
    assert browser.status == 422
    fields = browser.page.form_of(button).fields
    left = {name: text for name, text in answers.items() if name not in NEVER_REPEATED}
    assert {name: fields[name] for name in left} == left
    return browser.press(button, **{name: answers[name] for name in answers.keys() - left.keys()})


@rotated
def test_an_error_report(
    which: str, rotate: Callable[..., None], browser: Browser, post: Post, asked: str
) -> None:
    browser.open(post.link()).follow("Сообщить об ошибке")
    rotate(ROTATIONS[which], browser)
    typed = {"new_position": "Директор", "comment": "И фамилия с «ё»."}
    press_twice(browser, which, "Отправить администратору", **typed)
    assert browser.status == 200
    assert any(
        "Директор" in letter.text and "с «ё»" in letter.text
        for letter in post.letters(ADMINISTRATOR)
    )


@rotated
def test_a_code(
    which: str, rotate: Callable[..., None], browser: Browser, post: Post, asked: str
) -> None:
    browser.open(post.link()).press("Подтвердить номер телефона")
    typed = post.code()
    rotate(ROTATIONS[which], browser)
    press_twice(browser, which, "Подтвердить", code=typed)
    assert "подтверждён" in browser.named("phone-status")


@rotated
def test_the_button_of_the_second_letter(
    which: str, rotate: Callable[..., None], browser: Browser, post: Post, asked: str
) -> None:
    browser.open(post.link()).press("Подтвердить email")
    browser.open(post.link())
    rotate(ROTATIONS[which], browser)
    press_twice(browser, which, "Подтвердить адрес")
    assert browser.status == 200
    assert "подтверждён" in browser


@rotated
def test_signing_in(
    which: str, rotate: Callable[..., None], browser: Browser, keep: Callable[..., None]
) -> None:
    keep()
    person = enrol("p.petrov@sever-trakt.example")
    browser.open("/signin")
    rotate(ROTATIONS[which], browser)
    press_twice(browser, which, "Войти", email=person.account.email, password=PASSWORD)
    next_code()
    press_twice(browser, "data keys", "Войти", code=person.code)
    assert browser.has("sign-out")


@rotated
def test_an_edit(
    which: str, rotate: Callable[..., None], browser: Browser, keep: Callable[..., None]
) -> None:
    keep()
    enrol(ADMINISTRATOR, Role.ADMINISTRATOR).sign_in(browser)
    browser.open("/organisations/ORG-004217/edit")
    rotate(ROTATIONS[which], browser)
    press_twice(
        browser,
        which,
        "Показать, что изменится",
        position="Директор",
        legal_address="г. Тверь, ул. Мира, 1",
    )
    assert browser.path == "/organisations/ORG-004217/draft"
    assert "Директор" in browser


@rotated
def test_an_invitation(
    which: str,
    rotate: Callable[..., None],
    browser: Browser,
    keep: Callable[..., None],
    post: Post,
) -> None:
    keep()
    invite("p.petrov@sever-trakt.example")
    browser.open(post.link("p.petrov@sever-trakt.example"))
    rotate(ROTATIONS[which], browser)
    press_twice(browser, which, "Продолжить", password=PASSWORD, again=PASSWORD)
    assert browser.has("secret"), "on to the device"


def test_a_key_that_was_stolen_and_taken_out_opens_nothing(
    rotate: Callable[..., None], browser: Browser, post: Post, asked: str
) -> None:
    """Links, cookies and forms of it are worth nothing, and using them changes nothing."""
    link = post.link()
    browser.open(link).follow("Сообщить об ошибке")
    rotate({"PORTAL_SECRET_KEY": NEW_KEY}, browser)
    before = rows()
    browser.press("Отправить администратору", comment="Ошибка.")
    assert browser.status == 410
    assert browser.open(link).status == 410
    assert rows() == before


@pytest.mark.parametrize("contact", ["phone", "email"])
def test_going_back_to_an_older_contact_asks_for_nothing(
    contact: str,
    rotate: Callable[..., None],
    browser: Browser,
    keep: Callable[..., None],
    post: Post,
    asked: str,
) -> None:
    browser.open(post.link())
    if contact == "phone":
        browser.press("Подтвердить номер телефона").press("Подтвердить", code=post.code())
    else:
        browser.press("Подтвердить email").open(post.link()).press("Подтвердить адрес")
    assert proved() == {contact}
    keep(phone="+79215550199", email="other@sever-trakt.example")
    assert proved() == set()
    rotate(DATA)
    keep()
    assert proved() == {contact}
    keep(position="Механик")
    assert proved() == {contact}


def proved() -> set[str]:
    with db.reading():
        found = organisation.find("ORG-004217")
        assert found
        return confirmation.proved(found)
