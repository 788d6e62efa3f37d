"""How the worker sends the letters of campaigns: at a pace, one organisation after another.

Each organisation has its turn in a transaction of its own: it is judged as it stands at that
moment, asked, and what came of it is kept. So a worker that dies in between leaves the turn as if
it had never begun, and a campaign goes on where it was after any restart.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from portal import account, clock, config, confirmation, keys, metrics, organisation
from portal.account import Account, Role
from portal.campaign.campaign import Campaign, Outcome, State, read
from portal.campaign.course import move
from portal.campaign.tables import campaign_items, campaigns
from portal.database import db

ACTOR = "delivery"
SLICE = timedelta(seconds=1)  # how much of a delay is made up for

log = structlog.get_logger()

# The pace is one for the whole portal. Each turn fills it for a while, whatever becomes of its
# campaign: stopping one and starting it again, or another one, wins no letter.
_FREE_SINCE = select(func.max(campaigns.c.paced_until))
_DUE = (
    select(campaigns.c.id, campaigns.c.next_at)
    .where(campaigns.c.next_at <= bindparam("now"))
    # Lists of one administrator wait since the same moment: then whichever had its turn first.
    .order_by(campaigns.c.next_at, func.coalesce(campaigns.c.paced_until, campaigns.c.made_at))
    .limit(1)
)
_RUNNING = select(campaigns).where(
    campaigns.c.id == bindparam("of"), campaigns.c.state == State.RUNNING
)
_FILL = (
    update(campaigns)
    .where(campaigns.c.id == bindparam("of"))
    .values(paced_until=bindparam("until"))
)
# A turn is its owner's: whoever runs thirty lists gets no more of them than who runs one.
_own = campaigns.alias("own")
_CLAIM = (
    update(campaigns)
    .where(
        campaigns.c.account_id
        == select(_own.c.account_id).where(_own.c.id == bindparam("of")).scalar_subquery(),
        campaigns.c.next_at.is_not(None),
    )
    .values(next_at=bindparam("until"))
)
_NEXT = (
    select(campaign_items.c.place, campaign_items.c.organisation_id)
    .where(
        campaign_items.c.campaign_id == bindparam("of"),
        campaign_items.c.outcome == Outcome.WAITING,
    )
    .order_by(campaign_items.c.place)
    .limit(1)
)
_SETTLE = (
    update(campaign_items)
    .where(
        campaign_items.c.campaign_id == bindparam("of"),
        campaign_items.c.place == bindparam("at_place"),
        campaign_items.c.outcome == Outcome.WAITING,
    )
    .values(outcome=bindparam("to"), confirmation_id=bindparam("request"), at=bindparam("now"))
)
_COUNT = (
    update(campaigns)
    .where(campaigns.c.id == bindparam("of"))
    .values(handled=campaigns.c.handled + 1)
)


def continue_due() -> bool:
    """Let a campaign ask as many as the pace allows now; False if none may ask.

    The pace is `PORTAL_CAMPAIGN_PER_MINUTE` for all that run: whose turn was longest ago is next,
    of administrators and then of the lists of one.
    Any number of workers may call it.
    """
    with db.reading():
        if _next_turn(clock.now()) is None:
            return False
    id, most = _begin_turn()
    while most and _take_turn(id):
        most -= 1
    return True


class Turn(NamedTuple):
    """A campaign that may ask."""

    id: str
    since: datetime


@db.again
def _begin_turn() -> tuple[str, int]:
    """Take the turn of a campaign, and how many it may ask; none if another worker was first."""
    with db.writing():
        now = clock.now()
        turn = _next_turn(now)
        most = _claim(turn, now) if turn else 0
        db.commit()
    return turn.id if turn else "", most


def _next_turn(now: datetime) -> Turn | None:
    """Whose turn it is, if the pace allows a letter."""
    free_since = db.scalar(_FREE_SINCE)
    row = db.one(_DUE, now=now) if free_since is None or free_since <= now else None
    if row is None:
        return None
    return Turn(row.id, max(row.next_at, free_since or row.next_at, now - SLICE))


def _claim(turn: Turn, now: datetime) -> int:
    """How many it may ask now; after them the pace is filled until the next one may be asked."""
    pace = timedelta(minutes=1) / config.settings.campaign_per_minute
    most = (now - turn.since) // pace + 1
    claimed = {"of": turn.id, "until": turn.since + most * pace}
    db.execute(_FILL, claimed)
    db.execute(_CLAIM, claimed)
    return most


@db.again
def _take_turn(id: str) -> bool:
    """Ask the next organisation; False if there is none, or the campaign does not run any more."""
    with db.writing():
        row = db.one(_RUNNING, of=id)
        if row is None:
            return False
        known = read(row)
        owner = _owner_of(known)
        if owner is None:
            move(known, State.PAUSED, ACTOR)
            db.commit()
            return False
        item = db.one(_NEXT, of=id)
        if item is None:  # the last one failed while it was being paused, say
            move(known, State.DONE, ACTOR)
            db.commit()
            return False
        try:
            outcome, request = _ask(known, owner, item.organisation_id)
            _settle(known, item, outcome, request)
            db.commit()
        except SQLAlchemyError:  # the database is away: the turn comes again
            raise
        except Exception:
            log.exception("turn failed", campaign=id, place=item.place)
        else:
            return True
    with db.writing():  # what it began is undone; one bad record holds up no other
        _settle(known, item, Outcome.FAILED)
        db.commit()
    return True


def _owner_of(known: Campaign) -> Account | None:
    """In whose name it asks; None if that cannot be: then it is paused until they go on with it."""
    try:
        owner = account.find(known.account_id)
    except keys.UnreadableError:
        log.exception("owner cannot be read", campaign=known.id)
        return None
    if owner is None or owner.role is not Role.ADMINISTRATOR or owner.suspended_at:
        return None
    return owner


def _ask(known: Campaign, owner: Account, organisation_id: str) -> tuple[Outcome, str | None]:
    """Judge an organisation as it stands now, and ask."""
    found = organisation.find(organisation_id)
    if found is None or not account.is_of(owner, found.id):
        return Outcome.UNKNOWN, None
    if len(confirmation.proved(found)) == 2:
        return Outcome.CONFIRMED, None
    last = confirmation.last_request(found.id)
    if last and last.is_open and not known.renews:
        return Outcome.ASKED, None
    if last and last.is_reported:
        return Outcome.REPORTED, None
    if confirmation.may_request_at(found):
        return Outcome.OFTEN, None
    return Outcome.SENT, confirmation.request(found, owner.id)


def _settle(known: Campaign, item: Any, to: Outcome, request: str | None = None) -> None:
    """Keep what came of a turn; the last one ends the campaign."""
    values = {"of": known.id, "at_place": item.place, "to": to, "request": request}
    if not db.changed(_SETTLE, **values, now=clock.now()):
        return  # it had its turn meanwhile
    metrics.campaign_turns.note(to)
    db.execute(_COUNT, {"of": known.id})
    if db.one(_NEXT, of=known.id) is None:
        move(known, State.DONE, ACTOR)
