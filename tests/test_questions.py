"""What a specialist asks, and which answers are right however they are spelled."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from portal import clock, config
from portal.clock import MOSCOW
from portal.recovery import dates, questions
from portal.recovery.answers import is_readable, is_understood, judge, matches
from portal.recovery.dates import Precision
from portal.recovery.questions import Kind, Question, Service, Source, catalogue
from portal.recovery.spelling import folded, words
from tests.conftest import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SETTINGS = config.load(ENVIRONMENT)


@pytest.fixture(autouse=True, scope="module")
def _settings() -> Iterator[None]:
    config.use(SETTINGS)
    yield
    config.use(SETTINGS)


def question(kind: Kind, **settings: Any) -> Question:
    return Question(key="asked", text="Что спрашивают?", kind=kind, **settings)


# The catalogue that is shipped

SERVICES = {
    "cabinet": "Кабинет клиента",
    "extern": "Экстерн",
    "school": "Школа",
    "marking": "Маркировка",
    "market": "Маркет",
    "diadoc": "Диадок",
    "ofd": "ОФД",
    "focus": "Фокус",
}


def test_every_service_is_asked_about() -> None:
    assert {key: each.name for key, each in catalogue().items()} == SERVICES


OWN = (
    "created former_name name_changed former_email email_changed former_phone phone_changed "
    "second_factor"
)


@pytest.mark.parametrize(
    ("service", "keys"),
    [
        ("cabinet", f"{OWN} certificate_owner certificate_until other"),
        ("extern", "report_date report_number report_authority"),
        ("school", "lesson_dates test_dates"),
        ("marking", "oms_id"),
        ("market", "cash_registers stocktaking_date item_stock write_off_date posting_date"),
        (
            "diadoc",
            "employees counterparties incoming_number incoming_date outgoing_number outgoing_date",
        ),
        ("ofd", "registers registration_numbers"),
        ("focus", "check_dates checked_organisations recent_actions"),
    ],
)
def test_every_question_of_the_table_is_asked(service: str, keys: str) -> None:
    assert [each.key for each in catalogue()[service].questions] == keys.split()


def test_the_portal_answers_what_it_knows_itself() -> None:
    own = {
        each.key
        for service in catalogue().values()
        for each in service.questions
        if each.source is Source.OWN
    }
    assert own == set(questions.OWN_RECORDS)


def test_a_question_is_one_sentence_or_two_in_russian() -> None:
    for service in catalogue().values():
        for each in service.questions:
            assert each.text[0].isupper()
            assert each.text[-1] in "?."
            assert each.text.isprintable()
            assert len(each.text) < 100


def test_a_file_is_read_once() -> None:
    assert catalogue() is catalogue()


# A file of the operator's own

GOOD = """
[stock]
name = "Склад"
enough = 1

[[stock.questions]]
key = "shelf"
text = "Какая полка?"
kind = "text"
"""


@pytest.fixture
def own_file(tmp_path: Path) -> Iterator[Callable[[str | bytes], None]]:
    """Have the portal ask what a file says."""

    def use(content: str | bytes) -> None:
        path = tmp_path / "questions.toml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        config.use(replace(SETTINGS, questions_file=str(path)))

    yield use
    questions._read.cache_clear()
    config.use(SETTINGS)


def one(settings: str) -> str:
    """A file with one question of these settings."""
    return GOOD.replace('kind = "text"', settings)


def test_an_operator_may_ask_other_questions(own_file: Callable[[str], None]) -> None:
    own_file(GOOD)
    asked = Question(key="shelf", text="Какая полка?", kind=Kind.TEXT)
    assert catalogue() == {"stock": Service("stock", "Склад", 1, (asked,))}
    config.use(SETTINGS)
    assert set(catalogue()) == set(SERVICES), "the shipped ones are there as before"


def test_the_shipped_file_is_a_good_one_to_begin_with(own_file: Callable[[bytes], None]) -> None:
    shipped = catalogue()
    content = questions.SHIPPED.read_bytes()
    for each in (content, b"\xef\xbb\xbf" + content, content.replace(b"\n", b"\r\n")):
        own_file(each)
        assert catalogue() == shipped
        questions._read.cache_clear()


def test_every_setting_of_a_question_is_read(own_file: Callable[[str], None]) -> None:
    own_file(
        GOOD
        + """
ignored = ["ООО", "г. Москва"]
shortest = 2
words = 4

[[stock.questions]]
key = "created"
text = "Когда?"
kind = "moment"
source = "own"
precision = "day"
tolerance_minutes = 15

[[stock.questions]]
key = "days"
text = "Когда?"
kind = "list"
of = "date"
at_least = 3
precision = "season"
tolerance_days = 2

[[stock.questions]]
key = "weight"
text = "Сколько?"
kind = "number"
tolerance = 0.5

