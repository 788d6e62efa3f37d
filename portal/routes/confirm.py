"""For the responsible person: from the letter's link to both contacts confirmed.

Every request of this audience passes `only_from_the_secure_channel`, which also finds what the
request is about. After the letter's link was opened, the session knows the request by its public
id; the token is in no address any more.
"""

from flask import Blueprint, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal import confirmation, networks, organisation, proofs
from portal.confirmation import Confirmation, Judgement, NotOpenError
from portal.confirmation.course import LINK
from portal.confirmation.email_link import LINK as EMAIL_LINK
from portal.cookie import is_own_form
from portal.database import db
from portal.forms import ReportForm
from portal.language import gettext as _
from portal.pages import htmx, respond, retry_after, stale
from portal.routes import confirm_pages as pages
from portal.routes.opened import is_opened, remember

bp = Blueprint("confirm", __name__)


@bp.before_request
def only_from_the_secure_channel() -> ResponseReturnValue | None:
    """Find what the request is about, and answer those outside all alike."""
    asked = request.view_args or {}
    _begin(**asked)
    found = g.confirmation = _asked_for(**asked)
    if not networks.is_secure(g.address, found.networks if found else ()):
        return pages.outside()
    if "token" in asked:
        return None if found else pages.dead_link()
    return None if found and is_opened(**asked) else pages.reopen()


def _begin(token: str = "", id: str = "", link_id: str = "") -> None:
    """Nobody takes a lock for what this browser never opened, or only looks at."""
    if request.method == "POST" and not token and is_opened(id, link_id):
        confirmation.begin_step(id, link_id)
    else:
        db.begin(writes=False)


def _asked_for(token: str = "", id: str = "", link_id: str = "") -> Confirmation | None:
    if token:
        return _of_token(token)
    return confirmation.find(id) if id else confirmation.find_by_email_link(link_id)


def _of_token(token: str) -> Confirmation | None:
    if request.endpoint == "confirm.open_link":
        id = proofs.unsign(LINK, token)
        return confirmation.find(id) if id else None
    link_id = proofs.unsign(EMAIL_LINK, token)
    return confirmation.find_by_email_link(link_id) if link_id else None


# The letter's link and the page behind it


@bp.get("/confirm/<token>")
def open_link(token: str) -> ResponseReturnValue:  # noqa: ARG001 - read by the guard
    """Looking changes nothing: mail scanners open links, too. The page has the buttons."""
    found = _found()
    if not found.is_open:
        return pages.ended(found)
    remember(found.id)
    return redirect(url_for(".page", id=found.id), 303)


@bp.get("/confirmation/<id>")
def page(id: str) -> ResponseReturnValue:  # noqa: ARG001
    return _look(popup=False)


@bp.get("/confirmation/<id>/code")
def code_page(id: str) -> ResponseReturnValue:  # noqa: ARG001
    """The same page with the popup for the code."""
    return _look(popup=True)


def _look(*, popup: bool) -> ResponseReturnValue:
    found = _found()
    if request.args.get("seen") == found.version:
        return "", 204
    return pages.page(found, popup=popup)


# The phone


@bp.post("/confirmation/<id>/phone")
def request_code(id: str) -> ResponseReturnValue:
    found = _found()
    if not is_own_form():
        return pages.page(found, error=stale(), status=422)
    wait = confirmation.request_code(found, g.address)
    db.commit()
    return pages.sent(id, wait, popup=True)


@bp.post("/confirmation/<id>/code/new")
def send_code_again(id: str) -> ResponseReturnValue:
    found = _found()
    if not is_own_form():
        return pages.page(found, popup=True, error=stale(), status=422)
    wait = confirmation.send_code_again(found, g.address)
    db.commit()
    return pages.sent(id, wait, popup=True)


