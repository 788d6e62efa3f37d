"""Suspended accounts: nobody signs in with one, strangers learn nothing, and it can be undone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from portal import account, cli, recovery
from portal.account import NotAllowedError, Role, links, sign_in
from portal.account.tables import accounts
from portal.database import db
from portal.recovery import Case, Reason, Refusal, Standing
from tests.lost_device import (
    CODE,
    EMAIL,
    ENROL,
    REFUSED,
    STOPPED,
    at_once,
    events,
    everything,
    lose,
    press_twice,
)
from tests.people import PASSWORD, Person, act, enrol, invite, is_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result
    from flask import Flask

    from tests.browser import Browser
    from tests.conftest import Post, Time

ADMINISTRATOR = "a.sokolova@sever-trakt.example"
SOKOLOVA = "Соколова Анна Петровна"
SUSPENDED = "Учётная запись приостановлена"
RESTORED = "Учётная запись снова действует"
SUSPEND, RESTORE = "Приостановить", "Восстановить"
HERE = "10.20.4.17"


@pytest.fixture
def boss(keep: Callable[..., None]) -> Person:
    keep()
    return enrol(ADMINISTRATOR, Role.ADMINISTRATOR, name=SOKOLOVA)


@pytest.fixture
def owner(boss: Person) -> Person:
    """An operational user of the organisation."""
    return enrol(EMAIL, codes=True)


@pytest.fixture
def office(boss: Person, new_browser: Callable[..., Browser]) -> Browser:
    return boss.come_in(new_browser("10.20.4.2")).open("/people")


@pytest.fixture
def run(app: Flask, environment: dict[str, str]) -> Callable[..., Result]:
    """Run a command on the database of this test."""
    return lambda *arguments: CliRunner().invoke(cli.portal, arguments, env=environment)


def suspend(person: Person, by: Person | str = "cli") -> bool:
    return bool(act(account.suspend, person.account, getattr(by, "account", by), HERE))


def known(email: str = EMAIL) -> account.Account:
    with db.reading():
        found = account.find_by_email(email)
    assert found
    return found


def line_of(office: Browser, person: Person) -> str:
    lines = office.open("/people").every("person")
    return next(line for line in lines if person.account.email in line)


def sessions_of(person: Person) -> list[Any]:
    return [row for row in everything()["sessions"] if row.account_id == person.account.id]


def subjects(post: Post, email: str = EMAIL) -> list[str]:
    return [each.subject for each in post.letters(email)]


# The whole way


def test_an_account_is_restored_five_times_a_day_and_suspended_whenever_it_must_be(
    owner: Person, office: Browser, post: Post, time: Time
) -> None:
    """Each is a letter to the person, whom nobody asked."""
    path = f"/people/{owner.account.id}"
    for _time in range(5):
        assert office.open(f"{path}/suspend").press(SUSPEND).has("done")
        assert office.open(f"{path}/restore").press(RESTORE).has("done")
    assert office.open(f"{path}/suspend").press(SUSPEND).has("done")
    assert office.open(f"{path}/restore").press(RESTORE).status == 429
    assert "за сутки восстанавливали уже 5 раз" in office.named("error")
    assert known().suspended_at
    assert subjects(post).count(RESTORED) == 5
    time.passes(days=1)
    with db.reading():
        assert account.may_restore_at(known()) is None


def test_who_is_suspended_is_out_at_once_and_comes_back_with_the_old_device(
    owner: Person, boss: Person, office: Browser, new_browser: Callable[..., Browser], post: Post
) -> None:
    there = owner.sign_in(new_browser())
    office.open("/people").follow(SUSPEND)
    assert office.page.heading == "Приостановить учётную запись?"
    assert "все сеансы завершатся" in office
    office.press(SUSPEND)
    assert "больше не может войти" in office.named("done")
    assert "приостановлен с" in line_of(office, owner)
    assert "Сбросить второй фактор" not in line_of(office, owner)
    assert there.open("/devices").page.heading == "Вход"
    (letter,) = [each for each in post.letters(EMAIL) if each.subject == SUSPENDED]
    assert "администратор вашей организации" in letter.text
    assert "Забыли пароль" not in letter.text

    owner.enter_password(there)
    assert there.status == 403
    assert "скажет администратор вашей организации" in there.named("suspended")
    assert SOKOLOVA in there.named("suspended")
    assert "код" not in there.named("suspended"), "the second factor is not asked for"
    assert there.page.form_of("Войти").fields["email"] == EMAIL
    assert there.open("/signin/factor").page.heading == "Вход"

    office.follow(RESTORE)
    assert office.page.heading == "Восстановить учётную запись?"
    office.press(RESTORE)
    assert "снова действует" in office.named("done")
    assert "настроен" in line_of(office, owner)
    assert RESTORED in subjects(post)
    assert not is_in(there), "the old session stays ended"
    owner.sign_in(there)
    assert is_in(there)
    assert is_in(owner.sign_in_by_code(new_browser(), owner.codes[1]))
    lines = [*events("account.suspended"), *events("account.restored")]
    assert [(each.chain, each.actor) for each in lines] == [
        (owner.account.chain, boss.account.id)
    ] * 2


def test_suspending_needs_a_second_factor_of_the_last_five_minutes(
    owner: Person, boss: Person, office: Browser, time: Time
) -> None:
    office.follow(SUSPEND)
    time.passes(minutes=6)
    office.press(SUSPEND)
    assert office.page.heading == "Подтвердите, что это вы"
    assert known().suspended_at is None
    boss.step_up(office)
    assert office.page.heading == "Приостановить учётную запись?", "back to what was asked for"
    office.press(SUSPEND)
    time.passes(minutes=6)
    office.follow(RESTORE)
    assert office.page.heading == "Подтвердите, что это вы"
    assert boss.step_up(office).press(RESTORE).has("done")


def test_a_double_press_suspends_once(owner: Person, office: Browser, post: Post) -> None:
    press_twice(office.follow(SUSPEND), SUSPEND)
    assert office.status == 409
    assert "уже приостановлена" in office.named("notice")
    assert subjects(post) == [SUSPENDED]
    assert office.open(f"/people/{owner.account.id}/suspend").page.heading == "Уже приостановлено"
    press_twice(office.open("/people").follow(RESTORE), RESTORE)
    assert office.status == 409
    assert "уже действует" in office.named("notice")
    assert subjects(post) == [SUSPENDED, RESTORED]


def test_two_administrators_suspend_at_once(
    owner: Person, office: Browser, new_browser: Callable[..., Browser], post: Post
) -> None:
    colleague = enrol("b@sever-trakt.example", Role.ADMINISTRATOR).sign_in(new_browser())
    address = f"/people/{owner.account.id}/suspend"
    office.open(address)
    colleague.open(address)
    pages = at_once(lambda: office.press(SUSPEND), lambda: colleague.press(SUSPEND))
    assert sorted(each.status for each in pages) == [200, 409]
    assert subjects(post) == [SUSPENDED]


def test_an_old_form_is_shown_again(owner: Person, office: Browser) -> None:
    office.follow(SUSPEND).press(SUSPEND, csrf_token="old")
    assert office.status == 422
    assert "Страница устарела" in office.named("error")
    office.press(SUSPEND).follow(RESTORE).press(RESTORE, csrf_token="old")
    assert office.status == 422
    assert known().suspended_at


# Whom


@pytest.mark.parametrize("whose", ["own", "colleague", "foreign", "specialist", "nobody"])
@pytest.mark.parametrize("verb", ["suspend", "restore", "role", "invite", "uninvite"])
def test_nobody_elses_account_is_touched(
    boss: Person, office: Browser, keep: Callable[..., None], whose: str, verb: str
) -> None:
    keep("ORG-2")
    others = {
        "own": boss.account.id,
        "colleague": enrol("b@sever-trakt.example", Role.ADMINISTRATOR).account.id,
        "foreign": enrol("c@yug.example", Role.OPERATOR, "ORG-2").account.id,
        "specialist": enrol("s@izkt.example", Role.SPECIALIST).account.id,
        "nobody": "A" * 22,
    }
    before = everything()
    address = f"/people/{others[whose]}/{verb}"
    assert office.send(address, role="manager", was="operator").status == 404
    assert len(events("access.refused")) == 1
    if verb not in {"invite", "uninvite"}:
        assert office.open(address).status == 404
    after = everything()
    assert [after[name] for name in ("accounts", "messages", "account_links")] == [
        before[name] for name in ("accounts", "messages", "account_links")
    ]


def test_the_noun_itself_knows_whose_they_are(
    owner: Person, boss: Person, keep: Callable[..., None]
) -> None:
    keep("ORG-2")
    colleague = enrol("b@sever-trakt.example", Role.ADMINISTRATOR)
    stranger = enrol("c@yug.example", Role.OPERATOR, "ORG-2")
    specialist = enrol("s@izkt.example", Role.SPECIALIST)
    for whom in (boss, colleague, stranger, specialist):
        for verb in (account.suspend, account.restore):
            with pytest.raises(NotAllowedError):
                act(verb, whom.account, boss.account, HERE)
    for by in (owner, specialist):
        with pytest.raises(NotAllowedError):
            act(account.suspend, owner.account, by.account, HERE)
    assert suspend(owner, boss) is True
    assert suspend(owner, boss) is False


def test_who_is_suspended_counts_no_more(owner: Person, boss: Person) -> None:
    enrol("z@sever-trakt.example", Role.MANAGER)

    def counted() -> tuple[int, list[str]]:
        with db.reading():
            people = account.administrators_of("ORG-004217")
            return account.operational_users_of("ORG-004217"), [each.id for each in people]

    assert counted() == (2, [boss.account.id])
    suspend(owner)
    suspend(boss)
    assert counted() == (1, [])


# What strangers learn


def test_only_the_right_password_tells_that_an_account_is_suspended(
    owner: Person, new_browser: Callable[..., Browser]
) -> None:
    suspend(owner)
    answers = {}
    for email in (EMAIL, "nobody@sever-trakt.example"):
        page = new_browser().open("/signin").press("Войти", email=email, password="не тот пароль")
        text = re.sub(r'value="[^"]*"', "", page.response.text)
        answers[email] = (page.status, text.replace(email, ""))
    assert answers[EMAIL] == answers["nobody@sever-trakt.example"]
    assert "приостанов" not in answers[EMAIL][1]


def test_wrong_passwords_pause_a_suspended_account_as_any_other(owner: Person) -> None:
    suspend(owner)

    def enter(password: str) -> sign_in.Entry:
        entry: sign_in.Entry = act(sign_in.enter, EMAIL, password, HERE, "")
        return entry

    for _try in range(9):
        assert enter("не тот пароль") == sign_in.Entry()
    assert enter(PASSWORD).suspended, "the right one begins the count anew"
    for _try in range(9):
        assert enter("не тот пароль") == sign_in.Entry()
    assert enter("не тот пароль").pause
    assert enter(PASSWORD).suspended is None, "in a pause nobody learns anything"
    assert not [row for row in everything()["sessions"] if row.stage == "password"]


def test_without_an_administrator_the_support_is_named(
    owner: Person, boss: Person, new_browser: Callable[..., Browser]
) -> None:
    suspend(boss)
    suspend(owner)
    for person in (owner, boss):
        page = person.enter_password(new_browser())
        assert "скажут в поддержке" in page.named("suspended")
        assert SOKOLOVA not in page.named("suspended")


def test_a_forgotten_password_leads_nowhere(
    owner: Person, new_browser: Callable[..., Browser], post: Post
) -> None:
    browser = new_browser()
    browser.open("/password").press("Отправить письмо", email=EMAIL)
    link = post.link(EMAIL)
    suspend(owner)
    assert browser.open(link).status == 410, "the link that was there is dead"
    before = subjects(post)
    pages = []
    for email in (EMAIL, "nobody@sever-trakt.example"):
        page = new_browser().open("/password").press("Отправить письмо", email=email)
        pages.append((page.status, page.text.replace(email, "")))
    assert pages[0] == pages[1]
    assert subjects(post) == before


def test_a_link_that_was_made_meanwhile_is_dead(owner: Person, boss: Person) -> None:
    """Whatever order things happen in: the link's page asks for the account as it is."""
    with db.writing():
        links.request_reset(EMAIL, HERE)
        db.commit()
    (link,) = [row for row in everything()["account_links"] if row.account_id == owner.account.id]
    with db.reading():
        assert links.find_link_by_id(links.RESET, link.id)
    with db.writing():
        db.execute(
            accounts.update()
            .where(accounts.c.id == owner.account.id)
            .values(suspended_at=link.made_at)
        )
        db.commit()
    with db.reading():
        assert links.find_link_by_id(links.RESET, link.id) is None