[[stock.questions]]
key = "code"
text = "Какой код?"
kind = "text"
first = 6
"""
    )
    name, created, days, weight, code = catalogue()["stock"].questions
    assert name.ignored == {"ооо", "г", "москва"}
    assert (name.shortest, name.words) == (2, 4)
    assert (created.source, created.precision) == (Source.OWN, Precision.DAY)
    assert created.tolerance_minutes == 15
    assert (days.of, days.at_least) == (Kind.DATE, 3)
    assert (days.precision, days.tolerance_days) == (Precision.SEASON, 2)
    assert weight.tolerance == Decimal("0.5")
    assert code.first == 6


def test_a_moment_needs_its_time_unless_the_file_says_otherwise(
    own_file: Callable[[str], None],
) -> None:
    own_file(one('kind = "moment"') + '[[stock.questions]]\nkey = "a"\ntext = "А"\nkind = "date"\n')
    moment, day = catalogue()["stock"].questions
    assert (moment.precision, day.precision) == (Precision.MINUTE, Precision.DAY)


HEAD, _, QUESTION = GOOD.partition("[[")
BAD: list[tuple[str | bytes, str]] = [
    ("", "has no service"),
    ("# nothing", "has no service"),
    ("stock", "is no TOML"),
    (GOOD + "[stock]", "is no TOML"),
    (GOOD.encode("windows-1251"), "is not in UTF-8"),
    (b"\xff\xfe" + GOOD.encode("utf-16-le"), "is not in UTF-8"),
    ('stock = "Склад"', "[stock], which is no table"),
    (GOOD.replace("stock", "Stock"), "a service with the key 'Stock'"),
    (GOOD.replace("stock", "s" * 21), "20 at most"),
    (GOOD.replace("stock", '"склад"'), "small Latin letter"),
    (GOOD.replace("stock", '""'), "small Latin letter"),
    (GOOD.replace('name = "Склад"', ""), "[stock] without name"),
    (GOOD.replace("enough = 1", ""), "[stock] without enough"),
    (HEAD, "[stock] without questions"),
    (HEAD + "questions = []", "asks nothing"),
    (HEAD + "questions = 1", "as [[stock.questions]]"),
    (HEAD + "questions = [1]", "[[stock.questions]], which is no table"),
    (GOOD.replace('"Склад"', '" "'), "[stock] name, which is no line of text"),
    (GOOD.replace('"Склад"', "1"), "[stock] name, which is no line of text"),
    (GOOD.replace('"Склад"', '"Склад\\n"'), "[stock] name, which is no line of text"),
    (GOOD + GOOD.replace("stock", "store"), "two services of one name"),
    (GOOD.replace("enough = 1", "enough = 0"), "[stock] enough"),
    (GOOD.replace("enough = 1", "enough = 2"), "a whole number from 1 to 1"),
    (GOOD.replace("enough = 1", "enough = true"), "[stock] enough"),
    (GOOD.replace("enough = 1", 'enough = "1"'), "[stock] enough"),
    (GOOD.replace("enough = 1", "enough = 1\nmost = 1"), "[stock] most, which is not known"),
    (GOOD + "[[" + QUESTION, "two questions of one key in [stock]"),
    (GOOD.replace('key = "shelf"', ""), "without key"),
    (GOOD.replace('"shelf"', '"Shelf"'), "a question in [stock] with the key 'Shelf'"),
    (GOOD.replace('"shelf"', f'"{"s" * 41}"'), "40 at most"),
    (GOOD.replace('"shelf"', "1"), "the key 1"),
    (GOOD.replace('text = "Какая полка?"', ""), "shelf without text"),
    (GOOD.replace("Какая полка?", ""), "shelf text, which is no line of text"),
    (GOOD.replace("Какая полка?", "?" * 301), "more than 300"),
    (one(""), "shelf without kind"),
    (one('kind = "word"'), "shelf kind, which must be one of: date, moment, text"),
    (one("kind = 1"), "shelf kind"),
    (one("kind = []"), "shelf kind"),
    (one('kind = "note"'), "asks nothing in [stock] that counts"),
    (one('kind = "text"\nsauce = "own"'), "shelf sauce, which is not known there"),
    (one('kind = "text"\nsource = "api"'), "shelf source, which must be one of: own, imported"),
    (one('kind = "text"\nsource = "own"'), "our own records do not answer"),
    (one('kind = "number"\nsource = "own"'), "source, which is not known there"),
    (one('kind = "text"\nprecision = "day"'), "precision, which is not known there"),
    (one('kind = "text"\ntolerance = 1'), "tolerance, which is not known there"),
    (one('kind = "phone"\nshortest = 4'), "shortest, which is not known there"),
    (one('kind = "date"\nprecision = "week"'), "one of: day, month, season, year"),
    (one('kind = "date"\nprecision = "minute"'), "one of: day, month, season, year"),
    (one('kind = "moment"\nprecision = 1'), "one of: minute, day, month, season, year"),
    (one('kind = "date"\ntolerance_days = -1'), "from 0 to 366"),
    (one('kind = "date"\ntolerance_days = 1.5'), "from 0 to 366"),
    (one('kind = "moment"\ntolerance_minutes = 1441'), "from 0 to 1440"),
    (one('kind = "number"\ntolerance = -1'), "tolerance, which must be a number, 0 or more"),
    (one('kind = "number"\ntolerance = inf'), "tolerance, which must be"),
    (one('kind = "number"\ntolerance = nan'), "tolerance, which must be"),
    (one('kind = "number"\ntolerance = true'), "tolerance, which must be"),
    (one('kind = "number"\ntolerance = "1"'), "tolerance, which must be"),
    (one('kind = "text"\nshortest = 1'), "shortest, which must be a whole number from 2"),
    (one('kind = "text"\nfirst = 1'), "first, which must be a whole number from 2"),
    (one('kind = "text"\nfirst = 8\nwords = 2'), "with both first and words"),
    (one('kind = "text"\nignored = "ООО"'), "ignored, which must be a list of words"),
    (one('kind = "text"\nignored = [1]'), "ignored, which must be a list of words"),
    (one('kind = "list"\nof = "number"'), "shelf of, which must be one of: date, text"),
    (one('kind = "list"\nat_least = 0'), "at_least, which must be a whole number from 1"),
    (one('kind = "list"\ntolerance_days = 1'), "which a list of text does not take"),
    (one('kind = "list"\nof = "date"\nwords = 1'), "which a list of date does not take"),
]


@pytest.mark.parametrize(("content", "reason"), BAD, ids=lambda value: str(value)[-40:])
def test_a_bad_file_is_one_sentence_that_names_it(
    own_file: Callable[[str | bytes], None], content: str | bytes, reason: str
) -> None:
    own_file(content)
    with pytest.raises(config.BadSettingError) as caught:
        catalogue()
    sentence = str(caught.value)
    assert sentence.startswith(f"PORTAL_QUESTIONS_FILE: {config.settings.questions_file} ")
    assert reason in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_question_of_our_own_records_is_of_their_kind(own_file: Callable[[str], None]) -> None:
    for key, kinds in questions.OWN_RECORDS.items():
        for kind in (Kind.DATE, Kind.MOMENT, Kind.TEXT, Kind.PHONE, Kind.EMAIL):
            own_file(one(f'kind = "{kind}"\nsource = "own"').replace("shelf", key))
            if kind in kinds:
                assert catalogue()["stock"].questions[0].source is Source.OWN
            else:
                with pytest.raises(config.BadSettingError, match="our own records"):
                    catalogue()
            questions._read.cache_clear()


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    try:
        for path in (tmp_path / "none.toml", tmp_path):
            config.use(replace(SETTINGS, questions_file=str(path)))
            with pytest.raises(config.BadSettingError, match="cannot be read: "):
                catalogue()
    finally:
        config.use(SETTINGS)


# Dates

MONTHS = [
    *("января", "февраля", "марта", "апреля", "мая", "июня"),
    *("июля", "августа", "сентября", "октября", "ноября", "декабря"),
]
NOMINATIVE = [
    *("январь", "февраль", "март", "апрель", "май", "июнь"),
    *("июль", "август", "сентябрь", "октябрь", "ноябрь", "декабрь"),
]
PREPOSITIONAL = [month[:-1] + "е" for month in MONTHS]
SHORT = ["янв", "фев", "мар", "апр", "май", "июн", "июл", "авг", "сен", "окт", "ноя", "дек"]

DAYS: list[Callable[[date], str]] = [
    lambda day: f"{day:%d.%m.%Y}",
    lambda day: f"{day.day}.{day.month}.{day.year}",
    lambda day: f"{day:%d.%m.%y}",
    lambda day: f"{day:%d/%m/%Y}",
    lambda day: f"{day:%d-%m-%Y}",
    lambda day: f"{day:%d %m %Y}",
    lambda day: f"{day:%d. %m. %Y}",
    lambda day: f"{day:%d.%m.%Y} г.",
    lambda day: f"{day:%d.%m.%Y}г",
    lambda day: f"{day:%Y-%m-%d}",
    lambda day: f"{day:%Y.%m.%d}",
    lambda day: f"{day:%Y/%m/%d}",
    lambda day: f"{day.day} {MONTHS[day.month - 1]} {day.year}",
    lambda day: f"{day:%d} {MONTHS[day.month - 1]} {day.year} года",
    lambda day: f"{day.day}-го {MONTHS[day.month - 1]} {day.year}-го года",
    lambda day: f"{day.day} {MONTHS[day.month - 1]} {day:%y}",
    lambda day: f"{day.day} {SHORT[day.month - 1]}. {day.year} г.",
    lambda day: f"{day.day}{MONTHS[day.month - 1]}{day.year}",
    lambda day: f"{day.day} {NOMINATIVE[day.month - 1]} {day.year}",
    lambda day: f"{day:%d.%m.%Y} 14:05",
]
WHOLE_MONTHS: list[Callable[[date], str]] = [
    lambda day: f"{NOMINATIVE[day.month - 1]} {day.year}",
    lambda day: f"{NOMINATIVE[day.month - 1]} {day.year} года",
    lambda day: f"в {PREPOSITIONAL[day.month - 1]} {day.year} г.",
    lambda day: f"{day.month}.{day.year}",
    lambda day: f"{day:%m/%Y}",
    lambda day: f"{day:%Y-%m}",
]
SEASONS = ["зима", "весна", "лето", "осень"]
IN_SEASONS = ["зимой", "весной", "летом", "осенью"]
WHOLE_SEASONS: list[Callable[[date], str]] = [
    lambda day: f"{SEASONS[day.month % 12 // 3]} {day.year}",
    lambda day: f"{IN_SEASONS[day.month % 12 // 3]} {day.year} года",
]
WHOLE_YEARS: list[Callable[[date], str]] = [
    lambda day: f"{day.year}",
    lambda day: f"{day.year} год",
    lambda day: f"{day.year} г.",
    lambda day: f"в {day.year} году",
    lambda day: f"в {day.year}-м году",
]
days = st.dates(date(2000, 1, 1), date(2099, 12, 31))
precise = st.sampled_from(DAYS)
DATE = question(Kind.DATE)


@given(days)
@example(date(2024, 2, 29))
@example(date(2000, 1, 1))
@example(date(2026, 12, 11))
def test_a_date_matches_itself_in_every_spelling(day: date) -> None:
    for write in DAYS:
        assert matches(DATE, write(day), day.isoformat()), write(day)
        assert matches(DATE, day.isoformat(), write(day)), write(day)
        assert is_readable(DATE, write(day)), write(day)


@given(days, days)
def test_another_date_matches_in_no_spelling(day: date, other: date) -> None:
    assume(day != other)
    for write in DAYS:
        assert not matches(DATE, write(other), day.isoformat()), write(other)


@given(days, precise, st.integers(0, 30), st.integers(-60, 60))
def test_a_date_may_be_off_by_the_tolerance_and_no_more(
    day: date, write: Callable[[date], str], tolerance: int, off: int
) -> None:
    other = day + timedelta(days=off)
    assume(2000 <= other.year <= 2099)
    asked = question(Kind.DATE, tolerance_days=tolerance)
    assert matches(asked, write(other), day.isoformat()) is (abs(off) <= tolerance)


def season_of(day: date) -> tuple[int, int]:
    """The winter months of one year are its winter: that is what «зима 2025» says."""
    return day.year, day.month % 12 // 3


IMPRECISE: list[tuple[Precision, list[Callable[[date], str]], Callable[[date], object]]] = [
    (Precision.MONTH, WHOLE_MONTHS, lambda day: (day.year, day.month)),
    (Precision.SEASON, WHOLE_SEASONS, season_of),
    (Precision.YEAR, WHOLE_YEARS, lambda day: day.year),
]


@pytest.mark.parametrize(
    ("precision", "spellings", "part"), IMPRECISE, ids=[each[0].name for each in IMPRECISE]
)
@given(day=days, other=days)
@example(day=date(2025, 12, 31), other=date(2025, 1, 1))
@example(day=date(2025, 12, 31), other=date(2026, 1, 1))
@example(day=date(2024, 2, 29), other=date(2024, 2, 1))
def test_an_imprecise_date_matches_where_the_question_takes_it(
    precision: Precision,
    spellings: list[Callable[[date], str]],
    part: Callable[[date], object],
    day: date,
    other: date,
) -> None:
    for write in spellings:
        for asked in Precision:
            taken = asked >= precision
            question_ = question(Kind.DATE, precision=asked)
            assert matches(question_, write(day), day.isoformat()) is taken, write(day)
            same = part(day) == part(other)
            assert matches(question_, write(other), day.isoformat()) is (taken and same)
        assert not is_readable(DATE, write(day)), "a fact is a day"


LATIN = str.maketrans("авсенкмортху", "abcehkmoptxy")


@given(days, st.sampled_from(DAYS + WHOLE_MONTHS + WHOLE_SEASONS + WHOLE_YEARS), st.booleans())
def test_the_letters_and_blanks_of_a_date_are_forgiven(
    day: date, write: Callable[[date], str], upper: bool
) -> None:
    asked = question(Kind.DATE, precision=Precision.YEAR)
    text = write(day)
    for typed in (
        text.upper() if upper else text.capitalize(),
        text.translate(LATIN),
        text.upper().translate(str.maketrans("АВСЕНКМОРТХУ", "ABCEHKMOPTXY")),
        text.replace(" ", "\u00a0  "),
        f"  {text}.\n",
        text.replace("-", "–"),
    ):
        assert matches(asked, typed, day.isoformat()), typed


@pytest.mark.parametrize(
    ("typed", "first", "last"),
    [
        ("зима 2025/26", date(2025, 12, 1), date(2026, 2, 28)),
        ("зимой 2023-2024 года", date(2023, 12, 1), date(2024, 2, 29)),
        ("зима 2099/2100", None, None),
        ("зима 2025/27", None, None),
        ("лето 2025/26", None, None),
        ("март 2025/26", None, None),
    ],
)
def test_one_winter_has_two_years(typed: str, first: date | None, last: date | None) -> None:
    assert [(each.first, each.last) for each in dates.read(typed)] == (
        [(first, last)] if first else []
    )


@pytest.mark.parametrize(
    "typed",
    [
        "",
        " ",
        "5",
        "99",
        "0",
        "19.11",
        "19 ноября",
        "ноябрь",
        "лето",
        "30.02.2026",
        "29.02.2025",
        "31.04.2026",
        "00.11.2026",
        "19.00.2026",
        "00.2026",
        "13.2026",
        "11.19.2026",
        "2026-19-11",
        "2026-W47-4",
        "20261119",
        "19112026",
        "19.11.202",
        "19.11.20266",
        "19.11.1899",
        "19.11.2100",
        "119.11.2026",
        "19 нобря 2026",
        "19 лета 2026",
        "19 в 2026",
        "вчера",
        "в прошлом году",
        "19.11.2026 или 20.11.2026",
        "19.11.2026, 20.11.2026",
        "19.11.2026 - 20.11.2026",
        "2020-2026",
        "2024 2025 2026",
        "любая",
        "*",
        "19.11.2026" + "!" * 60,
        "١٩.١١.٢٠٢٦",
        "1" * 2000,
    ],
)
def test_what_is_no_one_date_is_read_as_none(typed: str) -> None:
    assert dates.read(typed) == ()
    assert not is_readable(DATE, typed)
    loosest = question(Kind.DATE, precision=Precision.YEAR, tolerance_days=366)
    assert not matches(loosest, typed, "2026-11-19")


# Moments

FACT = "2026-11-19 14:05"
MOMENTS = [
    "19.11.2026 14:05",
    "19.11.2026 14:05:59",
    "19.11.26 в 14:05",
    "19.11.2026, 14.05",
    "19.11.2026 в 14:05 мск",
    "19.11.2026 14:05 (МСК)",
    "19.11.2026 14:05 по Москве",
    "14:05 19.11.2026",
    "в 14:05, 19 ноября 2026 года",
    "19 ноября 2026 г. в 14:05",
    "19 ноября 2026, 14 часов 5 минут",
    "19.11.2026 в 14 ч. 05 мин.",
    "19.11.2026 14ч05",
    "2026-11-19T14:05",
    "2026-11-19T14:05:00+03:00",
    "2026-11-19 11:05:00.250Z",
    "2026-11-19T06:05:00-05:00",
    "2026-11-20T00:05+1300",
]


@pytest.mark.parametrize("typed", MOMENTS)
def test_a_moment_is_read_in_every_spelling(typed: str) -> None:
    asked = question(Kind.MOMENT, precision=Precision.MINUTE)
    assert matches(asked, typed, FACT)
    assert matches(asked, FACT, typed)
    assert is_readable(asked, typed)
    assert matches(DATE, typed, "2026-11-19"), "who names the time names the day"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "14:05",
        "19.11.2026 24:05",
        "19.11.2026 14:60",
        "19.11.2026 14:5",
        "ноябрь 2026 14:05",
        "2026 14:05",
        "30.02.2026 14:05",
        "19.11.2026 14:05 15:05",
        "19.11.2026 днём",
        "19.11.2026 14:05+99:00",
        "31.12.2026",
    ],
)
def test_what_names_no_moment_is_none(typed: str) -> None:
    asked = question(Kind.MOMENT, precision=Precision.MINUTE, tolerance_minutes=1440)
    assert not matches(asked, typed, FACT)
    assert not is_readable(asked, typed)


moments = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001


@given(moments, st.integers(0, 180), st.integers(-400, 400))
def test_a_moment_may_be_off_by_the_tolerance_and_no_more(
    at: datetime, tolerance: int, off: int
) -> None:
    asked = question(Kind.MOMENT, precision=Precision.MINUTE, tolerance_minutes=tolerance)
    typed = at.replace(second=0, microsecond=0) + timedelta(minutes=off)
    text = f"{typed.astimezone(MOSCOW):%d.%m.%Y %H:%M}"
    assert matches(asked, text, dates.written(at, Precision.MINUTE)) is (abs(off) <= tolerance)


@given(moments)
def test_a_moment_of_our_own_records_is_that_of_moscow(at: datetime) -> None:
    local = at.astimezone(MOSCOW)
    (day,) = dates.read(dates.written(at, Precision.DAY))
    (minute,) = dates.read(dates.written(at, Precision.MINUTE))
    assert (day.first, day.last, day.at) == (local.date(), local.date(), None)
    assert minute.at == local.replace(second=0, microsecond=0)
    assert minute.at.tzinfo is MOSCOW


def test_a_day_stands_for_a_moment_only_where_the_question_takes_it() -> None:
    strict = question(Kind.MOMENT, precision=Precision.MINUTE, tolerance_minutes=1440)
    by_day = question(Kind.MOMENT, precision=Precision.DAY, tolerance_minutes=60)
    by_month = replace(by_day, precision=Precision.MONTH)
    assert not matches(strict, "19.11.2026", FACT)
    assert matches(by_day, "19.11.2026", FACT)
    assert matches(by_day, "19.11.2026 15:05", FACT)
    assert not matches(by_day, "19.11.2026 15:06", FACT), "a time that was named must be right"
    assert not matches(by_day, "20.11.2026", FACT)
    assert not matches(by_day, "ноябрь 2026", FACT)
    assert matches(by_month, "ноябрь 2026", FACT)
    assert not matches(by_month, "октябрь 2026", FACT)


# Texts

TEXT = question(Kind.TEXT)


@pytest.mark.parametrize(
    ("typed", "fact"),
    [
        ("Северный тракт", "Северный тракт"),
        ("  северный   ТРАКТ ", "Северный тракт"),
        ("«Северный тракт»", '"Северный тракт"'),
        ("Северный\u00a0тракт", "Северный тракт"),
        ("северный-тракт.", "Северный тракт"),
        ("Ёлочка", "елочка"),
        ("е\u0308лочка", "ЁЛОЧКА"),
        ("CEBEPHЫЙ", "северный"),  # Latin capitals
        ("Северный тpaкт", "Северный тракт"),
        ("АВС-1234", "ABC 1234"),
        ("№ 145/2", "145-2"),
        ("145", "№145"),
        ("N 145", "№ 145"),
        ("No. 145", "№ 145"),
        ("12 345", "12345"),
        ("Се\u00adверный тра\u0301кт", "Северный тракт"),
        ("\uff21\uff22\uff23", "abc"),
    ],
)
def test_spelling_is_forgiven(typed: str, fact: str) -> None:
    assert matches(TEXT, typed, fact)
    assert matches(TEXT, fact, typed)


@pytest.mark.parametrize(
    ("typed", "fact"),
    [
        ("", "Северный тракт"),
        ("", ""),
        ("С", "С"),
        ("се", "се"),
        ("«...»", "«...»"),
        ("Северный", "Северный тракт"),
        ("Северный тракт и Ко", "Северный тракт"),
        ("Южный тракт", "Северный тракт"),
        ("тракт Северный", "Северный тракт"),
        ("145-3", "145-2"),
        ("*", "Северный тракт"),
        ("%", "Северный тракт"),
        (".*", "Северный тракт"),
        ("Северный тракт" + " " * 2000, "Северный тракт"),
    ],
)
def test_another_text_does_not_match(typed: str, fact: str) -> None:
    assert not matches(TEXT, typed, fact)


sentences = st.lists(
    st.text("абвгдеёжзийклмнопрстуфхцчшщъыьэюя0123456789", min_size=1, max_size=12),
    min_size=1,
    max_size=5,
).filter(lambda parts: len("".join(parts)) >= 3)


@given(sentences, st.randoms(use_true_random=False))
def test_look_alikes_case_signs_and_dots_are_forgiven_in_any_text(
    parts: list[str], chance: random.Random
) -> None:
    def other(sign: str) -> str:
        ways = [sign, sign.upper(), sign.translate(LATIN), sign.translate(LATIN).upper()]
        return chance.choice([*ways, sign.replace("ё", "е")])

    fact = " ".join(parts)
    between = chance.choice([" ", "  ", "\u00a0", " - ", ", ", "/", "» «"])
    typed = between.join("".join(map(other, part)) for part in parts)
    assert matches(TEXT, typed, fact), typed


@given(sentences, sentences)
def test_no_other_text_matches(parts: list[str], others: list[str]) -> None:
    assume("".join(parts).replace("ё", "е") != "".join(others).replace("ё", "е"))
    assert not matches(TEXT, " ".join(others), " ".join(parts))


@given(st.text(max_size=50))
def test_folding_a_text_twice_is_folding_it_once(text: str) -> None:
    once = folded(text)
    assert folded(once) == once
    assert all(words(word) == (word,) for word in words(text) if word.isascii())


def test_a_text_has_a_least_length() -> None:
    short = question(Kind.TEXT, shortest=2)
    assert matches(short, "17", "№ 17")
    assert not matches(short, "7", "7")
    assert is_readable(short, "17")
    assert not is_readable(short, "7")
    assert not is_readable(TEXT, "17")


OMS = question(Kind.TEXT, first=8)
OMS_ID = "3f2c9a1b-77d0-4c1e-9a52-0b8e6d1f4a3c"


@pytest.mark.parametrize(
    "typed", ["3f2c9a1b", "3F2C9A1B", "3f2c 9a1b", "3f2c-9a1b", "3f2с9а1В", " «3f2c9a1b» "]
)
def test_the_first_signs_of_an_id_are_asked_for(typed: str) -> None:
    assert matches(OMS, typed, OMS_ID)
    assert matches(OMS, typed, OMS_ID[:8]), "no more may be known of it"


@pytest.mark.parametrize(
    "typed", ["", "3f2c9a1", "3f2c9a1b7", OMS_ID, "3f2c9a1c", "f2c9a1b7", "b1a9c2f3", "********"]
)
def test_exactly_the_first_signs_are_right(typed: str) -> None:
    assert not matches(OMS, typed, OMS_ID)


def test_an_id_too_short_to_compare_is_not_readable() -> None:
    assert is_readable(OMS, OMS_ID[:8])
    assert not is_readable(OMS, OMS_ID[:7])
    assert not matches(OMS, OMS_ID[:7], OMS_ID[:7])


NAME = question(Kind.TEXT, words=2)
OWNER = "Ломова Алёна Васильевна"


@pytest.mark.parametrize(
    "typed", [OWNER, "Алена Ломова", "Васильевна, Ломова", "ломова-алена", "ЛОМОВА   АЛЕНА"]
)
def test_some_words_in_any_order_are_enough_where_the_question_says_so(typed: str) -> None:
    assert matches(NAME, typed, OWNER)


@pytest.mark.parametrize(
    "typed",
    ["", "Ломова", "Ломова Ломова", "Ломова А. В.", "Ломова Ирина", "Ломова Алёна Петровна"],
)
def test_words_that_are_too_few_or_not_there_are_not(typed: str) -> None:
    assert not matches(NAME, typed, OWNER)


def test_all_words_are_wanted_where_there_are_fewer() -> None:
    assert matches(NAME, "Ломова", "Ломова")
    assert not matches(NAME, "Котова", "Ломова")


def test_ignored_words_neither_help_nor_hurt() -> None:
    asked = question(Kind.TEXT, ignored=frozenset({"ооо", "по", "г"}))
    assert matches(asked, "ООО «Ромашка»", "Ромашка")
    assert matches(asked, "ИФНС по г. Архангельску", "ИФНС Архангельску")
    assert not matches(asked, "ООО", "ООО «Ромашка»")
    assert not is_readable(asked, "ООО")


# Numbers, phones, emails


def spelled(number: Decimal, blank: str, point: str) -> str:
    whole, _, fraction = f"{number:f}".partition(".")
    return f"{int(whole):,}".replace(",", blank) + (point + fraction if fraction else "")


numbers = st.decimals(0, 10**12, places=2, allow_nan=False, allow_infinity=False)


@given(numbers, st.sampled_from(["", " ", "\u00a0", "\u202f"]), st.sampled_from([",", "."]))
def test_a_number_matches_itself_in_every_spelling(number: Decimal, blank: str, point: str) -> None:
    asked = question(Kind.NUMBER)
    for fact in (number, Decimal(int(number))):
        typed = spelled(fact, blank, point)
        assert matches(asked, f" {typed} ", str(fact)), typed
        assert is_readable(asked, typed)


@given(numbers, numbers, st.integers(0, 100))
def test_a_number_may_be_off_by_the_tolerance_and_no_more(
    number: Decimal, other: Decimal, tolerance: int
) -> None:
    asked = question(Kind.NUMBER, tolerance=Decimal(tolerance))
    near = number + other % 200
    assert matches(asked, f"{near:f}", f"{number:f}") is (near - number <= tolerance)
    assert matches(asked, f"{number:f}", f"{near:f}") is (near - number <= tolerance)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "много",
        "-12",
        "1 2",
        "12 1234",
        "1,2,3",
        "1, 2",
        "10-20",
        "12 13",
        "1e9",
        "inf",
        "nan",
        "١٢",
        "12 штук",
        "9" * 16,
        "0x0c",
    ],
)
def test_what_is_no_one_number_matches_none(typed: str) -> None:
    asked = question(Kind.NUMBER, tolerance=Decimal(1000))
    assert not matches(asked, typed, "12")
    assert not is_readable(asked, typed)


def test_a_phone_is_the_same_in_every_spelling() -> None:
    asked = question(Kind.PHONE)
    for typed in ("+7 921 555-01-47", "8 (921) 555 01 47", "79215550147", "921 5550147"):
        assert matches(asked, typed, "+79215550147")
        assert matches(asked, "+79215550147", typed)
    for typed in ("", "+7 921 555-01-48", "0147", "8 495 739-70-00", "8 921 555-01-4*"):
        assert not matches(asked, typed, "+79215550147")
    assert not matches(asked, "", "")
    assert not is_readable(asked, "8 495 739-70-00")


def test_an_email_is_the_same_whatever_its_case() -> None:
    asked = question(Kind.EMAIL)
    assert matches(asked, " I.Lomova@Sever-Trakt.EXAMPLE ", "i.lomova@sever-trakt.example")
    for typed in ("", "i.lomova", "ilomova@sever-trakt.example", "i.lomova@trakt.example"):
        assert not matches(asked, typed, "i.lomova@sever-trakt.example")
    assert not matches(asked, "", "")
    assert not is_readable(asked, "i.lomova")


# Lists

REGISTERS = question(Kind.LIST, at_least=2)
THREE = "0001234567012345; 0007654321012345; 0001112223012345"


@pytest.mark.parametrize(
    "typed",
    [
        THREE,
        "0001234567012345, 0007654321012345",
        "0007654321012345\n0001112223012345",
        "0007654321012345;\r\n\r\n; 0001112223012345,",
        "0007654321012345, 0001112223012345, 0009999999012345",
        "№ 0007 6543 2101 2345; 0001-1122-2301-2345",
    ],
)
def test_enough_items_of_a_list_are_enough(typed: str) -> None:
    assert matches(REGISTERS, typed, THREE)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        ";;,\n",
        "0001234567012345",
        "0001234567012345, 0001234567012345",
        "0001234567012345, 0001 2345 6701 2345",
        "0001234567012345, 0009999999012345",
        "0001234567012345, 0007654321012345, 1234567, 2345678, 3456789",
        "0001234567012345 0007654321012345",
        "000",
    ],
)
def test_too_few_items_and_too_many_wrong_ones_are_not(typed: str) -> None:
    assert not matches(REGISTERS, typed, THREE)


def test_all_items_are_wanted_of_a_shorter_list() -> None:
    assert matches(REGISTERS, "0001234567012345", "0001234567012345")
    assert not matches(REGISTERS, "0007654321012345", "0001234567012345")
    assert not matches(REGISTERS, "", "")
    assert not matches(REGISTERS, "12", "12"), "too short to be one"


def test_two_spellings_of_one_item_are_one() -> None:
    asked = question(Kind.LIST, at_least=2, words=1, ignored=frozenset({"ооо"}))
    assert not matches(asked, "Ромашка; ООО «РОМАШКА»", "Ромашка; Василёк")
    assert not matches(asked, "Ромашка; Ромашка Север", "Ромашка Север; Василёк")
    assert matches(asked, "Ромашка; Василек", "Ромашка Север; Василёк")


@given(st.sets(st.integers(0, 60), min_size=1, max_size=12), st.integers(1, 3))
def test_naming_all_that_there_may_be_does_not_match(true: set[int], at_least: int) -> None:
    asked = question(Kind.LIST, at_least=at_least)
    fact = "; ".join(f"касса {number:03}" for number in true)
    everything = ", ".join(f"касса {number:03}" for number in range(61))
    half = ", ".join(f"касса {number:03}" for number in range(0, 60, 2))
    assert matches(asked, fact, fact)
    assert not matches(asked, everything, fact)
    assert not matches(asked, half, fact)


def test_a_list_may_be_of_dates() -> None:
    asked = question(Kind.LIST, of=Kind.DATE, at_least=2)
    fact = "2026-11-19; 2026-11-20\n25.11.2026"
    assert is_readable(asked, fact)
    assert matches(asked, "19.11.2026, 20 ноября 2026 года", fact)
    assert matches(asked, "19.11.26; 25.11.26; 26.11.26", fact)
    assert not matches(asked, "19.11.2026", fact)
    assert not matches(asked, "19.11.2026, 2026-11-19, 19 ноября 2026", fact)
    assert not matches(asked, "ноябрь 2026", fact)
    assert not matches(asked, ", ".join(f"{day}.11.2026" for day in range(1, 31)), fact)
    one_of_near = question(Kind.LIST, of=Kind.DATE, at_least=2, tolerance_days=3)
    assert not matches(one_of_near, "19.11.2026", fact), "one answer is one, however near the dates"
    assert not is_readable(asked, "2026-11-19; скоро")
    assert not is_readable(asked, "ноябрь 2026")
    assert not is_readable(asked, " ; ")


# Days whose year was not said, and «и» between items


@pytest.fixture
def on() -> Iterator[Callable[..., None]]:
    """Have it be a day of one's own choice."""

    def be(year: int, month: int, day: int) -> None:
        noon = datetime(year, month, day, 12, tzinfo=MOSCOW)
        clock.shift(noon - clock.now())

    yield be
    clock.reset()


