"""The `portal` command: what it prints, and with which status it ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time as real_time
from pathlib import Path
from socket import create_server
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import LargeBinary, func, select, text, type_coerce, update
from tqdm import tqdm

from portal import account, cli, config, confirmation, embedded, keys, readers, recovery, schema
from portal.account import Account, Role
from portal.account.tables import accounts
from portal.confirmation.tables import confirmations
from portal.database import db, metadata
from portal.organisation import organisations
from portal.outbox import messages
from portal.recovery.tables import facts
from tests.conftest import ADMINISTRATOR, ENVIRONMENT
from tests.people import act, enrol
from tests.test_importing import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from tests.conftest import Post, Time


@pytest.fixture
def run(app: Flask, environment: dict[str, str]) -> Callable[..., Result]:
    """Run a command on the database of this test."""
    return lambda *arguments: CliRunner().invoke(cli.portal, arguments, env=environment)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "organisations.csv"
    path.write_text(table({}, {"id": "ORG-2"}), encoding="utf-8", newline="")
    return path


def count(what: Any) -> int:
    with db.reading():
        return int(db.scalar(select(func.count()).select_from(what)))


def portal(
    environment: dict[str, str], *arguments: str, by: tuple[str, ...] = ("-m", "portal")
) -> tuple[int, str]:
    """A command in a process of its own: its status, and what it said."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    ended = subprocess.run(
        [sys.executable, *by, *arguments],
        env=clean | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout


# Keys and database


def test_a_new_key_serves_as_both_kinds(run: Callable[..., Result]) -> None:
    first, second = run("keys", "new"), run("keys", "new")
    assert first.exit_code == 0
    assert first.output != second.output
    key = first.output.strip()
    assert len(readers.data_keys(key)[0]) == 32
    assert readers.secret(key) == key


def test_a_database_is_made_and_checked(environment: dict[str, str], tmp_path: Path) -> None:
    environment |= {"PORTAL_DATABASE_URL": f"sqlite:///{tmp_path}/new/100%/portal.db"}

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(cli.portal, arguments, env=environment)

    status, said = portal(environment, "database", "check")
    assert status == 2
    assert "portal database upgrade" in said
    assert not list((tmp_path / "new").rglob("*.db")), "only an upgrade makes one"
    for _twice in range(2):
        assert invoke("database", "upgrade").exit_code == 0
        assert invoke("database", "check").exit_code == 0
    assert (tmp_path / "new" / "100%" / "portal.db").exists()
    db.dispose()


