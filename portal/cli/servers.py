"""Commands that run until they are stopped: the web server, the delivery worker, or everything."""

import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import ECONNREFUSED
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from socket import AF_INET, AF_INET6, AF_UNIX, create_server
from socket import socket as new_socket
from tempfile import TemporaryDirectory
from typing import Any

import click
import structlog
from sqlalchemy.exc import SQLAlchemyError

from portal import (
    campaign,
    config,
    create_app,
    gateways,
    logs,
    metrics,
    outbox,
    reminders,
    schema,
)
from portal.cli.group import portal
from portal.database import db
from portal.door import Door
from portal.gateways import Gateway
from portal.metrics import CHANNELS
from portal.recovery.questions import catalogue

LOOKS_SECONDS = 1  # between two looks at what is due, where nobody is woken
CHORES_SECONDS = 1
STOPS_SECONDS = 30  # how long a request in flight is waited for at the end
AFTER_A_FAILURE_SECONDS = 5
CHORES: tuple[Callable[[], bool], ...] = (
    reminders.tell_of_failures,
    reminders.remind_specialists,
    outbox.forget_worthless,
    campaign.continue_due,
    campaign.forget_left,
)
"""What a worker looks after besides; each says whether there was something to do."""

log = structlog.get_logger()


PORT = click.IntRange(1, 65535)
AT_LEAST_ONE = click.IntRange(1)


@portal.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=PORT, default=8000, show_default=True)
@click.option("--socket", type=click.Path(path_type=Path), help="A Unix socket instead of a port.")
@click.option("--workers", type=AT_LEAST_ONE, default=1, show_default=True, help="Processes.")
@click.option(
    "--threads", type=AT_LEAST_ONE, default=2, show_default=True, help="Threads of each process."
)
def serve(host: str, port: int, socket: Path | None, workers: int, threads: int) -> None:
    """Run the web server, on a socket that systemd handed over if there is one."""
    _must_be_right()
    # Only this command needs a server.
    from granian.constants import HTTPModes, Interfaces  # noqa: PLC0415
    from granian.log import LogLevels  # noqa: PLC0415
    from granian.server import MPServer  # noqa: PLC0415

    from portal.cli import listening  # noqa: PLC0415

    options: dict[str, Any] = {
        "interface": Interfaces.RSGI,
        "http": HTTPModes.http1,
        "workers": workers,
        "workers_kill_timeout": STOPS_SECONDS,
        "respawn_failed_workers": True,  # one that is killed takes no other with it
        "websockets": False,
        "log_level": LogLevels.warning,
        "log_dictconfig": logs.OF_GRANIAN,
    }
    listener = listening.handed_over()
    if listener is not None:
        server: MPServer = listening.OnAnOpenSocket(listener, **options)
    else:
        if socket:
            _must_be_nobodys(socket)
        else:
            _must_be_free(host, port)
        server = MPServer("portal", address=host, port=port, uds=socket, **options)
    with _counting_together(workers):
        server.serve(target_loader=partial(create_web, threads), wrap_loader=False)  # type: ignore[arg-type] # RSGI takes an object, too


def _must_be_right() -> None:
    """End with a sentence if a setting is bad, which every worker would stumble over again."""
    config.use(config.load(os.environ))
    catalogue()
    db.use(config.settings.database_url)
    metrics.share(config.settings.metrics_folder)


@contextmanager
def _counting_together(workers: int) -> Iterator[None]:
    """Have the worker processes count in one place: any of them may be asked for all counts."""
    if workers == 1 or config.settings.metrics_folder:
        yield
        return
    with TemporaryDirectory(prefix="portal-metrics-") as folder:
        os.environ["PORTAL_METRICS_FOLDER"] = folder
        yield


def _must_be_free(host: str, port: int) -> None:
    """End with a sentence if somebody listens already: granian would share the port with it."""
    try:
        ip_address(host)  # granian takes no name
    except ValueError:
        click.echo(f"portal: --host {host} is no IP address.", err=True)
        sys.exit(2)
    try:
        create_server((host, port), family=AF_INET6 if ":" in host else AF_INET).close()
    except OSError as error:
        click.echo(f"portal: {host} port {port} cannot be used: {error.strerror}.", err=True)
        sys.exit(2)


