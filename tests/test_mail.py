"""Letters, as they come out at the far end of a real SMTP connection."""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import threading
import time as real_time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import portal
from portal import clock, config, gateways, outbox
from portal.database import db
from portal.gateways import Outgoing, Reason, Trouble, mail
from portal.gateways.mail import Smtp
from tests import servers
from tests.conftest import LOMOVA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from socket import SocketIO

    from flask import Flask

    from tests.conftest import Time
    from tests.servers import Authority, Letter, MailServer

pytest_plugins = ["tests.wires"]
pytestmark = pytest.mark.usefixtures("app")

LETTERS = sorted(
    path.stem
    for path in (Path(portal.__file__).parent / "templates/letters").glob("*.txt")
    if not path.stem.startswith("_")
)
OF_ORGANISATIONS = {
    "block_reminder",
    "confirmation",
    "email_link",
    "completed",
    "reported",
    "returned",
    "verified",
    "reminder",
    "unanswered",
    "undelivered",
}
HOSTILE = "<script>alert(1)</script>\"'><img src=//evil.example/x> {{ 7*7 }} %s & ООО «Тракт»"
NOON = "2026-11-21T09:00:00+00:00"
OUTGOING = Outgoing(
    id="AbCdEfGhIjKlMnOpQrStUv",
    recipient=LOMOVA.email,
    subject="Подтверждение данных",
    text="Здравствуйте, Ирина Васильевна!\n",
    html="<p>Здравствуйте, <b>Ирина Васильевна</b>!</p>",
    posted_at=datetime(2026, 11, 21, 11, 2, tzinfo=UTC),
)


@pytest.fixture
def smtp(mail_server: MailServer) -> Iterator[Smtp]:
    gateway = Smtp(mail_server.url())
    yield gateway
    gateway.close()


def refused(gateway: Smtp, letter: Outgoing = OUTGOING) -> tuple[Reason, bool]:
    """Why a letter does not leave, and whether it never will."""
    with pytest.raises(Trouble) as caught:
        gateway.send(letter)
    return caught.value.reason, caught.value.permanent


# What a letter is


def test_a_letter_has_text_and_html(smtp: Smtp, mail_server: MailServer) -> None:
    smtp.send(OUTGOING)
    [letter] = mail_server.letters
    assert letter.text == OUTGOING.text
    assert letter.html.strip() == OUTGOING.html
    assert letter.sender == "po-reply@taho-kart.ru"
    assert letter.recipients == [LOMOVA.email]


def test_a_letter_says_who_wrote_it_and_that_a_machine_did(
    smtp: Smtp, mail_server: MailServer
) -> None:
    smtp.send(OUTGOING)
    headers = mail_server.letters[0].headers
    assert headers["From"] == "po-reply@taho-kart.ru"
    assert headers["To"] == LOMOVA.email
    assert headers["Subject"] == "Подтверждение данных"
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["Date"].datetime == OUTGOING.posted_at
    assert headers["Message-ID"] == f"<{OUTGOING.id}@127.0.0.1>"


def test_any_mail_server_can_carry_a_letter(smtp: Smtp, mail_server: MailServer) -> None:
    long = replace(OUTGOING, text="Ж" * 5000, html=f"<p>{'Ж' * 5000}</p>")
    smtp.send(long)
    [letter] = mail_server.letters
    assert letter.raw.isascii()
    assert max(map(len, letter.raw.split(b"\r\n"))) < 998
    assert letter.text.strip() == long.text
    assert letter.html.strip() == long.html


def test_a_line_that_is_only_a_dot_ends_no_letter(smtp: Smtp, mail_server: MailServer) -> None:
    words = "Начало\n.\n..\nFrom here\nКонец\n"
    smtp.send(replace(OUTGOING, text=words))
    assert mail_server.letters[0].text == words


