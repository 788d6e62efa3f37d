"""What is kept how long: what goes when its time is over, and what stays whatever its age."""

from __future__ import annotations

import importlib
import pkgutil
import re
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select, update

import portal
from portal import (
    account,
    campaign,
    cli,
    confirmation,
    device,
    diagnostics,
    editing,
    history,
    journal,
    keeping,
    limits,
    organisation,
    outbox,
    recovery,
    verification,
)
from portal.account import Account, Role, session, sign_in
from portal.account.session import Stage
from portal.account.tables import (
    account_changes,
    account_links,
    accounts,
    sessions,
    wrong_passwords,
)
from portal.campaign import Line as CampaignLine
from portal.campaign import Way
from portal.campaign.tables import campaign_items, campaigns
from portal.cli import sweep
from portal.confirmation.course import prove
from portal.confirmation.tables import codes, confirmations, email_links
from portal.database import Encrypted, db, metadata
from portal.device.tables import backup_codes, code_sets, devices
from portal.diagnostics import diagnostics as diagnostics_table
from portal.keeping import KEEPING
from portal.limits import Limit, uses
from portal.organisation import memberships, start_of
from portal.organisation.tables import drafts
from portal.outbox import messages
from portal.recovery.tables import cases, facts
from portal.verification.tables import verifications
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.living import Refusing
from tests.lost_device import lose
from tests.people import act, enrol, invite
from tests.verifying import change, confirm, found, waiting, waits

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from portal.verification import Verification
    from tests.browser import Browser
    from tests.conftest import Post, Time

ID = "ORG-004217"
HERE = "10.20.4.17"
YEARS = {"days": 10_000}
PERSONAL = {"address", "agent", "networks", "fingerprint", "email_fingerprint", "word", "person"}
DOCUMENT = (Path(__file__).parents[1] / "docs" / "personal-data.md").read_text()
OTHER_PHONE, THIRD_PHONE = "+79215550199", "+79215550188"


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "REST_SECONDS", 0)


def swept() -> dict[str, int]:
    """What one sweep removed, by its lines."""
    counts = {line.what: sweep._sweep(line) for line in KEEPING if line.over is not None}
    with db.reading():
        assert journal.first_broken_line() is None
    return {what: count for what, count in counts.items() if count}


def count(what: Any, *where: Any) -> int:
    with db.reading():
        return int(db.scalar(select(func.count()).select_from(what).where(*where)))


def rows() -> dict[str, list[Any]]:
    with db.reading():
        return {table.name: db.all(select(table)) for table in metadata.sorted_tables}


def says(*words: str) -> bool:
    """Whether one of these stands anywhere in the database, for who has the keys."""
    text = repr(rows())
    return any(each in text for each in words)


@pytest.fixture
def boss(keep: Callable[..., None]) -> Account:
    keep()
    return enrol(ADMINISTRATOR, Role.ADMINISTRATOR, name="Соколова Анна Петровна").account


@pytest.fixture
def orlov(app: Flask) -> Account:
    return enrol("v.orlov@izkt.example", Role.SPECIALIST, name="Орлов Виктор Андреевич").account


def verify(boss: Account, orlov: Account, **changed: Any) -> Verification:
    """Have an organisation verified as it is, or with these changes."""
    sent = waiting(ID, boss, **changed)
    act(verification.take, sent, orlov)
    assert act(verification.verify, waits(ID), orlov, HERE)
    return sent


# The table


def test_every_table_of_the_database_has_its_keeping_time() -> None:
    assert {line.table.name for line in KEEPING} == set(metadata.tables)


@pytest.mark.parametrize(
    "line", [each for each in KEEPING if each.over is not None], ids=lambda line: line.what
)
def test_each_question_is_about_one_row(line: keeping.Line) -> None:
    """One that names a second table beside its own asks whether there is any such row at all."""
    for statement in (keeping.sweeping._next(line, begun=True), keeping.sweeping._removal(line)):
        assert not re.search(r"FROM \w+( AS \w+)?, ", str(statement)), statement