def test_a_database_that_was_never_made_is_said_in_a_sentence(
    environment: dict[str, str], file: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    never_made = f"sqlite:///{tmp_path}/never.db"
    if environment["PORTAL_DATABASE_URL"].startswith("postgresql"):
        never_made = request.getfixturevalue("postgresql_server").create("never")
    environment |= {"PORTAL_DATABASE_URL": never_made}
    for command in (("organisations", "import", str(file)), ("journal", "verify")):
        status, said = portal(environment, *command)
        assert status == 2
        assert said.startswith("portal: the database cannot be used")
        assert "portal database upgrade" in said
        assert said.count("\n") == 1


def test_what_is_no_database_is_said_in_a_sentence(
    environment: dict[str, str], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.write_text("This is no database." * 100)
    environment |= {"PORTAL_DATABASE_URL": f"sqlite:///{other}"}
    status, said = portal(environment, "journal", "verify")
    assert (status, said.count("\n")) == (2, 1)
    assert said == "portal: the database cannot be used (file is not a database).\n"


def test_of_a_database_that_was_never_made_there_is_no_copy(
    environment: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    empty = tmp_path / "empty.db"
    empty.touch()
    url = f"sqlite:///{empty}"
    if environment["PORTAL_DATABASE_URL"].startswith("postgresql"):
        url = request.getfixturevalue("postgresql_server").create("empty")
    environment |= {"PORTAL_DATABASE_URL": url}
    status, said = portal(environment, "database", "backup", str(tmp_path / "copy"))
    assert (status, said) == (2, "The database is empty: is PORTAL_DATABASE_URL right?\n")
    assert not (tmp_path / "copy").exists()


def test_a_copy_names_the_file_in_its_way(run: Callable[..., Result], tmp_path: Path) -> None:
    copy, left = tmp_path / "copy", tmp_path / "copy.part"
    left.touch()
    refused = run("database", "backup", str(copy))
    assert (refused.exit_code, refused.output) == (2, f"{left}: there is a file already.\n")
    left.unlink()
    assert run("database", "backup", str(copy)).exit_code == 0
    refused = run("database", "backup", str(copy))
    assert (refused.exit_code, refused.output) == (2, f"{copy}: there is a file already.\n")


def test_a_version_that_was_put_back_leaves_a_newer_schema(
    environment: dict[str, str], keep: Callable[..., None]
) -> None:
    keep()
    with db.writing():
        db.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        db.commit()
    try:
        assert portal(environment, "database", "upgrade") == (0, "")
        assert portal(environment, "database", "check") == (0, "")
        assert count(organisations) == 1
        for strange in ("0000", "main"):
            with db.writing():
                db.execute(text("UPDATE alembic_version SET version_num = :to"), {"to": strange})
                db.commit()
            status, said = portal(environment, "database", "upgrade")
            assert (status, said.count("\n")) == (2, 1)
            assert said.startswith("The schema is that of no version of the portal")
    finally:
        with db.writing():
            values = {"newest": schema._newest()}
            db.execute(text("UPDATE alembic_version SET version_num = :newest"), values)
            db.commit()


@pytest.mark.sqlite
def test_what_nobody_reads_any_more_is_said_to_have_been_broken_off(
    environment: dict[str, str], app: Flask, tmp_path: Path
) -> None:
    file = tmp_path / "many.csv"
    file.write_text(table(*({"id": f"ORG-{n}", "inn": "1"} for n in range(9_000))), newline="")
    with subprocess.Popen(
        [sys.executable, "-m", "portal", "organisations", "import", str(file)],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 2
    assert said.startswith("Прервано. Прочитано строк: ")
    assert said.endswith("загрузите файл ещё раз.\n")


@pytest.mark.sqlite
def test_what_nobody_reads_is_no_answer(environment: dict[str, str], app: Flask) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "portal", "journal", "verify"]
    try:
        ended = subprocess.run(
            command,
            env=os.environ | environment,
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writing)
    assert (ended.returncode, ended.stderr) == (2, b"")


@pytest.mark.sqlite
def test_what_finds_no_room_is_no_answer(environment: dict[str, str], app: Flask) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "portal", "journal", "verify"],
            env=os.environ | environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 2
    assert ended.stderr == "portal: not all could be written (No space left on device).\n"


@pytest.mark.sqlite
def test_a_delivery_that_was_interrupted_says_so(
    environment: dict[str, str], tmp_path: Path, app: Flask
) -> None:
    assert portal(environment, "deliver", "--once")[0] == 0
    empty = tmp_path / "empty.db"
    empty.touch()
    environment |= {"PORTAL_DATABASE_URL": f"sqlite:///{empty}"}
    status, said = portal(environment, "deliver", "--once")
    assert status == 1
    assert "delivery interrupted" in said


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "command",
    [
        ("accounts", "invite", "S1@izkt.example", "--role", "specialist"),
        ("accounts", "change", "s1@izkt.example", "--suspend"),
        ("sweep", "--account", "s1@izkt.example"),
        ("journal", "verify"),
        ("database", "check"),
        ("facts", "import", "none.csv"),
    ],
)
def test_without_the_key_of_accounts_nobody_is_taken_for_new(
    environment: dict[str, str], app: Flask, command: tuple[str, ...]
) -> None:
    enrol("s1@izkt.example", Role.SPECIALIST, None)
    other = environment | {"PORTAL_DATA_KEYS": keys_new()}
    status, said = portal(other, *command)
    assert status == 2
    assert said == (
        "portal: accounts.email: no key in PORTAL_DATA_KEYS decrypts it. "
        "Was a key taken out too early?\n"
    )
    assert count(accounts) == 1


@pytest.mark.sqlite
def test_with_the_key_of_accounts_behind_a_newer_one_all_is_read(
    environment: dict[str, str], app: Flask
) -> None:
    enrol("s1@izkt.example", Role.SPECIALIST, None)
    both = {"PORTAL_DATA_KEYS": f"{keys_new()},{environment['PORTAL_DATA_KEYS']}"}
    assert portal(environment | both, "journal", "verify") == (0, "Журнал цел.\n")


@pytest.mark.sqlite
def test_a_missing_key_of_records_is_named(
    environment: dict[str, str], keep: Callable[..., None]
) -> None:
    keep()
    other = environment | {"PORTAL_DATA_KEYS": keys_new()}
    for command in (("database", "check"), ("journal", "verify")):
        status, said = portal(other, *command)
        assert status == 2
        assert said.startswith("portal: records.details: no key in PORTAL_DATA_KEYS")


def keys_new() -> str:
    return CliRunner().invoke(cli.portal, ["keys", "new"]).output.strip()


# Import


def test_an_import_says_what_it_did(run: Callable[..., Result], file: Path) -> None:
    first = run("organisations", "import", str(file))
    assert first.exit_code == 0
    assert "Новых: 2, изменённых: 0, без изменений: 0, отклонено строк: 0." in first.output
    file.write_text(table({"responsible_phone": "89215550148"}, {"id": "ORG-2"}), newline="")
    second = run("organisations", "import", str(file))
    assert second.exit_code == 0
    assert "Новых: 0, изменённых: 1, без изменений: 1, отклонено строк: 0." in second.output


def test_refused_lines_are_reported_and_the_good_ones_kept(
    run: Callable[..., Result], file: Path
) -> None:
    file.write_text(table({}, {"id": "ORG-2", "inn": "12"}, {"id": "ORG-1"}), newline="")
    result = run("organisations", "import", str(file))
    assert result.exit_code == 1
    assert "строка 3, inn: ИНН состоит из 10 или 12 цифр." in result.output
    assert "строка 4, id: этот ID уже был в строке 2" in result.output
    assert "отклонено строк: 2." in result.output
    assert count(organisations) == 1


def test_a_dry_run_says_that_nothing_was_kept(run: Callable[..., Result], file: Path) -> None:
    result = run("organisations", "import", str(file), "--dry-run")
    assert result.exit_code == 0
    assert "Новых: 2" in result.output
    assert "Ничего не записано." in result.output
    assert count(organisations) == 0
    file.write_text(table({"inn": "12"}), newline="")
    assert run("organisations", "import", str(file), "--dry-run").exit_code == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"", "Нет столбцов"),
        (b"id,name\r\n", "Нет столбцов"),
        (b"\x7fELF\0\0", "не CSV"),
        (table({}).replace("kpp", "cpp", 1).encode(), "Нет столбцов: kpp"),
    ],
)
def test_a_file_that_cannot_be_read_ends_with_status_2(
    run: Callable[..., Result], file: Path, content: bytes | None, reason: str
) -> None:
    file.unlink() if content is None else file.write_bytes(content)
    result = run("organisations", "import", str(file))
    assert result.exit_code == 2
    assert result.output.startswith(f"{file}: ")
    assert reason in result.output
    assert result.output.count("\n") == 1


