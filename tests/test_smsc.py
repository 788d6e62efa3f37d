"""SMS through SMSC.ru, as its HTTP interface would be asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from portal import clock, config, gateways, outbox
from portal.database import db
from portal.gateways import Outgoing, Reason, Trouble, http_sms
from portal.gateways.smsc import Smsc
from tests import servers
from tests.conftest import LOMOVA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from tests.conftest import Time
    from tests.servers import Asked, Authority, SmsGateway

pytest_plugins = ["tests.wires"]
pytestmark = pytest.mark.usefixtures("app")

OUTGOING = Outgoing(
    id="AbCdEfGhIjKlMnOpQr_t-v",
    recipient=LOMOVA.phone,
    subject="",
    text="012345 — код для ИЗКТ.\n\n@portal.example #012345",
    html="",
    posted_at=datetime(2026, 11, 21, 11, 2, tzinfo=UTC),
)
TAKEN = (200, {"id": OUTGOING.id, "cnt": 2})
ON_ITS_WAY = (200, {"status": 0, "last_date": "21.11.2026 14:02:05", "last_timestamp": 1795258925})
NOT_FOUND = (200, {"error": "message not found", "error_code": 3})


@pytest.fixture
def server(sms_gateway: SmsGateway) -> SmsGateway:
    """Stands in for SMSC.ru, and takes everything unless it is told otherwise."""
    sms_gateway.usual = TAKEN
    return sms_gateway


def url_of(server: SmsGateway, login: str = "izkt:secret@", query: str = "") -> str:
    at = urlsplit(server.url())
    scheme = "smsc" if at.scheme == "https" else "smsc+http"
    return f"{scheme}://{login}{at.netloc}{query}"


@pytest.fixture
def gateway(server: SmsGateway) -> Iterator[Smsc]:
    gateway = Smsc(url_of(server))
    yield gateway
    gateway.close()


def refused(gateway: Smsc, outgoing: Outgoing = OUTGOING) -> tuple[Reason, bool]:
    """Why an SMS does not leave, and whether it never will."""
    with pytest.raises(Trouble) as caught:
        gateway.send(outgoing)
    return caught.value.reason, caught.value.permanent


def said(asked: Asked) -> dict[str, str]:
    """The fields of a question."""
    return {name: values[0] for name, values in parse_qs(asked.raw.decode("ascii")).items()}


def test_an_sms_is_asked_for_as_smsc_wants_it(gateway: Smsc, server: SmsGateway) -> None:
    assert gateway.send(OUTGOING) == OUTGOING.id
    [asked] = server.asked
    assert (asked.method, asked.path) == ("POST", "/sys/send.php")
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert said(asked) == {
        "login": "izkt",
        "psw": "secret",
        "fmt": "3",
        "charset": "utf-8",
        "phones": "+79215550147",
        "mes": OUTGOING.text,
        "id": OUTGOING.id,
        "sender": "IZKT",
    }


def test_a_key_may_stand_for_login_and_password(server: SmsGateway) -> None:
    gateway = Smsc(url_of(server, ":k%40y@", "?sender=TAHO"))
    gateway.send(OUTGOING)
    gateway.close()
    words = said(server.asked[0])
    assert (words["apikey"], words["sender"]) == ("k@y", "TAHO")
    assert not words.keys() & {"login", "psw"}


def test_nothing_secret_stands_in_the_address(gateway: Smsc, server: SmsGateway) -> None:
    gateway.send(OUTGOING)
    assert "secret" not in server.asked[0].path + server.asked[0].headers["host"]


@pytest.mark.parametrize(
    ("minutes", "valid"), [(10, "00:10"), (90, "01:30"), (0, "00:01"), (6000, "23:00")]
)
def test_smsc_does_not_try_longer_than_the_code_works(
    gateway: Smsc, server: SmsGateway, minutes: int, valid: str
) -> None:
    until = clock.now() + timedelta(minutes=minutes, seconds=5)
    gateway.send(replace(OUTGOING, useful_until=until))
    assert said(server.asked[0])["valid"] == valid


@pytest.mark.parametrize(
    ("code", "reason", "permanent"),
    [
        (1, Reason.MISCONFIGURED, False),
        (2, Reason.MISCONFIGURED, False),
        (3, Reason.MISCONFIGURED, False),
        (4, Reason.BUSY, False),
        (5, Reason.MISCONFIGURED, False),
        (6, Reason.MISCONFIGURED, False),
        (7, Reason.REFUSED, True),
        (8, Reason.REFUSED, True),
        (9, Reason.BUSY, False),
        (77, Reason.BUSY, False),
        (None, Reason.BUSY, False),
    ],
)
def test_an_error_is_told_by_its_code(
    gateway: Smsc, server: SmsGateway, code: int | None, reason: Reason, permanent: bool
) -> None:
    server.answers.append((200, {"error": "no", "error_code": code}))
    assert refused(gateway) == (reason, permanent)
    assert gateway.send(OUTGOING) == OUTGOING.id


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((429, {}), Reason.BUSY),
        ((503, {}), Reason.BUSY),
        ((500, {}), Reason.UNKNOWN),
        ((302, {}), Reason.UNKNOWN),
        ((200, b"OK - 1 SMS, ID - 7"), Reason.UNKNOWN),
        ((200, b"[" * 60_000), Reason.UNKNOWN),
        ((200, [1]), Reason.UNKNOWN),
        (servers.DROP, Reason.UNKNOWN),
        (servers.HANG, Reason.UNKNOWN),
        (servers.TRICKLE, Reason.UNKNOWN),
    ],
)
def test_an_answer_that_says_nothing_leaves_it_open(
    server: SmsGateway, monkeypatch: pytest.MonkeyPatch, answer: Any, reason: Reason
) -> None:
    if answer in (servers.HANG, servers.TRICKLE):
        monkeypatch.setattr(http_sms, "TIMEOUT_SECONDS", 0.5)
    gateway = Smsc(url_of(server))
    server.answers.append(answer)
    assert refused(gateway) == (reason, False)
    gateway.close()


def test_smsc_that_is_not_there_is_tried_again(gateway: Smsc, server: SmsGateway) -> None:
    server.stop()
    assert refused(gateway) == (Reason.UNREACHABLE, False)
    again = replace(OUTGOING, attempts=1)
    assert refused(gateway, again) == (Reason.UNREACHABLE, False)
    assert refused(gateway, replace(again, maybe_taken_by="smsc")) == (Reason.UNKNOWN, False)


# A message that was given before


AGAIN = replace(OUTGOING, attempts=1, maybe_taken_by="smsc")


def test_a_message_that_was_taken_is_not_given_again(gateway: Smsc, server: SmsGateway) -> None:
    server.answers.append(ON_ITS_WAY)
    assert gateway.send(AGAIN) == OUTGOING.id
    [asked] = server.asked
    assert asked.path == "/sys/status.php"
    words = said(asked)
    assert (words["phone"], words["id"]) == ("+79215550147", OUTGOING.id)
    assert "mes" not in words


@pytest.mark.parametrize("answer", [NOT_FOUND, (200, {"status": -3})])
def test_a_message_that_smsc_does_not_know_is_given_again(
    gateway: Smsc, server: SmsGateway, answer: Any
) -> None:
    server.answers.append(answer)
    assert gateway.send(AGAIN) == OUTGOING.id
    assert [asked.path for asked in server.asked] == ["/sys/status.php", "/sys/send.php"]


@pytest.mark.parametrize(
    "answer", [(200, {"error": "too often", "error_code": 9}), (500, {}), servers.DROP, (200, {})]
)
def test_a_message_that_smsc_says_nothing_of_stays_unknown(
    gateway: Smsc, server: SmsGateway, answer: Any
) -> None:
    server.answers.append(answer)
    assert refused(gateway, AGAIN) == (Reason.UNKNOWN, False)
    assert [asked.path for asked in server.asked] == ["/sys/status.php"]


def test_a_code_whose_answer_was_lost_leaves_once(
    keep: Callable[..., None], gateway: Smsc, server: SmsGateway, time: Time
) -> None:
    keep()
    server.answers.extend([servers.DROP, ON_ITS_WAY])
    with db.writing():
        until = clock.now() + timedelta(minutes=10)
        id = outbox.post(
            "sms", "code", LOMOVA.phone, "ORG-004217", useful_until=until, code="012345"
        )
        db.commit()
    outbox.deliver_due("sms", gateway)
    row = servers.message(id)
    assert (row.trouble, row.gateway) == (Reason.UNKNOWN, "smsc")
    assert row.due_at is not None
    time.passes(seconds=5)
    outbox.deliver_due("sms", gateway)
    row = servers.message(id)
    assert (row.trouble, row.gateway_id) == (None, id)
    assert [asked.path for asked in server.asked] == ["/sys/send.php", "/sys/status.php"]


# TLS and settings


def test_an_sms_leaves_through_tls(
    trusted: Authority, new_sms_gateway: Callable[..., SmsGateway]
) -> None:
    server = new_sms_gateway(trusted.server())
    server.usual = TAKEN
    gateway = Smsc(url_of(server))
    assert gateway.send(OUTGOING) == OUTGOING.id
    gateway.close()


def test_a_certificate_of_nobody_known_is_refused(
    authority: Authority, new_sms_gateway: Callable[..., SmsGateway]
) -> None:
    server = new_sms_gateway(authority.server())
    assert refused(Smsc(url_of(server))) == (Reason.UNREACHABLE, False)
    assert not server.asked


def test_the_settings_choose_smsc(
    app: Flask, environment: dict[str, str], server: SmsGateway
) -> None:
    config.use(config.load(environment | {"PORTAL_SMS_URL": url_of(server)}))
    gateway = gateways.choose("sms")
    gateway.send(OUTGOING)
    gateway.close()
    assert server.asked[0].path == "/sys/send.php"