def test_every_personal_column_is_named() -> None:
    for table in metadata.sorted_tables:
        lines = [line for line in KEEPING if line.table is table]
        named = {name for line in lines for name in line.personal}
        personal = {
            column.name
            for column in table.c
            if isinstance(column.type, Encrypted) or column.name in PERSONAL
        }
        assert personal <= named, table.name
        assert named <= set(table.c.keys()), table.name
        for line in lines:
            assert set(line.wiped or ()) <= named


def test_every_table_stands_in_the_document_with_its_time(app: Flask) -> None:
    told = [line for line in DOCUMENT.splitlines() if line.startswith("|")]
    for line in KEEPING:
        days = "—" if line.over is None else f"{line.kept_for.days} "
        assert any(f"`{line.table.name}`" in each and days in each for each in told), line.what


def test_uses_are_kept_for_longer_than_any_limit_counts_back() -> None:
    spans = []
    for module in pkgutil.walk_packages(portal.__path__, "portal."):
        if module.name.startswith("portal.migrations") or module.name == "portal.__main__":
            continue
        for value in vars(importlib.import_module(module.name)).values():
            spans += [value.span] if isinstance(value, Limit) else []
            if isinstance(value, tuple | list):
                spans += [each.span for each in value if isinstance(each, Limit)]
    assert max(spans) >= timedelta(hours=24)
    [line] = [line for line in KEEPING if line.table is uses]
    assert line.kept_for > max(spans)


# What stays


def test_nothing_that_is_used_today_is_swept(
    boss: Account, orlov: Account, browser: Browser, post: Post
) -> None:
    verify(boss, orlov)
    change(ID, phone=OTHER_PHONE)
    act(confirmation.request, found(ID), boss.id)
    browser.open(post.link()).press("Подтвердить номер телефона")
    before = rows()
    assert swept() == {}
    assert rows() == before


def test_what_counts_stays_for_ever(boss: Account, orlov: Account, post: Post, time: Time) -> None:
    sent = verify(boss, orlov)
    post.deliver()
    with db.reading():
        before = verification.written(verification.evidence(sent))
    time.passes(**YEARS)
    swept()
    with db.reading():
        after = verification.written(verification.evidence(sent))
        now = organisation.find(ID)
        assert now
        assert confirmation.proved(now) == {"phone", "email"}
    assert after | {"made_at": ""} == before | {"made_at": ""}
    assert swept() == {}, "and nothing is left to do"


def test_an_edit_can_be_discarded_however_long_it_took(
    boss: Account, orlov: Account, time: Time
) -> None:
    verify(boss, orlov)
    change(ID, phone=OTHER_PHONE)
    time.passes(**YEARS)
    swept()
    act(editing.discard, found(ID), boss.id, HERE)
    assert found(ID).details.phone == LOMOVA.phone
    with db.reading():
        assert confirmation.proved(found(ID)) == {"phone", "email"}


# Organisations


def test_an_old_record_goes_when_it_was_replaced_long_ago(
    keep: Callable[..., None], time: Time
) -> None:
    keep(last_name="Прежняя")
    time.passes(**YEARS)
    keep(last_name="Ломова")
    assert says("Прежняя")
    time.passes(days=1094)
    assert swept() == {}, "it was true until three years ago"
    time.passes(days=2)
    assert swept() == {"прежние записи организаций": 1}
    assert not says("Прежняя")
    assert found(ID).details.last_name == "Ломова"
    with db.reading():
        told = history.of_organisation(ID, most=10)
    assert told[0].sentence == "Прежние данные удалены: срок хранения истёк"
    assert told[1].sentence.startswith("Изменены данные: "), "the line stays, without the values"


