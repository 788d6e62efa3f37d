"""Commands for keys, the schema and the journal."""

import base64
import secrets
import sys
from pathlib import Path
from subprocess import CalledProcessError

import click
from alembic.util import CommandError
from tqdm import tqdm

from portal import create_app, journal, schema
from portal.cli.group import must_be_readable, portal, readable
from portal.database import db
from portal.journal import Stored


@portal.group("keys")
def keys_group() -> None:
    """Keys for the settings."""


@keys_group.command("new")
def new_key() -> None:
    """Print a fresh key for PORTAL_SECRET_KEY or PORTAL_DATA_KEYS."""
    click.echo(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())


@portal.group("database")
def database_group() -> None:
    """The database."""


@database_group.command()
def upgrade() -> None:
    """Bring the database to this version's schema, unless it has a newer one."""
    with create_app().app_context():
        try:
            schema.upgrade()
        except CommandError as error:
            click.echo(f"The schema is that of no version of the portal: {error}", err=True)
            sys.exit(2)


@database_group.command()
def check() -> None:
    """Exit status 1 for an older version's schema; 2 without a database, or a data key."""
    with create_app().app_context(), db.reading():
        current = schema.is_current()
        if current:
            must_be_readable()
    if not current:
        click.echo("The schema is not this version's: run `portal database upgrade`.", err=True)
        sys.exit(1)


@database_group.command()
@click.argument("file", type=click.Path(path_type=Path))
def backup(file: Path) -> None:
    """Write a consistent copy to a new file while the portal runs; others cannot read it."""
    with create_app().app_context():
        with db.reading():
            is_there = schema.is_there()
        if not is_there:
            click.echo("The database is empty: is PORTAL_DATABASE_URL right?", err=True)
            sys.exit(2)
        try:
            db.back_up(file)
        except FileExistsError as error:  # the file's own, or what a killed backup left beside it
            click.echo(f"{error.filename}: there is a file already.", err=True)
            sys.exit(2)
        except OSError as error:
            click.echo(f"{file}: {error.strerror or error}", err=True)
            sys.exit(2)
        except CalledProcessError:
            click.echo(f"{file}: pg_dump could not write it; its own words stand above.", err=True)
            sys.exit(2)


@portal.group("journal")
def journal_group() -> None:
    """The journal."""


@journal_group.command()
def verify() -> None:
    """Check the chains of events; exit status 1 and the first broken line if one is."""
    with readable(), db.reading():
        broken = journal.first_broken_line(_shown)
    if broken:
        click.echo(f"Цепочка {broken.chain} нарушена в строке {broken.number}.")
        sys.exit(1)
    click.echo("Журнал цел.")


def _shown(lines: Stored) -> Stored:
    """The lines as they come, and on a terminal how far they are and how fast."""
    return tqdm(lines, total=journal.length(), unit=" строк", disable=None)
