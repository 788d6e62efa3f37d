"""The names by which browser tests find things: docs/testing.md lists what the templates have."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r'testid="(?!\{\{ testid)([^"]+)"')
LISTED = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
FIELD = re.compile(r"\{\{ ?(?:name|question\.key) ?\}\}")


def names_listed() -> list[str]:
    text = (ROOT / "docs" / "testing.md").read_text()
    return LISTED.findall(text.partition("## Names")[2])


def test_every_name_of_the_templates_is_listed_and_no_other() -> None:
    templates = (ROOT / "portal" / "templates").rglob("*.html")
    there = {
        FIELD.sub("FIELD", name) for each in templates for name in NAMED.findall(each.read_text())
    }
    listed = names_listed()
    assert len(listed) == len(set(listed)), "a name is listed twice"
    assert set(listed) == there


def test_every_name_that_a_browser_test_uses_exists() -> None:
    known = (re.escape(each).replace("FIELD", r"[\w{}]+") for each in names_listed())
    names = re.compile("|".join(known))
    for file in (ROOT / "tests" / "browser").glob("*.py"):
        for used in re.findall(r'get_by_test_id\(f?"([^"]+)"\)', file.read_text()):
            assert names.fullmatch(used), f"{used} of {file.name}"
