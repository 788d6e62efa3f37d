"""The rows behind a confirmation."""

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

confirmations = Table(
    "confirmations",
    metadata,
    Column("id", String(22), primary_key=True),
    Column("organisation_id", ForeignKey("organisations.id"), nullable=False, index=True),
    Column("record_id", ForeignKey("records.id"), nullable=False, index=True),
    Column("state", String(10), nullable=False),
    Column("requested_at", Moment, nullable=False),
    Column("requested_by", String(80), nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("letter_id", ForeignKey("messages.id"), nullable=False),
    Column("wrong_codes", Integer, nullable=False, server_default="0"),  # in a row
    Column("paused_until", Moment),
    Column("report", Encrypted("confirmations.report")),
    sqlite_with_rowid=False,
)
Index(
    "uq_confirmations_open",
    confirmations.c.organisation_id,
    unique=True,  # a newer request retires the older one
    sqlite_where=text("state = 'open'"),
    postgresql_where=text("state = 'open'"),
)

codes = Table(
    "codes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("confirmation_id", ForeignKey("confirmations.id"), nullable=False, index=True),
    Column("message_id", ForeignKey("messages.id"), nullable=False),
    Column("seal", LargeBinary(32), nullable=False),
    Column("ordinal", Integer, nullable=False),  # of those sent in a row; sets the next wait
    Column("posted_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("again_at", Moment, nullable=False),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("used_at", Moment),
)

email_links = Table(
    "email_links",
    metadata,
    Column("id", String(22), primary_key=True),
    Column("confirmation_id", ForeignKey("confirmations.id"), nullable=False, index=True),
    Column("message_id", ForeignKey("messages.id"), nullable=False),
    Column("posted_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("again_at", Moment, nullable=False),
    Column("used_at", Moment),
    sqlite_with_rowid=False,
)

# That this person answered at this phone or email. A contact is confirmed when a proof of the
# same person and value exists: so changing the phone asks for the phone alone, another spelling
# for nothing, another person for both, and going back to an older record restores what was.
proofs = Table(
    "proofs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("organisation_id", ForeignKey("organisations.id"), nullable=False),
    Column("person", String(22), nullable=False),
    Column("kind", String(10), nullable=False),
    Column("fingerprint", LargeBinary(32), nullable=False),
    Column("value", Encrypted("proofs.value"), nullable=False),
    Column("confirmation_id", ForeignKey("confirmations.id"), nullable=False, index=True),
    Column("address", String(45), nullable=False),
    Column("confirmed_at", Moment, nullable=False),
    UniqueConstraint("organisation_id", "person", "kind", "fingerprint"),
)
