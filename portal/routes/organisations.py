"""The administrator's own organisations: the list, and one of them on a page.

A form carries what its page showed, the record and the last request. Who presses on an older page
changes nothing and is shown how things stand now; who presses twice has pressed once.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from flask import Blueprint, Response, abort, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal import (
    access,
    clock,
    confirmation,
    deliveries,
    editing,
    history,
    language,
    outbox,
    verification,
)
from portal import organisation as organisations
from portal.account import Role
from portal.confirmation import Progress, Proof, Request, Standing
from portal.cookie import is_own_form
from portal.database import db
from portal.history import Told
from portal.language import gettext as _
from portal.language import mark
from portal.organisation import Draft, MovedError, Organisation, Status
from portal.outbox import Failed
from portal.pages import respond, retry_after, stale
from portal.verification import Sent, Verification
from portal.version import version_of

bp = Blueprint("organisations", __name__, url_prefix="/organisations")
bp.before_request(access.only(Role.ADMINISTRATOR))

ON_A_PAGE = 50
LONGEST_SEARCH = 200
A_WHILE = timedelta(minutes=2)  # so long after a request it was sent «just now»
LINES = 10  # of the journal on an organisation's page
ASKS_FOR = {"phone": "code", "email": "email_link"}  # which message asks for which contact
SHOWN_BESIDE = "confirmation"  # the letter of a request has a row of its own while it matters
DONE = {  # what was just done, as the address says
    "applied": mark("Изменения применены."),
    "forgotten": mark("Черновик удалён."),
    "discarded": mark("Проверенные реквизиты возвращены."),
    "sent": mark("Отправлено на проверку."),
    "requested": mark("Запрос отправлен."),
    "cancelled": mark("Запрос отозван."),
}


# The list


class Line(NamedTuple):
    """An organisation, as much of it as the list shows."""

    organisation: Organisation
    progress: Progress
    verification: Verification | None  # the last one

    @property
    def is_taken(self) -> bool:
        """Whether a specialist works on it."""
        last = self.verification
        return bool(last and last.is_open and last.specialist_id)

    @property
    def is_as_returned(self) -> bool:
        """Whether it is just what a specialist returned with remarks."""
        return verification.is_as_returned(self.organisation, self.verification)

    @property
    def is_awaited(self) -> bool:
        """Whether somebody else has the next step, so that it may change by itself."""
        last = self.progress.last
        return self.organisation.is_specialists_turn or bool(last and last.is_open)


@bp.get("")
def page() -> ResponseReturnValue:
    status = request.args.get("status", "")
    if status and status not in set(Status):
        abort(404)
    typed = request.args.get("q", "")[:LONGEST_SEARCH]
    after = request.args.get("after", "")
    found = organisations.search(
        typed,
        Status(status) if status else None,
        of=access.me().id,
        after=after,
        most=ON_A_PAGE + 1,
    )
    shown = found[:ON_A_PAGE]
    progress = confirmation.progress_of([each.id for each in shown])
    last = verification.last_ones([each.id for each in shown])
    lines = [Line(each, progress[each.id], last.get(each.id)) for each in shown]
    version = version_of(*(part for line in lines for part in _seen_in(line)))
    if request.args.get("seen") == version:
        return "", 204
    return respond(
        "organisations/list.html",
        "organisations/_list.html",
        lines=lines,
        version=version,
        is_awaited=any(line.is_awaited for line in lines),
        typed=typed,
        chosen=status,
        after=after,
        next=shown[-1].id if len(found) > ON_A_PAGE else "",
        statuses=organisations.STATUS_NAMES,
    )


# One organisation


class View(NamedTuple):
    """All that an organisation's page shows."""

    line: Line
    proofs: dict[str, Proof]
    left: int  # values that its report proposes and nobody has written yet
    missing: list[str]  # before it can be sent for verification
    returned: Verification | None  # its last verification, if it came back with remarks
    changed: list[str]  # fields that differ from what was returned
    draft: Draft | None  # an edit of one's own that has not taken effect
    failed: list[Failed]  # what never left of what goes on now
    told: list[Told]

    @property
    def organisation(self) -> Organisation:
        return self.line.organisation

    @property
    def last(self) -> Request | None:
        """The last request."""
        return self.line.progress.last

    @property
    def version(self) -> str:
        """A short word that changes whenever the page would read differently."""
        last = self.line.verification
        return version_of(
            *_seen_in(self.line),
            last and (last.id, last.outcome, last.specialist_id),
            self.draft and self.draft.saved_at,
            *(each.id for each in self.failed),
            *(each.place for each in self.told),
        )


