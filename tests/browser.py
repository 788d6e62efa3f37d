"""A browser without scripts: it opens pages, fills in forms and presses buttons.

What a test does through this class, a person can do with scripts switched off, and every form
must carry its token against forged requests. Each page it sees is checked for house rules.
"""

from __future__ import annotations

import re
from contextvars import Context
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import UnprocessableEntity

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

REFUSED = ("Ошибка: ", "Error: ")  # how the title of a page begins whose form was not taken
VOID = {"meta", "link", "input", "br", "img", "hr"}
WORDY = {"button", "a", "textarea", "summary", "form", "title", "h1"}  # what is seen by its name
NAMED = {"data-testid", "id"}
SPEAKING = {"for", "aria-labelledby", "aria-describedby"}  # attributes that name other elements


class Browser:
    """One person's browser, at an address of its own."""

    def __init__(self, client: FlaskClient, address: str = "10.20.4.17") -> None:
        self.client = client
        self.address = address
        self.headers: dict[str, str] = {}

    def open(self, url: str) -> Browser:
        return self._see(self.ask("get", url))

    def press(self, button: str, **answers: str) -> Browser:
        """Fill in the form that a button belongs to, and press it."""
        form = self.page.form_of(button)
        unknown = answers.keys() - form.fields.keys() - form.ticks
        assert not unknown, f"no such field: {unknown}"
        for name, options in form.options.items():
            assert answers.get(name, "") in {"", *options}, f"no such option: {answers[name]}"
        data = form.fields | answers | self.page.says[button]
        data = {name: value for name, value in data.items() if value or name not in form.ticks}
        if form.method == "get":
            return self._see(self.ask("get", form.action, query_string=data))
        return self._see(self.ask("post", form.action, data=data))

    def send(self, url: str, **data: str) -> Browser:
        """Send a form that the page does not offer, with the token of one that it does."""
        token = next(form.fields["csrf_token"] for form in self.page.forms)
        return self._see(self.ask("post", url, data={"csrf_token": token} | data))

    def follow(self, words: str) -> Browser:
        """Follow the link with those words."""
        return self.open(self.page.links[words])

    def ask(self, method: str, url: str, **what: Any) -> TestResponse:
        """One request, and where it is redirected to; apart from the test's own context."""
        # Kept on the client, for a redirect starts a request of its own.
        self.client.environ_base["REMOTE_ADDR"] = self.address
        call = getattr(self.client, method)
        what = {"follow_redirects": True, "headers": self.headers} | what
        response: TestResponse = Context().run(call, url, **what)
        return response

    def _see(self, response: TestResponse) -> Browser:
        self.response = response
        self.status, self.path = response.status_code, response.request.path
        self.page = Page(response.text)
        assert self.page.headings == 1, f"{self.status}, one heading: {response.text[:200]!r}"
        self.page.check()
        is_refused = self.page.title.startswith(REFUSED)
        assert is_refused == (self.status == UnprocessableEntity.code), self.page.title
        check_headers(response)
        return self

    def __contains__(self, words: str) -> bool:
        return squeeze(words) in self.page.text

    @property
    def text(self) -> str:
        return self.page.text

    def named(self, name: str) -> str:
        """The words of the element with that data-testid."""
        return self.page.named[name]

    def every(self, name: str) -> list[str]:
        """The words of all elements with that data-testid."""
        return [words for other, words in self.page.all_named if other == name]

    def has(self, name: str) -> bool:
        return name in self.page.named

    def fault(self, field: str) -> str:
        """What is said to be wrong beside a field; nothing if it is not marked as wrong."""
        return self.page.faults.get(field, "")


class Form:
    def __init__(self, attributes: dict[str, str | None]) -> None:
        self.id = attributes.get("id")
        self.action = attributes.get("action") or ""
        self.method = attributes.get("method") or "get"
        self.fields: dict[str, str] = {}
        self.options: dict[str, list[str]] = {}  # what a field chooses from
        self.leaves_to_us = "novalidate" in attributes  # to say what is missing, in our words
        self.ticks: set[str] = set()  # boxes and choices; "" is none


