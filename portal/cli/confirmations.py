"""Commands for requests to confirm."""

import sys

import click
from tqdm import tqdm

from portal import confirmation, create_app, keys, organisation
from portal.cli.group import ACTOR, portal
from portal.database import db


@portal.group("confirmations")
def confirmations_group() -> None:
    """Requests to confirm."""


@confirmations_group.command()
@click.argument("ids", nargs=-1, metavar="ID…")
@click.option(
    "--all-unconfirmed",
    is_flag=True,
    help="All that have no request in force, and reported no error.",
)
def request(ids: tuple[str, ...], *, all_unconfirmed: bool) -> None:
    """Ask the responsible persons of organisations to confirm their contacts."""
    if bool(ids) == all_unconfirmed:
        raise click.UsageError("Name organisations, or say --all-unconfirmed.")
    failed = 0
    with create_app().app_context():
        if all_unconfirmed:
            with db.reading():
                ids = tuple(confirmation.unconfirmed_organisations())
        ids = tuple(dict.fromkeys(ids))
        for id in tqdm(ids, unit="", disable=None if len(ids) > 1 else True):
            try:
                trouble = _request(id, renews=not all_unconfirmed)
            except keys.UnreadableError:
                trouble = "данные не расшифровать: проверьте PORTAL_DATA_KEYS"
            if trouble:
                failed += 1
                tqdm.write(f"{id}: {trouble}")
    click.echo(f"Отправлено запросов: {len(ids) - failed}, не отправлено: {failed}.")
    sys.exit(1 if failed else 0)


@db.again
def _request(id: str, *, renews: bool) -> str | None:
    """Request one confirmation; returns why not, if not.

    `renews`: also where a request is in force, or the person reported an error. Of many, some were
    asked or answered since they were found.
    """
    with db.writing():
        found = organisation.find(id)
        if found is None:
            return "такой организации нет"
        last = confirmation.last_request(id)
        if last and not renews and last.is_open:
            return "запрос уже отправлен"
        if last and not renews and last.is_reported:
            return "ответственное лицо сообщило об ошибке"
        if confirmation.request(found, ACTOR) is None:
            return "телефон и email уже подтверждены"
        db.commit()
    return None
