"""The way of the responsible person in a real browser (product.md, step by step)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from portal import config, flood
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.live import served
from tests.ports import free_port
from tests.window import CONFIRMED, NARROW, OUTSIDE, WIDE

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from playwright.sync_api import Page, Request

    from tests.conftest import Post, Time
    from tests.window import Watch


def confirm_phone(page: Page, post: Post) -> None:
    page.get_by_test_id("confirm-phone").click()
    expect(page.get_by_test_id("code")).to_be_visible()
    page.get_by_test_id("code").fill(post.code())
    expect(page.get_by_test_id("phone-status")).to_have_text(CONFIRMED)


def send_letter(page: Page) -> None:
    page.get_by_test_id("confirm-email").click()
    expect(page.get_by_test_id("email-sent")).to_be_visible()


def confirm_address(page: Page, post: Post) -> None:
    page.goto(post.link())
    page.get_by_test_id("confirm-address").click()
    expect(page.get_by_test_id("email-page")).to_contain_text("подтверждён")


def polls(page: Page) -> list[str]:
    """Every later request of a page that asks whether something changed."""
    seen: list[str] = []

    def hear(request: Request) -> None:
        if "seen=" in request.url:
            seen.append(request.url)

    page.on("request", hear)
    return seen


# Steps 1 to 6


def test_both_contacts_are_confirmed_and_the_administrator_is_told(
    opened: Page, post: Post
) -> None:
    letter = post.letters(LOMOVA.email)[0]
    assert letter.subject == "Подтверждение данных"
    expect(opened).to_have_title("ООО «Северный тракт» · ИЗКТ")
    assert "/confirm/" not in opened.url, "the token left the address bar"
    for heading in ("Сведения об организации", "Данные ответственного лица"):
        expect(opened.get_by_role("heading", name=heading)).to_be_visible()
    expect(opened.get_by_test_id("administrator")).to_have_text(ADMINISTRATOR)
    expect(opened.get_by_test_id("organisation-id")).to_have_text("ORG-004217")
    expect(opened.get_by_test_id("phone-status")).to_have_text("не подтверждён")

    confirm_phone(opened, post)
    send_letter(opened)
    tab = opened.context.new_page()
    confirm_address(tab, post)
    expect(opened.get_by_test_id("completed")).to_be_visible()  # it updated by itself
    expect(opened.locator("#said")).to_have_text("Готово, вы всё подтвердили.")
    expect(opened.get_by_test_id("email-status")).to_have_text(CONFIRMED)
    expect(opened.get_by_test_id("report-error")).to_have_count(0)
    assert [each.subject for each in post.letters(ADMINISTRATOR)] == ["Проверка завершена"]


def test_the_email_may_come_first(opened: Page, post: Post) -> None:
    send_letter(opened)
    confirm_address(opened, post)
    opened.get_by_test_id("back").click()
    expect(opened.get_by_test_id("email-status")).to_have_text(CONFIRMED)
    confirm_phone(opened, post)
    expect(opened.get_by_test_id("completed")).to_be_visible()
    assert len(post.letters(ADMINISTRATOR)) == 1


def test_the_whole_way_without_scripts(
    new_window: Callable[..., Page], post: Post, asked: str, watch: Watch
) -> None:
    page = new_window(scripts=False)
    page.goto(post.link())
    page.get_by_test_id("confirm-phone").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.locator("#code-hint")).to_be_hidden()
    page.keyboard.press("Tab")  # from the field, that has the focus, through the popup
    expect(page.get_by_test_id("send-again")).to_be_focused()
    watch.means(422, 429)
    page.get_by_test_id("send-again").click()
    expect(page.get_by_test_id("code-error")).to_be_visible()
    page.get_by_test_id("code").fill("12-34")
    page.get_by_test_id("submit-code").click()
    expect(page.get_by_test_id("code-error")).to_contain_text("Осталось попыток: 4")
    page.get_by_test_id("close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_test_id("confirm-phone").click()
    page.get_by_test_id("code").fill(post.code())
    page.get_by_test_id("submit-code").click()
    expect(page.get_by_test_id("phone-status")).to_have_text(CONFIRMED)
    page.get_by_test_id("confirm-email").click()
    expect(page.get_by_test_id("email-sent")).to_be_visible()
    confirm_address(page, post)
    page.get_by_test_id("back").click()
    expect(page.get_by_test_id("completed")).to_be_visible()
    assert len(post.codes()) == 1


def test_a_double_click_sends_one_letter(opened: Page, post: Post) -> None:
    opened.get_by_test_id("confirm-email").dblclick(force=True)
    expect(opened.get_by_test_id("email-sent")).to_be_visible()
    expect(opened.get_by_test_id("confirm-email")).to_be_disabled()
    subjects = [each.subject for each in post.letters(LOMOVA.email)]
    assert subjects == ["Подтверждение данных", "Подтверждение email"]


def test_the_same_button_in_two_tabs_sends_one_letter(
    new_window: Callable[..., Page], post: Post, asked: str
) -> None:
    first = new_window(scripts=False)
    first.goto(post.link())
    second = first.context.new_page()
    second.goto(first.url)
    for tab in (first, second):
        tab.get_by_test_id("confirm-email").click()
        expect(tab.get_by_test_id("email-sent")).to_be_visible()
        expect(tab.get_by_test_id("notice")).to_have_count(0)
    assert len(post.letters(LOMOVA.email)) == 2, "the request and one more"


def test_opening_the_second_link_confirms_nothing_until_the_button_is_pressed(
    opened: Page, post: Post
) -> None:
    send_letter(opened)
    tab = opened.context.new_page()
    tab.goto(post.link())
    tab.reload()
    expect(tab.get_by_role("button")).to_have_count(1)
    opened.reload()
    expect(opened.get_by_test_id("email-status")).to_have_text("не подтверждён")


# Windows that follow each other


def test_two_tabs_of_one_browser_follow_each_other(opened: Page, post: Post) -> None:
    tab = opened.context.new_page()
    tab.goto(opened.url)
    seen = polls(tab)
    confirm_phone(opened, post)
    expect(tab.get_by_test_id("phone-status")).to_have_text(CONFIRMED)
    send_letter(tab)
    expect(opened.get_by_test_id("email-sent")).to_be_visible()
    assert not [each for each in seen if "/code" in each]
    for page in (opened, tab):  # the part was swapped, not the whole page into the part
        expect(page.locator("main")).to_have_count(1)
        expect(page.locator("header.bar")).to_have_count(1)


def test_the_first_window_follows_another_computer(
    opened: Page, new_window: Callable[..., Page], post: Post
) -> None:
    opened.clock.install()
    opened.reload()
    send_letter(opened)
    confirm_address(new_window("10.20.99.1"), post)
    opened.clock.run_for(3_000)
    expect(opened.get_by_test_id("email-status")).to_have_text(CONFIRMED)
    expect(opened.get_by_test_id("confirm-phone")).to_be_visible()


def test_the_page_behind_the_second_link_follows_the_others(opened: Page, post: Post) -> None:
    send_letter(opened)
    first, second = opened.context.new_page(), opened.context.new_page()
    for tab in (first, second):
        tab.goto(post.link())
    first.get_by_test_id("confirm-address").click()
    for tab in (first, second):
        expect(tab.get_by_test_id("email-page")).to_contain_text("Осталось подтвердить номер")
        expect(tab.locator("#said")).to_have_text(re.compile("^Адрес .* подтверждён"))
    expect(opened.get_by_test_id("email-status")).to_have_text(CONFIRMED)
    confirm_phone(opened, post)
    for tab in (first, second):
        expect(tab.get_by_test_id("email-page")).to_contain_text("Телефон тоже подтверждён")


def test_the_focus_goes_on_where_a_button_was_pressed(opened: Page, post: Post) -> None:
    heading = opened.get_by_role("heading", level=1)
    opened.get_by_test_id("confirm-email").focus()
    opened.keyboard.press("Enter")
    expect(opened.get_by_test_id("email-sent")).to_be_focused()
    opened.keyboard.press("Enter")
    assert not post.codes(), "a second press sends nothing"
    opened.goto(post.link())
    opened.get_by_test_id("confirm-address").focus()
    opened.keyboard.press("Enter")
    expect(heading).to_have_text("Email подтверждён")
    expect(heading).to_be_focused()
    opened.keyboard.press("Tab")
    expect(opened.get_by_test_id("back")).to_be_focused()
    opened.keyboard.press("Enter")
    confirm_phone(opened, post)
    expect(opened.get_by_test_id("completed")).to_be_visible()
    expect(heading).to_be_focused()


def test_a_page_speaks_one_language_though_another_tab_chose_another(
    opened: Page, post: Post, watch: Watch
) -> None:
    send_letter(opened)
    tab = opened.context.new_page()
    tab.goto(post.link())
    tab.get_by_role("link", name="English").click()
    opened.get_by_test_id("confirm-phone").click()
    expect(opened.get_by_test_id("code")).to_be_focused()
    watch.means(422)
    opened.get_by_test_id("code").fill("000000" if post.code() != "000000" else "111111")
    expect(opened.get_by_test_id("code-error")).to_contain_text("Tries left")
    opened.get_by_test_id("code").fill(post.code())
    expect(opened.get_by_test_id("phone-status")).to_have_text(re.compile("^confirmed "))
    expect(opened.locator("html")).to_have_attribute("lang", "en")
    tab.get_by_test_id("confirm-address").click()
    expect(opened.get_by_test_id("email-status")).to_have_text(re.compile("^confirmed "))
    expect(opened.locator("html")).to_have_attribute("lang", "en")
    expect(opened.get_by_test_id("help")).to_have_text("Help")


def test_only_a_page_that_waits_asks_for_news(
    opened: Page, new_window: Callable[..., Page], post: Post
) -> None:
    opened.clock.install()
    opened.reload()
    seen = polls(opened)
    opened.clock.run_for(30_000)
    assert not seen, "nothing is awaited yet"

    send_letter(opened)
    post.deliver()
    with opened.expect_response(lambda answer: "seen=" in answer.url) as first:
        opened.clock.run_for(3_000)
    assert first.value.status == 200  # the letter left meanwhile
    expect(opened.get_by_test_id("email-sent")).to_contain_text("Письмо отправлено")
    with opened.expect_response(lambda answer: "seen=" in answer.url) as second:
        opened.clock.run_for(3_000)
    assert second.value.status == 204

    confirm_address(new_window(), post)
    opened.clock.run_for(3_000)
    expect(opened.get_by_test_id("email-status")).to_have_text(CONFIRMED)
    seen.clear()
    opened.clock.run_for(30_000)
    assert not seen, "the phone's code was never asked for"
    confirm_phone(opened, post)
    expect(opened.get_by_test_id("completed")).to_be_visible()
    seen.clear()
    opened.clock.run_for(30_000)
    assert not seen, "all is done"


def test_the_letter_may_be_sent_again_after_the_wait(opened: Page, post: Post, time: Time) -> None:
    opened.clock.install()
    send_letter(opened)
    older = post.link()
    button = opened.get_by_test_id("confirm-email")
    expect(button).to_be_disabled()
    time.passes(minutes=1)
    opened.clock.fast_forward(60_000)
    expect(button).to_be_enabled()
    button.click()
    expect(button).to_be_disabled()
    assert post.link() != older


# Step 2: the secure channel, and links that are dead


def test_from_outside_the_link_shows_how_to_connect_and_is_not_used_up(
    new_window: Callable[..., Page], post: Post, asked: str, watch: Watch
) -> None:
    link = post.link()
    watch.means(403)
    outside = new_window(OUTSIDE)
    outside.goto(link)
    expect(outside.get_by_test_id("outside")).to_contain_text("С-Терра Клиент")
    expect(outside.get_by_test_id("address")).to_have_text(OUTSIDE)
    expect(outside.get_by_test_id("support-phone")).to_have_text("8-800-333-30-92")
    outside.context.set_extra_http_headers({"X-Forwarded-For": "10.20.4.17"})
    outside.reload()
    expect(outside.get_by_role("heading", level=1)).to_have_text(LOMOVA.short_name)


def test_leaving_the_channel_between_two_presses_confirms_nothing(
    opened: Page, post: Post, watch: Watch
) -> None:
    opened.get_by_test_id("confirm-phone").click()
    expect(opened.get_by_test_id("code")).to_be_focused()
    watch.means(403)
    opened.context.set_extra_http_headers({"X-Forwarded-For": OUTSIDE})
    opened.get_by_test_id("code").fill(post.code())
    expect(opened.get_by_test_id("outside")).to_be_visible()
    opened.context.set_extra_http_headers({"X-Forwarded-For": "10.20.4.17"})
    opened.reload()
    expect(opened.get_by_test_id("phone-status")).to_have_text("не подтверждён")
    confirm_phone(opened, post)
    assert len(post.codes()) == 1


def test_a_link_that_expires_while_its_page_is_open_says_so(
    opened: Page, post: Post, time: Time, watch: Watch
) -> None:
    time.passes(days=7)
    watch.means(409)
    opened.get_by_test_id("confirm-phone").click()
    expect(opened.get_by_test_id("ended")).to_contain_text("Срок ссылки истёк")
    assert not post.codes()


def test_a_link_that_a_newer_one_retired_says_so(
    opened: Page, post: Post, ask: Callable[..., str], watch: Watch
) -> None:
    confirm_phone(opened, post)
    ask()
    watch.means(409)
    opened.get_by_test_id("confirm-email").click()
    expect(opened.get_by_test_id("ended")).to_be_visible()
    expect(opened.get_by_role("heading", level=1)).to_have_text("Есть более новое письмо")
    opened.goto(post.link())
    expect(opened.get_by_test_id("phone-status")).to_have_text(CONFIRMED)


# Step 7: an error in the data


def test_a_report_keeps_what_was_typed_until_it_can_be_sent(
    opened: Page, post: Post, watch: Watch
) -> None:
    opened.get_by_test_id("report-error").click()
    expect(opened.get_by_test_id("new-phone")).to_be_hidden()
    opened.get_by_test_id("wrong-phone").check()
    opened.get_by_test_id("new-phone").fill("позвоните")
    opened.get_by_test_id("wrong-position").check()
    opened.get_by_test_id("new-position").fill("Начальник гаража")
    opened.get_by_test_id("comment").fill("Номер сменился.")
    watch.means(422)
    opened.get_by_test_id("send-report").click()
    expect(opened.get_by_test_id("notice")).to_be_visible()
    phone = opened.get_by_test_id("new-phone")
    expect(phone).to_have_attribute("aria-invalid", "true")
    expect(phone).to_have_value("позвоните")
    expect(opened.get_by_test_id("new-position")).to_have_value("Начальник гаража")
    expect(opened.get_by_test_id("comment")).to_have_value("Номер сменился.")
    phone.fill("8 (921) 555-01-99")
    opened.get_by_test_id("send-report").click()
    expect(opened.get_by_test_id("ended")).to_be_visible()
    letter = post.letters(ADMINISTRATOR)[-1]
    assert letter.subject == "Сообщение об ошибке в данных"
    assert "+7 921 555-01-99" in letter.text


def test_a_report_is_filled_in_by_its_names(opened: Page) -> None:
    """As it is by ear, by voice and by a browser that knows whose telephone it is on."""
    opened.get_by_test_id("report-error").click()
    opened.get_by_role("checkbox", name="неверно: Фамилия").check()
    surname = opened.get_by_role("textbox", name="Как правильно: Фамилия")
    expect(surname).to_have_attribute("autocomplete", "family-name")
    expect(opened.get_by_test_id("new-phone")).to_have_attribute("type", "tel")
    expect(opened.get_by_test_id("new-inn")).to_have_attribute("inputmode", "numeric")


def test_what_a_report_will_send_is_in_sight(opened: Page) -> None:
    opened.get_by_test_id("report-error").click()
    mark, field = opened.get_by_test_id("wrong-kpp"), opened.get_by_test_id("new-kpp")
    mark.check()
    field.fill("290101002")
    mark.uncheck()
    expect(field).to_be_visible()
    field.fill("")
    opened.get_by_test_id("comment").focus()
    expect(field).to_be_hidden()


def test_a_report_that_was_begun_is_not_left_without_a_question(opened: Page) -> None:
    opened.get_by_test_id("report-error").click()
    comment = opened.get_by_test_id("comment")
    comment.fill("Номер сменился.")
    opened.once("dialog", lambda dialog: dialog.dismiss())
    opened.get_by_role("link", name="English").click()
    expect(comment).to_have_value("Номер сменился.")
    opened.once("dialog", lambda dialog: dialog.accept())
    opened.get_by_role("link", name="English").click()
    expect(opened.get_by_role("heading", level=1)).to_have_text("Report an error")


def test_a_report_without_a_word_says_once_what_is_missing(opened: Page, watch: Watch) -> None:
    watch.means(422)
    opened.get_by_test_id("report-error").click()
    opened.get_by_test_id("send-report").click()
    expect(opened.get_by_test_id("comment")).to_be_focused()
    expect(opened.get_by_text("Отметьте, что неверно, или напишите")).to_have_count(1)


def test_an_open_window_learns_of_the_report(opened: Page, post: Post) -> None:
    opened.clock.install()
    opened.reload()
    send_letter(opened)
    tab = opened.context.new_page()
    tab.goto(f"{opened.url}/report")
    tab.get_by_test_id("comment").fill("Всё неверно.")
    tab.get_by_test_id("send-report").click()
    expect(opened.get_by_test_id("ended")).to_be_visible()


# What goes wrong


def test_an_outage_between_two_presses_loses_nothing(
    app: Flask, new_window: Callable[..., Page], post: Post, asked: str, watch: Watch
) -> None:
    with served(app, free_port()) as url:
        page = new_window()
        page.goto(url + post.link())
        page.get_by_test_id("confirm-phone").click()
        expect(page.get_by_test_id("code")).to_be_focused()
    watch.means("ERR_CONNECTION_REFUSED")
    watch.tolerates("htmx:error")
    page.get_by_test_id("code").fill(post.code())
    expect(page.locator("#trouble")).to_be_visible()
    expect(page.get_by_test_id("code")).to_have_value(post.code())
    with served(app, int(url.rpartition(":")[2])):
        page.get_by_test_id("submit-code").click()
        expect(page.get_by_test_id("phone-status")).to_have_text(CONFIRMED)
        expect(page.locator("#trouble")).to_be_hidden()
        page.close()


COVERED = """() => {
  const note = document.getElementById("trouble").getBoundingClientRect();
  return document.activeElement.getBoundingClientRect().top < note.bottom && note.bottom > 0
}"""


@pytest.mark.parametrize("size", [WIDE, NARROW, (320, 256)])
def test_what_is_told_covers_no_field_that_has_the_focus(
    opened: Page, size: tuple[int, int]
) -> None:
    opened.set_viewport_size({"width": size[0], "height": size[1]})
    opened.get_by_test_id("report-error").click()
    for name in ("phone", "inn", "name", "kpp", "legal_address"):
        opened.get_by_test_id(f"wrong-{name}").check()
    opened.evaluate("document.getElementById('trouble').hidden = false")
    opened.get_by_test_id("send-report").focus()
    for _press in range(20):  # upwards, so that a field comes in at the top
        opened.keyboard.press("Shift+Tab")
        if opened.evaluate("!document.activeElement.closest('.report')"):
            break
        assert not opened.evaluate(COVERED)


# Language, the back button, reloading


def test_a_press_that_is_too_many_is_told_so(
    opened: Page, post: Post, watch: Watch, environment: dict[str, str], time: Time
) -> None:
    time.begins_a_minute()
    flood.counts.use(config.load(environment | {"PORTAL_FLOOD_FORMS_PER_MINUTE": "1"}))
    watch.means(429)
    send_letter(opened)
    opened.get_by_test_id("confirm-phone").click()
    expect(opened.get_by_role("heading", level=1)).to_have_text("Слишком много запросов")
    expect(opened.get_by_test_id("advice")).to_contain_text("подождите минуту")
    expect(opened.locator("main")).to_have_count(1)
    assert opened.title().startswith("Слишком много запросов")
    opened.get_by_test_id("way").click()
    expect(opened.get_by_test_id("confirm-phone")).to_be_visible()
    assert post.codes() == []


def test_the_language_is_kept_and_changed_back(opened: Page, post: Post) -> None:
    html = opened.locator("html")
    here = opened.url
    opened.locator("[hreflang=en]").click()
    expect(html).to_have_attribute("lang", "en")
    assert opened.url == here
    opened.get_by_test_id("confirm-phone").click()
    expect(opened.get_by_test_id("code")).to_be_focused()
    opened.get_by_test_id("code").fill(post.code())
    expect(opened.get_by_test_id("confirm-phone")).to_have_count(0)
    expect(html).to_have_attribute("lang", "en")
    opened.locator("[hreflang=ru]").click()
    expect(opened.get_by_test_id("phone-status")).to_have_text(CONFIRMED)


def test_the_back_button_shows_how_things_are_now(opened: Page, post: Post) -> None:
    opened.get_by_test_id("report-error").click()
    expect(opened.get_by_test_id("send-report")).to_be_visible()
    opened.go_back()
    expect(opened.get_by_test_id("phone-status")).to_have_text("не подтверждён")
    opened.go_forward()
    expect(opened.get_by_test_id("send-report")).to_be_visible()
    opened.go_back()
    confirm_phone(opened, post)
    send_letter(opened)
    opened.goto(post.link())
    opened.go_back()
    expect(opened.get_by_test_id("email-sent")).to_be_visible()
    opened.go_forward()
    opened.get_by_test_id("confirm-address").click()
    expect(opened.get_by_test_id("back")).to_be_visible()
    opened.reload()
    expect(opened.get_by_test_id("email-page")).to_contain_text("подтверждён")
    opened.go_back()
    expect(opened.get_by_test_id("completed")).to_be_visible()


def test_every_page_can_be_loaded_again(opened: Page, post: Post) -> None:
    opened.reload()
    opened.get_by_test_id("confirm-phone").click()
    expect(opened.get_by_test_id("code")).to_be_focused()
    opened.reload()
    expect(opened.get_by_role("dialog")).to_have_count(0)
    opened.goto(f"{opened.url}/code")
    expect(opened.get_by_test_id("code")).to_be_focused()
    opened.reload()
    expect(opened.get_by_test_id("code")).to_be_focused()
    opened.get_by_test_id("code").fill(post.code())
    expect(opened.get_by_test_id("phone-status")).to_have_text(CONFIRMED)
    opened.reload()
    expect(opened.get_by_test_id("phone-status")).to_have_text(CONFIRMED)
    send_letter(opened)
    opened.reload()
    expect(opened.get_by_test_id("email-sent")).to_be_visible()
    confirm_address(opened, post)
    opened.reload()
    expect(opened.get_by_test_id("email-page")).to_contain_text("подтверждён")
    opened.get_by_test_id("back").click()
    expect(opened.get_by_test_id("completed")).to_be_visible()
    opened.reload()
    expect(opened.get_by_test_id("completed")).to_be_visible()
    assert len(post.codes()) == 1
    assert len(post.letters(ADMINISTRATOR)) == 1


@pytest.mark.parametrize("path", ["/confirm/forged", "/confirm-email/forged"])
def test_a_forged_link_opens_a_page_that_says_whom_to_ask(
    window: Page, watch: Watch, path: str
) -> None:
    watch.means(410)
    window.goto(path)
    expect(window.get_by_role("heading", level=1)).to_have_text("Ссылка не действует")
    expect(window.get_by_test_id("advice")).to_be_visible()
