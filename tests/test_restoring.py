"""An older backup restored: what was used up since stays dead, and what is asked anew works."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from portal import account, campaign, cli, clock, device, journal, verification
from portal.account import Role
from portal.campaign import Line, State, Way
from portal.campaign.tables import campaigns
from portal.database import db
from portal.recovery import Reason
from tests import postgresql
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.lost_device import ENROL, cancel_in, lose
from tests.people import PASSWORD, Person, act, cookie_of, enrol, invite, is_in, next_code, plant
from tests.verifying import found

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from tests.browser import Browser
    from tests.conftest import Post, Time

ID = "ORG-004217"
EMAIL = "petrov@sever-trakt.example"
ADDRESS = "Подтвердить адрес"
CHOSEN = "новый и ещё лучше прежнего"


class Copy:
    """The database at one moment, as `portal database backup` writes it."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def take(self) -> None:
        db.back_up(self._place)

    def put_back(self) -> None:
        """As docs/operating.md says: nobody works on it, and nothing of the other one is left."""
        db.dispose()
        if not db.url.startswith("sqlite"):
            restore = [postgresql.program_path("pg_restore"), "--clean", "--no-owner"]
            subprocess.run([*restore, f"--dbname={db.url}", self._place], check=True)
            return
        database = Path(db.url.removeprefix("sqlite:///"))
        for end in ("-wal", "-shm"):
            database.with_name(database.name + end).unlink(missing_ok=True)
        database.write_bytes(self._place.read_bytes())


@pytest.fixture
def copy(app: Flask, tmp_path: Path) -> Copy:
    return Copy(tmp_path / "copy")


@pytest.fixture
def restore(copy: Copy, environment: dict[str, str]) -> Callable[..., Result]:
    """Put the copy back, and end what worked when it was made."""

    def put_back(*arguments: str) -> Result:
        copy.put_back()
        ended = CliRunner().invoke(
            cli.portal, ["database", "restored", *arguments], env=environment
        )
        assert ended.exit_code == 0
        with db.reading():
            assert journal.first_broken_line() is None
        return ended

    return put_back


def lines(chain: str) -> list[str]:
    with db.reading():
        return [each.name for each in journal.lines(chain, most=50)]


def confirm_all(browser: Browser, post: Post) -> None:
    """The whole way of a responsible person, from the newest letter."""
    browser.open(post.link()).press("Подтвердить номер телефона")
    browser.press("Подтвердить", code=post.code())
    browser.press("Подтвердить email")
    browser.open(post.link()).press(ADDRESS)


# The responsible person


def test_used_links_and_codes_stay_dead(
    asked: str,
    browser: Browser,
    post: Post,
    copy: Copy,
    restore: Callable[..., Result],
    ask: Callable[..., Any],
) -> None:
    link = post.link()
    browser.open(link).press("Подтвердить номер телефона")
    code = post.code()
    page = f"/confirmation/{asked}"
    browser.open(page).press("Подтвердить email")
    email_link = post.link()
    copy.take()
    browser.open(f"{page}/code").press("Подтвердить", code=code)
    browser.open(email_link).press(ADDRESS)
    assert browser.open(link).status == 410

    copy.put_back()
    assert browser.open(link).status == 200, "this is what a copy revives"
    with_code, with_button = browser.open(f"{page}/code").page, browser.open(email_link).page
    restored = restore()
    assert "запросов подтверждения 1," in restored.output

    assert browser.open(link).status == 410
    assert browser.open(email_link).status == 410
    assert browser.open(page).page.heading == "Администратор отозвал запрос"
    browser.page = with_code
    assert browser.press("Подтвердить", code=code).status == 409
    browser.page = with_button
    assert browser.press(ADDRESS).status == 409
    assert lines(f"organisation:{ID}")[:2] == ["database.restored", "confirmation.cancelled"]

    assert ask()
    confirm_all(browser, post)
    with db.reading():
        assert verification.missing(found(ID)) == []


def test_what_left_before_does_not_leave_again(
    asked: str, post: Post, copy: Copy, restore: Callable[..., Result], time: Time
) -> None:
    copy.take()
    assert len(post.letters(LOMOVA.email)) == 1
    restore()
    time.passes(days=30)
    assert len(post.letters(LOMOVA.email)) == 1, "nor do its reminders"


# Who signs in


@pytest.fixture
def petrov(keep: Callable[..., None]) -> Person:
    keep()
    return enrol(EMAIL, Role.OPERATOR, codes=True)


def test_sessions_are_ended(
    petrov: Person,
    browser: Browser,
    new_browser: Callable[..., Browser],
    copy: Copy,
    restore: Callable[..., Result],
) -> None:
    petrov.sign_in(browser)
    stolen = cookie_of(browser)
    copy.take()
    browser.press("Выйти")
    copy.put_back()
    assert is_in(plant(new_browser(), stolen)), "this is what a copy revives"
    restored = restore()
    assert "сеансов 1," in restored.output
    assert not is_in(plant(new_browser(), stolen))
    assert lines(petrov.account.chain)[0] == "database.restored"


