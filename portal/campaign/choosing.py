"""How the lines of a campaign are gathered, and judged before anything is sent.

They come in batches, each kept in a transaction of its own, so that a hundred thousand of them
hold up nobody for long. Judging a batch is one statement.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    case,
    exists,
    func,
    insert,
    select,
    update,
)

from portal import checks, clock, limits, proofs
from portal.account import Account
from portal.campaign.campaign import Campaign, Outcome, State, Way, find
from portal.campaign.tables import campaign_items, campaigns
from portal.checks import BadValueError
from portal.confirmation import IS_ASKED, IS_CONFIRMED, IS_REPORTED
from portal.database import db, places
from portal.limits import Limit
from portal.organisation import memberships, organisations

BATCH = 1000
OFTEN = (Limit(30, timedelta(hours=1)),)  # lists of one administrator: each may be very long
MOST_A_DAY = 500_000  # lines of one administrator's lists: five of the longest
LONGEST_SHOWN = 40  # of a line that names no organisation


class Line(NamedTuple):
    """A line of a list: its number, and what stands there; None: it cannot be read."""

    place: int
    text: str | None


_ADD = insert(campaigns)
_ADD_ITEM = insert(campaign_items)
_EARLIER = campaign_items.alias("earlier")
_IS_TWICE = exists(
    select(_EARLIER.c.place)
    .where(
        _EARLIER.c.campaign_id == campaign_items.c.campaign_id,
        _EARLIER.c.organisation_id == campaign_items.c.organisation_id,
        _EARLIER.c.place < campaign_items.c.place,
    )
    .correlate(campaign_items)
)


def _is(what: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether something is so of a line's organisation."""
    of_line = organisations.c.id == campaign_items.c.organisation_id
    return exists(select(organisations.c.id).where(of_line, what).correlate(campaign_items))


_JUDGE = (
    update(campaign_items)
    .where(
        campaign_items.c.campaign_id == bindparam("of"),
        campaign_items.c.place.between(bindparam("first"), bindparam("last")),
        campaign_items.c.outcome.is_(None),
    )
    .values(
        outcome=case(
            (_IS_TWICE, Outcome.TWICE),
            (_is(IS_CONFIRMED), Outcome.CONFIRMED),
            (_is(IS_ASKED), Outcome.ASKED),
            (_is(IS_REPORTED), Outcome.REPORTED),
            else_=Outcome.WAITING,
        )
    )
)
_RECENT = (
    select(campaigns.c.made_at, campaigns.c.size)
    .where(campaigns.c.account_id == bindparam("of"), campaigns.c.made_at > bindparam("since"))
    .order_by(campaigns.c.made_at.desc())
)
_OF_THIS = campaign_items.c.campaign_id == bindparam("of")
_SIZE = select(func.count()).select_from(campaign_items).where(_OF_THIS)
_LETTERS = _SIZE.where(campaign_items.c.outcome == Outcome.WAITING)
_OFFER = (
    update(campaigns)
    .where(campaigns.c.id == bindparam("of"), campaigns.c.state == State.CHOOSING)
    .values(
        state=State.DRAFT,
        made_at=bindparam("now"),
        size=_SIZE.scalar_subquery(),
        letters=_LETTERS.scalar_subquery(),
    )
)


def may_begin_at(owner: Account) -> datetime | None:
    """When an administrator may choose the next list, or None if that is now."""
    ends = limits.free_at(_name(owner), OFTEN), _enough_lines_until(owner)
    return max(filter(None, ends), default=None)


def _enough_lines_until(owner: Account) -> datetime | None:
    """Until when the lines of a day are chosen; None where more may be."""
    day, lines = timedelta(days=1), 0
    for row in db.all(_RECENT, of=owner.id, since=clock.now() - day):
        lines += row.size
        if lines >= MOST_A_DAY:
            return row.made_at + day
    return None


def begin(owner: Account, way: Way) -> str | None:
    """A campaign that nobody sees before it is offered; returns its id, None if none may begin."""
    if may_begin_at(owner):
        return None
    limits.use(_name(owner))
    id = proofs.new_public_id()
    values = {
        "id": id,
        "account_id": owner.id,
        "way": way,
        "state": State.CHOOSING,
        "made_at": clock.now(),
    }
    db.execute(_ADD, values)
    return id


def _name(owner: Account) -> str:
    return f"lists of {owner.id}"


def add(id: str, owner: Account, lines: Sequence[Line]) -> None:
    """Keep and judge some more lines, `BATCH` at most; their places are those after all earlier."""
    readable, own = _read(owner, lines)
    rows: list[dict[str, object]] = []
    for place, text in lines:
        is_own = readable[place] in own
        strange = Outcome.UNKNOWN if readable[place] else Outcome.UNREADABLE
        rows.append(
            {
                "campaign_id": id,
                "place": place,
                "organisation_id": readable[place] if is_own else None,
                "typed": None if is_own else (text or "")[:LONGEST_SHOWN],
                "outcome": None if is_own else strange,
            }
        )
    db.execute(_ADD_ITEM, *rows)
    first, last = lines[0].place, lines[-1].place
    db.execute(_JUDGE, {"of": id, "first": first, "last": last, "now": clock.now()})


def offer(id: str) -> Campaign:
    """All lines are there: its owner may look at them, and start."""
    offered = db.changed(_OFFER, of=id, now=clock.now())
    found = find(id)
    assert offered, "it is offered once"
    assert found, "it was there a moment ago"
    return found


def _read(owner: Account, lines: Sequence[Line]) -> tuple[dict[int, str], set[str]]:
    """The ID of each line by its place, and those that are one's own.

    What is nobody's own in lower case is taken for the ID in capitals, if that is.
    """
    readable = {line.place: _id_in(line) for line in lines}
    own = _own(owner, set(readable.values()))
    raised = {
        place: id.upper() for place, id in readable.items() if id not in own and id != id.upper()
    }
    if raised:
        own_raised = _own(owner, set(raised.values()))
        readable |= {place: id for place, id in raised.items() if id in own_raised}
        own |= own_raised
    return readable, own


def _own(owner: Account, ids: Collection[str]) -> set[str]:
    """Those of some IDs, `BATCH` at most, that are one's own."""
    return {row.organisation_id for row in db.all_of(_own_of_these, ids, by=owner.id)}


@cache
def _own_of_these(count: int) -> Select[Any]:
    return select(memberships.c.organisation_id).where(
        memberships.c.account_id == bindparam("by"),
        memberships.c.organisation_id.in_(places(count)),
    )


def _id_in(line: Line) -> str:
    """The ID that a line names, or nothing."""
    try:
        return checks.organisation_id(line.text or "")
    except BadValueError:
        return ""
