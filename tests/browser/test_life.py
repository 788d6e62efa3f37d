"""An organisation's life, with everybody before a browser of their own.

From the import to «Проверена», a changed phone, the block, «Требует повторной проверки» and
«Проверена» again: the administrator, the responsible person, the specialist and the operator see
what the others do, without reloading, wherever a page waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from portal import importing, organisation
from portal.account import Role
from portal.database import db
from tests.conftest import LOMOVA
from tests.live import delivering
from tests.people import Person, enrol
from tests.signing import fill, press, sign_in
from tests.window import CONFIRMED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask import Flask
    from playwright.sync_api import Page

    from portal.organisation import Organisation
    from tests.conftest import Post
    from tests.window import Watch

ID = "ORG-004217"
ADMINISTRATOR = "sokolova@sever-trakt.example"
NEW_PHONE, NEW_PHONE_SHOWN = "+79215550199", "+7 921 555-01-99"
HEADER = (
    "id,name,short_name,inn,kpp,ogrn,legal_address,administrator_email,responsible_last_name,"
    "responsible_first_name,responsible_patronymic,responsible_position,responsible_phone,"
    "responsible_email"
)
POLL_MS = 10_000  # as long as the slowest page waits before it asks how things stand


@dataclass
class Everybody:
    """Four people, each before a window of their own."""

    administrator: Page
    responsible: Page
    specialist: Page
    operator: Page
    post: Post

    def let_poll(self) -> None:
        for page in (self.administrator, self.responsible, self.specialist, self.operator):
            page.clock.run_for(POLL_MS)

    def expect_open(self, *, is_open: bool) -> None:
        """What the operator sees follows the status by itself."""
        self.let_poll()
        expect(self.operator.get_by_test_id("blocked")).to_have_count(0 if is_open else 1)
        expect(self.operator.get_by_test_id("function").first).to_be_visible(visible=is_open)

    def expect_status(self, words: str) -> None:
        self.let_poll()
        expect(self.administrator.get_by_test_id("status")).to_have_text(words)

    # What they do

    def request(self) -> None:
        press(self.administrator, "request-confirmation")
        expect(self.administrator.get_by_test_id("cancel-request")).to_be_visible()

    def open_link(self) -> None:
        letters = self.post.letters(LOMOVA.email)
        assert letters[-1].subject == "Подтверждение данных"
        self.responsible.goto(self.post.link())

    def confirm_phone(self, phone: str) -> None:
        press(self.responsible, "confirm-phone")
        self.responsible.get_by_test_id("code").wait_for()
        self.responsible.get_by_test_id("code").fill(self.post.code(phone))
        expect(self.responsible.get_by_test_id("phone-status")).to_have_text(CONFIRMED)

    def confirm_email(self) -> None:
        press(self.responsible, "confirm-email")
        expect(self.responsible.get_by_test_id("email-sent")).to_be_visible()
        mail = self.responsible.context.new_page()
        mail.goto(self.post.link())
        press(mail, "confirm-address")
        mail.get_by_test_id("back").wait_for()
        mail.close()

    def submit(self) -> None:
        press(self.administrator, "submit")

    def verify(self) -> None:
        """From the queue, which the organisation has entered by itself."""
        self.specialist.goto("/verifications")
        self.specialist.get_by_test_id("waiting").get_by_role("link").click()
        press(self.specialist, "take", "verify")
        expect(self.specialist.get_by_test_id("outcome").first).to_have_class("pill done")


@pytest.fixture
def imported(app: Flask, tmp_path: Path) -> Organisation:
    """The organisation as a file brings it."""
    file = tmp_path / "organisations.csv"
    values = [ID, LOMOVA.name, LOMOVA.short_name, LOMOVA.inn, LOMOVA.kpp, LOMOVA.ogrn]
    values += [f'"{LOMOVA.legal_address}"', ADMINISTRATOR, LOMOVA.last_name, LOMOVA.first_name]
    values += [LOMOVA.patronymic, LOMOVA.position, LOMOVA.phone, LOMOVA.email]
    file.write_text(f"{HEADER}\n{','.join(values)}\n", encoding="utf-8")
    for tally in importing.import_file(file, "tests"):
        assert not tally.refusals
    with db.reading():
        found = organisation.find(ID)
    assert found
    return found


@pytest.fixture
def environment(environment: dict[str, str]) -> dict[str, str]:
    return environment | {"PORTAL_OPERATIONS_URL": "http://127.0.0.1:9/"}


@pytest.fixture
def everybody(
    app: Flask, imported: Organisation, new_window: Callable[..., Page], post: Post
) -> Iterator[Everybody]:
    people = {
        "administrator": enrol(ADMINISTRATOR, Role.ADMINISTRATOR, ID, name="Соколова Анна"),
        "specialist": enrol("orlov@izkt.example", Role.SPECIALIST, name="Орлов Виктор Андреевич"),
        "operator": enrol("petrov@sever-trakt.example", Role.OPERATOR, ID, name="Петров Пётр"),
    }

    def window(person: Person | None, address: str) -> Page:
        page = new_window(address)
        page.clock.install()
        if person:
            sign_in(page, person)
        return page

    with delivering(app, post):
        yield Everybody(
            window(people["administrator"], "10.20.4.11"),
            window(None, "10.20.4.17"),
            window(people["specialist"], "10.20.0.3"),
            window(people["operator"], "10.20.4.18"),
            post,
        )


def test_the_life_of_an_organisation(  # noqa: PLR0915 - one story
    everybody: Everybody, watch: Watch
) -> None:
    administrator, operator = everybody.administrator, everybody.operator
    specialist = everybody.specialist
    administrator.goto(f"/organisations/{ID}")
    everybody.expect_status("Не проверена")
    expect(administrator.get_by_test_id("conditions")).to_contain_text("телефон")
    everybody.expect_open(is_open=False)
    expect(specialist.get_by_test_id("nothing")).to_be_visible()

    everybody.request()
    everybody.open_link()
    everybody.confirm_phone(LOMOVA.phone)
    everybody.let_poll()
    expect(administrator.get_by_test_id("phone-status")).to_have_text(CONFIRMED)
    expect(administrator.get_by_test_id("email-status")).to_have_text("не подтверждён")
    expect(administrator.locator("#said")).to_contain_text("Телефон: подтверждён. Email: не")
    everybody.confirm_email()
    everybody.let_poll()
    expect(everybody.responsible.get_by_test_id("completed")).to_be_visible()
    expect(administrator.get_by_test_id("conditions")).to_have_count(0)

    everybody.submit()
    everybody.expect_status("Требует проверки")
    expect(specialist.get_by_test_id("waiting")).to_have_count(1)
    everybody.expect_open(is_open=False)
    expect(operator.get_by_test_id("closed-status")).to_have_text("Требует проверки")
    everybody.verify()
    everybody.expect_status("Проверена")
    everybody.expect_open(is_open=True)
    expect(operator.locator("#said")).to_have_text("Операционная часть: открыта")

    press(administrator, "edit")
    watch.means(422)  # another spelling is no change
    fill(administrator, phone="8 (921) 555-01-47")
    press(administrator, "to-compare")
    expect(administrator.get_by_test_id("notice")).to_contain_text("ничего не изменили")
    fill(administrator, phone="8 (921) 555-01-99")
    press(administrator, "to-compare")
    expect(administrator.get_by_test_id("users-blocked")).to_contain_text("1")
    everybody.expect_open(is_open=True)
    press(administrator, "apply")
    everybody.expect_status("Изменение реквизитов")
    everybody.expect_open(is_open=False)
    expect(administrator.get_by_test_id("phone")).to_have_text(NEW_PHONE_SHOWN)
    expect(administrator.get_by_test_id("email-status")).to_have_text(CONFIRMED)

    everybody.request()
    everybody.open_link()
    expect(everybody.responsible.get_by_test_id("email-status")).to_have_text(CONFIRMED)
    everybody.confirm_phone(NEW_PHONE)
    everybody.let_poll()
    everybody.submit()
    everybody.expect_status("Требует повторной проверки")
    everybody.expect_open(is_open=True)
    everybody.verify()
    expect(specialist.get_by_test_id("changed-row")).to_have_count(1)
    everybody.expect_status("Проверена")
    everybody.expect_open(is_open=True)
