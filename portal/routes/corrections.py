"""What the responsible person says is wrong, taken over into a draft row by row."""

from flask import Blueprint, Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal import access, editing, organisation
from portal.account import Role
from portal.cookie import is_own_form
from portal.database import db
from portal.forms import OTHER
from portal.language import gettext as _
from portal.organisation import EDITED_FIELDS, Organisation
from portal.pages import respond, stale
from portal.routes.edit import draft_of, edit_page, form_of, person_of

bp = Blueprint("corrections", __name__, url_prefix="/organisations/<id>/corrections")
bp.before_request(access.only(Role.ADMINISTRATOR))


@bp.get("")
def page(id: str) -> ResponseReturnValue:
    return _page(access.own_organisation(id))


@bp.post("")
def take(id: str) -> ResponseReturnValue:
    """Take the chosen rows over into the draft."""
    found = access.own_organisation(id)
    if not is_own_form():
        return _page(found, stale(), 422)
    kept = draft_of(found)
    reported = editing.reported(found, kept)
    if reported is None or request.form.get("request") != reported.request_id:
        return _page(found, _("Этого сообщения об ошибке больше нет: вот как обстоит дело."), 409)
    chosen = {
        each.field: each.proposed
        for each in reported.rows
        if each.may_be_taken and f"take_{each.field}" in request.form
    }
    if not chosen:
        return _page(found, _("Отметьте хотя бы одно исправление."), 422)
    began, values = editing.base(found, kept)
    who = request.form.get("person", "") or (person_of(kept) if kept else "")
    form = form_of({**values, **chosen}, who)
    taken = form.read(began.values)
    if form.person.errors:
        return _page(found, status=422, error="".join(form.person.errors))
    if any(form.errors.values()):
        return edit_page(found, began, form, status=422)
    organisation.keep_draft(
        found.id, access.me().id, began, taken, is_another_person=form.person.data == OTHER
    )
    db.commit()
    return redirect(url_for("edit.draft", id=found.id), 303)


def _page(found: Organisation, notice: str = "", status: int = 200, *, error: str = "") -> Response:
    kept = draft_of(found)
    return respond(
        "edit/corrections.html",
        status=status,
        organisation=found,
        reported=editing.reported(found, kept),
        draft=kept,
        notice=notice,
        error=error,
        typed=request.form,
        labels=EDITED_FIELDS,
    )
