"""A recovery's pages in every state, for all who have to do with it: they read well, and fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from portal import account, recovery
from portal.account import Role
from portal.account.account import PASSWORD, remember
from portal.database import db
from portal.device.tables import devices
from portal.recovery import Case, Reason, Which
from portal.recovery.course import cancel_link
from tests.conftest import ADMINISTRATOR
from tests.people import Person, act, enrol, invite
from tests.recovering import Scene
from tests.scenes import Scenes
from tests.signing import (
    come_signed_in,
    enter_password,
    fill,
    press,
    sign_in,
    wait_to_be_asked_again,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.conftest import Post, Time
    from tests.window import Watch

EMAIL = "p.petrov@sever-trakt.example"
PHONE = "+79215550199"
ADDRESS = "10.20.4.17"
DESK = "10.20.0.3"
WRONG = {"created": "01.02.2003 10:00", "second_factor": "02.02.2003"}
SHOWN_IN_FULL = {
    "begin",
    "new",
    "opened",
    "asking",
    "waiting",
    "granted",
    "routed",
    "cancel",
    "cases",
    "new-case",
    "desk-opened",
    "desk-asking",
    "desk-answers-wrong",
    "desk-approval-as-second",
    "desk-refused",
    "people",
    "reset",
}  # of the pictures


@dataclass
class Stage:
    """What a scene is made with."""

    new_window: Callable[..., Page]
    keep: Callable[..., None]
    post: Post
    time: Time
    watch: Watch
    site: str
    owner: Person = field(init=False)
    specialist: Person = field(init=False)
    second: Person = field(init=False)
    boss: Person = field(init=False)
    scene: Scene = field(init=False)

    def lose(self, role: Role = Role.OPERATOR) -> Scene:
        """Somebody of that role lost the device; two specialists are there to help."""
        self.keep()
        email = "s.sidorov@izkt.example" if role is Role.SPECIALIST else EMAIL
        self.owner = enrol(email, role, phone=PHONE)
        self.specialist = enrol("m.orlova@izkt.example", Role.SPECIALIST, name="Орлова Мария")
        self.second = enrol("k.titov@izkt.example", Role.SPECIALIST, name="Титов Кирилл")
        self.scene = Scene(self.owner.account, self.specialist.account, self.second.account)
        return self.scene

    def has_boss(self) -> None:
        """The organisation has an administrator."""
        self.boss = enrol(ADMINISTRATOR, Role.ADMINISTRATOR, name="Соколова Анна Петровна")

    @property
    def case(self) -> Case:
        with db.reading():
            found = recovery.last_case_of(self.owner.account)
        assert found
        return found

    def refuse(self, reason: Reason = Reason.STRANGER) -> None:
        assert act(recovery.refuse, self.case, self.specialist.account, reason, DESK)

    def cancel(self) -> None:
        act(recovery.cancel_by_link, self.case.id, ADDRESS)

    def complete(self) -> None:
        self.scene.grant()
        self.scene.finish(self.scene.enrolment())

    def grant_by_boss(self, owner: Person) -> None:
        made = act(recovery.grant_by_administrator, self.boss.account, owner.account, DESK)
        assert isinstance(made, Case)

    # Where they look

    def visit(self, path: str) -> Page:
        page = self.new_window()
        page.goto(path)
        return page

    def computer(self) -> Page:
        """The owner's page, after the password."""
        page = self.new_window()
        enter_password(page, self.owner)
        page.goto("/recovery")
        return page

    def desk(self, path: str = "", person: Person | None = None) -> Page:
        """The specialist's page of the case, or another one of theirs."""
        page = self.new_window()
        come_signed_in(page, person or self.specialist, self.site)
        page.goto(path or f"/support/cases/{self.case.id}")
        return page

    def other_desk(self) -> Page:
        return self.desk(person=self.second)

    def office(self, path: str = "/people") -> Page:
        return self.desk(path, self.boss)


scene = Scenes[Stage]()


def see(page: Page, *names: str) -> Page:
    """Wait until a page has come to what it should show."""
    for name in names:
        expect(page.get_by_test_id(name).first).to_be_visible()
    return page


# The owner


@scene("to-sign-in", "support-phone")
def begin(stage: Stage) -> Page:
    return stage.visit("/recovery")


@scene("late", "to-sign-in", "support-phone")
def begin_late(stage: Stage) -> Page:
    return stage.visit("/recovery?late=1")


@scene("service", "open-case", "support-phone")
def new(stage: Stage) -> Page:
    stage.lose()
    return stage.computer()


