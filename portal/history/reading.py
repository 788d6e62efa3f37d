"""Reading the journal page after page, and the messages that left among its lines."""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import cache
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, select, tuple_

from portal import account, clock, journal
from portal.database import LARGEST, db, places
from portal.history.telling import Delivered, Known, Told, tell_line, tell_message
from portal.history.words import EVENTS, Kind
from portal.journal import Line
from portal.organisation import Details, records
from portal.outbox import messages
from portal.proofs import PUBLIC_ID

EXPORTED = 500  # lines that an export reads at a time
PLACE = re.compile(r"([0-9]{1,18})\.([0-9]{1,17})\.([A-Za-z0-9_-]{22}|~)")
AFTER_ALL_IDS = "~"  # follows every sign of an id


class Place(NamedTuple):
    """Where a page ended: below that number of the chain, and below that message."""

    number: int
    moment: datetime
    message: str

    @classmethod
    def read(cls, text: str) -> "Place | None":
        """What `written` wrote; None for anything else."""
        found = PLACE.fullmatch(text)
        if not found:
            return None
        moment = clock.of_number(int(found[2]))
        return cls(min(int(found[1]), LARGEST), moment, found[3])

    def written(self) -> str:
        return f"{self.number}.{clock.to_number(self.moment)}.{self.message}"


def of_organisation(
    id: str,
    *,
    most: int,
    before: str | None = None,
    kind: Kind | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Told]:
    """What happened to an organisation, newest first; what comes after the place `before`.

    Only what is of a kind, at `since` or later and before `until`, where these are given.
    """
    return _told(
        journal.of_organisation(id), "organisation_id", id, most, before, kind, since, until
    )


def of_account(
    id: str,
    *,
    most: int,
    before: str | None = None,
    kind: Kind | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Told]:
    """What happened to an account, in the same way."""
    return _told(journal.of_account(id), "account_id", id, most, before, kind, since, until)


def whole(page: Callable[..., list[Told]], id: str, **chosen: object) -> Iterator[Told]:
    """All that one of the two tells, read some lines at a time."""
    told = page(id, most=EXPORTED, **chosen)
    while told:
        yield from told
        told = page(id, most=EXPORTED, before=told[-1].place, **chosen)


def is_place(text: str) -> bool:
    """Whether a text can be the place of a line."""
    return Place.read(text) is not None


def _told(
    chain: str,
    owner: str,
    id: str,
    most: int,
    before: str | None,
    kind: Kind | None,
    since: datetime | None,
    until: datetime | None,
) -> list[Told]:
    place = Place.read(before) if before else None
    names = None if kind is None else [name for name in EVENTS if EVENTS[name].kind is kind]
    bounds = {"since": since, "until": until}
    number = place.number if place else None
    lines = journal.lines(chain, most=most, before=number, names=names, **bounds)
    left: list[Delivered] = []
    if kind in {None, Kind.MESSAGES}:
        left = _delivered(owner, id, most, place, since, until)
    # Lines go by number and messages by moment: each has a place of its own, so that nothing is
    # told twice or left out, even where the clock was put back.
    both: tuple[Iterable[Line | Delivered], ...] = lines, left
    found = list(islice(merge(*both, key=_at, reverse=True), most))
    known = _known([each for each in found if isinstance(each, Line)])
    number = number if number is not None else lines[0].number + 1 if lines else 0
    moment, message = (place.moment, place.message) if place else (None, AFTER_ALL_IDS)
    told = []
    for each in found:
        if isinstance(each, Line):
            number = each.number
            if moment is None or each.at < moment:
                moment, message = each.at, AFTER_ALL_IDS
            told.append(tell_line(each, known, Place(number, moment, message).written()))
        else:
            moment, message = each.at, each.id
            told.append(tell_message(each, Place(number, moment, message).written()))
    return told


def _at(each: Line | Delivered) -> datetime:
    return each.at


def _delivered(
    owner: str,
    id: str,
    most: int,
    place: Place | None,
    since: datetime | None,
    until: datetime | None,
) -> list[Delivered]:
    values: dict[str, object] = {"of": id, "most": most}
    values |= {"moment": place.moment, "message": place.message} if place else {}
    values |= {"since": since} if since else {}
    values |= {"until": until} if until else {}
    statement = _messages(owner, bool(place), since=bool(since), until=bool(until))
    return [Delivered(*row) for row in db.all(statement, **values)]


@cache
def _messages(owner: str, is_later: bool, *, since: bool, until: bool) -> Select[Any]:
    """The messages of an organisation or account that left; built once for these bounds."""
    at = messages.c.delivered_at
    found = select(
        messages.c.id,
        messages.c.channel,
        messages.c.letter,
        at,
        messages.c.received_at,
        messages.c.lost_at,
    ).where(messages.c[owner] == bindparam("of"), at.is_not(None))
    if is_later:
        end = tuple_(bindparam("moment", type_=at.type), bindparam("message"))
        found = found.where(tuple_(at, messages.c.id) < end)
    if since:
        found = found.where(at >= bindparam("since"))
    if until:
        found = found.where(at < bindparam("until"))
    return found.order_by(at.desc(), messages.c.id.desc()).limit(bindparam("most"))


def _known(lines: list[Line]) -> Known:
    """Names and records that the lines speak of, by one statement each."""
    people = {line.actor for line in lines if PUBLIC_ID.fullmatch(line.actor)}
    changes = [line for line in lines if line.name == "record.changed"]
    versions = {line.details.get(which, 0) for line in changes for which in ("old", "new")}
    return Known(
        account.names_of(people),
        {row.id: Details.read(row.details) for row in db.all_of(_records, versions)},
    )


@cache
def _records(count: int) -> Select[Any]:
    return select(records.c.id, records.c.details).where(records.c.id.in_(places(count)))
