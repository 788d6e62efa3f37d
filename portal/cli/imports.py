"""Commands that read files: organisations, and facts."""

import errno
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from tempfile import NamedTemporaryFile

import click
from sqlalchemy import func, select
from tqdm import tqdm

from portal import account, create_app, exporting, importing, importing_facts, organisation
from portal.account import NotAllowedError, Role
from portal.cli.group import ACTOR, drop_output, portal, readable
from portal.database import db
from portal.importing import COLUMN_OF, Tally
from portal.organisation import ORGANISATION_FIELDS, PERSON_FIELDS, Organisation, organisations

EXPORTED = 500  # organisations that are read at a time
HEADER = (
    "id",
    *ORGANISATION_FIELDS,
    "administrator_email",
    *(COLUMN_OF[name] for name in PERSON_FIELDS),
    "secure_networks",
)

_COUNT = select(func.count(organisations.c.id))


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
    with readable():
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


@organisations_group.command("export")
@click.argument("file", type=click.Path(path_type=Path))
def export_organisations(file: Path) -> None:
    """Write all organisations to a CSV file as the import reads it; others cannot open it."""
    written = 0

    def rows() -> Iterator[list[str]]:
        nonlocal written
        for row in tqdm(_rows(), total=db.scalar(_COUNT), unit="", disable=None):
            written += 1
            yield row

    with create_app().app_context(), db.reading():
        try:
            _write(file, exporting.lines(HEADER, rows()))
        except OSError as error:
            click.echo(f"{file}: {error.strerror}", err=True)
            sys.exit(2)
    click.echo(f"Записано организаций: {written}.")


def _write(file: Path, lines: Iterable[bytes]) -> None:
    """Put a file there that its owner alone can read, whole or not at all.

    It takes the place of a file, and of nothing else: not of a link, a device or a pipe.
    """
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise FileExistsError(errno.EEXIST, "there is something else than a file.", str(file))
    with NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as output:
        try:
            output.writelines(lines)
            output.close()
            Path(output.name).replace(file)
        except BaseException:
            Path(output.name).unlink(missing_ok=True)
            raise


def _rows() -> Iterator[list[str]]:
    """Every organisation as the import reads it, by their IDs, some at a time."""
    found = organisation.search(most=EXPORTED)
    while found:
        yield from map(_row, found)
        found = organisation.search(after=found[-1].id, most=EXPORTED)


def _row(found: Organisation) -> list[str]:
    values = {COLUMN_OF[name]: value for name, value in asdict(found.details).items()}
    values |= {
        "id": found.id,
        "administrator_email": found.administrator_email,
        "secure_networks": " ".join(map(str, found.networks)),
    }
    return [values[column] for column in HEADER]


@portal.group("facts")
def facts_group() -> None:
    """Facts that the questions of a recovery are compared with."""


@facts_group.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check everything, keep nothing.")
def import_facts(file: Path, *, dry_run: bool) -> None:
    """Keep the facts of a CSV file; report each line that is refused."""
    with readable():
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
    except (BrokenPipeError, KeyboardInterrupt):
        done = tally.new + tally.changed + tally.same + tally.refused
        kept = "ничего не записано" if dry_run else "верные из них записаны, загрузите файл ещё раз"
        drop_output()
        click.echo(f"Прервано. Прочитано строк: {done}, {kept}.", err=True)
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


@db.again
def _admit_administrator(entry: importing.Entry) -> str:
    with db.writing():
        email = entry.administrator_email
        found, _outcome = account.admit(email, Role.ADMINISTRATOR, entry.id, "", "", ACTOR)
        db.commit()
    return found.id


@db.again
def _invite_once(id: str) -> bool:
    with db.writing():
        found = account.find(id)
        is_invited = found is not None and account.invite_once(found, ACTOR)
        db.commit()
    return is_invited
