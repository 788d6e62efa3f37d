"""How a campaign moves: the one guard that knows the map, the clock and the journal."""

from enum import StrEnum

from sqlalchemy import bindparam, func, select, update

from portal import clock, journal
from portal.campaign.campaign import Campaign, Outcome, State
from portal.campaign.tables import campaign_items, campaigns
from portal.database import db

MOVES = {
    State.DRAFT: frozenset({State.RUNNING, State.CANCELLED}),
    State.RUNNING: frozenset({State.PAUSED, State.CANCELLED, State.DONE}),
    State.PAUSED: frozenset({State.RUNNING, State.CANCELLED}),
    State.CANCELLED: frozenset[State](),
    State.DONE: frozenset[State](),
}
EVENTS = {
    State.PAUSED: "campaign.paused",
    State.CANCELLED: "campaign.cancelled",
    State.DONE: "campaign.done",
}


class Started(StrEnum):
    """What came of starting a campaign."""

    STARTED = "started"
    EMPTY = "empty"  # nobody would get a letter
    MOVED = "moved"  # it is no draft any more


_MOVE = (
    update(campaigns)
    .where(campaigns.c.id == bindparam("of"), campaigns.c.state == bindparam("seen"))
    .values(
        state=bindparam("to"),
        next_at=bindparam("due"),
        started_at=func.coalesce(
            campaigns.c.started_at, bindparam("due", type_=campaigns.c.started_at.type)
        ),
        ended_at=bindparam("end"),
    )
)
_OF_THIS = campaign_items.c.campaign_id == bindparam("of")
_RENEW = (
    update(campaign_items)
    .where(_OF_THIS, campaign_items.c.outcome == Outcome.ASKED)
    .values(outcome=Outcome.WAITING)
)
_COUNT = (
    select(func.count())
    .select_from(campaign_items)
    .where(_OF_THIS, campaign_items.c.outcome == Outcome.WAITING)
)
_PROMISE = (
    update(campaigns)
    .where(campaigns.c.id == bindparam("of"))
    .values(letters=_COUNT.scalar_subquery(), renews=bindparam("anew"))
)


def start(known: Campaign, address: object, *, renews: bool = False) -> Started:
    """Begin to send; with `renews` also to those whose earlier request is still open.

    Only those whom the draft named get a letter, and each is judged anew when it has its turn.
    """
    if known.state is not State.DRAFT:
        return Started.MOVED
    if renews:
        db.execute(_RENEW, {"of": known.id})
    if not db.scalar(_COUNT, of=known.id):
        return Started.EMPTY
    db.execute(_PROMISE, {"of": known.id, "anew": renews})
    return (
        Started.STARTED if move(known, State.RUNNING, known.account_id, address) else Started.MOVED
    )


def pause(known: Campaign, address: object) -> bool:
    """Let nothing leave until it goes on; False if that cannot be any more."""
    return move(known, State.PAUSED, known.account_id, address)


def resume(known: Campaign, address: object) -> bool:
    """Go on where it was paused; False if that cannot be any more."""
    return known.state is State.PAUSED and move(known, State.RUNNING, known.account_id, address)


def cancel(known: Campaign, address: object) -> bool:
    """Send nothing more, for good; what left stays. False if that cannot be any more."""
    return move(known, State.CANCELLED, known.account_id, address)


def move(known: Campaign, to: State, actor: str, address: object = "") -> bool:
    """The one way a campaign moves; False if it may not, or has moved meanwhile."""
    now = clock.now()
    values = {
        "of": known.id,
        "seen": known.state,
        "to": to,
        "due": now if to is State.RUNNING else None,
        "end": now if to in {State.CANCELLED, State.DONE} else None,
    }
    if to not in MOVES[known.state] or not db.changed(_MOVE, **values):
        return False
    begun = "campaign.started" if known.state is State.DRAFT else "campaign.resumed"
    chain = journal.of_account(known.account_id)
    journal.record(chain, EVENTS.get(to, begun), actor, address, campaign=known.id)
    return True
