"""Whether an answer is the true one, however it is spelled; and whether the answers are enough.

Nothing here says which answer was wrong, or what would have been right. That an answer cannot be
read at all may be said: it is so whatever the facts are.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from portal import checks
from portal.checks import BadValueError
from portal.recovery import dates
from portal.recovery.dates import Precision
from portal.recovery.questions import Kind, Question, Service
from portal.recovery.spelling import folded, words

LONGEST = 2000  # what is longer is no answer
MOST_ITEMS = 50  # nobody names more of them by phone
NUMBER = re.compile(r"([0-9]{1,15}|[0-9]{1,3}(?: [0-9]{3}){1,4})(?:[.,]([0-9]{1,6}))?")
BETWEEN_ITEMS = re.compile(r"[,;\n\r]")
AND = re.compile(r"\s+и\s+", re.IGNORECASE)  # between items as well, unless it is part of a name

Compared = tuple[Any, ...]
"""What a text or a date comes to: its words, or the days that it may mean; empty if nothing."""


def judge(service: Service, typed: Mapping[str, str], facts: Mapping[str, Sequence[str]]) -> bool:
    """Whether the answers are enough: as many are right as the service wants.

    `typed` and `facts` are by the keys of questions. What has no fact cannot be right.
    """
    right = sum(
        _is_known(question, typed.get(question.key, ""), facts.get(question.key, ()))
        for question in service.questions
    )
    return right >= service.enough


def _is_known(question: Question, typed: str, facts: Sequence[str]) -> bool:
    if question.kind is Kind.LIST:  # a fact may be one item or several
        return matches(question, typed, "\n".join(facts))
    return any(matches(question, typed, fact) for fact in facts)


def matches(question: Question, typed: str, fact: str) -> bool:
    """Whether what was typed says the same as a fact, as closely as the question wants."""
    if len(typed) > LONGEST:
        return False
    match question.kind:
        case Kind.DATE | Kind.TEXT:
            true = _compared(question, fact)
            return _is_true(question, true) and _says(question, _named(question, typed), true)
        case Kind.MOMENT:
            return _is_moment(question, typed, fact)
        case Kind.NUMBER:
            return _is_number(question, typed, fact)
        case Kind.PHONE:
            return _is_same(_phone(typed), _phone(fact))
        case Kind.EMAIL:
            return _is_same(_email(typed), _email(fact))
        case Kind.LIST:
            return _is_list(question, typed, fact)
        case Kind.NOTE:
            return False


def is_understood(question: Question, typed: str) -> bool:
    """Whether what was typed is a date, a number or whatever else is asked for: right or not."""
    match question.kind:
        case Kind.DATE:
            return bool(_named(question, typed))
        case Kind.MOMENT:
            return bool(dates.read(typed))
        case Kind.NUMBER:
            return _number(typed) is not None
        case Kind.PHONE:
            return _phone(typed) is not None
        case Kind.EMAIL:
            return _email(typed) is not None
        case Kind.LIST:
            return all(_named_items(question, typed, set())) or not _is_of_dates(question)
        case Kind.TEXT | Kind.NOTE:
            return True


def is_readable(question: Question, fact: str) -> bool:
    """Whether an answer can be compared with a fact at all."""
    match question.kind:
        case Kind.DATE | Kind.TEXT:
            return _is_true(question, _compared(question, fact))
        case Kind.MOMENT:
            return any(span.at for span in dates.read(fact))
        case Kind.NUMBER:
            return _number(fact) is not None
        case Kind.PHONE:
            return _phone(fact) is not None
        case Kind.EMAIL:
            return _email(fact) is not None
        case Kind.LIST:
            items = _items(question, fact)
            return bool(items) and all(_is_true(question, each) for each in items)
        case Kind.NOTE:
            return False


# Texts and dates, alone or in a list


def _compared(question: Question, text: str) -> Compared:
    if _is_of_dates(question):
        return dates.read(text)
    return tuple(word for word in words(text) if word not in question.ignored)


def _named(question: Question, typed: str) -> Compared:
    """What was typed comes to. Where a day is asked for, its year need not be said."""
    if _is_of_dates(question) and question.precision is Precision.DAY:
        return dates.read_near(typed)
    return _compared(question, typed)


def _is_true(question: Question, true: Compared) -> bool:
    """Whether a fact says enough to be compared with."""
    if _is_of_dates(question):
        return _day(true) is not None
    return len("".join(true)) >= max(question.shortest, question.first)


def _says(question: Question, named: Compared, true: Compared) -> bool:
    if _is_of_dates(question):
        return _is_date(question, named, true)
    return _is_text(question, named, true)


def _is_of_dates(question: Question) -> bool:
    return Kind.DATE in {question.kind, question.of}


def _is_text(question: Question, named: Compared, true: Compared) -> bool:
    said, whole = "".join(named), "".join(true)
    if len(said) < question.shortest:
        return False
    if question.first:
        return said == whole[: question.first]
    if question.words:
        return set(named) <= set(true) and len(set(named)) >= min(question.words, len(set(true)))
    return said == whole


def _is_date(question: Question, named: Compared, true: Compared) -> bool:
    day, spare = _day(true), timedelta(days=question.tolerance_days)
    return day is not None and any(
        span.precision <= question.precision and span.first - spare <= day <= span.last + spare
        for span in named
    )


def _day(true: Compared) -> date | None:
    """The one day of a fact, if it is so precise."""
    return true[0].first if true and true[0].precision <= Precision.DAY else None


def _is_list(question: Question, typed: str, fact: str) -> bool:
    """Whether enough items are named, and no more wrong ones than right ones.

    The second keeps out who names all that there may be.
    """
    true = {each for each in _items(question, fact) if _is_true(question, each)}
    named = _named_items(question, typed, true)
    if not true or len(named) > MOST_ITEMS:
        return False
    right = {each for each in named if any(_says(question, each, other) for other in true)}
    found = {each for each in true if any(_says(question, other, each) for other in named)}
    count = min(len(right), len(found))  # two spellings of one item are one
    wrong = len(named) - len(right)
    return count >= min(question.at_least, len(true)) and wrong <= count


def _items(question: Question, text: str) -> set[Compared]:
    return {_compared(question, each) for each in BETWEEN_ITEMS.split(text) if each.strip()}


def _named_items(question: Question, typed: str, true: set[Compared]) -> set[Compared]:
    listed = [each for each in BETWEEN_ITEMS.split(typed) if each.strip()]
    return {item for each in listed for item in _parted(question, AND.split(each), true)}


def _parted(question: Question, parts: list[str], true: set[Compared]) -> list[Compared]:
    """Items that «и» may stand between; «Рога и копыта» stays whole if it is right so."""
    items = []
    while parts:
        most = len(parts) if len(parts) <= MOST_ITEMS else 1
        for count in range(most, 0, -1):
            item = _named(question, " и ".join(parts[:count]))
            if count == 1 or any(_says(question, item, each) for each in true):
                items.append(item)
                parts = parts[count:]
                break
    return items


# The others


def _is_moment(question: Question, typed: str, fact: str) -> bool:
    true = next((span.at for span in dates.read(fact) if span.at), None)
    spare = timedelta(minutes=question.tolerance_minutes)
    return true is not None and any(
        abs(span.at - true) <= spare
        if span.at
        else span.precision <= question.precision and span.first <= true.date() <= span.last
        for span in dates.read(typed)
    )


def _is_number(question: Question, typed: str, fact: str) -> bool:
    named, true = _number(typed), _number(fact)
    return named is not None and true is not None and abs(named - true) <= question.tolerance


def _number(text: str) -> Decimal | None:
    found = NUMBER.fullmatch(folded(text))
    return Decimal(f"{found[1].replace(' ', '')}.{found[2] or 0}") if found else None


def _is_same(named: str | None, true: str | None) -> bool:
    return named is not None and named == true


def _phone(text: str) -> str | None:
    try:
        return checks.phone(text)
    except BadValueError:
        return None


def _email(text: str) -> str | None:
    try:
        return checks.email(text).casefold()
    except BadValueError:
        return None
