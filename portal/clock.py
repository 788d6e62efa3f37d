"""The time. Everything that asks for it asks here, so that tests can move it."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MOSCOW = ZoneInfo("Europe/Moscow")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
APART = timedelta(seconds=90)  # which clocks of several machines never are

_shift = timedelta()


def now() -> datetime:
    """The moment, in UTC, aware of its zone."""
    return datetime.now(UTC) + _shift


def is_ahead(moment: datetime) -> bool:
    """Whether what is past lies ahead: a clock wrote it that has been set right since.

    Whoever would wait from then on waits for nothing.
    """
    return moment > now() + APART


def to_number(moment: datetime) -> int:
    """A moment as microseconds since 1970, for an address."""
    return (moment - EPOCH) // MICROSECOND


def of_number(number: int) -> datetime:
    """The moment that `to_number` wrote; up to 17 digits are one."""
    return EPOCH + number * MICROSECOND


def shift(by: timedelta) -> None:
    """Move the clock of this process; for tests and for samples that are older than the start."""
    global _shift  # noqa: PLW0603 - one clock in one process is the point
    _shift += by


def reset() -> None:
    """Bring the clock back to the machine's own."""
    global _shift  # noqa: PLW0603
    _shift = timedelta()