@pytest.mark.parametrize(
    ("typed", "day"),
    [
        ("12 ноября", date(2026, 11, 12)),
        ("12-го ноября.", date(2026, 11, 12)),
        ("12.11", date(2026, 11, 12)),
        ("22 ноября", date(2026, 11, 22)),
        ("23 ноября", date(2025, 11, 23)),
        ("29 февраля", date(2024, 2, 29)),
        ("12.11.2024", date(2024, 11, 12)),
    ],
)
def test_a_day_without_a_year_is_the_last_that_has_come_or_the_next(
    on: Callable[..., None], typed: str, day: date
) -> None:
    on(2026, 11, 22)
    apart = 4 if (day.month, day.day) == (2, 29) else 1
    near = [day] if typed.endswith("2024") else [day, day.replace(year=day.year + apart)]
    for years in range(-2 * apart, 3 * apart, apart):
        other = day.replace(year=day.year + years)
        assert matches(DATE, typed, other.isoformat()) is (other in near), other
    assert is_understood(DATE, typed)


def test_a_certificate_ends_on_a_day_to_come(on: Callable[..., None]) -> None:
    on(2026, 11, 22)
    until = catalogue()["cabinet"].question("certificate_until")
    assert until
    assert matches(until, "23 марта", "2027-03-23")
    assert not matches(until, "24 марта", "2027-03-23")


