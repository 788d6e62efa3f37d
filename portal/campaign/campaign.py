"""What a campaign and its lines are, and how they are found."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import and_, bindparam, case, func, select, tuple_

from portal import clock, config, outbox
from portal.campaign.tables import campaign_items, campaigns
from portal.confirmation.tables import confirmations
from portal.database import db
from portal.language import mark as _
from portal.organisation import Details, memberships, organisations, records


class State(StrEnum):
    """How far a campaign has come."""

    CHOOSING = "choosing"  # its lines are being read: nobody sees it yet
    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    CANCELLED = "cancelled"
    DONE = "done"


class Way(StrEnum):
    """How its organisations were chosen."""

    FOUND = "found"  # all that a search finds
    TYPED = "typed"
    FILE = "file"
    PICKED = "picked"  # one by one, on the list of organisations


class Outcome(StrEnum):
    """What comes of a line. All but `waiting` and `asked` are final."""

    WAITING = "waiting"  # is going to be asked
    SENT = "sent"
    CONFIRMED = "confirmed"
    ASKED = "asked"  # was asked before, and can still answer
    REPORTED = "reported"  # the person says that the record is wrong, and nobody mended it yet
    OFTEN = "often"  # was asked too often
    TWICE = "twice"
    UNKNOWN = "unknown"  # or somebody else's: both look the same
    UNREADABLE = "unreadable"
    FAILED = "failed"


OUTCOME_NAMES = {
    Outcome.WAITING: _("ждут очереди"),
    Outcome.SENT: _("запрос отправлен"),
    Outcome.CONFIRMED: _("всё уже подтверждено"),
    Outcome.ASKED: _("прежний запрос ещё действует"),
    Outcome.REPORTED: _("сообщили об ошибке"),
    Outcome.OFTEN: _("запросов было слишком много"),
    Outcome.TWICE: _("уже есть в этом списке"),
    Outcome.UNKNOWN: _("такой организации у вас нет"),
    Outcome.UNREADABLE: _("строку не прочитать"),
    Outcome.FAILED: _("ошибка портала"),
}
BY_STATE = {  # what a line that waits is called while the campaign does not run
    State.DRAFT: _("получат письмо"),
    State.CANCELLED: _("не отправлены: список отменён"),
}
STATE_NAMES = {
    State.DRAFT: _("не запущен"),
    State.RUNNING: _("письма уходят"),
    State.PAUSED: _("на паузе"),
    State.CANCELLED: _("отменён"),
    State.DONE: _("выполнен"),
}


@dataclass(frozen=True, slots=True)
class Campaign:
    """Requests to confirm that an administrator makes of many organisations at once."""

    id: str
    account_id: str
    way: Way
    state: State
    renews: bool
    size: int
    letters: int
    handled: int
    made_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    next_at: datetime | None
    paced_until: datetime | None

    @property
    def version(self) -> str:
        """A short word that changes whenever it moved, or one of its lines had its turn."""
        return f"{self.state}-{self.handled}"

    @property
    def left(self) -> int:
        """How many have not had their turn."""
        return self.letters - self.handled

    @property
    def is_over(self) -> bool:
        return self.state in {State.CANCELLED, State.DONE}

    def name_of(self, outcome: Outcome) -> str:
        """What came of a line, in marked words."""
        if outcome is Outcome.WAITING and self.state in BY_STATE:
            return BY_STATE[self.state]
        return OUTCOME_NAMES[outcome]


class Item(NamedTuple):
    """A line of a campaign."""

    place: int
    id: str  # the organisation's, or what stands in its place
    is_own: bool
    short_name: str
    outcome: Outcome
    at: datetime | None
    letter: outbox.State | None


_FIND = select(campaigns).where(
    campaigns.c.id == bindparam("of"), campaigns.c.state != State.CHOOSING
)
_MADE = tuple_(campaigns.c.made_at, campaigns.c.id)
_OF = (
    select(campaigns)
    .where(campaigns.c.account_id == bindparam("by"), campaigns.c.state != State.CHOOSING)
    .order_by(campaigns.c.made_at.desc(), campaigns.c.id.desc())
    .limit(bindparam("most"))
)
_OF_BEFORE = _OF.where(
    tuple_(bindparam("at", type_=campaigns.c.made_at.type), bindparam("id")) > _MADE
)
_COUNTS = (
    select(campaign_items.c.outcome, func.count().label("count"))
    .where(campaign_items.c.campaign_id == bindparam("of"))
    .group_by(campaign_items.c.outcome)
)
_LEFT = campaigns.c.letters - campaigns.c.handled
_BEFORE_ITS_LAST = select(
    func.sum(case((bindparam("own") > _LEFT, _LEFT), else_=bindparam("own")))
).where(campaigns.c.next_at.is_not(None))
# The name of an organisation that left the administrator's is not theirs to see any more.
_ITEMS = (
    select(
        campaign_items.c.place,
        campaign_items.c.organisation_id,
        campaign_items.c.typed,
        campaign_items.c.outcome,
        campaign_items.c.at,
        records.c.details,
        outbox.messages.c.id.label("letter_id"),
        outbox.messages.c.delivered_at,
        outbox.messages.c.failed_at,
        outbox.messages.c.trouble,
    )
    .outerjoin(
        memberships,
        and_(
            memberships.c.organisation_id == campaign_items.c.organisation_id,
            memberships.c.account_id == bindparam("by"),
        ),
    )
    .outerjoin(organisations, organisations.c.id == memberships.c.organisation_id)
    .outerjoin(records, records.c.id == organisations.c.record_id)
    .outerjoin(confirmations, confirmations.c.id == campaign_items.c.confirmation_id)
    .outerjoin(outbox.messages, outbox.messages.c.id == confirmations.c.letter_id)
    .where(
        campaign_items.c.campaign_id == bindparam("of"), campaign_items.c.place > bindparam("after")
    )
    .order_by(campaign_items.c.place)
    .limit(bindparam("most"))
)
_ITEMS_WITH = _ITEMS.where(campaign_items.c.outcome == bindparam("outcome"))


def find(id: str) -> Campaign | None:
    """The campaign of that id, once all its lines are read."""
    row = db.one(_FIND, of=id)
    return read(row) if row else None


def campaigns_of(account_id: str, before: Campaign | None = None, *, most: int) -> list[Campaign]:
    """An account's campaigns, the newest first; those older than `before`."""
    if before is None:
        return [read(row) for row in db.all(_OF, by=account_id, most=most)]
    older = db.all(_OF_BEFORE, by=account_id, most=most, at=before.made_at, id=before.id)
    return [read(row) for row in older]


