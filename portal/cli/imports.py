"""Commands that read files: organisations, and facts."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from tqdm import tqdm

from portal import account, create_app, importing, importing_facts
from portal.account import NotAllowedError, Role
from portal.cli.group import ACTOR, portal
from portal.database import db
from portal.importing import Tally


@portal.group("organisations")
def organisations_group() -> None:
    """Organisations."""


@organisations_group.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check everything, keep nothing.")
@click.option(
    "--invite-administrators",
    is_flag=True,
    help="Invite those who have no invitation that works and never came.",
)
def import_organisations(file: Path, *, dry_run: bool, invite_administrators: bool) -> None:
    """Keep the organisations of a CSV file; report each line that is refused."""
    invited = failed = 0
    with create_app().app_context():
        tally = _import(file, importing.import_file, dry_run=dry_run)
        if invite_administrators and not dry_run:
            invited, failed = _invite_administrators(file)
    click.echo(
        f"Новых: {tally.new}, изменённых: {tally.changed}, без изменений: {tally.same}, "
        f"отклонено строк: {tally.refused}." + (" Ничего не записано." if dry_run else "")
    )
    if invite_administrators:
        click.echo(f"Приглашено администраторов: {invited}, не удалось: {failed}.")
    sys.exit(1 if tally.refused or failed else 0)


@portal.group("facts")
def facts_group() -> None:
    """Facts that the questions of a recovery are compared with."""


@facts_group.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check everything, keep nothing.")
def import_facts(file: Path, *, dry_run: bool) -> None:
    """Keep the facts of a CSV file; report each line that is refused."""
    with create_app().app_context():
        tally = _import(file, importing_facts.import_file, dry_run=dry_run)
    click.echo(
        f"Новых: {tally.new}, без изменений: {tally.same}, отклонено строк: {tally.refused}."
        + (" Ничего не записано." if dry_run else "")
    )
    sys.exit(1 if tally.refused else 0)


def _import(file: Path, import_file: Callable[..., Iterator[Tally]], *, dry_run: bool) -> Tally:
    """Keep what is good in a file, and report what is not; ends the command if it is no such."""
    tally = Tally()
    try:
        with tqdm(total=importing.count_lines(file), unit="", disable=None) as bar:
            for tally in import_file(file, ACTOR, dry_run=dry_run):
                for refusal in tally.take_refusals():
                    column = f", {refusal.column}" if refusal.column else ""
                    tqdm.write(f"строка {refusal.line}{column}: {refusal.reason}")
                bar.update(tally.new + tally.changed + tally.same + tally.refused - bar.n)
    except importing.UnreadableFileError as error:
        click.echo(f"{file}: {error}", err=True)
        sys.exit(2)
    return tally


def _invite_administrators(file: Path) -> tuple[int, int]:
    """Invite the administrators of the file's organisations; returns how many, and failures.

    Letters follow when everybody belongs where they should: they name the organisations.
    """
    failed, admitted = 0, dict[str, None]()
    lines = importing.count_lines(file)
    for entry in tqdm(importing.read(file), total=lines, unit="", disable=None):
        if isinstance(entry, importing.Refusal):
            continue
        try:
            admitted[_admit_administrator(entry)] = None
        except NotAllowedError as error:
            failed += 1
            tqdm.write(f"{entry.id}: {error}")
    return sum(_invite_once(id) for id in admitted), failed


def _admit_administrator(entry: importing.Entry) -> str:
    with db.writing():
        email = entry.administrator_email
        found, _outcome = account.admit(email, Role.ADMINISTRATOR, entry.id, "", "", ACTOR)
        db.commit()
    return found.id


def _invite_once(id: str) -> bool:
    with db.writing():
        found = account.find(id)
        is_invited = found is not None and account.invite_once(found, ACTOR)
        db.commit()
    return is_invited
