"""Working days and working hours: when people are written to who have to do something.

Days are those of Russia, in Moscow time, by the package `holidays`: weekends, the holidays of the
Labour Code (article 112), and the days that the government moves each year. It knows the moved
ones until the end of 2027; `make lock` brings those of later years, without which such a year has
its weekends and holidays alone. Not known: holidays of single regions, days off that are declared
in the middle of a year, and that the day before a holiday is an hour shorter.

Hours are 9 to 18, as an office works: letters come when somebody reads them.
"""

from datetime import date, datetime, time, timedelta
from functools import cache

import holidays

from portal.clock import MOSCOW

BEGIN, END = time(9), time(18)
A_DAY = timedelta(days=1)


def is_workday(day: date) -> bool:
    """Whether people work on that day."""
    return _calendar(day.year).is_working_day(day)


def is_working_moment(moment: datetime) -> bool:
    """Whether people work at that moment."""
    local = moment.astimezone(MOSCOW)
    return is_workday(local.date()) and BEGIN <= local.time() <= END


def day_of(moment: datetime) -> date:
    """The day that a moment is of, in Moscow."""
    return moment.astimezone(MOSCOW).date()


def next_working_moment(moment: datetime) -> datetime:
    """The moment itself if people work then, else the next morning of a working day."""
    if is_working_moment(moment):
        return moment
    local = moment.astimezone(MOSCOW)
    day = local.date()
    if local.time() > END or not is_workday(day):
        day = _walk(day, A_DAY)
    return _at(day, BEGIN, moment)


def last_working_moment(moment: datetime) -> datetime:
    """The moment itself if people work then, else the last evening of a working day."""
    if is_working_moment(moment):
        return moment
    local = moment.astimezone(MOSCOW)
    day = local.date()
    if local.time() < BEGIN or not is_workday(day):
        day = _walk(day, -A_DAY)
    return _at(day, END, moment)


def add_workdays(moment: datetime, n: int) -> datetime:
    """The same hour so many working days later; counted from the morning after a night."""
    local = next_working_moment(moment).astimezone(MOSCOW)
    day = local.date()
    for _day in range(n):
        day = _walk(day, A_DAY)
    return _at(day, local.time(), moment)


def workdays_before(moment: datetime, n: int) -> datetime:
    """The same hour so many working days earlier; counted from the evening before a night."""
    local = last_working_moment(moment).astimezone(MOSCOW)
    day = local.date()
    for _day in range(n):
        day = _walk(day, -A_DAY)
    return _at(day, local.time(), moment)


def _walk(day: date, step: timedelta) -> date:
    """The next working day, or the one before."""
    day += step
    while not is_workday(day):
        day += step
    return day


def _at(day: date, hour: time, like: datetime) -> datetime:
    """An hour of a day in Moscow, in the zone of another moment."""
    return datetime.combine(day, hour, MOSCOW).astimezone(like.tzinfo)


@cache
def _calendar(year: int) -> holidays.HolidayBase:
    # A year at a time, complete from the start: threads share it.
    return holidays.country_holidays("RU", years=year, expand=False)
