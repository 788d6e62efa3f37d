"""The command that the others hang on."""

import click

ACTOR = "command"  # who does it, in the journal


@click.group()
def portal() -> None:
    """The portal in which a responsible person confirms phone and email."""
