"""The `portal` command. Exit status 2 and one sentence where the portal cannot start."""

import re
import sys

import click
from sqlalchemy.exc import DatabaseError, DataError, IntegrityError

from portal import config, keys, logs
from portal.cli import (  # noqa: F401 - they hang on
    accounts,
    confirmations,
    imports,
    restored,
    servers,
    sweep,
    upkeep,
)
from portal.cli.group import portal
from portal.database import Overtaken

__all__ = ["main", "portal"]

NOT_MADE = re.compile(
    r"unable to open database file|no such (table|column)|(relation|column) .* does not exist"
)

IS_IT_MADE = "Is PORTAL_DATABASE_URL right, and was it made by `portal database upgrade`?"


def main() -> None:
    """Run a command; a bad setting ends it with one sentence."""
    logs.configure()
    logs.take_over()
    try:
        portal()
    except config.BadSettingError as error:
        click.echo(f"portal: {error}", err=True)
        sys.exit(2)
    except keys.UnreadableError as error:
        click.echo(f"portal: {error}. Was a key taken out too early?", err=True)
        sys.exit(2)
    except Overtaken:
        click.echo("portal: others changed the same; nothing was done, do it again.", err=True)
        sys.exit(2)
    except (IntegrityError, DataError):
        raise  # what we wrote is wrong, not the database
    except DatabaseError as error:
        reason = str(error.orig).partition("\n")[0]
        advice = f" {IS_IT_MADE}" if NOT_MADE.search(reason) else ""
        click.echo(f"portal: the database cannot be used ({reason}).{advice}", err=True)
        sys.exit(2)
