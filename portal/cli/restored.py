"""The command after a backup was restored."""

import click

from portal import clock, create_app, restoring
from portal.cli.group import ACTOR
from portal.cli.upkeep import database_group
from portal.database import db
from portal.restoring import Ended


@database_group.command()
@click.option(
    "--drop-backup-codes",
    is_flag=True,
    help="Backup codes, too: somebody may have one that was spent since the backup.",
)
def restored(*, drop_backup_codes: bool) -> None:
    """End what worked when the backup was made; to be run after a restore, before the start."""
    with create_app().app_context():
        ended = _end(drops_backup_codes=drop_backup_codes)
    if ended.last_event_at:
        moment = ended.last_event_at.astimezone(clock.MOSCOW)
        click.echo(f"Последнее событие в базе: {moment:%d.%m.%Y %H:%M} мск.")
    click.echo(
        f"Завершено: запросов подтверждения {ended.requests}, "
        f"ссылок приглашений и паролей {ended.links}, сеансов {ended.sessions}, "
        f"обращений о восстановлении доступа {ended.cases}, "
        f"наборов резервных кодов {ended.code_sets}. "
        f"Приостановлено списков: {ended.campaigns}. Отозвано писем и СМС: {ended.messages}."
    )
    click.echo("Запросите подтверждения заново: portal confirmations request --all-unconfirmed")


@db.again
def _end(*, drops_backup_codes: bool) -> Ended:
    with db.writing():
        ended = restoring.end_what_worked(ACTOR, drops_backup_codes=drops_backup_codes)
        db.commit()
    return ended
