"""The rows behind accounts."""

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, String, Table

from portal.database import Encrypted, Moment, metadata

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(22), primary_key=True),
    Column("email", Encrypted("accounts.email"), nullable=False),
    Column("email_fingerprint", LargeBinary(32), nullable=False, unique=True),
    Column("name", Encrypted("accounts.name"), nullable=False),
    Column("phone", Encrypted("accounts.phone"), nullable=False),  # E.164, or empty
    Column("role", String(20), nullable=False),
    Column("password", String(200)),  # its Argon2id hash; None until it was chosen
    Column("created_at", Moment, nullable=False),
    Column("wrong_factors", Integer, nullable=False, server_default="0"),  # in a row
    Column("paused_until", Moment),
    Column("suspended_at", Moment),
    sqlite_with_rowid=False,
)

# What an account said before: a specialist may ask for it when a device was lost.
account_changes = Table(
    "account_changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("account_id", String(22), ForeignKey("accounts.id"), nullable=False, index=True),
    Column("field", String(10), nullable=False),  # name, email, phone or password
    Column("old", Encrypted("account_changes.old"), nullable=False),
    Column("changed_at", Moment, nullable=False),
)

# Links in letters: to an invitation, or to a new password.
account_links = Table(
    "account_links",
    metadata,
    Column("id", String(22), primary_key=True),
    Column("purpose", String(12), nullable=False),
    Column("account_id", String(22), ForeignKey("accounts.id"), index=True),  # None: nobody's
    Column("made_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("used_at", Moment),
    sqlite_with_rowid=False,
)

# Wrong passwords in a row, for every email that was typed: one that nobody has is paused, too.
wrong_passwords = Table(
    "wrong_passwords",
    metadata,
    Column("key", LargeBinary(32), primary_key=True),  # the email's fingerprint
    Column("count", Integer, nullable=False),
    Column("counted_at", Moment),  # when the last one was; so that it is not kept for ever
    Column("paused_until", Moment),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(22), primary_key=True),  # by which its owner can end it
    Column("seal", LargeBinary(32), nullable=False, unique=True),  # SHA-256 of the cookie's token
    Column("account_id", String(22), ForeignKey("accounts.id"), nullable=False, index=True),
    Column("stage", String(10), nullable=False),
    Column("factor", String(10)),  # totp, passkey or code
    Column("factor_at", Moment),  # when one was last asked for
    Column("begun_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("address", String(45), nullable=False),
    Column("agent", Encrypted("sessions.agent"), nullable=False),
    Column("wrong", Integer, nullable=False, server_default="0"),
    Column("link_id", String(22)),  # the invitation that opened it
    Column("case_id", String(22)),  # the recovery that opened it
    Column("pending", Encrypted("sessions.pending")),  # what its next step needs
    sqlite_with_rowid=False,
)
