"""The `portal` command. Exit status 2 and one sentence where the portal cannot start."""

import base64
import gc
import os
import secrets
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from socket import AF_INET, AF_INET6, create_server

import click
import structlog
from sqlalchemy.exc import OperationalError
from tqdm import tqdm

from portal import (
    config,
    confirmation,
    create_app,
    gateways,
    importing,
    journal,
    keys,
    logs,
    organisation,
    outbox,
    schema,
)
from portal.database import db
from portal.door import Door

ACTOR = "command"
POLL_SECONDS = 0.25
CHANNELS = ("email", "sms")

log = structlog.get_logger()


def main() -> None:
    """Run a command; a bad setting ends it with one sentence."""
    logs.configure()
    try:
        portal()
    except config.BadSettingError as error:
        click.echo(f"portal: {error}", err=True)
        sys.exit(2)
    except keys.UnreadableError as error:
        click.echo(f"portal: {error}. Was a key taken out too early?", err=True)
        sys.exit(2)
    except OperationalError as error:
        click.echo(
            f"portal: the database cannot be used ({error.orig}). Was it made by "
            "`portal database upgrade`?",
            err=True,
        )
        sys.exit(2)


@click.group()
def portal() -> None:
    """The portal in which a responsible person confirms phone and email."""


@portal.group("keys")
def keys_group() -> None:
    """Keys for the settings."""


@keys_group.command("new")
def new_key() -> None:
    """Print a fresh key for PORTAL_SECRET_KEY or PORTAL_DATA_KEYS."""
    click.echo(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())


@portal.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
@click.option("--socket", type=click.Path(path_type=Path), help="A Unix socket instead of a port.")
@click.option("--workers", default=1, show_default=True, help="Processes.")
@click.option("--threads", default=2, show_default=True, help="Threads of each process.")
def serve(host: str, port: int, socket: Path | None, workers: int, threads: int) -> None:
    """Run the web server."""
    config.load(os.environ)  # a bad setting is said once, not by every worker
    if socket is None:
        _must_be_free(host, port)
    from granian import Granian  # noqa: PLC0415 - only this command needs a server
    from granian.constants import HTTPModes, Interfaces  # noqa: PLC0415
    from granian.log import LogLevels  # noqa: PLC0415

    Granian(
        "portal",
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        address=host,
        port=port,
        uds=socket,
        workers=workers,
        workers_kill_timeout=30,
        websockets=False,
        log_level=LogLevels.warning,
    ).serve(target_loader=partial(create_web, threads), wrap_loader=False)  # type: ignore[arg-type] # RSGI takes an object, too


def _must_be_free(host: str, port: int) -> None:
    """End with a sentence if somebody listens already: granian would share the port with it."""
    try:
        create_server((host, port), family=AF_INET6 if ":" in host else AF_INET).close()
    except OSError as error:
        click.echo(f"portal: {host} port {port} cannot be used: {error.strerror}.", err=True)
        sys.exit(2)


def create_web(threads: int) -> Door:
    """The application for one worker process of the web server.

    What is there after the start stays: taking it out of the garbage collector's rounds, and
    making those rarer, saves a tenth of the CPU of a journey (`make bench`).
    """
    logs.configure()
    app = create_app()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    return Door(app, threads)


