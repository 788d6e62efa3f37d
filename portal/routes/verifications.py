"""The specialist's console of organisations: the queue, one verification, and what a caller names.

A decision is of who works on the verification and of the record that was shown: on anything else
the page says what is true now, and keeps the remarks that were typed.
"""

import hashlib
import json
from datetime import UTC, datetime

from flask import Blueprint, Response, abort, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal import access, account, checks, clock, confirmation, history, organisation, verification
from portal.account import Role
from portal.checks import BadValueError
from portal.cookie import is_own_form
from portal.database import db
from portal.language import gettext as _
from portal.organisation import MovedError, Organisation
from portal.pages import json_page, respond, stale
from portal.verification import LONGEST_REMARK, Outcome, Verification
from portal.version import version_of

bp = Blueprint("verifications", __name__)
bp.before_request(access.only(Role.SPECIALIST))

DECISIONS = {"verify": Outcome.VERIFIED, "return": Outcome.RETURNED}  # by their buttons

ON_A_PAGE = 50
BEGINNING = datetime.min.replace(tzinfo=UTC)
LINES = 10  # of the journal on the page of a verification or of an organisation
MOST_VERIFICATIONS = 5
LONGEST_SEARCH = 200
WHOLE = "whole"  # what forms call a remark on all of the record
LABELS = organisation.ORGANISATION_FIELDS | organisation.PERSON_FIELDS
REMARKED = (*LABELS, "")


# The queue


@bp.get("/verifications")
def queue() -> ResponseReturnValue:
    first = verification.find(request.args.get("after", ""))
    after = (first.submitted_at, first.id) if first else (BEGINNING, "")
    found = verification.queue(*after, most=ON_A_PAGE + 1)
    shown = found[:ON_A_PAGE]
    version = version_of(*(_seen(*each) for each in shown), len(found))
    if request.args.get("seen") == version:
        return "", 204
    return respond(
        "verifications/queue.html",
        "verifications/_queue.html",
        waiting=shown,
        after=first.id if first else "",
        next=shown[-1][0].id if len(found) > ON_A_PAGE else "",
        version=version,
        workers=account.names_of({each.specialist_id for each, _of in shown if each.specialist_id}),
        me=access.me(),
        statuses=organisation.STATUS_NAMES,
    )


# One verification


@bp.get("/verifications/<id>")
def page(id: str) -> ResponseReturnValue:
    found = _found(id)
    if request.args.get("seen") == version_of(_seen(found, _organisation(found))):
        return "", 204
    return _page(found)


@bp.get("/verifications/<id>/evidence.json")
def evidence(id: str) -> ResponseReturnValue:
    """The same for the files: docs/evidence.md."""
    found = _found(id)
    text = json.dumps(
        verification.written(verification.evidence(found)), ensure_ascii=False, indent=2
    )
    response = json_page(text + "\n")
    day = f"{clock.now().astimezone(clock.MOSCOW):%Y-%m-%d}"
    # Not the organisation's ID: it may have Russian letters, which no header takes.
    name = f"verification-{found.id}-{day}.json"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


@bp.post("/verifications/<id>/take")
def take(id: str) -> ResponseReturnValue:
    """Work on it: on one that is free, or instead of the colleague whom the page showed."""
    found, mine = _found(id), access.me()
    if not is_own_form():
        return _page(found, stale(), 422)
    if found.specialist_id == mine.id and found.is_open:
        return redirect(url_for(".page", id=id), 303)
    was_shown = request.form.get("instead_of", "") == (found.specialist_id or "")
    if not was_shown or not verification.take(found, mine, g.address):
        return _page(found, _("Взять в работу не вышло: вот как обстоит дело."), 409)
    db.commit()
    return redirect(url_for(".page", id=id), 303)