def test_a_folder_is_no_file(run: Callable[..., Result], tmp_path: Path) -> None:
    assert run("organisations", "import", str(tmp_path)).exit_code == 2
    assert run("organisations", "import").exit_code == 2


# What the system counts for a process (ru_maxrss) begins with what its parent had.
AND_MOST_MEMORY = """
import atexit, re
from pathlib import Path
from portal.cli import main
atexit.register(lambda: print(re.search("VmHWM.*", Path("/proc/self/status").read_text())[0]))
main()
"""


@pytest.mark.sqlite  # a file is read in the same way for both
def test_ten_thousand_lines_take_no_more_memory_than_twenty(
    run: Callable[..., Result], environment: dict[str, str], file: Path
) -> None:
    header, good, bad, _ = table({"id": "{id}"}, {"id": "{id}", "inn": "1"}).split("\r\n")

    def most_memory(lines: int) -> int:
        with file.open("w", encoding="utf-8") as out:
            out.write(header + "\n")
            for number in range(lines):
                out.write((good if number % 10 else bad).replace("{id}", f"O-{number}") + "\n")
        command = ("organisations", "import", str(file))
        status, said = portal(environment, *command, by=("-c", AND_MOST_MEMORY))
        assert status == 1
        assert f"отклонено строк: {lines // 10}." in said
        return int(said.split()[-2])

    small = most_memory(20)
    assert most_memory(10_000) < 1.1 * small
    assert count(organisations) == 9_000


# Invitations of administrators


def known(email: str) -> Account:
    with db.reading():
        found = account.find_by_email(email)
    assert found
    return found


def two_of_one(file: Path, **changed: str) -> None:
    file.write_text(table({}, {"id": "ORG-2", **changed}), encoding="utf-8", newline="")