@scene("service", "error", "open-case")
def new_wrong(stage: Stage) -> Page:
    page = new(stage)
    stage.watch.means(422)
    press(page, "open-case")
    return see(page, "error")


@scene("service", "open-case")
def new_for_staff(stage: Stage) -> Page:
    stage.lose(Role.SPECIALIST)
    return stage.computer()


@scene("open-case", "support-phone")
def new_for_administrator(stage: Stage) -> Page:
    stage.lose()
    stage.has_boss()
    return stage.computer()


@scene("error", "service", "open-case")
def new_too_often(stage: Stage) -> Page:
    lost = stage.lose()
    for _ in range(3):
        lost.open()
        stage.cancel()
    page = stage.computer()
    page.get_by_test_id("service").select_option("ofd")
    stage.watch.means(409)
    press(page, "open-case")
    return see(page, "error")


@scene("last-case", "service", "open-case")
def after_refusal(stage: Stage) -> Page:
    lost = stage.lose()
    lost.ask()
    lost.decide(WRONG)
    return see(stage.computer(), "last-case")


@scene("last-case", "service", "open-case")
def after_cancelling(stage: Stage) -> Page:
    stage.lose().wait()
    stage.cancel()
    return see(stage.computer(), "last-case")


@scene("last-case", "service", "open-case")
def after_its_time(stage: Stage) -> Page:
    stage.lose().open()
    stage.time.passes(hours=73)
    return see(stage.computer(), "last-case")


@scene("last-case", "service", "open-case")
def after_replacement(stage: Stage) -> Page:
    stage.lose()
    stage.complete()
    return see(stage.computer(), "last-case")


@scene("case-number", "turn", "to-diagnostics", "found", "support-phone")
def opened(stage: Stage) -> Page:
    stage.lose().open()
    return stage.computer()


@scene("error", "turn", "to-diagnostics")
def opened_twice(stage: Stage) -> Page:
    page = new(stage)
    tab = page.context.new_page()
    tab.goto("/recovery")
    page.get_by_test_id("service").select_option("cabinet")
    press(page, "open-case")
    see(page, "turn")
    tab.get_by_test_id("service").select_option("cabinet")
    stage.watch.means(409)
    press(tab, "open-case")
    return see(tab, "error")


@scene("case-number", "turn", "to-diagnostics", "found", "support-phone")
def asking(stage: Stage) -> Page:
    stage.lose().ask()
    return stage.computer()


@scene("case-number", "turn", "found", "support-phone")
def waiting(stage: Stage) -> Page:
    stage.lose().wait()
    return stage.computer()


@scene("case-number", "turn", "found")
def approval(stage: Stage) -> Page:
    stage.lose(Role.SPECIALIST).wait()
    return stage.computer()


@scene("case-number", "turn", "found")
def approval_after_the_wait(stage: Stage) -> Page:
    stage.lose(Role.SPECIALIST).wait()
    stage.time.passes(hours=73)
    return stage.computer()


@scene("case-number", "turn", "found", "support-phone")
def granted_elsewhere(stage: Stage) -> Page:
    stage.lose().grant()
    return stage.computer()


@scene("case-number", "code", "enter-code", "found", "support-phone")
def granted(stage: Stage) -> Page:
    page = granted_elsewhere(stage)
    cookie = {"name": "diagnostics", "value": stage.scene.cookie, "url": stage.site}
    page.context.add_cookies([cookie])  # type: ignore[list-item]
    page.reload()
    return page


@scene("code", "error", "enter-code")
def granted_wrong(stage: Stage) -> Page:
    page = granted(stage)
    stage.watch.means(422)
    fill(page, code="AAAA-AAAA")
    press(page, "enter-code")
    return see(page, "error")


@scene("case-number", "turn", "found", "support-phone")
def routed(stage: Stage) -> Page:
    lost = stage.lose()
    stage.has_boss()
    lost.open()
    return stage.computer()


@scene("turn", "found")
def routed_to_nobody(stage: Stage) -> Page:
    page = routed(stage)
    with db.writing():
        db.execute(devices.delete().where(devices.c.account_id == stage.boss.account.id))
        db.commit()
    page.reload()
    return page


# The link in the letters


def link(stage: Stage) -> str:
    with db.reading():
        return f"/cancel/{cancel_link(stage.case)}"


@scene("cancel-page", "cancel-case", "support-phone")
def cancel(stage: Stage) -> Page:
    stage.lose().wait()
    return stage.visit(link(stage))


