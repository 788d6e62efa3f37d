"""Lines that somebody began to read and never offered are nobody's: the worker forgets them."""

from datetime import timedelta

from sqlalchemy import bindparam, delete, select

from portal import clock
from portal.campaign.campaign import State
from portal.campaign.choosing import BATCH
from portal.campaign.tables import campaign_items, campaigns
from portal.database import db

LEFT_AFTER = timedelta(hours=1)  # far longer than a file takes to be read

_LEFT = (
    select(campaigns.c.id)
    .where(campaigns.c.state == State.CHOOSING, campaigns.c.made_at < bindparam("since"))
    .limit(1)
)
_SOME = (
    select(campaign_items.c.place)
    .where(campaign_items.c.campaign_id == bindparam("of"))
    .order_by(campaign_items.c.place)
    .limit(BATCH)
)
_FORGET_SOME = delete(campaign_items).where(
    campaign_items.c.campaign_id == bindparam("of"), campaign_items.c.place.in_(_SOME)
)
_FORGET = delete(campaigns).where(campaigns.c.id == bindparam("of"))


@db.again
def forget_left() -> bool:
    """Forget some lines of a campaign that was never offered, at last itself; False if none is."""
    with db.reading():
        if _left() is None:
            return False
    with db.writing():
        id = _left()
        if id is not None and not db.changed(_FORGET_SOME, of=id):
            db.execute(_FORGET, {"of": id})
        db.commit()
    return True


def _left() -> str | None:
    found: str | None = db.scalar(_LEFT, since=clock.now() - LEFT_AFTER)
    return found
