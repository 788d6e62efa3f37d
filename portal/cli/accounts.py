"""Commands for accounts."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from portal import account, checks, organisation, recovery
from portal.account import Account, Invited, NotAllowedError, Role
from portal.checks import BadValueError
from portal.cli.group import ACTOR, portal, readable
from portal.database import db

ROLES = click.Choice([role.value for role in Role])
LONGEST_NAME = 200
INVITED = {
    Invited.NEW: "Приглашение отправлено.",
    Invited.AGAIN: "Приглашение отправлено ещё раз, прежняя ссылка больше не действует.",
    Invited.JOINED: "Учётная запись уже есть. Теперь она относится и к этой организации.",
    Invited.ALREADY: "Учётная запись уже есть. Ничего не изменилось.",
}
CHANGED = {
    "email": "email",
    "name": "имя",
    "phone": "телефон",
    "role": "роль",
    "suspended": "учётная запись приостановлена",
    "restored": "учётная запись снова действует",
}


@portal.group("accounts")
def accounts_group() -> None:
    """Accounts of administrators, specialists and operational users."""


@accounts_group.command("invite")
@click.argument("email")
@click.option("--role", type=ROLES, required=True)
@click.option("--organisation", "organisation_id", metavar="ID", help="None for a specialist.")
@click.option("--name", default="")
@click.option("--phone", default="")
def invite_account(
    email: str, role: str, organisation_id: str | None, name: str, phone: str
) -> None:
    """Invite somebody by letter. Who was invited before and never came gets a new one."""
    with readable(), _sentences():
        email, name, phone = _email(email), _name(name), _phone(phone)
        with db.writing():
            if organisation_id is not None and organisation.find(organisation_id) is None:
                raise NotAllowedError(f"{organisation_id}: такой организации нет.")
            invited = account.invite(email, Role(role), organisation_id, name, phone, ACTOR)
            db.commit()
    click.echo(INVITED[invited])


@accounts_group.command("change")
@click.argument("email")
@click.option("--email", "new_email")
@click.option("--name")
@click.option("--phone")
@click.option("--role", type=ROLES)
@click.option("--suspend/--restore", "suspends", default=None, help="Let nobody in; let in again.")
def change_account(
    email: str,
    new_email: str | None,
    name: str | None,
    phone: str | None,
    role: str | None,
    suspends: bool | None,
) -> None:
    """Change what an account says; its owner is told by letter, at the old email, too."""
    if (new_email, name, phone, role, suspends) == (None,) * 5:
        raise click.UsageError(
            "Say what to change: --email, --name, --phone, --role, --suspend or --restore."
        )
    with readable(), _sentences():
        values = {
            "name": None if name is None else _name(name),
            "phone": None if phone is None else _phone(phone),
            "email": None if new_email is None else _email(new_email),
        }
        with db.writing():
            found = _found(email)
            changed = _change_account(found, values, Role(role) if role else None)
            found = account.find(found.id) or found
            changed += _suspend_or_restore(found, suspends)
            alone = account.organisations_left_alone(found) if suspends else 0
            db.commit()
    words = ", ".join(CHANGED[field] for field in changed)
    click.echo(f"Изменено: {words}." if changed else "Ничего не изменилось.")
    if alone:
        click.echo(f"Внимание: организаций, где больше нет администратора: {alone}.", err=True)


def _found(email: str) -> Account:
    found = account.find_by_email(email)
    if found is None:
        raise NotAllowedError("Такой учётной записи нет.")
    return found


def _suspend_or_restore(found: Account, suspends: bool | None) -> list[str]:
    """Let nobody in, or in again; returns the name of what is another now."""
    if suspends is None:
        return []
    if not suspends:
        return ["restored"] if account.restore(found, ACTOR, "") else []
    if not account.suspend(found, ACTOR, ""):
        return []
    recovery.cancel_by_suspension(found, ACTOR, "")
    recovery.refuse_work_of(found, ACTOR)
    return ["suspended"]


def _change_account(found: Account, values: dict[str, str | None], role: Role | None) -> list[str]:
    """Change an account; returns the names of what is another now."""
    changed, others = [], set()
    if role and role is not found.role:
        account.change_role(found, role, ACTOR)
        recovery.refuse_work_of(found, ACTOR)
        changed.append("role")
        others.add("role")
    for field, value in values.items():
        if value is not None and value != getattr(found, field):
            if account.change(found, field, value, ACTOR):
                others.add(field)
            changed.append(field)
    if {"role", "email"} & others:
        recovery.cancel_by_change(found, ACTOR, "")
    return changed


@contextmanager
def _sentences() -> Iterator[None]:
    """What is wrong ends the command with its sentence."""
    try:
        yield
    except (BadValueError, NotAllowedError) as error:
        click.echo(str(error), err=True)
        sys.exit(1)


def _email(typed: str) -> str:
    return _checked("email", checks.email, typed)


def _name(typed: str) -> str:
    return _checked("имя", checks.text(LONGEST_NAME, required=False), typed)


def _phone(typed: str) -> str:
    return _checked("телефон", checks.phone, typed) if typed.strip() else ""


def _checked(what: str, check: Callable[[str], str], typed: str) -> str:
    try:
        return check(typed)
    except BadValueError as error:
        raise BadValueError(f"{what}: {error}") from None
