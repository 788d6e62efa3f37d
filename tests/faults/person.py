"""A responsible person: walks a whole journey over HTTP, and tries again as people do."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tests.faults.far_ends import HOST
from tests.faults.house import boss_of, email_of, phone_of

if TYPE_CHECKING:
    from random import Random

    from tests.faults.house import House

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
STATUS = re.compile(r'data-testid="(phone|email)-status">([а-яё ]+)')
ANSWERS_WITHIN = 40  # seconds; a busy database says so after 15
WAITS_FOR_MAIL = 45  # seconds of the portal's clock, then «Отправить ещё раз»
AWAY = {502, 503}


class Gone(Exception):
    """The portal is not there; it may have done what it was asked, or not."""


@dataclass
class Answer:
    status: int
    path: str
    text: str
    retry_after: int


@dataclass
class Story:
    """What one person lived through, and what the portal told them."""

    number: int
    confirmation_id: str
    told: set[str] = field(default_factory=set)  # phone, email, code sent, link sent, completed
    is_done: bool = False
    retries: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    away: list[tuple[float, int]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    answered: list[tuple[float, float]] = field(default_factory=list)  # pages: when, how soon
    wrong: int = 0


class Client:
    """A browser: cookies, the page it shows, and the portal's addresses, as nginx knows them."""

    def __init__(self, house: House, story: Story, random: Random) -> None:
        self._ports, self._story = house.ports, story
        self._which = random.randrange(len(self._ports))
        self._cookies: dict[str, str] = {}
        self.hops = False  # whether each request goes to another web server
        self.page = Answer(0, "", "", 0)

    def turn(self) -> None:
        self._which = (self._which + 1) % len(self._ports)

    def get(self, path: str, *, method: str = "GET") -> Answer:
        self.page = self.ask(method, path, "")
        return self.page

    def post(self, path: str, **fields: str) -> Answer:
        self.page = self.ask("POST", path, self.form(**fields))
        return self.page

    def form(self, **fields: str) -> str:
        token = TOKEN.search(self.page.text)
        return urlencode({"csrf_token": token[1] if token else ""} | fields)

    def ask(self, method: str, path: str, form: str) -> Answer:
        """One request, and where it leads; raises Gone if the portal is not there."""
        answer, location = self._ask(method, path, form)
        for _ in range(3):
            if not location:
                break
            answer, location = self._ask("GET", location, "")
        return answer

    def _ask(self, method: str, path: str, form: str) -> tuple[Answer, str | None]:
        if self.hops:
            self.turn()
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        if form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        began = time.monotonic()
        connection = HTTPConnection(HOST, self._ports[self._which], timeout=ANSWERS_WITHIN)
        try:
            connection.request(method, path, form or None, headers)
            said = connection.getresponse()
            text = said.read().decode()
        except (OSError, HTTPException) as error:
            self._story.statuses[0] += 1
            raise Gone(type(error).__name__) from error
        finally:
            connection.close()
        if method == "GET":  # as many forms are sent on any day, but not at any time
            self._story.answered.append((began, time.monotonic() - began))
        self._story.statuses[said.status] += 1
        for name, value in said.getheaders():
            if name.lower() == "set-cookie":
                cookie, _, rest = value.partition("=")
                self._cookies[cookie] = rest.partition(";")[0]
        if said.status in AWAY:
            self._story.away.append((time.monotonic(), said.status))
            raise Gone(str(said.status))
        if said.status >= 500:
            self._story.broken.append(f"{said.status} at {method} {path.rpartition('/')[2]}")
            raise Gone(str(said.status))
        later = int(said.getheader("Retry-After") or 0)
        return Answer(said.status, path, text, later), said.getheader("Location")


