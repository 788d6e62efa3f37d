"""The mail server and the SMS gateway of a house: they keep what they took, and have bad days."""

from __future__ import annotations

import asyncio
import json
import random
import re
import threading
import time
from collections import defaultdict
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.servers import DROP, HANG, HOST, MailServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

LINK = re.compile(r"https?://[^/\s]+(/\S+)")
LONGEST_HANG = 60  # seconds
GREYLISTED = "451 4.7.1 come back later"
HARD_REFUSAL = "550 5.7.1 we do not like you"


class Taken(NamedTuple):
    """A message that a far end took: whatever its answer became of, somebody may read it."""

    id: str
    recipient: str
    text: str  # of an SMS its code, of a letter the path of its link
    at: datetime
    peer: int  # the port of the connection that it came by: each worker has one


class Box:
    """All that one far end took, in order."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.taken: list[Taken] = []
        self.spoiled: list[str] = []  # the same id, and something else in it
        self._now = now
        self._of: dict[str, list[Taken]] = defaultdict(list)
        self._by_id: dict[str, tuple[str, str]] = {}
        self._news = threading.Condition()

    def take(self, id: str, recipient: str, text: str, peer: int) -> None:
        with self._news:
            taken = Taken(id, recipient, text, self._now(), peer)
            if self._by_id.setdefault(id, (recipient, text)) != (recipient, text):
                self.spoiled.append(id)
            self.taken.append(taken)
            self._of[recipient].append(taken)
            self._news.notify_all()

    def newest(self, recipient: str, beginning: str = "", *, but: set[str]) -> Taken | None:
        """The newest message to somebody whose text begins so and whose id is not known yet."""
        with self._news:
            return self._newest(recipient, beginning, but)

    def wait(
        self, recipient: str, beginning: str = "", *, but: set[str], seconds: float
    ) -> Taken | None:
        """The same, once there is one; None if none came in time."""
        with self._news:
            self._news.wait_for(lambda: self._newest(recipient, beginning, but), seconds)
            return self._newest(recipient, beginning, but)

    def wait_for_one_more(self, seconds: float) -> bool:
        """Wait until another message comes; False if none did."""
        with self._news:
            before = len(self.taken)
            return self._news.wait_for(lambda: len(self.taken) > before, seconds)

    def _newest(self, recipient: str, beginning: str, but: set[str]) -> Taken | None:
        for each in reversed(self._of.get(recipient, [])):
            if each.text.startswith(beginning) and each.id not in but:
                return each
        return None


class Mail(MailServer):
    """A mail server. `seconds` is how long it takes for a letter."""

    def __init__(self, box: Box) -> None:
        super().__init__()
        self.box = box
        self.seconds = 0.0
        self.greylists = False
        self.loses = 0.0  # of how many letters that it took the answer is lost
        self._met: set[str] = set()

    async def handle_RCPT(  # noqa: N802 - the names are those of aiosmtpd
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if self.greylists and address not in self._met:
            self._met.add(address)
            return GREYLISTED
        return await super().handle_RCPT(server, session, envelope, address, options)

    async def handle_DATA(  # noqa: N802
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        mood = await self._mood(server, "DATA")
        if mood is not None:
            return mood
        letter = message_from_bytes(envelope.content)
        part = next(each for each in letter.walk() if each.get_content_type() == "text/plain")
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        found = LINK.search(content.decode())
        id = str(letter["Message-ID"]).strip("<>").partition("@")[0]
        text = found[1] if found else ""
        self.box.take(id, envelope.rcpt_tos[0], text, session.peer[1])
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if random.random() < self.loses:
            server.transport.abort()
        return "250 OK"


class Sms:
    """A gateway for SMS that speaks JSON. `answer` is what it says without taking anything."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.seconds = 0.0
        self.answer: int | str | None = None  # a status, DROP, or HANG; None: it takes all
        self.loses = 0.0
        self.woken = threading.Event()
        self._server: _Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}/send"

    def start(self) -> None:
        self.woken.clear()
        server = self._server = _Server((HOST, self._port), _Handler)
        self._port = server.server_port
        server.gateway = self
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self.woken.set()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    gateway: Sms

    def handle_error(self, request: object, client_address: object) -> None:
        """Who asked may have been killed."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        gateway = self.server.gateway
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = gateway.answer
        if isinstance(answer, str):
            self.close_connection = True
            if answer == HANG:
                gateway.woken.wait(LONGEST_HANG)
            return
        if answer is None:
            assert said["id"] == self.headers["Idempotency-Key"]
            gateway.box.take(said["id"], said["to"], said["text"][:6], self.client_address[1])
            if random.random() < gateway.loses:
                self.close_connection = True
                return
        if gateway.seconds:
            time.sleep(gateway.seconds)
        text = json.dumps({"id": f"g-{said['id']}"}).encode()
        self.send_response(answer or 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


__all__ = ["DROP", "GREYLISTED", "HANG", "HARD_REFUSAL", "HOST", "Box", "Mail", "Sms", "Taken"]
