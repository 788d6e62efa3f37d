"""Which way a message left, and what its receipt said."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

HAS_AN_ID = "gateway_id IS NOT NULL"


def upgrade() -> None:
    with op.batch_alter_table("messages", table_kwargs={"sqlite_with_rowid": False}) as batch_op:
        batch_op.add_column(sa.Column("gateway", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("received_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("lost_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(
            "ix_messages_gateway_id",
            ["gateway_id"],
            unique=False,
            sqlite_where=sa.text(HAS_AN_ID),
            postgresql_where=sa.text(HAS_AN_ID),
        )