def test_what_is_old_of_one_organisation_takes_nothing_of_another(
    boss: Account, keep: Callable[..., None], time: Time
) -> None:
    old = "ORG-OLD"
    keep(old)
    confirm(old)
    keep(old, position="Директор")
    time.passes(days=1100)
    confirm(ID)
    change(ID, phone=OTHER_PHONE)
    confirm(ID)
    keep("ORG-NEW", last_name="Прежняя")
    keep("ORG-NEW", last_name="Новая")
    assert swept() == {}
    assert says("Прежняя"), "replaced a moment ago"
    change(ID, phone=LOMOVA.phone)
    with db.reading():
        assert confirmation.proved(found(ID)) == {"phone", "email"}, "going back restores it"


def test_nothing_is_left_of_a_person_who_was_replaced(
    boss: Account, orlov: Account, browser: Browser, post: Post, time: Time
) -> None:
    """Three persons, each verified, one after the other: of the first nothing is left."""
    first = {"last_name": "Иванова", "phone": OTHER_PHONE, "email": "ivanova@sever.example"}
    verify(boss, orlov, **first)
    act(confirmation.request, found(ID), boss.id)
    time.passes(days=30)
    verify(boss, orlov, last_name="Петрова", phone=THIRD_PHONE, email="petrova@sever.example")
    time.passes(days=30)
    verify(boss, orlov, last_name="Ломова", phone=LOMOVA.phone, email=LOMOVA.email)
    post.deliver()
    time.passes(days=1200)
    assert says("Иванова", OTHER_PHONE, "ivanova@sever.example")
    swept()
    assert not says("Иванова", OTHER_PHONE, "ivanova@sever.example")
    assert count(verifications) == 2, "the last, and what it was compared with"
    assert swept() == {}


def test_a_discarded_edit_goes(boss: Account, orlov: Account, time: Time) -> None:
    verify(boss, orlov)
    change(ID, last_name="Ошибкина")
    act(editing.discard, found(ID), boss.id, HERE)
    time.passes(days=1096)
    assert swept()["прежние записи организаций"] == 1
    assert not says("Ошибкина")


def test_a_contact_of_long_ago_has_to_be_confirmed_anew(boss: Account, time: Time) -> None:
    confirm(ID)
    change(ID, phone=OTHER_PHONE)
    confirm(ID)
    time.passes(days=1000)
    swept()
    change(ID, phone=LOMOVA.phone)
    with db.reading():
        assert confirmation.proved(found(ID)) == {"phone", "email"}, "going back restores it"
    change(ID, phone=OTHER_PHONE)
    time.passes(days=1200)
    swept()
    change(ID, phone=LOMOVA.phone)
    with db.reading():
        assert confirmation.proved(found(ID)) == {"email"}


def test_the_link_of_long_ago_says_that_all_was_confirmed(
    boss: Account, browser: Browser, post: Post, time: Time
) -> None:
    asked = act(confirmation.request, found(ID), boss.id)
    link = post.link()
    for kind in ("phone", "email"):
        with db.reading():
            request = confirmation.find(asked)
        act(prove, request, kind, HERE)
    change(ID, phone=OTHER_PHONE)
    time.passes(days=1100)
    assert swept()["подтверждения прежних контактов"] == 1
    assert browser.open(link).status == 410
    assert "Данные уже подтверждены" in browser


def test_the_last_report_of_an_error_stays(boss: Account, post: Post, time: Time) -> None:
    def report(comment: str) -> None:
        asked = act(confirmation.request, found(ID), boss.id)
        with db.reading():
            request = confirmation.find(asked)
        act(confirmation.report, request, {"position": "Механик"}, comment, HERE)

    report("Прежнее замечание.")
    report("Последнее замечание.")
    post.deliver()
    time.passes(days=1200)
    swept()
    assert says("Последнее замечание.")
    assert not says("Прежнее замечание.")
    assert count(confirmations) == 1
    with db.reading():
        seen = editing.reported(found(ID), None)
    assert seen
    assert seen.comment == "Последнее замечание."


