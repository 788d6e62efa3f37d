"""A lost device, with everybody before a browser of their own: what one does, the others see."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from portal import clock, recovery
from portal.account import Role
from portal.clock import MOSCOW
from portal.database import db
from portal.recovery import Reason, Standing
from tests.conftest import ADMINISTRATOR
from tests.lost_device import CODE, OPENED, PHONE, SOON, STOPPED, code_in, day
from tests.people import Person, enrol
from tests.signing import (
    Fingertip,
    enrol_app,
    enter_code,
    enter_password,
    fill,
    press,
    sign_in,
    type_code_back,
    wait_to_be_asked_again,
)
from tests.window import OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from portal.recovery import Case
    from tests.conftest import Post, Time
    from tests.window import Watch

EMAIL = "p.petrov@sever-trakt.example"
START = re.compile("/operations$")
NEW_DEVICE = re.compile("/devices/new$")
POLL_MS = 10_000  # as long as the slowest page waits before it asks how things stand
CALL, QUESTIONS, WAIT, NEW = range(4)  # the steps that the owner's page shows
WRONG = {"created": "01.02.2003 10:00", "second_factor": "02.02.2003"}


@dataclass
class Loss:
    """Who lost a device, and who helps; each before windows of their own."""

    owner: Person
    specialist: Person
    second: Person
    new_window: Callable[..., Page]
    post: Post
    watch: Watch
    scripts: bool = True
    computer: Page = field(init=False)
    desk: Page = field(init=False)
    other_desk: Page = field(init=False)

    def __post_init__(self) -> None:
        self.computer = self.window("10.20.4.17")
        self.desk, self.other_desk = self.window("10.20.0.3"), self.window("10.20.0.4")

    def window(self, address: str) -> Page:
        page = self.new_window(address, scripts=self.scripts)
        if self.scripts:
            page.clock.install()
        return page

    @property
    def case(self) -> Case:
        with db.reading():
            found = recovery.last_case_of(self.owner.account)
        assert found
        return found

    @property
    def answers(self) -> dict[str, str]:
        """What the owner remembers: enough for «Кабинет клиента»."""
        created = self.owner.account.created_at.astimezone(MOSCOW)
        return {"created": f"{created:%d.%m.%Y %H:%M}", "second_factor": day(created)}

    def newest(self, subject: str) -> str:
        """The newest letter to the owner with that subject."""
        return [each.text for each in self.post.letters(EMAIL) if each.subject == subject][-1]

    def link(self, subject: str) -> str:
        """The path of the link in that letter which stops the case."""
        found = re.search(r"https?://[^/\s]+(/cancel/\S+)", self.newest(subject))
        assert found, "no such link in the letter"
        return found[1]

    # What they do

    def begin(self) -> None:
        """Email and password, and no device."""
        enter_password(self.computer, self.owner)
        press(self.computer, "lost")

    def type_code(self, page: Page, code: str) -> None:
        """Who has the code waiting is led from the password right to its field."""
        enter_password(page, self.owner)
        expect_step(page, NEW)
        fill(page, code=code)
        press(page, "enter-code")

    def open(self, service: str = "cabinet") -> None:
        self.begin()
        self.computer.get_by_test_id("service").select_option(service)
        press(self.computer, "open-case")
        expect_step(self.computer, CALL)

    def number(self) -> str:
        """What the diagnostics show, in the tab that the owner's page opens."""
        with self.computer.expect_popup() as opened:
            press(self.computer, "to-diagnostics")
        return opened.value.get_by_test_id("number").inner_text()

    def sit_down(self) -> None:
        """Both specialists find the case in their lists."""
        for page, person in ((self.desk, self.specialist), (self.other_desk, self.second)):
            sign_in(page, person)
            page.goto("/support/cases")
            page.get_by_test_id("case").first.get_by_role("link").click()
            expect(page.get_by_test_id("standing")).to_be_visible()

    def take(self) -> None:
        fill(self.desk, **{"type-number": self.number()})
        press(self.desk, "claim")
        expect(self.desk.get_by_test_id("keep-answers")).to_be_visible()

    def judge(self, answers: dict[str, str] | None = None) -> None:
        """Some answers are missing, so the button has to be pressed once more."""
        self.watch.means(422)
        typed = self.answers if answers is None else answers
        fill(self.desk, **{f"answer-{key}": words for key, words in typed.items()})
        press(self.desk, "decide")
        expect(self.desk.get_by_test_id("error")).to_be_visible()
        press(self.desk, "decide")
        expect(self.desk.get_by_test_id("decide")).to_have_count(0)

    def wait(self) -> None:
        """Up to answers that were enough; everybody looks on."""
        self.open()
        self.sit_down()
        self.take()
        self.judge()
        expect(self.desk.get_by_test_id("wait-until")).to_be_visible()


