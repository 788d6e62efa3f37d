"""The words that an organisation is found by: those of its name, ИНН and ID.

They are kept as keyed fingerprints: a sole proprietor's name and ИНН are personal data. So that
the beginning of a word finds it, every beginning of 2 to 8 letters is kept. A number is found
whole, that of an ID with or without the zeros before it, and so is the ID itself.
"""

import re

from sqlalchemy import bindparam, delete, insert

from portal import checks, keys
from portal.database import db
from portal.organisation.record import Details
from portal.organisation.tables import organisation_words

BEGINNINGS = range(2, 9)
MOST_WORDS = 4  # of what was typed; more find nothing more
FINGERPRINT_BYTES = 8
# ORG-004217, also as «org 4217», in Russian letters, or by the same keys on the Russian layout.
# Other letters before a number may be a name.
ID_WITH_NUMBER = re.compile(r"(?:org|орг|щкп)[\s-]*(\d+)", re.IGNORECASE)
FORMS = frozenset(
    {
        *("ооо", "оао", "зао", "пао", "ао", "ип", "гуп", "муп"),
        *("общество", "с", "ограниченной", "ответственностью", "акционерное", "публичное"),
        *("закрытое", "открытое", "индивидуальный", "предприниматель"),
    }
)
"""Words that say only what kind of organisation it is."""

_ADD = insert(organisation_words)
_FORGET = delete(organisation_words).where(organisation_words.c.organisation_id == bindparam("of"))


def index(id: str, details: Details) -> None:
    """Keep what an organisation is found by, in place of what it was found by before."""
    db.execute(_FORGET, {"of": id})
    db.execute(_ADD, *rows(id, details))


def rows(id: str, details: Details) -> list[dict[str, object]]:
    """What is kept for an organisation."""
    return [
        {"word": fingerprints(word)[0], "organisation_id": id} for word in _words_of(id, details)
    ]


def words_in(typed: str) -> list[str]:
    """The words that a search looks for; none where nothing was typed that says anything."""
    id = ID_WITH_NUMBER.fullmatch(typed.strip())
    if id:
        return [id[1].lstrip("0") or id[1]]
    words = [each for each in _split(typed) if each not in FORMS]
    words = [each for each in words if len(each) >= BEGINNINGS[0] or each.isdigit()] or words
    cut = [each if each.isdigit() else each[: BEGINNINGS[-1]] for each in words]
    return list(dict.fromkeys(cut))[:MOST_WORDS]


def id_in(typed: str) -> str:
    """An ID by the spelling that it is found by, if what was typed may be one."""
    return _joined(typed) if checks.ORGANISATION_ID.fullmatch(typed.strip()) else ""


def fingerprints(word: str) -> tuple[bytes, ...]:
    """What a word is known by, under each data key."""
    return tuple(each[:FINGERPRINT_BYTES] for each in keys.fingerprints(word, "word"))


def _words_of(id: str, details: Details) -> set[str]:
    number = id[len(id.rstrip("0123456789")) :]
    found = {details.inn, _joined(id), number, number.lstrip("0")}
    for word in {*_split(details.name), *_split(details.short_name)} - FORMS:
        found |= {word} if word.isdigit() else {word[:length] for length in BEGINNINGS}
    return found - {""}


def _joined(id: str) -> str:
    return "".join(_split(id))


def _split(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold().replace("ё", "е"))
