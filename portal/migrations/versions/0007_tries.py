"""Since when a message is tried: workers that were away for hours give none up at its first try."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("tried_since", sa.DateTime(timezone=True)))
