"""Everything on one machine without set-up: what `portal run` adds to the portal."""

import os
import re
import secrets
import signal
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from pathlib import Path

import click

from portal import (
    account,
    config,
    confirmation,
    organisation,
    proofs,
    sample_organisations,
    sample_people,
)
from portal.confirmation.course import LINK
from portal.database import db
from portal.pages import absolute_url
from portal.sample_organisations import ACTOR, FIRST

ENVIRONMENT = Path("instance/run.env")
LEFT = re.compile(r'^(\w+)="?(?:\$\{\1:-)?([^"}\n]*)', re.M)  # a line of it, older ones too


def prepare(host: str, port: int) -> None:
    """Give every setting that is missing a value for this machine alone.

    The values are left in a file that other commands can take them from. As here, a setting of
    the environment comes before that of the file: whose keys are others could read nothing.
    """
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - every address of this machine, reached by this one
        host = "127.0.0.1"
    shown = f"[{host}]" if ":" in host else host
    try:
        known = _left_behind()
        defaults = {
            "PORTAL_SECRET_KEY": known.get("PORTAL_SECRET_KEY") or _new_key(),
            "PORTAL_DATA_KEYS": known.get("PORTAL_DATA_KEYS") or _new_key(),
            "PORTAL_BASE_URL": f"http://{shown}:{port}",
            "PORTAL_SECURE_NETWORKS": "127.0.0.0/8,::1/128",
            "PORTAL_MAIL_URL": "inbox:",
            "PORTAL_SMS_URL": "inbox:",
            "PORTAL_METRICS_FOLDER": "instance/metrics",
            "PORTAL_OPERATIONS_URL": "https://izkt.example",  # nobody is there
        }
        _leave(defaults)
    except OSError as error:
        click.echo(f"portal: {ENVIRONMENT} cannot be used: {error.strerror}.", err=True)
        sys.exit(2)
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _left_behind() -> dict[str, str]:
    """What an earlier start left: its keys stay those of this machine."""
    if not ENVIRONMENT.exists():
        return {}
    return dict(LEFT.findall(ENVIRONMENT.read_text()))


def _leave(defaults: dict[str, str]) -> None:
    ENVIRONMENT.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(ENVIRONMENT, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.truncate()
        file.writelines(f'{name}="${{{name}:-{value}}}"\n' for name, value in defaults.items())


def _new_key() -> str:
    return urlsafe_b64encode(secrets.token_bytes(32)).decode()


def seed() -> str:
    """Sample organisations and people, once; returns a link to begin with."""
    if not sample_organisations.is_there():
        sample_organisations.seed()
    with db.writing():
        found = organisation.find(FIRST)
        assert found, "the samples are there"
        last = confirmation.last_request(FIRST)
        id = last.id if last and last.is_open else confirmation.request(found, ACTOR)
        db.commit()
    return absolute_url("confirm.open_link", token=proofs.sign(LINK, id)) if id else ""


def announce(link: str | None) -> None:
    """Say where to go."""
    base = config.settings.base_url
    click.echo(f"\n  Портал: {base}\n  Письма и СМС: {base}/inbox")
    if link:
        click.echo(f"\n  Начните со страницы ответственного лица:\n  {link}")
    elif link is not None:  # there are samples, the first one's contacts confirmed already
        click.echo(f"\n  Страницы ответственных лиц открывают ссылки из писем: {base}/inbox")
    if link is not None:
        _announce_people(base)
    command = Path(sys.executable).with_name("portal")
    click.echo(f"\n  Другие команды: set -a; . {ENVIRONMENT}; {command} …")
    click.echo("  Остановить: Ctrl+C\n")


def _announce_people(base: str) -> None:
    """Say who can sign in, and how to have the app's code without a phone."""
    click.echo(f"\n  Вход для сотрудников: {base}/signin")
    for email, role, _organisation, _name in sample_people.PEOPLE:
        click.echo(f"    {email:32}{account.ROLE_NAMES[role]}")
    lost = ", ".join(f"{state}@example.ru" for state in sample_people.LOST)
    click.echo(f"  Потеряли устройство, по одному в каждом состоянии:\n    {lost}")
    click.echo(f"  Пароль у всех: {sample_people.PASSWORD}")
    click.echo(f"  Ключ для приложения-аутентификатора: {sample_people.SECRET}")
    code = f"import pyotp; print(pyotp.TOTP('{sample_people.SECRET}').now())"
    click.echo(f'  Код без телефона: {sys.executable} -c "{code}"')


def supervise(*commands: list[str]) -> int:
    """Run commands of the portal until one ends or somebody stops them; returns a status."""
    processes = [subprocess.Popen([sys.executable, "-m", "portal", *each]) for each in commands]
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stop)
    while not stopped and all(process.poll() is None for process in processes):
        time.sleep(0.2)
    for process in processes:
        if process.poll() is None:
            process.terminate()
    statuses = [process.wait() for process in processes]
    return 0 if stopped else max(1, *statuses)
