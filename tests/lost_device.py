"""A lost device, walked with scripts off: everybody who has to do with it, and their buttons."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pyotp

from portal import clock, journal, recovery
from portal.account import Role
from portal.clock import MOSCOW
from portal.database import db, metadata
from tests.browser import Browser
from tests.people import Person, enrol, next_code

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from werkzeug.test import TestResponse

    from portal.recovery import Case
    from tests.conftest import Post

LOST = "Нет ни устройства, ни кодов"
OPEN = "Начать восстановление"
SHOW = "Показать компьютер"
NOTE = "Записать"
JUDGE = "Сверить ответы"
ANYWAY = "Всё равно сверить"
AGREE = "Подтвердить"
ENROL = "Добавить новое устройство"
# Subjects of letters to the owner, in the order in which they come.
OPENED = "Начато восстановление доступа"
SOON = "Восстановление доступа одобрено"
CODE = "Код для нового устройства"
REPLACED = "Новое устройство добавлено"
STOPPED = "Восстановление доступа остановлено"
REFUSED = "В восстановлении доступа отказано"
EMAIL = "p.petrov@sever-trakt.example"
PHONE = "+79215550199"
HERE = "10.20.4.17"
DESK = "10.20.0.3"
WRONG = {"created": "01.02.2003 04:05", "second_factor": "01.02.2003"}
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/156.0.0.0 Safari/537.36"
)


def tab(browser: Browser) -> Browser:
    """Another tab of the same browser."""
    other = Browser(browser.client, browser.address)
    other.headers = browser.headers
    return other


def code_in(text: str) -> str:
    """The one-time code in a letter."""
    found = re.search(r"^[0-9A-Z]{4}-[0-9A-Z]{4}$", text, re.MULTILINE)
    assert found, "no code in the letter"
    return found[0]


def cancel_in(text: str) -> str:
    """The path of the link that stops a case."""
    found = re.search(r"http://127\.0\.0\.1:8000(/cancel/\S+)", text)
    assert found, "no such link in the letter"
    return found[1]


def everything() -> dict[str, list[Any]]:
    """All that is in the database."""
    with db.reading():
        return {table.name: db.all(table.select()) for table in metadata.sorted_tables}


def let_come(at: datetime, **sooner: float) -> None:
    """Move the clock to a moment, or to a span before it."""
    clock.shift(at - clock.now() - timedelta(**sooner))


def press_twice(browser: Browser, button: str, **answers: str) -> Browser:
    """A double press: the second one leaves before the answer to the first has come."""
    page, cookie = browser.page, browser.client.get_cookie("session")
    browser.press(button, **answers)
    assert cookie
    browser.page = page
    browser.client.set_cookie("session", cookie.value)
    return browser.press(button, **answers)


def at_once(*presses: Callable[[], Browser]) -> list[Browser]:
    """Several people press at the same moment."""
    start = Barrier(len(presses))

    def press(one: Callable[[], Browser]) -> Browser:
        start.wait()
        return one()

    with ThreadPoolExecutor(len(presses)) as threads:
        return list(threads.map(press, presses))


class Witness(Browser):
    """A browser that remembers all it was shown."""

    def __init__(self, browser: Browser) -> None:
        super().__init__(browser.client, browser.address)
        self.seen: list[str] = []

    def _see(self, response: TestResponse) -> Browser:
        self.seen.append(response.text)
        return super()._see(response)


def day(at: datetime) -> str:
    return f"{at.astimezone(MOSCOW):%d.%m.%Y}"


def events(name: str) -> list[Any]:
    """Lines of the journal with that name."""
    with db.reading():
        return [
            row
            for row in db.all(journal.events.select().order_by(journal.events.c.id))
            if row.name == name
        ]


@dataclass
class Loss:
    """Who lost a device, and two specialists; each before a browser of their own."""

    owner: Person
    specialist: Person
    second: Person
    new_browser: Callable[..., Browser]
    post: Post
    computer: Browser = field(init=False)
    desk: Browser = field(init=False)
    other_desk: Browser = field(init=False)
    secret: str = ""  # of the new device

    def __post_init__(self) -> None:
        self.computer = self.new_browser(HERE)
        self.computer.headers = {"User-Agent": CHROME}
        self.desk, self.other_desk = self.new_browser(DESK), self.new_browser("10.20.0.4")

    @property
    def email(self) -> str:
        return self.owner.account.email

    @property
    def case(self) -> Case:
        with db.reading():
            found = recovery.last_case_of(self.owner.account)
        assert found
        return found

    @property
    def address(self) -> str:
        """The specialist's page of the case."""
        return f"/support/cases/{self.case.id}"

    @property
    def answers(self) -> dict[str, str]:
        """What the owner remembers: enough for «Кабинет клиента»."""
        created = self.owner.account.created_at
        at = f"{created.astimezone(MOSCOW):%d.%m.%Y %H:%M}"
        return {"created": at, "second_factor": day(created)}

    @property
    def code(self) -> str:
        """The code in the newest letter."""
        return code_in(self.newest(CODE))

    def newest(self, subject: str) -> str:
        """The newest letter to the owner with that subject."""
        return [each.text for each in self.post.letters(self.email) if each.subject == subject][-1]

    def subjects(self) -> list[str]:
        """Letters to the owner, oldest first."""
        return [each.subject for each in self.post.letters(self.email)]

    # What they do

    def return_to_case(self, browser: Browser | None = None) -> Browser:
        """Email and password, and no device."""
        browser = self.owner.enter_password(browser or self.computer)
        return browser if browser.path == "/recovery" else browser.follow(LOST)

    def open(self, service: str = "cabinet") -> Browser:
        """The service is asked for where a specialist asks the questions."""
        browser = self.return_to_case()
        is_asked = "service" in browser.page.form_of(OPEN).fields
        return browser.press(OPEN, **({"service": service} if is_asked else {}))

    def number(self) -> str:
        """What the page of the diagnostics shows, in another tab."""
        return tab(self.computer).open("/diagnostics").press("Начать проверку").named("number")

    def sit_down(self, person: Person | None = None, browser: Browser | None = None) -> Browser:
        """The specialist's page of the case, after signing in where that is needed."""
        browser, person = browser or self.desk, person or self.specialist
        browser.open(self.address)
        is_in = browser.page.heading != "Вход"
        return browser if is_in else person.come_in(browser).open(self.address)

    def sit_down_second(self) -> Browser:
        return self.sit_down(self.second, self.other_desk)

    def take(self, number: str = "") -> Browser:
        return self.sit_down().press(SHOW, number=number or self.number())

    def ask(self) -> Browser:
        """A specialist works on it."""
        self.open()
        return self.take()

    def judge(self, answers: dict[str, str] | None = None) -> Browser:
        """Some questions are left out: the portal asks whether to judge nevertheless."""
        typed = self.answers if answers is None else answers
        self.desk.press(JUDGE, **{f"answer_{key}": words for key, words in typed.items()})
        return self.desk.press(ANYWAY) if ANYWAY in self.desk.page.buttons else self.desk

    def wait(self) -> Browser:
        """The answers were enough."""
        self.ask()
        return self.judge()

    def let_wait(self, **but: float) -> None:
        """Let the time of waiting pass, or all but a span of it."""
        until = self.case.wait_until
        assert until
        let_come(until, **but)

    @property
    def checked_at(self) -> datetime:
        """When the computer was looked at that a specialist claimed."""
        with db.reading():
            seen = recovery.evidence(self.case)
        assert seen
        return seen.diagnostics.made_at

    def grant(self) -> Browser:
        """The wait is over: the owner sees the field for the code."""
        self.wait()
        if self.case.needs_approval:
            self.sit_down_second().press(AGREE)
        self.let_wait()
        return self.return_to_case()

    def enter(self) -> Browser:
        """The code opens the enrolment."""
        self.grant()
        return self.computer.press(ENROL, code=self.code)

    def add_device(self) -> Browser:
        self.secret = self.computer.named("secret").replace(" ", "")
        next_code()
        code = pyotp.TOTP(self.secret).at(clock.now())
        return self.computer.press("Добавить приложение", code=code)


def lose(
    new_browser: Callable[..., Browser],
    post: Post,
    role: Role = Role.OPERATOR,
    *,
    phone: str = PHONE,
    codes: bool = False,
) -> Loss:
    """Somebody of that role who lost a device; the organisation has been kept already."""
    email = "s.sidorov@izkt.example" if role is Role.SPECIALIST else EMAIL
    owner = enrol(email, role, phone=phone, codes=codes)
    specialist = enrol("m.orlova@izkt.example", Role.SPECIALIST, name="Орлова Мария")
    second = enrol("k.titov@izkt.example", Role.SPECIALIST, name="Титов Кирилл")
    return Loss(owner, specialist, second, new_browser, post)