def let_poll(*pages: Page) -> None:
    """Let the windows ask how things stand; `expect` waits for what comes of it."""
    for page in pages:
        page.clock.run_for(POLL_MS)


def expect_step(page: Page, number: int) -> None:
    """How far the owner's page says that the case has come."""
    expect(page.locator(".steps li").nth(number)).to_have_attribute("aria-current", "step")


def expect_ended(page: Page, kind: str) -> None:
    """A specialist's page says that the case came to a good end, or to a bad one."""
    expect(page.get_by_test_id("standing")).to_have_class(f"pill {kind}")
    expect(page.get_by_test_id("refuse-open")).to_have_count(0)


def test_the_diagnostics_open_again_after_their_tab_was_closed(lose: Callable[..., Loss]) -> None:
    loss = lose()
    loss.open()
    for _tab in range(2):
        with loss.computer.expect_popup() as opened:
            press(loss.computer, "to-diagnostics")
        expect(opened.value.get_by_test_id("number")).to_be_visible()
        opened.value.close()
        loss.computer.wait_for_timeout(600)  # no double click


def error(page: Page) -> Locator:
    return page.get_by_test_id("error")


def keep_codes(page: Page) -> list[str]:
    """The ten codes are shown; one is typed back, and the owner is in."""
    expect(page.get_by_test_id("codes").locator("li")).to_have_count(10)
    codes = type_code_back(page)
    expect(page.get_by_test_id("done")).to_contain_text("Доступ восстановлен")
    expect(page.get_by_test_id("device")).to_have_count(1)
    expect(page.get_by_test_id("codes-left")).to_contain_text("10")
    return codes


@pytest.fixture
def host() -> str:
    return "localhost"  # a passkey takes the place of a lost device, too


@pytest.fixture
def lose(
    new_window: Callable[..., Page], post: Post, keep: Callable[..., None], watch: Watch
) -> Callable[..., Loss]:
    """An operator who lost the device, and two specialists."""
    keep()

    def lose(*, codes: bool = False, scripts: bool = True) -> Loss:
        owner = enrol(EMAIL, phone=PHONE, codes=codes)
        specialist = enrol("m.orlova@izkt.example", Role.SPECIALIST, name="Орлова Мария")
        second = enrol("k.titov@izkt.example", Role.SPECIALIST, name="Титов Кирилл")
        return Loss(owner, specialist, second, new_window, post, watch, scripts)

    return lose


def test_a_backup_code_that_is_found_replaces_the_device_and_stops_the_case(
    lose: Callable[..., Loss], watch: Watch
) -> None:
    loss = lose(codes=True)
    owner, computer = loss.owner, loss.computer
    loss.open()
    loss.sit_down()

    press(computer, "found", "use-backup-code")
    fill(computer, code=owner.codes[4].lower())
    press(computer, "enter")
    replacement = computer.get_by_test_id("replacement").inner_text()
    assert replacement not in owner.codes
    let_poll(loss.desk, loss.other_desk)
    for page in (loss.desk, loss.other_desk):
        expect_ended(page, "fail")
    assert loss.case.reason is Reason.SIGN_IN

    press(computer, "replacement-kept-lost")
    expect(computer.get_by_test_id("entered-by-code")).to_be_visible()
    press(computer, "add-device")
    secret = computer.get_by_test_id("secret").inner_text().replace(" ", "")
    old_secret, owner.secret = owner.secret, secret
    enrol_app(computer)
    expect(computer.get_by_test_id("done")).to_be_visible()
    expect(computer.get_by_test_id("codes-left")).to_contain_text("10")

    elsewhere = loss.window("10.20.4.18")
    sign_in(elsewhere, owner)
    expect(elsewhere).to_have_url(START)
    watch.means(422)
    with_old_device, owner.secret = loss.window("10.20.4.19"), old_secret
    enter_password(with_old_device, owner)
    enter_code(with_old_device, owner)
    expect(error(with_old_device)).to_be_visible()
    press(with_old_device, "use-backup-code")
    fill(with_old_device, code=owner.codes[4])
    press(with_old_device, "enter")
    expect(error(with_old_device)).to_be_visible()
    fill(with_old_device, code=replacement)
    press(with_old_device, "enter")
    expect(with_old_device.get_by_test_id("replacement")).to_be_visible()


