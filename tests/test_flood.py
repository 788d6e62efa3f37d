"""Too much from one address, an empty answer, and samples where they do not belong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from portal import cli, limits
from portal.account import links, sign_in
from portal.account.tables import account_links
from portal.database import db
from tests.people import PASSWORD, enrol, to_factor

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask import Flask

    from tests.browser import Browser
    from tests.conftest import Time

EMAIL = "p.petrov@sever-trakt.example"
ADDRESS = "10.20.4.17"


@pytest.fixture
def petrov(keep: Callable[..., None]) -> None:
    keep()
    enrol(EMAIL)


def use_up(name: str, times: int) -> None:
    with db.writing():
        limits.use(*[name] * times)
        db.commit()


def test_sign_ins_from_one_address_are_paused_and_others_are_not(petrov: None, time: Time) -> None:
    use_up(f"passwords from {ADDRESS}", 100)
    with db.writing():
        here = sign_in.enter(EMAIL, PASSWORD, ADDRESS, "")
        there = sign_in.enter(EMAIL, PASSWORD, "10.20.4.18", "")
    assert here.paused_until
    assert here.token is None
    assert there.token
    time.passes(minutes=10)
    with db.writing():
        assert sign_in.enter(EMAIL, PASSWORD, ADDRESS, "").token


def test_new_passwords_asked_for_from_one_address_leave_no_rows_without_end(petrov: None) -> None:
    use_up(f"password resets from {ADDRESS}", 30)
    with db.writing():
        links.request_reset("nobody@example.ru", ADDRESS)
        assert not db.all(account_links.select())
        links.request_reset("nobody@example.ru", "10.20.4.18")
        assert len(db.all(account_links.select())) == 1


def test_an_empty_code_costs_no_try(petrov: None, browser: Browser) -> None:
    browser.open("/signin").press("Войти", email=EMAIL, password=PASSWORD)
    for page in ("/signin/factor", "/signin/code"):
        to_factor(browser).open(page).press("Войти", code=" ")
        assert (browser.status, browser.named("error")) == (422, "Введите код.")
    browser.press("Войти", code="000000")
    assert "Осталось попыток: 4." in browser.named("error")


def test_a_replacement_is_shown_for_five_minutes(
    keep: Callable[..., None], browser: Browser, time: Time
) -> None:
    """It is a working second factor: a stolen session must not read it later."""
    keep()
    person = enrol(EMAIL, codes=True)
    shown = person.sign_in_by_code(browser, person.codes[2]).named("replacement")
    time.passes(minutes=5, seconds=1)
    browser.open("/devices/codes/replacement")
    assert browser.path == "/check"
    assert shown not in browser.response.text


def test_samples_are_for_a_portal_whose_letters_stay_in_the_house(
    app: Flask, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outward = environment | {
        "PORTAL_MAIL_URL": "smtp://127.0.0.1:2525",
        "PORTAL_SMS_URL": "http://127.0.0.1:2526",
    }
    result = CliRunner().invoke(cli.portal, ["run", "--demo"], env=outward)
    assert result.exit_code == 2
    assert "/inbox" in result.output
    with db.reading():
        assert not db.all(account_links.select()), "nobody was made"
