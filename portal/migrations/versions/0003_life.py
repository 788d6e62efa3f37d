"""The organisation's life: statuses, edits, verifications, campaigns, and who is suspended."""

import sqlalchemy as sa
from alembic import op

from portal import keys
from portal.organisation import Details, words

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEPT_AT_ONCE = 1000
FAILED = "failed_at IS NOT NULL AND trouble != 'withdrawn'"
UNTOLD = f"{FAILED} AND told_at IS NULL AND organisation_id IS NOT NULL"


def upgrade() -> None:
    _organisations()
    _memberships()
    _drafts()
    _verifications()
    _campaigns()
    _others()


def _organisations() -> None:
    with op.batch_alter_table("organisations", schema=None) as batch_op:
        batch_op.add_column(sa.Column("verified_record_id", sa.Integer(), nullable=True))
        batch_op.add_column(
            sa.Column("status", sa.String(length=12), server_default="unverified", nullable=False)
        )
        batch_op.add_column(sa.Column("status_since", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE organisations SET status_since = created_at")
    with op.batch_alter_table("organisations", schema=None) as batch_op:
        batch_op.alter_column("status_since", existing_type=sa.DateTime(), nullable=False)
        batch_op.create_index(
            batch_op.f("ix_organisations_status_id"), ["status", "id"], unique=False
        )
    op.create_table(
        "organisation_words",
        sa.Column("word", sa.LargeBinary(length=8), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_organisation_words_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("word", "organisation_id", name=op.f("pk_organisation_words")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("organisation_words", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_organisation_words_organisation_id"), ["organisation_id"], unique=False
        )
    _index_words()


def _index_words() -> None:
    """Make the organisations that are there findable."""
    table = sa.table("organisation_words", sa.column("word"), sa.column("organisation_id"))
    there = op.get_bind().execute(
        sa.text(
            "SELECT organisations.id, records.details FROM organisations "
            "JOIN records ON records.id = organisations.record_id"
        )
    )
    for some in there.partitions(KEPT_AT_ONCE):
        rows: list[dict[str, object]] = []
        for id, stored in some:
            rows += words.rows(id, Details.read(keys.decrypt(stored, "records.details")))
        op.bulk_insert(table, rows)


def _memberships() -> None:
    with op.batch_alter_table("memberships", table_kwargs={"sqlite_with_rowid": False}) as batch_op:
        batch_op.add_column(
            sa.Column("status", sa.String(length=12), server_default="unverified", nullable=False)
        )
        batch_op.drop_index(batch_op.f("ix_memberships_organisation_id"))
        batch_op.create_index(
            batch_op.f("ix_memberships_organisation_id_since"),
            ["organisation_id", "since"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_memberships_account_id_status_organisation_id"),
            ["account_id", "status", "organisation_id"],
            unique=False,
        )


def _drafts() -> None:
    op.create_table(
        "drafts",
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=22), nullable=False),
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("typed", sa.LargeBinary(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_drafts_account_id")),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_drafts_organisation_id")
        ),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name=op.f("fk_drafts_record_id")),
        sa.PrimaryKeyConstraint("organisation_id", "account_id", name=op.f("pk_drafts")),
        sqlite_with_rowid=False,
    )


def _verifications() -> None:
    op.create_table(
        "verifications",
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=False),
        sa.Column("record_id", sa.Integer(), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_by", sa.String(length=22), nullable=False),
        sa.Column("specialist_id", sa.String(length=22), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=10), nullable=True),
        sa.Column("remarks", sa.LargeBinary(), nullable=True),
        sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"], ["organisations.id"], name=op.f("fk_verifications_organisation_id")
        ),
        sa.ForeignKeyConstraint(
            ["record_id"], ["records.id"], name=op.f("fk_verifications_record_id")
        ),
        sa.ForeignKeyConstraint(
            ["specialist_id"], ["accounts.id"], name=op.f("fk_verifications_specialist_id")
        ),
        sa.ForeignKeyConstraint(
            ["submitted_by"], ["accounts.id"], name=op.f("fk_verifications_submitted_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verifications")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("verifications", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_verifications_organisation_id_submitted_at"),
            ["organisation_id", "submitted_at"],
            unique=False,
        )
        batch_op.create_index(
            "uq_verifications_open",
            ["organisation_id"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )
        batch_op.create_index(
            "ix_verifications_queue",
            ["submitted_at"],
            unique=False,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )


def _campaigns() -> None:
    op.create_table(
        "campaigns",
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("account_id", sa.String(length=22), nullable=False),
        sa.Column("way", sa.String(length=10), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("renews", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("size", sa.Integer(), server_default="0", nullable=False),
        sa.Column("letters", sa.Integer(), server_default="0", nullable=False),
        sa.Column("handled", sa.Integer(), server_default="0", nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paced_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_campaigns_account_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("campaigns", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_campaigns_account_id_made_at"), ["account_id", "made_at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_campaigns_paced_until"), ["paced_until"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_campaigns_state_made_at"), ["state", "made_at"], unique=False
        )
        batch_op.create_index(
            "ix_campaigns_due",
            ["next_at"],
            unique=False,
            sqlite_where=sa.text("next_at IS NOT NULL"),
            postgresql_where=sa.text("next_at IS NOT NULL"),
        )
    op.create_table(
        "campaign_items",
        sa.Column("campaign_id", sa.String(length=22), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("organisation_id", sa.String(length=40), nullable=True),
        sa.Column("typed", sa.LargeBinary(), nullable=True),
        sa.Column("outcome", sa.String(length=10), nullable=True),
        sa.Column("confirmation_id", sa.String(length=22), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["campaign_id"], ["campaigns.id"], name=op.f("fk_campaign_items_campaign_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_campaign_items_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("campaign_id", "place", name=op.f("pk_campaign_items")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("campaign_items", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_campaign_items_campaign_id_outcome_place"),
            ["campaign_id", "outcome", "place"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_campaign_items_campaign_id_organisation_id"),
            ["campaign_id", "organisation_id"],
            unique=False,
        )


def _others() -> None:
    with op.batch_alter_table("accounts", table_kwargs={"sqlite_with_rowid": False}) as batch_op:
        batch_op.add_column(sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("messages", table_kwargs={"sqlite_with_rowid": False}) as batch_op:
        batch_op.add_column(sa.Column("told_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("worth_until", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(
            batch_op.f("ix_messages_organisation_id_posted_at"),
            ["organisation_id", "posted_at"],
            unique=False,
        )
        for name, columns, which in (
            ("failed", ["failed_at", "id"], FAILED),
            ("untold", ["failed_at"], UNTOLD),
            ("worth", ["worth_until"], "worth_until IS NOT NULL"),
        ):
            batch_op.create_index(
                f"ix_messages_{name}",
                columns,
                unique=False,
                sqlite_where=sa.text(which),
                postgresql_where=sa.text(which),
            )
    # What failed before there were letters about it is told to nobody.
    op.execute("UPDATE messages SET told_at = failed_at WHERE failed_at IS NOT NULL")