def counts(campaign: Campaign) -> dict[Outcome, int]:
    """How many lines came to what."""
    return {Outcome(row.outcome): row.count for row in db.all(_COUNTS, of=campaign.id)}


def items(
    campaign: Campaign, outcome: Outcome | None = None, after: int = 0, *, most: int
) -> list[Item]:
    """Its lines in their order, those after the place `after`; all, or those with one outcome."""
    known = {"of": campaign.id, "by": campaign.account_id, "after": after, "most": most}
    rows = db.all(_ITEMS_WITH, **known, outcome=outcome) if outcome else db.all(_ITEMS, **known)
    return [_item(row) for row in rows]


def ends_at(campaign: Campaign) -> datetime:
    """When the last letter of one that runs leaves if nobody stops any, roughly.

    All that run take turns; those of who runs several at once take longer than the others.
    """
    letters = db.scalar(_BEFORE_ITS_LAST, own=campaign.left) or 0
    return clock.now() + timedelta(minutes=letters / config.settings.campaign_per_minute)


def read(row: Any) -> Campaign:
    """The campaign that a row of `campaigns` tells of."""
    values = {column.key: getattr(row, column.key) for column in campaigns.c}
    return Campaign(**values | {"way": Way(row.way), "state": State(row.state)})


def _item(row: Any) -> Item:
    letter = row.letter_id and outbox.state_of(row.delivered_at, row.failed_at, row.trouble)
    return Item(
        place=row.place,
        id=row.organisation_id or row.typed or "",
        is_own=row.details is not None,
        short_name=Details.read(row.details).short_name if row.details else "",
        outcome=Outcome(row.outcome),
        at=row.at,
        letter=letter or None,
    )
