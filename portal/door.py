"""The door: what granian heard of a request becomes what Flask is asked.

Granian's own WSGI is not used, for two things that a stranger could do to it. It has one name for
`X_Forwarded_For` and `X-Forwarded-For`, so through a proxy that lets the first one pass anybody
could say where they are. And a thread waits for each body there, so a few bodies that never end
stop everybody. Here a name with an underscore is not heard, and a body is complete before a thread
takes the request.

`/access` is answered in time whatever happens: by a thread of its own, for the others may all wait
for the database; and if that hangs, too, by a refusal. So are those who ask how the portal is: else
one that only waits for its database would be taken for dead. A page comes later, but it comes, if
only to say that the portal does not answer. Files take long to make, and to
read: they are one thread's work, so that whoever asks for many of them, or sends them, keeps nobody
from a page.
"""

import asyncio
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from io import BytesIO
from queue import SimpleQueue
from tempfile import SpooledTemporaryFile
from typing import IO, Any, NamedTuple

import structlog
from flask import Flask

from portal import access, pages, telemetry

BODY_SECONDS = 10  # a body that takes longer is not waited for
# What a program waits for the answer of, and what it is told if there is none in time.
IN_TIME = {"/access": 403, "/health/live": 503, "/health/ready": 503}
IN_TIME_SECONDS = 1.5  # two are promised
PAGE_SECONDS = 30.0  # a proxy waits 45, the portal for its database 15
FILES = (".csv", ".json")
UPLOAD_SECONDS = 60  # a file may take so long
MOST_HEARD = 1024 * 1024  # bytes of a body behind its end
JOINED_BY = {"HTTP_COOKIE": "; "}  # other headers that come several times, by a comma
UNNAMED = {"CONTENT_TYPE", "CONTENT_LENGTH"}  # the two that WSGI writes without HTTP_

Environ = dict[str, Any]
Headers = list[tuple[str, str]]

log = structlog.get_logger()


class Answer(NamedTuple):
    """What is said to a request."""

    status: int
    headers: Headers
    body: bytes


Asked = tuple[Environ, asyncio.Future[Answer]]
Late = Callable[[], Answer]  # what is said where no answer came in time


