"""`make audit`: a known flaw fails, and what cannot be asked is said."""

from __future__ import annotations

from typing import Any

import pytest

from tests.audit import tell

GOOD = {"name": "flask", "version": "3.1.3", "vulns": []}
UNKNOWN = {"name": "limits", "skip_reason": "not found"}
BAD = {
    "name": "werkzeug",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["1.1", "2.0"]}, {"id": "PYSEC-2026-2"}],
}


@pytest.mark.parametrize(
    ("known", "status", "said"),
    [
        ([], 0, "audit: skipped"),
        ([UNKNOWN, UNKNOWN], 0, "audit: skipped"),
        ([GOOD, UNKNOWN], 0, "audit: 1 packages looked at, 1 unknown, 0 flaws"),
        ([GOOD, BAD], 1, "audit: werkzeug 1.0: PYSEC-2026-1, mended in 1.1, 2.0"),
    ],
)
def test_a_known_flaw_fails_and_an_index_that_knows_nothing_is_said(
    known: list[dict[str, Any]], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tell(known) == status
    assert capsys.readouterr().out.startswith(said)
