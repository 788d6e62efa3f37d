"""Migrations: bringing the database to this version's schema."""

from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from portal.database import db

HERE = Path(__file__).parent / "migrations"


def upgrade() -> None:
    """Run the migrations that have not run yet, each with its note of having run."""
    settings = _settings()
    with db.migrating() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")


def is_current() -> bool:
    """Whether the database has exactly the schema of this version."""
    return MigrationContext.configure(db.connection).get_current_revision() == _newest()


@cache
def _newest() -> str | None:
    return ScriptDirectory.from_config(_settings()).get_current_head()


def _settings() -> Config:
    settings = Config()
    settings.set_main_option("script_location", str(HERE).replace("%", "%%"))
    return settings
