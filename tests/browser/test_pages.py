"""Every page and state: in both lights, wide and narrow, it reads well and needs no scrolling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from portal import clock, config, gateways
from portal.flood import counts
from portal.gateways import Outgoing, Reason, Receipt, Trouble
from portal.outbox import note_receipts
from tests.conftest import Letterbox
from tests.scenes import Scenes
from tests.window import CONFIRMED, OUTSIDE

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.conftest import Post, Time
    from tests.window import Watch

SHOWN_IN_FULL = {"page", "code", "email-sent", "completed", "report"}  # of the pictures


@dataclass
class Stage:
    """What a scene is made with."""

    new_window: Callable[..., Page]
    keep: Callable[..., None]
    ask: Callable[..., str]
    post: Post
    time: Time
    watch: Watch

    def open(self) -> Page:
        """The page behind a letter's link."""
        self.keep()
        self.ask()
        return self.visit(self.post.link())

    def visit(self, path: str, address: str = "", *, scripts: bool = True) -> Page:
        page = (
            self.new_window(address, scripts=scripts)
            if address
            else self.new_window(scripts=scripts)
        )
        page.goto(path)
        return page

    def press(self, page: Page, *names: str) -> None:
        for name in names:
            page.get_by_test_id(name).click()

    def open_popup(self, page: Page | None = None) -> Page:
        page = page or self.open()
        self.press(page, "confirm-phone")
        expect(page.get_by_test_id("code")).to_be_focused()
        return page

    def enter(self, page: Page, code: str) -> None:
        page.get_by_test_id("code").fill(code)

    def wrong(self, page: Page, times: int = 1) -> None:
        """Type wrong codes, each after the answer to the one before is in sight."""
        error = page.get_by_test_id("code-error")
        for number in range(times):
            before = error.inner_text() if error.count() else ""
            self.enter(page, f"00000{number}")
            expect(error).not_to_have_text(before)

    def confirm_phone(self, page: Page | None = None) -> Page:
        page = self.open_popup(page)
        self.enter(page, self.post.code())
        expect(page.get_by_test_id("phone-status")).to_have_text(CONFIRMED)
        return page

    def confirm_email(self, page: Page) -> None:
        """Follow the second link, in a tab beside the page."""
        self.press(page, "confirm-email")
        expect(page.get_by_test_id("email-sent")).to_be_visible()
        page.goto(self.post.link())
        self.press(page, "confirm-address")

    def fill_inbox(self) -> None:
        """Put what left where `make run` shows it."""
        self.post.deliver()
        for channel, box in (("sms", self.post.sms), ("email", self.post.email)):
            for message in box.arrived:
                gateways.choose(channel).send(message)

    def read_letter(self, page: Page, subject: str) -> Page:
        """Open a letter as a mail program shows it."""
        self.fill_inbox()
        page.goto("/inbox")
        page.get_by_role("link", name=subject).click()
        page.get_by_role("link", name="как в почтовой программе").click()
        expect(page.get_by_role("heading", name=subject)).to_be_visible()
        return page


class Operator(Letterbox):
    """A gateway that is told what became of messages."""

    way = "smpp"


class Down(Letterbox):
    """A gateway that does not answer."""

    def send(self, message: Outgoing) -> str:
        raise Trouble(Reason.UNREACHABLE)


scene = Scenes[Stage]()


@scene("confirm-phone", "confirm-email", "report-error")
def page(stage: Stage) -> Page:
    return stage.open()


@scene("confirm-phone", "confirm-email", "report-error")
def page_english(stage: Stage) -> Page:
    found = stage.open()
    found.locator("[hreflang=en]").click()
    expect(found.locator("html")).to_have_attribute("lang", "en")
    return found


@scene("code", "submit-code", "close", "send-again")
def code(stage: Stage) -> Page:
    found = stage.open_popup()
    stage.post.deliver()
    found.reload()
    stage.open_popup(found)
    stage.enter(found, "407")
    return found


@scene("code", "submit-code", "close", "code-error")
def code_wrong(stage: Stage) -> Page:
    found = stage.open_popup()
    stage.post.deliver()
    stage.watch.means(422)
    stage.wrong(found)
    return found


@scene("close", "code-error")
def code_paused(stage: Stage) -> Page:
    found = stage.open_popup()
    stage.post.deliver()
    stage.watch.means(422, 429)
    stage.wrong(found, 5)
    stage.time.passes(seconds=30)
    found.reload()
    stage.open_popup(found)
    stage.post.deliver()
    stage.wrong(found, 5)
    expect(found.get_by_test_id("code-error")).to_contain_text("Слишком много")
    return found


