"""Another process that hangs with SQLite's locks in its hands.

Another one, for locks of a file never stand between two connections of the same process.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, int(sys.argv[3]), int(sys.argv[2]))
        print("held", flush=True)
    except OSError:
        print("not held", flush=True)
    sys.stdin.read()
"""
# Where SQLite locks: bytes of the database that are never there, and those of the index of its log.
OF_DATABASE = 0x40000000, 512
OF_READERS = 123, 5


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Nobody new can read the database; says whether that was possible, for nobody reads it."""
    with _holding(path, *OF_DATABASE) as is_held:
        yield is_held


@contextmanager
def hung(path: Path) -> Iterator[bool]:
    """Whoever reads the database waits for ten seconds, which SQLite lets nobody shorten."""
    with _holding(path.with_name(path.name + "-shm"), *OF_READERS) as is_held:
        yield is_held


@contextmanager
def _holding(path: Path, begin: int, length: int) -> Iterator[bool]:
    command = [sys.executable, "-c", HOLD, str(path), str(begin), str(length)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        said = process.stdout.readline()
        try:
            yield said == b"held\n"
        finally:
            process.stdin.close()