# Invitations and recoveries


def test_an_invitation_is_dead_and_none_is_sent(
    boss: Person, office: Browser, new_browser: Callable[..., Browser], post: Post
) -> None:
    invited = invite(EMAIL)
    link = post.link(EMAIL)
    office.open(f"/people/{invited.id}/suspend")
    assert "Ссылка из приглашения перестанет действовать" in office
    office.press(SUSPEND)
    assert new_browser().open(link).status == 410
    office.send(f"/people/{invited.id}/invite")
    assert office.status == 409
    now = known()
    assert act(links.invite_once, now, "tests") is False
    assert act(links.invite_again, now, "tests", "") is False
    with pytest.raises(NotAllowedError, match="приостановлена"):
        act(account.invite, EMAIL, Role.OPERATOR, "ORG-004217", "", "", "tests")
    assert subjects(post).count("Приглашение в портал ИЗКТ") == 1
    office.open("/people").follow(RESTORE).press(RESTORE).press("Пригласить ещё раз")
    assert office.has("done")
    assert new_browser().open(post.link(EMAIL)).page.heading == "Придумайте пароль"


def test_who_was_choosing_a_password_is_stopped(
    boss: Person, new_browser: Callable[..., Browser], post: Post
) -> None:
    invite(EMAIL)
    browser = new_browser().open(post.link(EMAIL))
    act(account.suspend, known(), boss.account, HERE)
    browser.press("Продолжить", password=PASSWORD, again=PASSWORD)
    assert browser.status == 410
    assert not known().has_password


