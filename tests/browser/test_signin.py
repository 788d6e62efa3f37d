"""Signing in: password, second factor, backup codes; a new password; a session that ended."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from portal.account import Role, links
from portal.database import db
from tests.people import Person, enrol, next_code
from tests.signing import (
    OPERATIONS,
    choose_password,
    enrol_app,
    enter_code,
    enter_password,
    fill,
    link,
    press,
    sign_in,
    to_devices,
    type_code_back,
    wait_to_be_asked_again,
)
from tests.window import OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from tests.conftest import Post, Time
    from tests.window import Watch

EMAIL = "p.petrov@sever-trakt.example"
NEW_PASSWORD = "три синих комбайна поют хором"
DEVICES = re.compile("/devices$")
FACTOR = re.compile("/signin/factor$")
SIGN_IN = re.compile("/signin$")
CODE = re.compile(r"^([0-9A-Z]{4}-){3}[0-9A-Z]{4}$")
CYRILLIC = re.compile("[А-Яа-яЁё]")
COUNT_PRINTS = "window.prints = 0; window.print = () => { window.prints += 1; }"


@pytest.fixture
def host() -> str:
    return "localhost"  # letters lead to the portal under test


@pytest.fixture
def person(keep: Callable[..., None]) -> Person:
    """An operator with an app and ten codes."""
    keep()
    return enrol(EMAIL, codes=True)


def sign_out(page: Page) -> None:
    press(page, "sign-out")
    expect(page.get_by_test_id("forgotten")).to_be_visible()


def error(page: Page) -> Locator:
    return page.get_by_test_id("error")


# Password and second factor


def test_password_and_code_open_the_portal(window: Page, person: Person) -> None:
    window.goto("/devices")
    expect(window).to_have_url(SIGN_IN)
    expect(window.get_by_test_id("email")).to_be_focused()
    enter_password(window, person)
    expect(window).to_have_url(FACTOR)
    expect(window.get_by_test_id("code")).to_be_focused()
    enter_code(window, person)
    expect(window).to_have_url(DEVICES)
    sign_in_row = window.get_by_test_id("sign-in").first
    expect(sign_in_row).to_contain_text("код из приложения")
    expect(sign_in_row).to_contain_text("10.20.4.17")
    expect(sign_in_row).to_contain_text("Chrome")


def test_enter_sends_each_form(window: Page, person: Person) -> None:
    window.goto("/signin")
    fill(window, email=EMAIL, password=person.password)
    window.keyboard.press("Enter")
    expect(window.get_by_test_id("code")).to_be_focused()
    next_code()
    window.keyboard.type(person.code)
    window.keyboard.press("Enter")
    expect(window).to_have_url(OPERATIONS)


def test_a_wrong_password_keeps_the_email_and_waits_for_another(
    window: Page, person: Person, watch: Watch
) -> None:
    watch.means(422)
    window.goto("/signin")
    fill(window, email=EMAIL, password="неверный пароль")
    press(window, "enter")
    expect(error(window)).to_have_text("Не удалось войти. Проверьте email и пароль.")
    expect(window.get_by_test_id("email")).to_have_value(EMAIL)
    expect(window.get_by_test_id("password")).to_be_focused()
    expect(window.get_by_test_id("password")).to_have_value("")
    fill(window, password=person.password)
    press(window, "enter")
    expect(window).to_have_url(FACTOR)


def test_wrong_codes_are_counted_and_then_the_password_is_asked_again(
    window: Page, person: Person, watch: Watch
) -> None:
    watch.means(422)
    enter_password(window, person)
    for left in (4, 3, 2, 1):
        fill(window, code="000000")
        press(window, "enter")
        expect(error(window)).to_have_text(re.compile(f"Неверный код. Осталось попыток: {left}"))
        expect(window.get_by_test_id("code")).to_be_focused()
    fill(window, code="000000")
    press(window, "enter")
    expect(error(window)).to_have_text("Попытки закончились. Введите пароль ещё раз.")
    expect(window.get_by_test_id("email")).to_have_value(EMAIL)
    fill(window, password=person.password)
    press(window, "enter")
    enter_code(window, person)
    expect(window).to_have_url(OPERATIONS)


def test_a_backup_code_opens_the_portal_and_is_replaced(
    window: Page, person: Person, watch: Watch, post: Post
) -> None:
    enter_password(window, person)
    press(window, "use-backup-code")
    watch.means(422)
    fill(window, code="0000-0000-0000-0000")
    press(window, "enter")
    expect(error(window)).to_contain_text("Осталось попыток: 4")
    fill(window, code=person.codes[3].lower().replace("-", " "))
    press(window, "enter")
    replacement = window.get_by_test_id("replacement")
    expect(replacement).to_have_text(CODE)
    new = replacement.inner_text()
    assert new not in person.codes
    press(window, "replacement-kept")
    to_devices(window)
    expect(window.get_by_test_id("codes-left")).to_have_text("10 из 10")
    assert any("код" in each.subject.lower() for each in post.letters(EMAIL))

    sign_out(window)
    enter_password(window, person)
    press(window, "use-backup-code")
    fill(window, code=person.codes[3])
    press(window, "enter")
    expect(error(window)).to_be_visible()  # it counted once
    fill(window, code=new)
    press(window, "enter")
    expect(replacement).to_be_visible()


def test_a_code_confirms_a_change_and_the_window_is_back_where_it_was(
    window: Page, person: Person
) -> None:
    sign_in(window, person)
    to_devices(window)
    wait_to_be_asked_again()
    window.reload()
    expect(window.get_by_test_id("add-device")).to_have_count(0)
    press(window, "change")
    expect(window.get_by_test_id("code")).to_be_focused()
    enter_code(window, person)
    expect(window).to_have_url(DEVICES)
    expect(window.get_by_test_id("add-device")).to_be_visible()


# An invitation, and its ten codes


@pytest.fixture
def codes_page(window: Page, post: Post, keep: Callable[..., None]) -> Page:
    """The ten codes of somebody who just enrolled an app by invitation."""
    keep()
    with db.writing():
        links.invite(EMAIL, Role.OPERATOR, "ORG-004217", "Петров Пётр Петрович", "", "tests")
        db.commit()
    window.add_init_script(COUNT_PRINTS)
    choose_password(window, post, EMAIL)
    expect(window.locator(".qr svg")).to_be_visible()

    enrol_app(window)
    expect(window.get_by_test_id("codes").locator("li")).to_have_count(10)
    return window


def shown(page: Page) -> list[str]:
    return page.get_by_test_id("codes").locator("code").all_inner_texts()


def test_an_invited_person_enrols_an_app_and_is_in(codes_page: Page) -> None:
    type_code_back(codes_page)
    to_devices(codes_page)
    expect(codes_page.get_by_test_id("codes-left")).to_have_text("10 из 10")
    expect(codes_page.get_by_test_id("device")).to_have_count(1)


def test_the_codes_are_copied(codes_page: Page, site: str) -> None:
    allowed = ["clipboard-read", "clipboard-write"]
    codes_page.context.grant_permissions(allowed, origin=site)
    press(codes_page, "copy")
    expect(codes_page.get_by_test_id("copy")).to_have_text("Скопировано")
    copied = str(codes_page.evaluate("navigator.clipboard.readText()"))
    assert copied.split() == shown(codes_page)


def test_where_copying_is_not_allowed_the_codes_are_selected(codes_page: Page) -> None:
    codes_page.evaluate("navigator.clipboard.writeText = () => Promise.reject(new Error()); 0")
    press(codes_page, "copy")
    codes_page.wait_for_function("String(getSelection()).includes('-')")
    selected = str(codes_page.evaluate("String(getSelection())"))
    assert all(code in selected for code in shown(codes_page))
    expect(codes_page.get_by_test_id("copy")).to_have_text("Скопировать")


def test_the_codes_are_printed_without_what_is_around_them(codes_page: Page) -> None:
    press(codes_page, "print")
    assert codes_page.evaluate("window.prints") == 1
    codes_page.emulate_media(media="print")
    expect(codes_page.get_by_test_id("codes")).to_be_visible()
    for name in ("copy", "print", "download", "codes-kept"):
        expect(codes_page.get_by_test_id(name)).to_be_hidden()


def test_the_codes_are_downloaded(codes_page: Page) -> None:
    with codes_page.expect_download() as download:
        press(codes_page, "download")
    assert download.value.suggested_filename == "izkt-codes.txt"
    of, *codes = Path(download.value.path()).read_text().splitlines()
    assert of == codes_page.locator(".of").inner_text()
    assert codes == shown(codes_page)


def test_a_code_that_is_not_in_the_list_is_refused_and_the_codes_stay(
    codes_page: Page, watch: Watch
) -> None:
    before = shown(codes_page)
    watch.means(422)
    fill(codes_page, code="0000-0000-0000-0000")
    press(codes_page, "codes-kept")
    expect(error(codes_page)).to_contain_text("Такого кода в этом списке нет")
    expect(codes_page.get_by_test_id("code")).to_be_focused()
    assert shown(codes_page) == before


# A forgotten password


def test_a_forgotten_password_is_chosen_anew_by_letter(
    window: Page, person: Person, post: Post, watch: Watch
) -> None:
    window.goto("/signin")
    press(window, "forgotten")
    expect(window.get_by_test_id("email")).to_be_focused()
    fill(window, email=EMAIL)
    press(window, "send")
    expect(window.get_by_test_id("sent")).to_contain_text(EMAIL)
    window.goto(link(post, EMAIL))
    watch.means(422)
    fill(window, password=NEW_PASSWORD, again="другой пароль")
    press(window, "choose")
    expect(error(window)).to_contain_text("не совпадают")
    fill(window, password=NEW_PASSWORD, again=NEW_PASSWORD)
    press(window, "choose")
    expect(window.get_by_test_id("done")).to_have_text("Пароль изменён. Войдите с новым паролем.")
    person.password = NEW_PASSWORD
    sign_in(window, person)
    expect(window).to_have_url(OPERATIONS)


# A session that ended, and other places


def test_a_session_that_was_ended_elsewhere_leads_to_sign_in_and_back(
    window: Page, new_window: Callable[..., Page], keep: Callable[..., None]
) -> None:
    keep()
    person = enrol(EMAIL, Role.ADMINISTRATOR)
    sign_in(window, person)  # their start is another page
    other = new_window("10.20.4.18")
    sign_in(other, person)
    other.goto("/devices")
    expect(other.get_by_test_id("sign-in")).to_have_count(2)
    press(other, "end-sessions")
    expect(other.get_by_test_id("done")).to_have_text("Сеансы завершены.")

    window.get_by_role("link", name="Мои устройства").click()
    expect(window).to_have_url(SIGN_IN)
    enter_password(window, person)
    enter_code(window, person)
    expect(window).to_have_url(DEVICES)
    expect(other.get_by_test_id("sign-out")).to_be_visible()


def test_a_button_pressed_after_the_session_ended_changes_nothing_and_says_so(
    window: Page, new_window: Callable[..., Page], person: Person, watch: Watch
) -> None:
    sign_in(window, person)
    to_devices(window)
    other = new_window("10.20.4.18")
    sign_in(other, person)
    to_devices(other)
    press(other, "end-session")
    expect(other.get_by_test_id("done")).to_have_text("Сеансы завершены.")
    watch.means(401)
    press(window, "add-device")
    expect(window.get_by_test_id("advice")).to_contain_text("Войдите и повторите")


def test_half_an_hour_of_rest_ends_the_session(window: Page, person: Person, time: Time) -> None:
    sign_in(window, person)
    time.passes(minutes=30)
    window.reload()
    expect(window).to_have_url(SIGN_IN)
    sign_in(window, person)
    expect(window).to_have_url(OPERATIONS)


def test_the_back_button_shows_nothing_after_signing_out(window: Page, person: Person) -> None:
    sign_in(window, person)
    to_devices(window)
    expect(window.get_by_test_id("device")).to_have_count(1)
    sign_out(window)
    window.go_back()
    expect(window.get_by_test_id("forgotten")).to_be_visible()
    expect(window.get_by_test_id("device")).to_have_count(0)


def test_outside_the_secure_channel_nobody_signs_in(
    new_window: Callable[..., Page], watch: Watch
) -> None:
    watch.means(403)
    page = new_window(OUTSIDE)
    page.goto("/signin")
    expect(page.get_by_test_id("outside")).to_be_visible()
    expect(page.get_by_test_id("address")).to_have_text(OUTSIDE)


# English


def test_all_of_it_is_there_in_english(window: Page, person: Person) -> None:
    window.goto("/signin")
    window.locator("[hreflang=en]").click()
    expect(window.locator("html")).to_have_attribute("lang", "en")
    expect_english(window)
    enter_password(window, person)
    expect(window.get_by_test_id("code")).to_be_visible()
    expect_english(window)
    enter_code(window, person)
    expect(window).to_have_url(OPERATIONS)
    expect(window.locator("html")).to_have_attribute("lang", "en")
    expect_english(window)


def expect_english(page: Page) -> None:
    for each in page.locator("h1, h2, label, th, main button, nav a").all():
        expect(each).not_to_have_text(CYRILLIC)
