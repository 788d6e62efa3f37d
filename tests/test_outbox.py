"""Messages on their way: when they are tried, when never again, and what stays of them."""

from __future__ import annotations

import json
import os
import re
import smtplib
import subprocess
import sys
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from portal import clock, config, outbox
from portal.database import db
from portal.gateways import Outgoing, Reason, Trouble
from portal.gateways.http_sms import JsonGateway
from portal.gateways.mail import Smtp
from portal.outbox import State, failures
from tests import servers
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.people import act
from tests.plans import plan
from tests.undelivered import undelivered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from tests.browser import Browser
    from tests.conftest import Time
    from tests.servers import MailServer, SmsGateway

pytest_plugins = ["tests.wires"]

CODE_LIVES = timedelta(minutes=10)
PASSWORD = "gateway-password"
BUSY = (503, {"error": "come back later"})


@pytest.fixture
def smtp(mail_server: MailServer, app: Flask) -> Iterator[Smtp]:
    gateway = Smtp(mail_server.url())
    yield gateway
    gateway.close()


@pytest.fixture
def sms(sms_gateway: SmsGateway, app: Flask) -> Iterator[JsonGateway]:
    gateway = JsonGateway(sms_gateway.url())
    yield gateway
    gateway.close()


@pytest.fixture
def post_code(keep: Callable[..., None]) -> Callable[..., str]:
    """Leave an SMS with a code for the worker."""
    keep()

    def leave(code: str = "012345") -> str:
        until = clock.now() + CODE_LIVES
        with db.writing():
            id = outbox.post(
                "sms", "code", LOMOVA.phone, "ORG-004217", useful_until=until, code=code
            )
            db.commit()
        return id

    return leave


@pytest.fixture
def post_letter(keep: Callable[..., None]) -> Callable[..., str]:
    """Leave a letter for the worker."""
    keep()

    def leave(letter: str = "completed", recipient: str = ADMINISTRATOR) -> str:
        words: dict[str, Any] = {"name": "Тракт", "person": LOMOVA.full_name, "id": "ORG-004217"}
        words["at"] = clock.now().isoformat()
        with db.writing():
            id = outbox.post("email", letter, recipient, "ORG-004217", **words)
            db.commit()
        return id

    return leave


@pytest.fixture
def new_worker(app: Flask, sms_gateway: SmsGateway) -> Callable[..., threading.Thread]:
    """Start a worker for SMS in a thread, with a gateway of its own."""

    def start(together: threading.Barrier | None = None) -> threading.Thread:
        def work() -> None:
            gateway = JsonGateway(sms_gateway.url())
            with app.app_context():
                if together:
                    together.wait()
                outbox.deliver_due("sms", gateway)
            gateway.close()

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    return start


