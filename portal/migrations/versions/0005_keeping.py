"""What `portal sweep` needs: when wrong passwords were counted, and who refers to what may go."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Whoever deletes a row is asked by the database who refers to it.
REFERRED_TO = (
    ("cases", "diagnostics_id"),
    ("confirmations", "record_id"),
    ("drafts", "record_id"),
    ("proofs", "confirmation_id"),
    ("verifications", "record_id"),
)


def upgrade() -> None:
    op.add_column(
        "wrong_passwords", sa.Column("counted_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.execute("UPDATE wrong_passwords SET counted_at = CURRENT_TIMESTAMP")
    for table, column in REFERRED_TO:
        op.create_index(f"ix_{table}_{column}", table, [column])