@bp.get("/<id>")
def organisation(id: str) -> ResponseReturnValue:
    found = access.own_organisation(id)
    view = _view(found)
    if request.args.get("seen") == view.version:
        return "", 204
    return _page(view, done=_done(view))


@bp.post("/<id>/request")
def request_confirmation(id: str) -> ResponseReturnValue:
    found = _shown(id)
    last = confirmation.last_request(found.id)
    if not _is_shown(last):
        if last and access.is_same_press(last.requested_by, last.requested_at):
            return _back_to(found, "requested")
        return _conflict(found, _("Запрос уже обновили в другом окне: вот как обстоит дело."))
    until = confirmation.may_request_at(found)
    is_asked_for = len(confirmation.proved(found)) < 2
    if until and is_asked_for:
        return retry_after(_page(_view(found), _too_soon(until, last), 429), until)
    if not confirmation.request(found, access.me().id, g.address):
        return _conflict(found, _("Телефон и email уже подтверждены, запрашивать нечего."))
    db.commit()
    return _back_to(found, "requested")


@bp.post("/<id>/cancel")
def cancel(id: str) -> ResponseReturnValue:
    found = _shown(id)
    last = confirmation.last_request(found.id)
    if last and _is_shown(last) and last.standing is Standing.CANCELLED:
        return _back_to(found, "cancelled")
    if not _is_shown(last) or not confirmation.cancel(found, access.me().id, g.address):
        return _conflict(found, _("Этот запрос отозвать уже нельзя: вот как обстоит дело."))
    db.commit()
    return _back_to(found, "cancelled")


@bp.post("/<id>/submit")
def submit(id: str) -> ResponseReturnValue:
    found = _shown(id)
    sent = verification.submit(found, access.me(), g.address)
    if sent is Sent.NOT_NOW:
        waiting = verification.open_one(found.id)
        if waiting and access.is_same_press(waiting.submitted_by, waiting.submitted_at):
            return _back_to(found, "sent")
        return _conflict(found, _("Отправить на проверку сейчас нельзя: вот как обстоит дело."))
    if sent is Sent.NOT_READY:
        view = _view(found)
        return _page(view, _("Не отправлено. %(why)s", why=_conditions(view.missing)), 409)
    db.commit()
    return _back_to(found, "sent")


@bp.errorhandler(MovedError)
def moved(_error: MovedError) -> ResponseReturnValue:
    """Somebody was first: show how things stand."""
    db.begin(writes=False)
    found = access.own_organisation(str((request.view_args or {})["id"]))
    return _conflict(found, _("Статус уже изменился: вот как обстоит дело."))


# What the answers have in common


def _shown(id: str) -> Organisation:
    """The organisation that a form is about.

    A form that is not of this session, or of a page with another record, is answered at once.
    """
    found = access.own_organisation(id)
    if not is_own_form():
        abort(_page(_view(found), stale(), 422))
    if request.form.get("record") != str(found.record_id):
        abort(_conflict(found, _("Данные организации изменились: вот как теперь.")))
    return found


def _is_shown(last: Request | None) -> bool:
    """Whether the last request is the one that the page showed."""
    return request.form.get("request", "") == (last.id if last else "")