@pytest.fixture
def new_process(
    app: Flask, environment: dict[str, str], mail_server: MailServer, sms_gateway: SmsGateway
) -> Callable[..., subprocess.Popen[str]]:
    """Start `portal deliver` as an operator does, with passwords in its settings."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    urls = {
        "PORTAL_MAIL_URL": mail_server.url(),
        "PORTAL_SMS_URL": sms_gateway.url(f"izkt:{PASSWORD}@"),
    }

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "portal", "deliver", "--once"],
            env=ours | environment | urls,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


def link_in(text: str) -> str:
    """The path of the link in a letter."""
    found = re.search(r"http://127\.0\.0\.1:8000(/\S+)", text)
    assert found
    return found[1]


def state(id: str) -> State:
    row = servers.message(id)
    return outbox.state_of(row.delivered_at, row.failed_at, row.trouble)


def end(id: str) -> tuple[State, str | None, Any]:
    """How a message ended: its state, the reason if it failed, and the words that are left.

    Words that are kept for sending it again are no words left for good.
    """
    row = servers.message(id)
    assert row.due_at is None, "it is never tried again"
    if row.worth_until:
        assert row.words, "what is kept can be sent again"
    return state(id), row.trouble, None if row.worth_until else row.words


def is_kept(id: str) -> bool:
    """Whether what a message said is still there."""
    return servers.message(id).words is not None


# When a message is tried


def test_a_message_leaves_at_once_and_once(
    post_code: Callable[..., str],
    post_letter: Callable[..., str],
    sms: JsonGateway,
    smtp: Smtp,
    sms_gateway: SmsGateway,
    mail_server: MailServer,
    time: Time,
) -> None:
    code, letter = post_code(), post_letter()
    assert state(code) is State.WAITING
    for _again in range(3):
        outbox.deliver_due("sms", sms)
        outbox.deliver_due("email", smtp)
        time.passes(hours=5)
    assert end(code) == (State.DELIVERED, None, None)
    assert end(letter) == (State.DELIVERED, None, None)
    assert servers.message(code).gateway_id == "g-1"
    assert len(sms_gateway.asked) == 1
    assert len(mail_server.letters) == 1


def test_nothing_leaves_that_was_not_committed(
    post_code: Callable[..., str], sms: JsonGateway
) -> None:
    with db.writing():
        outbox.post("sms", "code", LOMOVA.phone, "ORG-004217", code="012345")
    assert outbox.deliver_due("sms", sms) == 0


def test_a_code_is_tried_after_5_15_30_then_every_60_seconds_and_never_once_expired(
    post_code: Callable[..., str], sms: JsonGateway, sms_gateway: SmsGateway, time: Time
) -> None:
    sms_gateway.answers.extend([BUSY] * 100)
    id = post_code()
    assert outbox.deliver_due("sms", sms) == 1
    for wait in (5, 15, 30, *[60] * 9):
        assert state(id) is State.TROUBLED
        time.passes(seconds=wait / 2)
        assert outbox.deliver_due("sms", sms) == 0
        time.passes(seconds=wait / 2)
        assert outbox.deliver_due("sms", sms) == 1
    assert end(id) == (State.FAILED, Reason.EXPIRED, None)
    assert servers.events(id) == [("message.failed", "expired")]
    time.passes(hours=1)
    assert outbox.deliver_due("sms", sms) == 0
    assert {asked.headers["idempotency-key"] for asked in sms_gateway.asked} == {id}


def test_a_code_leaves_once_the_gateway_is_back(
    post_code: Callable[..., str], sms: JsonGateway, sms_gateway: SmsGateway, time: Time
) -> None:
    sms_gateway.answers.extend([BUSY, servers.DROP])
    id = post_code()
    for wait in (0, 5, 15):
        time.passes(seconds=wait)
        outbox.deliver_due("sms", sms)
    assert end(id) == (State.DELIVERED, None, None)
    first, *others = sms_gateway.asked
    assert others == [first] * 2


def test_no_code_leaves_after_its_time(
    post_code: Callable[..., str], sms: JsonGateway, sms_gateway: SmsGateway, time: Time
) -> None:
    id = post_code()
    time.passes(minutes=10)  # no worker ran
    outbox.deliver_due("sms", sms)
    assert sms_gateway.asked == []
    assert end(id) == (State.FAILED, Reason.EXPIRED, None)
    assert servers.events(id) == [("message.failed", "expired")]


def test_a_letter_is_tried_again_at_once_then_every_5_minutes_for_4_hours(
    post_letter: Callable[..., str], smtp: Smtp, mail_server: MailServer, time: Time
) -> None:
    mail_server.moods["RCPT"] = "451 come back later"
    id = post_letter()
    assert outbox.deliver_due("email", smtp) == 2
    for _five_minutes in range(4 * 12):
        assert state(id) is State.TROUBLED
        assert servers.message(id).trouble == Reason.BUSY
        time.passes(minutes=2.5)
        assert outbox.deliver_due("email", smtp) == 0
        time.passes(minutes=2.5)
        assert outbox.deliver_due("email", smtp) == 1
    assert end(id) == (State.FAILED, Reason.GIVEN_UP, None)
    assert servers.events(id) == [("message.failed", "given_up")]


def test_a_night_without_workers_shortens_no_tries(
    post_letter: Callable[..., str], smtp: Smtp, mail_server: MailServer, time: Time
) -> None:
    mail_server.moods["RCPT"] = "451 come back later"
    id = post_letter()
    time.passes(hours=9)
    outbox.deliver_due("email", smtp)
    for _hour in range(3):
        time.passes(hours=1)
        outbox.deliver_due("email", smtp)
        assert state(id) is State.TROUBLED
    time.passes(hours=1)
    outbox.deliver_due("email", smtp)
    assert end(id) == (State.FAILED, Reason.GIVEN_UP, None)


def test_a_letter_leaves_once_the_server_is_back(
    post_letter: Callable[..., str], smtp: Smtp, mail_server: MailServer, time: Time
) -> None:
    mail_server.stop()
    id = post_letter()
    outbox.deliver_due("email", smtp)
    assert servers.message(id).trouble == Reason.UNREACHABLE
    time.passes(hours=3)
    mail_server.start()
    outbox.deliver_due("email", smtp)
    assert end(id) == (State.DELIVERED, None, None)
    assert len(mail_server.letters) == 1


def test_a_letter_whose_answer_was_lost_comes_again_with_the_same_id(
    post_letter: Callable[..., str], smtp: Smtp, mail_server: MailServer
) -> None:
    mail_server.moods["DATA"] = servers.LOSE
    id = post_letter()
    outbox.deliver_due("email", smtp)
    first, second = [letter.headers for letter in mail_server.letters]
    assert first["Message-ID"] == second["Message-ID"] == f"<{id}@127.0.0.1>"
    assert first["Date"] == second["Date"]


def test_a_refused_letter_fails_at_once(
    post_letter: Callable[..., str], smtp: Smtp, mail_server: MailServer
) -> None:
    mail_server.moods[ADMINISTRATOR] = "550 no such user"
    id = post_letter()
    assert outbox.deliver_due("email", smtp) == 1
    assert end(id) == (State.FAILED, Reason.REFUSED, None)
    assert servers.events(id) == [("message.failed", "refused")]


def test_a_refused_sms_fails_at_once(
    post_code: Callable[..., str], sms: JsonGateway, sms_gateway: SmsGateway
) -> None:
    sms_gateway.answers.append((422, {"error": "no such number"}))
    id = post_code()
    assert outbox.deliver_due("sms", sms) == 1
    assert end(id) == (State.FAILED, Reason.REFUSED, None)
    assert servers.events(id) == [("message.failed", "refused")]


def test_a_bad_message_holds_up_no_other(
    post_letter: Callable[..., str], smtp: Smtp, mail_server: MailServer
) -> None:
    mail_server.moods["gone@sever.example"] = "550 no such user"
    mail_server.moods["busy@sever.example"] = "451 come back later"
    unwritable = post_letter("no_such_letter")
    forged = post_letter(recipient="a@sever.example\r\nBcc: thief@evil.example")
    gone = post_letter(recipient="gone@sever.example")
    busy = post_letter(recipient="busy@sever.example")
    good = post_letter()
    outbox.deliver_due("email", smtp)
    assert end(unwritable) == end(forged) == end(gone) == (State.FAILED, Reason.REFUSED, None)
    assert state(busy) is State.TROUBLED
    assert end(good) == (State.DELIVERED, None, None)
    assert [letter.recipients for letter in mail_server.letters] == [[ADMINISTRATOR]]


def test_a_message_whose_key_is_missing_waits_for_it_and_holds_up_no_other(
    app: Flask,
    environment: dict[str, str],
    post_code: Callable[..., str],
    sms: JsonGateway,
    sms_gateway: SmsGateway,
    time: Time,
) -> None:
    older, settings = post_code(), config.settings
    other = {"PORTAL_DATA_KEYS": "YW5vdGhlciBrZXkgb2YgdGhlc2UgdGVzdHMgaGVyZSE="}
    config.use(config.load(environment | other))
    newer = post_code()
    outbox.deliver_due("sms", sms)
    assert [asked.body["id"] for asked in sms_gateway.asked] == [newer]
    config.use(settings)
    assert servers.message(older).trouble == Reason.MISCONFIGURED
    time.passes(seconds=5)
    outbox.deliver_due("sms", sms)
    assert [asked.body["id"] for asked in sms_gateway.asked] == [newer, older]


def test_mail_that_is_down_holds_up_no_code(
    post_letter: Callable[..., str],
    post_code: Callable[..., str],
    smtp: Smtp,
    mail_server: MailServer,
    sms: JsonGateway,
) -> None:
    mail_server.stop()
    letter, code = post_letter(), post_code()
    outbox.deliver_due("email", smtp)
    outbox.deliver_due("sms", sms)
    assert state(letter) is State.TROUBLED
    assert state(code) is State.DELIVERED


# What was withdrawn


def test_a_withdrawn_message_never_leaves(
    post_code: Callable[..., str], sms: JsonGateway, sms_gateway: SmsGateway, time: Time
) -> None:
    id = post_code()
    with db.writing():
        outbox.withdraw(id)
        db.commit()
    outbox.deliver_due("sms", sms)
    assert sms_gateway.asked == []
    assert end(id) == (State.FAILED, Reason.WITHDRAWN, None)


def test_an_older_code_is_not_sent_once_a_newer_one_is_asked_for(
    asked: str,
    browser: Browser,
    smtp: Smtp,
    mail_server: MailServer,
    sms: JsonGateway,
    sms_gateway: SmsGateway,
    time: Time,
) -> None:
    sms_gateway.answers.append(BUSY)
    outbox.deliver_due("email", smtp)
    browser.open(link_in(mail_server.letters[-1].text))
    browser.press("Подтвердить номер телефона")
    outbox.deliver_due("sms", sms)
    older = sms_gateway.asked[0].body
    time.passes(seconds=31)
    browser.open(browser.path).press("Отправить ещё раз")
    outbox.deliver_due("sms", sms)
    time.passes(minutes=5)
    outbox.deliver_due("sms", sms)
    _first, newer = [asked.body for asked in sms_gateway.asked]
    assert newer["id"] != older["id"]
    assert end(older["id"]) == (State.FAILED, Reason.WITHDRAWN, None)
    browser.press("Подтвердить", code=newer["text"][:6])
    assert "подтверждён" in browser.named("phone-status")


def test_what_was_withdrawn_in_the_hands_of_a_worker_is_not_tried_again(
    post_code: Callable[..., str],
    new_worker: Callable[..., threading.Thread],
    sms: JsonGateway,
    sms_gateway: SmsGateway,
    time: Time,
) -> None:
    sms_gateway.answers.append(servers.HANG)
    id = post_code()
    worker = new_worker()
    assert sms_gateway.came.wait(60)
    with db.writing():
        outbox.withdraw(id)
        db.commit()
    sms_gateway.let_go()
    worker.join()
    time.passes(minutes=2)
    assert outbox.deliver_due("sms", sms) == 0
    assert end(id) == (State.FAILED, Reason.WITHDRAWN, None)


# Many workers


def test_two_workers_hand_each_message_over_once(
    post_code: Callable[..., str],
    new_worker: Callable[..., threading.Thread],
    sms_gateway: SmsGateway,
) -> None:
    ids = [post_code() for _message in range(40)]
    together = threading.Barrier(2)
    for worker in [new_worker(together), new_worker(together)]:
        worker.join()
    assert sorted(asked.body["id"] for asked in sms_gateway.asked) == sorted(ids)
    assert {state(id) for id in ids} == {State.DELIVERED}


def test_what_a_dead_worker_held_leaves_within_2_minutes_by_another(
    post_code: Callable[..., str],
    new_process: Callable[..., subprocess.Popen[str]],
    sms: JsonGateway,
    sms_gateway: SmsGateway,
    time: Time,
) -> None:
    sms_gateway.answers.append(servers.HANG)
    held, waiting = post_code(), post_code()
    with new_process() as worker:
        assert sms_gateway.came.wait(60)
        worker.kill()
    outbox.deliver_due("sms", sms)
    assert state(held) is State.WAITING, "nobody knows yet that its worker died"
    assert state(waiting) is State.DELIVERED
    time.passes(minutes=2)
    outbox.deliver_due("sms", sms)
    assert state(held) is State.DELIVERED
    first, _other, again = sms_gateway.asked
    assert first.body == again.body
    assert first.body["id"] == held


class Interrupted:
    """A gateway whose worker is stopped: once it has claimed a message, or has handed it over."""

    def __init__(self, gateway: JsonGateway, *, meanwhile: Callable[[], None], sent: bool) -> None:
        self._gateway = gateway
        self._meanwhile = meanwhile
        self._sent = sent
        self._looks = 0

    def listen(self, _keep: object) -> None:
        """The worker reads receipts between claiming a message and handing it over."""
        self._looks += 1
        if self._looks == 2 and not self._sent:
            self._meanwhile()

    def send(self, message: Outgoing) -> str:
        known_as = self._gateway.send(message)
        if self._sent:
            self._meanwhile()
            raise Trouble(Reason.UNKNOWN)
        return known_as

    def close(self) -> None:
        """Nothing is open."""


def test_a_worker_that_was_stopped_with_a_message_in_hand_sends_it_no_second_time(
    post_code: Callable[..., str],
    new_worker: Callable[..., threading.Thread],
    sms: JsonGateway,
    sms_gateway: SmsGateway,
    time: Time,
) -> None:
    ids = [post_code(), post_code()]

    def ten_minutes() -> None:
        time.passes(minutes=9)
        new_worker().join()

    outbox.deliver_due("sms", Interrupted(sms, meanwhile=ten_minutes, sent=False))
    assert [asked.body["id"] for asked in sms_gateway.asked] == ids
    assert {state(id) for id in ids} == {State.DELIVERED}


def test_a_letter_that_may_have_left_is_tried_three_times_in_all(
    post_letter: Callable[..., str], smtp: Smtp, mail_server: MailServer, time: Time
) -> None:
    take = mail_server.handle_DATA

    async def lose(server: Any, session: Any, envelope: Any) -> str:
        mail_server.moods["DATA"] = servers.LOSE
        return await take(server, session, envelope)

    mail_server.handle_DATA = lose  # type: ignore[method-assign]
    id = post_letter()
    for _ in range(5):
        outbox.deliver_due("email", smtp)
        time.passes(minutes=5)
    assert len(mail_server.letters) == 3
    assert end(id) == (State.FAILED, Reason.UNKNOWN, None)


def test_a_worker_that_was_stopped_while_the_mail_server_waits_for_the_letter_holds_it_back(
    app: Flask,
    post_letter: Callable[..., str],
    smtp: Smtp,
    mail_server: MailServer,
    time: Time,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server has said «354» when the process goes on, and another has sent the letter."""
    id, other = post_letter(), Smtp(mail_server.url())
    hear = smtplib.SMTP.getreply
    stops = iter([True])

    def deliver() -> None:
        with app.app_context():
            outbox.deliver_due("email", other)
        other.close()

    def hear_late(host: smtplib.SMTP) -> tuple[int, bytes]:
        reply = hear(host)
        if reply[0] == 354 and next(stops, False):
            time.passes(minutes=10)
            worker = threading.Thread(target=deliver)
            worker.start()
            worker.join()
        return reply

    monkeypatch.setattr(smtplib.SMTP, "getreply", hear_late)
    outbox.deliver_due("email", smtp)
    assert [letter.headers["Message-ID"] for letter in mail_server.letters] == [f"<{id}@127.0.0.1>"]
    assert state(id) is State.DELIVERED
    later = post_letter()
    outbox.deliver_due("email", smtp)
    assert state(later) is State.DELIVERED, "the next one has a connection of its own"


