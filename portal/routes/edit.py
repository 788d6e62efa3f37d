"""Editing an organisation: a draft, what it comes to, and only then the change.

Each administrator has a draft of their own. A form carries what its page was drawn from, so whoever
presses on an older page changes nothing, is shown what somebody else changed, and keeps what they
typed.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict

from flask import Blueprint, Response, abort, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal import access, account, editing, language, organisation, verification
from portal.account import Role
from portal.checks import display_phone
from portal.cookie import is_own_form
from portal.database import LARGEST, db
from portal.forms import LONG_FIELDS, OTHER, SAME, EditForm
from portal.language import gettext as _
from portal.organisation import (
    BESIDE_FIELDS,
    EDITED_FIELDS,
    Draft,
    MovedError,
    Organisation,
    Start,
)
from portal.pages import respond, retry_after, sorry, stale

bp = Blueprint("edit", __name__, url_prefix="/organisations/<id>")
bp.before_request(access.only(Role.ADMINISTRATOR))

MINE, THEIRS = "mine", "theirs"
FORM_ORDER = (  # in which the fields stand on the page
    *("last_name", "first_name", "patronymic", "person", "position", "phone", "email"),
    *organisation.ORGANISATION_FIELDS,
    *BESIDE_FIELDS,
)


# What is typed


@bp.get("/edit")
def page(id: str) -> ResponseReturnValue:
    found = access.own_organisation(id)
    kept = draft_of(found)
    if kept and kept.is_outdated(found):
        return redirect(url_for(".draft", id=found.id), 303)
    if kept is None:
        return _fresh_page(found)
    return edit_page(found, kept.began, form_of(kept.values, person_of(kept)))


@bp.post("/edit")
def keep(id: str) -> ResponseReturnValue:
    """Keep what was typed as a draft; what somebody else changed meanwhile is shown next."""
    found = access.own_organisation(id)
    form, began = EditForm(), _began(found)
    if not is_own_form():
        return edit_page(found, began, form, stale(), 422, seen=request.form.get("draft", ""))
    values = form.read(began.values)
    if any(form.errors.values()):
        return edit_page(found, began, form, status=422, seen=request.form.get("draft", ""))
    is_another_person = form.person.data == OTHER
    if values == began.values and not is_another_person:
        return _nothing_changed(found)
    kept = draft_of(found)
    is_newer = kept is not None and request.form.get("draft") != kept.version
    if kept and is_newer and (kept.values, kept.is_another_person) != (values, is_another_person):
        sentence = _(
            "Черновик тем временем сохранили в другом окне. Здесь — то, что ввели вы: нажмите "
            "кнопку ещё раз, и черновик станет таким."
        )
        return edit_page(found, began, form, sentence, 409)
    organisation.keep_draft(
        found.id, access.me().id, began, values, is_another_person=is_another_person
    )
    db.commit()
    return redirect(url_for(".draft", id=found.id), 303)


def _nothing_changed(found: Organisation) -> Response:
    """Nothing differs from what is written; a draft that did goes, if the form began with it."""
    kept = draft_of(found)
    if kept is None or request.form.get("draft") != kept.version:
        return _fresh_page(
            found, _("Вы ничего не изменили. Исправьте нужное и нажмите кнопку ещё раз."), 422
        )
    organisation.forget_draft(found.id, access.me().id)
    db.commit()
    return _fresh_page(found, _("Вы вернули всё как записано, поэтому черновик удалён."), 422)


def _began(found: Organisation) -> Start:
    """What the form was drawn from. A record of another organisation is not there, and noted."""
    typed = request.form.get("record", "")
    if not typed:
        return organisation.start_of(found)
    id = int(typed) if re.fullmatch("[0-9]{1,10}", typed) else 0
    record = organisation.find_record(id) if 0 < id <= LARGEST else None
    if record is None or record.organisation_id != found.id:
        access.note_refusal()
        abort(404)
    beside = {name: request.form.get(f"began_{name}", "") for name in BESIDE_FIELDS}
    return Start(record.id, asdict(record.details) | beside)


def form_of(values: Mapping[str, str], person: str = "") -> EditForm:
    """The form with these values, as people write them."""
    shown = {**values, "phone": display_phone(values["phone"]), "person": person}
    return EditForm(formdata=None, data=shown)


def person_of(kept: Draft) -> str:
    """What was answered to the question who is meant, if it was asked."""
    return answer(kept.values, kept.began.values, is_another_person=kept.is_another_person)


def answer(
    values: Mapping[str, str], began: Mapping[str, str], *, is_another_person: bool | None
) -> str:
    """How the question who is meant stands answered on the form with these values."""
    if is_another_person or is_another_person is None:
        return OTHER if is_another_person else ""
    details = organisation.details_in(values)
    return "" if details.is_same_person(organisation.details_in(began)) else SAME


def _fresh_page(found: Organisation, notice: str = "", status: int = 200) -> Response:
    """The form with what is written now."""
    start = organisation.start_of(found)
    return edit_page(found, start, form_of(start.values), notice, status, is_fresh=True)


def edit_page(
    found: Organisation,
    began: Start,
    form: EditForm,
    notice: str = "",
    status: int = 200,
    seen: str | None = None,
    *,
    is_fresh: bool = False,
) -> Response:
    """The form as it is filled in; what is wrong stands beside its field.

    `seen` is the draft that whoever fills it in knows of, if that is not the one that is kept.
    Unless it `is_fresh`, a form that is shown again holds what is kept nowhere else.
    """
    kept = draft_of(found)
    wrong = [name for name in FORM_ORDER if form[name].errors]
    returned = verification.returned(found)
    return respond(
        "edit/edit.html",
        status=status,
        organisation=found,
        began=began,
        form=form,
        notice=notice,
        first_wrong=wrong[0] if wrong else "",
        unsent=status != 200 and not is_fresh,
        is_outdated=not began.is_of(found),
        draft=kept,
        seen=seen if seen is not None or kept is None else kept.version,
        remarks=returned.remarks if returned else {},
        organisation_fields=organisation.ORGANISATION_FIELDS,
        person_fields=organisation.PERSON_FIELDS,
        beside_fields=BESIDE_FIELDS,
        long_fields=LONG_FIELDS,
    )


# What it comes to


@bp.get("/draft")
def draft(id: str) -> ResponseReturnValue:
    found = access.own_organisation(id)
    kept = draft_of(found)
    return _draft_page(found, kept) if kept else redirect(url_for(".page", id=found.id), 303)


@bp.post("/draft")
def apply(id: str) -> ResponseReturnValue:
    """Make the draft what the organisation says, if it comes to what was shown."""
    found, kept = _shown_draft(id)
    if kept.is_outdated(found) or request.form.get("status") != found.status:
        return _draft_page(found, kept, _("Пока вы смотрели, организация изменилась."), 409)
    if editing.needs_factor(kept, found):
        asked = access.needs_second_factor(url_for(".draft", id=found.id))
        if asked:
            return asked
    until = editing.apply(kept, g.address)
    if until:
        sentence = _(
            "За сутки сведения об этой организации меняли уже 100 раз. Черновик сохранён: "
            "применить его можно %(moment)s.",
            moment=language.moment(until),
        )
        return retry_after(_draft_page(found, kept, sentence, 429), until)
    db.commit()
    return _to_organisation(found, done="applied")


@bp.post("/draft/forget")
def forget(id: str) -> ResponseReturnValue:
    found, _kept = _shown_draft(id)
    organisation.forget_draft(found.id, access.me().id)
    db.commit()
    return _to_organisation(found, done="forgotten")


def _shown_draft(id: str) -> tuple[Organisation, Draft]:
    """The draft that a form is about.

    A form that is not of this session, or of a page with another draft, is answered at once.
    """
    found = access.own_organisation(id)
    kept = draft_of(found)
    if not is_own_form():
        abort(_draft_page(found, kept, stale(), 422) if kept else _fresh_page(found, stale(), 422))
    if kept is None:
        abort(_no_draft(found))
    if request.form.get("draft") != kept.version:
        sentence = _("Черновик изменили в другом окне: вот какой он теперь.")
        abort(_draft_page(found, kept, sentence, 409))
    return found, kept


def _no_draft(found: Organisation) -> Response:
    return sorry(
        409,
        _("Этого черновика больше нет"),
        _("Его уже применили или удалили, возможно, в другом окне. Посмотрите, что записано."),
        way=(url_for("organisations.organisation", id=found.id), _("Открыть организацию")),
    )


def _draft_page(found: Organisation, kept: Draft, notice: str = "", status: int = 200) -> Response:
    """What the draft changes; or first, what somebody else changed meanwhile."""
    if kept.is_outdated(found):
        return _merge_page(found, kept, notice, status)
    return respond(
        "edit/draft.html",
        status=status,
        organisation=found,
        draft=kept,
        notice=notice,
        outlook=editing.outlook(kept, found),
        labels=EDITED_FIELDS,
        statuses=organisation.STATUS_NAMES,
    )


# What somebody else changed meanwhile


@bp.post("/draft/merge")
def merge(id: str) -> ResponseReturnValue:
    """Put the draft on top of what is said now, row by row as was chosen."""
    found, kept = _shown_draft(id)
    start = organisation.start_of(found)
    if not kept.is_outdated(found) or request.form.get("now") != start.version:
        return _draft_page(
            found, kept, _("Организация изменилась ещё раз: вот что записано теперь."), 409
        )
    mine = {
        clash.field
        for clash in organisation.clashes(kept, found)
        if request.form.get(f"choose_{clash.field}", MINE if clash.is_typed else THEIRS) == MINE
    }
    values = organisation.merge(kept, found, mine)
    is_another_person = organisation.person_after(kept, found, values)
    if values == start.values and not is_another_person:
        organisation.forget_draft(found.id, access.me().id)
        db.commit()
        return _to_organisation(found)
    wrong = organisation.misfits(values)
    if wrong or is_another_person is None:
        person = answer(values, start.values, is_another_person=is_another_person)
        form = form_of(values, person)
        form.point_at(wrong)
        if is_another_person is None:
            form.ask_who()
        return edit_page(found, start, form, status=422)
    organisation.keep_draft(
        found.id, access.me().id, start, values, is_another_person=is_another_person
    )
    db.commit()
    return redirect(url_for(".draft", id=found.id), 303)


def _merge_page(found: Organisation, kept: Draft, notice: str, status: int) -> Response:
    began = organisation.find_record(kept.began.record_id)
    assert began, "a draft keeps its record"
    clashes = organisation.clashes(kept, found)
    traces = organisation.traces(found)
    return respond(
        "edit/merge.html",
        status=status,
        organisation=found,
        draft=kept,
        notice=notice,
        now=organisation.start_of(found),
        clashes=clashes,
        chosen=request.form,
        traces={
            clash.field: (_name_of(traces[clash.field].by), traces[clash.field].at)
            for clash in clashes
            if clash.field in traces
        },
        is_another_person=began.person != found.person,
        labels=EDITED_FIELDS,
    )


def _name_of(actor: str) -> str:
    """Somebody's name; "" for a file or a command."""
    found = account.find(actor)
    return found.called if found else ""