@pytest.mark.parametrize("sign", ["\n", "\r\n", "\r", "\v", "\f", "\x1c", "\x85", "\u2028", "\0"])
@pytest.mark.parametrize("place", ["subject", "recipient"])
def test_no_header_can_be_forged(
    smtp: Smtp, mail_server: MailServer, sign: str, place: str
) -> None:
    forged = f"{getattr(OUTGOING, place)}{sign}Bcc: thief@evil.example"
    hostile = replace(OUTGOING, **{place: forged})  # type: ignore[arg-type]
    assert refused(smtp, hostile) == (Reason.REFUSED, True)
    assert not mail_server.letters


@pytest.mark.parametrize(
    "subject",
    [
        "Ломова, Ирина <i@evil.example>",
        "=?utf-8?b?QmNjOiB4QGV2aWwuZXhhbXBsZQ==?=",
        "Очень длинное имя " * 60,
        "О\xa0данных «Тракта»",
        "Bcc: thief@evil.example",
    ],
)
def test_a_strange_subject_stays_a_subject(
    smtp: Smtp, mail_server: MailServer, subject: str
) -> None:
    smtp.send(replace(OUTGOING, subject=subject))
    [letter] = mail_server.letters
    assert letter.recipients == [LOMOVA.email]
    assert letter.headers["Bcc"] is None
    assert letter.headers["To"] == LOMOVA.email
    assert max(map(len, letter.raw.split(b"\r\n"))) < 998


def test_an_address_with_strange_signs_reaches_itself(smtp: Smtp, mail_server: MailServer) -> None:
    for address in ("o'hara+x={y}!#$%&*/?^_`|~@sever.example", "ivan@xn--80a1acny.xn--p1ai"):
        smtp.send(replace(OUTGOING, recipient=address))
        assert mail_server.letters[-1].recipients == [address]


def test_a_domain_in_russian_is_written_as_mail_servers_know_it(
    smtp: Smtp, mail_server: MailServer
) -> None:
    smtp.send(replace(OUTGOING, recipient="ivan@почта.рф"))
    assert mail_server.letters[0].recipients == ["ivan@xn--80a1acny.xn--p1ai"]


# The words of every letter


@pytest.fixture
def written(
    keep: Callable[..., None], smtp: Smtp, mail_server: MailServer
) -> Callable[..., Letter]:
    """Post a letter with hostile words, deliver it, and take it out at the far end."""
    keep()

    def write(letter: str, /, **words: Any) -> Letter:
        said: dict[str, Any] = {
            "name": HOSTILE,
            "person": HOSTILE,
            "comment": HOSTILE,
            "administrator": HOSTILE,
            "id": "ORG-004217",
            "token": "AbCdEfGhIjKlMnOpQrStUv.signature",
            "until": "2026-11-28T11:02:00+00:00",
            "at": "2026-11-21T11:02:00+00:00",
            "asker": HOSTILE,
            "status": "editing",
            "since": "2026-11-21T11:02:00+00:00",
            "step": "request",
            "contacts": ["phone", "email"],
            "remarks": [{"label": "", "remark": HOSTILE}, {"label": "ИНН", "remark": HOSTILE}],
            "is_closed_now": True,
            "corrections": [{"label": "Фамилия", "old": HOSTILE, "new": HOSTILE}],
            "way": "email",
            "what": "Письмо «Подтверждение данных»",
            "sent_to": "i.lomova@sever-trakt.example",
            "action": "Проверьте email.",
            "count": 3,
            # of letters about an account
            "number": 318,
            "code": "7K3M-92QX",
            "email": "petrov@sever.example",
            "organisation": "ORG-004218",
            "organisations": ["ORG-004218"],
            "role": "Оператор",
            "reason": "answers",
            "event": "code.used",
            "address": "10.20.4.17",
            "left": 2,
            "by_owner": True,
            "is_routed": False,
            "needs_approval": True,
            "same_browser": True,
        }
        if letter not in OF_ORGANISATIONS:
            del said["id"]
        with db.writing():
            id = outbox.post("email", letter, LOMOVA.email, "ORG-004217", **(said | words))
            db.commit()
        outbox.deliver_due("email", smtp)
        assert servers.message(id).delivered_at
        return mail_server.letters[-1]

    return write