def test_a_worker_that_was_stopped_judges_nothing_that_is_in_another_s_hands(
    post_code: Callable[..., str],
    sms: JsonGateway,
    sms_gateway: SmsGateway,
    new_worker: Callable[..., threading.Thread],
    time: Time,
) -> None:
    sms_gateway.answers.extend([(200, {"id": "g-1"}), servers.HANG])
    id = post_code()
    workers = []

    def two_minutes() -> None:
        time.passes(minutes=2)
        sms_gateway.came.clear()
        workers.append(new_worker())
        assert sms_gateway.came.wait(60), "another has it in hand"

    outbox.deliver_due("sms", Interrupted(sms, meanwhile=two_minutes, sent=True))
    row = servers.message(id)
    assert row.trouble is None
    assert row.due_at > clock.now() + timedelta(seconds=60), "it is the other's until then"
    sms_gateway.let_go()
    workers[0].join()
    assert {asked.headers["idempotency-key"] for asked in sms_gateway.asked} == {id}


# What failed, and sending it again


def send_again(id: str) -> bool:
    return bool(act(outbox.send_again, id, "tests"))


def forget() -> bool:
    return outbox.forget_worthless()


def test_a_refused_letter_is_sent_again_with_the_same_words_and_id(
    post_letter: Callable[..., str], smtp: Smtp, mail_server: MailServer, time: Time
) -> None:
    mail_server.moods[ADMINISTRATOR] = "550 no such user"
    id = post_letter()
    outbox.deliver_due("email", smtp)
    assert state(id) is State.FAILED
    time.passes(days=2)
    mail_server.moods.clear()
    assert send_again(id)
    assert state(id) is State.WAITING
    assert outbox.deliver_due("email", smtp) == 1
    assert end(id) == (State.DELIVERED, None, None)
    [letter] = mail_server.letters
    assert letter.headers["Message-ID"] == f"<{id}@127.0.0.1>"
    assert "Тракт" in letter.text


