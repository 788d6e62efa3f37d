"""The rows of messages, and what the columns of one add up to."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, and_, literal_column

from portal.database import Encrypted, Moment, metadata

messages = Table(
    "messages",
    metadata,
    Column("id", String(22), primary_key=True),
    Column("organisation_id", ForeignKey("organisations.id")),  # whom it is about: one, or nobody
    Column("account_id", String(22), ForeignKey("accounts.id"), index=True),
    Column("about", String(22), index=True),  # the request that it serves
    Column("channel", String(10), nullable=False),
    Column("letter", String(40), nullable=False),
    Column("recipient", Encrypted("messages.recipient"), nullable=False),
    Column("words", Encrypted("messages.words")),
    Column("posted_at", Moment, nullable=False),
    Column("useful_until", Moment),
    Column("due_at", Moment),  # None: nothing more to do
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("tried_since", Moment),  # its first try: workers may have been away before
    Column("delivered_at", Moment),
    Column("failed_at", Moment),
    Column("trouble", String(20)),
    Column("gateway", String(20)),  # which way it left: gateways.Gateway.way
    Column("gateway_id", String(200)),
    Column("received_at", Moment),  # the phone has it, says its receipt
    Column("lost_at", Moment),  # the operator took it, and said later that nobody received it
    Column("told_at", Moment),  # when it was looked at, whom to tell that it never left
    Column("worth_until", Moment),  # what failed can be sent again until then; nothing leaves after
    Index(None, "organisation_id", "posted_at"),
    sqlite_with_rowid=False,
)
Index(
    "ix_messages_due",
    messages.c.channel,
    messages.c.due_at,
    sqlite_where=messages.c.due_at.is_not(None),
    postgresql_where=messages.c.due_at.is_not(None),
)

PERSONS = frozenset({"confirmation", "reminder", "email_link", "code"})
"""Messages to an organisation's responsible person; others about it go to its administrator."""

# What failed for good, but for what was withdrawn: each request that ends withdraws its reminders.
# Written out, for an index of some rows serves only who names the same ones.
FAILED = and_(
    messages.c.failed_at.is_not(None), messages.c.trouble != literal_column("'withdrawn'")
)
UNTOLD = and_(FAILED, messages.c.told_at.is_(None), messages.c.organisation_id.is_not(None))
HAS_AN_ID = messages.c.gateway_id.is_not(None)
HAS_AN_END = messages.c.worth_until.is_not(None)
Index(
    "ix_messages_failed",
    messages.c.failed_at,
    messages.c.id,
    sqlite_where=FAILED,
    postgresql_where=FAILED,
)
Index("ix_messages_untold", messages.c.failed_at, sqlite_where=UNTOLD, postgresql_where=UNTOLD)
Index(
    "ix_messages_gateway_id",
    messages.c.gateway_id,
    sqlite_where=HAS_AN_ID,
    postgresql_where=HAS_AN_ID,
)
Index(
    "ix_messages_worth",
    messages.c.worth_until,
    sqlite_where=HAS_AN_END,
    postgresql_where=HAS_AN_END,
)


class State(StrEnum):
    """Where a message is, as a page tells it."""

    WAITING = "waiting"
    TROUBLED = "troubled"  # tried in vain, and will be tried again
    DELIVERED = "delivered"  # somebody took it who brings it on
    RECEIVED = "received"  # and says that it arrived
    LOST = "lost"  # or that it never will
    FAILED = "failed"


def state_of(
    delivered_at: datetime | None,
    failed_at: datetime | None,
    trouble: str | None,
    received_at: datetime | None = None,
    lost_at: datetime | None = None,
) -> State:
    """The state that a message's columns add up to.

    Who shows no more than whether it left, leaves the last two out.
    """
    if received_at:
        return State.RECEIVED
    if lost_at:
        return State.LOST
    if delivered_at:
        return State.DELIVERED
    if failed_at:
        return State.FAILED
    return State.TROUBLED if trouble else State.WAITING
