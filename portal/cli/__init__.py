"""The `portal` command. Exit status 2 and one sentence where the portal cannot start."""

import sys

import click
from sqlalchemy.exc import OperationalError

from portal import config, keys, logs
from portal.cli import accounts, confirmations, imports, servers, upkeep  # noqa: F401 - they hang on
from portal.cli.group import portal

__all__ = ["main", "portal"]


def main() -> None:
    """Run a command; a bad setting ends it with one sentence."""
    logs.configure()
    try:
        portal()
    except config.BadSettingError as error:
        click.echo(f"portal: {error}", err=True)
        sys.exit(2)
    except keys.UnreadableError as error:
        click.echo(f"portal: {error}. Was a key taken out too early?", err=True)
        sys.exit(2)
    except OperationalError as error:
        click.echo(
            f"portal: the database cannot be used ({error.orig}). Was it made by "
            "`portal database upgrade`?",
            err=True,
        )
        sys.exit(2)