@portal.command()
@click.option("--once", is_flag=True, help="Deliver what is due, then end.")
def deliver(*, once: bool) -> None:
    """Run the delivery worker; as many as wanted may run."""
    app = create_app()
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())

    def work(channel: str) -> None:
        gateway = gateways.choose(channel)
        with app.app_context():
            while not stop.is_set():
                try:
                    outbox.deliver_due(channel, gateway)
                except Exception:
                    log.exception("delivery interrupted", channel=channel)
                    stop.wait(5)
                if once:
                    break
                stop.wait(POLL_SECONDS)
        gateway.close()

    # A thread for each channel: a mail server that hangs holds up no code.
    threads = [threading.Thread(target=work, args=(channel,)) for channel in CHANNELS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@portal.command()
@click.option("--demo", is_flag=True, help="Begin with sample organisations.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True)
def run(*, demo: bool, host: str, port: int) -> None:
    """Run everything in one command: web server and delivery worker, on embedded parts."""
    from portal import embedded  # noqa: PLC0415 - only this command needs it

    embedded.prepare(host, port)
    with create_app().app_context():
        schema.upgrade()
        link = embedded.seed() if demo else None
    embedded.announce(link)
    sys.exit(embedded.supervise(["serve", "--host", host, "--port", str(port)], ["deliver"]))


@portal.group("database")
def database_group() -> None:
    """The database."""


@database_group.command()
def upgrade() -> None:
    """Bring the database to this version's schema."""
    with create_app().app_context():
        schema.upgrade()


@database_group.command()
def check() -> None:
    """Exit status 1 unless the database has this version's schema."""
    with create_app().app_context(), db.reading():
        current = schema.is_current()
    if not current:
        click.echo("The schema is not this version's: run `portal database upgrade`.", err=True)
        sys.exit(1)


@portal.group("organisations")
def organisations_group() -> None:
    """Organisations."""


@organisations_group.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Check everything, keep nothing.")
def import_organisations(file: Path, *, dry_run: bool) -> None:
    """Keep the organisations of a CSV file; report each line that is refused."""
    with create_app().app_context():
        try:
            tally = _import(file, dry_run=dry_run)
        except importing.UnreadableFileError as error:
            click.echo(f"{file}: {error}", err=True)
            sys.exit(2)
    click.echo(
        f"Новых: {tally.new}, изменённых: {tally.changed}, без изменений: {tally.same}, "
        f"отклонено строк: {tally.refused}." + (" Ничего не записано." if dry_run else "")
    )
    sys.exit(1 if tally.refused else 0)


def _import(file: Path, *, dry_run: bool) -> importing.Tally:
    tally = importing.Tally()
    with tqdm(total=importing.count_lines(file), unit="", disable=None) as bar:
        for tally in importing.import_file(file, ACTOR, dry_run=dry_run):
            for refusal in tally.take_refusals():
                column = f", {refusal.column}" if refusal.column else ""
                tqdm.write(f"строка {refusal.line}{column}: {refusal.reason}")
            bar.update(tally.new + tally.changed + tally.same + tally.refused - bar.n)
    return tally


@portal.group("confirmations")
def confirmations_group() -> None:
    """Requests to confirm."""


@confirmations_group.command()
@click.argument("ids", nargs=-1, metavar="ID…")
@click.option("--all-unconfirmed", is_flag=True, help="Every organisation with none in force.")
def request(ids: tuple[str, ...], *, all_unconfirmed: bool) -> None:
    """Ask the responsible persons of organisations to confirm their contacts."""
    if bool(ids) == all_unconfirmed:
        raise click.UsageError("Name organisations, or say --all-unconfirmed.")
    failed = 0
    with create_app().app_context():
        if all_unconfirmed:
            with db.reading():
                ids = tuple(confirmation.unconfirmed_organisations())
        for id in tqdm(ids, unit="", disable=None if len(ids) > 1 else True):
            trouble = _request(id)
            if trouble:
                failed += 1
                tqdm.write(f"{id}: {trouble}")
    click.echo(f"Отправлено запросов: {len(ids) - failed}, не отправлено: {failed}.")
    sys.exit(1 if failed else 0)


def _request(id: str) -> str | None:
    """Request one confirmation; returns why not, if not."""
    with db.writing():
        found = organisation.find(id)
        if found is None:
            return "такой организации нет"
        if confirmation.request(found, ACTOR) is None:
            return "телефон и email уже подтверждены"
        db.commit()
    return None


@portal.group("journal")
def journal_group() -> None:
    """The journal."""


@journal_group.command()
def verify() -> None:
    """Check the chains of events; exit status 1 and the first broken line if one is."""
    with create_app().app_context(), db.reading():
        try:
            broken = journal.first_broken_line()
        except (ValueError, TypeError, AssertionError):
            click.echo("Журнал нарушен: одну из строк нельзя прочитать.")
            sys.exit(1)
    if broken:
        click.echo(f"Цепочка {broken.chain} нарушена в строке {broken.number}.")
        sys.exit(1)
    click.echo("Журнал цел.")
