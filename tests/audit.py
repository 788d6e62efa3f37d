"""Ask the package index for known vulnerabilities of what is locked; `make audit`.

Exit status 1 where there is one. Where the index cannot be asked, or knows nothing of
vulnerabilities, a line says so and nothing fails: pip-audit itself would call that a clean bill.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCKED = "requirements-test.txt"  # what the portal needs is all in there, too
SECONDS = 120
PATIENCE_SECONDS = 5  # for one answer of the index


def main() -> int:
    command = [
        str(Path(sys.executable).with_name("pip-audit")),
        *("--requirement", LOCKED, "--disable-pip", "--require-hashes"),
        *("--format", "json", "--progress-spinner", "off", "--timeout", str(PATIENCE_SECONDS)),
    ]
    try:
        asked = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=SECONDS
        )
        known = json.loads(asked.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError):
        known = []
    return tell(known)


def tell(known: list[dict[str, Any]]) -> int:
    """Print what was found among packages; the exit status."""
    judged = [each for each in known if "skip_reason" not in each]
    if not judged:
        print("audit: skipped, for no index that knows of vulnerabilities can be asked here")
        return 0
    found = [(each, flaw) for each in judged for flaw in each.get("vulns", [])]
    for package, flaw in found:
        mended = ", ".join(flaw.get("fix_versions", [])) or "nowhere yet"
        print(f"audit: {package['name']} {package['version']}: {flaw['id']}, mended in {mended}")
    unknown = len(known) - len(judged)
    print(f"audit: {len(judged)} packages looked at, {unknown} unknown, {len(found)} flaws")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