@scene("phone-paused", "confirm-email")
def phone_paused(stage: Stage) -> Page:
    found = code_paused(stage)
    stage.press(found, "close")
    expect(found.get_by_role("dialog")).to_have_count(0)
    expect(found.locator("[aria-current=step]")).to_contain_text("Подтвердите email")
    return found


@scene("code", "submit-code", "close")
def code_gateway_down(stage: Stage) -> Page:
    stage.post.sms = Down()
    found = stage.open_popup()
    stage.post.deliver()
    found.reload()
    stage.press(found, "confirm-phone")
    expect(found.locator("#code-sent")).to_contain_text("пока не отвечает")
    return found


@scene("code", "submit-code", "close")
def code_received(stage: Stage) -> Page:
    return after_receipt(stage, "Телефон +7 921 555-01-47 получил СМС", received=True)


@scene("code", "submit-code", "close")
def code_lost(stage: Stage) -> Page:
    return after_receipt(stage, "оператор связи не смог её доставить", received=False)


def after_receipt(stage: Stage, words: str, *, received: bool) -> Page:
    stage.post.sms = Operator()
    found = stage.open_popup()
    stage.post.deliver()
    (sent,) = stage.post.sms.arrived
    number = sent.recipient.removeprefix("+")
    note_receipts([Receipt("smpp", sent.id, number, received, clock.now())])
    found.reload()
    stage.press(found, "confirm-phone")
    expect(found.locator("#code-sent")).to_contain_text(words)
    return found


@scene("code", "submit-code", "close")
def code_without_scripts(stage: Stage) -> Page:
    stage.keep()
    stage.ask()
    found = stage.visit(stage.post.link(), scripts=False)
    stage.press(found, "confirm-phone")
    expect(found.get_by_test_id("code")).to_be_visible()
    stage.post.deliver()
    found.reload()
    return found


@scene("code", "submit-code", "close")
def code_where_scripts_did_not_come(stage: Stage) -> Page:
    stage.keep()
    stage.ask()
    found = stage.new_window()
    found.route("**/*.js?*", lambda route: route.fulfill(body=""))
    found.goto(stage.post.link())
    stage.press(found, "confirm-phone")
    expect(found.get_by_test_id("code")).to_be_focused()
    return found


@scene("confirm-phone", "confirm-email")
def email_sent(stage: Stage) -> Page:
    found = stage.open()
    stage.press(found, "confirm-email")
    expect(found.get_by_test_id("email-sent")).to_be_visible()
    stage.post.deliver()
    found.reload()
    return found


@scene("confirm-email", "report-error")
def phone_confirmed(stage: Stage) -> Page:
    return stage.confirm_phone()


@scene("completed", "phone-status", "email-status")
def completed(stage: Stage) -> Page:
    found = stage.confirm_phone()
    stage.confirm_email(found)
    stage.press(found, "back")
    expect(found.get_by_test_id("completed")).to_be_visible()
    return found


@scene("confirm-address")
def email(stage: Stage) -> Page:
    found = stage.confirm_phone()
    stage.press(found, "confirm-email")
    expect(found.get_by_test_id("email-sent")).to_be_visible()
    found.goto(stage.post.link())
    return found


@scene("back")
def email_done(stage: Stage) -> Page:
    found = stage.open()
    stage.confirm_email(found)
    expect(found.get_by_test_id("back")).to_be_visible()
    return found


@scene()
def email_of_an_older_letter(stage: Stage) -> Page:
    found = stage.open()
    stage.press(found, "confirm-email")
    expect(found.get_by_test_id("email-sent")).to_be_visible()
    older = stage.post.link()
    stage.time.passes(minutes=1)
    found.reload()
    stage.press(found, "confirm-email")
    expect(found.get_by_test_id("confirm-email")).to_be_disabled()
    stage.watch.means(410)
    found.goto(older)
    return found


@scene("send-report")
def report(stage: Stage) -> Page:
    found = stage.open()
    stage.press(found, "report-error")
    return found


@scene("send-report")
def report_with_errors(stage: Stage) -> Page:
    found = report(stage)
    stage.watch.means(422)
    for name, words in (("phone", "позвоните"), ("position", "")):
        found.get_by_test_id(f"wrong-{name}").check()
        found.get_by_test_id(f"new-{name}").fill(words)
    stage.press(found, "send-report")
    expect(found.locator("#error-phone")).to_be_visible()
    return found


@scene("ended")
def reported(stage: Stage) -> Page:
    found = report(stage)
    found.get_by_test_id("wrong-phone").check()
    found.get_by_test_id("new-phone").fill("8 921 555-01-99")
    stage.press(found, "send-report")
    expect(found.get_by_test_id("ended")).to_be_visible()
    return found


