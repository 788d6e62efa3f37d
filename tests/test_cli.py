"""The `portal` command: what it prints, and with which status it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from socket import create_server
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select

from portal import cli, config, embedded
from portal.confirmation.tables import confirmations
from portal.database import db
from portal.organisation import organisations
from tests.test_importing import table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask import Flask

    from tests.conftest import Post


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


def portal(environment: dict[str, str], *arguments: str) -> tuple[int, str, int]:
    """A command in a process of its own: its status, what it said, and its most memory in kB."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "portal", *arguments],
        env=clean | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = process.stdout.read()
    _pid, status, usage = os.wait4(process.pid, 0)
    process.stdout.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, said, usage.ru_maxrss


# Keys and database


def test_a_new_key_serves_as_both_kinds(run: Callable[..., Result]) -> None:
    first, second = run("keys", "new"), run("keys", "new")
    assert first.exit_code == 0
    assert first.output != second.output
    key = first.output.strip()
    assert len(config._data_keys(key)[0]) == 32
    assert config._secret(key) == key


def test_a_database_is_made_and_checked(environment: dict[str, str], tmp_path: Path) -> None:
    environment |= {"PORTAL_DATABASE_URL": f"sqlite:///{tmp_path}/new/100%/portal.db"}

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(cli.portal, arguments, env=environment)

    before = invoke("database", "check")
    assert before.exit_code == 1
    assert "portal database upgrade" in before.output
    for _twice in range(2):
        assert invoke("database", "upgrade").exit_code == 0
        assert invoke("database", "check").exit_code == 0
    assert (tmp_path / "new" / "100%" / "portal.db").exists()
    db.dispose()


def test_a_database_that_was_never_made_is_said_in_a_sentence(
    environment: dict[str, str], file: Path
) -> None:
    for command in (("organisations", "import", str(file)), ("journal", "verify")):
        status, said, _ = portal(environment, *command)
        assert status == 2
        assert said.startswith("portal: the database cannot be used")
        assert "portal database upgrade" in said
        assert said.count("\n") == 1


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
        (b"\x7fELF\0\0", "не текст"),
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


def test_twenty_thousand_lines_take_no_more_memory_than_twenty(
    run: Callable[..., Result], environment: dict[str, str], file: Path
) -> None:
    header, good, bad, _ = table({"id": "{id}"}, {"id": "{id}", "inn": "1"}).split("\r\n")

    def most_memory(lines: int) -> int:
        with file.open("w", encoding="utf-8") as out:
            out.write(header + "\n")
            for number in range(lines):
                out.write((good if number % 10 else bad).replace("{id}", f"O-{number}") + "\n")
        status, said, memory = portal(environment, "organisations", "import", str(file))
        assert status == 1
        assert f"отклонено строк: {lines // 10}." in said
        return memory

    small = most_memory(20)
    assert most_memory(20_000) < 1.3 * small
    assert count(organisations) == 18_000


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
    result = run("confirmations", "request", "ORG-1", "ORG-2")
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
    status, said, _ = portal(environment, "deliver", "--once")
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
    for name in [name for name in os.environ if name.startswith("PORTAL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    embedded.prepare("0.0.0.0", 8123)
    left = dict(line.split("=", 1) for line in embedded.ENVIRONMENT.read_text().splitlines())
    assert config.load(left).base_url == "http://127.0.0.1:8123"
    assert embedded.ENVIRONMENT.stat().st_mode & 0o777 == 0o600
    embedded.prepare("127.0.0.1", 8124)
    again = dict(line.split("=", 1) for line in embedded.ENVIRONMENT.read_text().splitlines())
    assert again["PORTAL_DATA_KEYS"] == left["PORTAL_DATA_KEYS"], "the keys stay"
    assert again["PORTAL_BASE_URL"] == "http://127.0.0.1:8124"


def test_a_port_that_is_taken_is_refused_in_a_sentence(environment: dict[str, str]) -> None:
    with create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "-m", "portal", "serve", "--port", port],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert f"port {port} cannot be used" in ended.stderr
