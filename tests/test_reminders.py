"""Who is told, and when, that something does not go on by itself."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from portal import (
    clock,
    config,
    confirmation,
    deliveries,
    editing,
    history,
    organisation,
    outbox,
    reminders,
)
from portal.account import Role
from portal.account.tables import accounts
from portal.cli import servers as commands
from portal.clock import MOSCOW
from portal.database import db
from portal.deliveries import ACTIONS, OUTDATED, REASONS, Whose
from portal.gateways import Reason, Trouble
from portal.outbox import State
from portal.verification.tables import verifications
from tests import servers
from tests.browser import squeeze
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.people import act, enrol, invite
from tests.undelivered import fail, undelivered

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from portal.gateways import Outgoing
    from tests.browser import Browser
    from tests.conftest import Post, Time

REMINDER = "Напоминание: подтвердите данные"
UNANSWERED = "Ответа нет: ссылка больше не действует"
NO_LETTER = "Письмо не доставлено"
NO_SMS = "СМС не доставлена"
ORLOVA, TITOV = "m.orlova@izkt.example", "k.titov@izkt.example"
NEW_ADMINISTRATOR = "new@sever-trakt.example"


def at(day: str, hour: str = "10:00") -> datetime:
    """A moment in Moscow: at("23.11.2026", "10:30")."""
    return datetime.strptime(f"{day} {hour}", "%d.%m.%Y %H:%M").replace(tzinfo=MOSCOW)


def go_to(day: str, hour: str = "10:00") -> None:
    clock.shift(at(day, hour) - clock.now())


@pytest.fixture(autouse=True)
def monday(time: Time) -> None:
    """A working day in the morning, whatever day it is: no holiday is near."""
    go_to("23.11.2026")


def use(environment: dict[str, str], **settings: str) -> None:
    values = {f"PORTAL_{name.upper()}": value for name, value in settings.items()}
    config.use(config.load(environment | values))


def scheduled(letter: str) -> list[datetime]:
    """When letters are due that did not leave yet."""
    rows = outbox.messages
    with db.reading():
        found = db.all(
            select(rows.c.due_at)
            .where(rows.c.letter == letter, rows.c.due_at.is_not(None))
            .order_by(rows.c.due_at)
        )
    return [row.due_at.replace(second=0, microsecond=0) for row in found]


def subjects(post: Post, recipient: str) -> list[str]:
    return [each.subject for each in post.letters(recipient)]


# Reminders of the responsible person


def test_the_person_is_reminded_after_two_working_days_and_one_before_the_end(
    asked: str, post: Post
) -> None:
    assert scheduled("reminder") == [at("25.11.2026"), at("27.11.2026")]
    assert subjects(post, LOMOVA.email) == ["Подтверждение данных"]
    go_to("25.11.2026", "09:59")
    assert len(post.letters(LOMOVA.email)) == 1
    go_to("25.11.2026", "10:01")
    assert subjects(post, LOMOVA.email)[1:] == [REMINDER]
    go_to("27.11.2026", "10:01")
    assert subjects(post, LOMOVA.email)[1:] == [REMINDER, REMINDER]
    go_to("07.12.2026")
    assert len(post.letters(LOMOVA.email)) == 3


def test_a_reminder_has_the_same_link_and_says_until_when_it_works(
    asked: str, post: Post, browser: Browser
) -> None:
    first = post.link()
    go_to("25.11.2026", "10:01")
    assert post.link() == first
    text = post.letters(LOMOVA.email)[-1].text
    assert "30.11.2026 в 10:00 мск" in text
    assert browser.open(first).status == 200
    assert LOMOVA.phone[2:] not in text
    assert browser.has("confirm-phone")


def test_holidays_are_no_working_days(keep: Callable[..., None], ask: Callable[..., str]) -> None:
    keep()
    go_to("30.12.2026")  # the next day off was moved to the 31st, and then come ten more
    ask()
    assert scheduled("reminder") == [], "the link ends before anybody works again"
    assert scheduled("unanswered") == [at("11.01.2027", "09:00")]


@pytest.mark.parametrize(
    ("days", "begun", "reminded"),
    [
        ("1", "23.11.2026 10:00", []),
        ("2", "23.11.2026 10:00", ["24.11.2026 10:00"]),
        ("3", "23.11.2026 10:00", ["25.11.2026 10:00"]),
        ("4", "23.11.2026 10:00", ["25.11.2026 10:00", "26.11.2026 10:00"]),
        ("3", "20.11.2026 12:00", []),  # from Friday to Monday
        ("7", "20.11.2026 23:00", ["25.11.2026 09:00", "26.11.2026 18:00"]),
        ("7", "21.11.2026 03:00", ["25.11.2026 09:00", "26.11.2026 18:00"]),
        ("7", "19.11.2026 19:00", ["24.11.2026 09:00", "25.11.2026 18:00"]),
        ("30", "23.11.2026 10:00", ["25.11.2026 10:00", "22.12.2026 10:00"]),
    ],
)
def test_never_after_the_end_and_never_twice_in_a_working_day(
    environment: dict[str, str],
    keep: Callable[..., None],
    ask: Callable[..., str],
    days: str,
    begun: str,
    reminded: list[str],
) -> None:
    keep()
    use(environment, link_days=days)
    go_to(*begun.split())
    ask()
    due = [each.astimezone(MOSCOW).strftime("%d.%m.%Y %H:%M") for each in scheduled("reminder")]
    assert due == reminded
    assert all(
        each < at(*begun.split()) + timedelta(days=int(days)) for each in scheduled("reminder")
    )


def test_who_has_done_it_is_not_reminded(
    asked: str, browser: Browser, post: Post, time: Time
) -> None:
    browser.open(post.link()).press("Подтвердить номер телефона")
    browser.press("Подтвердить", code=post.code()).press("Подтвердить email")
    browser.open(post.link()).press("Подтвердить адрес")
    assert scheduled("reminder") == scheduled("unanswered") == []
    before = len(post.letters(LOMOVA.email))
    time.passes(days=10)
    assert len(post.letters(LOMOVA.email)) == before
    assert subjects(post, ADMINISTRATOR) == ["Проверка завершена"]


def test_who_has_confirmed_half_is_reminded_of_the_rest(
    asked: str, browser: Browser, post: Post, time: Time
) -> None:
    browser.open(post.link()).press("Подтвердить номер телефона")
    browser.press("Подтвердить", code=post.code())
    time.passes(days=2, minutes=1)
    assert subjects(post, LOMOVA.email)[-1] == REMINDER


def test_a_newer_request_takes_the_reminders_of_the_older_one_with_it(
    asked: str, ask: Callable[..., str], post: Post, time: Time
) -> None:
    time.passes(days=1)
    newer = ask()
    assert scheduled("reminder") == [at("26.11.2026"), at("30.11.2026")]
    time.passes(days=2, minutes=1)
    assert subjects(post, LOMOVA.email)[-1] == REMINDER
    with db.reading():
        found = confirmation.find(newer)
    assert found
    assert servers.newest("reminder").about == newer


def test_a_worker_that_was_away_sends_one_reminder_and_none_after_the_end(
    asked: str, post: Post
) -> None:
    post.deliver()
    go_to("27.11.2026", "11:00")  # both are due
    assert subjects(post, LOMOVA.email)[1:] == [REMINDER]
    assert outbox.forget_worthless()
    assert not outbox.forget_worthless()
    assert scheduled("reminder") == []
    with db.reading():
        assert outbox.failed(most=10) == [], "nobody has to be told of it"


def test_a_worker_that_was_away_for_a_week_sends_none(asked: str, post: Post) -> None:
    post.deliver()
    go_to("30.11.2026", "10:01")
    assert subjects(post, LOMOVA.email) == ["Подтверждение данных"]
    assert subjects(post, ADMINISTRATOR) == [UNANSWERED]


# No answer


def test_the_administrator_is_told_that_the_link_ended(
    asked: str, post: Post, browser: Browser
) -> None:
    post.deliver()
    go_to("30.11.2026", "09:59")
    assert subjects(post, ADMINISTRATOR) == []
    go_to("30.11.2026", "10:01")
    [letter] = post.letters(ADMINISTRATOR)
    assert letter.subject == UNANSWERED
    assert "30.11.2026 в 10:00 мск" in letter.text
    assert post.link(ADMINISTRATOR) == "/organisations/ORG-004217"


def test_that_is_told_in_working_hours(
    keep: Callable[..., None], ask: Callable[..., str], post: Post
) -> None:
    keep()
    go_to("20.11.2026", "23:00")
    ask()
    go_to("28.11.2026", "12:00")  # a Saturday: the link ended the evening before
    assert subjects(post, ADMINISTRATOR) == []
    go_to("30.11.2026", "09:00")
    clock.shift(timedelta(seconds=1))
    assert subjects(post, ADMINISTRATOR) == [UNANSWERED]


def test_a_request_that_was_made_anew_before_is_told_of_by_nobody(
    keep: Callable[..., None], ask: Callable[..., str], post: Post
) -> None:
    keep()
    go_to("20.11.2026", "23:00")
    ask()
    go_to("28.11.2026", "12:00")
    ask()
    go_to("30.11.2026", "12:00")
    assert subjects(post, ADMINISTRATOR) == []


def test_who_is_no_administrator_any_more_is_told_nothing(asked: str, post: Post) -> None:
    act(change_administrator)
    go_to("30.11.2026", "10:01")
    assert subjects(post, ADMINISTRATOR) == []
    assert subjects(post, NEW_ADMINISTRATOR) == [UNANSWERED]


def change_administrator() -> None:
    organisation.save("ORG-004217", LOMOVA, NEW_ADMINISTRATOR, "", "tests")
    editing.end_outdated("ORG-004217", "tests")


def test_a_reminder_names_who_is_administrator_by_then(asked: str, post: Post) -> None:
    assert ADMINISTRATOR in post.letters(LOMOVA.email)[0].text
    first = post.link()
    due = scheduled("reminder")
    act(change_administrator)
    assert scheduled("reminder") == due, "it comes when it would have come"
    for day in ("25.11.2026", "27.11.2026"):
        go_to(day, "10:01")
        letter = post.letters(LOMOVA.email)[-1]
        assert letter.subject == REMINDER
        assert NEW_ADMINISTRATOR in letter.text
        assert ADMINISTRATOR not in letter.text + letter.html
        assert post.link() == first
    assert len(post.letters(LOMOVA.email)) == 3


def test_a_letter_that_is_sent_again_names_who_is_administrator_by_then(
    asked: str, post: Post
) -> None:
    refuse()
    act(change_administrator)
    assert act(outbox.send_again, servers.newest("confirmation").id, "tests")
    [letter] = post.letters(LOMOVA.email)
    assert NEW_ADMINISTRATOR in letter.text
    assert ADMINISTRATOR not in letter.text + letter.html


# What could not be delivered


def deliver(channel: str, trouble: Trouble | None = None) -> None:
    """Let a worker hand over what is due, to a gateway that takes everything or nothing."""

    class Gateway:
        def send(self, message: Outgoing) -> str:
            if trouble:
                raise trouble
            return message.id

        def close(self) -> None:
            """Nothing is open."""

    outbox.deliver_due(channel, Gateway())


def refuse(channel: str = "email") -> None:
    deliver(channel, Trouble(Reason.REFUSED, permanent=True))


def tell() -> None:
    """Do the chore until there is nothing left to do."""
    assert reminders.tell_of_failures()
    while reminders.tell_of_failures():
        pass


def request_code(id: str) -> None:
    def press() -> None:
        found = confirmation.find(id)
        assert found
        assert confirmation.send_code_again(found, "10.20.4.17") is None

    act(press)


def test_the_administrator_is_told_of_a_refused_letter_once(asked: str, post: Post) -> None:
    assert not reminders.tell_of_failures(), "nothing failed"
    refuse()
    tell()
    [letter] = post.letters(ADMINISTRATOR)
    assert letter.subject == NO_LETTER
    assert "Письмо «Подтверждение данных»" in letter.text
    assert LOMOVA.email in letter.text
    assert "Проверьте email" in letter.text
    assert post.link(ADMINISTRATOR) == "/organisations/ORG-004217"
    token = servers.newest("undelivered")
    assert token.about == asked
    assert not reminders.tell_of_failures()
    assert len(post.letters(ADMINISTRATOR)) == 1


def test_no_link_and_no_code_is_in_that_letter(asked: str, post: Post) -> None:
    link = post.link().rpartition("/")[2]
    request_code(asked)
    refuse("sms")
    tell()
    [letter] = post.letters(ADMINISTRATOR)
    assert letter.subject == NO_SMS
    assert link not in letter.text + letter.html
    assert "+7 921 555-01-47" in letter.text
    codes = history.SMS
    assert codes["code"] in letter.text


def test_codes_that_came_to_nothing_are_told_once_for_a_request(
    asked: str, post: Post, time: Time
) -> None:
    post.deliver()
    for _each in range(3):
        request_code(asked)
        time.passes(minutes=11)  # no worker ran
        deliver("sms")
        tell()
    assert subjects(post, ADMINISTRATOR) == [NO_SMS]
    refuse_reminder()
    assert subjects(post, ADMINISTRATOR) == [NO_SMS, NO_LETTER], "mail is another way"


def refuse_reminder() -> None:
    go_to("25.11.2026", "12:00")
    refuse()
    tell()


def test_what_may_have_left_is_told_when_nobody_answered_and_as_that(
    asked: str, post: Post, time: Time
) -> None:
    post.deliver()
    request_code(asked)
    deliver("sms", Trouble(Reason.UNKNOWN, permanent=True))
    assert not reminders.tell_of_failures(), "it may be typed in a moment"
    time.passes(minutes=4)
    tell()
    [letter] = post.letters(ADMINISTRATOR)
    assert letter.subject == "СМС могла не дойти"
    for words in (letter.text, letter.html or ""):
        assert "не доставлен" not in words
        assert "неизвестно, ушла ли СМС" in squeeze(words)


def test_a_code_that_came_after_all_is_told_to_nobody(
    asked: str, browser: Browser, post: Post, time: Time
) -> None:
    browser.open(post.link()).press("Подтвердить номер телефона")
    typed = post.code()
    act(fail, servers.newest("code").id, Reason.UNKNOWN)
    browser.press("Подтвердить", code=typed)
    time.passes(minutes=4)
    tell()
    assert post.letters(ADMINISTRATOR) == []


def test_what_was_sent_again_in_vain_is_told_again(asked: str, post: Post) -> None:
    refuse()
    tell()
    post.deliver()
    failed = servers.newest("confirmation")
    assert act(outbox.send_again, failed.id, "tests")
    refuse()
    tell()
    assert subjects(post, ADMINISTRATOR) == [NO_LETTER, NO_LETTER]


def test_nobody_is_told_of_what_went_to_the_administrator(asked: str, post: Post) -> None:
    post.deliver()
    undelivered("completed", about=asked)
    undelivered("undelivered", about=asked)
    tell()
    assert post.letters(ADMINISTRATOR) == []
    assert not reminders.tell_of_failures()


def test_what_the_administrator_did_not_get_hides_nothing_of_the_person(
    asked: str, post: Post
) -> None:
    post.deliver()
    undelivered("undelivered", about=asked)
    tell()
    undelivered("email_link", Reason.REFUSED, to=LOMOVA.email, about=asked)
    tell()
    assert subjects(post, ADMINISTRATOR) == [NO_LETTER]


def test_letters_about_letters_that_fail_are_no_loop(asked: str, post: Post) -> None:
    for _each in range(5):
        refuse()
        reminders.tell_of_failures()
    rows = outbox.messages
    with db.reading():
        letters = [row.letter for row in db.all(select(rows.c.letter))]
    assert letters.count("undelivered") == 1


def test_a_person_with_the_administrators_address_is_told_nothing(
    keep: Callable[..., None], ask: Callable[..., str], post: Post
) -> None:
    keep(email=ADMINISTRATOR)
    ask()
    refuse()
    tell()
    assert post.letters(ADMINISTRATOR) == []


def test_nobody_is_told_of_a_request_that_has_ended(
    asked: str, ask: Callable[..., str], post: Post
) -> None:
    refuse()
    ask()  # before a worker looked
    post.deliver()
    tell()
    assert post.letters(ADMINISTRATOR) == []


def test_a_failed_letter_to_an_account_is_told_to_no_administrator(
    keep: Callable[..., None], post: Post
) -> None:
    keep()
    owner = enrol("petrov@sever-trakt.example").account
    undelivered("account_event", organisation_id=None, account_id=owner.id, event="device.added")
    assert not reminders.tell_of_failures()


def test_of_two_workers_one_tells(app: Flask, asked: str, post: Post) -> None:
    refuse()
    together = threading.Barrier(3)

    def work() -> None:
        with app.app_context():
            together.wait()
            reminders.tell_of_failures()

    at_once(work, 3)
    assert subjects(post, ADMINISTRATOR) == [NO_LETTER]


def at_once(work: Callable[[], None], times: int) -> None:
    threads = [threading.Thread(target=work) for _each in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_a_record_that_nobody_can_read_holds_up_no_other(
    environment: dict[str, str], asked: str, keep: Callable[..., None], post: Post
) -> None:
    use(environment, data_keys="YW5vdGhlciBrZXkgb2YgdGhlc2UgdGVzdHMgaGVyZSE=")
    undelivered("confirmation", Reason.REFUSED, to=LOMOVA.email, about=asked)
    keep("ORG-2")
    other = act(request_of, "ORG-2")
    refuse_of(other)
    tell()
    assert subjects(post, ADMINISTRATOR) == [NO_LETTER]
    assert not reminders.tell_of_failures()


def request_of(id: str) -> str:
    found = organisation.find(id)
    assert found
    request = confirmation.request(found, "tests")
    assert request
    return request


def refuse_of(request: str) -> None:
    rows = outbox.messages
    with db.writing():
        letter = db.one(
            select(rows.c.id).where(rows.c.about == request, rows.c.letter == "confirmation")
        )
        fail(letter.id, Reason.REFUSED)
        db.commit()


# The specialists


@pytest.fixture
def wait(keep: Callable[..., None]) -> Callable[[str], str]:
    """Put an organisation into the queue, as it was sent at this moment."""

    def submit(id: str) -> str:
        keep(id)
        boss = enrol(f"boss@{id.lower()}.example", Role.ADMINISTRATOR, id).account
        found = organisation.find(id)
        assert found
        values: dict[str, Any] = {
            "id": id.ljust(22, "v"),
            "organisation_id": id,
            "record_id": found.record_id,
            "submitted_at": clock.now(),
            "submitted_by": boss.id,
        }
        act(db.execute, verifications.insert(), values)
        return str(values["id"])

    return submit


@pytest.fixture
def specialist(app: Flask) -> str:
    enrol(ORLOVA, Role.SPECIALIST, name="Орлова Мария")
    return ORLOVA


def test_specialists_are_told_that_the_queue_is_old(
    wait: Callable[[str], str], specialist: str, post: Post
) -> None:
    enrol(TITOV, Role.SPECIALIST)
    wait("ORG-1")
    wait("ORG-2")
    assert not reminders.remind_specialists()
    go_to("24.11.2026", "09:59")
    assert not reminders.remind_specialists()
    go_to("24.11.2026", "10:01")
    wait("ORG-3")
    assert reminders.remind_specialists()
    for each in (ORLOVA, TITOV):
        [letter] = post.letters(each)
        assert letter.subject == "В очереди ждут проверки: 2"
        assert "23.11.2026 в 10:00 мск" in letter.text
    assert post.link(ORLOVA) == "/verifications"
    with db.reading():
        reminded = {
            row.id: row.reminded_at
            for row in db.all(select(verifications).order_by(verifications.c.submitted_at))
        }
    assert [bool(each) for each in reminded.values()] == [True, True, False]


def test_that_is_told_once_in_a_working_day_and_in_working_hours(
    wait: Callable[[str], str], specialist: str, post: Post
) -> None:
    wait("ORG-1")
    go_to("23.11.2026", "12:00")
    wait("ORG-2")  # is old only after the first was told of
    told = []
    for day in range(24, 31):
        for hour in ("08:30", "11:00", "13:00", "18:30"):
            go_to(f"{day}.11.2026", hour)
            if reminders.remind_specialists():
                told.append(f"{day} {hour}")
            assert not reminders.remind_specialists()
    assert told == ["24 11:00", "25 11:00", "26 11:00", "27 11:00", "30 11:00"]
    assert len(post.letters(ORLOVA)) == 5


def test_a_restart_tells_nobody_twice(
    wait: Callable[[str], str], specialist: str, post: Post
) -> None:
    """The day's letters are found even when what they told of has left the queue."""
    first = wait("ORG-1")
    wait("ORG-2")
    go_to("24.11.2026", "10:01")
    assert reminders.remind_specialists()
    rows = verifications
    act(db.execute, rows.update().where(rows.c.id == first).values(ended_at=clock.now()))
    act(db.execute, rows.update().values(reminded_at=None))
    assert not reminders.remind_specialists()
    assert len(post.letters(ORLOVA)) == 1


