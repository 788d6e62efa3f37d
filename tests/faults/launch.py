"""`python -m tests.faults.launch FILE AHEAD COMMAND…` is `portal COMMAND…` by a house's clock."""

from __future__ import annotations

import sys
from pathlib import Path

from portal import clock
from tests.faults.clocks import Clock


def main() -> None:
    file, ahead, *arguments = sys.argv[1:]
    clock.now = Clock(Path(file), float(ahead)).now
    sys.argv = ["portal", *arguments]
    from portal.cli import main as run  # by that clock from the first look at it on

    run()


if __name__ == "__main__":
    main()
