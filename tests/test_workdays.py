"""Russian working days, and when people are written to."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import workdays
from portal.clock import MOSCOW
from portal.workdays import BEGIN

MOMENTS = st.datetimes(
    datetime(2026, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
    datetime(2027, 12, 31),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, MOSCOW]),
)


def at(day: str, hour: str = "12:00") -> datetime:
    """A moment in Moscow: at("2026-11-23", "10:30")."""
    return datetime.combine(date.fromisoformat(day), time.fromisoformat(hour), MOSCOW)


# Which days people work


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2026-01-01", "2026-01-11"),  # the New Year's holidays, with a day moved to the 9th
        ("2026-02-21", "2026-02-23"),
        ("2026-03-07", "2026-03-09"),  # the 8th is a Sunday
        ("2026-05-01", "2026-05-03"),
        ("2026-05-09", "2026-05-11"),
        ("2026-06-12", "2026-06-14"),
        ("2026-11-04", "2026-11-04"),
        ("2026-12-31", "2027-01-10"),
        ("2027-02-21", "2027-02-23"),
        ("2027-03-06", "2027-03-08"),
        ("2027-05-01", "2027-05-03"),
        ("2027-05-08", "2027-05-10"),
        ("2027-06-12", "2027-06-14"),
        ("2027-11-04", "2027-11-07"),
        ("2027-12-31", "2027-12-31"),
    ],
)
def test_nobody_works_on_holidays_and_days_that_were_moved(first: str, last: str) -> None:
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    days = [begin + timedelta(days=each) for each in range((end - begin).days + 1)]
    assert not any(map(workdays.is_workday, days))
    before, after = begin - timedelta(days=1), end + timedelta(days=1)
    assert workdays.is_workday(before) or before.year != begin.year
    assert workdays.is_workday(after) or after.year != end.year


def test_people_work_on_a_saturday_whose_day_off_was_moved() -> None:
    assert workdays.is_workday(date(2027, 2, 20))
    assert not workdays.is_workday(date(2027, 2, 13))


def test_a_year_has_as_many_working_days_as_its_official_calendar() -> None:
    """The government's calendar of 2026 for a week of five days counts 247."""
    days = [date(2026, 1, 1) + timedelta(days=each) for each in range(365)]
    assert sum(map(workdays.is_workday, days)) == 247


def test_a_day_is_a_day_in_moscow() -> None:
    late = datetime(2026, 11, 22, 21, 30, tzinfo=UTC)  # Sunday, but in Moscow it is Monday
    assert workdays.day_of(late) == date(2026, 11, 23)


# Hours


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (at("2026-11-23", "09:00"), at("2026-11-23", "09:00")),
        (at("2026-11-23", "18:00"), at("2026-11-23", "18:00")),
        (at("2026-11-23", "08:59"), at("2026-11-23", "09:00")),
        (at("2026-11-23", "18:01"), at("2026-11-24", "09:00")),
        (at("2026-11-20", "23:00"), at("2026-11-23", "09:00")),
        (at("2026-11-21", "12:00"), at("2026-11-23", "09:00")),
        (at("2026-12-30", "19:00"), at("2027-01-11", "09:00")),
    ],
)
def test_the_next_working_moment(moment: datetime, expected: datetime) -> None:
    assert workdays.next_working_moment(moment) == expected


@pytest.mark.parametrize(
    ("moment", "days", "expected"),
    [
        (at("2026-11-23", "10:30"), 2, at("2026-11-25", "10:30")),
        (at("2026-11-19", "10:30"), 2, at("2026-11-23", "10:30")),
        (at("2026-11-23", "23:00"), 2, at("2026-11-26", "09:00")),
        (at("2026-11-23", "04:00"), 2, at("2026-11-25", "09:00")),
        (at("2026-11-21", "10:30"), 2, at("2026-11-25", "09:00")),
        (at("2026-12-29", "10:30"), 2, at("2027-01-11", "10:30")),
        (at("2026-11-21", "10:30"), 0, at("2026-11-23", "09:00")),
    ],
)
def test_some_working_days_later(moment: datetime, days: int, expected: datetime) -> None:
    assert workdays.add_workdays(moment, days) == expected


