"""The command that the others hang on."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from portal import account, create_app, organisation
from portal.database import db

ACTOR = "command"  # who does it, in the journal


class _Group(click.Group):
    """Commands that end with 2 where nobody reads what they say: 1 has a meaning in some."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            drop_output()
            sys.exit(2)


@click.group(cls=_Group)
def portal() -> None:
    """The portal in which a responsible person confirms phone and email."""


@contextmanager
def readable() -> Iterator[None]:
    """The application, for what needs every data key: without one, people would be taken for new.

    Raises keys.UnreadableError.
    """
    with create_app().app_context():
        with db.reading():
            must_be_readable()
        yield


def drop_output() -> None:
    """Write nothing more to standard output, which nobody reads, or where there is no room."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def must_be_readable() -> None:
    """Raise keys.UnreadableError where a data key is missing that people or records are under."""
    account.must_be_readable()
    organisation.must_be_readable()