def test_administrators_are_invited_after_an_import(
    run: Callable[..., Result], file: Path, post: Post
) -> None:
    two_of_one(file, administrator_email="second@sever-trakt.example")
    result = run("organisations", "import", str(file), "--invite-administrators")
    assert result.exit_code == 0
    assert "Приглашено администраторов: 2, не удалось: 0." in result.output
    for email, id in ((ADMINISTRATOR, "ORG-1"), ("second@sever-trakt.example", "ORG-2")):
        assert known(email).role is Role.ADMINISTRATOR
        assert known(email).organisations == (id,)
        (letter,) = post.letters(email)
        assert letter.subject == "Приглашение в портал ИЗКТ"
        assert "Организация: ООО «" in letter.text


def test_who_administers_several_organisations_gets_one_letter_that_names_them(
    run: Callable[..., Result], file: Path, post: Post
) -> None:
    result = run("organisations", "import", str(file), "--invite-administrators")
    assert "Приглашено администраторов: 1, не удалось: 0." in result.output
    (letter,) = post.letters(ADMINISTRATOR)
    assert "Организации: ООО «Северный тракт», ООО «Северный тракт»" in letter.text


def test_the_same_file_invites_nobody_twice(
    run: Callable[..., Result], file: Path, post: Post, time: Time
) -> None:
    command = ("organisations", "import", str(file), "--invite-administrators")
    run(*command)
    again = run(*command)
    assert again.exit_code == 0
    assert "Приглашено администраторов: 0, не удалось: 0." in again.output
    assert len(post.letters(ADMINISTRATOR)) == 1
    time.passes(days=7)
    assert "Приглашено администраторов: 1, не удалось: 0." in run(*command).output
    assert len(post.letters(ADMINISTRATOR)) == 2, "the first link works no more"


def test_who_signs_in_already_joins_without_a_letter(
    run: Callable[..., Result], file: Path, keep: Callable[..., None]
) -> None:
    keep("ORG-1")
    enrol(ADMINISTRATOR, Role.ADMINISTRATOR, "ORG-1")
    result = run("organisations", "import", str(file), "--invite-administrators")
    assert "Приглашено администраторов: 0, не удалось: 0." in result.output
    assert known(ADMINISTRATOR).organisations == ("ORG-1", "ORG-2")
    assert count(messages) == 0


def test_an_administrator_with_another_role_is_reported_and_the_others_are_invited(
    run: Callable[..., Result], file: Path, keep: Callable[..., None], post: Post
) -> None:
    keep("ORG-1")
    enrol("second@sever-trakt.example", Role.OPERATOR, "ORG-1")
    two_of_one(file, administrator_email="second@sever-trakt.example")
    result = run("organisations", "import", str(file), "--invite-administrators")
    assert result.exit_code == 1
    assert "ORG-2: С этим email уже есть учётная запись, её роль — «Оператор»." in result.output
    assert "Приглашено администраторов: 1, не удалось: 1." in result.output
    assert len(post.letters(ADMINISTRATOR)) == 1


def test_nobody_is_invited_by_a_refused_line_a_dry_run_or_unasked(
    run: Callable[..., Result], file: Path
) -> None:
    command = ("organisations", "import", str(file))
    run(*command)
    run(*command, "--invite-administrators", "--dry-run")
    assert count(accounts) == count(messages) == 0
    two_of_one(file, administrator_email="second@sever-trakt.example", inn="12")
    result = run(*command, "--invite-administrators")
    assert result.exit_code == 1
    assert "Приглашено администраторов: 1, не удалось: 0." in result.output
    assert count(accounts) == 1
    assert known(ADMINISTRATOR).organisations == ("ORG-1",)


# Accounts


def test_a_specialist_is_invited_by_a_letter(run: Callable[..., Result], post: Post) -> None:
    name = "Орлова Полина Сергеевна"
    arguments = ("accounts", "invite", "P.Orlova@IZKT.example", "--role", "specialist")
    result = run(*arguments, "--name", name, "--phone", "8 921 555-01-11")
    assert result.exit_code == 0
    assert result.output == "Приглашение отправлено.\n"
    made = known("p.orlova@izkt.example")
    assert (made.role, made.organisations) == (Role.SPECIALIST, ())
    assert (made.email, made.name, made.phone) == ("P.Orlova@izkt.example", name, "+79215550111")
    (letter,) = post.letters(made.email)
    assert f"Здравствуйте, {name}!" in letter.text
    again = run(*arguments)
    assert again.exit_code == 0
    assert again.output.startswith("Приглашение отправлено ещё раз")
    assert len(post.letters(made.email)) == 2
    token = post.link(made.email).rpartition("/")[2]
    assert token not in result.output + again.output