class Door:
    """A Flask application for granian's RSGI, with as many threads as it is given."""

    def __init__(self, app: Flask, threads: int) -> None:
        self._app = app
        self._longest = int(app.config["MAX_CONTENT_LENGTH"])
        self._asked: SimpleQueue[Asked] = SimpleQueue()
        self._asked_in_time: dict[str, SimpleQueue[Asked]] = {
            path: SimpleQueue() for path in IN_TIME
        }
        self._files: SimpleQueue[Asked] = SimpleQueue()
        self._judge = ThreadPoolExecutor(1)  # whether a long body may be sent: one connection asks
        every = (*[self._asked] * threads, *self._asked_in_time.values(), self._files)
        for asked in every:
            threading.Thread(target=self._work, args=(asked,), daemon=True).start()

    async def __rsgi__(self, scope: Any, proto: Any) -> None:
        environ = environ_of(scope)
        loop = asyncio.get_running_loop()
        body: IO[bytes] = BytesIO()
        is_file = scope.path.endswith(FILES)
        if "HTTP_TRANSFER_ENCODING" in environ or environ.get("CONTENT_LENGTH", "0") != "0":
            longest, patience = self._longest, BODY_SECONDS
            if _length_of(environ) > longest:
                longest = await loop.run_in_executor(self._judge, self._longest_of, environ)
            if longest > self._longest:  # a file is kept on disk, not in memory
                body = SpooledTemporaryFile(self._longest)  # noqa: SIM115 - who answers closes it
                patience, is_file = UPLOAD_SECONDS, True
            refused = await self._refuses(environ, proto, body, longest, patience)
            if refused:
                body.close()
                proto.response_bytes(*refusal(refused))
                return
        environ["wsgi.input"] = body
        if scope.path in IN_TIME:
            asked, seconds = self._asked_in_time[scope.path], IN_TIME_SECONDS
            late: Late = partial(refusal, IN_TIME[scope.path])
        else:
            asked, seconds = self._files if is_file else self._asked, PAGE_SECONDS
            late = partial(self._too_late, environ)
        answer: asyncio.Future[Answer] = loop.create_future()
        waiting = loop.call_later(seconds, lambda: _give(answer, late()))
        asked.put((environ, answer))
        if asked is self._files:
            gone = loop.create_task(_wait_for_its_end(proto, answer))
            answer.add_done_callback(lambda _answer: gone.cancel())
        with suppress(asyncio.CancelledError):  # nobody waits for it any more
            proto.response_bytes(*await answer)
        waiting.cancel()

    def _too_late(self, environ: Environ) -> Answer:
        """What is said to who has waited long: a page that asks nothing of the database."""
        body = environ["wsgi.input"]
        # Who answers may be reading it; a file is nothing that stands on a page.
        said = body.getvalue() if isinstance(body, BytesIO) and not body.closed else b""
        # Else nobody would say anything.
        with (
            suppress(Exception),
            self._app.request_context(environ | {"wsgi.input": BytesIO(said)}),
        ):
            response = pages.too_late()
            return Answer(response.status_code, list(response.headers.items()), response.data)
        return refusal(503)

    def __rsgi_del__(self, _loop: object) -> None:
        """The server ends: granian's worker processes leave out what Python does at its end."""
        telemetry.end()

    def _longest_of(self, environ: Environ) -> int:
        """How many bytes of a body somebody may send."""
        asked = environ | {"wsgi.input": BytesIO()}
        # The database may be away: then nobody may send much.
        with suppress(Exception), self._app.request_context(asked):
            return access.longest_body()
        return self._longest

    async def _refuses(
        self, environ: Environ, proto: Any, body: IO[bytes], longest: int, seconds: float
    ) -> int:
        """Hear a body; returns the status by which it is refused, 0 if it is whole.

        Granian does not say that a body broke off: its length does. One without a length, which no
        browser sends with a form, is not taken: RFC 9110, 15.5.12.
        """
        try:
            async with asyncio.timeout(seconds):
                kept = await self._hear(proto, body, longest)
        except TimeoutError:
            return 408
        if "HTTP_TRANSFER_ENCODING" in environ:
            return 411
        if kept < min(_length_of(environ), longest + 1):
            return 400
        environ["CONTENT_LENGTH"] = str(kept)
        return 0

    async def _hear(self, proto: Any, body: IO[bytes], longest: int) -> int:
        """Keep the body, or of one that is too long as much as says so; returns its length.

        Its rest is heard out: who still speaks does not hear the answer.
        """
        kept = heard = 0
        async for part in proto:
            heard += len(part)
            kept += body.write(part[: longest + 1 - kept])
            if heard > longest + MOST_HEARD:
                break
        body.seek(0)
        return kept

    def _work(self, asked: SimpleQueue[Asked]) -> None:
        """Answer requests, one after another; what each thread does."""
        while True:
            environ, answer = asked.get()
            if answer.done():  # it was refused meanwhile
                environ["wsgi.input"].close()
                continue
            try:
                given = ask(self._app, environ)
            except Exception:
                given = refusal(500)
                with suppress(Exception):  # standard error may be closed: the thread lives on
                    log.exception("request failed")
            environ["wsgi.input"].close()
            answer.get_loop().call_soon_threadsafe(_give, answer, given)


def environ_of(scope: Any) -> Environ:
    """A request as WSGI wants it, its body apart."""
    peer, _, peer_port = scope.client.rpartition(":")
    host, _, port = scope.server.rpartition(":")
    environ: Environ = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "REMOTE_ADDR": peer.strip("[]"),
        "REMOTE_PORT": peer_port,
        "SERVER_NAME": host.strip("[]"),
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope.headers.items():
        if "_" in name:
            continue
        key = name.upper().replace("-", "_")
        key = key if key in UNNAMED else f"HTTP_{key}"
        before = environ.get(key)
        environ[key] = value if before is None else f"{before}{JOINED_BY.get(key, ',')}{value}"
    return environ


def _length_of(environ: Environ) -> int:
    """How long a body says that it is."""
    said = environ.get("CONTENT_LENGTH", "0")
    return int(said) if said.isascii() and said.isdigit() else 0


def ask(app: Callable[..., Any], environ: Environ) -> Answer:
    """What a WSGI application says to a request."""
    begun: list[Any] = []

    def start_response(status: str, headers: Headers, _error: object = None) -> None:
        begun[:] = int(status[:3]), headers

    parts = app(environ, start_response)
    try:
        body = b"".join(parts)
    finally:
        close = getattr(parts, "close", None)
        if close:
            close()
    status, headers = begun
    return Answer(status, headers, body)


def refusal(status: int) -> Answer:
    """An answer that is no page, with the headers of every answer."""
    headers = {**pages.own_headers(), "Cache-Control": "no-store", "Connection": "close"}
    return Answer(status, list(headers.items()), b"")


async def _wait_for_its_end(proto: Any, answer: asyncio.Future[Answer]) -> None:
    """Have nobody make the answer once the connection it is for has ended."""
    await proto.client_disconnect()
    answer.cancel()


def _give(answer: asyncio.Future[Answer], given: Answer) -> None:
    if not answer.done():  # else nobody waits for it any more
        answer.set_result(given)
