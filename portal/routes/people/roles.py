"""Another role."""

from flask import Response, g, request
from flask.typing import ResponseReturnValue

from portal import access, account, language, recovery
from portal.account import Role
from portal.cookie import is_own_form
from portal.database import db
from portal.language import gettext as _
from portal.pages import respond, retry_after, stale
from portal.routes.people.blueprint import ROLES, bp
from portal.routes.people.page import back_to_list
from portal.routes.people.person import Person, own


@bp.get("/<id>/role")
def role_page(id: str) -> ResponseReturnValue:
    """The roles there are, and what giving another one does."""
    return _role_page(own(id))


@bp.post("/<id>/role")
def change_role(id: str) -> ResponseReturnValue:
    person, me = own(id), access.me()
    chosen = request.form.get("role", "")
    if not is_own_form():
        return _role_page(person, stale(), 422)
    if chosen not in ROLES:
        return _role_page(person, _("Выберите роль."), 422)
    if request.form.get("was") != person.account.role:
        error = _("Роль этому сотруднику уже изменили. Проверьте, нужна ли ему другая.")
        return _role_page(person, error, 409)
    if chosen == person.account.role:
        return _role_page(person, _("Это и есть нынешняя роль. Выберите другую."), 422)
    until = account.give_role(person.account, Role(chosen), me, g.address)
    if until:
        error = _(
            "Роль этого сотрудника за сутки изменили уже 5 раз. Следующий раз — %(moment)s.",
            moment=language.moment(until),
        )
        return retry_after(_role_page(person, error, 429), until)
    recovery.cancel_by_change(person.account, me.id, g.address)
    db.commit()
    return back_to_list(person, "role")


def _role_page(person: Person, error: str = "", status: int = 200) -> Response:
    return respond(
        "people/role.html",
        status=status,
        person=person,
        error=error,
        chosen=request.form.get("role") or person.account.role,
        roles=ROLES,
        role_work=account.ROLE_WORK,
    )