@pytest.mark.parametrize("typed", ["ноябрь", "12", "лето", "30 февраля", "12 нобря", "скоро"])
def test_what_names_no_day_has_no_year_either(on: Callable[..., None], typed: str) -> None:
    on(2026, 11, 22)
    assert dates.read_near(typed) == ()
    assert not is_understood(DATE, typed)


def test_a_fact_has_its_year_and_so_has_an_answer_that_may_be_vague(
    on: Callable[..., None],
) -> None:
    on(2026, 11, 22)
    assert not is_readable(DATE, "12 ноября")
    assert not matches(DATE, "12.11.2026", "12 ноября")
    vague = question(Kind.DATE, precision=Precision.MONTH)
    assert not matches(vague, "12 ноября", "2026-11-12")
    assert not is_understood(vague, "12 ноября")


@pytest.mark.parametrize(
    "typed",
    [
        "12 ноября и 17 ноября",
        "12 ноября, 17 ноября",
        "12.11 и 17.11.2026",
        "12.11.2026 И\u00a017.11.2026",
        "10.11.2026, 12 ноября и 17 ноября",
    ],
)
def test_and_stands_between_dates(on: Callable[..., None], typed: str) -> None:
    on(2026, 11, 22)
    asked = question(Kind.LIST, of=Kind.DATE, at_least=2)
    assert matches(asked, typed, "2026-11-12, 2026-11-17")
    assert is_understood(asked, typed)
    assert not matches(asked, typed, "2025-11-12, 2025-11-17")


