"""One line of the journal, or one message that left, told as a sentence."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from portal import checks, clock, organisation
from portal.gateways import Reason
from portal.history.words import (
    ACTORS,
    ANOTHER_PERSON,
    CHANGED,
    CHANGED_MANY,
    CHANGED_ORGANISATION,
    CHANGED_PERSON,
    DELIVERED,
    DENIED,
    EVENTS,
    LETTERS,
    LOST,
    MAYBE_LEFT,
    NOT_SAID,
    OF_SMS,
    RECEIVED,
    RETURNED,
    RETURNED_TO,
    SMS,
    TAKEN_OVER,
    TROUBLES,
    UNKNOWN,
    VERIFIED_FROM,
    WORDS,
    Kind,
)
from portal.journal import Line
from portal.language import gettext as translated
from portal.organisation import ORGANISATION_FIELDS, PERSON_FIELDS, Details
from portal.recovery import REASONS
from portal.recovery.questions import catalogue

PLACEHOLDER = re.compile(r"%\((\w+)\)s")
NONE = "—"


class Told(NamedTuple):
    """One line for people. Messages have no number: they are in no chain."""

    number: int | None
    at: datetime
    sentence: str
    who: str
    address: str
    kind: Kind
    more: tuple[str, ...] = ()
    """What changed, one value each, where that is more than one sentence holds."""
    place: str = ""
    """What `before` is, for those that come after this one."""

    @property
    def day(self) -> str:
        return f"{self.at.astimezone(clock.MOSCOW):%d.%m.%Y}"

    @property
    def time(self) -> str:
        return f"{self.at.astimezone(clock.MOSCOW):%H:%M}"


class Delivered(NamedTuple):
    """A message that left."""

    id: str
    channel: str
    letter: str
    at: datetime
    received_at: datetime | None = None
    lost_at: datetime | None = None


class Known(NamedTuple):
    """What the ids of a page stand for."""

    names: dict[str, str]
    records: dict[int, Details]


def tell_message(message: Delivered, place: str) -> Told:
    titles = SMS if message.channel == "sms" else LETTERS
    sentence = DELIVERED[message.channel]
    if message.channel == "sms" and message.received_at:
        sentence = RECEIVED
    elif message.channel == "sms" and message.lost_at:
        sentence = LOST
    return Told(
        None,
        message.at,
        translated(sentence, letter=_word(titles, message.letter)),
        translated(ACTORS["delivery"]),
        "",
        Kind.MESSAGES,
        place=place,
    )


def tell_line(line: Line, known: Known, place: str) -> Told:
    who = known.names.get(line.actor) or _word(ACTORS, line.actor)
    sentence, more = _sentence(line, known)
    kind = EVENTS.get(line.name, UNKNOWN).kind
    return Told(line.number, line.at, sentence, who, line.address, kind, more, place)


def _sentence(line: Line, known: Known) -> tuple[str, tuple[str, ...]]:
    """A line in words, and what changed where that is more than one value."""
    if line.name == "record.changed":
        old, new = (known.records.get(line.details.get(which, 0)) for which in ("old", "new"))
        if old and new:
            is_another_person = bool(line.details.get("another_person"))
            return _change(old, new, is_another_person=is_another_person)
    text = EVENTS.get(line.name, UNKNOWN).sentence
    details = line.details | {"name": line.name, "to": line.name.partition(".")[2]}
    if line.name == "organisation.verified":
        text = VERIFIED_FROM.get(str(details.get("old")), text)
    elif line.name in RETURNED_TO and "verification" in details:
        text = RETURNED
    elif line.name == "verification.taken" and "instead_of" in details:
        text = TAKEN_OVER
    elif line.name == "message.failed" and details.get("reason") == Reason.UNKNOWN:
        text = MAYBE_LEFT[_channel(details)]
    elif line.name in OF_SMS and _channel(details) == "sms":
        text = OF_SMS[line.name]
    if details.get("letter") in SMS and _channel(details) == "sms":
        details |= {"letter": translated(SMS[details["letter"]])}
    values = {
        key: _in_words(line.name, key, details[key]) if key in details else NONE
        for key in PLACEHOLDER.findall(text)
    }
    return translated(text, **values), ()


def _channel(details: Mapping[str, object]) -> str:
    """By which way a message went; older lines do not say it of those that go by both."""
    is_sms = details.get("letter") in SMS.keys() - LETTERS.keys()
    return str(details.get("channel", "sms" if is_sms else "email"))


def _change(old: Details, new: Details, *, is_another_person: bool) -> tuple[str, tuple[str, ...]]:
    """What differs between two records."""
    changed = organisation.differences(old, new)
    if len(changed) == 1 and not is_another_person:
        return _one_change(CHANGED[changed[0]], changed[0], old, new), ()
    sentence = CHANGED_MANY
    if is_another_person:
        sentence = ANOTHER_PERSON
    elif not PERSON_FIELDS.keys() & set(changed):
        sentence = CHANGED_ORGANISATION
    elif not ORGANISATION_FIELDS.keys() & set(changed):
        sentence = CHANGED_PERSON
    labels = ORGANISATION_FIELDS | PERSON_FIELDS
    more = (
        _one_change("%(label)s: %(old)s → %(new)s", name, old, new, label=translated(labels[name]))
        for name in changed
    )
    return translated(sentence), tuple(more)


def _one_change(text: str, name: str, old: Details, new: Details, **values: str) -> str:
    return translated(text, old=_shown(old, name), new=_shown(new, name), **values)


def _shown(details: Details, name: str) -> str:
    value = str(getattr(details, name))
    if not value:
        return translated(NOT_SAID)
    return checks.display_phone(value) if name == "phone" else value


_REASONS: dict[str, Mapping[Any, str]] = {"message.failed": TROUBLES, "case.denied": DENIED}
"""Of what other lines give as their reason than the end of a case."""


def _in_words(name: str, key: str, value: Any) -> str:
    """A detail of a line as people say it; what has no words stands as it is."""
    if isinstance(value, list):
        return ", ".join(_in_words(name, key, each) for each in value)
    if key == "service":
        service = catalogue().get(value)
        return service.name if service else str(value)
    if key == "reason":
        words: Mapping[Any, str] = _REASONS.get(name, REASONS)
    elif name == "record.changed":
        words = ORGANISATION_FIELDS | PERSON_FIELDS
    else:
        words = WORDS.get(key, {})
    return _word(words, value)


def _word(words: Mapping[Any, str], value: Any) -> str:
    return translated(words[value]) if value in words else str(value)