def test_who_is_invited_to_an_organisation_belongs_to_it(
    run: Callable[..., Result], keep: Callable[..., None]
) -> None:
    keep("ORG-1")
    keep("ORG-2", email="other@sever-trakt.example")
    command = ("accounts", "invite", ADMINISTRATOR, "--role", "administrator", "--organisation")
    assert run(*command, "ORG-1").exit_code == 0
    enrol("a.second@sever-trakt.example", Role.ADMINISTRATOR, "ORG-1")
    command = (*command[:2], "a.second@sever-trakt.example", *command[3:])
    joined, already = run(*command, "ORG-2"), run(*command, "ORG-2")
    assert "Теперь она относится и к этой организации." in joined.output
    assert "Ничего не изменилось." in already.output
    assert joined.exit_code == already.exit_code == 0
    assert known("a.second@sever-trakt.example").organisations == ("ORG-1", "ORG-2")
    assert count(messages) == 1


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (("no-email", "--role", "specialist"), 1, "email: Введите адрес полностью"),
        (("a@b.example", "--role", "specialist", "--phone", "1"), 1, "телефон: Введите номер"),
        (("a@b.example", "--role", "specialist", "--name", "=1+1"), 1, "имя: Значение не может"),
        (("a@b.example", "--role", "specialist", "--name", "А" * 201), 1, "имя: Слишком длинно"),
        (("a@b.example", "--role", "operator"), 1, "С этой ролью нужна организация."),
        (
            ("a@b.example", "--role", "specialist", "--organisation", "ORG-1"),
            1,
            "Специалист не относится ни к какой организации.",
        ),
        (
            ("a@b.example", "--role", "operator", "--organisation", "ORG-9"),
            1,
            "ORG-9: такой организации нет.",
        ),
        (("a@b.example", "--role", "operator", "--organisation", ""), 1, "такой организации нет."),
        (("a@b.example", "--role", "king"), 2, "'king' is not one of 'administrator'"),
        (("a@b.example",), 2, "--role"),
        ((), 2, "EMAIL"),
    ],
)
def test_who_cannot_be_invited_is_said_in_a_sentence(
    run: Callable[..., Result],
    keep: Callable[..., None],
    arguments: tuple[str, ...],
    status: int,
    reason: str,
) -> None:
    keep("ORG-1")
    result = run("accounts", "invite", *arguments)
    assert result.exit_code == status
    assert reason in result.output
    assert status == 2 or result.output.count("\n") == 1
    assert count(accounts) == count(messages) == 0


def test_what_an_account_says_is_changed(
    run: Callable[..., Result], keep: Callable[..., None], post: Post
) -> None:
    keep("ORG-1")
    old, new = "petrov@sever-trakt.example", "p.petrov@sever-trakt.example"
    enrol(old, Role.OPERATOR, "ORG-1", phone="+79215550111")
    changes = {"--email": new, "--name": "Петров П. П.", "--phone": "", "--role": "manager"}
    given = [word for pair in changes.items() for word in pair]
    result = run("accounts", "change", old.upper(), *given)
    assert result.exit_code == 0
    assert result.output == "Изменено: роль, имя, телефон, email.\n"
    changed = known(new)
    assert (changed.name, changed.phone, changed.role) == ("Петров П. П.", "", Role.MANAGER)
    subjects = [letter.subject for letter in post.letters(old)]
    assert subjects == ["Изменена роль", "Изменено имя", "Изменён номер телефона", "Изменён email"]
    assert [letter.subject for letter in post.letters(new)] == ["Изменён email"]
    again = run("accounts", "change", new, *given)
    assert (again.exit_code, again.output) == (0, "Ничего не изменилось.\n")