def test_what_is_no_date_among_dates_is_not_understood() -> None:
    asked = question(Kind.LIST, of=Kind.DATE)
    for typed in ("12 и 17 ноября", "12.11.2026, потом не помню", "не помню"):
        assert not is_understood(asked, typed)
    assert is_understood(question(Kind.LIST), "12 и 17 ноября"), "a text is whatever is typed"


NAMES = "Волжские перевозки; Рога и копыта; Уральская логистика"


@pytest.mark.parametrize(
    ("typed", "right"),
    [
        ("Волжские перевозки и Уральская логистика", True),
        ("волжские перевозки и рога и копыта", True),
        ("Рога и копыта и Волжские перевозки", True),
        ("Рога и копыта, Уральская логистика", True),
        ("Рога и копыта", False),
        ("Рога и Волжские перевозки и копыта", False),
        ("Волжские перевозки и Южные и Северные и Западные", False),
        (" и " * 600, False),
        ("Волжские перевозки" + " и рога" * 200, False),
    ],
)
def test_and_stands_between_names_unless_it_is_part_of_one(typed: str, right: bool) -> None:
    asked = question(Kind.LIST, at_least=2)
    assert matches(asked, typed, NAMES) is right


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Kind.MOMENT, "19.11.2026 09:30", "утром"),
        (Kind.MOMENT, "19.11.2026", "19 ноября в 9:30"),
        (Kind.NUMBER, "1 200,5", "12 штук"),
        (Kind.PHONE, "8 921 555-01-47", "555-01-47"),
        (Kind.EMAIL, "i.lomova@example.ru", "i.lomova"),
    ],
)
def test_an_answer_is_understood_or_not_whatever_is_true(kind: Kind, good: str, bad: str) -> None:
    assert is_understood(question(kind), good)
    assert not is_understood(question(kind), bad)


