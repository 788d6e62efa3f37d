"""SMS leave through an HTTP gateway that takes JSON (README, «The JSON gateway for SMS»)."""

import json
import socket
from contextvars import ContextVar
from http.client import HTTPResponse
from typing import Any
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from portal import config
from portal.gateways import deadline
from portal.gateways.outgoing import Outgoing, Reason, Trouble

TIMEOUT_SECONDS = 10
LONGEST_ANSWER = 64 * 1024
COME_BACK_LATER = {408, 429}
NOBODY_KNOWS = {502, 504}  # said by a proxy: what the gateway behind it did, it does not know
NOT_SENT = urllib3.exceptions.ConnectTimeoutError  # or no connection at all, which is a kind of it


_handed_over: ContextVar[Outgoing | None] = ContextVar("_handed_over", default=None)


class _Answer(HTTPResponse):
    """An answer that is over at the deadline, in whichever of its lines that finds it."""

    def __init__(self, wire: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(wire, *arguments, **named)
        self.fp.close()
        self.fp = deadline.reader(wire)


class _Connection(HTTPConnection):
    """A connection on which no step goes on behind the deadline.

    It tells one that does not come about, TLS included, from one that breaks later: only then
    nothing was said.
    """

    response_class = _Answer

    def connect(self) -> None:
        try:
            super().connect()
        except OSError as error:
            raise urllib3.exceptions.NewConnectionError(self, "no connection") from error

    def request(self, *arguments: Any, **named: Any) -> None:
        if self.sock is not None:  # kept from the last time, with what was left of it
            self.sock.settimeout(deadline.left())
        super().request(*arguments, **named)

    def send(self, data: Any) -> None:
        """Say a part of a question; the last look, for one without its end is none."""
        message = _handed_over.get()
        if message is not None:
            message.must_be_ours()
        super().send(data)

    def _new_conn(self) -> socket.socket:
        wire = super()._new_conn()
        wire.settimeout(deadline.left())  # for TLS
        return wire


class _TlsConnection(_Connection, HTTPSConnection):
    """The same, with TLS."""


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class JsonGateway:
    """A gateway at `https://…`; plain `http://` only on this computer."""

    def __init__(self, url: str, way: str = "http") -> None:
        self.way = way
        parts = urlsplit(url)
        self._url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self._headers = {"Content-Type": "application/json"}
        if parts.username:
            user, password = unquote(parts.username), unquote(parts.password or "")
            self._headers |= urllib3.make_headers(basic_auth=f"{user}:{password}")
        self._pool = new_pool()

    def send(self, message: Outgoing) -> str:
        body = {
            "id": message.id,
            "to": message.recipient,
            "text": message.text,
            "sender": config.settings.sms_sender,
        }
        try:
            status, text = ask(
                self._pool,
                self._url,
                message,
                body=json.dumps(body, ensure_ascii=False).encode(),
                headers=self._headers | {"Idempotency-Key": message.id},
            )
        except NOT_SENT as error:
            raise Trouble(Reason.UNREACHABLE) from error
        except urllib3.exceptions.HTTPError as error:
            raise Trouble(Reason.UNKNOWN) from error  # asking again with the same id is harmless
        return _judge(status, text)

    def close(self) -> None:
        self._pool.clear()


def new_pool() -> urllib3.PoolManager:
    """What asks a gateway: once, over one connection that is kept."""
    timeout = urllib3.Timeout(total=TIMEOUT_SECONDS)
    pool = urllib3.PoolManager(maxsize=1, retries=False, timeout=timeout)
    pool.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return pool


def ask(
    pool: urllib3.PoolManager, url: str, message: Outgoing | None = None, **what: Any
) -> tuple[int, bytes]:
    """Post a question; returns the status and the text of the answer.

    Where it hands a message over, that has to be ours until the last of it is said. Raises
    HTTPError where no answer came in time, whatever came instead, and NOT_SENT of its kinds where
    nothing was said to anybody.
    """
    before = _handed_over.set(message)
    try:
        with deadline.within(TIMEOUT_SECONDS):
            answer = pool.request("POST", url, redirect=False, preload_content=False, **what)
            return answer.status, _read(answer)
    finally:
        _handed_over.reset(before)


def _read(answer: urllib3.BaseHTTPResponse) -> bytes:
    """The text of an answer; one that is too long is cut short."""
    text = b""
    try:
        while part := answer.read1(LONGEST_ANSWER):
            text += part
            if len(text) > LONGEST_ANSWER:
                raise urllib3.exceptions.TimeoutError
    finally:
        answer.close()  # a connection whose answer was read to its end is back in the pool
    return text


def _judge(status: int, text: bytes) -> str:
    if 400 <= status < 500 and status not in COME_BACK_LATER:
        raise Trouble(Reason.REFUSED, permanent=True)
    if status in NOBODY_KNOWS:
        raise Trouble(Reason.UNKNOWN)
    if not 200 <= status < 300:
        raise Trouble(Reason.BUSY)
    try:
        known_as = json.loads(text)["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        known_as = None
    if not isinstance(known_as, str | int) or not str(known_as).isprintable() or known_as == "":
        raise Trouble(Reason.UNKNOWN)
    return str(known_as)