def test_a_code_of_the_app_that_was_seen_counts_no_more(
    petrov: Person, browser: Browser, copy: Copy, restore: Callable[..., Result]
) -> None:
    next_code()
    copy.take()
    seen = petrov.code
    petrov.enter_password(browser)
    browser.press("Войти", code=seen).press("Выйти")
    restore()
    petrov.enter_password(browser)
    assert browser.press("Войти", code=seen).status == 422
    next_code()
    next_code()
    assert petrov.sign_in(browser).path == "/operations"


def test_a_link_to_a_new_password_stays_used(
    petrov: Person, browser: Browser, post: Post, copy: Copy, restore: Callable[..., Result]
) -> None:
    browser.open("/password").press("Отправить письмо", email=EMAIL)
    link = post.link(EMAIL)
    copy.take()
    browser.open(link).press("Сохранить пароль", password=CHOSEN, again=CHOSEN)
    restore()
    assert browser.open(link).status == 410
    petrov.password = PASSWORD  # that of the copy: people have to be told
    next_code()
    assert petrov.sign_in(browser).path == "/operations"


def test_an_invitation_stays_used_and_another_one_works(
    petrov: Person, browser: Browser, post: Post, copy: Copy, restore: Callable[..., Result]
) -> None:
    new = "n.novikova@sever-trakt.example"
    invite(new)
    link = post.link(new)
    copy.take()
    browser.open(link).press("Продолжить", password=CHOSEN, again=CHOSEN)
    restored = restore()
    assert "ссылок приглашений и паролей 1," in restored.output
    assert browser.open(link).status == 410
    invite(new)
    assert browser.open(post.link(new)).status == 200


def test_a_spent_backup_code_works_again_unless_all_are_dropped(
    petrov: Person, browser: Browser, copy: Copy, restore: Callable[..., Result]
) -> None:
    copy.take()
    spent = petrov.codes[2]
    petrov.sign_in_by_code(browser, spent).press("Код записан")
    browser.press("Выйти")
    restore()
    petrov.sign_in_by_code(browser, spent)
    assert browser.status == 200, "people have to be told to make new ones"
    restored = restore("--drop-backup-codes")
    assert "наборов резервных кодов 1." in restored.output
    with db.reading():
        assert device.codes_left(petrov.account.id).made_at is None
    petrov.sign_in_by_code(browser, spent)
    assert browser.status == 422


def test_a_recovery_that_was_stopped_stays_stopped(
    keep: Callable[..., None],
    new_browser: Callable[..., Browser],
    post: Post,
    copy: Copy,
    restore: Callable[..., Result],
) -> None:
    keep()
    loss = lose(new_browser, post)
    loss.grant()
    code, link = loss.code, cancel_in(loss.newest("Код для нового устройства"))
    copy.take()
    new_browser("203.0.113.9").open(link).press("Остановить")
    copy.put_back()
    thief = loss.return_to_case(loss.computer)
    assert ENROL in thief.page.buttons, "this is what a copy revives"
    form = thief.page
    restored = restore()
    assert "обращений о восстановлении доступа 1," in restored.output
    assert loss.case.reason is Reason.EXPIRED
    thief.page = form
    thief.press(ENROL, code=code)
    assert thief.page.heading != "Новое устройство"
    assert ENROL not in loss.return_to_case().page.buttons
    assert new_browser("203.0.113.9").open(link).status == 410
    loss.open()
    assert loss.case.is_open, "and a new one may begin"


# Everything else


def test_lists_of_requests_pause(
    keep: Callable[..., None], copy: Copy, restore: Callable[..., Result]
) -> None:
    keep()
    boss = enrol(ADMINISTRATOR, Role.ADMINISTRATOR).account
    id = act(campaign.begin, boss, Way.TYPED)
    act(campaign.add, id, boss, [Line(1, ID)])
    act(campaign.start, act(campaign.offer, id), "")
    copy.take()
    restored = restore()
    assert "Приостановлено списков: 1." in restored.output
    with db.reading():
        assert [row.state for row in db.all(campaigns.select())] == [State.PAUSED]


def test_it_says_since_when_nothing_is_known_and_does_it_once(
    asked: str, copy: Copy, restore: Callable[..., Result], environment: dict[str, str]
) -> None:
    copy.take()
    with db.reading():
        [newest, *_] = journal.lines(f"organisation:{ID}", most=1)
    first = restore()
    assert f"{newest.at.astimezone(clock.MOSCOW):%d.%m.%Y %H:%M}" in first.output.splitlines()[0]
    assert "portal confirmations request --all-unconfirmed" in first.output
    before = lines(f"organisation:{ID}")
    again = CliRunner().invoke(cli.portal, ["database", "restored"], env=environment)
    assert again.exit_code == 0
    assert "запросов подтверждения 0," in again.output
    assert "Отозвано писем и СМС: 0." in again.output
    assert lines(f"organisation:{ID}") == before


def test_accounts_that_were_erased_are_there_again_and_go_again(
    petrov: Person, copy: Copy, restore: Callable[..., Result], environment: dict[str, str]
) -> None:
    copy.take()
    for _twice in range(2):
        act(account.suspend, petrov.account, "command", "")
        erased = CliRunner().invoke(cli.portal, ["sweep", "--account", EMAIL], env=environment)
        assert erased.exit_code == 0
        with db.reading():
            assert account.find_by_email(EMAIL) is None
        restore()
        with db.reading():
            assert account.find_by_email(EMAIL), "the operator keeps a list of such requests"
