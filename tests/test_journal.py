"""The journal: a line that was changed, removed, swapped or put in is found."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, insert, select, text, update

from portal import cli, config, journal
from portal.database import db
from portal.journal import BrokenLine, events

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from sqlalchemy.sql import ClauseElement

FIRST, SECOND = "organisation:ORG-1", "organisation:ORG-2"


@pytest.fixture
def lines(app: Flask) -> None:
    """Five lines in each of two chains, written by turns."""
    for number in range(1, 6):
        for chain in (FIRST, SECOND):
            write(chain, number)


def write(chain: str, number: int) -> None:
    with db.writing():
        journal.record(chain, "code.posted", "responsible", "10.20.4.17", message=f"m{number}")
        db.commit()


def tamper(*statements: ClauseElement) -> None:
    with db.writing():
        for statement in statements:
            db.execute(statement)
        db.commit()


def line(chain: str, number: int) -> Any:
    with db.reading():
        found = db.one(select(events).where(events.c.chain == chain, events.c.number == number))
    assert found is not None
    return found


def broken() -> BrokenLine | None:
    with db.reading():
        return journal.first_broken_line()


def at(chain: str, number: int) -> Any:
    return (events.c.chain == chain) & (events.c.number == number)


def rotate(*data_keys: bytes) -> None:
    config.use(replace(config.settings, data_keys=data_keys))


def test_lines_that_nobody_touched_are_whole(lines: None) -> None:
    assert broken() is None
    assert line(FIRST, 3).details == '{"message": "m3"}'


def test_an_empty_journal_is_whole(app: Flask) -> None:
    assert broken() is None


def test_lines_of_one_transaction_follow_each_other(lines: None) -> None:
    with db.writing():
        for number in (6, 7):
            for chain in (FIRST, SECOND):
                journal.record(chain, "code.posted", "responsible", message=f"m{number}")
        db.commit()
    assert broken() is None
    assert line(SECOND, 7).details == '{"message": "m7"}'


def test_a_line_that_was_undone_leaves_no_gap(lines: None) -> None:
    with db.writing():
        journal.record(FIRST, "code.posted", "responsible")
    write(FIRST, 6)
    assert broken() is None
    assert line(FIRST, 6).details == '{"message": "m6"}'


CHANGES: list[dict[str, Any]] = [
    {"name": "code.wrong"},
    {"actor": "somebody"},
    {"address": "10.20.4.18"},
    {"details": '{"message": "m4"}'},
    {"details": ""},
    {"seal": b"\0" * 32},
    {"at": "an hour earlier"},
    {"number": 9},
    {"chain": "organisation:ORG-3"},
]
UNREADABLE = {  # as SQLite stores them, whatever the type of the column
    "a moment that is none": "at = 'yesterday'",
    "no moment": "at = ''",
    "a seal of letters": "seal = 'wrong'",
    "a seal of a number": "seal = 32",
    "a seal of another length": "seal = X'00'",
    "bytes": "details = X'ff'",
    "the same as bytes": "details = CAST(details AS BLOB)",
    "text that is none": "actor = CAST(X'ff' AS TEXT)",
    "a number of letters": "number = 'three'",
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_a_changed_line_is_found(lines: None, change: dict[str, Any]) -> None:
    if "at" in change:
        change = {"at": line(SECOND, 3).at - timedelta(hours=1)}
    tamper(update(events).where(at(SECOND, 3)).values(**change))
    assert broken() == BrokenLine(SECOND, 3)


@pytest.mark.sqlite
@pytest.mark.parametrize("change", UNREADABLE.values(), ids=UNREADABLE)
def test_a_line_that_cannot_be_read_is_found(
    lines: None, environment: dict[str, str], change: str
) -> None:
    where = f"chain = '{SECOND}' AND number = 3"
    tamper(text(f"UPDATE events SET {change} WHERE {where}"))
    assert broken() == BrokenLine(SECOND, 3)
    with db.reading():
        assert journal.broken_line_of(SECOND) == BrokenLine(SECOND, 3)
        assert journal.broken_line_of(FIRST) is None
    assert verify(environment).output == f"Цепочка {SECOND} нарушена в строке 3.\n"


@pytest.mark.parametrize("name", ["CAST(X'ff' AS TEXT)", "X'ff'"])
def test_a_chain_whose_name_cannot_be_read_is_found(lines: None, name: str) -> None:
    tamper(text(f"UPDATE events SET chain = {name} WHERE chain = '{FIRST}'"))
    found = broken()
    assert found
    assert found.number == 1


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_removed_line_is_found(lines: None, number: int) -> None:
    tamper(delete(events).where(at(FIRST, number)))
    assert broken() == BrokenLine(FIRST, number)


@pytest.mark.parametrize("number", [1, 3])
def test_a_removed_line_is_found_when_the_others_were_renumbered(lines: None, number: int) -> None:
    later = [
        update(events).where(at(FIRST, each)).values(number=each - 1)
        for each in range(number + 1, 6)
    ]
    tamper(delete(events).where(at(FIRST, number)), *later)
    assert broken() == BrokenLine(FIRST, number)


def test_swapped_lines_are_found(lines: None) -> None:
    def move(old: int, new: int) -> ClauseElement:
        return update(events).where(at(FIRST, old)).values(number=new)

    tamper(move(2, 99), move(3, 2), move(99, 3))
    assert broken() == BrokenLine(FIRST, 2)


def test_swapped_words_are_found(lines: None) -> None:
    """Only what the lines say changes places; numbers and seals stay."""
    two, three = line(FIRST, 2), line(FIRST, 3)
    tamper(
        update(events).where(at(FIRST, 2)).values(details=three.details),
        update(events).where(at(FIRST, 3)).values(details=two.details),
    )
    assert broken() == BrokenLine(FIRST, 2)


def copied(of: int, **changed: Any) -> ClauseElement:
    old = line(FIRST, of)._asdict()
    del old["id"]
    return insert(events).values(old | changed)


def test_a_line_put_in_between_is_found(lines: None) -> None:
    later = [update(events).where(at(FIRST, each)).values(number=each + 1) for each in (5, 4, 3)]
    tamper(*later, copied(2, number=3))
    assert broken() == BrokenLine(FIRST, 3)


def test_a_line_put_at_the_end_is_found(lines: None) -> None:
    tamper(copied(5, number=6))
    assert broken() == BrokenLine(FIRST, 6)


def test_a_line_of_another_chain_is_found(lines: None) -> None:
    tamper(delete(events).where(at(SECOND, 5)), copied(5, chain=SECOND))
    assert broken() == BrokenLine(SECOND, 5)


def test_a_line_made_with_another_key_is_found(lines: None) -> None:
    ours = config.settings.data_keys
    rotate(b"somebody else's thirty-two bytes")
    write(FIRST, 6)
    rotate(*ours)
    assert broken() == BrokenLine(FIRST, 6)


def test_chains_are_independent(lines: None) -> None:
    """All lines of one are gone: nothing in the others shows it, or is hurt by it."""
    tamper(delete(events).where(events.c.chain == FIRST))
    assert broken() is None
    write(FIRST, 1)
    assert line(FIRST, 1).number == 1
    assert line(SECOND, 5).number == 5


def test_a_chain_goes_on_under_a_newer_key(lines: None) -> None:
    old = config.settings.data_keys
    rotate(b"another key of thirty-two bytes!", *old)
    write(FIRST, 6)
    assert broken() is None
    rotate(b"another key of thirty-two bytes!")
    assert broken() == BrokenLine(FIRST, 1)


def test_the_order_of_writing_between_chains_does_not_matter(lines: None) -> None:
    tamper(update(events).values(id=events.c.id + 1000))
    assert broken() is None


def test_the_command_says_that_the_journal_is_whole(
    lines: None, environment: dict[str, str]
) -> None:
    result = verify(environment)
    assert result.exit_code == 0
    assert result.output == "Журнал цел.\n"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: update(events).where(at(SECOND, 3)).values(name="code.wrong"),
        lambda: delete(events).where(at(SECOND, 3)),
        lambda: update(events).where(at(SECOND, 3)).values(number=30),
    ],
    ids=["changed", "removed", "moved"],
)
def test_the_command_names_the_first_broken_line(
    lines: None, environment: dict[str, str], spoil: Callable[[], ClauseElement]
) -> None:
    tamper(spoil())
    result = verify(environment)
    assert result.exit_code == 1
    assert result.output == f"Цепочка {SECOND} нарушена в строке 3.\n"


def verify(environment: dict[str, str]) -> Any:
    return CliRunner().invoke(cli.portal, ["journal", "verify"], env=environment)