def test_an_email_spelt_otherwise_is_the_same_mailbox(
    run: Callable[..., Result], app: Flask, post: Post
) -> None:
    lost = enrol("Lost@izkt.example", Role.SPECIALIST, None)
    case = act(recovery.open_by_owner, lost.account, "cabinet", "10.20.4.17")
    result = run("accounts", "change", "lost@izkt.example", "--email", "lost@izkt.example")
    assert result.output == "Изменено: email.\n"
    with db.reading():
        now, still = account.find(lost.account.id), recovery.find(case.id)
        assert now
        assert still
        assert now.email == "lost@izkt.example"
        assert not account.has_new_email(now)
        assert still.is_open
    assert "Изменён email" not in {letter.subject for letter in post.letters("lost@izkt.example")}


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (("nobody@b.example", "--name", "Иван"), 1, "Такой учётной записи нет."),
        ((ADMINISTRATOR, "--email", "x"), 1, "email: Введите адрес полностью"),
        ((ADMINISTRATOR, "--phone", "1"), 1, "телефон: Введите номер"),
        ((ADMINISTRATOR, "--email", "TAKEN@b.example"), 1, "уже есть другая учётная запись"),
        ((ADMINISTRATOR, "--role", "specialist", "--name", "Иван"), 1, "Специалист не относится"),
        ((ADMINISTRATOR,), 2, "--suspend or --restore"),
        ((), 2, "EMAIL"),
    ],
)
def test_what_cannot_be_changed_stays_and_is_said_in_a_sentence(
    run: Callable[..., Result],
    keep: Callable[..., None],
    arguments: tuple[str, ...],
    status: int,
    reason: str,
) -> None:
    keep("ORG-1")
    enrol(ADMINISTRATOR, Role.ADMINISTRATOR, "ORG-1")
    enrol("taken@b.example", Role.SPECIALIST)
    before = known(ADMINISTRATOR)
    result = run("accounts", "change", *arguments)
    assert result.exit_code == status
    assert reason in result.output
    assert known(ADMINISTRATOR) == before
    assert count(messages) == 0


# Facts


def facts_file(path: Path, *lines: str) -> str:
    path.write_text("\n".join(("account_email,service,question,answer", *lines)), encoding="utf-8")
    return str(path)