@scene("outside", "address", "support-phone")
def outside(stage: Stage) -> Page:
    stage.watch.means(403)
    return stage.visit("/confirm/whatever", OUTSIDE)


@scene("advice", "support-phone")
def dead_link(stage: Stage) -> Page:
    stage.watch.means(410)
    return stage.visit("/confirm/whatever")


@scene("ended")
def expired(stage: Stage) -> Page:
    stage.keep()
    stage.ask()
    link = stage.post.link()
    stage.time.passes(days=8)
    stage.watch.means(410)
    return stage.visit(link)


@scene("ended")
def retired(stage: Stage) -> Page:
    stage.keep()
    stage.ask()
    link = stage.post.link()
    stage.ask()
    stage.watch.means(410)
    return stage.visit(link)


@scene("ended")
def changed(stage: Stage) -> Page:
    stage.keep()
    stage.ask()
    link = stage.post.link()
    stage.keep(phone="+79215550199", position="Начальник гаража")
    stage.watch.means(410)
    return stage.visit(link)


@scene("ended")
def completed_link(stage: Stage) -> Page:
    stage.keep()
    stage.ask()
    link = stage.post.link()
    found = stage.confirm_phone(stage.visit(link))
    stage.confirm_email(found)
    expect(found.get_by_test_id("back")).to_be_visible()
    stage.watch.means(410)
    found.goto(link)
    return found


@scene("ended", "written")
def report_too_late(stage: Stage) -> Page:
    found = stage.open()
    stage.press(found, "report-error")
    comment = "Номер сменился в октябре.\nПозвоните, если что: я на месте до шести."
    found.get_by_test_id("comment").fill(comment)
    stage.ask()
    stage.watch.means(409)
    stage.press(found, "send-report")
    return found


@scene("advice")
def missing(stage: Stage) -> Page:
    stage.watch.means(404)
    return stage.visit("/nothing")


@scene("advice", "support-phone")
def flood(stage: Stage) -> Page:
    found = stage.open()
    stage.time.begins_a_minute()
    counts.use(replace(config.settings, flood_per_minute=1))
    stage.watch.means(429)
    found.reload()
    found.reload()
    return found


@scene()
def home(stage: Stage) -> Page:
    return stage.visit("/")


@scene()
def inbox(stage: Stage) -> Page:
    found = stage.confirm_phone()
    stage.confirm_email(found)
    expect(found.get_by_test_id("back")).to_be_visible()
    stage.fill_inbox()
    found.goto("/inbox")
    return found


@scene()
def inbox_sms(stage: Stage) -> Page:
    found = stage.open_popup()
    stage.fill_inbox()
    found.goto("/inbox")
    found.get_by_role("link", name="СМС").click()
    expect(found.get_by_test_id("text")).to_be_visible()
    return found


@scene()
def letter_confirmation(stage: Stage) -> Page:
    return stage.read_letter(stage.open(), "Подтверждение данных")


@scene()
def letter_email(stage: Stage) -> Page:
    found = stage.open()
    stage.press(found, "confirm-email")
    expect(found.get_by_test_id("email-sent")).to_be_visible()
    return stage.read_letter(found, "Подтверждение email")


@scene()
def letter_completed(stage: Stage) -> Page:
    return stage.read_letter(completed(stage), "Проверка завершена")


@scene()
def letter_reported(stage: Stage) -> Page:
    found = report(stage)
    for name, words in (("phone", "8 921 555-01-99"), ("position", "Начальник гаража")):
        found.get_by_test_id(f"wrong-{name}").check()
        found.get_by_test_id(f"new-{name}").fill(words)
    found.get_by_test_id("comment").fill("Номер сменился в октябре.\nПозвоните, если что.")
    stage.press(found, "send-report")
    expect(found.get_by_test_id("ended")).to_be_visible()
    return stage.read_letter(found, "Сообщение об ошибке в данных")


@pytest.fixture
def stage(
    new_window: Callable[..., Page],
    keep: Callable[..., None],
    ask: Callable[..., str],
    post: Post,
    time: Time,
    watch: Watch,
) -> Stage:
    return Stage(new_window, keep, ask, post, time, watch)


@pytest.mark.parametrize("name", scene.made)
def test_a_page_reads_well_in_both_lights_and_needs_no_scrolling(
    stage: Stage, name: str, pytestconfig: pytest.Config
) -> None:
    scripts = name != "code-without-scripts"
    scene.look(stage, name, pytestconfig, in_full=name in SHOWN_IN_FULL, scripts=scripts)
