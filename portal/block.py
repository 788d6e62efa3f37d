"""The block: who may into the operational part, and asking the administrator to open it.

The operational part belongs to others: a reverse proxy in front of it asks about each request
(`enter`). Nothing that was answered is kept, so a change is in force with the next request.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import bindparam, select, update

from portal import account, clock, confirmation, journal, limits, outbox, verification
from portal.account import OPERATIONAL, Account, Role
from portal.account.session import LIVE, Stage, live_values
from portal.account.tables import accounts, sessions
from portal.database import db
from portal.language import mark as _
from portal.limits import Limit
from portal.organisation import CONTACTS, Organisation, Status, is_open, memberships, organisations

SEEN_AFTER = timedelta(minutes=1)  # use of the operational part is not written down more often
A_DAY = timedelta(days=1)
ONE_A_DAY = (Limit(1, A_DAY),)


class Function(StrEnum):
    """A part of the operational part; its value is the last part of its address."""

    ORDERS = "orders"
    PACKAGES = "packages"


FUNCTION_NAMES = {
    Function.ORDERS: _("Заказ карт тахографа"),
    Function.PACKAGES: _("Формирование пакетов"),
}
# Which role has which: product.md names the roles and the functions, and leaves the map to us. The
# operational part has the last word: it is told the role with each request.
FUNCTIONS = {
    Role.OPERATOR: (Function.ORDERS,),
    Role.SENIOR_OPERATOR: (Function.ORDERS, Function.PACKAGES),
    Role.CONTROLLER: (Function.PACKAGES,),
    Role.MANAGER: (Function.ORDERS, Function.PACKAGES),
}


class Refusal(StrEnum):
    """Why somebody may not in."""

    NOBODY = "nobody"  # not signed in, or not all the way
    CLOSED = "closed"  # the organisation is blocked, or the role has nothing to do there


class Entry(NamedTuple):
    """Who may in."""

    session_id: str
    account_id: str
    role: Role
    organisation_id: str
    seen_at: datetime


class Step(StrEnum):
    """What comes next while it is the administrator's turn."""

    REMARKS = "remarks"  # the administrator mends what a specialist returned
    ERROR = "error"  # the administrator looks into an error that was reported
    REQUEST = "request"  # the administrator asks the responsible person to confirm
    REQUEST_AGAIN = "request_again"  # the same: the last request of this record has ended
    ANSWER = "answer"  # the responsible person confirms
    SENDING = "sending"  # the administrator sends it for verification


class Waits(NamedTuple):
    """What a blocked organisation waits for."""

    step: Step
    contacts: tuple[str, ...]  # `phone`, `email`: which are not confirmed


class Reminded(StrEnum):
    """What came of asking the administrator."""

    SENT = "sent"
    TOO_SOON = "too_soon"  # somebody of the organisation did within a day
    NOT_NOW = "not_now"  # it is not the administrator's turn


_ENTER = (
    select(
        sessions.c.id,
        sessions.c.stage,
        sessions.c.seen_at,
        accounts.c.id.label("account_id"),
        accounts.c.role,
        organisations.c.id.label("organisation_id"),
        organisations.c.status,
    )
    .join(accounts, accounts.c.id == sessions.c.account_id)
    .outerjoin(memberships, memberships.c.account_id == accounts.c.id)
    .outerjoin(organisations, organisations.c.id == memberships.c.organisation_id)
    .where(*LIVE)
    .limit(1)  # an operational user has one organisation, an administrator very many
)
_SEE = update(sessions).where(sessions.c.id == bindparam("of")).values(seen_at=bindparam("now"))


def enter(token: str) -> Entry | Refusal:
    """Whether the session of a token may into the operational part, by one statement."""
    row = db.one(_ENTER, **live_values(token))
    if row is None or row.stage != Stage.FULL:
        return Refusal.NOBODY
    if row.role not in OPERATIONAL or row.status is None or not is_open(Status(row.status)):
        return Refusal.CLOSED
    return Entry(row.id, row.account_id, Role(row.role), row.organisation_id, row.seen_at)


def is_due(entry: Entry) -> bool:
    """Whether use of the session has to be written down again."""
    return clock.now() >= entry.seen_at + SEEN_AFTER


def see(entry: Entry) -> None:
    """Note that the session is used."""
    db.execute(_SEE, {"of": entry.session_id, "now": clock.now()})


def waits_for(found: Organisation) -> Waits | None:
    """What keeps an organisation from the specialists; None if it is not its administrator's turn.

    It answers as the administrator's own page does.
    """
    if not found.is_administrators_turn:
        return None
    progress = confirmation.progress_of([found.id])[found.id]
    contacts = tuple(kind for kind in CONTACTS if kind not in progress.proved)
    last = progress.last
    if verification.is_as_returned(found, verification.last_one(found.id)):
        step = Step.REMARKS
    elif not contacts:
        step = Step.SENDING
    elif last and last.is_reported:
        step = Step.ERROR
    elif last and last.is_open:
        step = Step.ANSWER
    else:
        step = Step.REQUEST_AGAIN if last and last.is_current else Step.REQUEST
    return Waits(step, contacts)


def may_remind_at(organisation_id: str) -> datetime | None:
    """When the administrator may be reminded again; None if that is now."""
    return limits.free_at(_name(organisation_id), ONE_A_DAY)


def remind(found: Organisation, by: Account, address: object) -> Reminded:
    """Ask all administrators of an organisation by letter to open the operational part.

    Where none has an account, the address on record gets the letter.
    """
    waits = waits_for(found)
    if waits is None:
        return Reminded.NOT_NOW
    if may_remind_at(found.id):
        return Reminded.TOO_SOON
    words = {
        "id": found.id,
        "name": found.details.short_name,
        "asker": by.called,
        "status": str(found.status),
        "since": found.status_since.isoformat(),
        "step": str(waits.step),
        "contacts": list(waits.contacts),
    }
    administrators = account.administrators_of(found.id)
    for each in administrators:
        account.write(each, "block_reminder", **words)  # type: ignore[arg-type] # words alone
    if not administrators:
        outbox.post("email", "block_reminder", found.administrator_email, found.id, **words)  # type: ignore[arg-type] # as above
    limits.use(_name(found.id))
    journal.record(found.chain, "block.reminded", by.id, address)
    return Reminded.SENT


def _name(organisation_id: str) -> str:
    return f"block.reminded:{organisation_id}"
