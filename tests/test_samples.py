"""What `portal run --demo` begins with: somebody of each role, and a recovery in each state."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from portal import (
    account,
    embedded,
    organisation,
    recovery,
    sample_organisations,
    sample_people,
    verification,
)
from portal.account import Role
from portal.database import db
from portal.organisation import Status
from portal.recovery import Standing
from tests.people import next_code

if TYPE_CHECKING:
    from flask import Flask

    from tests.browser import Browser
    from tests.conftest import Post, Time


@pytest.fixture
def seeded(app: Flask) -> None:
    with app.test_request_context():
        assert embedded.seed()


def test_a_later_start_begins_with_a_link_that_works(
    seeded: None, app: Flask, browser: Browser, time: Time
) -> None:
    for _start in range(2):
        with app.test_request_context():
            assert browser.open(urlsplit(embedded.seed()).path).status == 200
        time.passes(days=8)


def test_who_can_sign_in_is_said_with_or_without_a_link(
    seeded: None, app: Flask, browser: Browser, post: Post, capsys: pytest.CaptureFixture[str]
) -> None:
    with app.test_request_context():
        browser.open(urlsplit(embedded.seed()).path).press("Подтвердить номер телефона")
        browser.press("Подтвердить", code=post.code()).press("Подтвердить email")
        browser.open(post.link()).press("Подтвердить адрес")
        embedded.announce(embedded.seed())
    said = capsys.readouterr().out
    assert "Начните" not in said, "its contacts are confirmed"
    assert "открывают ссылки из писем" in said
    assert sample_people.PASSWORD in said
    embedded.announce(None)
    assert sample_people.PASSWORD not in capsys.readouterr().out


def test_there_is_somebody_of_each_role_and_a_recovery_in_each_state(seeded: None) -> None:
    assert {role for _email, role, *_ in sample_people.PEOPLE} == set(Role)
    with db.reading():
        standings = {each.standing for each in recovery.list_cases(most=50).cases}
        assert all(account.find_by_email(f"{state}@example.ru") for state in sample_people.LOST)
    assert standings == set(Standing)


def test_there_is_an_organisation_in_each_status(seeded: None) -> None:
    ids = (
        sample_organisations.FIRST,
        sample_organisations.SUBMITTED,
        sample_organisations.VERIFIED,
        sample_organisations.EDITING,
        sample_organisations.RESUBMITTED,
    )
    with db.reading():
        found = [organisation.find(id) for id in ids]
        returned = verification.last_one(sample_organisations.RETURNED)
    assert [each.status for each in found if each] == list(Status)
    assert returned
    assert returned.remarks == sample_organisations.REMARKS


def test_everybody_gets_in_with_what_is_printed(seeded: None, browser: Browser) -> None:
    import pyotp

    from portal import clock

    for email, *_ in sample_people.PEOPLE:
        next_code()
        browser.open("/signin").press("Войти", email=email, password=sample_people.PASSWORD)
        code = pyotp.TOTP(sample_people.SECRET).at(clock.now())
        browser.press("Войти", code=code)
        assert browser.has("sign-out"), email
        browser.press("Выйти")
