"""Migrations: bringing the database to this version's schema."""

import re
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from portal.database import db

HERE = Path(__file__).parent / "migrations"


@db.again
def upgrade() -> None:
    """Run the migrations that have not run yet, all or none of them, while others may work.

    None of a schema that is newer: this version was put back. Raises alembic.util.CommandError for
    one that is no version's.
    """
    settings = _settings()
    with db.migrating() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
        if found is not None and _is_newer(found):
            return
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")


def is_current() -> bool:
    """Whether the database has the schema of this version, or of a newer one.

    A newer one lets this version go on, so that a portal is upgraded while it runs: migrations
    only add what the version before can live with (docs/operating.md, «Upgrade»).
    """
    found = _current()
    return found is not None and (found == _newest() or _is_newer(found))


def is_there() -> bool:
    """Whether the database has a schema of the portal's at all."""
    return _current() is not None


def _is_newer(found: str) -> bool:
    """Whether it is the name of a version that this one does not know yet."""
    return re.fullmatch("[0-9]{4}", found) is not None and found > _newest()


def _current() -> str | None:
    return MigrationContext.configure(db.connection).get_current_revision()


@cache
def _newest() -> str:
    return ScriptDirectory.from_config(_settings()).get_current_head() or ""


def _settings() -> Config:
    settings = Config()
    settings.set_main_option("script_location", str(HERE).replace("%", "%%"))
    return settings