def test_a_letter_sent_again_is_tried_for_4_hours_anew(
    post_letter: Callable[..., str], smtp: Smtp, mail_server: MailServer, time: Time
) -> None:
    mail_server.moods["RCPT"] = "451 come back later"
    id = post_letter()
    for _five_minutes in range(4 * 12 + 1):
        outbox.deliver_due("email", smtp)
        time.passes(minutes=5)
    assert end(id) == (State.FAILED, Reason.GIVEN_UP, None)
    assert send_again(id)
    assert outbox.deliver_due("email", smtp) == 2, "once more at once, as at first"
    time.passes(hours=3.9)
    outbox.deliver_due("email", smtp)
    assert state(id) is State.TROUBLED
    time.passes(minutes=10)
    outbox.deliver_due("email", smtp)
    assert end(id) == (State.FAILED, Reason.GIVEN_UP, None)


def test_who_gives_up_on_the_portals_own_settings_says_so(
    post_letter: Callable[..., str], smtp: Smtp, mail_server: MailServer, time: Time
) -> None:
    mail_server.moods["MAIL"] = "553 not your address"
    id = post_letter()
    outbox.deliver_due("email", smtp)
    time.passes(hours=4)
    outbox.deliver_due("email", smtp)
    assert end(id) == (State.FAILED, Reason.MISCONFIGURED, None)
    assert servers.events(id) == [("message.failed", "misconfigured")]


