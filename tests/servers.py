"""What is at the far end of the wires: a mail server, an SMS gateway, and their certificates."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import json
import socket
import ssl
import threading
import warnings
from collections import deque
from dataclasses import dataclass
from email import message_from_bytes, policy
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast

from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import select

from portal import journal, outbox
from portal.database import db
from tests.ports import free_port

if TYPE_CHECKING:
    from email.message import EmailMessage
    from pathlib import Path

HOST = "127.0.0.1"
DROP = "drop"  # the other side lets go of the connection
HANG = "hang"  # it says nothing any more
LOSE = "lose"  # it takes the letter, and the answer is lost
TRICKLE = "trickle"  # it says something, for ever
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Letter:
    """A letter as it came over the wire."""

    sender: str
    recipients: list[str]
    raw: bytes

    @cached_property
    def headers(self) -> EmailMessage:
        return message_from_bytes(self.raw, policy=policy.default)

    @property
    def text(self) -> str:
        return self._part("plain")

    @property
    def html(self) -> str:
        return self._part("html")

    def _part(self, kind: str) -> str:
        part = self.headers.get_body((kind,))
        assert part is not None
        return str(part.get_content())


class MailServer:
    """An SMTP server in a thread. `moods` says what it does at a command or for a recipient."""

    def __init__(self, tls: ssl.SSLContext | None = None, starttls: bool = False) -> None:
        self.letters: list[Letter] = []
        self.connections = 0
        self.moods: dict[str, str] = {}  # a reply, DROP or HANG
        self.logins: dict[str, str] = {}
        self.greetings: list[str] = []
        self.without: list[str] = []  # ways to sign in that it does not offer
        self.signed_in: list[str] = []  # by which way
        self._tls, self._starttls = tls, starttls
        self._port = free_port()
        self._open: set[SMTP] = set()

    def url(self, scheme: str = "smtp", login: str = "") -> str:
        return f"{scheme}://{login}{HOST}:{self._port}"

    def start(self) -> None:
        listener = socket.create_server((HOST, self._port))
        self._loop, ready = asyncio.new_event_loop(), threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listener, ready), daemon=True)
        self._thread.start()
        assert ready.wait(60)

    def stop(self) -> None:
        if self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def restart(self) -> None:
        self.stop()
        self.start()

    def hang_up(self) -> None:
        """Let go of every connection, as a server does with those that are idle."""

        asyncio.run_coroutine_threadsafe(self._abort(), self._loop).result(60)

    def to(self, recipient: str) -> list[Letter]:
        return [each for each in self.letters if recipient in each.recipients]

    def _run(self, listener: socket.socket, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        implicit = None if self._starttls else self._tls
        server = self._loop.run_until_complete(
            self._loop.create_server(self._answer, sock=listener, ssl=implicit)
        )
        self._loop.call_soon(ready.set)
        self._loop.run_forever()
        self._loop.run_until_complete(self._end(server))
        self._loop.close()

    async def _end(self, server: asyncio.AbstractServer) -> None:
        server.close()
        await self._abort()
        left = asyncio.all_tasks() - {cast("asyncio.Task[Any]", asyncio.current_task())}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _abort(self) -> None:
        for each in self._open:
            if each.transport is not None:
                cast("asyncio.Transport", each.transport).abort()
        self._open.clear()

    def _answer(self) -> SMTP:
        self.connections += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # it sees no TLS but of STARTTLS
            connection = self._connection()
        self._open.add(connection)
        return connection

    def _connection(self) -> SMTP:
        return SMTP(
            self,
            loop=self._loop,
            hostname="mail.example",
            ident="tests",
            tls_context=self._tls if self._starttls else None,
            require_starttls=self._starttls,
            auth_required=bool(self.logins),
            authenticator=self._authenticate,
            auth_require_tls=self._starttls or not self._tls,
            auth_exclude_mechanism=self.without,
        )

    def _authenticate(
        self, server: object, session: object, envelope: object, mechanism: str, data: Any
    ) -> AuthResult:
        self.signed_in.append(mechanism)
        known = self.logins.get(data.login.decode()) == data.password.decode()
        return AuthResult(success=known, handled=False)

    async def _mood(self, server: Any, *places: str) -> str | None:
        mood = next((self.moods[place] for place in places if place in self.moods), None)
        if mood == DROP:
            server.transport.abort()
            return "421 gone"
        if mood == HANG:
            await asyncio.sleep(60)
        return mood

    async def handle_EHLO(  # noqa: N802 - the names are those of aiosmtpd
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        self.greetings.append(hostname)
        mood = await self._mood(server, "EHLO")
        return [mood] if mood else responses

    async def handle_HELO(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, hostname: str
    ) -> str:
        session.host_name = hostname
        return await self._mood(server, "EHLO") or "250 mail.example"

    async def handle_MAIL(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return await self._mood(server, "MAIL") or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        mood = await self._mood(server, address, "RCPT")
        if mood is None:
            envelope.rcpt_tos.append(address)
        return mood or "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        mood = await self._mood(server, "DATA")
        if mood in {None, LOSE}:
            letter = Letter(envelope.mail_from, envelope.rcpt_tos, envelope.content)
            self.letters.append(letter)
        if mood == LOSE:
            server.transport.abort()
            self.moods.clear()
        return mood or "250 OK"


@dataclass(frozen=True)
class Asked:
    """One request that came to the SMS gateway."""

    method: str
    path: str
    headers: dict[str, str]  # names in small letters
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.raw or b"{}"))


class SmsGateway:
    """The JSON gateway for SMS in a thread. `answers` are given in order, then all is accepted."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[Asked] = []
        self.connections = 0
        self.answers: deque[tuple[int, Any] | str] = deque()  # a status with a body, or a mood
        self.usual: tuple[int, Any] | None = None  # what it answers else; None: it takes all
        self.came = threading.Event()
        self._let_go = threading.Event()
        self._server = _Server((HOST, free_port()), _Handler)
        self._server.gateway = self
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._scheme = "https" if tls else "http"

    def url(self, login: str = "") -> str:
        return f"{self._scheme}://{login}{HOST}:{self._server.server_port}/send?way=2"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.let_go()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def next_answer(self) -> tuple[int, Any] | str:
        if self.answers:
            return self.answers.popleft()
        return self.usual or (200, {"id": f"g-{len(self.asked)}"})

    def wait(self, seconds: float) -> bool:
        """Wait, as a gateway that hangs does; true once it was let go."""
        return self._let_go.wait(seconds)

    def let_go(self) -> None:
        """End every request that hangs."""
        self._let_go.set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    gateway: SmsGateway

    def handle_error(self, request: object, client_address: object) -> None:
        """Who asked may have gone by now."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        self.server.gateway.connections += 1
        super().setup()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        gateway = self.server.gateway
        raw = self.rfile.read(int(self.headers["Content-Length"] or 0))
        gateway.asked.append(
            Asked(
                self.command,
                self.path,
                {name.lower(): value for name, value in self.headers.items()},
                raw,
            )
        )
        answer = gateway.next_answer()
        gateway.came.set()
        if isinstance(answer, str):
            self._misbehave(answer)
            return
        status, words = answer
        text = words if isinstance(words, bytes) else json.dumps(words).encode()
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _misbehave(self, mood: str) -> None:
        gateway, self.close_connection = self.server.gateway, True
        if mood == HANG:
            gateway.wait(60)
        elif mood == TRICKLE:
            self.send_response(200)
            self.end_headers()
            with contextlib.suppress(OSError):
                while not gateway.wait(0.02):
                    self.wfile.write(b" ")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Authority:
    """Makes certificates for the servers of the tests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of the tests")])
        certificate = (
            self._begin(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / "authority.pem"
        self.file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def server(self, host: str = HOST, days: int = 1) -> ssl.SSLContext:
        """What a server of that name needs; a certificate of -1 days ended yesterday."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A server of the tests")])
        certificate = (
            self._begin(name, key.public_key(), days)
            .add_extension(x509.SubjectAlternativeName([_general(host)]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        file = self._folder / f"{host} {days}.pem"
        file.write_bytes(
            certificate.public_bytes(Encoding.PEM)
            + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _begin(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, days: int = 1
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 3 * DAY)
            .not_valid_after(now + days * DAY)
        )


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def message(id: str) -> Any:
    """The row of a message."""
    with db.reading():
        return db.one(select(outbox.messages).where(outbox.messages.c.id == id))


def newest(letter: str) -> Any:
    """The row of the message that was posted last with that letter."""
    with db.reading():
        return db.one(
            select(outbox.messages)
            .where(outbox.messages.c.letter == letter)
            .order_by(outbox.messages.c.posted_at.desc())
        )


_BY_DELIVERY = (
    select(journal.events).where(journal.events.c.actor == "delivery").order_by(journal.events.c.id)
)


def events(id: str) -> list[tuple[str, str | None]]:
    """What the journal says of a message's delivery: names, with the reason if there is one."""
    with db.reading():
        rows = db.all(_BY_DELIVERY)
    details = [(row.name, json.loads(row.details)) for row in rows]
    return [(name, what.get("reason")) for name, what in details if what["message"] == id]
