"""The code by SMS: a popup that opens, counts, forgives and closes (product.md, step 4)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from portal.gateways import Outgoing, Reason, Trouble
from tests.conftest import LOMOVA
from tests.window import CONFIRMED

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, Route

    from tests.conftest import Post, Time
    from tests.window import Watch


@pytest.fixture
def popup(opened: Page) -> Page:
    """The page with its popup open, on a clock that the test winds."""
    opened.clock.install()
    opened.reload()
    return open_popup(opened)


def open_popup(page: Page) -> Page:
    page.get_by_test_id("confirm-phone").click()
    expect(page.get_by_test_id("code")).to_be_focused()
    return page


def is_modal(page: Page) -> bool:
    return bool(page.evaluate("document.querySelector('dialog')?.matches(':modal') ?? false"))


def wrong(post: Post) -> str:
    return "111111" if post.code() == "000000" else "000000"


def test_the_button_sends_a_code_and_opens_a_popup_with_one_field(popup: Page, post: Post) -> None:
    assert is_modal(popup)
    dialog = popup.get_by_role("dialog", name="Введите код из СМС")
    assert dialog.get_by_role("textbox").count() == 1
    expect(dialog).to_contain_text("+7 921 555-01-47")
    expect(dialog).to_contain_text("8-800-333-30-92")
    expect(dialog).to_contain_text("ORG-004217")
    expect(popup.get_by_test_id("code")).to_have_attribute("autocomplete", "one-time-code")
    assert len(post.codes()) == 1


def test_the_sixth_digit_submits(popup: Page, post: Post) -> None:
    hint = "После шестой цифры код отправится сам."
    expect(popup.get_by_text(hint)).to_be_visible()
    expect(popup.get_by_test_id("code")).to_have_accessible_description(re.compile(hint))
    popup.get_by_test_id("code").press_sequentially(post.code())
    expect(popup.get_by_test_id("phone-status")).to_have_text(CONFIRMED)
    expect(popup.get_by_role("dialog")).to_have_count(0)
    expect(popup.get_by_test_id("email-status")).to_have_text("не подтверждён")


def test_a_pasted_code_with_its_spaces_submits(popup: Page, post: Post) -> None:
    code = post.code()
    popup.get_by_test_id("code").fill(f"{code[:3]} {code[3:]}")
    expect(popup.get_by_test_id("phone-status")).to_have_text(CONFIRMED)


def test_the_button_submits_too(popup: Page, post: Post, watch: Watch) -> None:
    watch.means(422)
    popup.get_by_test_id("code").fill("12")
    popup.get_by_test_id("submit-code").click()
    expect(popup.get_by_test_id("code-error")).to_contain_text("Осталось попыток: 4")


def test_a_wrong_code_keeps_the_popup_open_with_the_tries_left_and_the_field_selected(
    popup: Page, post: Post, watch: Watch
) -> None:
    watch.means(422)
    for left in (4, 3):
        popup.get_by_test_id("code").press_sequentially(wrong(post))  # over what is selected
        expect(popup.get_by_test_id("code-error")).to_contain_text(f"Осталось попыток: {left}")
        assert is_modal(popup)
        expect(popup.get_by_test_id("code")).to_be_focused()
        assert popup.evaluate("String(getSelection())") == wrong(post)
    popup.get_by_test_id("code").press_sequentially(post.code())
    expect(popup.get_by_test_id("phone-status")).to_have_text(CONFIRMED)


@pytest.mark.parametrize("how", ["Escape", "close"])
def test_the_popup_closes_and_opens_again_without_another_code(
    popup: Page, post: Post, how: str
) -> None:
    if how == "Escape":
        popup.keyboard.press("Escape")
    else:
        popup.get_by_test_id("close").click()
    expect(popup.get_by_role("dialog")).to_have_count(0)
    expect(popup.get_by_test_id("confirm-phone")).to_be_focused()
    open_popup(popup)
    assert is_modal(popup)
    assert len(post.codes()) == 1


def test_the_keyboard_stays_in_the_popup(popup: Page) -> None:
    inside = (
        "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
    )
    for _ in range(8):
        popup.keyboard.press("Tab")
        assert popup.evaluate(inside)


def test_the_countdowns_run(popup: Page) -> None:
    expect(popup.get_by_test_id("send-again")).to_be_disabled()
    expect(popup.get_by_test_id("send-again")).to_have_text(
        re.compile(r"^Отправить ещё раз через 0:(30|2\d)$")
    )
    popup.clock.run_for(20_000)
    expect(popup.get_by_test_id("send-again")).to_have_text(
        re.compile(r"^Отправить ещё раз через 0:(10|0\d)$")
    )
    expect(popup.get_by_test_id("code-left")).to_contain_text(
        re.compile(r"Код действует ещё 9:(40|3\d)")
    )


def test_what_becomes_of_the_code_is_said(popup: Page, post: Post, time: Time) -> None:
    """To who does not see it: an open popup is the only thing that is heard."""
    sent, said = popup.locator("#code-sent"), popup.locator("#code-said")
    for region in (sent, said):
        expect(region).to_have_attribute("role", "status")
    expect(said).to_be_empty()
    post.deliver()
    popup.clock.run_for(3_000)
    expect(sent).to_contain_text("Отправили")
    popup.clock.fast_forward(285_000)
    popup.clock.run_for(12_000)
    expect(said).to_have_text("Код действует ещё 5:00")
    time.passes(minutes=10)
    popup.clock.fast_forward(300_000)
    expect(said).to_have_text("Код больше не действует")


def test_what_was_confirmed_is_said(popup: Page, post: Post) -> None:
    said = popup.locator("#said")
    expect(said).to_be_empty()
    popup.get_by_test_id("code").fill(post.code())
    expect(popup.get_by_role("dialog")).to_have_count(0)
    popup.clock.run_for(100)
    expect(said).to_have_text("Телефон подтверждён")


COUNT_ALERTS = """
window.alerts = 0;
const count = (node) => { alerts += node.role === "alert"; };
new MutationObserver((all) => all.forEach((each) => each.addedNodes.forEach(count)))
  .observe(document, { childList: true, subtree: true });
