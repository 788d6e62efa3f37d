"""Requests as they come off the wire, and what holds for the answer to each of them."""

from __future__ import annotations

import re
import sys
from contextvars import Context
from io import BytesIO
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from werkzeug.datastructures import Headers

from portal import door, pages
from portal.database import db, metadata

if TYPE_CHECKING:
    from flask import Flask

    from tests.browser import Browser

INSIDE, OUTSIDE = "10.20.4.17", "203.0.113.9"
FORM = "application/x-www-form-urlencoded"
EVERYTHING = {
    table.name: select(table).order_by(*table.primary_key) for table in metadata.sorted_tables
}


def rows() -> dict[str, list[Any]]:
    """All that is stored."""
    with db.reading():
        return {name: db.all(statement) for name, statement in EVERYTHING.items()}


class Reply:
    """An answer, and what was asked."""

    def __init__(self, asked: str, answer: door.Answer) -> None:
        self.asked, self.status = asked, answer.status
        self.headers, self.body = Headers(answer.headers), answer.body
        self.text = answer.body.decode(errors="replace")


def check(reply: Reply, *, is_static: bool = False) -> None:
    """What holds for every answer, whatever was asked."""
    assert reply.status < 500, reply.asked
    for name, value in pages.HEADERS.items():
        assert reply.headers.getlist(name) == [value], f"{name} of {reply.asked}"
    if not is_static:
        assert reply.headers["Cache-Control"] == "no-store", reply.asked
    assert "evil" not in reply.headers.get("Location", ""), reply.asked
    assert "Traceback" not in reply.text, reply.asked


def ask(
    app: Flask,
    path: str,
    *,
    method: str = "GET",
    query: str = "",
    address: str = INSIDE,
    headers: dict[str, str] | None = None,
    body: tuple[bytes, str] = (b"", ""),
    browser: Browser | None = None,
) -> Reply:
    """A request as it comes off the wire: no client's library mends it on its way."""
    cookie = browser and browser.client.get_cookie("session")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": decoded(path),
        "QUERY_STRING": query,
        "REMOTE_ADDR": address,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "CONTENT_LENGTH": str(len(body[0])),
        "CONTENT_TYPE": body[1],
        "wsgi.input": BytesIO(body[0]),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
    }
    if cookie:
        environ["HTTP_COOKIE"] = f"session={cookie.value}"
    for name, value in (headers or {}).items():
        environ["HTTP_" + name.upper().replace("-", "_")] = value
    answer = Context().run(door.ask, app, environ)
    return Reply(f"{method} {path[:60]} {headers}", answer)


def decoded(path: str) -> str:
    """A path as WSGI writes it: one character for each byte."""
    return re.sub("%([0-9a-f]{2})", lambda found: chr(int(found[1], 16)), path)
