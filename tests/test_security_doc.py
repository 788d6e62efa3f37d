"""docs/security.md says what is true: every requirement once, and tests and files that exist."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs/security.md"

# OWASP ASVS 5.0.0: how many requirements of levels 1 and 2 the sections of each chapter have, one
# after another. Within a section they come first; those of level 3 follow.
OF_LEVEL_2 = {
    1: (2, 9, 11, 3, 2),
    2: (3, 3, 4, 1),
    3: (0, 2, 4, 6, 5, 0, 2),
    4: (3, 1, 2, 4),
    5: (1, 3, 2, 3),
    6: (3, 12, 4, 4, 5, 3, 0, 4),
    7: (3, 4, 2, 5, 2, 2),
    8: (2, 3, 1, 1),
    9: (3, 4),
    10: (2, 2, 4, 11, 5, 2, 3),
    11: (2, 3, 3, 4, 1, 1, 0),
    12: (3, 2, 4),
    13: (1, 5, 2, 5),
    14: (2, 4, 3),
    15: (3, 3, 7, 0),
    16: (1, 5, 4, 3, 3),
    17: (1, 4, 2),
}
WANTED = [
    f"{chapter}.{section}.{last}"
    for chapter, sections in OF_LEVEL_2.items()
    for section, most in enumerate(sections, 1)
    for last in range(1, most + 1)
]
CHAPTERS = [f"V{number}" for number in OF_LEVEL_2]
STATES = ("met", "operator", "partly", "not met", "none")
ID = re.compile(r"(\d+\.\d+)\.(\d+)(?:–(\d+\.\d+)\.(\d+))?")
TEST = re.compile(r"`((?:browser/)?test_\w+\.py)(?:::(test_\w+))?`")
PLACE = re.compile(r"`((?:portal|deploy|docs|tests)/[\w./-]+)`|\]\(([^)#:]+\.md)\)")


SECTION = re.compile(r"«([^»]+)» (?:above|below)")


class Row(NamedTuple):
    """A line of the tables of requirements."""

    chapter: str
    ids: list[str]
    state: str
    how: str


def text() -> str:
    return DOCUMENT.read_text()


def spelled_out(cell: str) -> list[str]:
    """The ids that a cell names: one, several with commas, or those from one to another."""
    ids = []
    for part in cell.split(", "):
        found = ID.fullmatch(part)
        assert found, f"{part!r} is no id"
        section, first, same, last = found.groups()
        assert same in {None, section}, f"{part!r} is of two sections"
        ids += [f"{section}.{number}" for number in range(int(first), int(last or first) + 1)]
    return ids


def rows() -> list[Row]:
    found, chapter = [], ""
    for line in text().splitlines():
        if line.startswith("#"):
            chapter = line.partition(" ")[2].partition(" ")[0]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if chapter in CHAPTERS and cells[0][:1].isdigit():
            assert len(cells) == 3, line
            found.append(Row(chapter, spelled_out(cells[0]), cells[1], cells[2]))
    return found


@cache
def names_in(file: str) -> set[str]:
    path = ROOT / "tests" / file
    assert path.exists(), f"no {file}"
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_requirement_of_levels_1_and_2_has_one_line() -> None:
    assert len(WANTED) == 253
    said = Counter(id for row in rows() for id in row.ids)
    assert {id for id, times in said.items() if times > 1} == set()
    assert sorted(set(WANTED) - said.keys()) == []
    assert sorted(said.keys() - set(WANTED)) == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_is_there_with_its_own_requirements(chapter: str) -> None:
    ids = [id for row in rows() if row.chapter == chapter for id in row.ids]
    assert ids
    assert {id.partition(".")[0] for id in ids} == {chapter.removeprefix("V")}
    assert ids == [id for id in WANTED if id in ids]


def test_every_named_test_exists() -> None:
    named = TEST.findall(text())
    assert len(named) > 100
    for file, name in named:
        assert not name or name in names_in(file), f"{file} has no {name}"
    assert text().count("::test_") == sum(1 for _file, name in named if name), "one is misspelled"


def test_every_named_file_exists() -> None:
    for inside, linked in PLACE.findall(text()):
        path = ROOT / inside if inside else DOCUMENT.parent / linked
        assert path.exists(), path


def test_every_named_section_exists() -> None:
    headings = set(re.findall(r"^##+ (.+)$", text(), re.MULTILINE))
    assert len(SECTION.findall(text())) > 8
    for name in SECTION.findall(text()):
        assert name in headings or name == "Fields", name


def test_what_is_met_is_shown() -> None:
    """By a test, or where a document is asked for, by the document."""
    for row in rows():
        assert row.state in STATES, row
        shown = TEST.search(row.how) or PLACE.search(row.how) or SECTION.search(row.how)
        assert row.state != "met" or shown, row.ids
        assert len(row.how) > 5 or shown, row.ids


def test_the_summary_counts_what_is_below() -> None:
    counts = Counter[str]()
    for row in rows():
        counts[row.state] += len(row.ids)
    said = re.findall(r"^\| (met|operator|partly|not met|none) \| (\d+) \|", text(), re.MULTILINE)
    assert {state: int(count) for state, count in said} == dict(counts)