def test_codes_and_links_go_after_a_month(
    asked: str, browser: Browser, post: Post, time: Time
) -> None:
    browser.open(post.link()).press("Подтвердить номер телефона")
    browser.open(f"/confirmation/{asked}").press("Подтвердить email")
    link = post.link()
    time.passes(days=29)
    swept()
    assert (count(codes), count(email_links)) == (1, 1)
    time.passes(days=3)
    swept()
    assert (count(codes), count(email_links)) == (0, 0)
    assert browser.open(link).status == 410


def test_addresses_of_letters_go_after_a_year(boss: Account, post: Post, time: Time) -> None:
    act(confirmation.request, found(ID), boss.id)
    post.deliver()
    act(confirmation.cancel, found(ID), boss.id, HERE)
    time.passes(days=364)
    assert "адреса отправленных писем и СМС" not in swept()
    time.passes(days=10)
    assert swept()["адреса отправленных писем и СМС"] > 0
    with db.reading():
        assert {row.recipient for row in db.all(select(messages))} == {""}
        assert any("передано" in each.sentence for each in history.of_organisation(ID, most=20))
    assert swept() == {}


def test_a_message_that_waits_keeps_its_address(boss: Account, post: Post, time: Time) -> None:
    act(confirmation.request, found(ID), boss.id)
    time.passes(days=3000)
    swept()
    assert LOMOVA.email in {each.recipient for each in post.letters(LOMOVA.email)}


def test_drafts_and_lists_go(boss: Account, time: Time) -> None:
    now = start_of(found(ID))
    values = {**now.values, "position": "Набранная должность"}
    act(lambda: organisation.keep_draft(ID, boss.id, now, values, is_another_person=False))
    made = act(campaign.begin, boss, Way.TYPED)
    act(campaign.add, made, boss, [CampaignLine(1, "ORG-004217"), CampaignLine(2, "Иванов И. И.")])
    act(campaign.offer, made)
    time.passes(days=91)
    assert "набранные строки списков" not in swept() or not says("Иванов И. И.")
    time.passes(days=100)
    swept()
    assert not says("Набранная должность", "Иванов И. И.")
    assert (count(drafts), count(campaigns)) == (0, 1)
    time.passes(days=200)
    swept()
    assert (count(campaign_items), count(campaigns)) == (0, 0)


# Accounts


def test_a_code_that_was_shown_and_never_kept_is_wiped_the_day_after(
    boss: Account, time: Time
) -> None:
    token = act(session.begin, boss, Stage.FULL, HERE, "Firefox")
    with db.reading():
        found = session.find(token)
    assert found
    act(lambda: session.keep(found, replacement="ABCD-EFGH"))
    time.passes(hours=35)
    assert "начатые шаги входов" not in swept()
    time.passes(hours=2)
    assert swept()["начатые шаги входов"] == 1
    with db.reading():
        assert [row.pending for row in db.all(select(sessions))] == [None]
        assert account.session.seen_from(boss, HERE).times == 1


def test_sign_ins_go_after_a_year_and_half_ones_after_a_month(boss: Account, time: Time) -> None:
    act(session.begin, boss, Stage.FULL, HERE, "Firefox")
    act(session.begin, boss, Stage.PASSWORD, HERE, "Firefox")
    time.passes(days=31)
    assert swept()["незавершённые входы"] == 1
    with db.reading():
        assert account.session.seen_from(boss, HERE).times == 1
    time.passes(days=340)
    assert swept()["входы"] == 1
    assert count(sessions) == 0


def test_counts_and_numbers_go(app: Flask, time: Time) -> None:
    act(limits.use, "something", "else")
    act(sign_in.enter, "nobody@sever.example", "wrong", HERE, "")
    act(diagnostics.begin, None, HERE, "Firefox")
    time.passes(hours=25)
    assert swept() == {}
    time.passes(days=1)
    assert "счётчики частоты" in swept()
    assert (count(uses), count(wrong_passwords)) == (0, 1)
    time.passes(days=30)
    swept()
    assert (count(wrong_passwords), count(diagnostics_table)) == (0, 0)


