"""SMS, as they come to a real HTTP gateway (interfaces.md, «The JSON gateway for SMS»)."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from portal import config, gateways, outbox, readers
from portal.database import db
from portal.gateways import Outgoing, Reason, Trouble, http_sms
from portal.gateways.http_sms import JsonGateway
from tests import servers
from tests.conftest import LOMOVA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from tests.servers import Authority, SmsGateway

pytest_plugins = ["tests.wires"]
pytestmark = pytest.mark.usefixtures("app")

MOST_SIGNS = 134  # two parts of 67 UCS-2 characters
OUTGOING = Outgoing(
    id="AbCdEfGhIjKlMnOpQrStUv",
    recipient=LOMOVA.phone,
    subject="",
    text="012345 — код для ИЗКТ.\n\n@portal.example #012345",
    html="",
    posted_at=datetime(2026, 11, 21, 11, 2, tzinfo=UTC),
)


@pytest.fixture
def gateway(sms_gateway: SmsGateway) -> Iterator[JsonGateway]:
    gateway = JsonGateway(sms_gateway.url())
    yield gateway
    gateway.close()


def refused(gateway: JsonGateway) -> tuple[Reason, bool]:
    """Why an SMS does not leave, and whether it never will."""
    with pytest.raises(Trouble) as caught:
        gateway.send(OUTGOING)
    return caught.value.reason, caught.value.permanent


def test_an_sms_is_asked_for_as_the_interface_says(
    gateway: JsonGateway, sms_gateway: SmsGateway
) -> None:
    assert gateway.send(OUTGOING) == "g-1"
    [asked] = sms_gateway.asked
    assert (asked.method, asked.path) == ("POST", "/send?way=2")
    assert asked.headers["content-type"] == "application/json"
    assert asked.headers["idempotency-key"] == OUTGOING.id
    assert asked.body == {
        "id": OUTGOING.id,
        "to": "+79215550147",
        "text": OUTGOING.text,
        "sender": "IZKT",
    }


def test_many_sms_leave_through_one_connection(
    gateway: JsonGateway, sms_gateway: SmsGateway
) -> None:
    for number in range(20):
        gateway.send(replace(OUTGOING, id=f"message {number}"))
    assert len(sms_gateway.asked) == 20
    assert sms_gateway.connections == 1


def test_the_portal_signs_in_and_tells_nobody_in_the_address(sms_gateway: SmsGateway) -> None:
    gateway = JsonGateway(sms_gateway.url("izkt:p%40ss%3Aword@"))
    gateway.send(OUTGOING)
    gateway.close()
    [asked] = sms_gateway.asked
    assert asked.headers["authorization"] == "Basic " + b64encode(b"izkt:p@ss:word").decode()
    assert "ss" not in asked.path
    assert "@" not in asked.headers["host"]


@pytest.mark.parametrize(
    ("status", "reason", "permanent"),
    [
        (400, Reason.REFUSED, True),
        (401, Reason.REFUSED, True),
        (404, Reason.REFUSED, True),
        (422, Reason.REFUSED, True),
        (408, Reason.BUSY, False),
        (429, Reason.BUSY, False),
        (500, Reason.BUSY, False),
        (503, Reason.BUSY, False),
        (502, Reason.UNKNOWN, False),
        (504, Reason.UNKNOWN, False),
        (302, Reason.BUSY, False),
        (307, Reason.BUSY, False),
    ],
)
def test_only_4xx_refuses_an_sms_for_good(
    gateway: JsonGateway, sms_gateway: SmsGateway, status: int, reason: Reason, permanent: bool
) -> None:
    sms_gateway.answers.append((status, {"id": "g-7", "error": "no"}))
    assert refused(gateway) == (reason, permanent)
    assert gateway.send(OUTGOING) == "g-2"
    assert [asked.path for asked in sms_gateway.asked] == ["/send?way=2"] * 2


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"id": None},
        {"id": ""},
        {"id": ["g-1"]},
        {"id": "g\n1"},
        {"id": "\ud800"},
        [],
        "g-1",
        b"",
        b"accepted",
        b"\xff\xfe",
        b"[" * 60_000,
    ],
)
def test_an_answer_without_an_id_is_no_acceptance(
    gateway: JsonGateway, sms_gateway: SmsGateway, body: Any
) -> None:
    sms_gateway.answers.append((200, body))
    assert refused(gateway) == (Reason.UNKNOWN, False)
    assert gateway.send(OUTGOING) == "g-2"
    assert sms_gateway.asked[0] == sms_gateway.asked[1], "the same id, the same words"


@pytest.mark.parametrize("status", [200, 201, 202])
def test_an_id_may_be_a_number(gateway: JsonGateway, sms_gateway: SmsGateway, status: int) -> None:
    sms_gateway.answers.append((status, {"id": 7001}))
    assert gateway.send(OUTGOING) == "7001"


@pytest.mark.parametrize("mood", [servers.DROP, servers.HANG, servers.TRICKLE])
def test_a_gateway_that_drops_hangs_or_does_not_end_is_tried_again(
    sms_gateway: SmsGateway, monkeypatch: pytest.MonkeyPatch, mood: str
) -> None:
    with monkeypatch.context() as hurried:
        hurried.setattr(http_sms, "TIMEOUT_SECONDS", 0.5)
        gateway = JsonGateway(sms_gateway.url())
        sms_gateway.answers.append(mood)
        assert refused(gateway) == (Reason.UNKNOWN, False)
        gateway.close()
    patient = JsonGateway(sms_gateway.url())
    assert patient.send(OUTGOING) == "g-2"
    patient.close()


IN_DROPS = {
    "status": (b"HTTP/1.1 200 ", b"O"),
    "headers": (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"."),
    "go on": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", b" "),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"),
}


@pytest.mark.parametrize(("begun", "again"), IN_DROPS.values(), ids=IN_DROPS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_who_answers_in_drops_is_given_up_in_time(
    scheme: str, trusted: Authority, monkeypatch: pytest.MonkeyPatch, begun: bytes, again: bytes
) -> None:
    monkeypatch.setattr(http_sms, "TIMEOUT_SECONDS", 0.5)
    given_up = []

    def drip_in_tls(wire: socket.socket) -> None:
        with trusted.server().wrap_socket(wire, server_side=True) as tls:
            given_up.append(_talk_on(tls, begun, again))

    def drip_in_the_clear(wire: socket.socket) -> None:
        given_up.append(_talk_on(wire, begun, again))

    answer = drip_in_tls if scheme == "https" else drip_in_the_clear
    with answering_once(answer, scheme) as url:
        assert refused(JsonGateway(url)) == (Reason.UNKNOWN, False)
    assert given_up == [True]


def _talk_on(wire: socket.socket, begun: bytes, again: bytes) -> bool:
    """Answer with something, then the other again and again; whether the other side hung up."""
    until = time.monotonic() + 5
    with contextlib.suppress(OSError):
        assert wire.recv(65536)
        wire.sendall(begun)
        while time.monotonic() < until:
            wire.sendall(again)
            time.sleep(0.05)
        return False
    return True


@pytest.mark.parametrize("begun", [each for each, _again in IN_DROPS.values()], ids=IN_DROPS)
def test_who_says_more_than_anybody_hears_is_given_up_at_once(begun: bytes) -> None:
    def flood(wire: socket.socket) -> None:
        wire.recv(65536)
        with contextlib.suppress(OSError):
            for _ in range(100):
                wire.sendall((begun or b"HTTP/1.1 100 Continue\r\n\r\n") + b"x" * 60_000)

    began = time.monotonic()
    with answering_once(flood, "http") as url:
        assert refused(JsonGateway(url)) == (Reason.UNKNOWN, False)
    assert time.monotonic() - began < http_sms.TIMEOUT_SECONDS


def test_tls_that_comes_in_drops_was_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_sms, "TIMEOUT_SECONDS", 0.5)
    given_up = []

    def drip(wire: socket.socket) -> None:
        given_up.append(_talk_on(wire, b"\x16\x03\x03\x20\x00", b"\0"))

    with answering_once(drip) as url:
        assert refused(JsonGateway(url)) == (Reason.UNREACHABLE, False)
    assert given_up == [True]


def test_an_answer_that_is_too_long_is_cut_short(
    gateway: JsonGateway, sms_gateway: SmsGateway
) -> None:
    sms_gateway.answers.append((200, b'{"id": "g-1"}' + b" " * 1_000_000))
    assert refused(gateway) == (Reason.UNKNOWN, False)
    assert gateway.send(OUTGOING) == "g-2"


def test_a_gateway_that_is_not_there_is_tried_again(
    gateway: JsonGateway, sms_gateway: SmsGateway
) -> None:
    gateway.send(OUTGOING)
    sms_gateway.stop()
    gateway.close()
    assert refused(gateway) == (Reason.UNREACHABLE, False)


def test_an_sms_leaves_through_tls(
    trusted: Authority, new_sms_gateway: Callable[..., SmsGateway]
) -> None:
    gateway = JsonGateway(new_sms_gateway(trusted.server()).url())
    assert gateway.send(OUTGOING) == "g-1"
    gateway.close()


def test_a_certificate_of_nobody_known_is_refused(
    authority: Authority, new_sms_gateway: Callable[..., SmsGateway]
) -> None:
    server = new_sms_gateway(authority.server())
    assert refused(JsonGateway(server.url())) == (Reason.UNREACHABLE, False)
    assert not server.asked


def test_a_certificate_of_another_name_is_refused(
    trusted: Authority, new_sms_gateway: Callable[..., SmsGateway]
) -> None:
    server = new_sms_gateway(trusted.server("sms.example"))
    assert refused(JsonGateway(server.url())) == (Reason.UNREACHABLE, False)
    assert not server.asked


def test_a_server_without_tls_was_told_nothing() -> None:
    with answering_once(lambda wire: wire.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as url:
        assert refused(JsonGateway(url)) == (Reason.UNREACHABLE, False)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"])
def test_tls_that_breaks_behind_an_sms_leaves_it_unknown(trusted: Authority, said: bytes) -> None:
    """It may have left: no other gateway may send it."""
    context = trusted.server()

    def break_off(wire: socket.socket) -> None:
        with wire.dup() as below, context.wrap_socket(wire, server_side=True) as tls:
            assert b"Idempotency-Key" in tls.recv(65536)
            tls.sendall(said)
            below.sendall(b"no record of TLS")

    with answering_once(break_off) as url:
        assert refused(JsonGateway(url)) == (Reason.UNKNOWN, False)


@contextlib.contextmanager
def answering_once(answer: Callable[[socket.socket], None], scheme: str = "https") -> Iterator[str]:
    """A server of which every byte is the test's to say."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:

        def serve() -> None:
            wire, _address = listener.accept()
            with wire:
                answer(wire)

        served = thread.submit(serve)
        yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/"
        served.result(timeout=30)