@pytest.mark.parametrize(
    ("moment", "days", "expected"),
    [
        (at("2026-11-26", "10:30"), 1, at("2026-11-25", "10:30")),
        (at("2026-11-23", "10:30"), 1, at("2026-11-20", "10:30")),
        (at("2026-11-22", "10:30"), 1, at("2026-11-19", "18:00")),
        (at("2026-11-22", "10:30"), 0, at("2026-11-20", "18:00")),
        (at("2026-11-26", "23:00"), 1, at("2026-11-25", "18:00")),
        (at("2026-11-26", "04:00"), 1, at("2026-11-24", "18:00")),
        (at("2027-01-11", "10:30"), 2, at("2026-12-29", "10:30")),
    ],
)
def test_some_working_days_earlier(moment: datetime, days: int, expected: datetime) -> None:
    assert workdays.workdays_before(moment, days) == expected


@given(MOMENTS)
def test_the_next_working_moment_is_the_first_one(moment: datetime) -> None:
    found = workdays.next_working_moment(moment)
    assert found >= moment
    assert workdays.is_working_moment(found)
    assert workdays.next_working_moment(found) == found
    if found > moment:
        assert found.astimezone(MOSCOW).time() == BEGIN
        hours = [moment + timedelta(minutes=15) * each for each in range(12 * 24 * 4)]
        between = [each for each in hours if each < found]
        assert not any(map(workdays.is_working_moment, between))


@given(MOMENTS, st.integers(0, 20))
def test_later_is_at_work_and_at_the_same_hour(moment: datetime, days: int) -> None:
    found = workdays.add_workdays(moment, days)
    assert workdays.is_working_moment(found)
    assert found >= moment
    begun = workdays.next_working_moment(moment)
    assert found.astimezone(MOSCOW).time() == begun.astimezone(MOSCOW).time()
    assert worked_between(begun, found) == days


@given(MOMENTS, MOMENTS, st.integers(0, 5))
def test_what_began_later_is_due_later(one: datetime, other: datetime, days: int) -> None:
    first, last = sorted([one, other])
    assert workdays.add_workdays(first, days) <= workdays.add_workdays(last, days)
    assert workdays.workdays_before(first, days) <= workdays.workdays_before(last, days)


@given(MOMENTS, st.integers(0, 20))
def test_earlier_is_at_work_and_at_the_same_hour(moment: datetime, days: int) -> None:
    found = workdays.workdays_before(moment, days)
    assert workdays.is_working_moment(found)
    assert found <= moment
    ended = workdays.last_working_moment(moment)
    assert found.astimezone(MOSCOW).time() == ended.astimezone(MOSCOW).time()
    assert worked_between(found, ended) == days


@given(MOMENTS, st.integers(0, 20))
def test_there_and_back_is_where_one_began(moment: datetime, days: int) -> None:
    begun, ended = workdays.next_working_moment(moment), workdays.last_working_moment(moment)
    assert workdays.workdays_before(workdays.add_workdays(begun, days), days) == begun
    assert workdays.add_workdays(workdays.workdays_before(ended, days), days) == ended


@given(MOMENTS, st.integers(0, 5))
def test_a_moment_keeps_its_zone(moment: datetime, days: int) -> None:
    assert workdays.add_workdays(moment, days).tzinfo == moment.tzinfo


def worked_between(first: datetime, last: datetime) -> int:
    """How many working days there are after one moment's day, up to another's."""
    day, count = workdays.day_of(first), 0
    while day < workdays.day_of(last):
        day += timedelta(days=1)
        count += workdays.is_workday(day)
    return count
