"""The computer's number: how it is told, claimed and outlived, and the page that shows it."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from stdnum import damm

from portal import agents, clock, config, create_app, diagnostics
from portal.database import db
from portal.diagnostics import Claim, Diagnostics, Result
from tests.browser import Browser
from tests.people import enrol
from tests.test_agents import CHROME

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from tests.conftest import Time

ADDRESS = "10.20.4.17"
START = "Начать проверку"
AGAIN = "Проверить ещё раз"
numbers = (
    st.integers(0, 10**8 - 1)
    .map(lambda number: f"{number:08}")
    .map(lambda digits: digits + damm.calc_check_digit(digits))
)


def begin(cookie: str = "", address: object = ADDRESS, agent: str = CHROME) -> str:
    """Run the diagnostics; what the browser's cookie holds then."""
    with db.writing():
        cookie = diagnostics.begin(None, address, agent, cookie)
        db.commit()
    return cookie


def seen(cookie: str) -> Diagnostics:
    with db.reading():
        found = diagnostics.of_browser(cookie)
    assert found
    return found


def measure(found: Diagnostics, seconds: int) -> None:
    with db.writing():
        diagnostics.measure(found, seconds)
        db.commit()


@db.again
def claim(typed: str) -> Claim:
    with db.writing():
        claimed = diagnostics.claim(typed)
        db.commit()
    return claimed


# The number


def test_the_check_digit_is_damm_s() -> None:
    assert damm.calc_check_digit("572") == "4"
    assert damm.is_valid("5724")


@given(numbers)
def test_every_wrong_digit_is_caught(number: str) -> None:
    for place, right in enumerate(number):
        for digit in set("0123456789") - {right}:
            assert not damm.is_valid(number[:place] + digit + number[place + 1 :])


@given(numbers)
def test_every_two_neighbours_that_changed_places_are_caught(number: str) -> None:
    for place, (one, other) in enumerate(pairwise(number)):
        swapped = number[:place] + other + one + number[place + 2 :]
        assert one == other or not damm.is_valid(swapped)


def test_a_number_has_nine_digits_and_no_two_are_alike(app: Flask) -> None:
    made = [seen(begin(address=each)).number for each in range(200)]
    assert len(set(made)) == len(made)
    assert all(diagnostics.NUMBER.fullmatch(each) and damm.is_valid(each) for each in made)
    assert {each[0] for each in made} == set("0123456789")


