"""What is secret is readable nowhere: in files, logs, cookies, others' pages and letters."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyotp
import pytest
import structlog

from portal import account, clock, logs
from portal.account import Role
from portal.database import db
from tests.lost_device import CHROME, Loss, Witness, code_in
from tests.people import (
    BACKUP_CODE,
    Person,
    codes_on,
    cookie_of,
    enrol,
    invite,
    payload_of,
    secret_on,
    token_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from tests.browser import Browser
    from tests.conftest import Post

    NewBrowser = Callable[..., Browser]

NAME, EMAIL, PHONE = "Зимина Зоя Захаровна", "z.zimina@rechnoy.example", "+79215550777"
FIRST, SECOND = "лиловый трамвай везёт арбузы", "ёжик пересчитал все кирпичи"
ANSWER = "Снегирёва Зоя Захаровна"  # that nobody asked for is kept as well
THEIRS = {"_fresh", "_id", "_user_id", "csrf_token"}  # what a cookie may name


@dataclass
class Story:
    """What somebody typed, was shown and was sent; and all who saw something of it."""

    post: Post
    app_secrets: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)
    computers: list[str] = field(default_factory=list)
    grant: str = ""
    others: dict[str, Witness] = field(default_factory=dict)

    @property
    def secrets(self) -> list[str]:
        """What opens something, or did."""
        opening = [FIRST, SECOND, self.grant, *self.app_secrets, *self.codes, *self.links]
        return list(dict.fromkeys([*opening, *self.tokens, *self.computers]))

    @property
    def personal(self) -> list[str]:
        return [NAME, "Зимина", EMAIL, PHONE, PHONE.removeprefix("+7"), ANSWER, CHROME]

    def note(self, browser: Browser) -> None:
        """The cookie of the moment, and the session's token in it."""
        self.cookies.append(cookie_of(browser))
        if "_user_id" in payload_of(self.cookies[-1]):
            self.tokens.append(token_of(self.cookies[-1]))


@pytest.fixture
def story(new_browser: NewBrowser, post: Post, keep: Callable[..., None]) -> Story:
    """Somebody comes by invitation, forgets the password, spends codes, and loses everything."""
    keep("ORG-3")
    keep()
    told = Story(post)
    browser = new_browser()
    browser.headers = {"User-Agent": CHROME}
    owner = come(told, browser)
    sign_in_in_all_ways(told, browser, owner)
    choose_another_password(told, browser, owner)
    clock.shift(timedelta(days=8))  # a password of today would ask for a second specialist
    lose_everything(told, new_browser, owner)
    return told


def come(told: Story, browser: Browser) -> Person:
    invite(EMAIL, Role.OPERATOR, "ORG-3", name=NAME, phone=PHONE)
    told.links.append(told.post.link(EMAIL).rpartition("/")[2])
    browser.open(told.post.link(EMAIL))
    told.note(browser)
    browser.press("Продолжить", password=FIRST, again=FIRST)
    told.note(browser)
    told.app_secrets.append(secret_on(browser))
    browser.press("Добавить приложение", code=pyotp.TOTP(secret_on(browser)).at(clock.now()))
    told.codes += codes_on(browser)
    told.note(browser)
    browser.press("Коды сохранены", code=told.codes[0])
    told.note(browser)
    with db.reading():
        found = account.find_by_email(EMAIL)
    assert found
    return Person(found, told.app_secrets[0], list(told.codes), FIRST)


def sign_in_in_all_ways(told: Story, browser: Browser, owner: Person) -> None:
    browser.press("Выйти")
    told.note(browser)
    owner.sign_in(browser).open("/devices")
    told.note(browser)
    browser.press("Получить новые коды")
    told.codes += codes_on(browser)
    told.note(browser)
    browser.press("Коды сохранены", code=told.codes[-1]).press("Добавить устройство")
    told.app_secrets.append(secret_on(browser))
    browser.press("Добавить приложение", code="000000").open("/devices").press("Выйти")
    owner.sign_in_by_code(browser, told.codes[-1])
    told.codes.append(browser.named("replacement"))
    told.note(browser)
    browser.press("Код записан").press("Выйти")


