"""A primary that dies under load, and a synchronous standby that takes its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults import failover

if TYPE_CHECKING:
    from pathlib import Path

SEED = 4217


def test_the_portal_finds_the_promoted_standby_and_nothing_told_is_lost(tmp_path: Path) -> None:
    found = failover.run(tmp_path, journeys=6, seed=SEED, at_once=6, deliverers=1)
    assert not found.broken, "\n".join(found.broken)
    assert found.lost == 0
    assert found.journeys == 6
