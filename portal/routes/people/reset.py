"""A new second factor for who lost theirs."""

from flask import Response, g, request
from flask.typing import ResponseReturnValue

from portal import access, recovery
from portal.cookie import is_own_form
from portal.database import db
from portal.language import gettext as _
from portal.pages import respond, stale
from portal.recovery import NotOpenError, Reason, Refusal
from portal.routes.people.blueprint import bp
from portal.routes.people.page import back_to_list, list_of
from portal.routes.people.person import Factor, Person, own
from portal.routes.people.words import open_case


@bp.get("/<id>/reset")
def reset_page(id: str) -> ResponseReturnValue:
    """What a reset does, before the button."""
    person = own(id)
    return access.needs_second_factor(request.path) or _reset_page(person)


@bp.post("/<id>/reset")
def reset(id: str) -> ResponseReturnValue:
    person = own(id)
    if not is_own_form():
        return _reset_page(person, stale(), 422)
    asked = access.needs_second_factor(request.path)
    if asked:
        return asked
    granted = recovery.grant_by_administrator(access.me(), person.account, g.address)
    if not isinstance(granted, Refusal) and request.form.get("seen") != person.version:
        db.begin(writes=False)  # nothing is granted that rests on something else than was shown
        sentence = _("Пока вы смотрели, положение изменилось. Прочитайте ещё раз.")
        return _reset_page(own(id), sentence, 409)
    db.commit()
    if granted is Refusal.OPEN_CASE:
        return list_of(person, open_case(), 409)
    if isinstance(granted, Refusal):
        return _reset_page(person, _(recovery.SENTENCES[granted].staff), 409)
    return back_to_list(person, "done")


@bp.post("/<id>/refuse")
def refuse(id: str) -> ResponseReturnValue:
    """Refuse what was asked for, or take back the code: either only ever protects its owner."""
    person = own(id)
    if not is_own_form():
        return list_of(person, stale(), 422)
    reason = Reason.REVOKED if person.factor is Factor.SENT else Reason.DENIED
    case = person.case
    if case is None or not recovery.refuse(case, access.me(), reason, g.address):
        return list_of(person, _("Отказать уже нельзя: вот как обстоит дело."), 409)
    db.commit()
    if reason is Reason.REVOKED:
        return back_to_list(person, "withdrawn")
    return back_to_list(person, "refused")


@bp.errorhandler(NotOpenError)
def not_open(_error: NotOpenError) -> ResponseReturnValue:
    """The case moved meanwhile: show how things stand."""
    db.begin(writes=False)
    person = own((request.view_args or {}).get("id", ""))
    return list_of(person, open_case(), 409)


def _reset_page(person: Person, error: str = "", status: int = 200) -> Response:
    return respond("people/reset.html", status=status, person=person, error=error)