def choose_another_password(told: Story, browser: Browser, owner: Person) -> None:
    browser.open("/password").press("Отправить письмо", email=EMAIL)
    told.links.append(told.post.link(EMAIL).rpartition("/")[2])
    browser.open(told.post.link(EMAIL))
    told.note(browser)
    browser.press("Сохранить пароль", password=SECOND, again=SECOND)
    owner.password = SECOND


def lose_everything(told: Story, new_browser: NewBrowser, owner: Person) -> None:
    specialist = enrol("m.orlova@izkt.example", Role.SPECIALIST, name="Орлова Мария")
    second = enrol("k.titov@izkt.example", Role.SPECIALIST, name="Титов Кирилл")
    loss = Loss(owner, specialist, second, new_browser, told.post)
    seen = told.others["specialist"] = Witness(new_browser("10.20.0.3"))
    loss.desk = seen
    loss.open()
    told.note(loss.computer)
    loss.take(loss.number())
    computer = loss.computer.client.get_cookie("diagnostics")
    assert computer
    told.computers += computer.value.split(".")
    loss.judge(loss.answers | {"former_name": ANSWER})
    loss.let_wait()
    loss.return_to_case()
    told.grant = loss.code
    told.links += [
        found
        for letter in told.post.letters(EMAIL)
        for found in re.findall(r"/cancel/(\S+)", letter.text)
    ]
    loss.computer.press("Добавить новое устройство", code=told.grant)
    told.note(loss.computer)
    loss.add_device()
    told.app_secrets.append(loss.secret)
    told.codes += codes_on(loss.computer)
    loss.computer.press("Коды сохранены", code=told.codes[-1])
    told.note(loss.computer)
    seen.open(loss.address).open("/support/cases?which=all")
    neighbours = {
        "administrator": enrol("a@sever-trakt.example", Role.ADMINISTRATOR, name="Соколова"),
        "operator": enrol("o@rechnoy.example", Role.OPERATOR, "ORG-3", name="Носов Олег"),
    }
    for name, person in neighbours.items():
        witness = told.others[name] = Witness(new_browser())
        person.sign_in(witness)
        for path in ("/devices", "/people", "/support/cases", loss.address, "/diagnostics/result"):
            witness.open(path)


def spellings(secret: str) -> set[bytes]:
    """A text as it might stand in a file."""
    plain = secret.replace("-", "")
    found = set()
    for each in {secret, plain, secret.lower(), plain.lower(), secret.upper()}:
        raw = each.encode()
        found |= {
            raw,
            each.encode("utf-16-le"),
            json.dumps(each)[1:-1].encode(),
            quote(each).encode(),
            raw.hex().encode(),
            base64.b64encode(raw).rstrip(b"="),
            base64.urlsafe_b64encode(raw).rstrip(b"="),
        }
    return found


def found_in(text: bytes, secrets: list[str]) -> list[str]:
    assert len(set(secrets)) >= 5
    return [each for each in secrets if any(spelled in text for spelled in spellings(each))]


def test_no_file_of_the_database_can_be_read(
    story: Story, everything_stored: Callable[[], bytes], environment: dict[str, str]
) -> None:
    stored = everything_stored()
    assert found_in(stored, [*story.secrets, *story.personal]) == []
    assert b"ORG-3" in stored, "what is no secret is there as it is"
    with db.reading():
        found = account.find_by_email(EMAIL)
    assert found
    assert (found.name, found.phone) == (NAME, PHONE)
    for key in ("PORTAL_SECRET_KEY", "PORTAL_DATA_KEYS"):
        assert environment[key].encode() not in stored


def test_the_story_knows_what_it_looks_for(story: Story) -> None:
    assert len(story.app_secrets) == 3
    assert len(set(story.codes)) == 31
    assert all(BACKUP_CODE.fullmatch(each) for each in story.codes)
    assert len(set(story.links)) == 3
    assert len(set(story.tokens)) == 7
    assert len(story.computers) == 1
    assert len(story.grant) == 9
    for secret in (story.secrets[0], story.codes[0], story.tokens[0]):
        for spelled in spellings(secret):
            assert found_in(b"..." + spelled + b"...", story.secrets) == [secret]


