"""Counts against floods that processes share, in a Redis; loaded where there is one."""

from typing import Any

from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

PATIENCE_SECONDS = 0.2  # for a connection to Redis, and for an answer of it


class RedisCounts:
    """The counts in a Redis, which is not connected to before the first."""

    def __init__(self, url: str) -> None:
        options: dict[str, Any] = {
            "socket_connect_timeout": PATIENCE_SECONDS,
            "socket_timeout": PATIENCE_SECONDS,
            # Else it would try, and be waited for, three times more.
            "retry": Retry(NoBackoff(), 0),
        }
        storage = storage_from_string(url, wrap_exceptions=True, key_prefix="portal", **options)
        self._counts = FixedWindowRateLimiter(storage)

    def hit(self, most: int, minute: int, name: tuple[str, str]) -> bool:
        """Count one; whether it was not too many. Raises ConnectionError with the cause."""
        try:
            return self._counts.hit(RateLimitItemPerMinute(most), *name, str(minute))
        except StorageError as error:
            raise ConnectionError(type(error.storage_error).__name__) from error
