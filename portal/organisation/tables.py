"""The rows behind organisations."""

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from portal.database import Encrypted, Moment, metadata

organisations = Table(
    "organisations",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("record_id", Integer),  # the current one; no foreign key, for each names the other
    Column("verified_record_id", Integer),  # the last one that a specialist verified
    Column("status", String(12), nullable=False, server_default="unverified"),
    Column("status_since", Moment, nullable=False),
    Column("administrator_email", Encrypted("organisations.administrator_email"), nullable=False),
    Column("networks", Text, nullable=False),  # own secure channel, separated by spaces
    Column("created_at", Moment, nullable=False),
    Index(None, "status", "id"),
)

records = Table(
    "records",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("organisation_id", ForeignKey("organisations.id"), nullable=False),
    Column("person", String(22), nullable=False),  # the same while the same person is meant
    Column("details", Encrypted("records.details"), nullable=False),
    Column("phone_fingerprint", LargeBinary(32), nullable=False),
    Column("email_fingerprint", LargeBinary(32), nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("made_by", String(80), nullable=False),
    Index(None, "organisation_id", "id"),
)

# What an organisation is found by: fingerprints of the words of its name, of ИНН and of its ID. A
# sole proprietor's name and ИНН are personal data, so no word stands here readable.
organisation_words = Table(
    "organisation_words",
    metadata,
    Column("word", LargeBinary(8), primary_key=True),
    Column("organisation_id", String(40), ForeignKey("organisations.id"), primary_key=True),
    Index(None, "organisation_id"),
    sqlite_with_rowid=False,
)

# Who belongs to which organisation. The status is a copy, so that an administrator of very many
# finds those of one status at once; `status.move` keeps both the same.
memberships = Table(
    "memberships",
    metadata,
    Column("account_id", String(22), ForeignKey("accounts.id"), primary_key=True),
    Column("organisation_id", String(40), ForeignKey("organisations.id"), primary_key=True),
    Column("status", String(12), nullable=False, server_default="unverified"),
    Column("since", Moment, nullable=False),
    Index(None, "organisation_id", "since"),
    Index(None, "account_id", "status", "organisation_id"),
    sqlite_with_rowid=False,
)

# An edit that has not taken effect: what one administrator typed, and the record it began from.
drafts = Table(
    "drafts",
    metadata,
    Column("organisation_id", String(40), ForeignKey("organisations.id"), primary_key=True),
    Column("account_id", String(22), ForeignKey("accounts.id"), primary_key=True),
    Column("record_id", Integer, ForeignKey("records.id"), nullable=False, index=True),
    Column("typed", Encrypted("drafts.typed"), nullable=False),
    Column("saved_at", Moment, nullable=False),
    sqlite_with_rowid=False,
)
