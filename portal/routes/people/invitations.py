"""Inviting somebody, once more, or no more."""

from collections.abc import Callable

from flask import Response, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal import access, account, checks, language
from portal.account import Account, NotInvited, Role
from portal.checks import BadValueError
from portal.cookie import is_own_form
from portal.database import db
from portal.language import gettext as _
from portal.organisation import Organisation
from portal.pages import respond, retry_after, stale
from portal.routes.people.blueprint import ROLES, bp
from portal.routes.people.page import back_to_list, list_of
from portal.routes.people.person import Factor, own, own_organisation
from portal.routes.people.words import NOT_INVITED, too_many

FIELDS: dict[str, Callable[[str], str]] = {
    "email": checks.email,
    "name": checks.text(200),
    "phone": lambda typed: checks.phone(typed) if typed else "",
}


@bp.get("/new")
def new() -> ResponseReturnValue:
    return _new_page(own_organisation(request.args.get("organisation", "")))


@bp.post("/new")
def invite() -> ResponseReturnValue:
    employer = own_organisation(request.args.get("organisation", ""))
    if not is_own_form():
        return _new_page(employer, {"form": stale()}, 422)
    values, errors = _read()
    if errors:
        return _new_page(employer, errors, 422)
    me, role = access.me(), Role(request.form["role"])
    until = account.may_invite_at(me)
    invited = account.invite_person(me, employer.id, role=role, address=g.address, **values)
    db.commit()
    if isinstance(invited, Account):
        return redirect(url_for(".page", organisation=employer.id, invited=invited.id), 303)
    if invited is NotInvited.TOO_MANY and until:
        return retry_after(_new_page(employer, {"form": too_many(until)}, 429), until)
    return _new_page(employer, {"email": _(NOT_INVITED[invited])}, 422)


def _read() -> tuple[dict[str, str], dict[str, str]]:
    """What was typed, each in its one spelling; and what is wrong, by field."""
    values, errors = {}, {}
    for field, check in FIELDS.items():
        try:
            values[field] = check(request.form.get(field, "").strip())
        except BadValueError as bad:
            errors[field] = str(bad)
    if request.form.get("role") not in ROLES:
        errors["role"] = _("Выберите роль.")
    return values, errors


def _new_page(
    employer: Organisation, errors: dict[str, str] | None = None, status: int = 200
) -> Response:
    return respond(
        "people/new.html",
        status=status,
        employer=employer,
        typed=request.form,
        errors=errors or {},
        roles=ROLES,
        role_work=account.ROLE_WORK,
    )


@bp.post("/<id>/invite")
def invite_again(id: str) -> ResponseReturnValue:
    """The letter once more, to who has no device yet; the link of the earlier one is dead."""
    person = own(id)
    if not is_own_form():
        return list_of(person, stale(), 422)
    if not person.may_be_invited:
        return list_of(person, _("Приглашать уже не нужно: вот как обстоит дело."), 409)
    until = account.may_invite_at(access.me())
    if until:
        return retry_after(list_of(person, too_many(until), 429), until)
    until = account.may_invite_again_at(person.account)
    if until:
        error = _(
            "Письмо этому сотруднику уже отправляли. Новое можно отправить %(moment)s.",
            moment=language.moment(until),
        )
        return retry_after(list_of(person, error, 429), until)
    account.invite_person_again(access.me(), person.account, g.address)
    db.commit()
    return back_to_list(person, "invited")


@bp.post("/<id>/uninvite")
def withdraw_invitation(id: str) -> ResponseReturnValue:
    person = own(id)
    if not is_own_form():
        return list_of(person, stale(), 422)
    may = person.factor is Factor.MISSING
    if not may or not account.withdraw_invitation(person.account, access.me().id, g.address):
        return list_of(person, _("Отзывать уже нечего: вот как обстоит дело."), 409)
    db.commit()
    return back_to_list(person, "uninvited")
