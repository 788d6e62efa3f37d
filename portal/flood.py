"""How many requests of one address are answered in a minute.

This guards against floods, and against nothing else: what keeps codes and passwords from being
guessed are limits in rows (portal/limits.py), which hold for any number of processes and forget
nothing. Counts live in Redis where `PORTAL_REDIS_URL` names one, else in each process. A Redis
that is gone is not waited for: each process counts for itself until it is back.

A count is that of a minute on the clock. So it needs one step to be taken and none to be read, and
says by itself when the next one begins; on the change of minutes an address may have two at once.
"""

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import structlog

from portal import clock, config, networks
from portal.networks import Address

if TYPE_CHECKING:
    from portal.redis_counts import RedisCounts

MINUTE = 60
REST_SECONDS = 10  # before Redis is asked again after it failed

log = structlog.get_logger()


class Limits(NamedTuple):
    """What one address may do in a minute."""

    reading: int
    forms: int


class OwnCounts:
    """Counts of this process alone, forgotten with their minute.

    The memory of `limits` starts a thread to forget, at almost every request.
    """

    def __init__(self) -> None:
        self._minute = 0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._turn = threading.Lock()

    def hit(self, most: int, minute: int, name: tuple[str, str]) -> bool:
        """Count one; whether it was not too many."""
        with self._turn:
            if minute != self._minute:
                self._minute, self._counts = minute, Counter()
            self._counts[name] += 1
            return self._counts[name] <= most


class Flood:
    """The counts of this process, and those that it shares with others."""

    def use(self, settings: config.Settings) -> None:
        """Count anew, by these settings; nobody is connected to yet."""
        self._limits = Limits(settings.flood_per_minute, settings.flood_forms_per_minute)
        self._own = OwnCounts()
        self._shared = _shared(settings.redis_url) if settings.redis_url else None
        self._is_away = False
        self._ask_at = 0.0
        self._turn = threading.Lock()

    def wait(self, address: Address | None, *, writes: bool) -> int:
        """Count a request; how many seconds to wait if there were too many, else 0.

        Those whose address cannot be known are counted together.
        """
        most = self._limits.forms if writes else self._limits.reading
        now = int(clock.now().timestamp())
        name = "forms" if writes else "reading", networks.counted_as(address)
        if self._hit(most, now // MINUTE, name):
            return 0
        return MINUTE - now % MINUTE

    def _hit(self, most: int, minute: int, name: tuple[str, str]) -> bool:
        if self._shared and self._may_ask():
            try:
                is_free = self._shared.hit(most, minute, name)
            except ConnectionError as error:
                self._note(is_away=True, cause=str(error))
            else:
                self._note(is_away=False)
                return is_free
        return self._own.hit(most, minute, name)

    def _may_ask(self) -> bool:
        """Whether to ask Redis: while it is away, one request now and then finds out."""
        if not self._is_away:
            return True
        with self._turn:
            if time.monotonic() < self._ask_at:
                return False
            self._ask_at = time.monotonic() + REST_SECONDS
            return True

    def _note(self, *, is_away: bool, **more: str) -> None:
        if is_away == self._is_away:
            return
        with self._turn:
            if is_away == self._is_away:
                return
            self._is_away, self._ask_at = is_away, time.monotonic() + REST_SECONDS
        if is_away:
            log.warning("flood limits not shared", **more)
        else:
            log.info("flood limits shared again")


def _shared(url: str) -> "RedisCounts":
    from portal.redis_counts import RedisCounts  # noqa: PLC0415 - few have a Redis

    return RedisCounts(url)


counts = Flood()
