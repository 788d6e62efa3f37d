"""The command that the others hang on."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from portal import account, create_app
from portal.database import db

ACTOR = "command"  # who does it, in the journal


@click.group()
def portal() -> None:
    """The portal in which a responsible person confirms phone and email."""


@contextmanager
def people_readable() -> Iterator[None]:
    """The application, for what looks for people: with a key missing they would be taken for new.

    Raises keys.UnreadableError.
    """
    with create_app().app_context():
        with db.reading():
            account.must_be_readable()
        yield