def test_a_recovery_stops_and_none_begins(
    boss: Person, office: Browser, new_browser: Callable[..., Browser], post: Post
) -> None:
    loss = lose(new_browser, post)
    loss.open()
    assert "остановится" in office.open(f"/people/{loss.owner.account.id}/suspend")
    office.press(SUSPEND)
    assert loss.case.reason is Reason.SUSPENDED
    assert "учётную запись приостановили" in loss.newest(STOPPED)
    assert "коды действуют" not in loss.newest(STOPPED)
    assert loss.owner.enter_password(new_browser()).has("suspended")
    denied = act(recovery.grant_by_administrator, boss.account, known(), HERE)
    assert denied is Refusal.SUSPENDED
    office.open(f"/people/{loss.owner.account.id}/reset")
    assert office.page.heading == "Сбросить второй фактор нельзя"
    assert office.send(f"/people/{loss.owner.account.id}/reset").status == 409
    assert "приостановлена" in office.named("error")
    phone = loss.owner.account.phone
    by_phone = (loss.specialist.account, EMAIL, phone, "cabinet", HERE)
    assert act(recovery.open_by_specialist, *by_phone) is Refusal.SUSPENDED


def test_a_code_for_a_new_device_is_worth_nothing_any_more(
    boss: Person, office: Browser, new_browser: Callable[..., Browser], post: Post
) -> None:
    loss = lose(new_browser, post)
    granted = act(recovery.grant_by_administrator, boss.account, loss.owner.account, HERE)
    assert isinstance(granted, Case)
    code = loss.code
    before, enrolling = loss.return_to_case(), loss.return_to_case(new_browser())
    enrolling.press(ENROL, code=code)
    office.open(f"/people/{loss.owner.account.id}/suspend").press(SUSPEND)
    assert before.press(ENROL, code=code).page.heading == "Нет ни устройства, ни кодов"
    assert not before.has("turn"), "it is for anybody who lost a device, and shows no case"
    assert {row.ended_at is None for row in sessions_of(loss.owner)} == {False}
    assert enrolling.open("/devices/new").page.heading == "Вход"
    assert loss.case.standing is Standing.CANCELLED
    assert loss.subjects().count(CODE) == 1


