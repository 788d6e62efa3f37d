"""The rows behind the recovery of a lost device."""

from sqlalchemy import (
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    UniqueConstraint,
    text,
)

from portal.database import Encrypted, Moment, metadata

cases = Table(
    "cases",
    metadata,
    Column("id", String(22), primary_key=True),
    Column("number", Integer, nullable=False, unique=True),  # by which people speak of it
    Column("account_id", String(22), ForeignKey("accounts.id"), nullable=False, index=True),
    Column("state", String(10), nullable=False),
    Column("service", String(20), nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("opened_by", String(22), ForeignKey("accounts.id"), nullable=False),
    Column(
        "specialist_id", String(22), ForeignKey("accounts.id")
    ),  # who works on it, or granted it
    Column("diagnostics_id", String(22), ForeignKey("diagnostics.id"), index=True),
    Column("answers", Encrypted("cases.answers")),  # as the caller gave them
    Column("decided_at", Moment),  # when the answers were enough
    Column("wait_until", Moment),
    Column("approved_by", String(22), ForeignKey("accounts.id")),
    Column("approved_at", Moment),
    Column("seal", LargeBinary(32)),  # of the one-time code
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("ended_at", Moment),
    Column("reason", String(30)),
    sqlite_with_rowid=False,
)
Index(
    "uq_cases_open",
    cases.c.account_id,
    unique=True,  # one at a time
    sqlite_where=text("ended_at IS NULL"),
    postgresql_where=text("ended_at IS NULL"),
)

Index(
    "ix_cases_not_ended",
    cases.c.number,
    sqlite_where=cases.c.ended_at.is_(None),
    postgresql_where=cases.c.ended_at.is_(None),
)

facts = Table(
    "facts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", String(22), ForeignKey("accounts.id"), nullable=False),
    Column("service", String(20), nullable=False),
    Column("question", String(40), nullable=False),
    Column("answer", Encrypted("facts.answer"), nullable=False),
    Column("fingerprint", LargeBinary(32), nullable=False),
    Column("imported_at", Moment, nullable=False),
    UniqueConstraint("account_id", "service", "question", "fingerprint"),
)