def _back_to(found: Organisation, done: str) -> ResponseReturnValue:
    """To the page, which says what was done."""
    return redirect(url_for(".organisation", id=found.id, done=done), 303)


def _done(view: View) -> str:
    """What was just done, if it is still so."""
    done, last = request.args.get("done", ""), view.last
    is_so = {
        "applied": True,
        "forgotten": view.draft is None,
        "discarded": view.organisation.status is Status.VERIFIED,
        "sent": view.organisation.is_specialists_turn,
        "requested": bool(last and last.is_open),
        "cancelled": bool(last and last.standing is Standing.CANCELLED),
    }
    return _(DONE[done]) if is_so.get(done) else ""


def _conflict(found: Organisation, sentence: str) -> Response:
    return _page(_view(found), sentence, 409)


def _view(found: Organisation) -> View:
    proofs, last = confirmation.proofs_of(found), confirmation.last_request(found.id)
    newest, returned = verification.last_one(found.id), verification.returned(found)
    return View(
        line=Line(found, Progress(frozenset(proofs), last), newest),
        proofs=proofs,
        left=editing.left_of(found, last),
        missing=verification.missing(found),
        returned=returned,
        changed=_changed_since(found, returned),
        draft=organisations.draft_of(found.id, access.me().id),
        failed=_failed(found, proofs, last, newest),
        told=history.of_organisation(found.id, most=LINES),
    )


def _failed(
    found: Organisation,
    proofs: dict[str, Proof],
    last: Request | None,
    newest: Verification | None,
) -> list[Failed]:
    """What never left, unless it is over: an older request's, or asking for what is confirmed."""
    current = {each.id for each in (last, newest) if each}
    over = {ASKS_FOR[kind] for kind in proofs} | {SHOWN_BESIDE}
    newest_first = [each for each in outbox.failed_of(found.id) if each.about in current]
    by_letter = {each.letter: each for each in reversed(newest_first)}
    return [each for letter, each in by_letter.items() if letter not in over]


def _changed_since(found: Organisation, returned: Verification | None) -> list[str]:
    """The fields that differ from what a specialist returned."""
    seen = organisations.find_record(returned.record_id) if returned else None
    return organisations.differences(seen.details, found.details) if seen else []


def _page(view: View, error: str = "", status: int = 200, *, done: str = "") -> Response:
    return respond(
        "organisations/page.html",
        "organisations/_organisation.html",
        status=status,
        view=view,
        organisation=view.organisation,
        conditions=_conditions(view.missing) if view.missing else "",
        error=error,
        done=done,
        statuses=organisations.STATUS_NAMES,
        organisation_fields=organisations.ORGANISATION_FIELDS,
        person_fields=organisations.PERSON_FIELDS,
        beside_fields=organisations.BESIDE_FIELDS,
        undelivered=[deliveries.tell_administrator(each) for each in view.failed],
    )


def _conditions(missing: list[str]) -> str:
    """What has to be there before an organisation can be sent, in a sentence."""
    return _("Перед отправкой на проверку %(what)s.", what="; ".join(_(words) for words in missing))


def _too_soon(until: datetime, last: Request | None) -> str:
    if last and until < last.requested_at + A_WHILE:
        return _(
            "Запрос отправлен только что. Новый можно отправить через %(span)s.",
            span=language.duration(until - clock.now()),
        )
    return _(
        "За сутки отправлено слишком много запросов. Новый можно отправить %(moment)s.",
        moment=language.moment(until),
    )


def _seen_in(line: Line) -> list[object]:
    """What a page shows of an organisation that others may change."""
    found, last = line.organisation, line.progress.last
    seen: list[object] = [found.id, found.record_id, found.status, found.status_since]
    seen += [*sorted(line.progress.proved), line.is_taken, line.is_as_returned]
    return seen + ([last.id, last.standing, last.letter.state] if last else [])
