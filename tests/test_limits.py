"""Limits: at most so many times within a span, wherever on the clock the span begins."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from portal import clock, config, limits
from portal.database import db
from portal.limits import Limit

if TYPE_CHECKING:
    from flask import Flask

    from tests.conftest import Time

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
SMS = (Limit(5, timedelta(minutes=10)), Limit(10, timedelta(hours=24)))

some_limits = st.lists(
    st.builds(Limit, st.integers(1, 5), st.integers(1, 50).map(lambda s: timedelta(seconds=s))),
    min_size=1,
    max_size=3,
)
seconds = st.lists(st.integers(0, 60), max_size=15)


def allowed(moments: list[datetime], some: list[Limit], at: datetime) -> bool:
    """The rule, said naively: one more use at `at` makes no span too full."""
    return all(
        sum(1 for each in moments if at - limit.span < each <= at) < limit.times for limit in some
    )


@given(seconds, some_limits)
def test_the_next_use_is_allowed_at_the_first_moment_that_keeps_every_limit(
    past: list[int], some: list[Limit]
) -> None:
    now = START + timedelta(seconds=60)
    moments = sorted((START + timedelta(seconds=each) for each in past), reverse=True)
    free = limits.earliest(moments, some, now)
    first = next(
        at for at in (now + timedelta(seconds=s) for s in range(200)) if allowed(moments, some, at)
    )
    assert (free or now) == first


@given(st.lists(st.integers(0, 30), max_size=40), some_limits)
def test_who_asks_before_each_use_never_breaks_a_limit(gaps: list[int], some: list[Limit]) -> None:
    now, taken = START, list[datetime]()
    for gap in gaps:
        now += timedelta(seconds=gap)
        if limits.earliest(taken, some, now) is None:
            assert allowed(taken, some, now)
            taken.insert(0, now)
        else:
            assert not allowed(taken, some, now)


def use(*names: str) -> None:
    with db.writing():
        limits.use(*names)
        db.commit()


def wait(name: str) -> timedelta | None:
    with db.reading():
        free = limits.free_at(name, SMS)
    return timedelta(minutes=round((free - clock.now()) / timedelta(minutes=1))) if free else None


def test_uses_are_counted_in_rows(app: Flask, time: Time) -> None:
    for _ in range(5):
        assert wait("sms to +79215550147") is None
        use("sms to +79215550147", "sms for someone")
    assert wait("sms to +79215550147") == timedelta(minutes=10)
    assert wait("sms to +79215550148") is None
    assert wait("sms for someone") == timedelta(minutes=10)
    time.passes(minutes=10)
    for _ in range(5):
        assert wait("sms to +79215550147") is None
        use("sms to +79215550147")
    assert wait("sms to +79215550147") == timedelta(hours=23, minutes=50)
    time.passes(hours=23, minutes=50)
    assert wait("sms to +79215550147") is None


def test_what_a_clock_that_was_ahead_wrote_holds_up_nobody(app: Flask, time: Time) -> None:
    once = (Limit(1, timedelta(hours=1)),)
    time.passes(days=1)
    with db.writing():
        limits.use("SMS")
        db.commit()
    clock.reset()
    with db.reading():
        assert limits.free_at("SMS", once) is None
    time.passes(days=1, seconds=-30)
    with db.reading():
        assert limits.free_at("SMS", once), "clocks of two machines may be so far apart"


def test_a_use_that_was_not_committed_does_not_count(app: Flask) -> None:
    for _ in range(5):
        with db.writing():
            limits.use("sms to +79215550147")
    assert wait("sms to +79215550147") is None


def test_a_rotated_data_key_frees_nobody_from_a_limit(app: Flask) -> None:
    for _ in range(3):
        use("sms to +79215550147")
    settings = config.settings
    config.use(
        replace(settings, data_keys=(b"another key of thirty-two bytes!", *settings.data_keys))
    )
    for _ in range(2):
        assert wait("sms to +79215550147") is None
        use("sms to +79215550147")
    assert wait("sms to +79215550147") == timedelta(minutes=10)


def test_no_number_is_readable_in_the_rows(app: Flask) -> None:
    use("sms to +79215550147")
    with db.reading():
        (row,) = db.all(select(limits.uses))
    assert b"79215550147" not in row.key
    assert len(row.key) == 32
