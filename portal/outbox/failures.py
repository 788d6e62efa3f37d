"""Messages that never left: who is told of them, and sending them again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import LargeBinary, bindparam, or_, select, tuple_, type_coerce, update

from portal import clock, journal, keys
from portal.database import db
from portal.gateways import Reason
from portal.outbox.delivering import chain_of
from portal.outbox.posting import TAKE_BACK, topic_of
from portal.outbox.tables import FAILED, HAS_AN_END, UNTOLD, State, messages, state_of

FEW = 10  # of an organisation; who wants more reads its journal
MOST_TOLD = 20  # at a time, so that no transaction is long
SETTLES = timedelta(minutes=3)  # a receipt, or who got it, may still say that it left after all


@dataclass(frozen=True, slots=True, repr=False)  # personal data stays out of tracebacks
class Failed:
    """A message that did not leave, and never will by itself. What it said is told to nobody."""

    id: str
    channel: str
    letter: str
    recipient: str
    organisation_id: str | None
    account_id: str | None
    about: str | None
    posted_at: datetime
    failed_at: datetime
    reason: Reason
    worth_until: datetime | None

    @property
    def may_be_sent_again(self) -> bool:
        """Whether its words are still there, and still worth something."""
        return self.worth_until is not None and self.worth_until > clock.now()


# Decrypted one by one: an address that nobody can read hides no other message.
_SHOWN = select(
    messages.c.id,
    messages.c.channel,
    messages.c.letter,
    type_coerce(messages.c.recipient, LargeBinary).label("recipient"),
    messages.c.organisation_id,
    messages.c.account_id,
    messages.c.about,
    messages.c.posted_at,
    messages.c.failed_at,
    messages.c.trouble,
    messages.c.worth_until,
)
_NEWEST = (
    _SHOWN.where(FAILED)
    .order_by(messages.c.failed_at.desc(), messages.c.id.desc())
    .limit(bindparam("most"))
)
_AFTER = _NEWEST.where(
    tuple_(messages.c.failed_at, messages.c.id)
    < tuple_(bindparam("at", type_=messages.c.failed_at.type), bindparam("id"))
)
_OF = (
    _SHOWN.where(FAILED, messages.c.organisation_id == bindparam("of"))
    .order_by(messages.c.posted_at.desc())
    .limit(bindparam("most"))
)
_STATE = select(messages.c.delivered_at, messages.c.failed_at, messages.c.trouble).where(
    messages.c.id == bindparam("of")
)
_IS_SETTLED = or_(
    messages.c.trouble != Reason.UNKNOWN, messages.c.failed_at <= bindparam("long_ago")
)
_UNTOLD = _SHOWN.where(UNTOLD, _IS_SETTLED).order_by(messages.c.failed_at).limit(MOST_TOLD)
_ANY_UNTOLD = select(messages.c.id).where(UNTOLD, _IS_SETTLED).limit(1)
_CLAIM_TELLING = (
    update(messages)
    .where(messages.c.id == bindparam("of"), UNTOLD)
    .values(told_at=bindparam("now"))
    .returning(messages.c.id)
)
_TOLD_ABOUT = select(messages.c.letter).where(
    messages.c.about == bindparam("of"),
    messages.c.channel == bindparam("by"),
    messages.c.told_at.is_not(None),
)
_SEND_AGAIN = (
    update(messages)
    .where(messages.c.id == bindparam("of"), FAILED, messages.c.worth_until > bindparam("now"))
    .values(
        due_at=bindparam("now"),
        posted_at=bindparam("now"),  # it is tried for as long as a new one
        attempts=0,
        tried_since=None,
        failed_at=None,
        trouble=None,
        told_at=None,
        lost_at=None,  # what a receipt said was of the try before
        gateway=None,
        gateway_id=None,
    )
    .returning(
        messages.c.letter, messages.c.channel, messages.c.organisation_id, messages.c.account_id
    )
)
_WORTHLESS = HAS_AN_END & (messages.c.worth_until <= bindparam("now"))
_ANY_WORTHLESS = select(messages.c.id).where(_WORTHLESS).limit(1)
_FORGET = TAKE_BACK.where(_WORTHLESS)


def failed(after: tuple[datetime, str] | None = None, *, most: int) -> list[Failed]:
    """What failed for good, newest first, from behind a moment and the id at it on."""
    if after is None:
        return [_read(row) for row in db.all(_NEWEST, most=most)]
    return [_read(row) for row in db.all(_AFTER, at=after[0], id=after[1], most=most)]


def failed_of(organisation_id: str, *, most: int = FEW) -> list[Failed]:
    """What failed for good of one organisation, newest first."""
    return [_read(row) for row in db.all(_OF, of=organisation_id, most=most)]


def state(id: str) -> State | None:
    """Where a message is now; None if there is no such."""
    row = db.one(_STATE, of=id)
    return state_of(*row) if row else None


def send_again(id: str, actor: str, address: object = "") -> bool:
    """Make a message due that failed for good; False if it did not, or is worth nothing by now.

    However many press at once, it leaves once.
    """
    sent = db.one(_SEND_AGAIN, of=id, now=clock.now())
    if sent is None:
        return False
    db.tell(topic_of(sent.channel))
    what = {"message": id, "letter": sent.letter, "channel": sent.channel}
    journal.record(chain_of(sent), "message.sent_again", actor, address, **what)
    return True


def has_untold() -> bool:
    """Whether a message of an organisation failed, and nobody has looked whom to tell.

    One of which nobody knows whether it left counts after a while.
    """
    return db.one(_ANY_UNTOLD, long_ago=clock.now() - SETTLES) is not None


def untold() -> list[Failed]:
    """Some of these messages, the oldest first."""
    return [_read(row) for row in db.all(_UNTOLD, long_ago=clock.now() - SETTLES)]


def claim_telling(id: str) -> bool:
    """Take it upon oneself to tell of a failed message; False if another worker has."""
    return db.one(_CLAIM_TELLING, of=id, now=clock.now()) is not None


def told_about(about: str, channel: str) -> set[str]:
    """The letters of this request that did not leave that way, and that were looked at already."""
    return {row.letter for row in db.all(_TOLD_ABOUT, of=about, by=channel)}


@db.again
def forget_worthless() -> bool:
    """Wipe what it makes no sense to send any more, failed or not; False: there was nothing."""
    now = clock.now()
    with db.reading():
        if db.one(_ANY_WORTHLESS, now=now) is None:
            return False
    with db.writing():
        db.execute(_FORGET, {"now": now})
        db.commit()
    return True


def _read(row: Any) -> Failed:
    try:
        recipient = keys.decrypt(row.recipient, "messages.recipient")
    except keys.UnreadableError:
        recipient = ""
    return Failed(
        id=row.id,
        channel=row.channel,
        letter=row.letter,
        recipient=recipient,
        organisation_id=row.organisation_id,
        account_id=row.account_id,
        about=row.about,
        posted_at=row.posted_at,
        failed_at=row.failed_at,
        reason=Reason(row.trouble),
        worth_until=row.worth_until,
    )
