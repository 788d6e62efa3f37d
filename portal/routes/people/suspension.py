"""Suspending an account, and restoring it."""

from flask import Response, g, request
from flask.typing import ResponseReturnValue

from portal import access, account, language, recovery
from portal.cookie import is_own_form
from portal.database import db
from portal.language import gettext as _
from portal.pages import respond, retry_after, stale
from portal.routes.people.blueprint import bp
from portal.routes.people.page import back_to_list, list_of
from portal.routes.people.person import Person, own


@bp.get("/<id>/suspend")
def suspend_page(id: str) -> ResponseReturnValue:
    """What it does, before the button."""
    person = own(id)
    return access.needs_second_factor(request.path) or _suspend_page(person)


@bp.post("/<id>/suspend")
def suspend(id: str) -> ResponseReturnValue:
    person, me = own(id), access.me()
    if not is_own_form():
        return _suspend_page(person, stale(), 422)
    asked = access.needs_second_factor(request.path)
    if asked:
        return asked
    if not account.suspend(person.account, me, g.address):
        return list_of(person, _("Учётная запись уже приостановлена: вот как обстоит дело."), 409)
    recovery.cancel_by_suspension(person.account, me.id, g.address)
    db.commit()
    return back_to_list(person, "suspended")


def _suspend_page(person: Person, error: str = "", status: int = 200) -> Response:
    return respond("people/suspend.html", status=status, person=person, error=error)


@bp.get("/<id>/restore")
def restore_page(id: str) -> ResponseReturnValue:
    person = own(id)
    return access.needs_second_factor(request.path) or _restore_page(person)


@bp.post("/<id>/restore")
def restore(id: str) -> ResponseReturnValue:
    person = own(id)
    if not is_own_form():
        return _restore_page(person, stale(), 422)
    asked = access.needs_second_factor(request.path)
    if asked:
        return asked
    until = account.may_restore_at(person.account)
    if until and person.account.suspended_at:
        error = _(
            "Эту учётную запись за сутки восстанавливали уже 5 раз. Следующий раз — %(moment)s.",
            moment=language.moment(until),
        )
        return retry_after(_restore_page(person, error, 429), until)
    if not account.restore(person.account, access.me(), g.address):
        return list_of(person, _("Учётная запись уже действует: вот как обстоит дело."), 409)
    db.commit()
    return back_to_list(person, "restored")


def _restore_page(person: Person, error: str = "", status: int = 200) -> Response:
    return respond("people/restore.html", status=status, person=person, error=error)