@bp.post("/confirmation/<id>/code")
def enter_code(id: str) -> ResponseReturnValue:
    found = _found()
    typed = request.form.get("code", "")
    if not is_own_form():
        return pages.page(found, popup=True, typed=typed, error=stale(), status=422)
    if not typed.strip() and found.awaits_code:
        return pages.page(found, popup=True, error=_("Введите шесть цифр из СМС."), status=422)
    answer = confirmation.enter_code(found, typed, g.address)
    db.commit()
    if answer.judgement is Judgement.RIGHT:
        return pages.done(id, popup=False)
    error, status = pages.advice(answer)
    response = pages.page(pages.again(id), popup=True, typed=typed, error=error, status=status)
    return retry_after(response, answer.moment) if status == 429 and answer.moment else response


# The email


@bp.post("/confirmation/<id>/email")
def send_email_link(id: str) -> ResponseReturnValue:
    found = _found()
    if not is_own_form():
        return pages.page(found, error=stale(), status=422)
    again = "again" in request.form
    send = confirmation.send_email_link if again else confirmation.request_email_link
    wait = send(found, g.address)
    db.commit()
    return pages.sent(id, wait, popup=False)


@bp.get("/confirm-email/<token>")
def open_email_link(token: str) -> ResponseReturnValue:
    found, link_id = _found(), proofs.unsign(EMAIL_LINK, token)
    assert link_id, "the guard let no other token pass"
    if not pages.works(found, link_id):
        return pages.email_page(found, link_id, 410)
    remember(link_id)
    return redirect(url_for(".email_page", link_id=link_id), 303)


@bp.get("/email/<link_id>")
def email_page(link_id: str) -> ResponseReturnValue:
    found = _found()
    dead = not pages.works(found, link_id) and not found.email_confirmed_at
    return pages.email_page(found, link_id, 410 if dead else 200)


@bp.post("/email/<link_id>")
def follow_email_link(link_id: str) -> ResponseReturnValue:
    found = _found()
    if not is_own_form():
        return pages.email_page(found, link_id, 422, stale=stale())
    confirmation.follow_email_link(found, link_id, g.address)
    db.commit()
    if not htmx():
        return redirect(url_for(".email_page", link_id=link_id), 303)
    return pages.email_page(pages.again(found.id), link_id, 200)


# An error in the data


@bp.route("/confirmation/<id>/report", methods=["GET", "POST"])
def report(id: str) -> ResponseReturnValue:
    found = _found()
    found.must_be_open()
    form = ReportForm()
    if request.method != "POST":
        return _report_page(found, form)
    if not is_own_form():
        return _report_page(found, form, 422, stale=stale())
    proposed = form.read(found.details)
    if any(form.errors.values()):
        return _report_page(found, form, 422)
    confirmation.report(found, proposed, form.comment.data, g.address)
    db.commit()
    return redirect(url_for(".page", id=id), 303)


def _report_page(
    found: Confirmation, form: ReportForm, status: int = 200, *, stale: str = ""
) -> ResponseReturnValue:
    wrong = [
        name
        for name in organisation.PERSON_FIELDS | organisation.ORGANISATION_FIELDS
        if form[f"new_{name}"].errors
    ]
    return respond(
        "confirm/report.html",
        status=status,
        confirmation=found,
        form=form,
        first_wrong=wrong[0] if wrong else "",
        stale=stale,
        organisation_fields=organisation.ORGANISATION_FIELDS,
        person_fields=organisation.PERSON_FIELDS,
    )


# What the answers have in common


@bp.errorhandler(NotOpenError)
def not_open(_error: NotOpenError) -> ResponseReturnValue:
    """The step was taken already, or the request ended meanwhile: show how things are."""
    asked = request.view_args or {}
    found = _asked_for(**asked)
    assert found, "a request is never deleted while it is worked on"
    if "link_id" in asked:
        return pages.email_page(found, str(asked["link_id"]), 409)
    return pages.page(found, status=409)


def _found() -> Confirmation:
    """What the request is about: the guard let nobody pass without it."""
    found: Confirmation = g.confirmation
    return found