"""


def test_the_same_mistake_is_said_each_time(popup: Page, watch: Watch) -> None:
    watch.means(422)
    popup.evaluate(COUNT_ALERTS)
    for _press in range(2):
        popup.evaluate("alerts = 0")
        with popup.expect_response(lambda answer: answer.request.method == "POST"):
            popup.get_by_test_id("submit-code").click()
        expect(popup.locator(".htmx-request")).to_have_count(0)
        expect(popup.get_by_test_id("code-error")).to_contain_text("Введите шесть цифр")
        assert popup.evaluate("alerts")


def test_the_code_s_field_shows_its_focus_where_colours_are_forced(popup: Page) -> None:
    outline = "getComputedStyle(document.activeElement).outlineColor"
    assert popup.evaluate(outline) == "rgba(0, 0, 0, 0)"
    popup.emulate_media(forced_colors="active")
    assert popup.evaluate(outline) != "rgba(0, 0, 0, 0)"


def test_a_new_code_may_be_sent_after_the_wait(
    popup: Page, post: Post, time: Time, watch: Watch
) -> None:
    older = post.code()
    time.passes(seconds=30)
    popup.clock.run_for(30_000)
    expect(popup.get_by_test_id("send-again")).to_be_enabled()
    expect(popup.get_by_test_id("send-again")).to_have_text("Отправить ещё раз")
    popup.get_by_test_id("send-again").click()
    expect(popup.get_by_test_id("send-again")).to_be_disabled()
    expect(popup.get_by_test_id("send-again")).to_contain_text("через")
    expect(popup.get_by_test_id("code")).to_be_focused()
    assert len(post.codes()) == 2
    assert is_modal(popup)

    watch.means(422)
    popup.get_by_test_id("code").fill(older)
    expect(popup.get_by_test_id("code-error")).to_contain_text(re.compile(r"прежн.*\d\d:\d\d"))
    popup.get_by_test_id("code").fill(post.code())
    expect(popup.get_by_test_id("phone-status")).to_have_text(CONFIRMED)


def test_the_end_of_a_code_is_shown_by_itself(popup: Page, time: Time) -> None:
    time.passes(minutes=10)
    popup.clock.fast_forward(600_000)
    expect(popup.get_by_test_id("code-left")).to_have_text("Код больше не действует")
    assert is_modal(popup)
    expect(popup.get_by_test_id("send-again")).to_be_enabled()
    expect(popup.locator("main")).to_have_count(1)


def test_typed_digits_survive_news_from_the_server(popup: Page, post: Post) -> None:
    expect(popup.locator("#code-sent")).to_contain_text("Отправляем")
    popup.get_by_test_id("code").press_sequentially("123")
    post.deliver()
    popup.clock.run_for(3_000)
    expect(popup.locator("#code-sent")).to_contain_text("Отправили")
    expect(popup.get_by_test_id("code")).to_have_value("123")
    expect(popup.get_by_test_id("code")).to_be_focused()
    assert is_modal(popup)


RETURNS = "dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))"


@pytest.mark.parametrize("comes", ["in its turn", "because the window is shown again"])
def test_an_answer_outlives_a_look_that_was_asked_for_before(
    popup: Page, watch: Watch, comes: str
) -> None:
    watch.means(422)
    held: list[Route] = []

    def hold(route: Route) -> None:
        if route.request.method == "GET":
            held.append(route)
        else:
            route.continue_()

    popup.route(re.compile("/code"), hold)
    with popup.expect_request(re.compile("/code")):
        if comes == "in its turn":
            popup.clock.run_for(3_000)
        else:
            popup.evaluate(RETURNS)
    popup.get_by_test_id("code").press_sequentially("000000")
    error = popup.get_by_test_id("code-error")
    expect(error).to_contain_text("Неверный код")
    with popup.expect_response(lambda answer: answer.request.method == "GET"):
        held[0].continue_()
    popup.evaluate("() => new Promise(requestAnimationFrame)")
    expect(error).to_contain_text("Неверный код")
    assert is_modal(popup)


def type_ten_wrong_codes(popup: Page, post: Post, time: Time, watch: Watch) -> None:
    watch.means(422, 429)
    error = popup.get_by_test_id("code-error")
    for round in range(2):
        for number in range(5):
            expect(error).to_have_count(min(1, number))
            before = error.inner_text() if number else ""
            popup.get_by_test_id("code").fill(f"{wrong(post)[0]}0000{number}")
            expect(error).not_to_have_text(before)  # the answer to this one is in sight
        if not round:
            expect(error).to_contain_text("Попытки закончились")
            time.passes(seconds=30)
            popup.clock.run_for(30_000)
            popup.get_by_test_id("send-again").click()
            expect(error).to_have_count(0)
    expect(error).to_contain_text("Слишком много неверных кодов")


def test_ten_wrong_codes_pause_the_popup(popup: Page, post: Post, time: Time, watch: Watch) -> None:
    type_ten_wrong_codes(popup, post, time, watch)
    expect(popup.get_by_test_id("send-again")).to_contain_text(re.compile(r"через 1[45]:\d\d"))
    popup.get_by_test_id("close").click()
    popup.get_by_test_id("confirm-phone").click()
    expect(popup.get_by_test_id("code-error")).to_contain_text("Слишком много неверных кодов")
    assert is_modal(popup)
    popup.reload()
    expect(popup.get_by_test_id("confirm-phone")).to_be_visible()


OPERATING_SYSTEM = """
window.OTPCredential = class {};
navigator.credentials.get = ({ signal }) => new Promise((offer, refuse) => {
  signal.addEventListener("abort", () => refuse(signal.reason));
  window.smsComes = (code) => offer({ code });
  window.isAwaited = () => !signal.aborted;
});
"""  # stands in for a telephone's, which offers to a page the code of an SMS that names its site


def test_the_code_of_an_sms_fills_itself_in(opened: Page, post: Post) -> None:
    opened.add_init_script(OPERATING_SYSTEM)
    opened.reload()
    open_popup(opened)
    assert opened.evaluate("isAwaited()")
    opened.get_by_test_id("close").click()
    expect(opened.get_by_role("dialog")).to_have_count(0)
    assert not opened.evaluate("isAwaited()")
    open_popup(opened)
    opened.evaluate("code => smsComes(code)", post.code())
    expect(opened.get_by_test_id("phone-status")).to_have_text(CONFIRMED)


def test_the_code_after_a_pause_fills_itself_in_too(
    opened: Page, post: Post, time: Time, watch: Watch
) -> None:
    opened.add_init_script(OPERATING_SYSTEM)
    opened.clock.install()
    opened.reload()
    type_ten_wrong_codes(open_popup(opened), post, time, watch)
    time.passes(minutes=16)
    opened.clock.run_for(16 * 60_000)
    opened.get_by_test_id("send-again").click()
    expect(opened.get_by_test_id("code")).to_be_focused()
    opened.evaluate("code => smsComes(code)", post.code())
    expect(opened.get_by_test_id("phone-status")).to_have_text(CONFIRMED)


def test_a_double_click_sends_one_sms(opened: Page, post: Post) -> None:
    opened.get_by_test_id("confirm-phone").dblclick(force=True)
    expect(opened.get_by_test_id("code")).to_be_focused()
    assert len(post.codes()) == 1


def test_a_record_that_changed_meanwhile_is_shown_and_not_confirmed(
    popup: Page, post: Post, watch: Watch, keep: Callable[..., None]
) -> None:
    keep(phone="+79215550199", position="Начальник гаража")
    watch.means(409)
    popup.get_by_test_id("code").fill(post.code())
    expect(popup.get_by_role("heading", level=1)).to_have_text("Данные организации изменились")
    ended = popup.get_by_test_id("ended")
    expect(ended).to_contain_text("Начальник гаража")
    expect(ended).to_contain_text("+7 921 555-01-99")
    expect(popup.get_by_role("dialog")).to_have_count(0)
    assert popup.title().startswith("Данные организации изменились")


def test_an_sms_that_cannot_be_delivered_is_told(popup: Page, post: Post) -> None:
    def refuse(message: Outgoing) -> str:
        raise Trouble(Reason.REFUSED, permanent=True)

    post.sms.send = refuse  # type: ignore[method-assign]
    post.deliver()
    popup.clock.run_for(3_000)
    expect(popup.locator("#code-sent")).to_contain_text(re.compile("не доставлена|Не удалось"))
    assert LOMOVA.phone not in popup.locator("#code-sent").inner_text()
