"""Lists of organisations: by their IDs, page after page, and those that a search finds."""

from functools import cache
from typing import Any

from sqlalchemy import FromClause, Select, bindparam, or_, select

from portal.database import db
from portal.organisation.organisation import SHOWN, Organisation, read
from portal.organisation.status import Status
from portal.organisation.tables import memberships, organisation_words, organisations, records
from portal.organisation.words import fingerprints, id_in, words_in


def search(
    typed: str = "",
    status: Status | None = None,
    *,
    of: str | None = None,
    after: str = "",
    most: int,
) -> list[Organisation]:
    """Organisations with these words and that status, by their IDs, those after the ID `after`.

    `of` is the id of an account whose organisations are meant; None: everybody's. Where nothing
    was typed, all are found; each word has to begin one of the name, or be the ИНН or the number
    of the ID, or all that was typed is the ID.
    """
    id = id_in(typed)
    words = words_in(typed)
    if id and not words:
        words = [id]
    if typed.strip() and not words:
        return []
    found: dict[str, object] = {"of": of} if of else {}
    found |= {"status": status} if status else {}
    # Who has that ID has each of the words, for one is as good as the other.
    whole = fingerprints(id) if id else ()
    spellings = [(*fingerprints(word), *whole) for word in words]
    for place, several in enumerate(spellings):
        for number, fingerprint in enumerate(several):
            found[f"word_{place}_{number}"] = fingerprint
    count = len(spellings[0]) if spellings else 0
    statement = _statement(len(words), count, of=bool(of), has_status=bool(status))
    return [read(row) for row in db.all(statement, after=after, most=most, **found)]


@cache
def _statement(words: int, spellings: int, *, of: bool, has_status: bool) -> Select[Any]:
    """The search with so many words, each in one of so many spellings; built once."""
    own = memberships.c
    id = own.organisation_id if of else organisations.c.id
    source: FromClause = organisations
    if of:
        source = memberships.join(organisations, organisations.c.id == own.organisation_id)
    source = source.join(records, records.c.id == organisations.c.record_id)
    narrowed = select(*SHOWN).select_from(source).where(id > bindparam("after"))
    if of:
        narrowed = narrowed.where(own.account_id == bindparam("of"))
    if has_status:
        status = own.status if of else organisations.c.status
        narrowed = narrowed.where(status == bindparam("status"))
    for place in range(words):
        narrowed = narrowed.where(id.in_(_having(place, spellings)))
    return narrowed.order_by(id).limit(bindparam("most"))


def _having(place: int, spellings: int) -> Select[Any]:
    """IDs of organisations with the word at that place of the search."""
    word = organisation_words.c.word
    known = [word == bindparam(f"word_{place}_{number}") for number in range(spellings)]
    return select(organisation_words.c.organisation_id).where(or_(*known))
