"""The `portal` command. Exit status 2 and one sentence where the portal cannot start."""

import re
import signal
import sys
from contextlib import suppress
from errno import EDQUOT, ENOSPC
from typing import NoReturn

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
from portal.cli.group import drop_output, portal
from portal.database import Overtaken

__all__ = ["main", "portal"]

NOT_MADE = re.compile(
    r"unable to open database file|no such (table|column)|(relation|column) .* does not exist"
)

SERVERS = {"serve", "deliver", "run"}  # they know by themselves how to stop
ENDINGS = (signal.SIGTERM, signal.SIGHUP)
FULL = {ENOSPC, EDQUOT}

IS_IT_MADE = "Is PORTAL_DATABASE_URL right, and was it made by `portal database upgrade`?"


def main() -> None:
    """Run a command; a bad setting ends it with one sentence."""
    logs.configure()
    logs.take_over()
    if not SERVERS & set(sys.argv[1:2]):
        _tidy_up_when_stopped()
    try:
        portal()
    except config.BadSettingError as error:
        click.echo(f"portal: {error}", err=True)
        sys.exit(2)
    except keys.UnreadableError as error:
        click.echo(f"portal: {error}. Was a key taken out too early?", err=True)
        sys.exit(2)
    except OSError as error:
        if error.errno not in FULL:
            raise
        drop_output()
        with suppress(OSError):  # there may be no room for this either
            click.echo(f"portal: not all could be written ({error.strerror}).", err=True)
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


def _tidy_up_when_stopped() -> None:
    """Have who ends the command, or its terminal, leave no file half written."""

    def end(number: int, _frame: object) -> NoReturn:
        for each in ENDINGS:  # a second one would interrupt the tidying up
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    for each in ENDINGS:
        if signal.getsignal(each) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(each, end)
