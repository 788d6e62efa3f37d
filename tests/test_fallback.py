"""A second gateway, for when the first one does not take messages."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from portal import clock, config, gateways, outbox
from portal.database import db
from portal.gateways import Outgoing, Reason, Trouble, fallback, smpp, way_of
from portal.gateways.fallback import Fallback
from tests import operators, servers
from tests.conftest import LOMOVA
from tests.operators import Operator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from portal.gateways import Gateway
    from tests.conftest import Time
    from tests.servers import MailServer, SmsGateway

pytest_plugins = ["tests.wires"]

OUTGOING = Outgoing(
    id="AbCdEfGhIjKlMnOpQrStUv",
    recipient=LOMOVA.phone,
    subject="Подтверждение данных",
    text="012345 — код для ИЗКТ.",
    html="<p>012345",
    posted_at=datetime(2026, 11, 21, 11, 2, tzinfo=UTC),
)


@pytest.fixture
def first(new_sms_gateway: Callable[..., SmsGateway]) -> SmsGateway:
    return new_sms_gateway()


@pytest.fixture
def second(new_sms_gateway: Callable[..., SmsGateway]) -> SmsGateway:
    return new_sms_gateway()


@pytest.fixture
def gateway(
    app: Flask, environment: dict[str, str], first: SmsGateway, second: SmsGateway
) -> Iterator[Gateway]:
    urls = {"PORTAL_SMS_URL": first.url(), "PORTAL_SMS_FALLBACK_URL": second.url()}
    config.use(config.load(environment | urls))
    gateway = gateways.choose("sms")
    yield gateway
    gateway.close()


@pytest.fixture
def posted(keep: Callable[..., None]) -> str:
    """A code that is due."""
    keep()
    with db.writing():
        until = clock.now() + timedelta(minutes=10)
        id = outbox.post(
            "sms", "code", LOMOVA.phone, "ORG-004217", useful_until=until, code="012345"
        )
        db.commit()
    return id


def refused(gateway: Gateway, outgoing: Outgoing = OUTGOING) -> tuple[Reason, bool]:
    with pytest.raises(Trouble) as caught:
        gateway.send(outgoing)
    return caught.value.reason, caught.value.permanent


def test_the_second_gateway_is_not_asked_while_the_first_takes_messages(
    gateway: Gateway, first: SmsGateway, second: SmsGateway
) -> None:
    gateway.send(OUTGOING)
    gateway.send(replace(OUTGOING, id="another"))
    assert (len(first.asked), len(second.asked)) == (2, 0)
    assert way_of(gateway) == "http"


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_what_the_first_does_not_take_the_second_gets_with_the_same_id(
    gateway: Gateway, first: SmsGateway, second: SmsGateway, status: int
) -> None:
    first.answers.append((status, {}))
    gateway.send(OUTGOING)
    assert first.asked[0].body == second.asked[0].body
    assert way_of(gateway) == "http 2"


def test_a_gateway_that_is_not_there_is_no_obstacle(
    gateway: Gateway, first: SmsGateway, second: SmsGateway, posted: str
) -> None:
    first.stop()
    outbox.deliver_due("sms", gateway)
    assert [asked.body["id"] for asked in second.asked] == [posted]
    row = servers.message(posted)
    assert (row.gateway, row.gateway_id, row.attempts) == ("http 2", "g-1", 1)


def test_the_first_gateway_has_a_rest_after_it_failed(
    gateway: Gateway, first: SmsGateway, second: SmsGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    first.answers.append((503, {}))
    for number in range(5):
        gateway.send(replace(OUTGOING, id=f"message {number}"))
    assert (len(first.asked), len(second.asked)) == (1, 5)


def test_the_first_gateway_is_asked_again_after_its_rest(
    gateway: Gateway, first: SmsGateway, second: SmsGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fallback, "REST_SECONDS", 0)
    first.answers.append((503, {}))
    gateway.send(OUTGOING)
    gateway.send(replace(OUTGOING, id="another"))
    assert (len(first.asked), len(second.asked)) == (2, 1)


def test_a_number_that_is_refused_is_not_asked_for_twice(
    gateway: Gateway, first: SmsGateway, second: SmsGateway
) -> None:
    first.answers.append((422, {}))
    assert refused(gateway) == (Reason.REFUSED, True)
    assert not second.asked
    gateway.send(replace(OUTGOING, id="another"))
    assert len(first.asked) == 2, "that was no failure of the gateway"


@pytest.mark.parametrize("answer", [servers.DROP, (504, {}), (200, {})])
def test_what_the_first_may_have_taken_the_second_never_gets(
    gateway: Gateway,
    first: SmsGateway,
    second: SmsGateway,
    posted: str,
    time: Time,
    answer: Any,
) -> None:
    first.answers.extend([answer, (503, {})])
    outbox.deliver_due("sms", gateway)
    assert servers.message(posted).trouble == Reason.UNKNOWN
    gateway.send(replace(OUTGOING, id="another"))
    assert [asked.body["id"] for asked in second.asked] == ["another"], "the first has a rest"
    time.passes(seconds=5)
    outbox.deliver_due("sms", gateway)
    assert servers.message(posted).trouble == Reason.UNKNOWN, "being busy now says nothing of then"
    time.passes(seconds=15)
    outbox.deliver_due("sms", gateway)
    row = servers.message(posted)
    assert (row.gateway, row.trouble) == ("http", None)
    assert {asked.body["id"] for asked in first.asked} == {posted}
    assert len(second.asked) == 1


def test_what_the_second_may_have_taken_the_first_never_gets(
    gateway: Gateway,
    first: SmsGateway,
    second: SmsGateway,
    posted: str,
    time: Time,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fallback, "REST_SECONDS", 0)
    first.answers.append((503, {}))
    second.answers.append(servers.DROP)
    outbox.deliver_due("sms", gateway)
    row = servers.message(posted)
    assert (row.gateway, row.trouble) == ("http 2", Reason.UNKNOWN)
    time.passes(seconds=5)
    outbox.deliver_due("sms", gateway)
    assert servers.message(posted).gateway_id == "g-2"
    assert (len(first.asked), len(second.asked)) == (1, 2)


def test_both_may_be_down(gateway: Gateway, first: SmsGateway, second: SmsGateway) -> None:
    first.answers.append((503, {}))
    second.answers.append((429, {}))
    assert refused(gateway) == (Reason.BUSY, False)


def test_the_second_may_refuse_for_good(
    gateway: Gateway, first: SmsGateway, second: SmsGateway
) -> None:
    first.answers.append((503, {}))
    second.answers.append((400, {}))
    assert refused(gateway) == (Reason.REFUSED, True)


# Other gateways


@pytest.fixture
def new_operator() -> Iterator[Callable[[], Operator]]:
    with contextlib.ExitStack() as stack:

        def start() -> Operator:
            operator = Operator()
            operator.start()
            stack.callback(operator.stop)
            return operator

        yield start


@pytest.fixture
def two_operators(
    app: Flask, environment: dict[str, str], new_operator: Callable[[], Operator]
) -> Iterator[tuple[Gateway, Operator, Operator]]:
    first, second = new_operator(), new_operator()
    urls = {"PORTAL_SMS_URL": first.url(), "PORTAL_SMS_FALLBACK_URL": second.url()}
    config.use(config.load(environment | urls))
    gateway = gateways.choose("sms")
    yield gateway, first, second
    gateway.close()


def test_an_operator_that_is_busy_makes_way_for_another(
    two_operators: tuple[Gateway, Operator, Operator], posted: str
) -> None:
    gateway, first, second = two_operators
    first.answers.append(operators.THROTTLED)
    outbox.deliver_due("sms", gateway)
    assert (len(first.parts), len(second.parts)) == (0, 1)
    assert servers.message(posted).gateway == "smpp 2"


def test_a_message_whose_answer_was_lost_goes_no_other_way(
    two_operators: tuple[Gateway, Operator, Operator], posted: str, time: Time
) -> None:
    gateway, first, second = two_operators
    first.answers.append(operators.LOSE)
    outbox.deliver_due("sms", gateway)
    time.passes(minutes=1)
    outbox.deliver_due("sms", gateway)
    assert (len(first.parts), len(second.parts)) == (1, 0)
    assert servers.message(posted).trouble == Reason.UNKNOWN


def test_a_message_that_left_in_half_goes_no_other_way(
    two_operators: tuple[Gateway, Operator, Operator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smpp, "PAUSE_SECONDS", 0.01)
    gateway, first, second = two_operators
    long = replace(OUTGOING, text="Восстановление доступа одобрено. " * 5)
    first.answers.extend([0, operators.QUEUE_FULL])
    assert refused(gateway, long) == (Reason.UNKNOWN, False)
    gateway.send(replace(long, attempts=1, maybe_taken_by="smpp"))
    assert first.texts == [long.text]
    assert not second.parts


def test_receipts_come_by_both_ways_and_are_not_mixed_up(
    two_operators: tuple[Gateway, Operator, Operator], posted: str
) -> None:
    gateway, first, second = two_operators
    outbox.deliver_due("sms", gateway)
    coming = [second.sends("m-1", "UNDELIV"), first.sends("m-1", "DELIVRD")]
    while not all(each.done() for each in coming):
        outbox.deliver_due("sms", gateway)
    row = servers.message(posted)
    assert row.received_at is not None
    assert row.lost_at is None


def test_letters_may_have_a_second_server(
    app: Flask, environment: dict[str, str], new_mail_server: Callable[..., MailServer]
) -> None:
    first, second = new_mail_server(), new_mail_server()
    urls = {"PORTAL_MAIL_URL": first.url(), "PORTAL_MAIL_FALLBACK_URL": second.url()}
    config.use(config.load(environment | urls))
    gateway = gateways.choose("email")
    assert isinstance(gateway, Fallback)
    letter = replace(OUTGOING, recipient=LOMOVA.email)
    first.moods["MAIL"] = "451 too busy"
    gateway.send(letter)
    assert (len(first.letters), len(second.letters)) == (0, 1)
    first.moods.clear()
    first.moods["RCPT"] = "550 no such user"
    gateway.close()
    fresh = gateways.choose("email")
    assert refused(fresh, letter) == (Reason.REFUSED, True)
    assert len(second.letters) == 1
    fresh.close()


def test_a_letter_that_the_first_server_may_have_taken_goes_to_no_second(
    app: Flask, environment: dict[str, str], new_mail_server: Callable[..., MailServer]
) -> None:
    first, second = new_mail_server(), new_mail_server()
    urls = {"PORTAL_MAIL_URL": first.url(), "PORTAL_MAIL_FALLBACK_URL": second.url()}
    config.use(config.load(environment | urls))
    gateway = gateways.choose("email")
    first.moods["DATA"] = "hello world"
    assert refused(gateway, replace(OUTGOING, recipient=LOMOVA.email)) == (Reason.UNKNOWN, False)
    assert not second.letters
    gateway.close()