class Page(HTMLParser):
    """What a page says, and what can be done on it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.buttons: dict[str, Form] = {}
        self.says: dict[str, dict[str, str]] = {}  # what a button adds to its form
        self.links: dict[str, str] = {}
        self.named: dict[str, str] = {}
        self.all_named: list[tuple[str, str]] = []
        self.faults: dict[str, str] = {}
        self.ids: list[str] = []
        self.mentions: set[str] = set()  # ids that labels and descriptions speak of
        self.title = self.heading = ""
        self.headings = 0
        self.focused = 0  # what has the focus when the page comes
        self.unopened = 0  # what is folded up and has no words to unfold it by
        self.lonely: list[str] = []  # htmx elements that would do nothing without scripts
        self._said: list[str] = []
        self._open: list[tuple[str, dict[str, str | None], int]] = []
        self._form: Form | None = None
        self._select = ""
        self._words: dict[str, str] = {}  # by id
        self._wrong: dict[str, list[str]] = {}  # fields, and the ids of what is wrong with them
        self._loose: list[tuple[str, str]] = []  # buttons that name their form
        self.feed(html)
        self.close()
        self.text = squeeze("".join(self._said))
        for words, id in self._loose:
            self.buttons[words] = next(form for form in self.forms if form.id == id)
        for field, ids in self._wrong.items():
            self.faults[field] = "".join(self._words.get(id, "") for id in ids)

    def form_of(self, button: str) -> Form:
        assert button in self.buttons, f"no button «{button}» among {list(self.buttons)}"
        return self.buttons[button]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "form":
            self._form = Form(attributes)
            self.forms.append(self._form)
        if self._form is not None:
            self._keep_field(tag, attributes, self._form)
        self.focused += "autofocus" in attributes
        if tag == "details":
            self.unopened += 1
        self._relate(attributes)
        if {"hx-post", "hx-put", "hx-delete"} & attributes.keys() and tag != "form":
            self.lonely.append(tag)
        if {"style", "onclick"} & attributes.keys():
            self.lonely.append(f"{tag} with an inline {attributes}")
        if tag not in VOID:
            self._open.append((tag, attributes, len(self._said)))
        elif "data-testid" in attributes:
            self._name(str(attributes["data-testid"]), attributes.get("value") or "")

    def _keep_field(self, tag: str, attributes: dict[str, str | None], form: Form) -> None:
        name, value = attributes.get("name"), attributes.get("value") or ""
        assert form.leaves_to_us or "required" not in attributes, f"the browser asks for {name}"
        if tag == "input" and name:
            is_tick = attributes.get("type") in {"checkbox", "radio"}
            if is_tick and "disabled" in attributes:
                return
            if is_tick:
                form.ticks.add(name)
                form.options.setdefault(name, []).append(value)
            if not is_tick or "checked" in attributes:
                form.fields[name] = value
        elif tag == "select" and name:
            self._select = name
            form.options[name] = []
        elif tag == "option":
            # A browser chooses the first one, unless another is marked.
            if not form.options[self._select] or "selected" in attributes:
                form.fields[self._select] = value
            form.options[self._select].append(value)

    def _relate(self, attributes: dict[str, str | None]) -> None:
        """Note what an element is called, and which others it speaks of."""
        if attributes.get("id"):
            self.ids.append(str(attributes["id"]))
        for name in SPEAKING & attributes.keys():
            self.mentions.update(str(attributes[name]).split())
        if attributes.get("aria-invalid") == "true":
            described_by = (attributes.get("aria-describedby") or "").split()
            self._wrong[str(attributes.get("name"))] = described_by[:1]

    def _name(self, name: str, words: str) -> None:
        self.named[name] = words
        self.all_named.append((name, words))

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            opened, attributes, start = self._open.pop()
            if opened in WORDY or attributes.keys() & NAMED:
                self._close(opened, attributes, squeeze("".join(self._said[start:])))
            if opened == tag:
                return

    def _close(self, tag: str, attributes: dict[str, str | None], words: str) -> None:
        if "data-testid" in attributes:
            self._name(str(attributes["data-testid"]), words)
        if "id" in attributes:
            self._words[str(attributes["id"])] = words
        if tag == "button":
            self._keep_button(attributes, words)
        elif tag == "a" and attributes.get("href"):
            self.links[words] = str(attributes["href"])
        elif tag == "textarea" and self._form is not None:
            self._form.fields[str(attributes.get("name"))] = words
        elif tag == "summary":
            self.unopened -= 1
        elif tag == "form":
            self._form = None
        elif tag == "title":
            self.title = words
        elif tag == "h1":
            self.heading, self.headings = words, self.headings + 1

    def _keep_button(self, attributes: dict[str, str | None], words: str) -> None:
        if "disabled" in attributes:
            return
        name = attributes.get("name")
        self.says[words] = {name: attributes.get("value") or ""} if name else {}
        if attributes.get("form"):
            self._loose.append((words, str(attributes["form"])))
        elif self._form is not None:
            self.buttons[words] = self._form

    def handle_data(self, data: str) -> None:
        self._said.append(data)

    def check(self) -> None:
        assert re.sub(f"^({'|'.join(REFUSED)})", "", self.title) in {
            f"{self.heading} · ИЗКТ",
            f"{self.heading} · IZKT",
        }
        assert not self.lonely, f"works only with scripts, or breaks the policy: {self.lonely}"
        assert self.mentions <= set(self.ids), f"nowhere: {self.mentions - set(self.ids)}"
        assert all(self.faults.values()), f"wrong, and nobody says why: {self.faults}"
        assert not self.faults or self.focused == 1, "the focus is on what is wrong"
        assert not self.unopened, "what is folded up can be unfolded"
        assert all(form.action for form in self.forms), "a form says where it goes"
        for form in self.forms:
            assert form.method == "get" or form.fields.get("csrf_token"), "a form has its token"
        assert len(self.ids) == len(set(self.ids)), f"an id is said twice: {sorted(self.ids)}"


def check_headers(response: TestResponse) -> None:
    """What every answer carries, errors included."""
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "same-origin"
    assert response.headers["Cache-Control"] == "no-store"


def squeeze(words: str) -> str:
    """Words with every run of blanks made one."""
    return re.sub(r"\s+", " ", words).strip()