@scene("cancel-page", "support-phone")
def cancelled(stage: Stage) -> Page:
    page = cancel(stage)
    stage.watch.means(410)
    press(page, "cancel-case")
    expect(page.get_by_test_id("cancel-case")).to_have_count(0)
    return page


@scene("cancel-page", "support-phone")
def cancel_too_late(stage: Stage) -> Page:
    stage.lose()
    stage.complete()
    stage.watch.means(410)
    return stage.visit(link(stage))


@scene("cancel-page")
def cancel_of_refused(stage: Stage) -> Page:
    stage.lose().open()
    stage.refuse()
    stage.watch.means(410)
    return stage.visit(link(stage))


@scene("advice", "support-phone")
def cancel_dead_link(stage: Stage) -> Page:
    stage.watch.means(410)
    return stage.visit("/cancel/whatever")


# The specialists' list


def others(count: int) -> None:
    """Cases of other people."""
    services = ("cabinet", "extern", "school", "ofd")
    for number in range(count):
        email = f"operator-{number}@sever-trakt.example"
        person = enrol(email, name="" if number % 3 else "Константинопольская Александра")
        act(recovery.open_by_owner, person.account, services[number % 4], ADDRESS)


@scene("new-case", "tab", "case")
def cases(stage: Stage) -> Page:
    stage.lose().wait()
    others(3)
    return see(stage.desk("/support/cases"), "case")


@scene("new-case", "tab", "case")
def cases_ended(stage: Stage) -> Page:
    lost = stage.lose()
    lost.ask()
    stage.refuse()
    lost.wait()
    stage.cancel()
    stage.complete()
    return see(stage.desk(f"/support/cases?which={Which.ENDED}"), "case")


@scene("new-case", "tab", "case")
def cases_all_in_pages(stage: Stage) -> Page:
    stage.lose().wait()
    others(21)
    return see(stage.desk(f"/support/cases?which={Which.ALL}&after=1"), "first-page")


@scene("new-case", "tab", "case")
def cases_first_page(stage: Stage) -> Page:
    stage.lose().wait()
    others(21)
    return see(stage.desk(f"/support/cases?which={Which.ALL}"), "next-page")


@scene("new-case", "tab")
def cases_empty(stage: Stage) -> Page:
    stage.lose()
    return stage.desk("/support/cases")


@scene("email", "phone", "service", "open-case")
def new_case(stage: Stage) -> Page:
    stage.lose()
    return stage.desk("/support/cases/new")


def call(stage: Stage, page: Page, status: int, service: str = "cabinet", **typed: str) -> Page:
    """Type what the caller says, and press."""
    fill(page, **({"email": EMAIL, "phone": PHONE} | typed))
    if service:
        page.get_by_test_id("service").select_option(service)
    stage.watch.means(status)
    press(page, "open-case")
    return see(page, "error")


@scene("email", "phone", "error", "say", "open-case")
def new_case_unknown(stage: Stage) -> Page:
    return call(stage, new_case(stage), 422, phone="+79990000000")


@scene("email", "service", "error", "open-case")
def new_case_without_service(stage: Stage) -> Page:
    return call(stage, new_case(stage), 422, service="")


@scene("error", "known-case", "email", "open-case")
def new_case_known(stage: Stage) -> Page:
    page = new_case(stage)
    stage.scene.open()
    return see(call(stage, page, 409), "known-case")


@scene("error", "say", "email", "open-case")
def new_case_with_new_email(stage: Stage) -> Page:
    page = new_case(stage)
    act(account.change, stage.owner.account, "email", "p.p.petrov@sever-trakt.example", "tests")
    return see(call(stage, page, 409, email="p.p.petrov@sever-trakt.example"), "say")


# A case, as specialists see it


@scene("standing", "turn", "say", "type-number", "claim", "refuse-open")
def desk_opened(stage: Stage) -> Page:
    stage.lose().open()
    return stage.desk()


@scene("standing", "type-number", "error", "claim")
def desk_number_wrong(stage: Stage) -> Page:
    page = desk_opened(stage)
    stage.watch.means(422)
    fill(page, **{"type-number": "123 456 789"})
    press(page, "claim")
    return see(page, "error")


@scene("standing", "turn", "noted", "keep-answers", "decide", "number", "refuse-open")
def desk_asking(stage: Stage) -> Page:
    stage.lose().ask()
    return stage.desk()


@scene("standing", "turn", "number")
def desk_asking_as_other(stage: Stage) -> Page:
    stage.lose().ask()
    return stage.other_desk()


@scene("standing", "turn", "number-open", "type-number", "claim")
def desk_another_number(stage: Stage) -> Page:
    page = desk_asking(stage)
    press(page, "number-open")
    return see(page, "type-number")