def test_a_pause_outlives_the_sweep(app: Flask, time: Time) -> None:
    for _each in range(session.WRONG_IN_A_ROW):
        act(sign_in.enter, "nobody@sever.example", "wrong", HERE, "")
    swept()
    assert act(sign_in.enter, "nobody@sever.example", "wrong", HERE, "").pause


def test_devices_that_were_dropped_lose_their_name_and_no_more(boss: Account, time: Time) -> None:
    first = device.devices_of
    with db.reading():
        added_at = device.first_added_at(boss.id)
    act(lambda: device.drop_all(boss, HERE, but=""))
    act(lambda: db.execute(update(devices).values(name="Телефон Анны")))
    time.passes(days=31)
    assert swept()["имена удалённых устройств"] == 1
    assert not says("Телефон Анны")
    with db.reading():
        assert device.first_added_at(boss.id) == added_at
        assert first(boss.id) == []


def test_sets_of_codes_that_open_nothing_go(boss: Account, time: Time) -> None:
    old = act(device.make_codes, boss)
    act(device.prove_codes, boss, old.set_id, old.codes[0], HERE)
    new = act(device.make_codes, boss)
    act(device.prove_codes, boss, new.set_id, new.codes[0], HERE)
    act(device.make_codes, boss)
    time.passes(days=31)
    swept()
    with db.reading():
        assert [row.id for row in db.all(select(code_sets))] == [new.set_id]
        assert device.codes_left(boss.id).count == 10
    assert count(backup_codes) == 10
    assert act(device.take_code, boss, new.codes[3], HERE)


def test_cases_go_and_their_numbers_never_come_again(
    boss: Account, orlov: Account, time: Time
) -> None:
    def open_case() -> Any:
        opened = act(recovery.open_by_owner, boss, "cabinet", HERE)
        act(
            lambda: db.execute(
                update(cases)
                .where(cases.c.id == opened.id)
                .values(answers='{"recalled": "Барсик"}')
            )
        )
        return opened

    first = open_case()
    time.passes(days=6)
    swept()
    assert says("Барсик")
    time.passes(days=2)
    assert swept()["ответы в обращениях"] == 1, "nobody came back to it"
    assert not says("Барсик")
    second = open_case()
    time.passes(days=1200)
    assert swept()["обращения о восстановлении доступа"] == 1
    with db.reading():
        assert recovery.find(first.id) is None
        assert recovery.find(second.id)
    assert open_case().number == second.number + 1


def test_an_account_that_nobody_came_for_is_erased(keep: Callable[..., None], time: Time) -> None:
    keep()
    made = invite("never@sever.example", name="Невходов Н. Н.")
    time.passes(days=180)
    swept()
    assert says("Невходов Н. Н."), "the invitation itself worked for a week"
    time.passes(days=8)
    assert swept()["учётные записи, в которые никто не вошёл"] == 1
    assert not says("Невходов Н. Н.", "never@sever.example")
    with db.reading():
        assert account.people_of(ID, most=10) == []
        assert account.find_by_email("never@sever.example") is None
    again = invite("never@sever.example")
    assert again.id != made.id


def test_who_was_invited_again_is_waited_for(keep: Callable[..., None], time: Time) -> None:
    keep()
    invite("late@sever.example")
    time.passes(days=170)
    invite("late@sever.example")
    time.passes(days=170)
    assert "учётные записи, в которые никто не вошёл" not in swept()


