"""Everything on one machine without set-up: what `portal run` adds to the portal."""

import os
import secrets
import signal
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import click

from portal import (
    account,
    clock,
    config,
    confirmation,
    importing,
    organisation,
    proofs,
    sample_people,
)
from portal.confirmation import Confirmation
from portal.confirmation.course import LINK, prove
from portal.database import db
from portal.organisation import Organisation
from portal.pages import absolute_url

SAMPLES = Path(__file__).parent / "samples.csv"
ENVIRONMENT = Path("instance/run.env")
ACTOR = "samples"
ADDRESS = "10.20.4.17"
FIRST = "ORG-004217"  # the organisation whose journey is ready to be clicked through


def prepare(host: str, port: int) -> None:
    """Give every setting that is missing a value for this machine alone.

    The values are left in a file that other commands can take them from.
    """
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - every address of this machine, reached by this one
        host = "127.0.0.1"
    shown = f"[{host}]" if ":" in host else host
    known = _left_behind()
    defaults = {
        "PORTAL_SECRET_KEY": known.get("PORTAL_SECRET_KEY") or _new_key(),
        "PORTAL_DATA_KEYS": known.get("PORTAL_DATA_KEYS") or _new_key(),
        "PORTAL_BASE_URL": f"http://{shown}:{port}",
        "PORTAL_SECURE_NETWORKS": "127.0.0.0/8,::1/128",
        "PORTAL_MAIL_URL": "inbox:",
        "PORTAL_SMS_URL": "inbox:",
    }
    ENVIRONMENT.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(ENVIRONMENT, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.truncate()
        file.writelines(f"{name}={value}\n" for name, value in defaults.items())
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _left_behind() -> dict[str, str]:
    """What an earlier start left: its keys stay those of this machine."""
    if not ENVIRONMENT.exists():
        return {}
    pairs = (line.partition("=") for line in ENVIRONMENT.read_text().splitlines())
    return {name: value for name, _, value in pairs}


def _new_key() -> str:
    return urlsafe_b64encode(secrets.token_bytes(32)).decode()


def seed() -> str:
    """Sample organisations in different states, once; returns a link to begin with."""
    with db.reading():
        fresh = organisation.find(FIRST) is None
    if fresh:
        for _tally in importing.import_file(SAMPLES, ACTOR):
            pass
        _bring_into_states()
        sample_people.seed()
    with db.writing():
        id = confirmation.open_request(FIRST) or confirmation.request(_sample(FIRST), ACTOR)
        db.commit()
    return absolute_url("confirm.open_link", token=proofs.sign(LINK, id)) if id else ""


def _bring_into_states() -> None:
    """One organisation for each thing that can be seen; the rest were never asked."""
    _request("ORG-004218", "phone")
    _request("ORG-004219", "email")
    _request("ORG-004220", "phone", "email")
    _report("ORG-004221")
    _request("ORG-004222")
    _request("ORG-004222")  # the first letter's link is retired
    _request("ORG-004223")
    _change_address("ORG-004223")
    clock.shift(timedelta(days=-8))
    _request("ORG-004224")  # expired since yesterday
    clock.reset()
    _request("ORG-004225")  # has networks of its own: its link is outside on this machine


def _request(id: str, *confirmed: str) -> None:
    with db.writing():
        asked = confirmation.request(_sample(id), ACTOR)
        for kind in confirmed:
            prove(_asked(asked), kind, ADDRESS)
        db.commit()


def _report(id: str) -> None:
    with db.writing():
        asked = confirmation.request(_sample(id), ACTOR)
        proposed = {"position": "Начальник автоколонны", "phone": "+79215550199"}
        confirmation.report(_asked(asked), proposed, "Номер сменился в октябре.", ADDRESS)
        db.commit()


def _change_address(id: str) -> None:
    with db.writing():
        found = _sample(id)
        details = replace(found.details, postal_address="390000, г. Рязань, а/я 14")
        organisation.save(id, details, found.administrator_email, "", ACTOR)
        confirmation.end_outdated(_sample(id), ACTOR)
        db.commit()


def _sample(id: str) -> Organisation:
    found = organisation.find(id)
    assert found, "samples.csv has it"
    return found


def _asked(id: str | None) -> Confirmation:
    found = confirmation.find(id or "")
    assert found, "it was requested a moment ago"
    return found


def announce(link: str | None) -> None:
    """Say where to go."""
    base = config.settings.base_url
    click.echo(f"\n  Портал: {base}\n  Письма и СМС: {base}/inbox")
    if link:
        click.echo(f"\n  Начните со страницы ответственного лица:\n  {link}")
    if link:
        _announce_people(base)
    click.echo(f"\n  Другие команды: set -a; . {ENVIRONMENT}; portal …")
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
    click.echo(f'  Код без телефона: .venv/bin/python -c "{code}"')


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