def test_a_lost_device_is_replaced_while_everybody_looks_on(  # noqa: PLR0915 - one story
    lose: Callable[..., Loss], time: Time
) -> None:
    loss = lose(codes=True)
    owner, computer, desk, other = loss.owner, loss.computer, loss.desk, loss.other_desk
    signed_in_before = loss.window("10.20.4.30")
    sign_in(signed_in_before, owner)
    time.passes(days=30)
    loss.open()
    expect(computer.get_by_test_id("case-number")).to_be_visible()
    loss.sit_down()
    expect(other.get_by_test_id("type-number")).to_be_visible()

    loss.take()
    expect(desk.get_by_test_id("number")).to_be_visible()
    expect(desk.get_by_test_id("channel")).to_have_class("pill done")
    expect(desk.get_by_test_id("browser")).to_contain_text("Chrom")
    let_poll(computer, other)
    expect_step(computer, QUESTIONS)
    expect(other.get_by_test_id("type-number")).to_have_count(0)
    expect(other.get_by_test_id("keep-answers")).to_have_count(0)
    diagnostics = computer.context.pages[-1]
    diagnostics.reload()
    expect(diagnostics.get_by_test_id("number-claimed")).to_be_visible()

    fill(desk, **{"answer-created": loss.answers["created"]})
    press(desk, "keep-answers")
    expect(desk.get_by_test_id("noted")).to_contain_text("1 из")
    expect(desk.get_by_test_id("answer-created")).to_have_value(loss.answers["created"])
    loss.judge({"second_factor": loss.answers["second_factor"]})
    let_poll(computer, other)
    expect_step(computer, WAIT)
    for page in (desk, other):
        expect(page.get_by_test_id("wait-until")).to_be_visible()
    expect(desk.get_by_test_id("answer-created")).to_have_text(loss.answers["created"])
    expect(other.get_by_test_id("answer-created")).to_have_count(0)

    until = loss.case.wait_until
    assert until
    time.passes(seconds=(until - clock.now()).total_seconds())
    let_poll(computer, desk, other)
    expect(computer.get_by_test_id("late")).to_be_visible()
    for page in (desk, other):
        expect(page.get_by_test_id("forgotten")).to_be_visible()

    code = code_in(loss.newest(CODE))
    elsewhere = loss.window("10.20.4.17")
    enter_password(elsewhere, owner)
    expect_step(elsewhere, NEW)
    expect(elsewhere.get_by_test_id("turn")).to_contain_text("в том браузере")
    expect(elsewhere.get_by_test_id("code")).to_have_count(0)
    loss.sit_down()
    press(computer, "to-sign-in")
    loss.type_code(computer, code.lower().replace("-", " "))
    expect(computer).to_have_url(NEW_DEVICE)

    secret = computer.get_by_test_id("secret").inner_text().replace(" ", "")
    enrol_app(computer)
    codes = keep_codes(computer)
    assert not set(codes) & set(owner.codes)
    let_poll(desk, other, elsewhere)
    for page in (desk, other):
        expect_ended(page, "done")

    signed_in_before.goto("/devices")
    expect(signed_in_before.get_by_test_id("forgotten")).to_be_visible()
    enter_password(elsewhere, owner)
    enter_code(elsewhere, owner)
    expect(error(elsewhere)).to_be_visible()  # the old device is dead
    press(elsewhere, "use-backup-code")
    fill(elsewhere, code=owner.codes[1])
    press(elsewhere, "enter")
    expect(error(elsewhere)).to_be_visible()  # so are the old codes
    owner.secret = secret
    sign_in(elsewhere, owner)
    expect(elsewhere).to_have_url(START)


def test_a_case_is_refused_by_the_answers_and_by_a_specialist_and_all_windows_say_so(
    lose: Callable[..., Loss], watch: Watch
) -> None:
    loss = lose()
    computer, desk, other = loss.computer, loss.desk, loss.other_desk
    loss.open()
    loss.sit_down()
    loss.take()
    loss.judge(WRONG)
    expect_ended(desk, "fail")
    for key in WRONG:  # nobody reads them any more
        expect(desk.get_by_test_id(f"answer-{key}")).to_have_count(0)
    let_poll(computer, other)
    expect(computer.get_by_test_id("last-case")).to_be_visible()
    expect_ended(other, "fail")
    expect(computer.locator("#said")).to_contain_text("По обращению № 1 отказано")
    expect(other.locator("#said")).to_have_text("Обращение № 1: отказано")

    computer.get_by_test_id("service").select_option("ofd")
    press(computer, "open-case")
    expect_step(computer, CALL)
    assert loss.case.number == 2
    for page in (desk, other):
        page.goto(f"/support/cases/{loss.case.id}")
    press(desk, "refuse-open", "refuse")
    expect(error(desk)).to_be_visible()
    desk.get_by_test_id("refuse-reason").select_option(Reason.STRANGER)
    press(desk, "refuse")
    expect_ended(desk, "fail")
    let_poll(computer, other)
    expect(computer.get_by_test_id("last-case")).to_be_visible()
    expect(computer.get_by_test_id("open-case")).to_be_visible()
    expect_ended(other, "fail")
    watch.means(422)


