"""The specialist's page of what never left, with scripts off."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from portal import confirmation, editing, organisation, outbox
from portal.account import Role
from portal.database import db
from portal.gateways import Reason
from tests import servers
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.people import Person, act, enrol
from tests.undelivered import undelivered

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser import Browser
    from tests.conftest import Post, Time

AGAIN = "Отправить ещё раз"
STRANGER = "petrov@sever-trakt.example"
SECRET = "S3CRET-WORDS"


@pytest.fixture
def specialist(keep: Callable[..., None]) -> Person:
    keep()
    return enrol("m.orlova@izkt.example", Role.SPECIALIST, name="Орлова Мария")


@pytest.fixture
def console(specialist: Person, browser: Browser) -> Browser:
    return specialist.come_in(browser).open("/deliveries")


def states() -> list[tuple[str, str | None]]:
    """Which letters failed, newest first, and why."""
    with db.reading():
        return [(each.letter, each.reason) for each in outbox.failed(most=100)]


def test_where_all_was_delivered_there_is_nothing_to_do(console: Browser) -> None:
    console.open("/devices").follow("Доставка")
    assert console.path == "/deliveries"
    assert console.has("all-delivered")


def test_each_line_says_what_to_whom_when_why_and_one_thing_to_do(console: Browser) -> None:
    undelivered("confirmation", Reason.REFUSED, to=LOMOVA.email, token=SECRET)
    undelivered("code", Reason.EXPIRED, to=LOMOVA.phone, channel="sms", kept=None, code="904217")
    undelivered("completed", Reason.GIVEN_UP)
    undelivered("reported", Reason.MISCONFIGURED, comment=SECRET)
    console.open("/deliveries")
    assert console.every("what") == [
        "Письмо «Сообщение об ошибке в данных»",
        "Письмо «Проверка завершена»",
        "СМС с кодом",
        "Письмо «Подтверждение данных»",
    ]
    assert console.every("sent-to") == [
        ADMINISTRATOR,
        ADMINISTRATOR,
        "+7 921 555-01-47",
        LOMOVA.email,
    ]
    advice = [each.split()[0] for each in console.every("to-do")]
    assert advice == ["Сообщите", "Возможно,", "Ничего", "Попросите"]
    assert len(console.every("why")) == 4
    assert len(console.every("deliver-again")) == 2
    assert console.every("delivery-organisation") == ["ORG-004217"] * 4
    console.follow("ORG-004217")
    assert console.path == "/support/organisations/ORG-004217"


@pytest.mark.parametrize("reason", [Reason.REFUSED, Reason.EXPIRED, Reason.UNKNOWN])
def test_a_code_that_is_lost_needs_a_new_case(console: Browser, reason: Reason) -> None:
    owner = enrol(STRANGER).account
    undelivered(
        "case_code", reason, to=STRANGER, organisation_id=None, account_id=owner.id, kept=None
    )
    (advice,) = console.open("/deliveries").every("to-do")
    assert "второго не будет" in advice
    assert not console.has("deliver-again")


def test_a_refused_address_is_asked_for_though_the_letter_is_over(console: Browser) -> None:
    owner = enrol(STRANGER).account
    undelivered(
        "password",
        Reason.REFUSED,
        to=STRANGER,
        organisation_id=None,
        account_id=owner.id,
        kept=None,
    )
    (advice,) = console.open("/deliveries").every("to-do")
    assert "Уточните у владельца email" in advice
    assert not console.has("deliver-again")


def test_no_code_no_link_and_nothing_that_was_said_is_shown(console: Browser) -> None:
    undelivered("confirmation", to=LOMOVA.email, token=SECRET)
    undelivered("code", to=LOMOVA.phone, channel="sms", code="904217")
    undelivered("reported", comment=SECRET)
    page = console.open("/deliveries").response.text
    assert SECRET not in page
    assert "904217" not in page
    assert LOMOVA.last_name not in page


def test_of_an_account_the_address_is_not_shown(
    console: Browser, keep: Callable[..., None]
) -> None:
    """A recovery asks for former addresses, and for the phone."""
    owner = enrol(STRANGER, name="Петров Пётр").account
    undelivered(
        "account_event",
        to="former@sever-trakt.example",
        organisation_id=None,
        account_id=owner.id,
        event="email.changed",
    )
    undelivered(
        "case_opened", to="+79215550199", channel="sms", organisation_id=None, account_id=owner.id
    )
    console.open("/deliveries")
    assert console.every("sent-to") == ["Петров Пётр", "Петров Пётр"]
    assert "former@" not in console.response.text
    assert "0199" not in console.response.text
    assert not console.has("delivery-organisation")


def test_a_message_is_sent_again(console: Browser, post: Post) -> None:
    id = undelivered()
    console.open("/deliveries").press(AGAIN)
    assert console.path == "/deliveries"
    assert "отправляется ещё раз" in console.named("done")
    assert not console.has("delivery")
    assert [each.subject for each in post.letters(ADMINISTRATOR)] == ["Проверка завершена"]
    console.open(f"/deliveries?sent={id}")
    assert "доставлено" in console.named("done")
    with db.reading():
        lines = [name for name, _reason in servers.events(id)]
    assert lines == [], "delivery had nothing to say"


def test_that_is_written_down(console: Browser, specialist: Person) -> None:
    from sqlalchemy import select

    from portal import journal

    undelivered()
    console.open("/deliveries").press(AGAIN)
    rows = journal.events
    with db.reading():
        [line] = db.all(select(rows).where(rows.c.name == "message.sent_again"))
    assert (line.chain, line.actor) == ("organisation:ORG-004217", specialist.account.id)
    assert line.address == "10.20.4.17"


def test_pressed_twice_it_says_what_is_true(
    console: Browser, new_browser: Callable[..., Browser], post: Post
) -> None:
    id = undelivered()
    other = enrol("k.titov@izkt.example", Role.SPECIALIST).sign_in(new_browser())
    other.open("/deliveries")
    console.open("/deliveries").press(AGAIN)
    assert other.press(AGAIN).status == 409
    assert "уже отправляется" in other.named("notice")
    post.deliver()
    assert other.open("/devices").send(f"/deliveries/{id}/again").status == 409
    assert "уже доставлено" in other.named("notice")
    assert len(post.letters(ADMINISTRATOR)) == 1


def test_what_is_worth_nothing_by_now_is_not_sent(console: Browser, time: Time, post: Post) -> None:
    undelivered(kept=timedelta(minutes=5))
    console.open("/deliveries")
    time.passes(minutes=6)
    assert console.press(AGAIN).status == 409
    assert "больше не действует" in console.named("notice")
    assert not console.has("deliver-again")
    assert post.letters(ADMINISTRATOR) == []
    assert states() == [("completed", "given_up")]


def test_a_request_that_ended_meanwhile_is_not_sent(
    console: Browser, ask: Callable[..., str], post: Post
) -> None:
    request = ask()
    post.deliver()
    undelivered("reminder", to=LOMOVA.email, about=request)
    console.open("/deliveries")
    ask()
    assert console.press(AGAIN).status == 409
    post.deliver()
    assert [each.subject for each in post.letters(LOMOVA.email)] == ["Подтверждение данных"] * 2
    with db.reading():
        found = confirmation.find(request)
    assert found
    assert not found.is_open


def test_it_goes_to_who_is_the_administrator_now(console: Browser, post: Post) -> None:
    undelivered("reminder", to=LOMOVA.email)
    told = undelivered()
    with db.writing():
        organisation.save("ORG-004217", LOMOVA, "new@sever-trakt.example", "", "tests")
        editing.end_outdated("ORG-004217", "tests")
        db.commit()
    with db.reading():
        recipients = {each.letter: each.recipient for each in outbox.failed(most=9)}
    assert recipients == {"reminder": LOMOVA.email, "completed": "new@sever-trakt.example"}
    console.open("/devices").send(f"/deliveries/{told}/again")
    assert [each.subject for each in post.letters("new@sever-trakt.example")] == [
        "Проверка завершена"
    ]
    assert post.letters(ADMINISTRATOR) == []


def test_a_message_that_is_not_there_is_not_sent(console: Browser) -> None:
    undelivered()
    for id in ("A" * 22, "1", "..%2F"):
        console.open("/deliveries")
        assert console.send(f"/deliveries/{id}/again").status == 404
    assert states() == [("completed", "given_up")]


def test_a_form_without_its_token_sends_nothing(console: Browser) -> None:
    id = undelivered()
    assert console.send(f"/deliveries/{id}/again", csrf_token="forged").status == 422
    assert console.has("notice")
    assert console.has("delivery")
    assert states() == [("completed", "given_up")]


def test_the_list_goes_on_page_by_page(console: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("portal.routes.deliveries.ON_A_PAGE", 2)
    for number in range(5):
        undelivered(to=f"{number}@sever.example")
    console.open("/deliveries")
    seen = console.every("sent-to")
    for _page in range(2):
        seen += console.follow("Дальше").every("sent-to")
    assert seen == [f"{number}@sever.example" for number in reversed(range(5))]
    assert not console.has("next-page")
    console.press(AGAIN)
    assert console.has("all-delivered"), "one stays on the page where one was"
    console.follow("К началу")
    assert console.every("sent-to") == ["4@sever.example", "3@sever.example"]


@pytest.mark.parametrize("after", ["x", "1.2", "99999999999999999." + "A" * 22, "-1.x", "%00"])
def test_a_page_that_is_none_is_the_first_or_an_empty_one(console: Browser, after: str) -> None:
    undelivered()
    assert console.open(f"/deliveries?after={after}").status == 200
    assert len(console.every("delivery")) == 1


def test_an_administrator_has_no_such_page(
    specialist: Person, new_browser: Callable[..., Browser]
) -> None:
    boss = enrol("boss@sever-trakt.example", Role.ADMINISTRATOR).sign_in(new_browser())
    assert boss.open("/deliveries").status == 403
    assert "Доставка" not in boss.text


def test_what_fails_again_is_there_again(console: Browser, time: Time) -> None:
    id = undelivered()
    console.open("/deliveries").press(AGAIN)
    time.passes(minutes=1)

    def fail_again() -> None:
        from tests.undelivered import fail

        fail(id, Reason.REFUSED)

    act(fail_again)
    console.open("/deliveries")
    assert console.every("what") == ["Письмо «Проверка завершена»"]
    assert states() == [("completed", "refused")]
