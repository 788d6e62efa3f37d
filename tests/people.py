"""People with accounts: how they come into being, and how they sign in."""

from __future__ import annotations

import re
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyotp
from itsdangerous import URLSafeSerializer
from sqlalchemy import bindparam

from portal import account, clock, device
from portal.account import Account, Role, password, session
from portal.account.session import Stage
from portal.account.tables import accounts
from portal.database import db
from tests import passwords  # noqa: F401 - before the first is made

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser import Browser

PASSWORD = "семь рыжих тракторов едут"
HASH = password.hash(PASSWORD)
_HAS_PASSWORD = accounts.update().where(accounts.c.id == bindparam("of")).values(password=HASH)
STEP_SECONDS = 30
AGENT = "Werkzeug"
NO_BACKUP_CODE = "0000-0000-0000-0000"
END_ALL = "Выйти везде, кроме этого браузера"
BACKUP_CODE = re.compile("[0-9A-Z]{4}(?:-[0-9A-Z]{4}){3}")


@dataclass
class Person:
    """Somebody who has an account, a password, an app and backup codes."""

    account: Account
    secret: str
    codes: list[str] = field(default_factory=list)
    password: str = PASSWORD

    @property
    def code(self) -> str:
        """What the app shows now."""
        return pyotp.TOTP(self.secret).at(clock.now())

    @property
    def wrong(self) -> str:
        """What the app shows at no step that counts."""
        app = pyotp.TOTP(self.secret)
        near = {app.at(clock.now(), counter_offset=step) for step in range(-2, 3)}
        return next(code for code in (f"{digit}" * 6 for digit in range(10)) if code not in near)

    def enter_password(self, browser: Browser) -> Browser:
        browser.open("/signin")
        return browser.press("Войти", email=self.account.email, password=self.password)

    def sign_in(self, browser: Browser) -> Browser:
        """Password and app; the clock goes on first, for a code counts once."""
        next_code()
        to_factor(self.enter_password(browser))
        return browser.press("Войти", code=self.code)

    def come_in(self, browser: Browser) -> Browser:
        """Be signed in by password and app, for tests of what comes after: no page is asked.

        A fourth of the time of such a test, if it walks through the pages first.
        """
        next_code()
        with db.writing():
            half = session.find(session.begin(self.account, Stage.PASSWORD, browser.address, ""))
            assert half
            token = session.renew(half, "totp", browser.address, AGENT)
            db.commit()
        Context().run(_keep, browser, token)
        return browser

    def sign_in_by_code(self, browser: Browser, code: str) -> Browser:
        """Password and backup code."""
        to_factor(self.enter_password(browser)).follow("Войти по резервному коду")
        return browser.press("Войти", code=code)

    def step_up(self, browser: Browser) -> Browser:
        """Give the second factor anew, on the page that asks for it."""
        next_code()
        return browser.press("Подтвердить", code=self.code)


def _keep(browser: Browser, token: str) -> None:
    """Put the token of a session into a browser's cookie, as Flask-Login does."""
    with browser.client.session_transaction() as cookie:
        cookie.clear()
        cookie.update(_user_id=token, _fresh=True)


def to_factor(browser: Browser) -> Browser:
    """On from the recovery: who waited for its code is shown the field for that first."""
    return browser.follow("Устройство или код нашлись") if browser.path == "/recovery" else browser


def next_code() -> None:
    """Let the app show another code."""
    from datetime import timedelta

    clock.shift(timedelta(seconds=STEP_SECONDS))


def enrol(
    email: str,
    role: Role = Role.OPERATOR,
    organisation_id: str | None = "ORG-004217",
    *,
    name: str = "Петров Пётр Петрович",
    phone: str = "",
    codes: bool = False,
) -> Person:
    """Somebody who came by an invitation long ago; Argon2 is spared for their password."""
    where = None if role is Role.SPECIALIST else organisation_id
    with db.writing():
        made = account.create(email, role, where, name, phone, "tests")
        db.execute(_HAS_PASSWORD, {"of": made.id})
        secret = device.new_secret()
        assert device.add_totp(made, secret, pyotp.TOTP(secret).at(clock.now()), "", "10.20.4.17")
        person = Person(account.find(made.id) or made, secret)
        if codes:
            made_codes = device.make_codes(made)
            person.codes = made_codes.codes
            assert device.prove_codes(made, made_codes.set_id, person.codes[0], "10.20.4.17")
        db.commit()
    return person


def invite(
    email: str,
    role: Role = Role.OPERATOR,
    organisation_id: str | None = "ORG-004217",
    *,
    name: str = "Петров Пётр Петрович",
    phone: str = "",
) -> Account:
    """Somebody who has an invitation in the post, and no password yet."""
    where = None if role is Role.SPECIALIST else organisation_id
    act(account.invite, email, role, where, name, phone, "tests")
    with db.reading():
        found = account.find_by_email(email)
    assert found
    return found


@db.again
def act(verb: Callable[..., Any], *arguments: object) -> Any:
    """One step in a transaction of its own, as a command of the portal takes it."""
    with db.writing():
        outcome = verb(*arguments)
        db.commit()
    return outcome


def enrol_in(browser: Browser, link: str, chosen: str = PASSWORD) -> tuple[str, list[str]]:
    """The way of an invited person to the end; returns the app's secret and the codes."""
    browser.open(link).press("Продолжить", password=chosen, again=chosen)
    secret = secret_on(browser)
    browser.press("Добавить приложение", code=pyotp.TOTP(secret).at(clock.now()))
    codes = codes_on(browser)
    browser.press("Коды сохранены", code=codes[0])
    return secret, codes


def secret_on(browser: Browser) -> str:
    """The secret for an app that a page shows beside its picture."""
    return browser.named("secret").replace(" ", "")


def codes_on(browser: Browser) -> list[str]:
    """The backup codes that a page shows."""
    return BACKUP_CODE.findall(browser.named("codes"))


def cookie_of(browser: Browser) -> str:
    """What a thief takes away, at that moment."""
    found = browser.client.get_cookie("session")
    assert found, "the browser has a cookie"
    return found.value


def plant(browser: Browser, cookie: str) -> Browser:
    """Put a cookie that was taken from elsewhere into a browser."""
    browser.client.set_cookie("session", cookie)
    return browser


def token_of(cookie: str) -> str:
    """The session's token in a cookie, which whoever has the cookie can read."""
    return str(payload_of(cookie)["_user_id"])


def payload_of(cookie: str) -> dict[str, Any]:
    """All that a cookie says, to whoever has it: it is signed, not encrypted."""
    found: dict[str, Any] = URLSafeSerializer("nobody's key").loads_unsafe(cookie)[1]
    return found


def is_in(browser: Browser) -> bool:
    """Whether the browser's own session opens the page that everybody has."""
    browser.open("/devices")
    return browser.status == 200 and browser.path == "/devices"


def tries_left(browser: Browser) -> int | None:
    """How many tries a page says are left; None if it says nothing of tries."""
    found = re.search(r"Осталось попыток: (\d+)\.", browser.text)
    return int(found[1]) if found else None
