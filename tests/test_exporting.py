"""Files for spreadsheets and for the import: safe in the one, unchanged by the other."""

from __future__ import annotations

import csv
import os
import stat
from io import StringIO
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from portal import cli, exporting, importing
from portal.cli.imports import HEADER
from portal.database import db, metadata
from portal.exporting import guarded, unguarded

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

SIGNS = "=+-@＝＋－＠"
CONTROLS = "\t\r\n\0\x0b\x1b"
BEFORE = " '\"\u00a0\u2003\u200b\ufeff«“’"
TEXTS = st.text(st.sampled_from(f"{SIGNS}{CONTROLS}{BEFORE}ая1;,") | st.characters(), max_size=8)
VALUES = TEXTS.map(lambda text: text.encode("utf-8", "ignore").decode())


def cells(file: bytes) -> list[list[str]]:
    """A file as the reader of a spreadsheet takes it apart."""
    text = file.decode("utf-8-sig")
    return list(csv.reader(StringIO(text, newline=""), delimiter=";", strict=True))


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet may calculate it, one that drops blanks and quotes included.

    An apostrophe says that what follows is text.
    """
    if cell.startswith("'"):
        return False
    return cell.lstrip(BEFORE + " ")[:1] in {*SIGNS, *CONTROLS}


@given(value=VALUES)
@example(value="=cmd|' /C calc'!A0")
@example(value=" \t=1+1")
@example(value='"=1+1"')
@example(value="\u200b＝1+1")
@example(value="«@SUM(A1)»")
@example(value="\r\n-1")
def test_no_cell_is_a_formula_and_none_is_lost(value: str) -> None:
    assert not is_formula(guarded(value))
    assert unguarded(guarded(value)) == value


@given(rows=st.lists(st.lists(VALUES, min_size=1, max_size=4), max_size=5))
def test_every_cell_of_a_file_is_guarded(rows: list[list[str]]) -> None:
    written = b"".join(exporting.lines(["=header"], rows))
    assert written.startswith(b"\xef\xbb\xbf'=header\r\n")
    read = cells(written)
    assert [list(map(unguarded, row)) for row in read[1:]] == rows
    assert not any(is_formula(cell) for row in read for cell in row)


@pytest.mark.parametrize("value", ["Ломова", "ООО «Северный тракт»", "7", "д. 12 - 14", "a@b", ""])
def test_what_is_no_formula_stays_as_it_is(value: str) -> None:
    assert guarded(value) == value


def test_numbers_moments_and_nothing_are_cells_too() -> None:
    assert [guarded(12), guarded(-3), guarded(None)] == ["12", "'-3", ""]


def test_a_file_is_written_as_it_is_asked_for() -> None:
    """Rows without an end: only those of the pieces that were taken are read."""
    asked = 0

    def rows() -> object:
        nonlocal asked
        for number in count():
            asked += 1
            yield [number]

    pieces = list(islice(exporting.lines(["number"], rows()), 3))  # type: ignore[arg-type]
    assert asked == 3 * exporting.TOGETHER
    assert len(cells(b"".join(pieces))) == asked + 1


# Organisations: out and in again


@pytest.fixture
def run(app: Flask, environment: dict[str, str]) -> Callable[..., tuple[int, str]]:
    def command(*arguments: str) -> tuple[int, str]:
        db.close()
        result = CliRunner().invoke(cli.portal, arguments, env=environment)
        return result.exit_code, result.output

    return command


def everything() -> dict[str, list[tuple[object, ...]]]:
    with db.reading():
        return {
            table.name: [tuple(row) for row in db.all(table.select())]
            for table in metadata.sorted_tables
        }


def test_export_and_import_change_nothing(
    keep: Callable[..., None], run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    keep()
    keep("-2", "10.30.0.0/16 10.31.0.0/16", short_name='\'=ООО «Два»; и "кавычки"')
    keep("ОРГ-3", postal_address="123", patronymic="", name="' + ' и так далее")
    file = tmp_path / "organisations.csv"
    assert run("organisations", "export", str(file)) == (0, "Записано организаций: 3.\n")
    before = everything()
    code, said = run("organisations", "import", str(file))
    assert (code, said) == (
        0,
        "Новых: 0, изменённых: 0, без изменений: 3, отклонено строк: 0.\n",
    )
    assert everything() == before
    header, *rows = cells(file.read_bytes())
    assert header == list(HEADER)
    assert [row[0] for row in rows] == ["'-2", "ORG-004217", "ОРГ-3"]
    phone = header.index("responsible_phone")
    assert {row[phone] for row in rows} == {"'+79215550147"}, "all digits, and no number"


def test_an_export_replaces_a_file_and_nobody_else_can_read_it(
    keep: Callable[..., None], run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    keep()
    file = tmp_path / "organisations.csv"
    file.write_text("an older one")
    file.chmod(0o644)
    assert run("organisations", "export", str(file))[0] == 0
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(cells(file.read_bytes())) == 2
    assert [each.name for each in tmp_path.glob("*.csv*")] == [file.name]


def test_an_export_fills_an_empty_portal(
    keep: Callable[..., None],
    run: Callable[..., tuple[int, str]],
    tmp_path: Path,
) -> None:
    keep(networks="10.30.0.0/16")
    file = tmp_path / "organisations.csv"
    run("organisations", "export", str(file))
    entry = next(importing.read(file))
    assert isinstance(entry, importing.Entry)
    assert (entry.id, entry.details.phone, entry.networks) == (
        "ORG-004217",
        "+79215550147",
        "10.30.0.0/16",
    )


def test_more_organisations_than_are_read_at_a_time(
    keep: Callable[..., None],
    run: Callable[..., tuple[int, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("portal.cli.imports.EXPORTED", 2)
    for number in range(5):
        keep(f"ORG-{number}")
    file = tmp_path / "organisations.csv"
    run("organisations", "export", str(file))
    assert [row[0] for row in cells(file.read_bytes())[1:]] == [f"ORG-{n}" for n in range(5)]


def test_the_file_is_for_its_owner_alone(
    keep: Callable[..., None], run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    keep()
    file = tmp_path / "organisations.csv"
    run("organisations", "export", str(file))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_an_export_takes_the_place_of_nothing_but_a_file(
    keep: Callable[..., None], run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    keep()
    kept = tmp_path / "kept.csv"
    kept.write_text("an older one")
    link, pipe, nowhere = tmp_path / "link", tmp_path / "pipe", tmp_path / "nowhere"
    link.symlink_to(kept)
    nowhere.symlink_to(tmp_path / "not there")
    os.mkfifo(pipe)
    for each in (link, nowhere, pipe, tmp_path):
        code, said = run("organisations", "export", str(each))
        assert (code, said) == (2, f"{each}: there is something else than a file.\n")
    assert link.is_symlink()
    assert pipe.is_fifo()
    assert kept.read_text() == "an older one"


def test_a_folder_that_is_not_there_is_said(
    run: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, said = run("organisations", "export", str(tmp_path / "nowhere" / "file.csv"))
    assert code == 2
    assert "No such file" in said


@pytest.mark.parametrize("cell", ["'+79215550147", "+79215550147", "8 921 555-01-47"])
def test_a_guarded_phone_is_read(
    keep: Callable[..., None],
    run: Callable[..., tuple[int, str]],
    tmp_path: Path,
    cell: str,
) -> None:
    keep()
    file = tmp_path / "organisations.csv"
    run("organisations", "export", str(file))
    file.write_text(file.read_text("utf-8-sig").replace("'+79215550147", cell))
    assert "без изменений: 1" in run("organisations", "import", str(file))[1]