# Back to what was verified


@bp.get("/discard")
def discard_page(id: str) -> ResponseReturnValue:
    found = access.own_organisation(id)
    return _discard_page(found, status=200 if editing.verified_record(found) else 409)


@bp.post("/discard")
def discard(id: str) -> ResponseReturnValue:
    found = access.own_organisation(id)
    if not is_own_form():
        return _discard_page(found, stale(), 422)
    if editing.verified_record(found) is None:
        return _discard_page(found, status=409)
    if request.form.get("record") != str(found.record_id):
        return _discard_page(found, _("Пока вы смотрели, данные изменились."), 409)
    editing.discard(found, access.me().id, g.address)
    db.commit()
    return _to_organisation(found, done="discarded")


def _discard_page(found: Organisation, notice: str = "", status: int = 200) -> Response:
    verified = editing.verified_record(found)
    return respond(
        "edit/discard.html",
        status=status,
        organisation=found,
        notice=notice,
        verified=verified,
        changes=organisation.compare(found.details, verified.details) if verified else [],
        is_another_person=verified is not None and verified.person != found.person,
        ends_request=editing.has_request(found),
        users=account.operational_users_of(found.id),
        labels=EDITED_FIELDS,
        statuses=organisation.STATUS_NAMES,
    )


# What the answers have in common


@bp.errorhandler(MovedError)
def moved(_error: MovedError) -> ResponseReturnValue:
    """Somebody was first."""
    db.begin(writes=False)
    id = str((request.view_args or {})["id"])
    return sorry(
        409,
        _("Статус организации уже изменился"),
        _("Ничего не сделано. Посмотрите, как обстоит дело сейчас."),
        way=(url_for("organisations.organisation", id=id), _("Открыть организацию")),
    )


def draft_of(found: Organisation) -> Draft | None:
    """The edit of one's own that has not taken effect."""
    return organisation.draft_of(found.id, access.me().id)


def _to_organisation(found: Organisation, done: str | None = None) -> ResponseReturnValue:
    return redirect(url_for("organisations.organisation", id=found.id, done=done), 303)
