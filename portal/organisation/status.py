"""What an organisation's account may do, and the one way that changes.

    unverified ─the administrator sends→ submitted ─the specialist→ verified
    verified ─the administrator edits→ editing ─sends again→ resubmitted ─the specialist→ verified
    submitted → unverified, resubmitted → editing: returned with remarks, or the record changed
    editing → verified: the edit is discarded

product.md, «The organisation's account». What the operational users may do follows from the status
alone, by `is_open`; pages and forward-auth ask it.
"""

from enum import StrEnum

from sqlalchemy import bindparam, update

from portal import clock, journal
from portal.database import db
from portal.language import mark as _
from portal.organisation.tables import memberships, organisations


class Status(StrEnum):
    """How far an organisation is verified."""

    UNVERIFIED = "unverified"
    SUBMITTED = "submitted"
    VERIFIED = "verified"
    EDITING = "editing"
    RESUBMITTED = "resubmitted"


STATUS_NAMES = {
    Status.UNVERIFIED: _("Не проверена"),
    Status.SUBMITTED: _("Требует проверки"),
    Status.VERIFIED: _("Проверена"),
    Status.EDITING: _("Изменение реквизитов"),
    Status.RESUBMITTED: _("Требует повторной проверки"),
}
MOVES = {
    Status.UNVERIFIED: frozenset({Status.SUBMITTED}),
    Status.SUBMITTED: frozenset({Status.VERIFIED, Status.UNVERIFIED}),
    Status.VERIFIED: frozenset({Status.EDITING}),
    Status.EDITING: frozenset({Status.RESUBMITTED, Status.VERIFIED}),
    Status.RESUBMITTED: frozenset({Status.VERIFIED, Status.EDITING}),
}
AFTER_A_CHANGE = {  # of the record, whoever made it
    Status.UNVERIFIED: Status.UNVERIFIED,
    Status.SUBMITTED: Status.UNVERIFIED,
    Status.VERIFIED: Status.EDITING,
    Status.EDITING: Status.EDITING,
    Status.RESUBMITTED: Status.EDITING,
}
OPEN = frozenset({Status.VERIFIED, Status.RESUBMITTED})
# Who has the next step; once it is verified, nobody has.
ADMINISTRATORS_TURN = frozenset({Status.UNVERIFIED, Status.EDITING})
SPECIALISTS_TURN = frozenset({Status.SUBMITTED, Status.RESUBMITTED})

_MOVE = (
    update(organisations)
    .where(organisations.c.id == bindparam("of"), organisations.c.status == bindparam("seen"))
    .values(status=bindparam("to"), status_since=bindparam("now"))
)
_COPY = (
    update(memberships)
    .where(memberships.c.organisation_id == bindparam("of"))
    .values(status=bindparam("to"))
)


class MovedError(Exception):
    """The status does not allow this move, or is another one by now."""


def is_open(status: Status) -> bool:
    """Whether the organisation's operational users may work."""
    return status in OPEN


def move(
    id: str, seen: Status, to: Status, actor: str, address: object = "", **details: object
) -> None:
    """The one way a status changes, in the running transaction. Raises MovedError."""
    if to not in MOVES[seen] or not db.changed(_MOVE, of=id, seen=seen, to=to, now=clock.now()):
        raise MovedError
    db.execute(_COPY, {"of": id, "to": to})
    journal.record(
        journal.of_organisation(id), f"organisation.{to}", actor, address, old=seen, **details
    )
