"""Write every page and state as a picture to docs/screenshots: `make screenshots`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

FOLDER = Path("docs/screenshots")
PAGES = ("tests/browser", "-k", "reads_well")


def main() -> int:
    shutil.rmtree(FOLDER, ignore_errors=True)
    return pytest.main([*PAGES, "-q", "--screenshots", str(FOLDER)])


if __name__ == "__main__":
    sys.exit(main())
