"""Since when a message is tried, and an index of the recoveries that have not ended.

Workers that were away for hours give no message up at its first try.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("tried_since", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_cases_not_ended",
        "cases",
        ["number"],
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
