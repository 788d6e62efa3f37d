"""Where the letter of an invitation is, as the administrator sees it on «Сотрудники»."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from portal import account, outbox
from portal.account import Role
from portal.database import db
from portal.gateways import Reason, Trouble
from portal.outbox import State
from tests import servers
from tests.people import act, enrol, invite
from tests.undelivered import fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from portal.account import Invitation
    from portal.gateways import Outgoing
    from tests.browser import Browser
    from tests.conftest import Post, Time

ADMINISTRATOR = "a.sokolova@sever-trakt.example"
NEW = "n.novikova@sever-trakt.example"
AGAIN, WITHDRAW = "Пригласить ещё раз", "Отозвать приглашение"
REFUSED = Trouble(Reason.REFUSED, permanent=True)
BUSY = Trouble(Reason.BUSY)
MISCONFIGURED = Trouble(Reason.MISCONFIGURED, permanent=True)
WAITS, FAILED, TROUBLED = "письмо отправляем", "письмо не доставлено", "пока не доставлено"


@pytest.fixture
def office(keep: Callable[..., None], new_browser: Callable[..., Browser], post: Post) -> Browser:
    """The administrator's browser, signed in; what this posted has left."""
    keep()
    boss = enrol(ADMINISTRATOR, Role.ADMINISTRATOR)
    browser = boss.sign_in(new_browser("10.20.4.2"))
    post.deliver()
    return browser


def deliver(trouble: Trouble) -> None:
    """Let a worker hand over what is due, to a mail server that takes nothing."""

    class Gateway:
        def send(self, _message: Outgoing) -> str:
            raise trouble

        def close(self) -> None:
            """Nothing is open."""

    outbox.deliver_due("email", Gateway())


def line(office: Browser) -> str:
    """What the list says of the invitation."""
    return office.open("/people").named("invitation")


def invitation() -> Invitation | None:
    with db.reading():
        found = account.find_by_email(NEW)
        assert found
        return account.invitation_of(found)


def test_the_list_follows_the_letter_on_its_way(office: Browser, post: Post, time: Time) -> None:
    invite(NEW)
    assert WAITS in line(office)
    deliver(BUSY)
    assert TROUBLED in line(office)
    assert "ссылка до" in line(office)
    time.passes(minutes=6)
    post.deliver()
    assert line(office).startswith("ссылка до")


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        (REFUSED, "пригласите сотрудника на верный адрес"),
        (MISCONFIGURED, "Позвоните в поддержку"),
    ],
)
def test_a_letter_that_never_left_is_no_invitation(
    office: Browser, trouble: Trouble, says: str
) -> None:
    invite(NEW)
    deliver(trouble)
    said = line(office)
    assert FAILED in said
    assert says in said
    assert "ссылка до" not in said, "nobody has the link"
    assert {AGAIN, WITHDRAW} <= office.page.buttons.keys()


def test_a_server_that_was_away_for_four_hours(office: Browser) -> None:
    invite(NEW)
    act(fail, servers.newest("invitation").id, Reason.GIVEN_UP)
    assert FAILED in line(office)
    assert "за 4 часа" in line(office)


def test_what_was_said_to_be_sent_is_not_said_when_it_failed(office: Browser) -> None:
    invited = invite(NEW)
    page = f"/people?organisation=ORG-004217&invited={invited.id}"
    assert "Приглашение отправлено" in office.open(page).named("done")
    deliver(REFUSED)
    assert not office.open(page).has("done")


def test_another_letter_takes_its_place(office: Browser, post: Post) -> None:
    invite(NEW)
    deliver(REFUSED)
    office.open("/people").press(AGAIN)
    assert WAITS in line(office)
    post.deliver()
    assert FAILED not in line(office)
    assert line(office).startswith("ссылка до")


def test_a_letter_that_a_specialist_sends_again_is_on_its_way(office: Browser, post: Post) -> None:
    invite(NEW)
    deliver(REFUSED)
    assert act(outbox.send_again, servers.newest("invitation").id, "tests")
    assert WAITS in line(office)
    post.deliver()
    assert line(office).startswith("ссылка до")


def test_a_link_that_works_no_more_has_no_letter(office: Browser, post: Post, time: Time) -> None:
    invite(NEW)
    post.deliver()
    found = invitation()
    assert found
    assert (found.letter, found.trouble) == (State.DELIVERED, None)
    office.open("/people").press(WITHDRAW)
    assert line(office) == "отозвано или истёк его срок"
    assert invitation() is None
    office.press(AGAIN)
    time.passes(days=8)
    assert invitation() is None


def test_who_came_has_none(office: Browser) -> None:
    enrol(NEW)
    assert not office.open("/people").has("invitation")
