"""A campaign: one administrator asks many organisations to confirm.

    choosing → draft ─the administrator starts it→ running ⇄ paused
    running ─all had their turn→ done; draft, running, paused ─the administrator→ cancelled

Its lines are judged when they are chosen, which the draft shows, and once more when each has its
turn. Nothing of it is sent in a request: the worker asks at the pace of a setting, which all that
run share.
"""

from portal.campaign.campaign import (
    STATE_NAMES,
    Campaign,
    Item,
    Outcome,
    State,
    Way,
    campaigns_of,
    counts,
    ends_at,
    find,
    items,
)
from portal.campaign.choosing import BATCH, Line, add, begin, may_begin_at, offer
from portal.campaign.course import Started, cancel, pause, resume, start
from portal.campaign.forgetting import forget_left
from portal.campaign.turns import continue_due

__all__ = [
    "BATCH",
    "STATE_NAMES",
    "Campaign",
    "Item",
    "Line",
    "Outcome",
    "Started",
    "State",
    "Way",
    "add",
    "begin",
    "campaigns_of",
    "cancel",
    "continue_due",
    "counts",
    "ends_at",
    "find",
    "forget_left",
    "items",
    "may_begin_at",
    "offer",
    "pause",
    "resume",
    "start",
]