def test_a_suspended_administrator_is_asked_for_nothing(
    owner: Person, boss: Person, post: Post
) -> None:
    suspend(boss)
    with db.reading():
        assert recovery.administrators_of(known()) == []
    opened = act(recovery.open_by_owner, known(), "cabinet", HERE)
    assert opened.standing is Standing.OPENED, "the support looks after who has nobody else"
    assert subjects(post, ADMINISTRATOR) == ["Ваша учётная запись приостановлена"]


def test_who_has_no_administrator_is_sent_to_the_support(
    boss: Person, keep: Callable[..., None], post: Post
) -> None:
    keep("ORG-004230")
    lonely = enrol("l@polyarnaya.example", organisation_id="ORG-004230")
    mate = enrol("m@sever-trakt.example")
    suspend(lonely)
    suspend(mate)
    assert "скажут в поддержке" in post.letters(lonely.account.email)[-1].text
    assert "скажет администратор" in post.letters(mate.account.email)[-1].text


# The operator of the portal


def test_the_operator_suspends_anybody(
    run: Callable[..., Result], boss: Person, owner: Person, post: Post
) -> None:
    specialist = enrol("s@izkt.example", Role.SPECIALIST)
    for person in (owner, specialist, boss):
        email = person.account.email
        result = run("accounts", "change", email.upper(), "--suspend")
        assert result.exit_code == 0, result.output
        assert "Изменено: учётная запись приостановлена." in result.output
        assert ("больше нет администратора: 1." in result.output) is (person is boss)
        assert known(email).suspended_at
        again = run("accounts", "change", email, "--suspend")
        assert "Ничего не изменилось." in again.output
        assert "приостановлена" in subjects(post, email)[-1]
    result = run("accounts", "change", ADMINISTRATOR, "--restore")
    assert result.output == "Изменено: учётная запись снова действует.\n"
    assert known(ADMINISTRATOR).suspended_at is None
    assert {each.actor for each in events("account.suspended")} == {"command"}