# Whatever is typed

EVERY = [
    question(Kind.DATE, precision=Precision.YEAR, tolerance_days=366),
    question(Kind.MOMENT, precision=Precision.YEAR, tolerance_minutes=1440),
    question(Kind.TEXT),
    question(Kind.TEXT, words=1),
    question(Kind.TEXT, first=8),
    question(Kind.NUMBER),
    question(Kind.PHONE),
    question(Kind.EMAIL),
    question(Kind.LIST),
    question(Kind.LIST, of=Kind.DATE),
    question(Kind.NOTE),
]
typed_texts = st.text(max_size=60) | st.text("0123456789.:- /,;агодчмскTZ", max_size=40)


@given(typed_texts, typed_texts)
@example("19.11.2026 14:05+24:00", "19.11.2026 14:05-23:59")
@example("1.1.1900 00:00+14:00", "зима 2099/00")
def test_no_text_breaks_a_comparison(typed: str, fact: str) -> None:
    for asked in EVERY:
        assert matches(asked, typed, fact) in {True, False}
        if not is_understood(asked, typed) and asked.kind is not Kind.LIST:
            assert not matches(asked, typed, fact), "what is pointed at is not right"
        if not is_readable(asked, fact) and asked.kind is not Kind.LIST:
            assert not matches(asked, typed, fact), "what cannot be read is never right"


