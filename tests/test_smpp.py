"""SMS by SMPP, as they come to an SMSC that is not built on the library that the portal uses."""

from __future__ import annotations

import contextlib
import socket
import time as real_time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import smpp34

from portal import clock, config, gateways, history, outbox
from portal.database import db
from portal.gateways import Outgoing, Reason, Receipt, Trouble, smpp, smpp_wire
from portal.gateways.smpp import Smpp
from portal.gateways.sms_parts import parts_of
from portal.outbox import State
from tests import operators
from tests.conftest import LOMOVA
from tests.operators import Operator
from tests.servers import events, message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from flask import Flask

    from tests.browser import Browser
    from tests.conftest import Post, Time
    from tests.servers import Authority

pytest_plugins = ["tests.wires"]
pytestmark = pytest.mark.usefixtures("app")

OUTGOING = Outgoing(
    id="AbCdEfGhIjKlMnOpQrStUv",
    recipient=LOMOVA.phone,
    subject="",
    text="012345 — код для ИЗКТ.\n\n@portal.example #012345",
    html="",
    posted_at=datetime(2026, 11, 21, 11, 2, tzinfo=UTC),
)
SUBMIT_SM, DELIVER_SM, BIND_TRANSCEIVER, DATA_SM = 0x04, 0x05, 0x09, 0x103
ENQUIRE_LINK, BIND_TRANSCEIVER_RESP = 0x15, 0x8000_0009
LONG = replace(OUTGOING, text="Доступ к порталу ИЗКТ восстановлен, сообщите в поддержку. 🙂 " * 6)


@pytest.fixture
def new_operator() -> Iterator[Callable[..., Operator]]:
    """Start an SMSC, with or without TLS."""
    with contextlib.ExitStack() as stack:

        def start(tls: Any = None) -> Operator:
            operator = Operator(tls)
            operator.start()
            stack.callback(operator.stop)
            return operator

        yield start


@pytest.fixture
def operator(new_operator: Callable[..., Operator]) -> Operator:
    return new_operator()


