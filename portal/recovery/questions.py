"""The services of which a device can be lost, and what a specialist asks for each.

The questions are data: `questions.toml` beside this file, or the operator's own file in the
setting PORTAL_QUESTIONS_FILE. What an answer is compared with is for `facts` to find and for
`answers` to judge.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from portal import config
from portal.recovery.dates import Precision
from portal.recovery.spelling import words

SHIPPED = Path(__file__).with_name("questions.toml")
KEY = re.compile(r"[a-z][a-z0-9_]*")
LONGEST_SERVICE_KEY = 20  # as the columns of the table `facts` are
LONGEST_QUESTION_KEY = 40
LONGEST_TEXT = 300


class Kind(StrEnum):
    """What an answer is, and so how it is compared."""

    DATE = "date"
    MOMENT = "moment"  # a date and a time
    TEXT = "text"
    NUMBER = "number"
    PHONE = "phone"
    EMAIL = "email"
    LIST = "list"  # some of several texts or dates
    NOTE = "note"  # asked and noted, compared with nothing


class Source(StrEnum):
    """Where the true answer comes from."""

    OWN = "own"  # the portal's own records
    IMPORTED = "imported"


OWN_RECORDS: dict[str, set[Kind]] = {
    "created": {Kind.DATE, Kind.MOMENT},
    "former_name": {Kind.TEXT},
    "name_changed": {Kind.DATE, Kind.MOMENT},
    "former_email": {Kind.EMAIL},
    "email_changed": {Kind.DATE, Kind.MOMENT},
    "former_phone": {Kind.PHONE},
    "phone_changed": {Kind.DATE, Kind.MOMENT},
    "second_factor": {Kind.DATE, Kind.MOMENT},
}
"""The questions that our own records answer, and as what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question, and how forgiving its comparison is."""

    key: str
    text: str
    """What the specialist asks, in Russian."""
    kind: Kind
    source: Source = Source.IMPORTED
    precision: Precision = Precision.DAY
    """The widest date that counts: with `month`, «март 2024» does, and «2024» does not."""
    tolerance_days: int = 0
    tolerance_minutes: int = 0
    tolerance: Decimal = Decimal(0)
    """How far a number may be off."""
    shortest: int = 3
    """A text of fewer letters and digits is no answer."""
    first: int = 0
    """So many letters and digits from the beginning are compared, and no more may be named."""
    words: int = 0
    """So many words of a text, in any order, are enough; 0 asks for the whole text."""
    ignored: frozenset[str] = frozenset()
    """Words that neither help nor hurt."""
    of: Kind = Kind.TEXT
    """What a list is of: texts or dates."""
    at_least: int = 1
    """How many items of a list must be named; all of them where there are fewer."""

    @property
    def counts(self) -> bool:
        return self.kind is not Kind.NOTE


@dataclass(frozen=True, slots=True)
class Service:
    """A service that a person signs in to, and what they are asked."""

    key: str
    name: str
    enough: int
    """How many answers must be right."""
    questions: tuple[Question, ...]

    def question(self, key: str) -> Question | None:
        return next((each for each in self.questions if each.key == key), None)


class _BadError(Exception):
    """What is wrong with the file, without its name."""


def catalogue() -> Mapping[str, Service]:
    """Every service by its key, in the order of the file.

    Raises config.BadSettingError, whose text is one sentence. A file is read once.
    """
    return _read(Path(config.settings.questions_file or SHIPPED))


@cache
def _read(path: Path) -> Mapping[str, Service]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8-sig"), parse_float=Decimal)
        found = {key: _service(key, table) for key, table in tables.items()}
        _check_services(list(found.values()))
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except tomllib.TOMLDecodeError as error:
        reason = f"is no TOML: {error}"
    except UnicodeDecodeError:
        reason = "is not in UTF-8"
    except _BadError as error:
        reason = str(error)
    else:
        return MappingProxyType(found)
    raise config.BadSettingError(f"PORTAL_QUESTIONS_FILE: {path} {reason}.")


_REQUIRED = {"key", "text", "kind"}
_OF_DATES = {"precision", "tolerance_days"}
_OF_TEXTS = {"shortest", "first", "words", "ignored"}
_OPTIONAL = {
    Kind.DATE: {"source", *_OF_DATES},
    Kind.MOMENT: {"source", "precision", "tolerance_minutes"},
    Kind.TEXT: {"source", *_OF_TEXTS},
    Kind.NUMBER: {"tolerance"},
    Kind.PHONE: {"source"},
    Kind.EMAIL: {"source"},
    Kind.LIST: {"of", "at_least", *_OF_DATES, *_OF_TEXTS},
    Kind.NOTE: set[str](),
}
_OF_LISTS = {Kind.DATE: _OF_TEXTS, Kind.TEXT: _OF_DATES}  # what a list of these does not take
_WHOLE_NUMBERS = {  # the least and the most of each; what is more is a slip of the pen
    "tolerance_days": (0, 366),
    "tolerance_minutes": (0, 24 * 60),
    "shortest": (2, 100),  # one letter is never an answer
    "first": (2, 100),
    "words": (1, 20),
    "at_least": (1, 100),
}


def _check_services(services: list[Service]) -> None:
    if not services:
        raise _BadError("has no service")
    _must_differ([each.name.casefold() for each in services], "two services of one name")


def _service(key: str, table: object) -> Service:
    _check_key(key, LONGEST_SERVICE_KEY, "a service")
    values = _values(table, f"[{key}]", {"name", "enough", "questions"}, set())
    listed = values["questions"]
    if not isinstance(listed, list):
        raise _BadError(f"must write the questions of [{key}] as [[{key}.questions]]")
    questions = tuple(_question(key, each) for each in listed)
    _must_differ([each.key for each in questions], f"two questions of one key in [{key}]")
    most = sum(each.counts for each in questions)
    if not most:
        raise _BadError(f"asks nothing in [{key}] that counts")
    return Service(
        key=key,
        name=_line(values["name"], f"[{key}] name"),
        enough=_whole(values["enough"], f"[{key}] enough", 1, most),
        questions=questions,
    )


def _question(service: str, table: object) -> Question:
    somewhere = f"[[{service}.questions]]"
    key = table.get("key") if isinstance(table, dict) else None
    where = f"{somewhere} {key}" if isinstance(key, str) else somewhere
    kind = Kind.NOTE
    if isinstance(table, dict) and "kind" in table:
        kind = Kind(_choice(table["kind"], list(Kind), f"{where} kind"))
    values = _values(table, where, _REQUIRED, _OPTIONAL[kind])
    _check_key(values["key"], LONGEST_QUESTION_KEY, f"a question in [{service}]")
    question = Question(
        key=values["key"],
        text=_line(values["text"], f"{where} text"),
        kind=kind,
        source=Source(_choice(values.get("source", "imported"), list(Source), f"{where} source")),
        precision=_precision(values, kind, where),
        tolerance=_tolerance(values.get("tolerance", 0), f"{where} tolerance"),
        ignored=_ignored(values.get("ignored", []), f"{where} ignored"),
        of=Kind(_choice(values.get("of", "text"), list(_OF_LISTS), f"{where} of")),
        **{
            name: _whole(values[name], f"{where} {name}", *limits)
            for name, limits in _WHOLE_NUMBERS.items()
            if name in values
        },
    )
    _check_whole(question, set(values), where)
    return question


def _check_whole(question: Question, given: set[str], where: str) -> None:
    """Raise for settings that are good alone and contradict each other."""
    if question.source is Source.OWN and question.kind not in OWN_RECORDS.get(question.key, set()):
        known = ", ".join(OWN_RECORDS)
        raise _BadError(f"has {where}, which our own records do not answer: they have {known}")
    if question.kind is Kind.LIST:
        useless = sorted(given & _OF_LISTS[question.of])
        if useless:
            raise _BadError(
                f"has {where} {useless[0]}, which a list of {question.of} does not take"
            )
    if question.first and question.words:
        raise _BadError(f"has {where} with both first and words")


def _values(table: object, where: str, required: set[str], optional: set[str]) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise _BadError(f"has {where}, which is no table")
    missing = sorted(required - set(table))
    unknown = sorted(set(table) - required - optional)
    if missing:
        raise _BadError(f"has {where} without {missing[0]}")
    if unknown:
        raise _BadError(f"has {where} {unknown[0]}, which is not known there")
    return table


def _check_key(key: object, longest: int, what: str) -> None:
    if not isinstance(key, str) or not KEY.fullmatch(key) or len(key) > longest:
        raise _BadError(
            f"has {what} with the key {key!r}; one begins with a small Latin letter and has "
            f"such letters, digits and _, {longest} at most"
        )


def _must_differ(values: list[str], what: str) -> None:
    if len(set(values)) < len(values):
        raise _BadError(f"has {what}")


def _line(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise _BadError(f"has {where}, which is no line of text")
    if len(value) > LONGEST_TEXT:
        raise _BadError(f"has {where} of more than {LONGEST_TEXT} characters")
    return value.strip()


def _whole(value: object, where: str, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:  # True is an int as well
        raise _BadError(f"has {where}, which must be a whole number from {least} to {most}")
    return value


def _choice(value: object, choices: list[Any], where: str) -> Any:
    if value not in choices:
        raise _BadError(f"has {where}, which must be one of: {', '.join(choices)}")
    return value


def _precision(values: dict[str, Any], kind: Kind, where: str) -> Precision:
    finest = Precision.MINUTE if kind is Kind.MOMENT else Precision.DAY
    choices = [each.name.lower() for each in Precision if each >= finest]
    chosen = _choice(values.get("precision", choices[0]), choices, f"{where} precision")
    return Precision[chosen.upper()]


def _tolerance(value: object, where: str) -> Decimal:
    number = Decimal(value) if isinstance(value, int | Decimal) else Decimal("NaN")
    if isinstance(value, bool) or not number.is_finite() or number < 0:
        raise _BadError(f"has {where}, which must be a number, 0 or more")
    return number


def _ignored(value: object, where: str) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _BadError(f"has {where}, which must be a list of words")
    return frozenset(word for each in value for word in words(each))