def test_no_cookie_says_who_it_is_of(story: Story) -> None:
    for cookie in story.cookies:
        payload = payload_of(cookie)
        assert payload.keys() <= THEIRS | {"invitation", "password", "came_for"}
        rest = {name: said for name, said in payload.items() if name != "_user_id"}
        said = json.dumps(rest, ensure_ascii=False).encode()
        assert found_in(said, [*story.secrets, *story.personal]) == []
    used = [payload_of(cookie).get("_user_id", "") for cookie in story.cookies]
    assert story.tokens == [each for each in used if each]


def test_nobody_else_is_shown_what_is_secret(story: Story) -> None:
    for name, witness in story.others.items():
        assert len(witness.seen) >= 5, name
        seen = "".join(witness.seen)
        assert found_in(seen.encode(), story.secrets) == [], name
        assert found_in(seen.encode(), [*story.cookies]) == [], name
        assert PHONE not in seen, name
    assert NAME in "".join(story.others["specialist"].seen), "who restores the access knows whose"
    for name in ("administrator", "operator"):
        assert found_in("".join(story.others[name].seen).encode(), story.personal) == [], name


def test_letters_say_what_is_meant_for_their_reader(story: Story) -> None:
    story.post.deliver()
    arrived = [*story.post.email.arrived, *story.post.sms.arrived]
    own = [each for each in arrived if each.recipient in {EMAIL, PHONE}]
    texts = [f"{each.subject}{each.text}{each.html}".encode() for each in own]
    assert len(own) > 10
    lasting = [FIRST, SECOND, *story.app_secrets, *story.codes, *story.tokens]
    assert found_in(b"".join(texts), lasting) == []
    assert sum(bool(story.grant.encode() in text) for text in texts) == 1
    assert code_in(next(each.text for each in own if story.grant in each.text)) == story.grant
    for each in arrived:
        if each not in own:
            text = f"{each.recipient}{each.subject}{each.text}{each.html}".encode()
            assert found_in(text, [*story.secrets, *story.personal]) == [], each.recipient


def test_own_pages_repeat_no_password_and_no_token(
    app: Flask, new_browser: NewBrowser, post: Post, keep: Callable[..., None]
) -> None:
    keep()
    owner = enrol(EMAIL, name=NAME, phone=PHONE)
    witness = Witness(new_browser())
    owner.sign_in(witness)
    for button in ("Добавить устройство", "Получить новые коды"):
        witness.open("/devices").press(button)
    witness.open("/check").open("/devices")
    seen = "".join(witness.seen)
    for each in (owner.password, token_of(cookie_of(witness)), cookie_of(witness), PHONE):
        assert each not in seen


def test_logs_say_nothing_of_anybody(
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    story: Story,
) -> None:
    written = "".join(capfd.readouterr()) + caplog.text
    assert [each for each in (*story.secrets, *story.personal) if each in written] == []


@pytest.fixture
def own_logs() -> Iterator[None]:
    """How logs are written is the test's own choice."""
    yield
    structlog.reset_defaults()


def test_a_failure_is_logged_without_what_was_typed(
    app: Flask,
    own_logs: None,
    browser: Browser,
    keep: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    keep()
    owner = enrol(EMAIL, name=NAME, phone=PHONE, codes=True)
    logs.configure()
    app.testing = False

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no more room")

    browser.headers = {"User-Agent": CHROME}
    owner.enter_password(browser)
    clock.shift(timedelta(seconds=30))
    typed = [owner.password, owner.code, owner.codes[0], owner.secret, EMAIL, NAME, PHONE]
    monkeypatch.setattr("portal.routes.account.session.renew", fail)
    fields = browser.page.form_of("Войти").fields
    for path, code in (("/signin/factor", owner.code), ("/signin/code", owner.codes[0])):
        answer = browser.ask("post", path, data=fields | {"code": code})
        assert answer.status_code == 500
        assert code not in answer.text
    monkeypatch.setattr("portal.account.sign_in.session.begin", fail)
    form = {"csrf_token": fields["csrf_token"], "email": EMAIL, "password": owner.password}
    assert browser.ask("post", "/signin", data=form).status_code == 500
    written = capfd.readouterr().err
    assert written.count("no more room") >= 3, "the failure itself is there"
    typed += [token_of(cookie_of(browser)), cookie_of(browser), CHROME]
    assert [each for each in typed if each in written] == []
