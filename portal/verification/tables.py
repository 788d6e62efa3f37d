"""The rows behind verifications."""

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, text

from portal.database import Encrypted, Moment, metadata

verifications = Table(
    "verifications",
    metadata,
    Column("id", String(22), primary_key=True),
    Column("organisation_id", String(40), ForeignKey("organisations.id"), nullable=False),
    Column("record_id", Integer, ForeignKey("records.id"), nullable=False, index=True),
    Column("submitted_at", Moment, nullable=False),
    Column("submitted_by", String(22), ForeignKey("accounts.id"), nullable=False),
    Column("specialist_id", String(22), ForeignKey("accounts.id")),  # who works on it
    Column("taken_at", Moment),
    Column("ended_at", Moment),
    Column("outcome", String(10)),
    Column("remarks", Encrypted("verifications.remarks")),
    Column("reminded_at", Moment),  # when the specialists were told that it waits for long
    Index(None, "organisation_id", "submitted_at"),
    sqlite_with_rowid=False,
)
Index(
    "uq_verifications_open",
    verifications.c.organisation_id,
    unique=True,  # one at a time
    sqlite_where=text("ended_at IS NULL"),
    postgresql_where=text("ended_at IS NULL"),
)
Index(
    "ix_verifications_queue",
    verifications.c.submitted_at,
    sqlite_where=verifications.c.ended_at.is_(None),
    postgresql_where=verifications.c.ended_at.is_(None),
)
