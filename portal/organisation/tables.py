"""The rows behind organisations."""

from sqlalchemy import Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from portal.database import Encrypted, Moment, metadata

organisations = Table(
    "organisations",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("record_id", Integer),  # the current one; no foreign key, for each names the other
    Column("administrator_email", Encrypted("organisations.administrator_email"), nullable=False),
    Column("networks", Text, nullable=False),  # own secure channel, separated by spaces
    Column("created_at", Moment, nullable=False),
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