class Person:
    """One who confirms both contacts, in either order, more or less carefully."""

    def __init__(self, house: House, number: int, random: Random, *, hops: bool = False) -> None:
        self._house, self._random = house, random
        self._number = number
        self._known: set[str] = set()  # messages that were read
        self.story = Story(number, house.request(number))
        self.client = Client(house, self.story, random)
        self.client.hops = hops
        self._email_first = random.random() < 0.4
        self._is_hasty = random.random() < 0.4  # presses twice
        self._errs = random.choices([0, 1, 2], [6, 3, 1])[0]  # wrong codes
        self._scanned = random.random() < 0.3  # a mail scanner opens links first

    def walk(self, seconds: float) -> Story:
        """From the letter to «Готово»; gives up after so many seconds."""
        until = time.monotonic() + seconds
        letter = None
        link = f"/confirm/{self.story.confirmation_id}"
        while letter is None and time.monotonic() < until:
            letter = self._house.mailbox.wait(email_of(self._number), link, but=set(), seconds=1)
        while letter and not self.story.is_done and time.monotonic() < until:
            try:
                self._step(letter.text)
            except Gone:
                self.story.retries += 1
                self.client.turn()
                time.sleep(self._random.uniform(0.1, 0.6))
        return self.story

    def _step(self, link: str) -> None:
        """Look at the page, and do the next thing that it offers."""
        if self._scanned:
            self._scanned = False
            self.client.ask("HEAD", link, "")
        page = self.client.get(link)
        missing = self._read(page)
        if not missing:
            self.story.is_done = True
            return
        for kind in sorted(missing, reverse=not self._email_first):
            if kind == "phone":
                self._confirm_phone(page.path)
            else:
                self._confirm_email(page.path)
            return

    def _read(self, page: Answer) -> set[str]:
        """Note what a page tells, and say what it still asks for."""
        if 'data-testid="completed"' in page.text or 'data-testid="ended"' in page.text:
            self.story.told |= {"phone", "email", "completed"}
            return set()
        seen = {kind: words.strip() for kind, words in STATUS.findall(page.text)}
        self.story.told |= {kind for kind, words in seen.items() if words == "подтверждён"}
        return {kind for kind, words in seen.items() if words == "не подтверждён"} or {"phone"}

    def _confirm_phone(self, here: str) -> None:
        button = "phone" if "code" not in self.story.told else "code/new"
        known = self._house.phones.newest(phone_of(self._number), but=self._known)
        if known is None:
            page = self._press(f"{here}/{button}")
            self._read(page)
            if page.status == 429:
                self._rest(page.retry_after)
            elif page.path.endswith("/code"):
                self.story.told.add("code")
            known = self._house.phones.wait(
                phone_of(self._number), but=self._known, seconds=WAITS_FOR_MAIL / self._house.pace
            )
        if known is None:
            return  # «Отправить ещё раз» is pressed next time
        self.client.get(f"{here}/code")
        if self._errs:
            self._errs -= 1
            self.story.wrong += 1
            wrong = f"{(int(known.text) + 1) % 1_000_000:06}"
            self._read(self.client.post(f"{here}/code", code=wrong))
        page = self._press(f"{here}/code", code=known.text)
        self._read(page)
        if page.status == 422:
            self._known.add(known.id)  # a newer one was sent, or its time is over
        elif page.status == 429:
            self._rest(page.retry_after)

    def _confirm_email(self, here: str) -> None:
        address, letters = email_of(self._number), self._house.mailbox
        known = letters.newest(address, "/confirm-email/", but=self._known)
        if known is None:
            again = {"again": "yes"} if "link" in self.story.told else {}
            page = self._press(f"{here}/email", **again)
            self._read(page)
            if page.status == 429:
                self._rest(page.retry_after)
            elif page.status == 200:
                self.story.told.add("link")
            seconds = WAITS_FOR_MAIL / self._house.pace
            known = letters.wait(address, "/confirm-email/", but=self._known, seconds=seconds)
        if known is None:
            return
        page = self.client.get(known.text)
        if 'data-testid="confirm-address"' in page.text:
            page = self._press(page.path)
        if "Email подтверждён" in page.text:
            self.story.told.add("email")
        else:
            self._known.add(known.id)

    def _press(self, path: str, **fields: str) -> Answer:
        """Press a button; who is hasty presses twice, and the answers cross."""
        if not self._is_hasty:
            return self.client.post(path, **fields)
        form = self.client.form(**fields)

        def press() -> None:
            try:
                self._read(self.client.ask("POST", path, form))
            except Gone:
                self.story.retries += 1

        second = threading.Thread(target=press)
        second.start()
        try:
            return self.client.post(path, **fields)
        finally:
            second.join()

    def _rest(self, seconds: int) -> None:
        time.sleep(min(seconds, 60) / self._house.pace)


__all__ = ["Gone", "Person", "Story", "boss_of"]