def test_of_two_workers_one_reminds(
    app: Flask, wait: Callable[[str], str], specialist: str, post: Post
) -> None:
    wait("ORG-1")
    go_to("24.11.2026", "10:01")
    together = threading.Barrier(3)

    def work() -> None:
        with app.app_context():
            together.wait()
            reminders.remind_specialists()

    at_once(work, 3)
    assert len(post.letters(ORLOVA)) == 1


def test_only_who_can_sign_in_is_told(
    wait: Callable[[str], str], specialist: str, post: Post
) -> None:
    invited = invite("new@izkt.example", Role.SPECIALIST)
    suspended = enrol(TITOV, Role.SPECIALIST).account
    rows = accounts
    act(db.execute, rows.update().where(rows.c.id == suspended.id).values(suspended_at=clock.now()))
    wait("ORG-1")
    go_to("24.11.2026", "10:01")
    assert reminders.remind_specialists()
    assert len(post.letters(ORLOVA)) == 1
    assert post.letters(TITOV) == []
    assert "В очереди" not in str(subjects(post, invited.email))
    assert not [each for each in post.letters("boss@org-1.example") if "очеред" in each.subject]


def test_a_specialist_whom_nobody_can_read_keeps_the_letter_from_no_other(
    environment: dict[str, str], wait: Callable[[str], str], specialist: str, post: Post
) -> None:
    use(environment, data_keys="YW5vdGhlciBrZXkgb2YgdGhlc2UgdGVzdHMgaGVyZSE=")
    enrol(TITOV, Role.SPECIALIST)
    wait("ORG-1")
    go_to("24.11.2026", "10:01")
    assert reminders.remind_specialists()
    assert [each.subject for each in post.letters(TITOV)] == ["В очереди ждут проверки: 1"]
    assert not reminders.remind_specialists()