@scene("standing", "turn", "stale", "type-number", "claim", "keep-answers")
def desk_stale(stage: Stage) -> Page:
    stage.lose().ask()
    stage.time.passes(minutes=61)
    return see(stage.desk(), "stale")


@scene("standing", "error", "decide")
def desk_answers_wrong(stage: Stage) -> Page:
    page = desk_asking(stage)
    stage.watch.means(422)
    typed = {"created": "весной", "second_factor": "давно", "phone_changed": "19.11.2025"}
    fill(page, **{f"answer-{key}": words for key, words in typed.items()})
    press(page, "decide")
    return see(page, "error", "answer-error-created", "answer-error-second_factor")


@scene("standing", "error", "decide", "keep-answers")
def desk_answers_missing(stage: Stage) -> Page:
    page = desk_asking(stage)
    stage.watch.means(422)
    fill(page, **{f"answer-{key}": words for key, words in stage.scene.answers.items()})
    press(page, "decide")
    return see(page, "error")


@scene("standing", "error", "decide", "keep-answers")
def desk_answers_none(stage: Stage) -> Page:
    page = desk_asking(stage)
    stage.watch.means(422)
    press(page, "decide")
    return see(page, "error")


@scene("refuse-reason", "error", "refuse")
def desk_refusing_wrong(stage: Stage) -> Page:
    page = desk_opened(stage)
    stage.watch.means(422)
    press(page, "refuse-open", "refuse")
    return see(page, "error")


@scene("standing", "turn", "say", "refuse-open", "wait-until")
def desk_waiting(stage: Stage) -> Page:
    stage.lose().wait()
    return see(stage.desk(), "wait-until")


@scene("standing", "turn", "wait-until")
def desk_waiting_as_other(stage: Stage) -> Page:
    stage.lose().wait()
    return see(stage.other_desk(), "wait-until")


@scene("standing", "turn", "say", "refuse-open")
def desk_approval(stage: Stage) -> Page:
    stage.lose(Role.SPECIALIST).wait()
    return stage.desk()


@scene("standing", "turn", "approve", "refuse-open", "number")
def desk_approval_as_second(stage: Stage) -> Page:
    stage.lose(Role.SPECIALIST).wait()
    return stage.other_desk()


@scene("standing", "turn", "wait-until")
def desk_approved_as_second(stage: Stage) -> Page:
    lost = stage.lose(Role.SPECIALIST)
    lost.wait()
    lost.approve()
    return stage.other_desk()


@scene("standing", "error", "turn")
def desk_moved_meanwhile(stage: Stage) -> Page:
    page = desk_approval_as_second(stage)
    stage.scene.approve()
    stage.watch.means(409)
    press(page, "approve")
    return see(page, "error")


@scene("standing", "turn", "say", "refuse-open")
def desk_granted(stage: Stage) -> Page:
    stage.lose().grant()
    return stage.desk()


@scene("standing", "turn")
def desk_completed(stage: Stage) -> Page:
    stage.lose()
    stage.complete()
    return stage.desk()


@scene("standing", "turn", "say")
def desk_refused(stage: Stage) -> Page:
    lost = stage.lose()
    lost.ask()
    lost.decide(WRONG)
    return stage.desk()


@scene("standing", "turn", "say")
def desk_refused_early(stage: Stage) -> Page:
    stage.lose().open()
    stage.refuse()
    return stage.desk()


@scene("standing", "turn", "say")
def desk_cancelled(stage: Stage) -> Page:
    stage.lose().wait()
    stage.cancel()
    return stage.desk()


@scene("standing", "turn", "say")
def desk_expired(stage: Stage) -> Page:
    stage.lose().open()
    stage.time.passes(hours=73)
    return stage.desk()


@scene("standing", "turn", "say")
def desk_routed(stage: Stage) -> Page:
    lost = stage.lose()
    stage.has_boss()
    lost.open()
    return stage.desk()


@scene("standing", "turn", "say")
def desk_granted_by_administrator(stage: Stage) -> Page:
    desk_routed_and_granted(stage)
    return stage.desk()


@scene("standing", "turn", "say")
def desk_withdrawn_by_administrator(stage: Stage) -> Page:
    desk_routed_and_granted(stage)
    assert act(recovery.refuse, stage.case, stage.boss.account, Reason.WITHDRAWN, DESK)
    return stage.desk()


def desk_routed_and_granted(stage: Stage) -> None:
    stage.lose()
    stage.has_boss()
    stage.grant_by_boss(stage.owner)


