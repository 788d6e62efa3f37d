"""An end to what another side says, in time and in size.

A socket's own time-out begins anew with whatever comes: who says one octet now and then is
listened to for ever, and who never ends what they say fills the memory.
"""

import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

LONGEST = 256 * 1024  # octets; nobody whom we ask has that much to say


@dataclass(slots=True)
class _End:
    moment: float  # of the monotonic clock
    octets: int


_end: ContextVar[_End | None] = ContextVar("_end", default=None)


class EndlessError(OSError):
    """The other side said more than anybody listens to."""


@contextmanager
def within(seconds: float, octets: int = LONGEST) -> Iterator[None]:
    """What this thread hears from `reader`s inside is over after so much time, or so many octets.

    Then reading raises TimeoutError or EndlessError. One inside another ends with it at the latest.
    """
    outer, moment = _end.get(), time.monotonic() + seconds
    before = _end.set(_End(min(moment, outer.moment) if outer else moment, octets))
    try:
        yield
    finally:
        _end.reset(before)


def left() -> float:
    """The seconds until the end; raises TimeoutError where there are none."""
    seconds = _now().moment - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def has(seconds: float) -> bool:
    """Whether so many seconds are left."""
    return _now().moment - time.monotonic() >= seconds


def reader(wire: socket.socket) -> io.BufferedReader:
    """What a socket, with TLS or without, reads with: `makefile("rb")` that knows its end."""
    return io.BufferedReader(_Heard(wire))


class _Heard(io.RawIOBase):
    def __init__(self, wire: socket.socket) -> None:
        self._wire = wire
        self._file = wire.makefile("rb", buffering=0)  # the socket stays open as long as it does

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # what io gives
        self._wire.settimeout(left())
        count = self._file.readinto(buffer) or 0
        end = _now()
        end.octets -= count
        if end.octets < 0:
            raise EndlessError
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _now() -> _End:
    end = _end.get()
    assert end, "nothing is heard without an end"
    return end
