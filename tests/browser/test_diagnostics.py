"""«Диагностика компьютера» in a real browser: its scripts tell the clock, its cookie is kept."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from playwright.sync_api import expect

from portal import diagnostics
from portal.database import db
from portal.diagnostics import Result
from tests.window import NARROW, OUTSIDE, WIDE, scrolls_sideways, violations

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.conftest import Time
    from tests.window import Watch

LIGHTS: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SIZES = {"wide": WIDE, "narrow": NARROW}
NUMBER = re.compile(r"\d{3} \d{3} \d{3}")


def run(page: Page) -> Page:
    page.goto("/diagnostics")
    page.get_by_test_id("start-diagnostics").click()
    expect(page).to_have_url(re.compile("/diagnostics/result$"))
    page.wait_for_load_state("load")  # else a short test ends while a font is on its way
    return page


def measured(page: Page) -> Page:
    """The page after its scripts told what time it is."""
    expect(run(page).get_by_test_id("check-scripts")).to_have_text("включены")
    return page


def claim(page: Page) -> Result:
    with db.writing():
        claimed = diagnostics.claim(page.get_by_test_id("number").inner_text())
        db.commit()
    return claimed.result


def test_scripts_tell_the_clock(window: Page) -> None:
    measured(window)
    expect(window.get_by_test_id("number")).to_have_text(NUMBER)
    expect(window.get_by_test_id("check-clock")).to_have_text("верны")
    expect(window.get_by_test_id("advice-clock")).to_have_count(0)
    expect(window.get_by_test_id("seen-browser")).to_contain_text("Chrome")
    expect(window.locator("#measure")).to_have_count(0)


def test_a_clock_that_is_wrong_is_told_with_what_to_do(window: Page, time: Time) -> None:
    time.passes(minutes=7)
    measured(window)
    expect(window.get_by_test_id("check-clock")).to_have_text("неверны")
    expect(window.get_by_test_id("seen-clock")).to_contain_text(re.compile("отстают на [67].мин"))
    expect(window.get_by_test_id("advice-clock")).to_contain_text("установку времени")


def test_the_time_is_told_once(window: Page, time: Time) -> None:
    told: list[str] = []
    window.on("request", lambda request: told.append(request.method))
    measured(window)
    assert told.count("POST") == 2, "the button and the clock"
    window.reload()
    expect(window.get_by_test_id("check-clock")).to_have_text("верны")
    assert told.count("POST") == 2


def test_the_number_is_whole_on_a_narrow_window_with_spread_letters(window: Page) -> None:
    measured(window)
    window.set_viewport_size({"width": 320, "height": 640})
    number = window.get_by_test_id("number")
    number.evaluate(
        "each => { each.style.letterSpacing = '.12em'; each.style.wordSpacing = '.16em' }"
    )
    assert number.evaluate("each => each.scrollWidth <= each.clientWidth")


def test_a_number_that_a_specialist_claimed_says_so(window: Page) -> None:
    assert claim(measured(window)) is Result.FOUND
    window.reload()
    expect(window.get_by_test_id("number-claimed")).to_be_visible()
    expect(window.get_by_test_id("number")).to_have_count(0)


def test_after_fifteen_minutes_the_number_goes_by_itself(window: Page, time: Time) -> None:
    window.clock.install()
    measured(window)
    window.clock.run_for(60_000)
    expect(window.get_by_test_id("number-left")).to_have_text(re.compile("^1[34]:"))
    time.passes(minutes=15)
    window.clock.fast_forward(15 * 60_000)
    expect(window.get_by_test_id("number-old")).to_be_visible()
    expect(window.get_by_test_id("number")).to_have_count(0)


def test_another_browser_has_another_number(window: Page, new_window: Callable[..., Page]) -> None:
    number = measured(window).get_by_test_id("number").inner_text()
    tab = window.context.new_page()
    tab.goto("/diagnostics/result")
    expect(tab.get_by_test_id("number")).to_have_text(number)
    expect(measured(new_window()).get_by_test_id("number")).not_to_have_text(number)


def test_without_scripts_all_but_the_clock_is_told(new_window: Callable[..., Page]) -> None:
    page = run(new_window(scripts=False))
    expect(page.get_by_test_id("number")).to_have_text(NUMBER)
    expect(page.get_by_test_id("check-scripts")).to_have_text("выключены")
    expect(page.get_by_test_id("check-clock")).to_have_text("не проверены")
    assert claim(page) is Result.FOUND


def test_where_htmx_did_not_come_the_page_stands_still(window: Page) -> None:
    window.route("**/htmx*.js?*", lambda route: route.fulfill(body=""))
    run(window)
    expect(window.get_by_test_id("number")).to_have_text(NUMBER)
    expect(window.get_by_test_id("check-scripts")).to_have_text("выключены")


def test_a_browser_that_refuses_cookies_is_told(window: Page, watch: Watch) -> None:
    watch.means(422)
    window.goto("/diagnostics")
    window.context.clear_cookies()
    window.get_by_test_id("start-diagnostics").click()
    expect(window.get_by_test_id("check-cookies")).to_have_text("не сохраняются")
    expect(window.get_by_test_id("advice-cookies")).to_be_visible()


# How it looks


def beginning(window: Page, time: Time, watch: Watch) -> None:
    window.goto("/diagnostics")


def result(window: Page, time: Time, watch: Watch) -> None:
    measured(window)


def wrong(window: Page, time: Time, watch: Watch) -> None:
    """Everything that can be wrong at once."""
    time.passes(hours=3)
    window.context.set_extra_http_headers({"X-Forwarded-For": OUTSIDE, "User-Agent": "unknown"})
    measured(window)


def claimed(window: Page, time: Time, watch: Watch) -> None:
    claim(measured(window))
    window.reload()


def old(window: Page, time: Time, watch: Watch) -> None:
    measured(window)
    time.passes(minutes=16)
    window.reload()


def without_cookies(window: Page, time: Time, watch: Watch) -> None:
    test_a_browser_that_refuses_cookies_is_told(window, watch)


SCENES: dict[str, tuple[Callable[[Page, Time, Watch], None], tuple[str, ...]]] = {
    "diagnostics": (beginning, ("start-diagnostics", "support-phone")),
    "diagnostics-result": (result, ("number", "check-clock", "start-diagnostics")),
    "diagnostics-wrong": (wrong, ("number", "check-address", "advice-clock", "start-diagnostics")),
    "diagnostics-claimed": (claimed, ("number-claimed", "check-clock")),
    "diagnostics-old": (old, ("number-old", "start-diagnostics")),
    "diagnostics-without-cookies": (without_cookies, ("notice", "check-cookies")),
}


@pytest.mark.parametrize("name", SCENES)
def test_the_page_reads_well_in_both_lights_and_needs_no_scrolling(
    window: Page, time: Time, watch: Watch, name: str, pytestconfig: pytest.Config
) -> None:
    make, needed = SCENES[name]
    make(window, time, watch)
    folder = pytestconfig.getoption("--screenshots")
    for each in needed:
        expect(window.get_by_test_id(each).first).to_be_in_viewport(ratio=1)
    for size, (width, height) in SIZES.items():
        window.set_viewport_size({"width": width, "height": height})
        assert not scrolls_sideways(window), size
        for light in LIGHTS:
            window.emulate_media(color_scheme=light)
            if folder:
                file = Path(folder, f"{name}-{light}-{size}.png")
                window.screenshot(path=file, full_page=True, animations="disabled", caret="hide")
            assert not violations(window), f"{size}, {light}"


def test_without_scripts_it_reads_well_too(
    new_window: Callable[..., Page], pytestconfig: pytest.Config
) -> None:
    page = run(new_window(scripts=False))
    folder = pytestconfig.getoption("--screenshots")
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        assert not scrolls_sideways(page), size
        if folder:
            file = Path(folder, f"diagnostics-without-scripts-light-{size}.png")
            page.screenshot(path=file, full_page=True)