@given(typed_texts)
def test_a_fact_that_can_be_read_is_its_own_answer(fact: str) -> None:
    for asked in EVERY:
        if is_readable(asked, fact) and not asked.first:
            assert matches(asked, fact, fact), asked


@given(st.sampled_from(EVERY), typed_texts, st.sampled_from(["", " ", "\u00a0", "а", "Z", "?"]))
def test_an_empty_or_one_letter_answer_is_never_right(
    asked: Question, fact: str, typed: str
) -> None:
    assert not matches(asked, typed, fact)
    assert not matches(asked, typed, typed)


# Whether the answers are enough

SERVICE = Service(
    "stock",
    "Склад",
    2,
    (
        Question(key="shelf", text="?", kind=Kind.TEXT),
        Question(key="day", text="?", kind=Kind.DATE),
        Question(key="boxes", text="?", kind=Kind.NUMBER),
        Question(key="items", text="?", kind=Kind.LIST, at_least=2),
        Question(key="other", text="?", kind=Kind.NOTE),
    ),
)
FACTS = {
    "shelf": ["Верхняя", "Нижняя"],
    "day": ["2026-11-19", "2026-11-20"],
    "boxes": ["12"],
    "items": ["молоток", "пила; рубанок"],
    "other": ["что угодно"],
}