def test_the_owner_stops_a_case_by_the_letter_and_the_specialists_see_it(
    lose: Callable[..., Loss], watch: Watch
) -> None:
    loss = lose()
    loss.wait()
    let_poll(loss.computer, loss.other_desk)
    expect_step(loss.computer, WAIT)
    anywhere = loss.new_window(OUTSIDE)
    anywhere.goto(loss.link(SOON))
    expect(anywhere).to_have_url(re.compile("/cancel$"))
    assert loss.case.is_open, "looking changes nothing"
    watch.means(410)
    press(anywhere, "cancel-case")
    expect(anywhere.get_by_test_id("cancel-case")).to_have_count(0)
    expect(anywhere.get_by_test_id("cancel-page")).to_be_visible()

    let_poll(loss.desk, loss.other_desk, loss.computer)
    for page in (loss.desk, loss.other_desk):
        expect_ended(page, "fail")
    expect(loss.computer.get_by_test_id("last-case")).to_be_visible()
    assert loss.case.reason is Reason.LINK
    assert [each.subject for each in loss.post.letters(EMAIL)].count(STOPPED) == 1
    anywhere.goto(loss.link(OPENED))
    expect(anywhere.get_by_test_id("cancel-page")).to_be_visible()
    expect(anywhere.get_by_test_id("cancel-case")).to_have_count(0)


def test_an_administrator_resets_who_was_sent_to_them(lose: Callable[..., Loss]) -> None:
    loss = lose()
    boss = enrol(ADMINISTRATOR, Role.ADMINISTRATOR, name="Соколова Анна Петровна")
    computer, desk = loss.computer, loss.desk
    office = loss.window("10.20.4.2")
    sign_in(office, boss)
    office.goto("/people")
    expect(office.get_by_test_id("person")).to_have_count(2)

    loss.begin()
    expect(computer.get_by_test_id("service")).to_have_count(0)
    press(computer, "open-case")
    expect(computer.get_by_test_id("turn")).to_contain_text(boss.account.name)
    loss.sit_down()
    for name in ("type-number", "approve", "decide"):
        expect(desk.get_by_test_id(name)).to_have_count(0)
    office.reload()
    asking = office.get_by_test_id("person").filter(has_text=EMAIL)
    expect(asking.get_by_test_id("refuse-open")).to_be_visible()

    wait_to_be_asked_again()
    press(asking, "to-reset")
    expect(office.get_by_test_id("reset")).to_have_count(0)
    enter_code(office, boss)
    press(office, "reset")
    expect(office.get_by_test_id("done")).to_contain_text(EMAIL)
    expect(asking.get_by_test_id("to-reset")).to_have_count(0)

    let_poll(computer, desk)
    expect(computer.get_by_test_id("code")).to_be_visible()  # of itself
    assert loss.case.standing is Standing.GRANTED
    fill(computer, code=code_in(loss.newest(CODE)))
    press(computer, "enter-code")
    expect(computer).to_have_url(NEW_DEVICE)
    finger = Fingertip(computer)
    fill(computer, name="Рабочий компьютер")
    press(computer, "add-passkey")
    keep_codes(computer)
    assert len(finger.passkeys()) == 1
    let_poll(desk)
    expect_ended(desk, "done")
    office.goto("/people")
    expect(asking.get_by_test_id("to-reset")).to_be_visible()
    expect(asking.get_by_test_id("refuse")).to_have_count(0)


def test_without_scripts_the_device_is_replaced_all_the_same(
    lose: Callable[..., Loss], time: Time
) -> None:
    loss = lose(scripts=False)
    computer = loss.computer
    loss.wait()
    for page in (computer, loss.other_desk):
        page.locator("noscript a").click()
    expect_step(computer, WAIT)
    expect(loss.other_desk.get_by_test_id("wait-until")).to_be_visible()
    until = loss.case.wait_until
    assert until
    time.passes(seconds=(until - clock.now() + timedelta(minutes=1)).total_seconds())
    loss.type_code(computer, code_in(loss.newest(CODE)))
    enrol_app(computer)
    keep_codes(computer)
    assert loss.case.standing is Standing.COMPLETED