@bp.get("/verifications/<id>/take-over")
def take_over(id: str) -> ResponseReturnValue:
    """Whose it is, before it is taken away from them."""
    found = _found(id)
    if not found.is_open or found.specialist_id in {None, access.me().id}:
        return redirect(url_for(".page", id=id), 303)
    return respond(
        "verifications/take_over.html",
        verification=found,
        organisation=_organisation(found),
        worker=account.names_of({found.specialist_id or ""}).get(found.specialist_id or "", ""),
    )


@bp.post("/verifications/<id>/decision")
def decide(id: str) -> ResponseReturnValue:
    """Verify, or return with remarks; or leave it to others."""
    found, mine = _found(id), access.me()
    if not is_own_form():
        return _page(found, stale(), 422)
    decision = request.form.get("decision")
    if decision == "release":
        return _release(found)
    is_what_was_shown = request.form.get("record") == str(found.record_id)
    is_what_was_shown &= request.form.get("beside") == _beside(_organisation(found))
    if not is_what_was_shown or not verification.may_decide(found, mine):
        raise MovedError
    remarks, faults = _remarks()
    if faults:
        return _page(found, _("Решение не принято: исправьте отмеченное."), 422, faults=faults)
    if decision == "verify":
        if remarks:
            error = _("Решение не принято: записаны замечания. Верните организацию или сотрите их.")
            return _page(found, error, 422)
        if not verification.verify(found, mine, g.address):
            error = _(
                "Отметить проверенной нельзя: подтверждены не оба контакта. Верните "
                "организацию с замечанием."
            )
            return _page(found, error, 409)
    elif decision == "return":
        if not remarks:
            nothing = {WHOLE: _("Напишите хотя бы одно замечание: здесь или возле строки.")}
            return _page(found, status=422, faults=nothing)
        verification.send_back(found, mine, remarks, g.address)
    else:
        return _page(found, _("Выберите решение."), 422)
    db.commit()
    return redirect(url_for(".page", id=id), 303)


@bp.errorhandler(MovedError)
def moved(_error: MovedError) -> ResponseReturnValue:
    """Somebody was first, or the record is another one: show what is true now."""
    db.begin(writes=False)
    found = _found(str((request.view_args or {})["id"]))
    if _was_decided_so(found):
        return redirect(url_for(".page", id=found.id), 303)
    return _page(found, _("Решение не принято: вот как обстоит дело."), 409)


def _was_decided_so(found: Verification) -> bool:
    """Whether the same button was pressed twice."""
    is_it = found.outcome is DECISIONS.get(request.form.get("decision", ""))
    is_record = request.form.get("record") == str(found.record_id)
    if not is_it or not is_record or found.ended_at is None:
        return False
    return access.is_same_press(found.specialist_id or "", found.ended_at)


# What a caller names


@bp.get("/support/organisations")
def organisations() -> ResponseReturnValue:
    typed = request.args.get("typed", "")[:LONGEST_SEARCH]
    after = request.args.get("after", "")
    found = organisation.search(typed, after=after, most=ON_A_PAGE + 1)
    shown = found[:ON_A_PAGE]
    return respond(
        "verifications/organisations.html",
        organisations=shown,
        typed=typed,
        after=after,
        next=shown[-1].id if len(found) > ON_A_PAGE else "",
        statuses=organisation.STATUS_NAMES,
    )


@bp.get("/support/organisations/<id>")
def organisation_page(id: str) -> ResponseReturnValue:
    found = organisation.find(id)
    if found is None:
        access.note_refusal()
        abort(404)
    listed = verification.verifications_of(id, most=MOST_VERIFICATIONS)
    return respond(
        "verifications/organisation.html",
        organisation=found,
        proofs=confirmation.proofs_of(found),
        last=confirmation.last_request(id),
        administrators=account.administrators_of(id),
        troubles=history.TROUBLES,
        operational_users=account.operational_users_of(id),
        verifications=listed,
        workers=account.names_of({each.specialist_id for each in listed if each.specialist_id}),
        told=history.of_organisation(id, most=LINES),
        statuses=organisation.STATUS_NAMES,
        organisation_fields=organisation.ORGANISATION_FIELDS,
        person_fields=organisation.PERSON_FIELDS,
    )


