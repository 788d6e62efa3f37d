"""The faults in a short form, with real processes; `make faults` is the long one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.faults import databases, kills, many

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.invariants import Figures

SEED = 4217


def check(found: Figures) -> None:
    assert not found.broken, "\n".join(found.broken)
    assert (found.lost, found.confirmed_twice, found.after_expiry) == (0, 0, 0)


def test_nothing_is_lost_when_processes_are_killed(database_url: str, tmp_path: Path) -> None:
    found = kills.run(
        tmp_path, database_url, journeys=15, seed=SEED, webs=1, every=(0.5, 1.5), most=3
    )
    check(found)
    assert found.journeys == 15


def test_two_workers_share_and_one_may_die_or_stop(database_url: str, tmp_path: Path) -> None:
    check(many.run(tmp_path, database_url, messages=300, seed=SEED))


@pytest.mark.sqlite
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
def test_nothing_is_half_done_when_the_disk_is_full(database_url: str, tmp_path: Path) -> None:
    with databases.small_disk() as disk:
        if disk is None:
            pytest.skip("nobody lets us mount a small file system")
        url = f"sqlite:///{disk}/portal.db"
        full = databases.filling(disk)
        found = databases.run(
            tmp_path, url, full, journeys=6, seed=SEED, most=2, deliverers=1, is_new=True
        )
        check(found)