def test_facts_are_imported_and_refused_lines_reported(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    enrol("p.orlova@izkt.example", Role.SPECIALIST)
    good = "P.Orlova@izkt.example,marking,oms_id,a1b2c3d4"
    file = facts_file(tmp_path / "facts.csv", good, "nobody@izkt.example,marking,oms_id,a1b2c3d4")
    dry = run("facts", "import", file, "--dry-run")
    assert dry.exit_code == 1
    assert "Ничего не записано." in dry.output
    assert count(facts) == 0
    first = run("facts", "import", file)
    assert first.exit_code == 1
    assert "строка 3, account_email: Такой учётной записи нет." in first.output
    assert "Новых: 1, без изменений: 0, отклонено строк: 1." in first.output
    second = run("facts", "import", facts_file(tmp_path / "facts.csv", good))
    assert second.exit_code == 0
    assert "Новых: 0, без изменений: 1, отклонено строк: 0." in second.output
    assert count(facts) == 1


def test_facts_that_cannot_be_read_end_with_status_2(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    result = run("facts", "import", str(tmp_path / "facts.csv"))
    assert result.exit_code == 2
    assert result.output.startswith(f"{tmp_path / 'facts.csv'}: ")


# Requests


def requests() -> list[tuple[str, str]]:
    with db.reading():
        rows = db.all(
            select(confirmations.c.organisation_id, confirmations.c.state).order_by(
                confirmations.c.requested_at
            )
        )
    return [(row.organisation_id, row.state) for row in rows]


def test_confirmations_are_requested_by_id(
    run: Callable[..., Result], keep: Callable[..., None], post: Post
) -> None:
    keep("ORG-1")
    keep("ORG-2", email="other@sever-trakt.example")
    result = run("confirmations", "request", "ORG-1", "ORG-2", "ORG-1")
    assert result.exit_code == 0
    assert "Отправлено запросов: 2, не отправлено: 0." in result.output
    assert requests() == [("ORG-1", "open"), ("ORG-2", "open")]
    (letter,) = post.letters("other@sever-trakt.example")
    assert letter.subject == "Подтверждение данных"


def test_a_newer_request_retires_the_older_one(
    run: Callable[..., Result], keep: Callable[..., None]
) -> None:
    keep("ORG-1")
    for _twice in range(2):
        assert run("confirmations", "request", "ORG-1").exit_code == 0
    assert requests() == [("ORG-1", "retired"), ("ORG-1", "open")]


def test_an_unknown_id_is_reported_and_the_others_are_asked(
    run: Callable[..., Result], keep: Callable[..., None]
) -> None:
    keep("ORG-1")
    result = run("confirmations", "request", "ORG-9", "ORG-1")
    assert result.exit_code == 1
    assert "ORG-9: такой организации нет" in result.output
    assert "Отправлено запросов: 1, не отправлено: 1." in result.output
    assert requests() == [("ORG-1", "open")]


def test_all_that_are_unconfirmed_are_asked_once(
    run: Callable[..., Result], keep: Callable[..., None]
) -> None:
    for number in (1, 2, 3):
        keep(f"ORG-{number}")
    run("confirmations", "request", "ORG-2")
    result = run("confirmations", "request", "--all-unconfirmed")
    assert result.exit_code == 0
    assert "Отправлено запросов: 2, не отправлено: 0." in result.output
    assert requests() == [("ORG-2", "open"), ("ORG-1", "open"), ("ORG-3", "open")]
    again = run("confirmations", "request", "--all-unconfirmed")
    assert again.exit_code == 0
    assert "Отправлено запросов: 0, не отправлено: 0." in again.output


def test_of_many_nobody_is_asked_who_was_asked_or_answered_meanwhile(
    run: Callable[..., Result],
    keep: Callable[..., None],
    ask: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Meanwhile(tqdm):  # type: ignore[type-arg]
        """It takes a while; others work."""

        def __iter__(self) -> Iterator[str]:
            for number, id in enumerate(super().__iter__()):
                if number == 1:
                    for other in ("ORG-2", "ORG-3"):
                        ask(other)
                    with db.writing():
                        wrong = confirmation.last_request("ORG-3")
                        assert wrong
                        found = confirmation.find(wrong.id)
                        assert found
                        confirmation.report(found, {"position": "Механик"}, "", "10.20.4.17")
                        db.commit()
                yield id

    for number in (1, 2, 3):
        keep(f"ORG-{number}")
    monkeypatch.setattr(cli.confirmations, "tqdm", Meanwhile)
    result = run("confirmations", "request", "--all-unconfirmed")
    assert result.exit_code == 1
    assert "ORG-2: запрос уже отправлен" in result.output
    assert "ORG-3: ответственное лицо сообщило об ошибке" in result.output
    assert requests() == [("ORG-1", "open"), ("ORG-2", "open"), ("ORG-3", "reported")]


def test_a_record_that_nobody_can_read_holds_up_no_other_request(
    run: Callable[..., Result], keep: Callable[..., None]
) -> None:
    for number in (1, 2, 3):
        keep(f"ORG-{number}")
    with db.writing():
        other = keys.encrypt("{}", "somewhere else")
        of = select(organisations.c.record_id).where(organisations.c.id == "ORG-2")
        records = metadata.tables["records"]
        broken = update(records).where(records.c.id == of.scalar_subquery())
        db.execute(broken.values(details=type_coerce(other, LargeBinary)))
        db.commit()
    result = run("confirmations", "request", "--all-unconfirmed")
    assert result.exit_code == 1
    assert "ORG-2: данные не расшифровать" in result.output
    assert "Отправлено запросов: 2, не отправлено: 1." in result.output


def test_a_changed_record_makes_an_organisation_unconfirmed_again(
    run: Callable[..., Result], keep: Callable[..., None]
) -> None:
    keep("ORG-1")
    run("confirmations", "request", "--all-unconfirmed")
    keep("ORG-1", phone="+79215550148")
    run("confirmations", "request", "--all-unconfirmed")
    assert requests() == [("ORG-1", "retired"), ("ORG-1", "open")]


def test_whom_to_ask_is_said_in_one_way(run: Callable[..., Result]) -> None:
    for arguments in ((), ("--all-unconfirmed", "ORG-1")):
        result = run("confirmations", "request", *arguments)
        assert result.exit_code == 2
        assert "--all-unconfirmed" in result.output
    assert requests() == []


# The rest


def test_delivering_once_empties_the_outbox(
    environment: dict[str, str], run: Callable[..., Result], keep: Callable[..., None], post: Post
) -> None:
    keep("ORG-1")
    run("confirmations", "request", "ORG-1")
    status, said = portal(environment, "deliver", "--once")
    assert (status, said) == (0, "")
    post.deliver()
    assert post.email.arrived == [], "it left already, into the inbox"


def test_every_command_explains_itself(run: Callable[..., Result]) -> None:
    def explained(command: Any, *path: str) -> None:
        result = run(*path, "--help")
        assert result.exit_code == 0
        assert command.help, path
        for name, below in getattr(command, "commands", {}).items():
            explained(below, *path, name)

    explained(cli.portal)


def test_run_leaves_its_settings_for_other_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bare = {name: os.environ[name] for name in os.environ if not name.startswith("PORTAL_")}

    def left(**environment: str) -> dict[str, str]:
        """What another command has that is called as the README says."""
        command = f"set -a; . {embedded.ENVIRONMENT}; set +a; env -0"
        shell = ["sh", "-c", command]
        said = subprocess.run(shell, env=bare | environment, check=True, capture_output=True)
        return dict(pair.split("=", 1) for pair in said.stdout.decode().split("\0") if pair)

    def prepare(host: str, port: int, **environment: str) -> None:
        monkeypatch.setattr(os, "environ", bare | environment)
        embedded.prepare(host, port)

    prepare("0.0.0.0", 8123)
    first = left()
    assert config.load(first).base_url == "http://127.0.0.1:8123"
    assert embedded.ENVIRONMENT.stat().st_mode & 0o777 == 0o600
    prepare("127.0.0.1", 8124)
    assert left()["PORTAL_DATA_KEYS"] == first["PORTAL_DATA_KEYS"], "the keys stay"
    assert left()["PORTAL_BASE_URL"] == "http://127.0.0.1:8124"
    own = {"PORTAL_DATA_KEYS": ENVIRONMENT["PORTAL_DATA_KEYS"]}
    prepare("127.0.0.1", 8124, **own)
    assert left(**own)["PORTAL_DATA_KEYS"] == own["PORTAL_DATA_KEYS"], "as the portal that runs"
    assert left()["PORTAL_DATA_KEYS"] == first["PORTAL_DATA_KEYS"], "those of the machine stay"


def test_run_keeps_the_keys_that_an_older_version_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    embedded.ENVIRONMENT.parent.mkdir()
    embedded.ENVIRONMENT.write_text("PORTAL_SECRET_KEY=abc=\nPORTAL_DATA_KEYS=old,older=\n")
    monkeypatch.setattr(os, "environ", {})
    embedded.prepare("127.0.0.1", 8123)
    kept = [os.environ["PORTAL_SECRET_KEY"], os.environ["PORTAL_DATA_KEYS"]]
    assert kept == ["abc=", "old,older="]


def serve(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "portal", "serve", *options],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.mark.sqlite
def test_a_port_that_is_taken_is_refused_in_a_sentence(environment: dict[str, str]) -> None:
    with create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = serve(environment, "--port", port)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert f"port {port} cannot be used" in ended.stderr


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "localhost"), "portal: --host localhost is no IP address.\n"),
        (("--socket", f"/tmp/{'x' * 120}"), "xx cannot be used: AF_UNIX path too long.\n"),
        (("--port", "70000"), "70000 is not in the range"),
        (("--workers", "0"), "0 is not in the range"),
        (("--threads", "0"), "0 is not in the range"),
        (("--socket", "/nowhere/web"), "portal: /nowhere/web cannot be used: No such file"),
    ],
)
def test_where_nobody_can_listen_is_refused_in_a_sentence(
    environment: dict[str, str], options: tuple[str, ...], said: str
) -> None:
    ended = serve(environment, *options)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.sqlite
