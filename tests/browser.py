"""A browser without scripts: it opens pages, fills in forms and presses buttons.

What a test does through this class, a person can do with scripts switched off, and every form
must carry its token against forged requests. Each page it sees is checked for house rules.
"""

from __future__ import annotations

import re
from contextvars import Context
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flask.testing import FlaskClient
    from werkzeug.test import TestResponse

VOID = {"meta", "link", "input", "br", "img", "hr"}


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
        unknown = answers.keys() - form.fields.keys()
        assert not unknown, f"no such field: {unknown}"
        data = form.fields | answers
        if form.method == "get":
            return self._see(self.ask("get", form.action, query_string=data))
        return self._see(self.ask("post", form.action, data=data))

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
        self.page.check()
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

    def has(self, name: str) -> bool:
        return name in self.page.named


class Form:
    def __init__(self, attributes: dict[str, str | None]) -> None:
        self.id = attributes.get("id")
        self.action = attributes.get("action") or ""
        self.method = attributes.get("method") or "get"
        self.fields: dict[str, str] = {}


class Page(HTMLParser):
    """What a page says, and what can be done on it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.buttons: dict[str, Form] = {}
        self.links: dict[str, str] = {}
        self.named: dict[str, str] = {}
        self.ids: list[str] = []
        self.title = self.heading = ""
        self.headings = 0
        self.text = ""
        self.lonely: list[str] = []  # htmx elements that would do nothing without scripts
        self._open: list[tuple[str, dict[str, str | None], int]] = []
        self._form: Form | None = None
        self._loose: list[tuple[str, str]] = []  # buttons that name their form
        self.feed(html)
        self.close()
        self.text = squeeze(self.text)
        for words, id in self._loose:
            self.buttons[words] = next(form for form in self.forms if form.id == id)

    def form_of(self, button: str) -> Form:
        assert button in self.buttons, f"no button «{button}» among {list(self.buttons)}"
        return self.buttons[button]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "form":
            self._form = Form(attributes)
            self.forms.append(self._form)
        if tag == "input" and self._form is not None and attributes.get("name"):
            kind, name = attributes.get("type"), str(attributes["name"])
            if kind != "checkbox" or "checked" in attributes:
                self._form.fields[name] = attributes.get("value") or ""
        if attributes.get("id"):
            self.ids.append(str(attributes["id"]))
        if {"hx-post", "hx-put", "hx-delete"} & attributes.keys() and tag != "form":
            self.lonely.append(tag)
        if {"style", "onclick"} & attributes.keys():
            self.lonely.append(f"{tag} with an inline {attributes}")
        if tag not in VOID:
            self._open.append((tag, attributes, len(self.text)))
        elif "data-testid" in attributes:
            self.named[str(attributes["data-testid"])] = attributes.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        while self._open:
            opened, attributes, start = self._open.pop()
            words = squeeze(self.text[start:])
            self._close(opened, attributes, words)
            if opened == tag:
                return

    def _close(self, tag: str, attributes: dict[str, str | None], words: str) -> None:
        if "data-testid" in attributes:
            self.named[str(attributes["data-testid"])] = words
        if tag == "button":
            if attributes.get("form"):
                self._loose.append((words, str(attributes["form"])))
            elif self._form is not None:
                self.buttons[words] = self._form
        elif tag == "a" and attributes.get("href"):
            self.links[words] = str(attributes["href"])
        elif tag == "textarea" and self._form is not None:
            self._form.fields[str(attributes.get("name"))] = words
        elif tag == "form":
            self._form = None
        elif tag == "title":
            self.title = words
        elif tag == "h1":
            self.heading, self.headings = words, self.headings + 1

    def handle_data(self, data: str) -> None:
        self.text += data

    def check(self) -> None:
        assert self.headings == 1, "a page has one heading"
        assert self.title in {f"{self.heading} · ИЗКТ", f"{self.heading} · IZKT"}
        assert not self.lonely, f"works only with scripts, or breaks the policy: {self.lonely}"
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
