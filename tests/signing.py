"""Signing in through a real browser, and the passkeys of the computer that it runs on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pyotp
from flask import current_app

from portal import clock
from portal.account import session
from tests.browser import Browser
from tests.people import PASSWORD, cookie_of, next_code
from tests.window import INSIDE

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from tests.conftest import Post
    from tests.people import Person

OPERATIONS = re.compile("/operations$")
LINK = re.compile(r"https?://[^/\s]+(/\S+)")


def press(page: Page | Locator, *names: str) -> None:
    for name in names:
        page.get_by_test_id(name).click()


def fill(page: Page, **words: str) -> None:
    for name, text in words.items():
        page.get_by_test_id(name).fill(text)


def enter_password(page: Page, person: Person) -> None:
    page.goto("/signin")
    fill(page, email=person.account.email, password=person.password)
    press(page, "enter")


def enter_code(page: Page, person: Person) -> None:
    """Type what the app shows now; its clock goes on first, for a code counts once."""
    next_code()
    fill(page, code=person.code)
    press(page, "enter")


def sign_in(page: Page, person: Person) -> None:
    """Password and app; waits until the person is in."""
    enter_password(page, person)
    enter_code(page, person)
    page.get_by_test_id("sign-out").wait_for()


def to_devices(page: Page) -> None:
    """On to «Мои устройства», from where operational users begin."""
    page.wait_for_url(OPERATIONS)
    page.locator('nav a[href="/devices"]').click()
    page.wait_for_url("**/devices")


def come_signed_in(page: Page, person: Person, site: str, address: str = INSIDE) -> None:
    """Have signed in elsewhere, which is quicker: the page's browser gets the cookie."""
    browser = person.come_in(Browser(current_app.test_client(), address))
    page.context.add_cookies([{"name": "session", "value": cookie_of(browser), "url": site}])


def wait_to_be_asked_again() -> None:
    """Let the minutes pass in which a second factor is enough for changes."""
    clock.shift(session.FRESH)


def choose_password(page: Page, post: Post, email: str) -> None:
    """Follow the link in the newest letter, and choose a password."""
    page.goto(link(post, email))
    fill(page, password=PASSWORD, again=PASSWORD)
    press(page, "choose")


def enrol_app(page: Page) -> None:
    """Add the authenticator app that the page offers."""
    secret = page.get_by_test_id("secret").inner_text()
    fill(page, code=pyotp.TOTP(secret.replace(" ", "")).at(clock.now()))
    press(page, "add-totp")


def type_code_back(page: Page) -> list[str]:
    """Say that the ten codes on the page are kept; returns them."""
    page.get_by_test_id("codes-kept").wait_for()  # it stands below the list
    codes = page.get_by_test_id("codes").locator("code").all_inner_texts()
    fill(page, code=codes[0])
    press(page, "codes-kept")
    return codes


def link(post: Post, email: str) -> str:
    """The path of the first link in the newest letter."""
    found = LINK.search(post.letters(email)[-1].text)
    assert found
    return found[1]


class Fingertip:
    """The passkeys of the computer that a page is open on, and the finger that unlocks them."""

    def __init__(self, page: Page, *, verified: bool = True) -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": verified,
            "automaticPresenceSimulation": True,
        }
        added = self._session.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        self._id = added["authenticatorId"]

    def is_refused(self) -> None:
        """From now on the computer does not recognise the finger."""
        self._say("setUserVerified", isUserVerified=False)

    def passkeys(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._say("getCredentials")["credentials"]
        return found

    def forget(self) -> None:
        """Another computer: none of the passkeys is there."""
        self._say("clearCredentials")

    def have(self, passkeys: list[dict[str, Any]]) -> None:
        """A computer to which passkeys were synced."""
        for each in passkeys:
            self._say("addCredential", credential=each)

    def _say(self, what: str, **details: Any) -> Any:
        return self._session.send(f"WebAuthn.{what}", {"authenticatorId": self._id} | details)