def test_a_suspended_account_is_erased_after_three_years(boss: Account, time: Time) -> None:
    made = enrol("petrov@sever.example", name="Петров Пётр", phone=OTHER_PHONE, codes=True).account
    act(account.change, made, "name", "Петров-Водкин", "tests")
    act(lambda: recovery.facts.keep(made.id, "market", "stock", "42", "tests"))
    act(session.begin, made, Stage.FULL, HERE, "Firefox")
    act(account.suspend, made, boss, HERE)
    time.passes(days=1094)
    swept()
    assert says("Петров-Водкин")
    time.passes(days=2)
    assert swept()["приостановленные учётные записи"] == 1
    assert not says("Петров Пётр", "Водкин", "petrov@sever.example", OTHER_PHONE)
    for table in (account_changes, facts, memberships, devices, code_sets, sessions, account_links):
        assert count(table, table.c.account_id == made.id) == 0, table.name
    assert count(accounts, accounts.c.id == made.id, accounts.c.suspended_at.is_not(None)) == 1
    with db.reading():
        told = history.of_account(made.id, most=1)
    assert told[0].sentence == "Персональные данные учётной записи удалены"
    assert swept() == {}


def test_who_decided_what_counts_stays_named(boss: Account, orlov: Account, time: Time) -> None:
    verify(boss, orlov)
    for each in (boss, orlov):
        act(account.suspend, each, "command", "")
    time.passes(**YEARS)
    swept()
    assert says("Орлов Виктор Андреевич")
    assert says("Соколова Анна Петровна")


def test_former_names_of_an_account_stay_as_answers(boss: Account, time: Time) -> None:
    act(account.change, boss, "name", "Орлова Анна Петровна", "tests")
    time.passes(**YEARS)
    swept()
    with db.reading():
        changed = account.changes_of(boss)
    assert [each.old for each in changed] == ["Соколова Анна Петровна"]


# The command


@pytest.fixture
def run(app: Flask, environment: dict[str, str]) -> Callable[..., Any]:
    return lambda *arguments: CliRunner().invoke(cli.portal, arguments, env=environment)


def test_the_command_counts_and_names_nobody(
    run: Callable[..., Any], keep: Callable[..., None], time: Time
) -> None:
    keep(last_name="Прежняя")
    keep()
    invite("never@sever.example", name="Невходов Н. Н.")
    time.passes(**YEARS)
    ended = run("sweep")
    assert ended.exit_code == 0
    assert "прежние записи организаций: 1\n" in ended.output
    assert not any(each in ended.output for each in ("Прежняя", "Невходов", "@", LOMOVA.phone))
    assert run("sweep").output.endswith("Удалять нечего.\n")
    assert run("journal", "verify").exit_code == 0


def test_a_setting_shortens_a_keeping_time(
    environment: dict[str, str], run: Callable[..., Any], keep: Callable[..., None], time: Time
) -> None:
    keep(last_name="Прежняя")
    keep()
    time.passes(days=31)
    assert run("sweep").output.endswith("Удалять нечего.\n")
    environment["PORTAL_KEEP_RECORDS_DAYS"] = "30"
    assert "прежние записи организаций: 1\n" in run("sweep").output


def test_a_suspended_account_is_erased_when_its_owner_asks(
    run: Callable[..., Any], boss: Account
) -> None:
    enrol("petrov@sever.example", name="Петров Пётр")
    unknown = run("sweep", "--account", "nobody@sever.example")
    assert (unknown.exit_code, unknown.output) == (1, "Такой учётной записи нет.\n")
    early = run("sweep", "--account", "petrov@sever.example")
    assert early.exit_code == 1
    assert "--suspend" in early.output
    assert says("Петров Пётр")
    assert run("accounts", "change", "petrov@sever.example", "--suspend").exit_code == 0
    assert run("sweep", "--account", "PETROV@sever.example").exit_code == 0
    assert not says("Петров Пётр", "petrov@sever.example")


