"""The rows behind second factors."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Table

from portal.database import Encrypted, Moment, metadata

devices = Table(
    "devices",
    metadata,
    Column("id", String(22), primary_key=True),
    Column("account_id", String(22), ForeignKey("accounts.id"), nullable=False, index=True),
    Column("kind", String(10), nullable=False),  # totp or passkey
    Column("name", Encrypted("devices.name"), nullable=False),
    Column("secret", Encrypted("devices.secret")),  # of TOTP, base32; wiped when dropped
    Column("last_step", Integer),  # of TOTP: this one and those before it are used up
    Column("credential_id", LargeBinary(1023), unique=True),  # of a passkey
    Column("public_key", LargeBinary),
    Column("sign_count", BigInteger),
    Column("added_at", Moment, nullable=False),
    Column("used_at", Moment),
    Column("dropped_at", Moment),
    sqlite_with_rowid=False,
)

code_sets = Table(
    "code_sets",
    metadata,
    Column("id", String(22), primary_key=True),
    Column("account_id", String(22), ForeignKey("accounts.id"), nullable=False, index=True),
    Column("salt", LargeBinary(16), nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("dropped_at", Moment),
    sqlite_with_rowid=False,
)

backup_codes = Table(
    "backup_codes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("set_id", String(22), ForeignKey("code_sets.id"), nullable=False, index=True),
    Column("seal", LargeBinary(32), nullable=False),
    Column("made_at", Moment, nullable=False),
    Column("kept_at", Moment),  # when the person said to have written it down
    Column("used_at", Moment),
)
