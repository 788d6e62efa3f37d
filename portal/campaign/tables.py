"""The rows behind campaigns."""

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, text

from portal.database import Encrypted, Moment, metadata

campaigns = Table(
    "campaigns",
    metadata,
    Column("id", String(22), primary_key=True),
    Column("account_id", String(22), ForeignKey("accounts.id"), nullable=False),
    Column("way", String(10), nullable=False),  # how its organisations were chosen
    Column("state", String(10), nullable=False),
    Column("renews", Boolean, nullable=False, server_default="0"),  # open requests, too
    Column("size", Integer, nullable=False, server_default="0"),  # lines in all
    Column("letters", Integer, nullable=False, server_default="0"),  # of these, to be asked
    Column("handled", Integer, nullable=False, server_default="0"),  # of those, had their turn
    Column("made_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("ended_at", Moment),
    Column("next_at", Moment),  # since when it waits for its next turn; set while it runs
    Column("paced_until", Moment, index=True),  # when its last turn leaves the pace to the next one
    Index(None, "account_id", "made_at"),
    Index(None, "state", "made_at"),
    sqlite_with_rowid=False,
)
Index(
    "ix_campaigns_due",
    campaigns.c.next_at,
    sqlite_where=text("next_at IS NOT NULL"),
    postgresql_where=text("next_at IS NOT NULL"),
)

# A line of a campaign, and what came of it. Lines that name none of the administrator's own
# organisations are kept as they stood, for the report: anything may be in a file, so nobody but
# its owner can read them.
campaign_items = Table(
    "campaign_items",
    metadata,
    Column("campaign_id", String(22), ForeignKey("campaigns.id"), primary_key=True),
    Column("place", Integer, primary_key=True),  # the line's number
    Column("organisation_id", String(40), ForeignKey("organisations.id")),
    Column("typed", Encrypted("campaign_items.typed")),
    Column("outcome", String(10)),
    Column("confirmation_id", String(22)),
    Column("at", Moment),  # when it had its turn
    Index(None, "campaign_id", "outcome", "place"),
    Index(None, "campaign_id", "organisation_id"),
    sqlite_with_rowid=False,
)