def test_however_many_press_at_once_it_is_sent_again_once(
    app: Flask, post_letter: Callable[..., str], smtp: Smtp, mail_server: MailServer
) -> None:
    mail_server.moods[ADMINISTRATOR] = "550 no such user"
    id = post_letter()
    outbox.deliver_due("email", smtp)
    mail_server.moods.clear()
    together, outcomes = threading.Barrier(4), []

    def press() -> None:
        with app.app_context():
            together.wait()
            outcomes.append(send_again(id))

    pressing = [threading.Thread(target=press) for _each in range(4)]
    for each in pressing:
        each.start()
    for each in pressing:
        each.join()
    assert sorted(outcomes) == [False, False, False, True]
    outbox.deliver_due("email", smtp)
    assert len(mail_server.letters) == 1
    assert not send_again(id), "it was delivered"


def test_what_waits_or_was_a_code_or_withdrawn_or_never_was_is_not_sent_again(
    post_letter: Callable[..., str],
    post_code: Callable[..., str],
    sms: JsonGateway,
    sms_gateway: SmsGateway,
) -> None:
    sms_gateway.answers.append((422, {"error": "no such number"}))
    code = post_code()
    outbox.deliver_due("sms", sms)
    assert not is_kept(code)
    waiting, withdrawn = post_letter(), post_letter()
    act(outbox.withdraw, withdrawn)
    assert not is_kept(withdrawn)
    for id in (code, waiting, withdrawn, "A" * 22):
        assert not send_again(id)
    assert state(waiting) is State.WAITING
    assert state(withdrawn) is State.FAILED