def test_suspending_by_command_stops_a_recovery(
    run: Callable[..., Result],
    keep: Callable[..., None],
    new_browser: Callable[..., Browser],
    post: Post,
) -> None:
    keep()
    loss = lose(new_browser, post)
    loss.ask()
    changed = ("--suspend", "--email", "new@sever-trakt.example")
    result = run("accounts", "change", EMAIL, *changed)
    assert result.exit_code == 0, result.output
    assert not loss.case.is_open
    assert "приостановлена" in subjects(post, "new@sever-trakt.example")[-1]


@pytest.mark.parametrize("whose", ["m.orlova@izkt.example", "k.titov@izkt.example"])
def test_a_recovery_stops_that_rests_on_the_word_of_somebody_who_left(
    run: Callable[..., Result],
    keep: Callable[..., None],
    new_browser: Callable[..., Browser],
    post: Post,
    whose: str,
) -> None:
    keep()
    loss = lose(new_browser, post, Role.ADMINISTRATOR)
    loss.wait()
    loss.sit_down_second().press("Подтвердить")
    assert run("accounts", "change", whose, "--suspend").exit_code == 0
    assert (loss.case.standing, loss.case.reason) == (Standing.REFUSED, Reason.WORKER)
    assert "больше не может этого делать" in loss.newest(REFUSED)
    assert CODE not in loss.subjects()


@pytest.mark.parametrize("change", [("--suspend",), ("--role", "operator")])
def test_a_reset_stops_when_who_granted_it_may_no_more(
    run: Callable[..., Result],
    boss: Person,
    new_browser: Callable[..., Browser],
    post: Post,
    change: tuple[str, ...],
) -> None:
    loss = lose(new_browser, post)
    act(recovery.grant_by_administrator, boss.account, loss.owner.account, HERE)
    loss.return_to_case().press(ENROL, code=loss.code)
    assert run("accounts", "change", boss.account.email, *change).exit_code == 0
    assert (loss.case.standing, loss.case.reason) == (Standing.REFUSED, Reason.WORKER)
    assert loss.computer.open("/devices/new").path == "/signin"


def test_an_organisation_with_another_administrator_is_not_left_alone(
    boss: Person, keep: Callable[..., None]
) -> None:
    keep("ORG-2")
    colleague = enrol("b@sever-trakt.example", Role.ADMINISTRATOR)
    act(account.join, boss.account, "ORG-2", "tests")

    def alone() -> int:
        with db.reading():
            return account.organisations_left_alone(boss.account)

    assert alone() == 1
    suspend(colleague)
    assert alone() == 2