# What the answers have in common


def _found(id: str) -> Verification:
    """The verification. Who asks for one that is not there is noted."""
    found = verification.find(id)
    if found is None:
        access.note_refusal()
        abort(404)
    return found


def _organisation(found: Verification) -> Organisation:
    of = organisation.find(found.organisation_id)
    assert of, "an organisation is never deleted"
    return of


def _release(found: Verification) -> ResponseReturnValue:
    """Back into the queue, where no remarks are kept: who typed some is asked first."""
    mine = access.me()
    if _typed() and verification.may_decide(found, mine):
        error = _(
            "В очередь не возвращено: записаны замечания, там они не сохранятся. "
            "Верните организацию с замечаниями или сотрите их."
        )
        return _page(found, error, 422)
    if not verification.release(found, mine, g.address):
        return _page(found, _("Вернуть в очередь уже нельзя: вот как обстоит дело."), 409)
    db.commit()
    return redirect(url_for(".queue"), 303)


def _typed() -> dict[str, str]:
    """The remarks that were typed, as they were, by the names of fields."""
    typed = {field: request.form.get(f"remark_{field or WHOLE}", "") for field in REMARKED}
    return {field: remark for field, remark in typed.items() if remark.strip()}


def _remarks() -> tuple[dict[str, str], dict[str, str]]:
    """The remarks that were typed, and what is wrong with some, by the names of fields."""
    remarks, faults = {}, {}
    for field, typed in _typed().items():
        try:
            remark = checks.one_line(typed.replace("\r\n", " ").replace("\n", " "))
        except BadValueError as error:
            faults[field or WHOLE] = str(error)
            continue
        if len(remark) > LONGEST_REMARK:
            faults[field or WHOLE] = _(
                "Слишком длинно: не больше %(count)s знаков.", count=LONGEST_REMARK
            )
        remarks[field] = remark
    return remarks, faults


def _page(
    found: Verification,
    error: str = "",
    status: int = 200,
    faults: dict[str, str] | None = None,
) -> Response:
    """The verification, and what was wrong with the last press; what was typed is kept."""
    mine = access.me()
    seen = verification.evidence(found)
    may_decide = verification.may_decide(found, mine)
    newest = None if found.is_open else verification.last_one(found.organisation_id)
    return respond(
        "verifications/page.html",
        "verifications/_verification.html",
        "verifications/_meanwhile.html",
        status=status,
        verification=found,
        organisation=seen.organisation,
        seen=seen,
        newest=newest if newest and newest.id != found.id else None,
        version=version_of(_seen(found, seen.organisation)),
        beside=_beside(seen.organisation),
        # A broken journal may not even be readable.
        told=[] if seen.broken_line else history.of_organisation(found.organisation_id, most=LINES),
        is_mine=found.is_open and found.specialist_id == mine.id,
        may_decide=may_decide,
        will_block=account.operational_users_of(found.organisation_id),
        error=error,
        faults=faults or {},
        typed=request.form,
        kept={} if may_decide else _typed(),
        unsent=bool(_typed()),
        labels=LABELS,
        letters=history.LETTERS,
        sms=history.SMS,
        troubles=history.TROUBLES,
        actors=history.ACTORS,
        statuses=organisation.STATUS_NAMES,
        organisation_fields=organisation.ORGANISATION_FIELDS,
        person_fields=organisation.PERSON_FIELDS,
        longest=LONGEST_REMARK,
    )


def _seen(found: Verification, of: Organisation) -> tuple[object, ...]:
    """What a page shows of a verification that others may change."""
    own = found.id, found.specialist_id, found.taken_at, found.outcome, of.record_id, of.status
    return *own, _beside(of)


def _beside(of: Organisation) -> str:
    """A word for what stands beside the record, and may change while somebody looks at it."""
    said = " ".join((of.administrator_email, *map(str, of.networks)))
    return hashlib.sha256(said.encode()).hexdigest()