@pytest.mark.parametrize(
    ("typed", "enough"),
    [
        ({}, False),
        ({"shelf": "верхняя"}, False),
        ({"shelf": "верхняя", "day": "20.11.2026"}, True),
        ({"shelf": "нижняя", "day": "19.11.2026", "boxes": "13"}, True),
        ({"shelf": "нижняя", "day": "18.11.2026", "boxes": "13"}, False),
        ({"shelf": "верхняя, нижняя", "boxes": "12"}, False),
        ({"boxes": "12", "items": "пила, молоток"}, True),
        ({"boxes": "12", "items": "молоток"}, False),
        ({"boxes": "12", "other": "что угодно"}, False),
        ({"boxes": "12", "nonsense": "12"}, False),
        ({"shelf": "", "day": "", "boxes": "", "items": "", "other": ""}, False),
    ],
)
def test_answers_are_enough_when_as_many_are_right_as_the_service_wants(
    typed: dict[str, str], enough: bool
) -> None:
    assert judge(SERVICE, typed, FACTS) is enough


def test_what_has_no_fact_cannot_be_right() -> None:
    typed = {"shelf": "верхняя", "day": "19.11.2026"}
    assert not judge(SERVICE, typed, {})
    assert not judge(SERVICE, typed, {"shelf": ["Верхняя"]})
    assert not judge(SERVICE, typed, {"shelf": ["Верхняя"], "day": []})
    assert not judge(SERVICE, typed, {"shelf": ["Верхняя"], "day": ["когда-то"]})


@given(st.sets(st.sampled_from(["shelf", "day", "boxes", "items"])))
def test_it_is_all_one_which_answers_are_right(right: set[str]) -> None:
    good = {"shelf": "верхняя", "day": "19.11.2026", "boxes": "12", "items": "пила, рубанок"}
    typed = {key: value if key in right else "не помню" for key, value in good.items()}
    assert judge(SERVICE, typed, FACTS) is (len(right) >= 2)