def test_a_number_that_a_row_has_is_not_given_again(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter([57, 57, 58])
    monkeypatch.setattr("portal.diagnostics.secrets.randbelow", lambda _: next(drawn))
    first, second = seen(begin()), seen(begin())
    assert (first.number[:8], second.number[:8]) == ("00000057", "00000058")
    assert first.shown_number == f"000 000 57{first.number[8]}"


# Claiming


@pytest.mark.parametrize("gaps", ["", " ", "-", "\u00a0", "–", " - "])
def test_a_number_is_found_however_it_is_grouped(app: Flask, gaps: str) -> None:
    found = seen(begin())
    result, claimed = claim(f" {gaps.join(found.shown_number.split())} ")
    assert result is Result.FOUND
    assert claimed
    assert (claimed.id, claimed.address) == (found.id, ADDRESS)
    assert agents.describe(claimed.agent) == "Chrome 156, Windows"
    assert claimed.claimed_at


def test_what_is_no_number_is_mistyped(app: Flask) -> None:
    number = seen(begin()).number
    wrong = f"{number[:8]}{(int(number[8]) + 1) % 10}"
    arabic = number.translate({ord(str(digit)): 0x660 + digit for digit in range(10)})
    cases = ("", number[:8], number + "0", wrong, "номер", arabic, number + "\0", number + " " * 99)
    for typed in cases:
        assert claim(typed) == (Result.MISTYPED, None), typed
    assert claim(number).result is Result.FOUND


def test_a_number_that_nobody_has_is_unknown(app: Flask) -> None:
    number = seen(begin()).number
    other = f"{(int(number[:8]) + 1) % 10**8:08}"
    assert claim(other + damm.calc_check_digit(other)) == (Result.UNKNOWN, None)


def test_a_number_is_claimed_once(app: Flask) -> None:
    number = seen(begin()).number
    assert claim(number).result is Result.FOUND
    assert claim(number) == (Result.CLAIMED, None)


def test_of_twenty_claims_at_once_one_wins(app: Flask) -> None:
    number = seen(begin()).number
    with ThreadPoolExecutor(20) as pool:
        results = Counter(each.result for each in pool.map(claim, [number] * 20))
    assert results == {Result.FOUND: 1, Result.CLAIMED: 19}


def test_a_number_can_be_told_for_fifteen_minutes_and_proves_something_for_sixty(
    app: Flask, time: Time
) -> None:
    cookie, claimed = begin(), begin()
    time.passes(minutes=14, seconds=50)
    found = seen(cookie)
    assert found.is_claimable
    assert claim(seen(claimed).number).result is Result.FOUND
    time.passes(seconds=11)
    assert not seen(cookie).is_claimable
    assert claim(found.number) == (Result.OLD, None)
    assert claim(seen(claimed).number) == (Result.CLAIMED, None), "which says more than its age"
    time.passes(minutes=44, seconds=50)
    assert seen(claimed).is_evidence
    time.passes(seconds=11)
    assert not seen(claimed).is_evidence


def test_a_claimed_number_is_claimable_no_more(app: Flask) -> None:
    cookie = begin()
    claim(seen(cookie).number)
    assert not seen(cookie).is_claimable


# The browser


def test_a_browser_is_known_by_its_cookie_alone(app: Flask) -> None:
    cookie = begin()
    with db.reading():
        found = seen(cookie)
        assert diagnostics.is_browser_of(cookie, found.id)
        strange = ("", ".", "x", cookie[:-1], f"{cookie}.", f"{cookie}.x", cookie.swapcase())
        for other in (*strange, found.id, found.number, "я" * 22, f"{cookie}." * 5000):
            assert not diagnostics.is_browser_of(other, found.id), other[:100]
        assert diagnostics.of_browser(found.id) is None


def test_a_browser_that_runs_it_again_is_still_the_one_that_was_claimed(
    app: Flask, time: Time
) -> None:
    cookie = begin()
    first = seen(cookie)
    claim(first.number)
    for _ in range(20):
        time.passes(minutes=16)
        cookie = begin(cookie)
    assert seen(cookie).id != first.id
    with db.reading():
        assert diagnostics.is_browser_of(cookie, first.id)
    assert cookie.count(".") == 1, "what nobody can claim any more is forgotten"


def test_a_browser_that_runs_it_again_at_once_is_still_the_one_that_was_claimed(app: Flask) -> None:
    cookie = begin()
    first = seen(cookie)
    claim(first.number)
    for _ in range(12):
        cookie = begin(cookie)
    with db.reading():
        assert diagnostics.is_browser_of(cookie, first.id)
        assert diagnostics.is_browser_of(cookie, seen(cookie).id)


def test_a_number_made_a_minute_ago_may_still_be_told(app: Flask) -> None:
    cookie = begin()
    first = seen(cookie)
    cookie = begin(cookie)
    assert claim(first.number).result is Result.FOUND
    with db.reading():
        assert diagnostics.is_browser_of(cookie, first.id)


def test_a_cookie_does_not_grow_without_end(app: Flask) -> None:
    cookie = ""
    for _ in range(30):
        cookie = begin(cookie)
    assert len(cookie) < 200
    assert seen(cookie).is_claimable


def test_the_database_shows_neither_the_cookie_nor_the_browser(app: Flask) -> None:
    cookie = begin(agent="Mozilla/5.0 of Irina")
    with db.reading():
        raw = db.connection.exec_driver_sql("SELECT * FROM diagnostics").one()
    assert cookie not in map(str, raw)
    assert b"Irina" not in bytes(raw.agent)


def test_a_long_name_of_a_browser_is_cut(app: Flask) -> None:
    assert seen(begin(agent="x" * 5000)).agent == "x" * 400
    assert seen(begin(agent="")).agent == ""


def test_an_address_that_cannot_be_known_is_empty(app: Flask) -> None:
    assert seen(begin(address=None)).address == ""


# Scripts and the clock


@pytest.mark.parametrize(
    ("seconds", "kept"),
    [
        (0, 0),
        (-31, -31),
        (10**15, diagnostics.MOST_SECONDS),
        (-(10**15), -diagnostics.MOST_SECONDS),
    ],
)
def test_scripts_tell_the_clock(app: Flask, seconds: int, kept: int) -> None:
    cookie = begin()
    assert (seen(cookie).scripts, seen(cookie).clock_seconds) == (False, None)
    measure(seen(cookie), seconds)
    assert (seen(cookie).scripts, seen(cookie).clock_seconds) == (True, kept)


def test_what_was_measured_stays(app: Flask) -> None:
    cookie = begin()
    measure(seen(cookie), 40)
    measure(seen(cookie), 0)
    assert seen(cookie).clock_seconds == 40


def test_what_was_claimed_or_is_too_old_to_be_is_measured_no_more(app: Flask, time: Time) -> None:
    claimed, old = begin(), begin()
    claim(seen(claimed).number)
    measure(seen(claimed), 0)
    time.passes(minutes=15)
    measure(seen(old), 0)
    assert not seen(claimed).scripts
    assert not seen(old).scripts


# The page, without scripts


def shown_number(browser: Browser) -> str:
    return browser.named("number").replace(" ", "")


def run(browser: Browser) -> Browser:
    browser.headers = {"User-Agent": CHROME}
    return browser.open("/diagnostics").press(START)


def send_time(browser: Browser, time: str, **headers: str) -> Browser:
    """What the page's script sends."""
    form = next(form for form in browser.page.forms if form.id == "measure")
    data = form.fields | {"time": time}
    return browser._see(
        browser.ask("post", form.action, data=data, headers=browser.headers | headers)
    )


def milliseconds(ahead: float = 0) -> str:
    return str(int((clock.now().timestamp() + ahead) * 1000))


def test_the_person_gets_a_number_and_the_specialist_finds_it(browser: Browser) -> None:
    run(browser)
    assert (browser.status, browser.path) == (200, "/diagnostics/result")
    number = browser.named("number")
    assert number == f"{number[:3]} {number[4:7]} {number[8:]}"
    assert "до " in browser
    assert browser.named("number-left") in {"15:00", "14:59"}
    assert browser.open("/diagnostics/result").named("number") == number
    found = claim(number).diagnostics
    assert found
    assert (found.address, found.account_id, found.agent) == (browser.address, None, CHROME)
    browser.open("/diagnostics/result")
    assert "Номер принят" in browser.named("number-claimed")
    assert not browser.has("number")


def test_the_page_says_what_it_sees(browser: Browser) -> None:
    run(browser)
    assert browser.named("seen-address") == browser.address
    assert browser.named("check-address") == "защищённый канал"
    assert browser.named("seen-browser") == "Chrome 156, Windows"
    assert browser.named("check-cookies") == "включены"
    assert not any(browser.has(f"advice-{name}") for name in ("address", "browser", "cookies"))


def test_without_scripts_the_page_says_so(browser: Browser) -> None:
    run(browser)
    assert browser.named("check-scripts") == "выключены"
    assert "JavaScript" in browser.named("advice-scripts")
    assert browser.named("check-clock") == "не проверены"


def test_from_outside_the_channel_the_page_says_what_to_do(
    new_browser: Callable[..., Browser],
) -> None:
    browser = run(new_browser("203.0.113.9"))
    assert browser.status == 200
    assert browser.named("seen-address") == "203.0.113.9"
    assert browser.named("check-address") == "вне защищённого канала"
    assert "С-Терра Клиент" in browser.named("advice-address")
    assert browser.has("number")


@pytest.mark.parametrize(
    ("address", "verdict", "advice"),
    [
        ("10.20.4.17", "вход закрыт", "Подключитесь к сети"),
        ("10.30.0.5", "вход разрешён", ""),
        ("10.40.0.5", "вне защищённого канала", "С-Терра Клиент"),
    ],
)
def test_staff_have_networks_of_their_own(
    environment: dict[str, str], app: Flask, address: str, verdict: str, advice: str
) -> None:
    app = create_app(config.load(environment | {"PORTAL_STAFF_NETWORKS": "10.30.0.0/16"}))
    browser = run(Browser(app.test_client(), address))
    assert browser.named("check-address") == verdict
    assert browser.has("advice-address") == bool(advice)
    assert not advice or advice in browser.named("advice-address")


def test_an_unknown_browser_is_told_which_to_take(browser: Browser) -> None:
    browser.headers = {"User-Agent": "portal"}
    browser.open("/diagnostics").press(START)
    assert browser.named("check-browser") == "неизвестный браузер"
    assert "Firefox" in browser.named("advice-browser")


@pytest.mark.parametrize(
    ("ahead", "words", "verdict"),
    [
        (0, "совпадают", "верны"),
        (29, "расходятся с часами портала на 2", "верны"),
        (-29, "расходятся с часами портала на ", "верны"),
        (90, "спешат на ", "неверны"),
        (-90, "отстают на ", "неверны"),
        (330, "спешат на 5 мин", "неверны"),
        (-10_900, "отстают на 3 ч", "неверны"),
        (3 * 86_410, "спешат на 3 дн.", "неверны"),
        (-50 * 365 * 86_400, "отстают на 3650 дн.", "неверны"),
    ],
)
def test_the_clock_is_compared_with_ours(
    browser: Browser, ahead: int, words: str, verdict: str
) -> None:
    send_time(run(browser), milliseconds(ahead))
    assert browser.path == "/diagnostics/result"
    assert browser.named("seen-clock").startswith(words)
    assert browser.named("check-clock") == verdict
    assert browser.has("advice-clock") == (verdict == "неверны")
    assert browser.named("check-scripts") == "включены"
    assert not any(form.id == "measure" for form in browser.page.forms)


def test_htmx_gets_the_checks_alone(browser: Browser) -> None:
    run(browser)
    form = next(form for form in browser.page.forms if form.id == "measure")
    answer = browser.ask(
        "post",
        form.action,
        data=form.fields | {"time": milliseconds()},
        headers={"HX-Request": "true", "HX-Target": "section#checks"},
    )
    assert answer.status_code == 200
    assert answer.text.lstrip().startswith('<section class="sheet" id="checks"')
    assert "верны" in answer.text


@pytest.mark.parametrize("time", ["", "сейчас", "1e9", "1.5", "+1", "9" * 17, "٣", "1\n", "NaN"])
def test_rubbish_is_no_time(browser: Browser, time: str) -> None:
    send_time(run(browser), time)
    assert browser.status == 422
    assert browser.named("check-scripts") == "выключены"
    assert browser.has("number")


def test_a_time_from_a_browser_that_ran_nothing_changes_nothing(browser: Browser) -> None:
    run(browser)
    browser.client.delete_cookie("diagnostics")
    send_time(browser, milliseconds())
    assert browser.status == 410
    assert not browser.has("number")


def test_after_fifteen_minutes_the_page_asks_to_run_it_again(browser: Browser, time: Time) -> None:
    older = shown_number(run(browser))
    time.passes(minutes=15)
    browser.open("/diagnostics/result")
    assert not browser.has("number")
    assert "больше не действует" in browser.named("number-old")
    assert browser.named("seen-address") == browser.address
    assert shown_number(browser.press(AGAIN)) != older


def test_a_page_that_was_never_run_offers_to_begin(browser: Browser) -> None:
    browser.open("/diagnostics").open("/diagnostics/result")
    assert browser.status == 200
    assert "ещё не было" in browser.named("notice")
    assert not browser.has("number")
    assert browser.press(START).has("number")


def test_without_cookies_the_page_says_what_to_do(browser: Browser) -> None:
    browser.open("/diagnostics")
    browser.client.delete_cookie("session")
    browser.press(START)
    assert browser.status == 422
    assert "Разрешите cookie" in browser.named("notice")
    assert browser.named("check-cookies") == "не сохраняются"
    assert browser.named("advice-cookies")
    assert browser.named("seen-address") == browser.address
    assert rows() == 0


def test_a_form_of_another_session_is_shown_again(browser: Browser) -> None:
    browser.open("/diagnostics")
    form = browser.page.form_of(START)
    form.fields["csrf_token"] = "forged"
    browser.press(START)
    assert browser.status == 422
    assert "устарела" in browser.named("notice")
    assert rows() == 0
    assert browser.press(START).has("number")


def rows() -> int:
    with db.reading():
        return len(db.all(select(diagnostics.diagnostics.c.id)))


def cookie_of(browser: Browser) -> str:
    """The line that sets the cookie, of the first answer to the button."""
    form = browser.page.form_of(START)
    answer = browser.ask("post", form.action, data=form.fields, follow_redirects=False)
    lines = answer.headers.getlist("Set-Cookie")
    return next(line for line in lines if "diagnostics=" in line)


def test_the_cookie_is_for_the_server_alone(browser: Browser) -> None:
    line = cookie_of(browser.open("/diagnostics"))
    assert line.startswith("diagnostics=")
    assert "Max-Age=691200" in line, "as long as a case may be open: 3 + 3 + 1 + 1 days"
    for part in ("HttpOnly", "SameSite=Lax", "Path=/"):
        assert part in line.split("; ")
    assert "Domain" not in line


def test_over_https_the_cookie_is_bound_to_the_host(
    environment: dict[str, str], app: Flask
) -> None:
    secure = {
        "PORTAL_BASE_URL": "https://portal.example.ru",
        "PORTAL_MAIL_URL": "smtps://mail.example.ru",
        "PORTAL_SMS_URL": "https://sms.example.ru",
    }
    app = create_app(config.load(environment | secure))
    client = app.test_client()
    root = {"base_url": "https://portal.example.ru"}
    page = client.get("/diagnostics", **root)
    token = page.text.partition('name="csrf_token" value="')[2].partition('"')[0]
    headers = {"Referer": "https://portal.example.ru/diagnostics"}
    answer = client.post("/diagnostics", data={"csrf_token": token}, headers=headers, **root)
    line = next(each for each in answer.headers.getlist("Set-Cookie") if "diagnostics=" in each)
    assert line.startswith("__Host-diagnostics=")
    assert {"Secure", "HttpOnly", "Path=/"} <= set(line.split("; "))
    assert 'data-testid="number"' in client.get("/diagnostics/result", **root).text


def test_one_address_gets_twenty_numbers_in_ten_minutes(
    browser: Browser, new_browser: Callable[..., Browser], time: Time
) -> None:
    for _ in range(20):
        run(browser)
    run(browser)
    assert browser.status == 429
    assert "через 10:00" in browser.named("advice") or "через 9:5" in browser.named("advice")
    assert 590 <= int(browser.response.headers["Retry-After"]) <= 600
    assert rows() == 20
    assert run(new_browser("10.20.4.18")).has("number")
    time.passes(minutes=10)
    assert run(browser).has("number")


def test_whose_password_was_typed_is_noted(keep: Callable[..., None], browser: Browser) -> None:
    keep()
    person = enrol("p.petrov@sever-trakt.example")
    person.enter_password(browser)
    found = claim(shown_number(run(browser))).diagnostics
    assert found
    assert found.account_id == person.account.id