def test_the_settings_choose_the_gateway(
    app: Flask, environment: dict[str, str], sms_gateway: SmsGateway
) -> None:
    config.use(
        config.load(
            environment | {"PORTAL_SMS_URL": sms_gateway.url(), "PORTAL_SMS_SENDER": "TAHO"}
        )
    )
    gateway = gateways.choose("sms")
    gateway.send(OUTGOING)
    gateway.close()
    assert sms_gateway.asked[0].body["sender"] == "TAHO"


# What an SMS says


@pytest.fixture
def texted(
    app: Flask,
    keep: Callable[..., None],
    environment: dict[str, str],
    gateway: JsonGateway,
    sms_gateway: SmsGateway,
) -> Callable[..., str]:
    """Post a code from a portal of that address, and read the SMS at the far end."""
    keep()

    def read(base_url: str = "https://portal.taho-kart.ru", code: str = "012345") -> str:
        urls = {"PORTAL_MAIL_URL": "smtp://mail.example", "PORTAL_SMS_URL": sms_gateway.url()}
        config.use(config.load(environment | urls | {"PORTAL_BASE_URL": base_url}))
        app.jinja_env.globals["settings"] = config.settings
        with db.writing():
            outbox.post("sms", "code", LOMOVA.phone, "ORG-004217", code=code)
            db.commit()
        outbox.deliver_due("sms", gateway)
        return str(sms_gateway.asked[-1].body["text"])

    return read


def test_an_sms_begins_with_its_code(texted: Callable[..., str]) -> None:
    assert texted(code="004217").startswith("004217 ")


def test_the_last_line_of_an_sms_is_for_autofill(texted: Callable[..., str]) -> None:
    lines = texted("https://portal.taho-kart.ru:8443").splitlines()
    assert lines[-1] == "@portal.taho-kart.ru #012345"
    assert re.fullmatch(r"@\S+ #\d{6}", lines[-1])
    assert [number for number, line in enumerate(lines) if "@" in line] == [len(lines) - 1]


def test_an_sms_fits_two_parts_whatever_the_host(texted: Callable[..., str]) -> None:
    host = ("a" * 60 + ".portal.example.ru")[: readers.LONGEST_HOST].rstrip(".")
    longest = host + "x" * (readers.LONGEST_HOST - len(host))
    text = texted(f"https://{longest}")
    assert longest in text
    assert len(text.encode("utf-16-be")) // 2 == MOST_SIGNS, "not one character is given away"
    assert len(texted()) <= MOST_SIGNS
