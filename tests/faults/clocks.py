"""A clock that all processes of a house share: it may run faster than time does, and jump."""

from __future__ import annotations

import mmap
import struct
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

HELD = struct.Struct("ddd")  # a moment of the machine's clock, ours at it, and our pace since
OURS = slice(8, 16)


class Clock:
    """The clock in a file; `ahead` is how far a process is, in seconds."""

    def __init__(self, file: Path, ahead: float = 0) -> None:
        self._ahead = ahead
        with file.open("r+b") as opened:
            self._held = mmap.mmap(opened.fileno(), HELD.size)

    @classmethod
    def make(cls, file: Path, pace: float = 1) -> Clock:
        now = time.time()
        file.write_bytes(HELD.pack(now, now, pace))
        return cls(file)

    def now(self) -> datetime:
        machine, ours, pace = HELD.unpack(self._held)
        return datetime.fromtimestamp(ours + (time.time() - machine) * pace + self._ahead, UTC)

    def jump(self, seconds: float) -> None:
        """Move every process's clock at once."""
        _, ours, _ = HELD.unpack(self._held)
        self._held[OURS] = struct.pack("d", ours + seconds)

    def sleep(self, seconds: float) -> None:
        """Let so many seconds of this clock pass."""
        time.sleep(seconds / HELD.unpack(self._held)[2])
