"""Room for the counters of passkeys: they have 32 bits, PostgreSQL's integer 31 and a sign."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":  # SQLite's have 64 anyway
        op.alter_column("devices", "sign_count", type_=sa.BigInteger())