def test_words_are_kept_a_week_or_until_what_they_are_about_ends(
    post_letter: Callable[..., str], smtp: Smtp, mail_server: MailServer, time: Time
) -> None:
    mail_server.moods["RCPT"] = "550 no such user"
    ordinary = post_letter()
    with db.writing():
        until = (clock.now() + timedelta(days=2)).isoformat()
        words: dict[str, Any] = {"token": "A.b", "until": until, "name": "", "person": ""}
        link = outbox.post("email", "email_link", LOMOVA.email, "ORG-004217", **words)
        db.commit()
    outbox.deliver_due("email", smtp)
    assert not forget()
    assert is_kept(link)
    time.passes(days=2, seconds=1)
    assert not send_again(link), "the link is dead, although nobody forgot it yet"
    assert forget()
    assert not forget(), "there is nothing left to do"
    assert not is_kept(link)
    assert is_kept(ordinary)
    time.passes(days=5)
    assert forget()
    assert not is_kept(ordinary)
    assert {state(ordinary), state(link)} == {State.FAILED}


def test_the_end_of_a_request_takes_the_words_of_what_failed_for_it(
    asked: str,
    keep: Callable[..., None],
    ask: Callable[..., str],
    smtp: Smtp,
    mail_server: MailServer,
) -> None:
    mail_server.moods[LOMOVA.email] = "550 no such user"
    outbox.deliver_due("email", smtp)
    failed = servers.newest("confirmation")
    assert is_kept(failed.id)
    ask()
    assert not is_kept(failed.id)
    assert not send_again(failed.id)
    assert servers.message(failed.id).trouble == Reason.REFUSED, "it stays what it was"