def test_with_no_specialist_nothing_is_written_again_and_again(wait: Callable[[str], str]) -> None:
    wait("ORG-1")
    go_to("24.11.2026", "10:01")
    assert reminders.remind_specialists()
    assert not reminders.remind_specialists()


def test_the_setting_says_how_old_is_old(
    environment: dict[str, str], wait: Callable[[str], str], specialist: str, post: Post
) -> None:
    use(environment, queue_days="3")
    wait("ORG-1")
    go_to("25.11.2026", "17:00")
    assert not reminders.remind_specialists()
    go_to("26.11.2026", "10:01")
    assert reminders.remind_specialists()


def test_an_empty_queue_is_told_to_nobody(app: Flask, specialist: str) -> None:
    assert not reminders.remind_specialists()


# The worker


def test_the_worker_does_its_chores_and_one_that_fails_stops_no_other(
    app: Flask, asked: str, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse()
    done: list[str] = []

    def broken() -> bool:
        done.append("broken")
        raise RuntimeError

    def last() -> bool:
        done.append("last")
        return False

    chores = (broken, *commands.CHORES, last)
    monkeypatch.setattr(commands, "CHORES", chores)
    commands._look_after(threading.Event(), once=True)
    assert done == ["broken", "last"]
    assert subjects(post, ADMINISTRATOR) == [NO_LETTER]


def test_a_worker_that_works_once_does_each_chore_once(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def first() -> bool:
        done.append("first")
        return True  # there is more to do, for the next one

    def second() -> bool:
        done.append("second")
        return True

    monkeypatch.setattr(commands, "CHORES", (first, second))
    commands._look_after(threading.Event(), once=True)
    assert done == ["first", "second"]


def test_the_worker_goes_on_at_once_while_there_is_something_to_do(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop, left = threading.Event(), [True] * 20

    def chore() -> bool:
        if not left:
            stop.set()
            return False
        return left.pop()

    monkeypatch.setattr(commands, "CHORES", (chore,))
    monkeypatch.setattr(commands, "CHORES_SECONDS", 60)
    commands._look_after(stop, once=False)
    assert left == []


# The words


def test_every_reason_and_addressee_has_its_sentences(app: Flask) -> None:
    final = set(Reason) - {Reason.WITHDRAWN}
    assert set(REASONS) == {(reason, way) for reason in final for way in ("email", "sms")}
    for (reason, to, _way), action in ACTIONS.items():
        assert reason in final - {Reason.UNREACHABLE, Reason.BUSY}, "those end as given up"
        assert action.specialist.endswith(".")
        assert bool(action.administrator) == (to is not Whose.OWNER)
    assert set(OUTDATED) == set(Whose)


def test_every_letter_is_called_something(app: Flask) -> None:
    templates = app.jinja_env.list_templates()
    letters = {
        each[8:-4] for each in templates if each.startswith("letters/") and each.endswith(".txt")
    }
    texts = {each[4:-4] for each in templates if each.startswith("sms/")}
    assert {each for each in letters if not each.startswith("_")} <= set(history.LETTERS)
    assert texts <= set(history.SMS)


@pytest.mark.parametrize(
    ("letter", "reason", "kept", "what_to_do"),
    [
        ("confirmation", Reason.GIVEN_UP, True, "Возможно, сервер уже работает"),
        ("confirmation", Reason.GIVEN_UP, False, "Ничего делать не нужно"),
        ("confirmation", Reason.REFUSED, True, "Попросите администратора исправить email"),
        ("completed", Reason.REFUSED, True, "Уточните email в организации"),
        ("completed", Reason.MISCONFIGURED, True, "Сообщите оператору портала"),
    ],
)
def test_one_thing_to_do_is_recommended(
    keep: Callable[..., None], letter: str, reason: Reason, kept: bool, what_to_do: str
) -> None:
    keep()
    id = undelivered(letter, reason, kept=timedelta(days=7) if kept else None)
    with db.reading():
        [failed] = outbox.failed(most=10)
        assert failed.id == id
        told = deliveries.tell(failed)
    assert told.action.startswith(what_to_do)
    again = kept and (letter, reason) != ("confirmation", Reason.REFUSED)
    assert told.may_be_sent_again == again


def test_states_of_messages_are_told(keep: Callable[..., None]) -> None:
    keep()
    id = undelivered()
    with db.reading():
        assert outbox.state(id) is State.FAILED
        assert outbox.state("A" * 22) is None
    assert act(outbox.send_again, id, "tests")
    with db.reading():
        assert outbox.state(id) is State.WAITING