@pytest.fixture
def gateway(operator: Operator) -> Iterator[Smpp]:
    gateway = Smpp(operator.url())
    yield gateway
    gateway.close()


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for longer than a moment."""
    monkeypatch.setattr(smpp_wire, "ANSWER_SECONDS", 1)
    monkeypatch.setattr(smpp_wire, "TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(smpp, "BOUND_AGAIN_SECONDS", (0,))


def refused(gateway: Smpp, outgoing: Outgoing = OUTGOING) -> tuple[Reason, bool]:
    """Why an SMS does not leave, and whether it is never tried again."""
    with pytest.raises(Trouble) as caught:
        gateway.send(outgoing)
    return caught.value.reason, caught.value.permanent


def heard(gateway: Smpp, coming: Future[Any] | None = None) -> list[Receipt]:
    """What the gateway hears by itself; that which is coming at least."""
    receipts: list[Receipt] = []

    def keep(some: list[Receipt]) -> list[Receipt]:
        receipts.extend(some)
        return []

    until = real_time.monotonic() + 5
    gateway.listen(keep)
    while coming is not None and not coming.done() and real_time.monotonic() < until:
        real_time.sleep(0.005)
        gateway.listen(keep)
    assert coming is None or coming.result(0).is_success
    return receipts


# Messages


def test_an_sms_is_handed_over_as_the_operator_needs_it(gateway: Smpp, operator: Operator) -> None:
    assert gateway.send(OUTGOING) == "m-1"
    [part] = operator.parts
    assert part.text == OUTGOING.text
    assert part.sender == (5, 0, "IZKT"), "a word"
    assert part.to == (1, 1, "79215550147"), "an international number"
    assert part.receipt == 1
    assert operator.binds == [("izkt", "secret")]


@pytest.mark.parametrize(
    ("sender", "kind"), [("TAHO", (5, 0)), ("2345", (3, 0)), ("79215550000", (1, 1))]
)
def test_the_url_names_the_sender(operator: Operator, sender: str, kind: tuple[int, int]) -> None:
    gateway = Smpp(operator.url(query=f"?sender={sender}"))
    gateway.send(OUTGOING)
    gateway.close()
    assert operator.parts[0].sender == (*kind, sender)


def test_two_messages_leave_by_one_bind(gateway: Smpp, operator: Operator) -> None:
    assert gateway.send(OUTGOING) == "m-1"
    assert gateway.send(replace(OUTGOING, id="another", text="All in Latin")) == "m-2"
    assert len(operator.binds) == 1
    assert operator.parts[1].coding == 0, "the network's own alphabet, where it has every letter"
    assert operator.parts[1].text == "All in Latin"


def test_a_long_text_arrives_whole(gateway: Smpp, operator: Operator) -> None:
    assert gateway.send(LONG) == f"m-{len(operator.parts)}", "the id of the last part"
    assert len(operator.parts) > 5
    assert operator.texts == [LONG.text]
    assert [part.receipt for part in operator.parts] == [0] * (len(operator.parts) - 1) + [1]


def test_a_code_takes_two_parts_and_no_more() -> None:
    assert len(parts_of("к" * 70, "id")) == 1
    assert len(parts_of("к" * 134, "id")) == 2
    assert len(parts_of("к" * 135, "id")) == 3
    assert len(parts_of("k" * 160, "id")) == 1
    assert len(parts_of("k" * 306, "id")) == 2


def test_no_character_is_taken_apart() -> None:
    text = "к" * 66 + "🙂" + "к" * 66
    assert [part.octets[6:].decode("utf-16-be") for part in parts_of(text, "id")] == [
        "к" * 66,
        "🙂" + "к" * 65,
        "к",
    ]
    brackets = "k" * 152 + "{}" + "k" * 10  # two septets each
    assert [part.octets[6:].count(0x1B) for part in parts_of(brackets, "id")] == [0, 2]


@pytest.mark.parametrize("sign", ["`", "\x1b", "Ж", "«", "—"])
def test_what_the_network_has_no_sign_for_goes_in_unicode(sign: str) -> None:
    [part] = parts_of(f"a{sign}b", "id")
    assert part.octets.decode("utf-16-be") == f"a{sign}b"


def test_the_same_message_has_the_same_parts_each_time() -> None:
    assert parts_of(LONG.text, "one") == parts_of(LONG.text, "one")
    assert parts_of(LONG.text, "one") != parts_of(LONG.text, "two")


def test_the_operator_does_not_try_longer_than_the_code_works(
    gateway: Smpp, operator: Operator, time: Time
) -> None:
    time.passes(seconds=1)
    until = clock.now() + timedelta(minutes=10)
    gateway.send(replace(OUTGOING, useful_until=until))
    assert (
        smpp._validity(clock.now() + timedelta(hours=25, minutes=1, seconds=1))[:9] == "000001010"
    )
    assert smpp._validity(clock.now() - timedelta(hours=1)) == "000000000100000R"
    assert smpp._validity(None) == ""
    assert operator.texts == [OUTGOING.text]


# What the operator may answer


@pytest.mark.parametrize(
    ("status", "reason", "permanent"),
    [
        (operators.BAD_NUMBER, Reason.REFUSED, True),
        (operators.BAD_SENDER, Reason.MISCONFIGURED, False),
        (operators.SYSTEM_ERROR, Reason.BUSY, False),
        (operators.QUEUE_FULL, Reason.BUSY, False),
        (operators.THROTTLED, Reason.BUSY, False),
        (operators.OF_THE_VENDOR, Reason.BUSY, False),
    ],
)
def test_a_message_that_is_refused_is_not_taken(
    gateway: Smpp,
    operator: Operator,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    reason: Reason,
    permanent: bool,
) -> None:
    monkeypatch.setattr(smpp, "PAUSE_SECONDS", 0.01)
    operator.answers.append(status)
    assert refused(gateway) == (reason, permanent)
    assert gateway.send(OUTGOING) == "m-1"
    assert len(operator.binds) == 1


def test_who_was_too_fast_is_silent_for_a_while(
    gateway: Smpp, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smpp, "PAUSE_SECONDS", 0.3)
    operator.answers.append(operators.THROTTLED)
    began = real_time.monotonic()
    assert refused(gateway) == (Reason.BUSY, False)
    assert gateway.send(OUTGOING) == "m-1"
    assert real_time.monotonic() - began >= 0.3


def test_a_message_goes_on_where_it_was_interrupted(
    gateway: Smpp, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smpp, "PAUSE_SECONDS", 0.01)
    operator.answers.extend([0, 0, operators.THROTTLED])
    assert refused(gateway, LONG) == (Reason.UNKNOWN, False), "no other way may begin it anew"
    gateway.send(LONG)
    assert operator.texts == [LONG.text]
    places = [part.place[2] for part in operator.parts if part.place]
    assert places == list(range(1, len(places) + 1)), "no part left twice"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (operators.BAD_PASSWORD, Reason.MISCONFIGURED),
        (operators.ALREADY_BOUND, Reason.BUSY),
        (operators.THROTTLED, Reason.BUSY),
    ],
)
def test_a_bind_that_is_refused_refuses_no_message_for_good(
    gateway: Smpp, operator: Operator, monkeypatch: pytest.MonkeyPatch, status: int, reason: Reason
) -> None:
    monkeypatch.setattr(smpp, "PAUSE_SECONDS", 0.01)
    operator.refuses_bind = status
    assert refused(gateway) == (reason, False)
    operator.refuses_bind = 0
    assert gateway.send(OUTGOING) == "m-1"


# Connections


def test_an_sms_leaves_through_tls(
    trusted: Authority, new_operator: Callable[..., Operator]
) -> None:
    operator = new_operator(trusted.server())
    gateway = Smpp(operator.url())
    gateway.send(LONG)
    coming = operator.sends("m-1", "DELIVRD")
    assert [each.known_as for each in heard(gateway, coming)] == ["m-1"]
    gateway.close()
    assert operator.texts == [LONG.text]


@pytest.mark.parametrize(("host", "days"), [("sms.example", 1), (operators.HOST, -1)])
def test_a_certificate_of_another_name_or_of_yesterday_is_refused(
    trusted: Authority, new_operator: Callable[..., Operator], host: str, days: int
) -> None:
    operator = new_operator(trusted.server(host, days))
    assert refused(Smpp(operator.url())) == (Reason.MISCONFIGURED, False)
    assert not operator.heard, "the password least of all"


def test_a_certificate_of_nobody_known_is_refused(
    authority: Authority, new_operator: Callable[..., Operator]
) -> None:
    operator = new_operator(authority.server())
    assert refused(Smpp(operator.url())) == (Reason.MISCONFIGURED, False)
    assert not operator.heard


def test_a_message_that_did_not_get_there_may_have_left_all_the_same(
    gateway: Smpp, operator: Operator
) -> None:
    operator.answers.append(operators.DROP)
    assert refused(gateway) == (Reason.UNKNOWN, True), "nobody here can tell it from the next"
    assert gateway.send(replace(OUTGOING, id="another")) == "m-1"
    assert len(operator.binds) == 2, "a fresh bind"


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("mood", [operators.LOSE, operators.HANG])
def test_a_message_whose_answer_is_lost_may_have_left(
    gateway: Smpp, operator: Operator, mood: str
) -> None:
    operator.answers.append(mood)
    assert refused(gateway) == (Reason.UNKNOWN, True)
    operator.is_deaf = False
    assert gateway.send(replace(OUTGOING, id="another")) == "m-2"
    assert operator.texts == [OUTGOING.text] * 2


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(
    ("begun", "again"),
    [
        (smpp_wire.HEADER.pack(60_000, BIND_TRANSCEIVER_RESP, 0, 1), b"\0"),
        (b"", smpp_wire.HEADER.pack(smpp_wire.HEADER.size, ENQUIRE_LINK, 0, 7)),
    ],
    ids=["in drops", "other questions"],
)
def test_who_talks_on_and_on_without_an_answer_is_not_listened_to(
    begun: bytes, again: bytes
) -> None:
    with (
        contextlib.closing(socket.create_server((operators.HOST, 0))) as listener,
        ThreadPoolExecutor(1) as at_once,
    ):
        ended = at_once.submit(_talk_on, listener, begun, again)
        gateway = Smpp(f"smpp://portal:secret@{operators.HOST}:{listener.getsockname()[1]}")
        assert refused(gateway) == (Reason.UNREACHABLE, False)
        gateway.close()
        assert ended.result(), "it was let go while it talked"


def _talk_on(listener: socket.socket, begun: bytes, again: bytes) -> bool:
    """Say something, then the other again and again; whether the other side hung up."""
    talking, _ = listener.accept()
    until = real_time.monotonic() + 5
    with talking, contextlib.suppress(OSError):
        talking.sendall(begun)
        while real_time.monotonic() < until:
            talking.sendall(again)
            real_time.sleep(0.0002)
        return False
    return True


@pytest.mark.usefixtures("fast")
def test_an_operator_that_is_not_there_is_tried_again(gateway: Smpp, operator: Operator) -> None:
    operator.stop()
    assert refused(gateway) == (Reason.UNREACHABLE, False)
    operator.start()
    assert gateway.send(OUTGOING) == "m-1"


@pytest.mark.usefixtures("fast")
def test_messages_leave_after_the_operator_restarted(gateway: Smpp, operator: Operator) -> None:
    gateway.send(OUTGOING)
    operator.stop()
    operator.start()
    assert gateway.send(replace(OUTGOING, id="another")) == "m-2", "no message was at stake"
    assert len(operator.binds) == 2


@pytest.mark.usefixtures("fast")
def test_an_idle_link_comes_back_by_itself(gateway: Smpp, operator: Operator) -> None:
    heard(gateway)
    assert len(operator.binds) == 1
    operator.hang_up()
    until = real_time.monotonic() + 5
    while len(operator.binds) < 2 and real_time.monotonic() < until:
        heard(gateway)
    assert len(operator.binds) == 2
    assert gateway.send(OUTGOING) == "m-1"


def test_an_idle_link_does_not_come_back_all_the_time(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smpp, "BOUND_AGAIN_SECONDS", (0, 3600))
    operator.refuses_bind = operators.BAD_PASSWORD
    gateway = Smpp(operator.url())
    for _ in range(20):
        heard(gateway)
    assert len(operator.binds) == 2
    assert refused(gateway) == (Reason.MISCONFIGURED, False), "a message is worth a try of its own"
    assert len(operator.binds) == 3


def test_a_silent_link_is_asked_whether_it_lives(
    gateway: Smpp, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard(gateway)
    monkeypatch.setattr(smpp, "ASKED_AFTER_SECONDS", 0.5)
    until = real_time.monotonic() + 60
    while operator.heard.count("enquire_link") < 3 and real_time.monotonic() < until:
        real_time.sleep(0.005)
        heard(gateway)
    assert operator.heard.count("enquire_link") >= 3
    assert len(operator.binds) == 1


@pytest.mark.usefixtures("fast")
def test_a_link_that_does_not_answer_is_bound_anew(
    gateway: Smpp, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard(gateway)
    monkeypatch.setattr(smpp, "ASKED_AFTER_SECONDS", 0.05)
    operator.is_deaf = True
    until = real_time.monotonic() + 5
    while len(operator.binds) < 2 and real_time.monotonic() < until:
        real_time.sleep(0.005)
        heard(gateway)
    assert len(operator.binds) == 2


@pytest.mark.usefixtures("fast")
def test_a_message_is_not_given_to_a_dead_link(
    gateway: Smpp, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smpp, "CHECKED_AFTER_SECONDS", 0)
    gateway.send(OUTGOING)
    operator.is_deaf = True
    assert refused(gateway) == (Reason.UNREACHABLE, False), "so it may be tried again"
    operator.is_deaf = False
    assert gateway.send(OUTGOING) == "m-2"


def test_the_portal_says_goodbye(gateway: Smpp, operator: Operator) -> None:
    gateway.send(OUTGOING)
    gateway.close()
    assert operator.heard == ["bind_transceiver", "submit_sm", "unbind"]


# Receipts


@pytest.mark.parametrize(
    ("stat", "received"),
    [
        ("DELIVRD", True),
        ("UNDELIV", False),
        ("EXPIRED", False),
        ("REJECTD", False),
        ("DELETED", False),
        ("ENROUTE", None),
        ("ACCEPTD", None),
        ("UNKNOWN", None),
    ],
)
def test_a_receipt_is_read(
    gateway: Smpp, operator: Operator, stat: str, received: bool | None
) -> None:
    gateway.send(OUTGOING)
    [receipt] = heard(gateway, operator.sends("m-1", stat))
    assert (receipt.way, receipt.known_as) == ("smpp", "m-1")
    assert (receipt.recipient, receipt.received) == ("79215550147", received)


def test_a_receipt_may_speak_in_parameters(gateway: Smpp, operator: Operator) -> None:
    gateway.send(OUTGOING)
    tlvs = [
        smpp34.Tlv(operators.RECEIPTED_MESSAGE_ID, b"m-1\0"),
        smpp34.Tlv(operators.MESSAGE_STATE, b"\x02"),
        smpp34.Tlv(0x1403, b"of the vendor"),
    ]
    [receipt] = heard(gateway, operator.sends("", "", text="", tlvs=tlvs))
    assert (receipt.known_as, receipt.received) == ("m-1", True)


def option(number: int, value: bytes) -> bytes:
    return smpp_wire.OPTION.pack(number, len(value)) + value


ID = option(operators.RECEIPTED_MESSAGE_ID, b"m-1\0")
DELIVERED = option(operators.MESSAGE_STATE, b"\x02")
ADDRESSES = b"\0\1\1" + b"79215550147\0" + b"\5\0IZKT\0"


def deliver_sm(options: bytes) -> bytes:
    body = ADDRESSES + b"\4\0\0" + b"\0\0" + b"\0\0\0\0" + b"\0" + options
    return smpp_wire.HEADER.pack(16 + len(body), DELIVER_SM, 0, 7) + body


def data_sm(options: bytes) -> bytes:
    body = ADDRESSES + b"\4\0\0" + options
    return smpp_wire.HEADER.pack(16 + len(body), DATA_SM, 0, 7) + body


STRANGE = {
    "as it should be": deliver_sm(ID + DELIVERED),
    "an id without its zero": deliver_sm(
        option(operators.RECEIPTED_MESSAGE_ID, b"m-1") + DELIVERED
    ),
    "an id with two zeros": deliver_sm(
        option(operators.RECEIPTED_MESSAGE_ID, b"m-1\0\0") + DELIVERED
    ),
    "a long state": deliver_sm(ID + option(operators.MESSAGE_STATE, b"\0\2")),
    "an option of other messages": deliver_sm(ID + DELIVERED + option(0x0501, b"\1")),
    "an option cut short": deliver_sm(ID + DELIVERED + b"\x04\x23\0\x09ab"),
    "half an id behind a whole one": deliver_sm(ID + DELIVERED + b"\0\x1e\0\4m-"),
    "an octet too many": deliver_sm(ID + DELIVERED + b"\0"),
    "data_sm": data_sm(ID + DELIVERED),
    "data_sm with a text": data_sm(option(0x0424, b"id:m-1 stat:DELIVRD")),
}


@pytest.mark.parametrize("pdu", STRANGE.values(), ids=STRANGE)
def test_a_receipt_is_read_however_an_operator_writes_it(pdu: bytes) -> None:
    with saying(pdu) as (url, answered):
        gateway = Smpp(url)
        gateway.send(OUTGOING)
        assert [(each.known_as, each.received) for each in heard(gateway)] == [("m-1", True)]
        gateway.close()
    _, command, _, sequence = smpp_wire.HEADER.unpack(pdu[:16])
    assert (command | operators.RESPONSE, 0, sequence) in answered


@pytest.mark.parametrize(
    "body",
    [b"", b"\0", b"\0\1\1" + b"7" * 30, ADDRESSES + b"\4", ADDRESSES + b"\4\0\0\0\0\0"],
    ids=["nothing", "one octet", "an address without its end", "half of it", "most of it"],
)
@pytest.mark.parametrize("command", [DELIVER_SM, DATA_SM])
def test_what_cannot_be_read_is_answered_and_breaks_nothing(command: int, body: bytes) -> None:
    pdu = smpp_wire.HEADER.pack(16 + len(body), command, 0, 7) + body
    with saying(pdu) as (url, answered):
        gateway = Smpp(url)
        assert gateway.send(OUTGOING) == "m-1"
        assert heard(gateway) == []
        assert gateway.send(replace(OUTGOING, id="another")) == "m-1"
        gateway.close()
    assert (command | operators.RESPONSE, 0, 7) in answered
    assert [each[0] for each in answered].count(BIND_TRANSCEIVER) == 1, "by one bind"


@pytest.mark.parametrize("tail", [b"m-1\0", b"m-1", b"m-1\0\0", b"m-1\0and more of it"])
def test_an_answer_is_read_whatever_is_added_to_it(tail: bytes) -> None:
    with saying(b"", submitted=tail) as (url, _answered):
        gateway = Smpp(url)
        assert gateway.send(OUTGOING) == "m-1"
        gateway.close()


@contextlib.contextmanager
def saying(
    pdu: bytes, submitted: bytes = b"m-1\0"
) -> Iterator[tuple[str, list[tuple[int, int, int]]]]:
    """An operator who says something before each answer to a message, and what it heard."""
    came: list[tuple[int, int, int]] = []

    def serve(listener: socket.socket) -> None:
        wire, _address = listener.accept()
        with wire, wire.makefile("rb") as reading:
            while header := reading.read(16):
                length, command, status, sequence = smpp_wire.HEADER.unpack(header)
                reading.read(length - 16)
                came.append((command, status, sequence))
                if command & operators.RESPONSE:
                    continue
                body = {BIND_TRANSCEIVER: b"SMSC\0", SUBMIT_SM: submitted}.get(command, b"")
                answer = (16 + len(body), command | operators.RESPONSE, 0, sequence)
                wire.sendall(
                    (pdu if command == SUBMIT_SM else b"") + smpp_wire.HEADER.pack(*answer) + body
                )

    with (
        socket.create_server((operators.HOST, 0)) as listener,
        ThreadPoolExecutor(1) as at_once,
    ):
        served = at_once.submit(serve, listener)
        yield f"smpp://izkt:secret@{operators.HOST}:{listener.getsockname()[1]}", came
        served.result(timeout=30)


@pytest.mark.parametrize(
    "what", [{"esm_class": 0, "text": "id:m-1 stat:DELIVRD"}, {"text": "hello"}, {"text": ""}]
)
def test_what_is_no_receipt_is_answered_and_forgotten(
    gateway: Smpp, operator: Operator, what: dict[str, Any]
) -> None:
    gateway.send(OUTGOING)
    assert heard(gateway, operator.sends("", "", **what)) == []


def test_a_receipt_is_answered_when_it_was_kept(gateway: Smpp, operator: Operator) -> None:
    gateway.send(OUTGOING)
    coming = operator.sends("m-1", "DELIVRD")

    def fail(some: list[Receipt]) -> list[Receipt]:
        raise OSError("the disk is full")

    def listen() -> None:
        for _ in range(500):
            real_time.sleep(0.01)
            gateway.listen(fail)

    with pytest.raises(OSError, match="disk"):
        listen()
    assert "deliver_sm_resp" not in operator.heard
    operator.hang_up()
    coming.exception(5)


def test_receipts_that_come_with_an_answer_are_not_lost(gateway: Smpp, operator: Operator) -> None:
    gateway.send(OUTGOING)
    coming = operator.sends("m-1", "DELIVRD")
    gateway.send(replace(OUTGOING, id="another"))
    assert [each.known_as for each in heard(gateway, coming)] == ["m-1"]


# What is kept of it


@pytest.fixture
def texted(keep: Callable[..., None], gateway: Smpp) -> Callable[..., Any]:
    """Post a code, have it delivered, and return its row."""
    keep()

    def send() -> Any:
        with db.writing():
            until = clock.now() + timedelta(minutes=10)
            posted = outbox.post(
                "sms", "code", LOMOVA.phone, "ORG-004217", useful_until=until, code="012345"
            )
            db.commit()
        outbox.deliver_due("sms", gateway)
        return message(posted)

    return send


def until_noted(gateway: Smpp, coming: Future[Any]) -> None:
    """Let the worker poll until the operator has its answer."""
    until = real_time.monotonic() + 5
    while not coming.done() and real_time.monotonic() < until:
        outbox.deliver_due("sms", gateway)
        real_time.sleep(0.005)
    assert coming.result(0).is_success


def state_of(row: Any) -> State:
    return outbox.state_of(
        row.delivered_at, row.failed_at, row.trouble, row.received_at, row.lost_at
    )


def test_the_way_and_the_operators_id_are_kept(texted: Callable[..., Any]) -> None:
    row = texted()
    assert (row.gateway, row.gateway_id) == ("smpp", "m-1")
    assert state_of(row) is State.DELIVERED
    assert row.received_at is None


@pytest.mark.parametrize(
    ("stat", "state"),
    [("DELIVRD", State.RECEIVED), ("UNDELIV", State.LOST), ("ENROUTE", State.DELIVERED)],
)
def test_a_receipt_comes_to_its_message(
    texted: Callable[..., Any], gateway: Smpp, operator: Operator, stat: str, state: State
) -> None:
    row = texted()
    until_noted(gateway, operator.sends("m-1", stat))
    assert state_of(message(row.id)) is state


def test_the_first_final_word_counts(
    texted: Callable[..., Any], gateway: Smpp, operator: Operator
) -> None:
    row = texted()
    until_noted(gateway, operator.sends("m-1", "DELIVRD"))
    until_noted(gateway, operator.sends("m-1", "EXPIRED"))
    assert state_of(message(row.id)) is State.RECEIVED


def test_a_receipt_for_another_number_is_not_of_this_message(
    texted: Callable[..., Any], gateway: Smpp, operator: Operator
) -> None:
    row = texted()
    until_noted(gateway, operator.sends("m-1", "DELIVRD", to="79990000000"))
    assert state_of(message(row.id)) is State.DELIVERED


def test_a_receipt_waits_until_another_worker_has_noted_its_message(
    texted: Callable[..., Any], gateway: Smpp, operator: Operator
) -> None:
    row = texted()
    _set(row.id, gateway_id=None)
    until_noted(gateway, operator.sends("m-1", "DELIVRD"))
    assert state_of(message(row.id)) is State.DELIVERED
    _set(row.id, gateway_id="m-1")
    outbox.deliver_due("sms", gateway)
    assert state_of(message(row.id)) is State.RECEIVED


def test_nobody_sends_a_code_again_that_may_have_left(
    texted: Callable[..., Any], operator: Operator, gateway: Smpp, time: Time
) -> None:
    operator.answers.append(operators.LOSE)
    row = texted()
    assert (row.due_at, row.trouble, row.gateway) == (None, Reason.UNKNOWN, "smpp")
    assert row.words is None, "the code is nobody's any more"
    assert events(row.id) == [("message.failed", Reason.UNKNOWN)]
    time.passes(minutes=5)
    outbox.deliver_due("sms", gateway)
    assert len(operator.parts) == 1


@pytest.mark.usefixtures("fast")
def test_a_receipt_tells_what_nobody_knew(
    texted: Callable[..., Any], operator: Operator, gateway: Smpp, time: Time
) -> None:
    operator.answers.append(operators.LOSE)
    row = texted()
    heard(gateway)
    until_noted(gateway, operator.sends("m-1", "DELIVRD"))
    assert state_of(message(row.id)) is State.FAILED, "its id may be just being noted"
    time.passes(seconds=31)
    outbox.deliver_due("sms", gateway)
    told = message(row.id)
    assert state_of(told) is State.RECEIVED
    assert (told.failed_at, told.trouble) == (None, None)


def test_a_receipt_that_two_messages_may_mean_tells_nothing(
    texted: Callable[..., Any], operator: Operator, gateway: Smpp
) -> None:
    operator.answers.extend([operators.LOSE, operators.LOSE])
    first, second = texted(), texted()
    at = clock.now() - timedelta(minutes=1)
    receipt = Receipt("smpp", "m-2", "79215550147", True, at)
    assert outbox.note_receipts([receipt]) == [receipt]
    assert {state_of(message(row.id)) for row in (first, second)} == {State.FAILED}


def test_of_a_message_that_was_sent_again_the_new_receipt_counts(
    operator: Operator, gateway: Smpp, keep: Callable[..., None]
) -> None:
    keep()
    operator.answers.append(operators.LOSE)
    with db.writing():
        until = (clock.now() + timedelta(days=1)).isoformat()
        id = outbox.post("sms", "case_granted", LOMOVA.phone, "ORG-004217", until=until)
        db.commit()
    outbox.deliver_due("sms", gateway)
    at = clock.now() - timedelta(minutes=1)
    assert not outbox.note_receipts([Receipt("smpp", "m-1", "79215550147", False, at)])
    assert state_of(message(id)) is State.LOST
    with db.writing():
        assert outbox.send_again(id, "tests")
        db.commit()
    outbox.deliver_due("sms", gateway)
    assert state_of(message(id)) is State.DELIVERED
    until_noted(gateway, operator.sends(message(id).gateway_id, "DELIVRD"))
    assert state_of(message(id)) is State.RECEIVED


def _set(id: str, **values: Any) -> None:
    with db.writing():
        db.execute(outbox.messages.update().where(outbox.messages.c.id == id).values(**values))
        db.commit()


# What people see


@pytest.mark.parametrize(
    ("answer", "stat", "words"),
    [
        (0, "", "Отправили на номер"),
        (0, "DELIVRD", "получил СМС"),
        (0, "UNDELIV", "не получена: оператор связи не смог её доставить"),
        (operators.LOSE, "", "мы не знаем, ушла ли СМС"),
        (operators.BAD_NUMBER, "", "оператор не принял сообщение"),
    ],
)
def test_the_page_says_what_is_known_of_a_code(
    asked: str,
    browser: Browser,
    post: Post,
    gateway: Smpp,
    operator: Operator,
    answer: int | str,
    stat: str,
    words: str,
) -> None:
    link = post.link()
    operator.answers.append(answer)
    browser.open(link).press("Подтвердить номер телефона")
    outbox.deliver_due("sms", gateway)
    if stat:
        until_noted(gateway, operator.sends("m-1", stat))
    browser.open(f"/confirmation/{asked}/code")
    assert words in browser
    assert "Отправить ещё раз" in browser


@pytest.mark.parametrize(
    ("answer", "stat", "sentence"),
    [
        (0, "ENROUTE", "СМС с кодом передана оператору связи"),
        (0, "DELIVRD", "СМС с кодом получена телефоном"),
        (0, "UNDELIV", "СМС с кодом передана оператору связи, но телефон её не получил"),
        (operators.LOSE, "", "СМС с кодом, возможно, не ушла: связь со шлюзом прервалась"),
    ],
)
def test_the_journal_says_what_became_of_a_code(
    texted: Callable[..., Any],
    gateway: Smpp,
    operator: Operator,
    answer: int | str,
    stat: str,
    sentence: str,
) -> None:
    operator.answers.append(answer)
    texted()
    if stat:
        until_noted(gateway, operator.sends("m-1", stat))
    assert sentence in [each.sentence for each in history.of_organisation("ORG-004217", most=20)]


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        ("delivered", None, "передано оператору связи"),
        ("received", None, "получено телефоном"),
        ("lost", None, "не получено"),
        ("failed", Reason.UNKNOWN, "неизвестно, ушло ли сообщение"),
    ],
)
def test_the_evidence_says_what_became_of_a_code(
    app: Flask, state: str, reason: Reason | None, words: str
) -> None:
    shown = {"state": state, "channel": "sms", "settled_at": clock.now(), "reason": reason}
    with app.test_request_context():
        macros = app.jinja_env.get_template("verifications/words.html").make_module(
            {"troubles": history.TROUBLES}
        )
        assert words in str(macros.message_state(shown, history.TROUBLES))  # type: ignore[attr-defined]


# The settings


def test_the_settings_choose_the_operator(
    app: Flask, environment: dict[str, str], operator: Operator
) -> None:
    url = {"PORTAL_SMS_URL": operator.url("i%40zkt:s%3Acret", "?sender=TAHO")}
    config.use(config.load(environment | url))
    gateway = gateways.choose("sms")
    gateway.send(OUTGOING)
    assert gateways.way_of(gateway) == "smpp"
    gateway.close()
    assert operator.binds == [("i@zkt", "s:cret")]
    assert operator.parts[0].sender[2] == "TAHO"