def test_what_failed_is_listed_newest_first_page_by_page(
    app: Flask, keep: Callable[..., None]
) -> None:
    keep()
    keep("ORG-2")
    ids = [undelivered(to=f"{number}@sever.example") for number in range(5)]
    other = undelivered(organisation_id="ORG-2")
    act(outbox.withdraw, ids[0])  # it failed before: that stays true
    with db.reading():
        first = outbox.failed(most=4)
        last = first[-1]
        rest = outbox.failed((last.failed_at, last.id), most=4)
        own = outbox.failed_of("ORG-004217", most=3)
        [found] = outbox.failed_of("ORG-2")
    assert [each.id for each in first + rest] == [other, *reversed(ids)]
    assert rest[-1].recipient == "0@sever.example"
    assert not rest[-1].may_be_sent_again
    assert {each.id for each in own} <= set(ids)
    assert len(own) == 3
    assert found.id == other
    assert found.reason is Reason.GIVEN_UP
    assert found.may_be_sent_again
    assert "sever" not in repr(found), "personal data stays out of tracebacks"


def test_what_was_withdrawn_is_no_failure(
    asked: str, ask: Callable[..., str], keep: Callable[..., None]
) -> None:
    ask()
    with db.reading():
        assert outbox.failed(most=10) == []
        assert outbox.failed_of("ORG-004217") == []
        assert not outbox.has_untold()


def words_of(id: str) -> dict[str, str]:
    kept = servers.message(id).words
    found: dict[str, str] = json.loads(kept) if kept else {}
    return found


def test_words_change_in_what_may_still_leave_and_only_where_they_are_said(
    app: Flask, environment: dict[str, str], keep: Callable[..., None]
) -> None:
    keep()
    unreadable = undelivered(about="request", by="old")
    other_keys = {"PORTAL_DATA_KEYS": "YW5vdGhlciBrZXkgb2YgdGhlc2UgdGVzdHMgaGVyZSE="}
    config.use(config.load(environment | other_keys))
    keep("ORG-2")
    failed = undelivered(organisation_id="ORG-2", about="request", by="old")
    silent = undelivered(organisation_id="ORG-2", about="request")
    other = undelivered(organisation_id="ORG-2", about="other", by="old")
    wiped = undelivered(organisation_id="ORG-2", about="request", by="old", kept=None)
    assert act(outbox.send_again, failed, "tests")
    act(lambda: outbox.reword("request", by="new"))
    assert words_of(failed)["by"] == "new"
    assert words_of(failed)["name"] == "Тракт"
    assert "by" not in words_of(silent)
    assert words_of(other)["by"] == "old"
    assert words_of(wiped) == {}
    config.use(config.load(environment))
    assert words_of(unreadable)["by"] == "old"


def test_an_address_that_nobody_can_read_hides_no_other(
    app: Flask, environment: dict[str, str], keep: Callable[..., None]
) -> None:
    keep()
    undelivered(to="old@sever.example")
    other = {"PORTAL_DATA_KEYS": "YW5vdGhlciBrZXkgb2YgdGhlc2UgdGVzdHMgaGVyZSE="}
    config.use(config.load(environment | other))
    undelivered(to="new@sever.example")
    with db.reading():
        assert [each.recipient for each in outbox.failed(most=10)] == ["new@sever.example", ""]


