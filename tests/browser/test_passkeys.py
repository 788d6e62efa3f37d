"""Passkeys, with the virtual authenticator of Chromium in place of a finger."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from portal.account import Role, links
from portal.database import db
from tests.people import PASSWORD, Person, enrol
from tests.signing import (
    OPERATIONS,
    Fingertip,
    choose_password,
    enter_code,
    enter_password,
    fill,
    press,
    sign_in,
    to_devices,
    type_code_back,
    wait_to_be_asked_again,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, Route

    from tests.conftest import Post
    from tests.window import Watch

EMAIL = "p.petrov@sever-trakt.example"
DEVICES = re.compile("/devices$")
FACTOR = re.compile("/signin/factor$")


@pytest.fixture
def host() -> str:
    return "localhost"  # WebAuthn knows no IP addresses


@pytest.fixture
def finger(window: Page) -> Fingertip:
    return Fingertip(window)


@pytest.fixture
def person(keep: Callable[..., None]) -> Person:
    """An operator with an app and ten codes."""
    keep()
    return enrol(EMAIL, codes=True)


@pytest.fixture
def invited(keep: Callable[..., None]) -> str:
    """The email of somebody whose invitation is on its way."""
    keep()
    with db.writing():
        links.invite(EMAIL, Role.OPERATOR, "ORG-004217", "Петров Пётр Петрович", "", "tests")
        db.commit()
    return EMAIL


def add_passkey(page: Page, name: str = "") -> None:
    """From «Мои устройства», confirmed a moment ago."""
    press(page, "add-device")
    fill(page, name=name)
    press(page, "add-passkey")
    expect(page.get_by_test_id("done")).to_have_text("Устройство добавлено.")


def with_passkey(page: Page, person: Person, name: str = "") -> None:
    sign_in(page, person)
    to_devices(page)
    add_passkey(page, name)


def sign_out(page: Page) -> None:
    press(page, "sign-out")
    expect(page.get_by_test_id("forgotten")).to_be_visible()


def expect_devices(page: Page, *names: str) -> None:
    expect(page.get_by_test_id("device").locator("td:first-child")).to_contain_text(names)


# Adding


def test_an_invited_person_enrols_a_passkey_and_signs_in_with_it(
    window: Page, finger: Fingertip, post: Post, invited: str
) -> None:
    choose_password(window, post, invited)
    fill(window, name="Рабочий компьютер")
    press(window, "add-passkey")
    expect(window.get_by_test_id("codes").locator("li")).to_have_count(10)
    assert len(finger.passkeys()) == 1
    codes = type_code_back(window)
    to_devices(window)
    expect_devices(window, "Рабочий компьютер")
    expect(window.get_by_test_id("codes-left")).to_have_text("10 из 10")
    assert len(set(codes)) == 10

    sign_out(window)
    fill(window, email=invited, password=PASSWORD)
    press(window, "enter")
    expect(window.get_by_test_id("code")).to_have_count(0)  # there is no app
    press(window, "passkey")
    to_devices(window)
    expect(window.get_by_test_id("sign-in").first).to_contain_text("ключ доступа")


def test_a_passkey_is_offered_before_the_app_and_has_the_focus(
    window: Page, finger: Fingertip, person: Person
) -> None:
    with_passkey(window, person)
    sign_out(window)
    enter_password(window, person)
    passkey, code = window.get_by_test_id("passkey"), window.get_by_test_id("code")
    expect(passkey).to_be_focused()
    above, below = passkey.bounding_box(), code.bounding_box()
    assert above
    assert below
    assert above["y"] < below["y"]
    enter_code(window, person)  # the app works as before
    expect(window).to_have_url(OPERATIONS)


def test_passkeys_have_names_and_are_removed_one_by_one_but_not_the_last(
    window: Page, finger: Fingertip, post: Post, invited: str, watch: Watch
) -> None:
    choose_password(window, post, invited)
    fill(window, name="Рабочий компьютер")
    press(window, "add-passkey")
    type_code_back(window)
    to_devices(window)
    expect(window.get_by_test_id("drop")).to_have_count(0)

    first = finger.passkeys()
    finger.forget()  # the next is on another computer
    add_passkey(window, "Домашний компьютер")
    finger.forget()
    add_passkey(window)
    expect_devices(window, "Рабочий компьютер", "Домашний компьютер", "Ключ доступа")

    window.get_by_role("button", name="Удалить: Домашний компьютер").click()
    expect(window.get_by_test_id("done")).to_have_text("Устройство удалено.")
    expect_devices(window, "Рабочий компьютер", "Ключ доступа")
    tab = window.context.new_page()
    tab.goto("/devices")
    window.get_by_role("button", name="Удалить: Ключ доступа").click()
    expect(window.get_by_test_id("device")).to_have_count(1)
    expect(window.get_by_test_id("drop")).to_have_count(0)

    watch.means(409)  # in the other tab both are still in sight
    tab.get_by_role("button", name="Удалить: Рабочий компьютер").click()
    expect(tab.get_by_test_id("notice")).to_contain_text("Последнее устройство удалить нельзя")
    expect(tab.get_by_test_id("device")).to_have_count(1)

    sign_out(window)
    finger.forget()
    finger.have(first)
    fill(window, email=invited, password=PASSWORD)
    press(window, "enter", "passkey")
    expect(window).to_have_url(OPERATIONS)


def test_a_device_that_has_a_passkey_takes_no_second_one(
    window: Page, finger: Fingertip, person: Person
) -> None:
    with_passkey(window, person)
    press(window, "add-device", "add-passkey")
    error = window.get_by_test_id("passkey-error")
    expect(error).to_have_text("На этом устройстве ваш ключ доступа уже есть.")
    expect(window.get_by_test_id("add-passkey")).to_be_enabled()
    assert len(finger.passkeys()) == 1


def test_a_passkey_is_not_added_where_the_finger_is_not_recognised(
    window: Page, finger: Fingertip, person: Person
) -> None:
    sign_in(window, person)
    to_devices(window)
    finger.is_refused()
    press(window, "add-device", "add-passkey")
    expect(window.get_by_test_id("passkey-error")).to_contain_text("Ключ доступа не создан")
    expect(window.get_by_test_id("add-passkey")).to_be_enabled()
    window.goto("/devices")
    expect(window.get_by_test_id("device")).to_have_count(1)


# Signing in, and what can go wrong with it


def test_a_finger_that_is_not_recognised_is_told_and_other_ways_remain(
    window: Page, finger: Fingertip, person: Person
) -> None:
    with_passkey(window, person)
    sign_out(window)
    enter_password(window, person)
    finger.is_refused()
    press(window, "passkey")
    expect(window.get_by_test_id("passkey-error")).to_contain_text("Ключ доступа не ответил")
    expect(window.get_by_test_id("passkey")).to_be_focused()
    expect(window.get_by_test_id("use-backup-code")).to_be_visible()
    enter_code(window, person)
    expect(window).to_have_url(OPERATIONS)


def test_a_passkey_that_asked_for_no_finger_is_refused_by_the_portal(
    window: Page, finger: Fingertip, person: Person, watch: Watch
) -> None:
    with_passkey(window, person)
    sign_out(window)
    enter_password(window, person)
    finger.is_refused()
    window.route("**/signin/passkey/options", ask_for_no_finger)
    watch.means(422)
    press(window, "passkey")
    error = window.get_by_test_id("passkey-error")
    expect(error).to_have_text(re.compile("Ключ доступа не подошёл. Осталось попыток: 4."))
    expect(window.get_by_test_id("code")).not_to_have_attribute("aria-invalid", "true")
    expect(window).not_to_have_url(OPERATIONS)


def ask_for_no_finger(route: Route) -> None:
    """What a script that somebody slipped in could ask the device for."""
    answer = route.fetch()
    options = json.loads(answer.text()) | {"userVerification": "discouraged"}
    route.fulfill(response=answer, body=json.dumps(options))


def test_a_computer_without_the_passkey_says_so_and_other_ways_remain(
    window: Page, new_window: Callable[..., Page], finger: Fingertip, person: Person
) -> None:
    with_passkey(window, person)
    other = new_window()
    Fingertip(other)
    enter_password(other, person)
    press(other, "passkey")
    expect(other.get_by_test_id("passkey-error")).to_contain_text("Ключ доступа не ответил")
    press(other, "use-backup-code")
    fill(other, code=person.codes[0])
    press(other, "enter")
    expect(other.get_by_test_id("replacement")).to_be_visible()


def test_somebody_elses_passkey_opens_nothing(
    window: Page,
    new_window: Callable[..., Page],
    finger: Fingertip,
    person: Person,
    watch: Watch,
) -> None:
    with_passkey(window, person)
    colleague = enrol("s.sidorova@sever-trakt.example", name="Сидорова Софья")
    other = new_window()
    foreign = Fingertip(other)
    with_passkey(other, colleague)
    sign_out(other)
    enter_password(other, person)
    theirs = foreign.passkeys()[0]["credentialId"]
    watch.means(422)

    def ask_for_theirs(route: Route) -> None:
        answer = route.fetch()
        allowed = [{"type": "public-key", "id": url_safe(theirs)}]
        options = json.loads(answer.text()) | {"allowCredentials": allowed}
        route.fulfill(response=answer, body=json.dumps(options))

    other.route("**/signin/passkey/options", ask_for_theirs)
    press(other, "passkey")
    expect(other.get_by_test_id("passkey-error")).to_contain_text("Ключ доступа не подошёл")
    other.goto("/devices")
    expect(other.get_by_test_id("forgotten")).to_be_visible()


def url_safe(text: str) -> str:
    return text.replace("+", "-").replace("/", "_").rstrip("=")


def test_a_passkey_that_was_removed_opens_nothing(
    window: Page, new_window: Callable[..., Page], finger: Fingertip, person: Person
) -> None:
    with_passkey(window, person, "Домашний компьютер")
    window.get_by_role("button", name="Удалить: Домашний компьютер").click()
    expect(window.get_by_test_id("device")).to_have_count(1)
    sign_out(window)
    enter_password(window, person)
    expect(window.get_by_test_id("code")).to_be_focused()
    expect(window.get_by_test_id("passkey")).to_have_count(0)


def test_a_pause_is_told_where_a_passkey_is_asked(
    window: Page, new_window: Callable[..., Page], finger: Fingertip, person: Person, watch: Watch
) -> None:
    with_passkey(window, person)
    sign_out(window)
    enter_password(window, person)
    watch.means(422, 429)
    other = new_window()
    for _round in range(2):
        enter_password(other, person)
        for number in range(5):
            fill(other, code=f"00000{number}")
            with other.expect_navigation():
                press(other, "enter")
    press(window, "passkey")
    expect(window.get_by_test_id("passkey-error")).to_contain_text("Слишком много неверных попыток")


def test_a_portal_that_does_not_answer_is_told(
    window: Page, finger: Fingertip, person: Person, watch: Watch
) -> None:
    with_passkey(window, person)
    sign_out(window)
    enter_password(window, person)
    expect(window.get_by_test_id("passkey")).to_be_enabled()  # a page on its way is not cut off
    watch.means("ERR_FAILED")
    window.route("**/signin/passkey/options", lambda route: route.abort())
    press(window, "passkey")
    expect(window.locator("#trouble")).to_be_visible()
    expect(window.get_by_test_id("passkey")).to_be_focused()
    window.unroute("**/signin/passkey/options")
    press(window, "passkey")
    expect(window).to_have_url(OPERATIONS)


def test_a_password_step_that_ended_meanwhile_leads_back_to_sign_in(
    window: Page, finger: Fingertip, person: Person
) -> None:
    with_passkey(window, person)
    sign_out(window)
    enter_password(window, person)
    expect(window.get_by_test_id("passkey")).to_be_focused()
    tab = window.context.new_page()
    sign_in(tab, person)
    sign_out(tab)
    press(window, "passkey")
    expect(window.get_by_test_id("forgotten")).to_be_visible()


# Confirming anew


def test_a_passkey_confirms_a_change(window: Page, finger: Fingertip, person: Person) -> None:
    with_passkey(window, person)
    sign_out(window)
    sign_in(window, person)
    wait_to_be_asked_again()
    window.goto("/devices")
    press(window, "change")
    expect(window.get_by_test_id("passkey")).to_be_focused()
    press(window, "passkey")
    expect(window).to_have_url(DEVICES)
    expect(window.get_by_test_id("add-device")).to_be_visible()


# Where passkeys do not work


def test_at_an_ip_address_the_page_says_where_passkeys_work(
    new_window: Callable[..., Page], site: str, person: Person
) -> None:
    page = new_window()
    by_number = site.replace("localhost", "127.0.0.1")
    page.goto(f"{by_number}/signin")
    fill(page, email=person.account.email, password=person.password)
    press(page, "enter")
    enter_code(page, person)
    to_devices(page)
    press(page, "add-device")
    expect(page.get_by_test_id("add-passkey")).to_have_count(0)
    expect(page.get_by_text(f"по адресу {site}")).to_be_visible()


def test_without_scripts_the_other_ways_remain(
    window: Page, new_window: Callable[..., Page], finger: Fingertip, person: Person
) -> None:
    with_passkey(window, person)
    plain = new_window(scripts=False)
    enter_password(plain, person)
    expect(plain.get_by_test_id("passkey")).to_be_hidden()
    expect(plain.get_by_test_id("use-backup-code")).to_be_visible()
    enter_code(plain, person)
    expect(plain).to_have_url(OPERATIONS)