def _must_be_nobodys(path: Path) -> None:
    """Take away the socket of a server that was killed; end with a sentence if it is no such."""
    reason = "there is something else"
    try:
        if not path.exists():
            with new_socket(AF_UNIX) as ours:
                ours.bind(str(path))
            path.unlink()
            return
        if path.is_socket():
            with new_socket(AF_UNIX) as client:
                code = client.connect_ex(str(path))
            if code == ECONNREFUSED:
                path.unlink()
                return
            reason = os.strerror(code) if code else "somebody listens there"
    except OSError as error:
        reason = error.strerror or str(error)
    click.echo(f"portal: {path} cannot be used: {reason}.", err=True)
    sys.exit(2)


def create_web(threads: int) -> Door:
    """The application for one worker process of the web server.

    What is there after the start stays: taking it out of the garbage collector's rounds, and
    making those rarer, saves a tenth of the CPU of a journey (`make bench`).
    """
    # Granian's own handlers come when this returns. Until then those of its parent are in force,
    # which do nothing here: who is stopped while it begins would be waited for, and then killed.
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, signal.SIG_DFL)
    logs.configure()
    app = create_app()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    return Door(app, threads)


@portal.command()
@click.option("--once", is_flag=True, help="Deliver what is due, then end.")
def deliver(*, once: bool) -> None:
    """Run the delivery worker; as many as wanted may run.

    Exit status 1 with `--once` where something was interrupted, as by a database that is away.
    """
    app = create_app()
    stop = threading.Event()
    went_well: list[bool] = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())

    def start(work: Callable[..., bool], *arguments: object) -> threading.Thread:
        def run() -> None:
            with app.app_context():
                went_well.append(work(*arguments, stop, once=once))

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    # Before any thread: one that could not begin would be missed by nobody.
    ways = {channel: gateways.choose(channel) for channel in CHANNELS}
    # A thread for each channel: a mail server that hangs holds up no code. And one for chores.
    threads = [start(_deliver, channel, gateway) for channel, gateway in ways.items()]
    threads.append(start(_look_after))
    for thread in threads:
        thread.join()
    sys.exit(1 if once and not all(went_well) else 0)


def _deliver(channel: str, gateway: Gateway, stop: threading.Event, *, once: bool) -> bool:
    """Hand over what is due on a channel, again and again; returns whether nothing interrupted."""
    listener, went_well = db.listen(outbox.topic_of(channel)), True
    while not stop.is_set():
        try:
            outbox.deliver_due(channel, gateway, stop.is_set)
        except Exception as error:
            if isinstance(error, SQLAlchemyError):
                metrics.database_errors.inc("delivery")
            log.exception("delivery interrupted", channel=channel)
            went_well = False
        if once:
            break
        if not went_well:
            stop.wait(AFTER_A_FAILURE_SECONDS)
            went_well = True
        listener.wait(LOOKS_SECONDS, stop.is_set)
    listener.close()
    gateway.close()
    return went_well


def _look_after(stop: threading.Event, *, once: bool) -> bool:
    """Do the chores, again and again: at once where there was something to do.

    Returns whether nothing interrupted.
    """
    resting = dict.fromkeys(CHORES, 0.0)  # one that fails holds up no other
    while not stop.is_set():
        is_busy = False
        for chore in CHORES:
            if time.monotonic() < resting[chore]:
                continue
            try:
                is_busy |= chore()
            except Exception as error:
                if isinstance(error, SQLAlchemyError):
                    metrics.database_errors.inc("chore")
                log.exception("chore interrupted", chore=chore.__name__)
                resting[chore] = time.monotonic() + AFTER_A_FAILURE_SECONDS
        if once:
            break
        if not is_busy:
            stop.wait(CHORES_SECONDS)
    return not any(resting.values())


@portal.command()
@click.option("--demo", is_flag=True, help="Begin with sample organisations.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=PORT, default=8000, show_default=True)
def run(*, demo: bool, host: str, port: int) -> None:
    """Run everything in one command: web server and delivery worker, on embedded parts."""
    from portal import embedded  # noqa: PLC0415 - only this command needs it

    _must_be_free(host, port)
    embedded.prepare(host, port)
    if demo and not config.load(os.environ).has_inbox:
        click.echo("portal: --demo is for a portal whose letters stay at /inbox.", err=True)
        sys.exit(2)
    with create_app().app_context():
        schema.upgrade()
        link = embedded.seed() if demo else None
    embedded.announce(link)
    sys.exit(embedded.supervise(["serve", "--host", host, "--port", str(port)], ["deliver"]))