# An administrator's own people


def colleagues(stage: Stage) -> None:
    """Somebody in each standing."""
    lost = stage.lose()
    lost.ask()
    stage.has_boss()
    long = "Константинопольская-Вознесенская Александра Владиславовна"
    asks = enrol("asks@sever-trakt.example", Role.SENIOR_OPERATOR, name=long)
    act(recovery.open_by_owner, asks.account, "cabinet", ADDRESS)
    stage.grant_by_boss(enrol("sent@sever-trakt.example", Role.MANAGER, name="Кузнецова Вера"))
    enrol("ready@sever-trakt.example", Role.CONTROLLER, name="Лосев Фёдор Ильич")
    invite("missing@sever-trakt.example", name="")


@scene("person", "factor", "to-reset", "refuse-open")
def people(stage: Stage) -> Page:
    colleagues(stage)
    page = stage.office()
    expect(page.get_by_test_id("person")).to_have_count(6)
    return page


@scene("person", "factor", "to-reset", "refuse-open", "notice")
def people_moved_meanwhile(stage: Stage) -> Page:
    page = people(stage)
    tab = page.context.new_page()
    tab.goto("/people")
    tab.get_by_test_id("refuse-open").first.click()
    tab.get_by_test_id("refuse").first.click()
    see(tab, "done")
    stage.watch.means(409)
    page.get_by_test_id("refuse-open").first.click()
    page.get_by_test_id("refuse").first.click()
    return see(page, "notice")


@scene("person", "done")
def people_refused(stage: Stage) -> Page:
    page = people(stage)
    page.get_by_test_id("refuse-open").first.click()
    page.get_by_test_id("refuse").first.click()
    return see(page, "done")


@scene("person", "done")
def people_code_withdrawn(stage: Stage) -> Page:
    page = people(stage)
    page.get_by_test_id("refuse-open").last.click()
    page.get_by_test_id("refuse").last.click()
    return see(page, "done")


@scene("reset")
def reset(stage: Stage) -> Page:
    stage.lose()
    stage.has_boss()
    page = stage.office()
    press(page, "to-reset")
    return see(page, "reset")


@scene("done", "person", "refuse-open")
def reset_done(stage: Stage) -> Page:
    page = reset(stage)
    press(page, "reset")
    return see(page, "done")


@scene("error")
def reset_with_new_email(stage: Stage) -> Page:
    page = reset(stage)
    act(account.change, stage.owner.account, "email", "p.p.petrov@sever-trakt.example", "tests")
    stage.watch.means(409)
    press(page, "reset")
    return see(page, "error")


@scene("error", "one-proof", "reset")
def reset_after_a_new_password(stage: Stage) -> Page:
    """Somebody chose the password by letter after the page was opened."""
    page = reset(stage)
    act(remember, stage.owner.account, PASSWORD, "")
    stage.watch.means(409)
    press(page, "reset")
    return see(page, "one-proof")


@scene("notice", "person")
def reset_of_one_with_support(stage: Stage) -> Page:
    stage.lose()
    stage.has_boss()
    page = stage.office()
    press(page, "to-reset")
    stage.grant_by_boss(stage.owner)
    stage.watch.means(409)
    press(page, "reset")
    return see(page, "notice")


def no_reset(stage: Stage) -> Page:
    page = stage.office(f"/people/{stage.owner.account.id}/reset")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_test_id("reset")).to_have_count(0)
    return page


@scene()
def no_reset_for_it_is_sent(stage: Stage) -> Page:
    desk_routed_and_granted(stage)
    return no_reset(stage)


@scene()
def no_reset_with_support(stage: Stage) -> Page:
    stage.lose().ask()
    stage.has_boss()
    return no_reset(stage)


@scene()
def no_reset_without_factor(stage: Stage) -> Page:
    stage.lose()
    stage.has_boss()
    with db.writing():
        db.execute(devices.delete().where(devices.c.account_id == stage.owner.account.id))
        db.commit()
    return no_reset(stage)


@scene("code", "enter", "support-phone")
def reset_check(stage: Stage) -> Page:
    stage.lose()
    stage.has_boss()
    page = stage.office()
    wait_to_be_asked_again()
    press(page, "to-reset")
    return see(page, "enter")


@scene("advice", "support-phone")
def not_for_operators(stage: Stage) -> Page:
    stage.lose()
    page = stage.new_window()
    sign_in(page, stage.owner)
    stage.watch.means(403)
    page.goto("/support/cases")
    return see(page, "advice")


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