def test_where_nobody_can_listen_nothing_is_begun(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, said = portal(environment, "run", "--host", "localhost")
    assert (status, said) == (2, "portal: --host localhost is no IP address.\n")
    assert not (tmp_path / "instance").exists()


@pytest.mark.sqlite
def test_a_socket_of_somebody_else_is_refused_in_a_sentence(
    environment: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "web"
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(str(path))
        taken.listen()
        ended = serve(environment, "--socket", str(path))
    assert ended.returncode == 2
    assert ended.stderr == f"portal: {path} cannot be used: somebody listens there.\n"
    file = tmp_path / "file"
    file.touch()
    ended = serve(environment, "--socket", str(file))
    assert ended.returncode == 2
    assert ended.stderr == f"portal: {file} cannot be used: there is something else.\n"
    assert file.exists()


@pytest.mark.sqlite
def test_the_socket_of_a_server_that_was_killed_is_in_nobodys_way(
    environment: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "web"
    with socket.socket(socket.AF_UNIX) as killed:
        killed.bind(str(path))
    command = [sys.executable, "-m", "portal", "serve", "--socket", str(path)]
    with subprocess.Popen(command, env=os.environ | environment) as process:
        try:
            until = real_time.monotonic() + 60
            while not _answers(path):
                assert real_time.monotonic() < until, "nobody listens"
                assert process.poll() is None, "it ended"
                real_time.sleep(0.05)
        finally:
            process.terminate()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0
