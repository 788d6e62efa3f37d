"""The computer's number."""

from sqlalchemy import Boolean, Column, ForeignKey, Integer, LargeBinary, String, Table

from portal.database import Encrypted, Moment, metadata

diagnostics = Table(
    "diagnostics",
    metadata,
    Column("id", String(22), primary_key=True),
    Column("number", String(9), nullable=False, unique=True),
    Column("seal", LargeBinary(32), nullable=False, unique=True),  # SHA-256 of the cookie's token
    Column("account_id", String(22), ForeignKey("accounts.id")),  # who had typed the password
    Column("address", String(45), nullable=False),
    Column("agent", Encrypted("diagnostics.agent"), nullable=False),
    Column("scripts", Boolean, nullable=False, server_default="0"),  # whether they ran
    Column("clock_seconds", Integer),  # how far ahead of ours; None without scripts
    Column("made_at", Moment, nullable=False),
    Column("claimed_at", Moment),
    sqlite_with_rowid=False,
)