@pytest.mark.sqlite
def test_a_failure_costs_little_to_look_for_among_many_that_were_withdrawn(app: Flask) -> None:
    """Each list and each chore has an index of the rows that it is about."""
    for statement in (failures._NEWEST, failures._AFTER, failures._ANY_UNTOLD, failures._UNTOLD):
        assert "ix_messages_" in plan(
            statement, most=1, at=clock.now(), id="", long_ago=clock.now()
        )
    assert "ix_messages_worth" in plan(failures._ANY_WORTHLESS, now=clock.now())


# What stays, and what is told


def test_personal_data_is_readable_nowhere_in_the_database(
    everything_stored: Callable[[], bytes],
    asked: str,
    browser: Browser,
    smtp: Smtp,
    mail_server: MailServer,
    sms: JsonGateway,
    sms_gateway: SmsGateway,
) -> None:
    stored: list[bytes] = []

    def look() -> None:
        stored.append(everything_stored())

    def newest_link() -> str:
        look()
        outbox.deliver_due("email", smtp)
        return link_in(mail_server.letters[-1].text)

    first_link = newest_link()
    browser.open(first_link).press("Подтвердить номер телефона")
    look()
    outbox.deliver_due("sms", sms)
    code = sms_gateway.asked[-1].body["text"][:6]
    browser.press("Подтвердить", code=code)
    browser.press("Подтвердить email")
    second_link = newest_link()
    browser.open(second_link).press("Подтвердить адрес")
    look()
    outbox.deliver_due("email", smtp)
    look()
    assert len(mail_server.letters) == 3
    secrets = {
        LOMOVA.phone[2:],
        LOMOVA.email,
        ADMINISTRATOR,
        LOMOVA.last_name,
        LOMOVA.first_name,
        LOMOVA.patronymic,
        first_link.rpartition("/")[2],
        second_link.rpartition("/")[2],
    }
    everything = b"\n".join(stored).lower()
    for secret in secrets:
        for spelling in (secret, json.dumps(secret)[1:-1]):
            assert spelling.lower().encode() not in everything, secret
    code_alone = rb"(?<![.\d])%b(?!\d)"  # not the fraction of a second
    assert not re.search(code_alone % code.encode(), everything)
    assert b"org-004217" in everything, "what is no secret is found"


def test_what_was_said_is_wiped_and_no_gateway_gets_it_twice(
    post_code: Callable[..., str],
    post_letter: Callable[..., str],
    sms: JsonGateway,
    smtp: Smtp,
    mail_server: MailServer,
) -> None:
    mail_server.moods["gone@sever.example"] = "550 no such user"
    ids = [post_code(), post_letter(), post_letter(recipient="gone@sever.example"), post_code()]
    with db.writing():
        outbox.withdraw(ids[-1])
        db.commit()
    assert all(servers.message(id).words for id in ids[:-1])
    outbox.deliver_due("sms", sms)
    outbox.deliver_due("email", smtp)
    assert [is_kept(id) for id in ids] == [False, False, True, False]


def test_the_log_tells_what_failed_and_nothing_of_whom(
    post_code: Callable[..., str],
    post_letter: Callable[..., str],
    new_process: Callable[..., subprocess.Popen[str]],
    mail_server: MailServer,
    sms_gateway: SmsGateway,
) -> None:
    mail_server.moods[ADMINISTRATOR] = f"550 {ADMINISTRATOR} is nobody here"
    sms_gateway.answers.append((503, {"error": LOMOVA.phone}))
    ids = {
        post_code(code="904217"): Reason.BUSY,
        post_letter(): Reason.REFUSED,
        post_letter(recipient=f"{LOMOVA.email}\nBcc: {ADMINISTRATOR}"): Reason.REFUSED,
    }
    unwritable = post_letter("no_such_letter")
    with new_process() as worker:
        said, _nothing = worker.communicate(timeout=90)
    assert worker.returncode == 0
    lines = [json.loads(line) for line in said.splitlines()]
    assert {line["message"]: line.get("reason") for line in lines} == ids | {unwritable: None}
    names = (LOMOVA.last_name, LOMOVA.first_name, LOMOVA.patronymic)
    for secret in (LOMOVA.phone[2:], LOMOVA.email, ADMINISTRATOR, *names, "904217", PASSWORD):
        assert secret not in said
        assert json.dumps(secret)[1:-1] not in said
