"""Dates as people say them: «19.11.2026», «19 ноября 2026», «в марте 2024 года», «лето 2025».

An imprecise date is every day that it may mean. Times are those of Moscow, to the minute.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum
from typing import NamedTuple

from portal import clock
from portal.clock import MOSCOW
from portal.recovery.spelling import folded

LONGEST = 60  # no date is longer; what is, is not looked at
LEAP_YEARS_APART = 8  # at most: so far back a 29 February is found


class Precision(IntEnum):
    """How much time a date leaves open, the least first."""

    MINUTE = 0
    DAY = 1
    MONTH = 2
    SEASON = 3
    YEAR = 4


class Span(NamedTuple):
    """The days that a date may mean, the last one included; the moment, if it names one."""

    first: date
    last: date
    precision: Precision
    at: datetime | None = None


_MONTHS = {
    form: month
    for month, forms in enumerate(
        (
            "январь января январе янв",
            "февраль февраля феврале фев февр",
            "март марта марте мар",
            "апрель апреля апреле апр",
            "май мая мае",
            "июнь июня июне июн",
            "июль июля июле июл",
            "август августа августе авг",
            "сентябрь сентября сентябре сен сент",
            "октябрь октября октябре окт",
            "ноябрь ноября ноябре ноя нояб",
            "декабрь декабря декабре дек",
        ),
        start=1,
    )
    for form in forms.split()
}
_SEASONS = {  # the month each begins with
    **dict.fromkeys(("зима", "зимой", "зимы", "зиму"), 12),
    **dict.fromkeys(("весна", "весной", "весны", "весну"), 3),
    **dict.fromkeys(("лето", "летом", "лета"), 6),
    **dict.fromkeys(("осень", "осенью", "осени"), 9),
}

_YEAR = r"(?P<year>(?:19|20)[0-9]{2})"
_SHORT_YEAR = r"(?P<year>(?:19|20)[0-9]{2}|[0-9]{2})"
_MONTH = r"(?P<month>[0-9]{1,2})"
_DAY = r"(?P<day>[0-9]{1,2})"
_WORD = r"(?P<word>[а-я]{3,})"
_END = r"(?:\.(?:го|м|й))?[. ]*(?:г|год|года|году)?"
_DATES = [
    re.compile(rf"(?:во? )?{form}{_END}")
    for form in (
        rf"{_DAY}[. ]{_MONTH}[. ]{_SHORT_YEAR}",
        rf"{_YEAR}[. ]{_MONTH}[. ]{_DAY}",
        rf"{_DAY}(?:\.?го)?[. ]*{_WORD}[. ]*{_SHORT_YEAR}",
        rf"{_MONTH}[. ]{_YEAR}",
        rf"{_YEAR}[. ]{_MONTH}",
        rf"{_WORD}[. ]*{_YEAR}(?:\.(?P<next>(?:20)?[0-9]{{2}}))?",
        _YEAR,
    )
]
_SEPARATOR = re.compile(r" ?[./\-‐‑‒–—] ?")

_CLOCK = r"(?P<hour>[0-9]{1,2})[:.](?P<minute>[0-9]{2})(?:[:.][0-9]{2}(?:[.,][0-9]+)?)?"
_MINUTES = r"(?P<minute>[0-9]{1,2})(?: ?(?:м|мин|минута|минуты|минут)(?![а-я])\.?)?"
_HOURS = rf"(?P<hour>[0-9]{{1,2}}) ?(?:ч|час|часа|часов)(?![а-я])\.?(?: ?{_MINUTES})?"
_ZONE = r"(?: ?(?P<zone>z|[+-](?:0[0-9]|1[0-4]):?[0-5][0-9])| ?\(?(?:мск|по москве)\)?)?"
_MOMENTS = [
    re.compile(form)
    for of_day in (_CLOCK, _HOURS)
    for form in (
        rf"(?P<date>.+?)(?:[ ,]+(?:в )?|т){of_day}{_ZONE}",  # т: ISO 8601 has a T there
        rf"(?:в )?{of_day}{_ZONE}[ ,]+(?P<date>.+)",
    )
]


def read(text: str) -> tuple[Span, ...]:
    """The days that a date may mean: none where it is no date, two spans where they lie apart.

    «зима 2025» is January, February and December of that year, «зима 2025/26» the one winter.
    """
    text = folded(text).rstrip(" .,")
    if len(text) > LONGEST:
        return ()
    for form in _MOMENTS:
        parts = form.fullmatch(text)
        moment = _moment(parts) if parts else None
        if moment:
            return (moment,)
    return _days(text)


def read_near(text: str) -> tuple[Span, ...]:
    """The same; a day without a year, such as «12 ноября», is the last one that has come, or the
    next: a certificate may end on it.
    """
    spans = read(text)
    if spans:
        return spans
    year = clock.now().astimezone(MOSCOW).year
    past = range(year, year - LEAP_YEARS_APART - 1, -1)
    coming = range(year, year + LEAP_YEARS_APART + 1)
    return (*_first(text, past, has_come=True), *_first(text, coming, has_come=False))


def written(at: datetime, precision: Precision) -> str:
    """A moment in the spelling that `read` reads to that precision, a day or a minute."""
    local = at.astimezone(MOSCOW)
    return f"{local:%Y-%m-%d %H:%M}" if precision is Precision.MINUTE else f"{local:%Y-%m-%d}"


def _first(text: str, years: Iterable[int], *, has_come: bool) -> tuple[Span, ...]:
    """A day without a year in the first of these years in which it has come, or has not yet."""
    today = clock.now().astimezone(MOSCOW).date()
    for year in years:
        spans = read(f"{text.strip(' .,')} {year}")
        if not spans or spans[0].precision is not Precision.DAY:
            continue
        if (spans[0].first <= today) is has_come:
            return spans
    return ()


def _moment(parts: re.Match[str]) -> Span | None:
    days = _days(parts["date"])
    if not days or days[0].precision is not Precision.DAY:
        return None
    try:
        of_day = time(int(parts["hour"]), int(parts["minute"] or 0))
        at = datetime.combine(days[0].first, of_day, MOSCOW)
        if parts["zone"]:
            at = (at.replace(tzinfo=UTC) - _offset(parts["zone"])).astimezone(MOSCOW)
    except (ValueError, OverflowError):
        return None
    return Span(at.date(), at.date(), Precision.MINUTE, at)


def _offset(zone: str) -> timedelta:
    if zone == "z":
        return timedelta()
    span = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return -span if zone[0] == "-" else span


def _days(text: str) -> tuple[Span, ...]:
    text = _SEPARATOR.sub(".", text).strip(" .,")
    for form in _DATES:
        parts = form.fullmatch(text)
        if parts:
            try:
                return _spans(**parts.groupdict())
            except ValueError:  # there is no such day or month
                return ()
    return ()


def _spans(
    year: str, month: str = "", day: str = "", word: str = "", next: str | None = None
) -> tuple[Span, ...]:
    of = int(year) + (2000 if len(year) == 2 else 0)
    if word in _SEASONS and not day:
        return _season(of, _SEASONS[word], next)
    if next or (word and word not in _MONTHS):
        return ()
    number = _MONTHS[word] if word else int(month or 0)
    if day:
        that = date(of, number, int(day))
        return (Span(that, that, Precision.DAY),)
    if word or month:
        return (_months(of, number, 1, Precision.MONTH),)
    return (_months(of, 1, 12, Precision.YEAR),)


def _season(year: int, begins: int, next: str | None) -> tuple[Span, ...]:
    if begins < 12:
        return () if next else (_months(year, begins, 3, Precision.SEASON),)
    if next is None:
        return (
            _months(year, 1, 2, Precision.SEASON),
            _months(year, 12, 1, Precision.SEASON),
        )
    follows = int(next) % 100 == (year + 1) % 100
    return (_months(year, 12, 3, Precision.SEASON),) if follows else ()


def _months(year: int, month: int, count: int, precision: Precision) -> Span:
    after = month + count
    end = date(year + (after - 1) // 12, (after - 1) % 12 + 1, 1)
    return Span(date(year, month, 1), end - timedelta(days=1), precision)