class Elements(HTMLParser):
    """The elements of a letter's HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


@pytest.mark.parametrize("name", LETTERS)
def test_hostile_words_stay_words(name: str, written: Callable[..., Letter]) -> None:
    letter = written(name)
    assert HOSTILE in letter.text
    assert "&lt;script&gt;" in letter.html
    assert not Elements(letter.html).tags & {"script", "img", "iframe", "object", "form"}


@pytest.mark.parametrize("name", LETTERS)
def test_a_letter_loads_nothing_and_links_only_to_us(
    name: str, written: Callable[..., Letter]
) -> None:
    letter = written(name, administrator="a.sokolova@sever-trakt.example")
    elements = Elements(letter.html)
    assert not elements.tags & {"link", "style", "base"}
    names = {attribute for attribute, _value in elements.attributes}
    assert not names & {"src", "srcset", "background"}
    assert "url(" not in letter.html
    links = [value for attribute, value in elements.attributes if attribute == "href"]
    assert all(link.startswith((config.settings.base_url, "mailto:")) for link in links)


@pytest.mark.parametrize("name", LETTERS)
def test_text_and_html_say_the_same(name: str, written: Callable[..., Letter]) -> None:
    words = {
        "name": "ООО «Тракт»",
        "person": "Ломова Ирина",
        "administrator": "a@sever.example",
        "asker": "Петров Пётр",
    }
    letter = written(name, **words, comment="Номер\nсменился", corrections=[], remarks=[])
    for part in (letter.text, letter.html):
        said = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", part))
        assert words["person"] in said
        assert (words["name"] in said) == (name in OF_ORGANISATIONS | {"case_routed"})
        assert ("ORG-004217" in said) == (name in OF_ORGANISATIONS)
        assert "8-800-333-30-92" in said
        assert "рабочие дни, 8:00–18:00 мск" in said
        assert "None" not in said
        assert "{" not in said
    links = re.findall(r"http://127\.0\.0\.1:8000/\S+", letter.text)
    assert all(f'href="{link}"' in letter.html for link in links)
    assert "<h1 style" in letter.html
    assert letter.headers["Subject"] in letter.html


def test_a_link_is_on_a_line_of_its_own(written: Callable[..., Letter]) -> None:
    for name in ("confirmation", "email_link", "reminder"):
        lines = written(name).text.splitlines()
        [link] = [line for line in lines if "AbCdEfGhIjKlMnOpQrStUv" in line]
        assert re.fullmatch(r"http://127\.0\.0\.1:8000/\S+", link)


@pytest.mark.parametrize("name", ["completed", "returned", "verified"])
def test_what_came_of_an_organisation_leads_to_its_page(
    name: str, written: Callable[..., Letter]
) -> None:
    letter = written(name)
    page = f"{config.settings.base_url}/organisations/ORG-004217"
    assert page in letter.text.splitlines()
    assert f'href="{page}"' in letter.html


@pytest.mark.parametrize(
    ("missing", "named", "unnamed"),
    [
        (["phone"], ["номер телефона", "СМС"], ["email"]),
        (["email"], ["email"], ["телефон", "СМС"]),
        (["email", "phone"], ["номер телефона", "email", "СМС"], []),
    ],
)
def test_a_request_names_only_what_is_missing(
    missing: list[str], named: list[str], unnamed: list[str], written: Callable[..., Letter]
) -> None:
    letter = written("confirmation", missing=missing)
    for part in (letter.text, letter.html.replace("\xa0", " ").replace("&nbsp;", " ")):
        assert all(word in part for word in named)
        assert not any(word in part for word in unnamed)


def test_letters_have_the_subjects_that_others_rely_on(written: Callable[..., Letter]) -> None:
    subjects = {name: written(name).headers["Subject"] for name in LETTERS}
    assert {name: subjects[name] for name in OF_ORGANISATIONS} == {
        "block_reminder": "Сотрудник просит открыть доступ",
        "confirmation": "Подтверждение данных",
        "email_link": "Подтверждение email",
        "completed": "Проверка завершена",
        "reported": "Сообщение об ошибке в данных",
        "returned": "Организация возвращена на доработку",
        "verified": "Организация проверена",
        "reminder": "Напоминание: подтвердите данные",
        "unanswered": "Ответа нет: ссылка больше не действует",
        "undelivered": "Письмо не доставлено",
    }
    assert len(set(subjects.values())) == len(LETTERS)


def test_the_longest_comment_leaves(written: Callable[..., Letter]) -> None:
    letter = written("reported", comment="Ы" * 2000)
    assert "\n\nhttp" in letter.text
    assert "Ы" * 2000 in letter.text
    assert "Ы" * 2000 in letter.html
    assert max(map(len, letter.raw.split(b"\r\n"))) < 998


# The connection


def test_many_letters_leave_through_one_connection(smtp: Smtp, mail_server: MailServer) -> None:
    for number in range(20):
        smtp.send(replace(OUTGOING, recipient=f"{number}@sever.example"))
    assert len(mail_server.letters) == 20
    assert mail_server.connections == 1


def test_the_portal_names_itself_by_its_own_host(smtp: Smtp, mail_server: MailServer) -> None:
    smtp.send(OUTGOING)
    assert mail_server.greetings == [config.settings.host]


def test_a_connection_dropped_while_idle_is_opened_anew(
    smtp: Smtp, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "IDLE_SECONDS", 0)
    smtp.send(OUTGOING)
    mail_server.hang_up()
    smtp.send(OUTGOING)
    assert len(mail_server.letters) == 2
    assert mail_server.connections == 2


def test_a_live_connection_is_kept_after_idling(
    smtp: Smtp, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "IDLE_SECONDS", 0)
    smtp.send(OUTGOING)
    smtp.send(OUTGOING)
    assert mail_server.connections == 1


def test_letters_leave_after_the_server_restarted(
    smtp: Smtp, mail_server: MailServer, keep: Callable[..., None]
) -> None:
    keep()
    smtp.send(OUTGOING)
    mail_server.restart()
    with db.writing():
        outbox.post("email", "completed", LOMOVA.email, "ORG-004217", name="", person="", at=NOON)
        db.commit()
    outbox.deliver_due("email", smtp)  # the first retry is at once
    assert [each.headers["Subject"] for each in mail_server.letters] == [
        "Подтверждение данных",
        "Проверка завершена",
    ]


# What a server may answer


def test_a_recipient_refused_for_good(smtp: Smtp, mail_server: MailServer) -> None:
    mail_server.moods[LOMOVA.email] = "550 5.1.1 no such user"
    assert refused(smtp) == (Reason.REFUSED, True)
    smtp.send(replace(OUTGOING, recipient="other@sever.example"))
    assert len(mail_server.letters) == 1


@pytest.mark.parametrize(
    ("command", "reply", "reason", "permanent"),
    [
        ("RCPT", "450 greylisted", Reason.BUSY, False),
        ("RCPT", "421 too many", Reason.BUSY, False),
        ("RCPT", "552 mailbox full for good", Reason.REFUSED, True),
        ("DATA", "451 try later", Reason.BUSY, False),
        ("DATA", "554 spam", Reason.REFUSED, True),
        ("MAIL", "451 try later", Reason.BUSY, False),
        ("MAIL", "553 not your address", Reason.MISCONFIGURED, False),
        ("EHLO", "421 busy", Reason.BUSY, False),
        ("EHLO", "550 who are you", Reason.MISCONFIGURED, False),
    ],
)
def test_only_what_is_said_of_the_letter_refuses_it_for_good(
    smtp: Smtp, mail_server: MailServer, command: str, reply: str, reason: Reason, permanent: bool
) -> None:
    mail_server.moods[command] = reply
    assert refused(smtp) == (reason, permanent)
    mail_server.moods.clear()
    smtp.send(OUTGOING)
    assert len(mail_server.letters) == 1


@pytest.mark.parametrize("command", ["EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("mood", [servers.DROP, servers.HANG])
def test_a_server_that_drops_or_hangs_is_tried_again(
    smtp: Smtp,
    mail_server: MailServer,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    mood: str,
) -> None:
    monkeypatch.setattr(mail, "TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(mail, "ANSWER_SECONDS", 0.5)
    mail_server.moods[command] = mood
    # Of a letter that was handed over to its end nobody knows; its id stays, so it is shown once.
    known = Reason.UNKNOWN if command == "DATA" else Reason.UNREACHABLE
    assert refused(smtp) == (known, False)
    mail_server.moods.clear()
    monkeypatch.undo()
    smtp.send(OUTGOING)
    assert mail_server.letters[-1].recipients == [LOMOVA.email]


def test_a_server_that_drops_before_the_letter_has_none_of_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=drop_at_data, args=(listening,), daemon=True).start()
        assert refused(Smtp(f"smtp://127.0.0.1:{listening.getsockname()[1]}")) == (
            Reason.UNREACHABLE,
            False,
        ), "another gateway may have it"


def drop_at_data(listening: socket.socket) -> None:
    connection, _address = listening.accept()
    with connection, connection.makefile("rwb", buffering=0) as wire:
        wire.write(b"220 here\r\n")
        while not wire.readline().upper().startswith(b"DATA"):
            wire.write(b"250 OK\r\n")


TALK = pytest.mark.parametrize(
    ("begun", "again"),
    [(b"2", b"5"), (b"250-", b"."), (b"", b"250-more\r\n")],
    ids=["code", "line", "lines"],
)


@TALK
@pytest.mark.parametrize("command", ["", "EHLO", "MAIL", ".", "QUIT"])
def test_a_server_that_replies_in_drops_is_given_up_in_time(
    monkeypatch: pytest.MonkeyPatch, command: str, begun: bytes, again: bytes
) -> None:
    for name in ("TIMEOUT_SECONDS", "ANSWER_SECONDS", "GOODBYE_SECONDS"):
        monkeypatch.setattr(mail, name, 0.5)

    def drip(wire: SocketIO) -> bool:
        return talk_on(wire, begun, again, pause=0.05)

    with answering({command: drip}) as (url, given_up):
        gateway = Smtp(url)
        if command == "QUIT":
            gateway.send(OUTGOING)
            gateway.close()
        else:
            known = Reason.UNKNOWN if command == "." else Reason.UNREACHABLE
            assert refused(gateway) == (known, False)
    assert given_up == [True]


def test_a_reply_that_does_not_end_is_given_up_at_once() -> None:
    def flood(wire: SocketIO) -> bool:
        return talk_on(wire, b"", b"250-more\r\n" * 1000, pause=0)

    began = real_time.monotonic()
    with answering({"MAIL": flood}) as (url, given_up):
        assert refused(Smtp(url)) == (Reason.UNREACHABLE, False)
    assert given_up == [True]
    assert real_time.monotonic() - began < mail.TIMEOUT_SECONDS


@pytest.mark.parametrize(
    "reply", [b"hello world", b"", b"354 go on", b"100 wait", b"999 what", b"-1", b"x" * 9000]
)
def test_a_letter_of_which_the_server_says_nothing_clear_may_have_been_taken(reply: bytes) -> None:
    with answering({".": lambda wire: wire.write(reply + b"\r\n")}) as (url, _told):
        assert refused(Smtp(url)) == (Reason.UNKNOWN, False), "no other server gets it"


@pytest.mark.parametrize("reply", [b"200 fine", b"251 on its way"])
def test_any_yes_is_a_yes(reply: bytes) -> None:
    with answering({".": lambda wire: wire.write(reply + b"\r\n")}) as (url, _told):
        gateway = Smtp(url)
        gateway.send(OUTGOING)
        gateway.close()


def test_a_server_may_look_a_letter_through_before_it_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mail, "TIMEOUT_SECONDS", 0.3)

    def late(wire: SocketIO) -> None:
        real_time.sleep(0.8)
        wire.write(b"250 clean\r\n")

    ours = replace(OUTGOING, ours_until=clock.now() + outbox.delivering.LEASE)
    with answering({".": late}) as (url, _told):
        gateway = Smtp(url)
        gateway.send(ours)
        gateway.close()


def test_a_letter_is_not_handed_over_when_its_answer_could_not_be_awaited() -> None:
    seconds = mail.LEAST_SECONDS + mail.SPARE_SECONDS - 1
    ours = replace(OUTGOING, ours_until=clock.now() + timedelta(seconds=seconds))
    with answering({".": lambda _wire: None}) as (url, told):
        assert refused(Smtp(url), ours) == (Reason.BUSY, False)
    assert not told


def test_no_letter_is_waited_for_longer_than_its_worker_has_it() -> None:
    longest = timedelta(seconds=mail.LETTER_SECONDS + mail.SPARE_SECONDS)
    assert longest <= outbox.delivering.LEASE
    assert mail.LEAST_SECONDS <= mail.ANSWER_SECONDS <= mail.LETTER_SECONDS


def test_what_is_no_reply_to_a_sender_left_nothing_behind() -> None:
    with answering({"MAIL": lambda wire: wire.write(b"354 go on\r\n")}) as (url, _told):
        assert refused(Smtp(url)) == (Reason.BUSY, False)


def test_a_server_that_is_slow_with_every_reply_is_given_up_before_the_letter_is_anothers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mail, "SPARE_SECONDS", 0)

    def late(wire: SocketIO) -> bool:
        real_time.sleep(0.4)
        return bool(wire.write(b"250 OK\r\n"))

    began = real_time.monotonic()
    ours = replace(OUTGOING, ours_until=clock.now() + timedelta(seconds=1))
    with answering(dict.fromkeys(["EHLO", "MAIL", "RCPT"], late)) as (url, _given_up):
        assert refused(Smtp(url), ours) == (Reason.UNREACHABLE, False)
    assert real_time.monotonic() - began < 5


@contextlib.contextmanager
def answering(
    moods: dict[str, Callable[[SocketIO], Any]],
) -> Iterator[tuple[str, list[Any]]]:
    """A mail server that takes everything, but where the test has it say something else.

    What it says so counts for a command, "" for the greeting, "." for the end of a letter.
    """
    told: list[Any] = []

    def say(wire: SocketIO, command: str, words: bytes) -> None:
        if command in moods:
            told.append(moods[command](wire))
        else:
            wire.write(words)

    def converse(wire: SocketIO) -> None:
        say(wire, "", b"220 here\r\n")
        while command := wire.readline()[:4].strip().upper().decode():
            say(wire, command, b"354 go on\r\n" if command == "DATA" else b"250 OK\r\n")
            if command == "DATA":
                while (line := wire.readline()) not in {b".\r\n", b""}:
                    pass
                if line:
                    say(wire, ".", b"250 OK\r\n")

    def serve(listener: socket.socket) -> None:
        connection, _address = listener.accept()
        with (
            contextlib.suppress(OSError),
            connection,
            connection.makefile("rwb", buffering=0) as wire,
        ):
            converse(wire)

    with (
        socket.create_server((servers.HOST, 0)) as listener,
        ThreadPoolExecutor(1) as at_once,
    ):
        served = at_once.submit(serve, listener)
        yield f"smtp://{servers.HOST}:{listener.getsockname()[1]}", told
        served.result(timeout=30)


def talk_on(wire: SocketIO, begun: bytes, again: bytes, pause: float) -> bool:
    """Say something, then the other again and again; whether the other side hung up."""
    until = real_time.monotonic() + 5
    with contextlib.suppress(OSError):
        wire.write(begun)
        while real_time.monotonic() < until:
            wire.write(again)
            real_time.sleep(pause)
        return False
    return True


def test_a_letter_that_expires_while_the_server_gets_ready_does_not_leave(
    smtp: Smtp, mail_server: MailServer, time: Time
) -> None:
    async def late(_server: Any, _session: Any, envelope: Any, address: str, _more: Any) -> str:
        time.passes(minutes=11)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    mail_server.handle_RCPT = late  # type: ignore[method-assign, assignment]
    expiring = replace(OUTGOING, useful_until=clock.now() + timedelta(minutes=10))
    assert refused(smtp, expiring) == (Reason.EXPIRED, True), "that is no refusal of the server's"
    smtp.send(replace(OUTGOING, id="another"))
    assert [each.headers["Message-ID"] for each in mail_server.letters] == [
        f"<another@{config.settings.host}>"
    ], "nothing else was taken for a letter"


def test_a_server_that_is_not_there_is_tried_again(smtp: Smtp, mail_server: MailServer) -> None:
    mail_server.stop()
    assert refused(smtp) == (Reason.UNREACHABLE, False)
    mail_server.start()
    smtp.send(OUTGOING)
    assert len(mail_server.letters) == 1


def test_a_letter_that_was_greylisted_leaves_later(
    smtp: Smtp, mail_server: MailServer, keep: Callable[..., None], time: Time
) -> None:
    keep()
    mail_server.moods["RCPT"] = "451 4.7.1 greylisted, come back in 5 minutes"
    with db.writing():
        id = outbox.post(
            "email", "completed", LOMOVA.email, "ORG-004217", name="", person="", at=NOON
        )
        db.commit()
    outbox.deliver_due("email", smtp)  # at once, and once more
    assert (servers.message(id).attempts, servers.message(id).trouble) == (2, Reason.BUSY)
    mail_server.moods.clear()
    time.passes(minutes=5)
    outbox.deliver_due("email", smtp)
    assert servers.message(id).gateway == "smtp"
    assert len(mail_server.letters) == 1


@pytest.mark.parametrize("domain", ["север.example", "sever.example"])
def test_a_mailbox_in_cyrillic_is_refused_and_nobody_else_gets_its_letter(
    smtp: Smtp, mail_server: MailServer, domain: str
) -> None:
    assert refused(smtp, replace(OUTGOING, recipient=f"ломова@{domain}")) == (Reason.REFUSED, True)
    smtp.send(OUTGOING)
    assert [each.recipients for each in mail_server.letters] == [[LOMOVA.email]]


def test_a_domain_in_cyrillic_is_written_as_the_network_writes_it(
    smtp: Smtp, mail_server: MailServer
) -> None:
    smtp.send(replace(OUTGOING, recipient="i.lomova@север.example"))
    assert mail_server.letters[0].recipients == ["i.lomova@xn--b1afb8bb.example"]


# TLS and passwords

SCHEMES = pytest.mark.parametrize("scheme", ["smtps", "smtp+starttls"])


@SCHEMES
def test_a_letter_leaves_through_tls(
    scheme: str, trusted: Authority, new_mail_server: Callable[..., MailServer]
) -> None:
    server = new_mail_server(trusted.server(), starttls=scheme != "smtps")
    gateway = Smtp(server.url(scheme))
    gateway.send(OUTGOING)
    gateway.close()
    assert len(server.letters) == 1


@SCHEMES
def test_a_certificate_of_nobody_known_is_refused(
    scheme: str, authority: Authority, new_mail_server: Callable[..., MailServer]
) -> None:
    server = new_mail_server(authority.server(), starttls=scheme != "smtps")
    assert refused(Smtp(server.url(scheme))) == (Reason.MISCONFIGURED, False)
    assert not server.letters


@SCHEMES
@pytest.mark.parametrize(("host", "days"), [("mail.example", 1), (servers.HOST, -1)])
def test_a_certificate_of_another_name_or_of_yesterday_is_refused(
    scheme: str,
    host: str,
    days: int,
    trusted: Authority,
    new_mail_server: Callable[..., MailServer],
) -> None:
    server = new_mail_server(trusted.server(host, days), starttls=scheme != "smtps")
    assert refused(Smtp(server.url(scheme))) == (Reason.MISCONFIGURED, False)
    assert not server.letters


def test_no_letter_leaves_in_the_clear_where_tls_is_wanted(mail_server: MailServer) -> None:
    gateway = Smtp(mail_server.url("smtp+starttls", "portal:secret@"))
    assert refused(gateway) == (Reason.MISCONFIGURED, False)
    assert not mail_server.letters


def test_the_portal_signs_in(
    trusted: Authority, new_mail_server: Callable[..., MailServer]
) -> None:
    server = new_mail_server(trusted.server(), starttls=True)
    server.logins["portal@taho-kart.ru"] = "p@ss:word/%"
    gateway = Smtp(server.url("smtp+starttls", "portal%40taho-kart.ru:p%40ss%3Aword%2F%25@"))
    gateway.send(OUTGOING)
    gateway.close()
    assert len(server.letters) == 1


@SCHEMES
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_the_portal_signs_in_as_the_server_likes_it(
    scheme: str,
    mechanism: str,
    trusted: Authority,
    new_mail_server: Callable[..., MailServer],
) -> None:
    server = new_mail_server(trusted.server(), starttls=scheme != "smtps")
    server.logins["portal"] = "secret"
    server.without = [each for each in ("PLAIN", "LOGIN") if each != mechanism]
    gateway = Smtp(server.url(scheme, "portal:secret@"))
    gateway.send(OUTGOING)
    gateway.close()
    assert len(server.letters) == 1
    assert server.signed_in == [mechanism]


def test_a_wrong_password_refuses_no_letter_for_good(
    trusted: Authority, new_mail_server: Callable[..., MailServer]
) -> None:
    server = new_mail_server(trusted.server(), starttls=True)
    server.logins["portal"] = "right"
    gateway = Smtp(server.url("smtp+starttls", "portal:wrong@"))
    assert refused(gateway) == (Reason.MISCONFIGURED, False)


def test_a_server_that_answers_what_nobody_foresaw_refuses_no_letter_for_good() -> None:
    with socketserver.TCPServer((servers.HOST, 0), NoBase64) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        gateway = Smtp(f"smtp://portal:secret@{servers.HOST}:{server.server_address[1]}")
        assert refused(gateway) == (Reason.UNREACHABLE, False)


class NoBase64(socketserver.StreamRequestHandler):
    """A mail server whose challenge cannot be read: smtplib has no exception of its own for it."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        for answer in (b"250-here\r\n250 AUTH CRAM-MD5\r\n", b"334 A\r\n"):
            self.rfile.readline()
            self.wfile.write(answer)


def test_no_letter_asks_dns_for_the_name_of_this_computer(
    smtp: Smtp, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, "getfqdn")
    smtp.send(OUTGOING)
    assert len(mail_server.letters) == 1


def test_the_settings_choose_the_mail_server(
    app: Flask, environment: dict[str, str], mail_server: MailServer
) -> None:
    config.use(config.load(environment | {"PORTAL_MAIL_URL": mail_server.url()}))
    gateway = gateways.choose("email")
    gateway.send(OUTGOING)
    gateway.close()
    assert len(mail_server.letters) == 1