def test_who_changes_place_begins_anew(
    run: Callable[..., Any], boss: Account, keep: Callable[..., None], post: Post
) -> None:
    keep("ORG-2")
    enrol("petrov@sever.example")
    where = ("--role", "administrator", "--organisation", "ORG-2")
    elsewhere = ("accounts", "invite", "petrov@sever.example", *where)
    refused = run(*elsewhere)
    assert (refused.exit_code, "Оператор" in refused.output) == (1, True)
    assert run("accounts", "change", "petrov@sever.example", "--suspend").exit_code == 0
    assert run("sweep", "--account", "petrov@sever.example").exit_code == 0
    assert run(*elsewhere).output == "Приглашение отправлено.\n"
    assert post.letters("petrov@sever.example")[-1].subject == "Приглашение в портал ИЗКТ"


def test_the_computer_of_an_erased_account_is_nobodys(
    run: Callable[..., Any],
    keep: Callable[..., None],
    new_browser: Callable[..., Browser],
    post: Post,
) -> None:
    keep()
    loss = lose(new_browser, post)
    loss.ask()
    assert run("accounts", "change", loss.email, "--suspend").exit_code == 0
    assert run("sweep", "--account", loss.email).exit_code == 0
    with db.reading():
        (left,) = db.all(select(diagnostics_table))
    assert (left.address, left.agent) == ("", "")
    assert "Данные о компьютере удалены" in loss.sit_down()


def test_who_asked_for_a_password_in_vain_leaves_no_rows(
    run: Callable[..., Any], boss: Account, new_browser: Callable[..., Browser], time: Time
) -> None:
    asked = {"email": "nobody@sever.example"}
    new_browser().open("/password").press("Отправить письмо", **asked)
    nobodys = (messages.c.organisation_id.is_(None), messages.c.account_id.is_(None))
    assert count(messages, *nobodys) == 1
    time.passes(days=31)
    run("sweep")
    assert count(messages, *nobodys) == 0


def test_what_never_reached_an_erased_account_is_not_sent_again(
    run: Callable[..., Any], boss: Account, post: Post
) -> None:
    petrov = enrol("petrov@sever.example").account
    post.deliver()
    assert run("accounts", "change", petrov.email, "--suspend").exit_code == 0
    outbox.deliver_due("email", Refusing())
    [failed] = [each for each in outbox.failed(most=10) if each.account_id == petrov.id]
    assert failed.may_be_sent_again
    assert run("sweep", "--account", petrov.email).exit_code == 0
    assert not act(outbox.send_again, failed.id, "tests")
    assert outbox.deliver_due("email", post.email) == 0


def test_several_sweeps_and_a_portal_that_works(
    app: Flask, keep: Callable[..., None], time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row is counted once, and whoever writes meanwhile gets their turn."""
    monkeypatch.setattr(keeping.sweeping, "BATCH", 10)
    keeping.sweeping._next.cache_clear()
    keep()
    for _each in range(30):
        act(limits.use, *(f"{number}" for number in range(10)))
    time.passes(days=3)
    [line] = [each for each in KEEPING if each.table is uses]
    counts: list[int] = []

    def work() -> None:
        with app.app_context():
            counts.append(sweep._sweep(line))

    threads = [threading.Thread(target=work) for _each in range(3)]
    for thread in threads:
        thread.start()
    for number in range(10):
        act(limits.use, f"new {number}")
    for thread in threads:
        thread.join()
    keeping.sweeping._next.cache_clear()
    assert sum(counts) == 300
    assert count(uses) == 10


def test_what_is_needed_again_meanwhile_stays(boss: Account, time: Time) -> None:
    """Found by the sweep, and restored by somebody before its turn came."""
    invited = invite("late@sever.example")
    time.passes(days=300)
    [line] = [each for each in KEEPING if each.what == "учётные записи, в которые никто не вошёл"]
    with db.reading():
        keys = keeping.find(line)
    assert keys == [(invited.id,)]
    invite("late@sever.example")
    assert act(keeping.remove, line, keys) == 0
    with db.reading():
        assert account.find_by_email("late@sever.example")
