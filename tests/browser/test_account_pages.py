"""The pages of signing in and of devices, in every state: they read well, and fit the screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from portal import device
from portal.account import Role, links
from portal.database import db
from tests.authenticator import Authenticator
from tests.people import PASSWORD, Person, enrol
from tests.scenes import Scenes
from tests.signing import (
    choose_password,
    enrol_app,
    enter_code,
    enter_password,
    fill,
    link,
    press,
    sign_in,
    to_devices,
    wait_to_be_asked_again,
)
from tests.window import OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.conftest import Post, Time
    from tests.window import Watch

EMAIL = "p.petrov@sever-trakt.example"
SHOWN_IN_FULL = {
    "sign-in-page",
    "factor-passkey",
    "devices",
    "new-device",
    "codes",
}  # of the pictures
NO_CODE = "0000-0000-0000-0000"

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:152.0) Gecko/20100101 Firefox/152.0"


@dataclass
class Stage:
    """What a scene is made with."""

    new_window: Callable[..., Page]
    keep: Callable[..., None]
    post: Post
    time: Time
    watch: Watch
    site: str

    def person(self, *, codes: bool = True, passkey: str = "") -> Person:
        self.keep()
        person = enrol(EMAIL, codes=codes)
        if passkey:
            self.add_passkey(person, passkey)
        return person

    def add_passkey(self, person: Person, name: str) -> None:
        with db.writing():
            asked = device.registration_options(person.account)
            answer = Authenticator(self.site).register(asked.json)
            assert device.add_passkey(person.account, answer, asked.challenge, name, "10.20.4.17")
            db.commit()

    def invite(self) -> None:
        self.keep()
        with db.writing():
            links.invite(EMAIL, Role.OPERATOR, "ORG-004217", "Петров Пётр Петрович", "", "tests")
            db.commit()

    def visit(self, path: str, address: str = "") -> Page:
        page = self.new_window(address) if address else self.new_window()
        page.goto(path)
        return page

    def half_way(self, person: Person) -> Page:
        """The password was right."""
        page = self.new_window()
        enter_password(page, person)
        return page

    def signed_in(self, person: Person) -> Page:
        page = self.new_window()
        sign_in(page, person)
        page.goto("/devices")
        return page

    def wrong(self, page: Page, button: str = "enter", **typed: str) -> Page:
        """Type what is wrong, and press."""
        self.watch.means(422)
        fill(page, **typed)
        press(page, button)
        expect(page.get_by_test_id("error")).to_be_visible()
        return page

    def pause(self, page: Page, person: Person) -> None:
        """Ten wrong codes in a row, as five in each of two sign-ins."""
        self.watch.means(422, 429)
        for _round in range(2):
            enter_password(page, person)
            for number in range(5):
                fill(page, code=f"00000{number}")
                with page.expect_navigation():
                    press(page, "enter")


scene = Scenes[Stage]()


# Signing in


@scene("email", "password", "enter", "forgotten", "support-phone")
def sign_in_page(stage: Stage) -> Page:
    return stage.visit("/signin")


@scene("email", "password", "enter", "error")
def sign_in_wrong(stage: Stage) -> Page:
    return stage.wrong(stage.visit("/signin"), email=EMAIL, password="неверный пароль")


@scene("password", "enter", "error")
def sign_in_paused(stage: Stage) -> Page:
    page = stage.visit("/signin")
    stage.watch.means(422, 429)
    for number in range(10):
        fill(page, email=EMAIL, password=f"неверный пароль {number}")
        with page.expect_navigation():
            press(page, "enter")
    expect(page.get_by_test_id("error")).to_contain_text("Слишком много")
    return page


@scene("passkey", "code", "enter", "use-backup-code", "lost", "support-phone")
def factor_passkey(stage: Stage) -> Page:
    return stage.half_way(stage.person(passkey="Рабочий компьютер"))


@scene("code", "enter", "use-backup-code", "lost")
def factor_app(stage: Stage) -> Page:
    return stage.half_way(stage.person())


@scene("code", "enter", "error", "use-backup-code", "lost")
def factor_wrong(stage: Stage) -> Page:
    page = stage.half_way(stage.person(passkey="Рабочий компьютер"))
    return stage.wrong(page, code="000000")


@scene("passkey", "passkey-error", "code", "enter", "lost")
def factor_passkey_wrong(stage: Stage) -> Page:
    page = stage.half_way(stage.person(passkey="Рабочий компьютер"))
    stage.watch.means(422)
    page.locator("#passkey").evaluate("form => form.submit()")
    expect(page.get_by_test_id("passkey-error")).to_be_visible()
    return page


@scene("error", "use-backup-code", "lost")
def factor_paused(stage: Stage) -> Page:
    person = stage.person(passkey="Рабочий компьютер")
    page = stage.new_window()
    stage.pause(page, person)
    enter_password(page, person)
    fill(page, code="000000")
    press(page, "enter")
    expect(page.get_by_test_id("error")).to_contain_text("Слишком много")
    return page


@scene("done", "invite-again", "support-phone")
def factor_not_enrolled(stage: Stage) -> Page:
    stage.invite()
    page = stage.new_window()
    choose_password(page, stage.post, EMAIL)
    expect(page.get_by_test_id("secret")).to_be_visible()
    page.context.clear_cookies()
    page.goto("/signin")
    fill(page, email=EMAIL, password=Person.password)
    press(page, "enter", "invite-again")
    expect(page.get_by_test_id("done")).to_be_visible()
    return page


@scene("code", "enter", "lost")
def backup_code(stage: Stage) -> Page:
    page = stage.half_way(stage.person())
    press(page, "use-backup-code")
    expect(page.get_by_test_id("code")).to_be_focused()
    return page


@scene("code", "enter", "error", "lost")
def backup_code_wrong(stage: Stage) -> Page:
    return stage.wrong(backup_code(stage), code=NO_CODE)


@scene("replacement", "replacement-kept")
def replacement(stage: Stage) -> Page:
    person = stage.person()
    page = stage.half_way(person)
    press(page, "use-backup-code")
    fill(page, code=person.codes[0])
    press(page, "enter")
    expect(page.get_by_test_id("replacement")).to_be_visible()
    return page


@scene("address", "support-phone")
def outside(stage: Stage) -> Page:
    stage.watch.means(403)
    return stage.visit("/signin", OUTSIDE)


@scene("advice", "support-phone")
def signed_out(stage: Stage) -> Page:
    page = stage.signed_in(stage.person())
    stage.time.passes(minutes=31)
    stage.watch.means(401)
    press(page, "new-codes")
    expect(page.get_by_test_id("advice")).to_be_visible()
    return page


# Passwords


@scene("email", "send")
def forgotten(stage: Stage) -> Page:
    return stage.visit("/password")


@scene("email", "send", "error")
def forgotten_wrong(stage: Stage) -> Page:
    return stage.wrong(forgotten(stage), "send", email="p.petrov")


@scene("sent", "support-phone")
def forgotten_sent(stage: Stage) -> Page:
    page = forgotten(stage)
    fill(page, email=EMAIL)
    press(page, "send")
    expect(page.get_by_test_id("sent")).to_be_visible()
    return page


@scene("password", "again", "choose")
def password_invitation(stage: Stage) -> Page:
    stage.invite()
    return stage.visit(link(stage.post, EMAIL))


@scene("password", "again", "choose", "error")
def password_wrong(stage: Stage) -> Page:
    page = password_invitation(stage)
    return stage.wrong(page, "choose", password="qwertyuiop12", again="qwertyuiop12")


@scene("password", "again", "choose")
def password_reset(stage: Stage) -> Page:
    stage.person()
    page = forgotten_sent(stage)
    page.goto(link(stage.post, EMAIL))
    return page


@scene("done", "email", "password", "enter")
def password_changed(stage: Stage) -> Page:
    page = password_reset(stage)
    chosen = "три синих комбайна поют хором"
    fill(page, password=chosen, again=chosen)
    press(page, "choose")
    expect(page.get_by_test_id("done")).to_be_visible()
    return page


@scene("advice", "support-phone")
def invitation_dead(stage: Stage) -> Page:
    stage.watch.means(410)
    return stage.visit("/invitation/whatever")


# Devices


@scene("device", "codes-left", "sign-in", "add-device", "new-codes", "end-sessions")
def devices(stage: Stage) -> Page:
    person = stage.person(passkey="Рабочий компьютер")
    other = stage.new_window("10.20.4.18")
    other.context.set_extra_http_headers({"X-Forwarded-For": "10.20.4.18", "User-Agent": FIREFOX})
    sign_in(other, person)
    stage.time.passes(minutes=12)
    page = stage.signed_in(person)
    expect(page.get_by_test_id("sign-in")).to_have_count(2)
    return page


@scene("device", "codes-left", "sign-in", "change")
def devices_to_look_at(stage: Stage) -> Page:
    page = devices(stage)
    wait_to_be_asked_again()
    page.reload()
    expect(page.get_by_test_id("change")).to_be_visible()
    return page


@scene("codes-warning", "device", "new-codes")
def devices_without_codes(stage: Stage) -> Page:
    return stage.signed_in(stage.person(codes=False))


@scene("codes-warning", "device", "codes-left", "new-codes")
def devices_with_few_codes(stage: Stage) -> Page:
    person = stage.person()
    with db.writing():
        for code in person.codes[:7]:
            assert device.take_code(person.account, code, "10.20.4.17")
        db.commit()
    return stage.signed_in(person)


@scene("notice", "device", "add-device")
def devices_the_last_one(stage: Stage) -> Page:
    person = stage.person(passkey="Рабочий компьютер")
    page = stage.signed_in(person)
    tab = page.context.new_page()
    tab.goto("/devices")
    press(tab.get_by_test_id("device").first, "drop")
    expect(tab.get_by_test_id("done")).to_be_visible()
    stage.watch.means(409)
    press(page.get_by_test_id("device").last, "drop")
    expect(page.get_by_test_id("notice")).to_be_visible()
    return page


@scene("done", "device", "add-device")
def devices_changed(stage: Stage) -> Page:
    page = devices(stage)
    press(page, "end-session")
    expect(page.get_by_test_id("done")).to_be_visible()
    return page


@scene("old-password", "password", "again", "choose")
def own_password(stage: Stage) -> Page:
    page = stage.signed_in(stage.person())
    press(page, "to-password")
    expect(page.get_by_test_id("old-password")).to_be_visible()
    return page


@scene("old-password", "password", "error", "choose")
def own_password_wrong(stage: Stage) -> Page:
    typed = {"old-password": "не тот пароль", "password": PASSWORD, "again": PASSWORD}
    return stage.wrong(own_password(stage), "choose", **typed)


@scene("code", "enter", "support-phone")
def check(stage: Stage) -> Page:
    page = devices_to_look_at(stage)
    press(page, "change")
    expect(page.get_by_test_id("code")).to_be_visible()
    return page


@scene("passkey", "code", "enter", "error")
def check_wrong(stage: Stage) -> Page:
    return stage.wrong(check(stage), code="000000")


@scene("secret", "code", "add-totp")
def new_device(stage: Stage) -> Page:
    stage.invite()
    page = stage.new_window()
    choose_password(page, stage.post, EMAIL)
    expect(page.get_by_test_id("secret")).to_be_visible()
    return page


@scene("secret", "code", "add-totp", "error")
def new_device_wrong(stage: Stage) -> Page:
    return stage.wrong(new_device(stage), "add-totp", code="000000")


@scene("secret", "code", "add-totp")
def new_device_besides(stage: Stage) -> Page:
    page = stage.signed_in(stage.person())
    press(page, "add-device")
    expect(page.get_by_test_id("secret")).to_be_visible()
    return page


@scene("secret", "code", "add-totp")
def new_device_at_an_ip_address(stage: Stage) -> Page:
    person = stage.person()
    page = stage.visit(stage.site.replace("localhost", "127.0.0.1") + "/signin")
    fill(page, email=EMAIL, password=person.password)
    press(page, "enter")
    enter_code(page, person)
    to_devices(page)
    press(page, "add-device")
    expect(page.get_by_test_id("secret")).to_be_visible()
    return page


@scene("codes", "copy", "print", "download", "code", "codes-kept")
def codes(stage: Stage) -> Page:
    page = new_device(stage)
    enrol_app(page)
    expect(page.get_by_test_id("codes")).to_be_visible()
    return page


@scene("codes", "code", "codes-kept", "error")
def codes_wrong(stage: Stage) -> Page:
    return stage.wrong(codes(stage), "codes-kept", code=NO_CODE)


@scene("codes", "code", "codes-kept")
def codes_anew(stage: Stage) -> Page:
    page = stage.signed_in(stage.person())
    press(page, "new-codes")
    expect(page.get_by_test_id("codes")).to_be_visible()
    return page


@pytest.fixture
def host() -> str:
    return "localhost"  # passkeys are known there


@pytest.fixture
def stage(
    new_window: Callable[..., Page],
    keep: Callable[..., None],
    post: Post,
    time: Time,
    watch: Watch,
    site: str,
) -> Stage:
    return Stage(new_window, keep, post, time, watch, site)


@pytest.mark.parametrize("name", scene.made)
def test_a_page_reads_well_in_both_lights_and_needs_no_scrolling(
    stage: Stage, name: str, pytestconfig: pytest.Config
) -> None:
    scene.look(stage, name, pytestconfig, in_full=name in SHOWN_IN_FULL)
