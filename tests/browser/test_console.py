"""What needs a real browser on the pages of those who sign in.

Pages that follow what others do, hurried hands, two tabs, the back button, the keyboard alone, and
scripts switched off. How the pages look is for the files named `…_pages.py`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from portal import campaign, config, verification
from portal.confirmation.course import prove
from portal.database import db
from portal.organisation import Status
from tests.conftest import LOMOVA
from tests.living import ADDRESS, ID, OTHER_PHONE, Life, see
from tests.people import act
from tests.signing import fill, press
from tests.verifying import found, waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from flask import Flask
    from playwright.sync_api import Dialog, Page

    from tests.conftest import Post, Time
    from tests.window import Watch

PAGE = f"/organisations/{ID}"
OTHER_SHOWN = "+7 921 555-01-99"
HAND_MS = 150  # between the clicks of a double click
PATIENCE_SECONDS = 15
TABS = 25  # of a keyboard, that reach anything on a page


@pytest.fixture
def life(new_window: Callable[..., Page], post: Post, time: Time, watch: Watch, site: str) -> Life:
    return Life(new_window, post, time, watch, site)


def verifications() -> int:
    with db.reading():
        return len(verification.verifications_of(ID, most=5))


def focused(page: Page) -> str:
    """The data-testid of what has the focus."""
    named: str = page.evaluate("document.activeElement.dataset.testid ?? ''")
    return named


# Pages that follow


def test_the_list_follows_and_keeps_what_was_ticked(life: Life) -> None:
    life.own("ORG-004218", short_name="ООО «Волжские перевозки»")
    asked = life.request()
    page = life.office("/devices")
    page.clock.install()
    page.goto("/organisations")
    line = page.get_by_test_id("organisation").first
    expect(line.get_by_test_id("next-step")).to_have_text("ждём ответственное лицо")
    tick = page.get_by_role("checkbox", name="Волжские")
    tick.check()
    act(prove, asked, "phone", ADDRESS)
    act(prove, life.asked(asked.id), "email", ADDRESS)
    page.clock.run_for(10_000)
    expect(line.get_by_test_id("next-step")).to_have_text("отправьте на проверку")
    expect(tick).to_be_checked()


def test_a_tick_leaves_with_its_organisation(life: Life) -> None:
    life.own("ORG-004218", short_name="ООО «Волжские перевозки»")
    life.own("ORG-004219", short_name="ООО «Уральская логистика»")
    life.request("ORG-004219")
    life.confirm(id=ID)
    page = life.office("/devices")
    page.clock.install()
    page.goto("/organisations?status=unverified")
    page.get_by_role("checkbox", name="Северный").check()
    life.submit(ID)  # it leaves the list, and the next one says something else
    life.request("ORG-004218")
    page.clock.run_for(10_000)
    expect(page.get_by_test_id("organisation")).to_have_count(2)
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(0)


def test_what_was_opened_stays_open_while_a_campaign_goes_on(life: Life) -> None:
    config.use(replace(config.settings, campaign_per_minute=1))
    life.own("ORG-004218")
    page = life.office("/devices")
    page.clock.install()
    page.goto("/campaigns/new")
    fill(page, **{"type-list": f"{ID}\nORG-004218"})
    press(page, "choose-typed", "start")
    page.get_by_test_id("cancel-open").click()
    campaign.continue_due()
    page.clock.run_for(2_000)
    expect(page.get_by_test_id("progress")).to_have_text("1 из 2")
    expect(page.get_by_test_id("cancel-campaign")).to_be_visible()


def test_the_focus_stays_on_a_page_whose_button_is_gone(life: Life) -> None:
    config.use(replace(config.settings, campaign_per_minute=1))
    page = life.office("/devices")
    page.clock.install()
    page.goto("/campaigns/new")
    fill(page, **{"type-list": ID})
    press(page, "choose-typed", "start")
    page.get_by_test_id("pause").focus()
    campaign.continue_due()
    page.clock.run_for(2_000)
    expect(page.get_by_test_id("pause")).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.clock.run_for(2_000)
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_the_focus_stays_when_the_operational_part_opens(life: Life) -> None:
    page = life.sit(life.operator, "/devices")
    page.clock.install()
    page.goto("/operations")
    page.get_by_test_id("remind").focus()
    life.bring(Status.VERIFIED)
    page.clock.run_for(5_000)
    expect(page.get_by_test_id("operations")).to_have_text("открыта")
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_a_campaign_moves_before_ones_eyes(life: Life) -> None:
    config.use(replace(config.settings, campaign_per_minute=1))  # none is made up for
    life.own("ORG-004218")
    page = life.office("/devices")
    page.clock.install()
    page.goto("/campaigns/new")
    fill(page, **{"type-list": f"{ID}\nORG-004218"})
    press(page, "choose-typed", "start")
    bar = page.get_by_role("progressbar")
    for handled in (0, 1, 2):
        page.clock.run_for(2_000)
        expect(page.get_by_test_id("progress")).to_have_text(f"{handled} из 2")
        expect(bar).to_have_js_property("value", handled)
        campaign.continue_due()
        life.time.passes(minutes=1)
    expect(page.get_by_test_id("standing")).to_have_text("выполнен")
    page.clock.run_for(100)
    expect(page.locator("#said")).to_have_text(re.compile("^Список от .*: выполнен$"))
    expect(page.get_by_test_id("pause")).to_have_count(0)


def test_the_queue_and_who_works_on_it_follow(life: Life) -> None:
    page = life.desk("/devices")
    page.clock.install()
    page.goto("/verifications")
    see(page, "nothing")
    life.bring(Status.SUBMITTED)
    page.clock.run_for(10_000)
    expect(page.get_by_test_id("worker")).to_have_text("свободна")
    page.clock.run_for(100)
    expect(page.locator("#said")).to_have_text("Ждут проверки: 1")
    page.get_by_test_id("waiting").get_by_role("link").click()
    see(page, "take")
    life.take(who=life.belova)
    page.clock.run_for(5_000)
    expect(page.get_by_test_id("turn")).to_contain_text("Белова М. И.")
    expect(page.get_by_test_id("take")).to_have_count(0)


# Hurried hands


def prepared(life: Life, button: str) -> Page:
    """A page with a button that decides something."""
    if button == "submit":
        life.confirm()
    if button == "apply":
        life.bring(Status.VERIFIED)
        life.draft(phone=OTHER_PHONE)
        return life.office(f"{PAGE}/draft")
    return life.office()


def expect_once(life: Life, page: Page, button: str) -> None:
    """It was pressed once, and nobody is reproached."""
    page.wait_for_url(re.compile(rf"{PAGE}(\?done=\w+)?$"))
    see(page, "status")
    for warning in ("error", "notice", "advice"):
        expect(page.get_by_test_id(warning)).to_have_count(0)
    if button == "submit":
        assert verifications() == 1
    elif button == "apply":
        assert found(ID).status is Status.EDITING
    else:
        assert len(life.post.letters(LOMOVA.email)) == 1


@pytest.mark.parametrize("button", ["request-confirmation", "submit", "apply"])
def test_a_double_click_is_one(life: Life, button: str) -> None:
    """The second click lands on the page that came meanwhile."""
    page = prepared(life, button)
    page.get_by_test_id(button).dblclick(delay=HAND_MS)
    page.wait_for_timeout(HAND_MS)
    expect_once(life, page, button)


@pytest.mark.parametrize("button", ["request-confirmation", "submit", "apply"])
def test_who_clicks_again_because_nothing_happens_does_it_once(
    app: Flask, life: Life, button: str
) -> None:
    page = prepared(life, button)
    line = BadLine(app)
    place = page.get_by_test_id(button).bounding_box()
    assert place
    for _click in range(2):
        page.mouse.click(place["x"] + 5, place["y"] + 5)
        while not line.answers:
            page.wait_for_timeout(HAND_MS)
    page.wait_for_timeout(HAND_MS)
    line.is_good.set()
    expect_once(life, page, button)
    assert line.answers == ["303 SEE OTHER"]


class BadLine:
    """What stands between a browser and the portal: answers to forms do not come through."""

    def __init__(self, app: Flask) -> None:
        self.portal = app.wsgi_app
        self.answers: list[str] = []
        self.is_good = Event()
        app.wsgi_app = self  # type: ignore[assignment, method-assign] # as Flask advises

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        def answer(status: str, *more: Any) -> Any:
            if environ["REQUEST_METHOD"] == "POST":
                self.answers.append(status)
                self.is_good.wait(PATIENCE_SECONDS)
            return start(status, *more)

        return self.portal(environ, answer)


# Two tabs, and the way back


def test_a_draft_changed_in_another_tab_is_shown_before_it_counts(life: Life) -> None:
    page = life.office(f"{PAGE}/edit")
    tab = page.context.new_page()
    tab.goto(f"{PAGE}/edit")
    fill(page, phone=OTHER_PHONE)
    press(page, "to-compare")
    see(page, "change-phone")
    tab.get_by_test_id("position").fill("Директор")
    life.watch.means(409)
    press(tab, "to-compare")
    expect(tab.get_by_test_id("notice")).to_contain_text("в другом окне")
    expect(tab.get_by_test_id("position")).to_have_value("Директор")
    press(tab, "to-compare")
    see(tab, "change-position")
    press(page, "apply")
    expect(page.get_by_test_id("notice")).to_contain_text("в другом окне")
    see(page, "change-position")
    expect(page.get_by_test_id("change-phone")).to_have_count(0)
    press(page, "apply")
    see(page, "status")
    assert found(ID).details.position == "Директор"


def test_what_was_sent_in_one_tab_is_not_sent_in_the_other(life: Life) -> None:
    life.confirm()
    page = life.office()
    tab = page.context.new_page()
    tab.goto(PAGE)
    tab.route(re.compile("seen="), lambda poll: poll.fulfill(status=204))  # it follows else
    press(page, "submit")
    expect(page.get_by_test_id("status")).to_have_text("Требует проверки")
    life.time.passes(minutes=1)
    life.watch.means(409)
    press(tab, "submit")
    expect(tab.get_by_test_id("error")).to_contain_text("вот как обстоит дело")
    expect(tab.get_by_test_id("status")).to_have_text("Требует проверки")
    assert verifications() == 1


def test_the_way_back_after_a_draft_counts_leads_to_the_form(life: Life) -> None:
    life.bring(Status.VERIFIED)
    page = life.office(f"{PAGE}/edit")
    fill(page, phone=OTHER_PHONE)
    press(page, "to-compare", "apply")
    expect(page.get_by_test_id("status")).to_have_text("Изменение реквизитов")
    page.go_back()
    expect(page.get_by_test_id("phone")).to_have_value(OTHER_SHOWN)
    page.go_back()
    expect(page.get_by_test_id("phone")).to_have_value(OTHER_SHOWN)
    life.watch.means(422)
    press(page, "to-compare")
    expect(page.get_by_test_id("notice")).to_contain_text("ничего не изменили")


def test_what_was_typed_is_not_left_without_a_question(life: Life) -> None:
    page = life.office(f"{PAGE}/edit")
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.get_by_role("link", name="English").click()
    page.get_by_role("link", name="Русский").click()
    position = page.get_by_test_id("position")
    position.fill("Директор")
    page.get_by_role("link", name="English").click()
    expect(position).to_have_value("Директор")
    assert asked == ["beforeunload"]
    fill(page, phone="позвоните")
    life.watch.means(422)
    press(page, "to-compare")  # it comes back as it was typed, and is still kept nowhere
    page.get_by_role("link", name="English").click()
    expect(position).to_have_value("Директор")
    assert asked == ["beforeunload"] * 2
    fill(page, phone=OTHER_PHONE)
    press(page, "to-compare")
    see(page, "change-phone")
    assert asked == ["beforeunload"] * 2


# The keyboard alone


def tab_to(page: Page, name: str) -> None:
    """Press the tabulator until something has the focus."""
    for _press in range(TABS):
        page.keyboard.press("Tab")
        if focused(page) == name:
            return
    pytest.fail(f"the tabulator does not come to {name}")


def skip_to_main(page: Page) -> None:
    """Past the menu, by the first link of every page."""
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")


def test_the_menu_underlines_one_entry_where_colours_are_forced(life: Life) -> None:
    page = life.office()
    page.emulate_media(forced_colors="active")
    edges = """[...document.querySelectorAll(".menu a")].map((each) =>
      [each.hasAttribute("aria-current"), getComputedStyle(each).borderBottomColor])"""
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for is_current, edge in page.evaluate(edges):
        assert is_current == (edge != ground)


def test_an_administrator_needs_no_mouse(life: Life) -> None:
    life.confirm()
    page = life.office()
    skip_to_main(page)
    tab_to(page, "edit")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{PAGE}/edit")
    skip_to_main(page)
    tab_to(page, "position")
    page.keyboard.type("Директор")  # what was there is marked, as by any tabulator
    page.keyboard.press("Enter")
    see(page, "change-position")
    skip_to_main(page)
    tab_to(page, "apply")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(rf"{PAGE}(\?done=\w+)?$"))
    skip_to_main(page)
    tab_to(page, "submit")
    page.keyboard.press("Space")
    expect(page.get_by_test_id("status")).to_have_text("Требует проверки")
    assert found(ID).details.position == "Директор"


def test_a_specialist_needs_no_mouse(life: Life) -> None:
    life.bring(Status.SUBMITTED)
    page = life.desk("/verifications")
    skip_to_main(page)
    page.keyboard.press("Tab")  # the first of the queue
    page.keyboard.press("Enter")
    see(page, "take")
    skip_to_main(page)
    tab_to(page, "take")
    page.keyboard.press("Enter")
    see(page, "verify")
    skip_to_main(page)
    tab_to(page, "remark-inn")
    page.keyboard.type("Проверьте ИНН.")
    tab_to(page, "return")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("outcome").first).to_have_text("возвращена с замечаниями")
    expect(page.get_by_test_id("remark")).to_have_text("Проверьте ИНН.")


# Without scripts, files and paper


def test_a_form_is_printed_with_its_fields(life: Life) -> None:
    page = life.office(f"{PAGE}/edit")
    page.emulate_media(media="print")
    expect(page.get_by_test_id("position")).to_be_visible()
    expect(page.get_by_test_id("sign-out")).to_be_hidden()


def test_without_scripts_an_edit_goes_all_the_way(life: Life) -> None:
    life.bring(Status.VERIFIED)
    page = life.sit(life.boss, PAGE, scripts=False)
    press(page, "edit")
    fill(page, position="Директор")
    press(page, "to-compare", "apply")
    expect(page.get_by_test_id("status")).to_have_text("Изменение реквизитов")
    press(page, "submit")
    expect(page.get_by_test_id("status")).to_have_text("Требует повторной проверки")


def test_a_file_chooses_whom_to_ask(life: Life) -> None:
    life.own("ORG-004218")
    page = life.office("/campaigns/new")
    life.watch.means(422)
    press(page, "send-file")
    see(page, "error")
    text = f"name,id\r\n«Северный тракт»,{ID}\r\nоборвана\r\n«Волга»,ORG-004218\r\n"
    file = {"name": "список.csv", "mimeType": "text/csv", "buffer": text.encode("cp1251")}
    page.get_by_test_id("choose-file").set_input_files(file)  # type: ignore[arg-type] # a dict is one
    press(page, "send-file")
    expect(page.get_by_test_id("item")).to_have_count(2)
    expect(page.get_by_test_id("outcome")).to_have_count(2)
    expect(page.get_by_test_id("outcome").last).to_contain_text("строку не прочитать")


def test_remarks_that_were_not_taken_are_not_left_without_a_question(
    life: Life, watch: Watch
) -> None:
    one = waiting(ID, life.boss.account)
    page = life.desk(f"/verifications/{one.id}")
    page.get_by_test_id("take").click()
    page.get_by_test_id("remark-position").fill("В приказе другая должность")
    watch.means(422)
    page.get_by_test_id("release").click()
    expect(page.get_by_test_id("error")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("link", name="English").click()
    expect(page.get_by_test_id("remark-position")).to_have_value("В приказе другая должность")


@pytest.mark.parametrize("lost", ["the session", "the channel"])
def test_remarks_outlive_what_they_were_written_in(
    life: Life, time: Time, watch: Watch, lost: str
) -> None:
    one = waiting(ID, life.boss.account)
    page = life.desk("/devices")
    page.clock.install()
    page.goto(f"/verifications/{one.id}")
    page.get_by_test_id("take").click()
    remark = page.get_by_test_id("remark-position")
    remark.fill("В приказе другая должность")
    if lost == "the session":
        watch.means(401)
        time.passes(minutes=31)
    else:
        watch.means(403)
        page.set_extra_http_headers({"X-Forwarded-For": "203.0.113.5"})
    page.clock.run_for(6000)
    expect(page.get_by_test_id("meanwhile")).to_contain_text("Написанное здесь цело")
    expect(remark).to_have_value("В приказе другая должность")


def test_a_verification_is_printed_by_its_button(life: Life) -> None:
    life.bring(Status.VERIFIED)
    page = life.desk("/devices")
    page.add_init_script("window.print = () => { document.title = 'на бумаге'; }")
    page.goto("/verifications")
    life.edit(position="Директор")
    life.submit()
    page.reload()
    page.get_by_test_id("waiting").get_by_role("link").click()
    press(page, "print")
    expect(page).to_have_title("на бумаге")
