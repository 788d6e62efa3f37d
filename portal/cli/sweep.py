"""The command that deletes what is past its keeping time."""

import sys
import time

import click
from tqdm import tqdm

from portal import account, create_app, keeping
from portal.cli.group import ACTOR, portal
from portal.database import db
from portal.keeping import KEEPING, Key, Line

REST_SECONDS = 0.02  # between two batches, for whoever waits to write


@portal.command()
@click.option("--account", "email", metavar="EMAIL", help="Erase this suspended account now.")
def sweep(*, email: str | None) -> None:
    """Delete what is past its keeping time; once a day, while the portal runs."""
    with create_app().app_context():
        if email is not None:
            _erase(email)
            return
        lines = [line for line in KEEPING if line.over is not None]
        counts = [(line.what, _sweep(line)) for line in tqdm(lines, unit=" видов", disable=None)]
    found = [f"{what}: {count}" for what, count in counts if count]
    click.echo("\n".join(["Удалено:", *found]) if found else "Удалять нечего.")


def _sweep(line: Line) -> int:
    """Remove all of a line that is past its time, some rows at a time."""
    count, after = 0, None
    while True:
        with db.reading():
            keys = keeping.find(line, after)
        if not keys:
            return count
        for some in ([key] for key in keys) if line.is_noted else (keys,):
            count += _remove(line, some)
        time.sleep(REST_SECONDS)
        after = keys[-1]


@db.again
def _remove(line: Line, keys: list[Key]) -> int:
    """Remove these rows in a transaction of their own."""
    # Each statement asks itself whether it is right. A line of the journal follows the one before.
    with db.writing(shared=not line.is_noted):
        count = keeping.remove(line, keys)
        db.commit()
    return count


@db.again
def _erase(email: str) -> None:
    with db.writing():
        account.must_be_readable()
        found = account.find_by_email(email)
        if found is None:
            _end("Такой учётной записи нет.")
        elif found.suspended_at is None:
            _end("Сначала приостановите её: portal accounts change EMAIL --suspend")
        else:
            keeping.erase(found.id, ACTOR)
            db.commit()
    click.echo("Персональные данные учётной записи удалены.")


def _end(sentence: str) -> None:
    click.echo(sentence, err=True)
    sys.exit(1)
