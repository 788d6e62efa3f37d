"""For the responsible person: from the letter's link to both contacts confirmed.

Every request of this audience passes `only_from_the_secure_channel`, which also finds what the
request is about. After the letter's link was opened, the session knows the request by its public
id; the token is in no address any more.
"""

from datetime import datetime

from flask import Blueprint, Response, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from portal import clock, confirmation, language, networks, organisation, proofs
from portal.checks import display_phone
from portal.confirmation import Answer, Confirmation, Judgement, NotOpenError, Standing, Wait
from portal.confirmation.course import LINK
from portal.confirmation.email_link import LINK as EMAIL_LINK
from portal.cookie import is_own_form
from portal.database import db
from portal.forms import ReportForm
from portal.language import gettext as _
from portal.organisation import Details
from portal.pages import htmx, note_refused, respond, retry_after, sorry

bp = Blueprint("confirm", __name__)

OPENED = "opened"  # the session's list of public ids, of requests and of second links
MOST_OPENED = 8


@bp.before_request
def only_from_the_secure_channel() -> ResponseReturnValue | None:
    """Find what the request is about, and answer those outside all alike."""
    asked = request.view_args or {}
    _begin(**asked)
    found = g.confirmation = _asked_for(**asked)
    if not networks.is_secure(g.address, found.networks if found else ()):
        return _outside()
    if "token" in asked:
        return None if found else _dead_link()
    return None if found and _is_opened(**asked) else _reopen()


def _begin(token: str = "", id: str = "", link_id: str = "") -> None:
    """Nobody takes a lock for what this browser never opened, or only looks at."""
    if request.method == "POST" and not token and _is_opened(id, link_id):
        confirmation.begin_step(id, link_id)
    else:
        db.begin(writes=False)


def _asked_for(token: str = "", id: str = "", link_id: str = "") -> Confirmation | None:
    if token:
        return _of_token(token)
    return confirmation.find(id) if id else confirmation.find_by_email_link(link_id)


def _is_opened(id: str = "", link_id: str = "") -> bool:
    return (id or link_id) in session.get(OPENED, ())


def _of_token(token: str) -> Confirmation | None:
    if request.endpoint == "confirm.open_link":
        id = proofs.unsign(LINK, token)
        return confirmation.find(id) if id else None
    link_id = proofs.unsign(EMAIL_LINK, token)
    return confirmation.find_by_email_link(link_id) if link_id else None


def _outside() -> Response:
    note_refused("outside")
    response = respond("confirm/outside.html", status=403)
    if htmx():
        response.headers["HX-Refresh"] = "true"
    return response


# The letter's link and the page behind it


@bp.get("/confirm/<token>")
def open_link(token: str) -> ResponseReturnValue:  # noqa: ARG001 - read by the guard
    """Looking changes nothing: mail scanners open links, too. The page has the buttons."""
    found = _found()
    if not found.is_open:
        return _ended(found)
    _remember(found.id)
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
    return _page(found, popup=popup)


# The phone


@bp.post("/confirmation/<id>/phone")
def request_code(id: str) -> ResponseReturnValue:
    found = _found()
    if not is_own_form():
        return _page(found, notice=_stale(), status=422)
    wait = confirmation.request_code(found, g.address)
    db.commit()
    return _sent(id, wait, popup=True)


@bp.post("/confirmation/<id>/code/new")
def send_code_again(id: str) -> ResponseReturnValue:
    found = _found()
    if not is_own_form():
        return _page(found, popup=True, notice=_stale(), status=422)
    wait = confirmation.send_code_again(found, g.address)
    db.commit()
    return _sent(id, wait, popup=True)


@bp.post("/confirmation/<id>/code")
def enter_code(id: str) -> ResponseReturnValue:
    found = _found()
    typed = request.form.get("code", "")
    if not is_own_form():
        return _page(found, popup=True, typed=typed, error=_stale(), status=422)
    if not typed.strip() and found.awaits_code:
        return _page(found, popup=True, error=_("Введите шесть цифр из СМС."), status=422)
    answer = confirmation.enter_code(found, typed, g.address)
    db.commit()
    if answer.judgement is Judgement.RIGHT:
        return _done(id, popup=False)
    error, status = _advice(answer)
    response = _page(_again(id), popup=True, typed=typed, error=error, status=status)
    return retry_after(response, answer.moment) if status == 429 and answer.moment else response


def _advice(answer: Answer) -> tuple[str, int]:
    """What a person does about a code that was not taken, and the answer's status."""
    moment = answer.moment or clock.now()
    match answer.judgement:
        case Judgement.OLDER:
            sentence = _(
                "Это прежний код. В %(time)s мы отправили новый — введите его. "
                "Осталось попыток: %(left)s.",
                time=f"{moment.astimezone(clock.MOSCOW):%H:%M}",
                left=answer.tries_left,
            )
        case Judgement.EXPIRED:
            sentence = _("Срок действия кода истёк. Запросите новый код.")
        case Judgement.USED_UP:
            sentence = _("Попытки закончились, этот код больше не действует. Запросите новый.")
        case Judgement.NONE_SENT:
            sentence = _("Код ещё не отправлен. Запросите его.")
        case Judgement.PAUSED:
            return _pause(moment), 429
        case _:
            sentence = _(
                "Неверный код. Сверьте его с СМС. Осталось попыток: %(left)s.",
                left=answer.tries_left,
            )
    return sentence, 422


# The email


@bp.post("/confirmation/<id>/email")
def send_email_link(id: str) -> ResponseReturnValue:
    found = _found()
    if not is_own_form():
        return _page(found, notice=_stale(), status=422)
    again = "again" in request.form
    send = confirmation.send_email_link if again else confirmation.request_email_link
    wait = send(found, g.address)
    db.commit()
    return _sent(id, wait, popup=False)


@bp.get("/confirm-email/<token>")
def open_email_link(token: str) -> ResponseReturnValue:
    found, link_id = _found(), proofs.unsign(EMAIL_LINK, token)
    assert link_id, "the guard let no other token pass"
    if not _works(found, link_id):
        return _email_page(found, link_id, 410)
    _remember(link_id)
    return redirect(url_for(".email_page", link_id=link_id), 303)


@bp.get("/email/<link_id>")
def email_page(link_id: str) -> ResponseReturnValue:
    found = _found()
    dead = not _works(found, link_id) and not found.email_confirmed_at
    return _email_page(found, link_id, 410 if dead else 200)


@bp.post("/email/<link_id>")
def follow_email_link(link_id: str) -> ResponseReturnValue:
    found = _found()
    if not is_own_form():
        return _email_page(found, link_id, 422, stale=_stale())
    confirmation.follow_email_link(found, link_id, g.address)
    db.commit()
    return redirect(url_for(".email_page", link_id=link_id), 303)


def _works(found: Confirmation, link_id: str) -> bool:
    link = found.email_link
    return found.awaits_email_link and link is not None and link.id == link_id


def _email_page(found: Confirmation, link_id: str, status: int, *, stale: str = "") -> Response:
    return respond(
        "confirm/email.html",
        status=status,
        confirmation=found,
        link_id=link_id,
        works=_works(found, link_id),
        stale=stale,
        opened=_is_opened(found.id),
    )


# An error in the data


@bp.route("/confirmation/<id>/report", methods=["GET", "POST"])
def report(id: str) -> ResponseReturnValue:
    found = _found()
    found.must_be_open()
    form = ReportForm()
    if form.validate_on_submit():
        proposed = form.read(found.details)
        if not any(form.errors.values()):
            confirmation.report(found, proposed, form.comment.data, g.address)
            db.commit()
            return redirect(url_for(".page", id=id), 303)
    wrong = [
        name
        for name in organisation.PERSON_FIELDS | organisation.ORGANISATION_FIELDS
        if form[f"new_{name}"].errors
    ]
    return respond(
        "confirm/report.html",
        status=422 if form.is_submitted() else 200,
        confirmation=found,
        form=form,
        first_wrong=wrong[0] if wrong else "",
        lone="" if wrong else "".join(form.comment.errors[:1]),
        stale=_stale() if form.errors.get("csrf_token") else "",
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
        return _email_page(found, str(asked["link_id"]), 409)
    return _page(found, status=409)


def _page(
    found: Confirmation,
    *,
    popup: bool = False,
    status: int = 200,
    notice: str = "",
    error: str = "",
    typed: str = "",
) -> Response:
    if status == 200 and found.standing not in {
        Standing.OPEN,
        Standing.COMPLETED,
        Standing.REPORTED,
    }:
        status = 410
    popup = popup and found.is_open and not found.phone_confirmed_at and found.code is not None
    return respond(
        "confirm/page.html",
        "confirm/_confirmation.html",
        status=status,
        confirmation=found,
        popup=popup,
        notice=notice,
        error=error,
        typed=typed,
        next_code=confirmation.next_code(found) if popup else None,
        changes=_changes(found),
        organisation_fields=organisation.ORGANISATION_FIELDS,
        person_fields=organisation.PERSON_FIELDS,
    )


def _done(id: str, *, popup: bool) -> ResponseReturnValue:
    """After a step: htmx gets the part at once, a plain form is sent to its page."""
    if not htmx():
        return redirect(url_for(".code_page" if popup else ".page", id=id), 303)
    return _page(_again(id), popup=popup)


def _sent(id: str, wait: Wait | None, *, popup: bool) -> ResponseReturnValue:
    if wait is None:
        return _done(id, popup=popup)
    sentence = _pause(wait.until) if wait.paused else _too_soon(wait.until, code=popup)
    found = _again(id)
    shown = {"error": sentence} if popup and found.code else {"notice": sentence}
    return retry_after(_page(found, popup=popup, status=429, **shown), wait.until)


def _found() -> Confirmation:
    """What the request is about: the guard let nobody pass without it."""
    found: Confirmation = g.confirmation
    return found


def _again(id: str) -> Confirmation:
    """The request as it is after the step."""
    found = confirmation.find(id)
    assert found is not None, "a request is never deleted while it is worked on"
    return found


def _changes(found: Confirmation) -> list[tuple[str, str, str]]:
    """What the record says now, for a person whose page is older; nothing of another person."""
    if found.is_current or found.standing is Standing.COMPLETED:
        return []
    now = organisation.find(found.organisation_id)
    if now is None or now.person != found.person:
        return []
    labels = organisation.ORGANISATION_FIELDS | organisation.PERSON_FIELDS
    return [
        (_(labels[name]), _shown(name, found.details), _shown(name, now.details))
        for name in organisation.differences(found.details, now.details)
    ]


def _shown(name: str, details: Details) -> str:
    value: str = getattr(details, name)
    return display_phone(value) if name == "phone" else value


def _ended(found: Confirmation) -> Response:
    """A link that was followed after its request had ended."""
    if found.standing is Standing.COMPLETED:
        return respond("confirm/completed.html", status=410, confirmation=found)
    return respond("confirm/page.html", status=410, confirmation=found, changes=_changes(found))


def _dead_link() -> Response:
    note_refused("link")
    return sorry(
        410,
        _("Ссылка не действует"),
        _(
            "Возможно, адрес скопирован не полностью. Откройте ссылку прямо из письма, а если "
            "это не поможет, попросите администратора организации отправить новое письмо."
        ),
    )


def _reopen() -> Response:
    return sorry(
        410,
        _("Откройте ссылку из письма"),
        _(
            "В этом браузере её ещё не открывали или открывали давно. Всё, что вы подтвердили, "
            "сохранилось."
        ),
    )


def _remember(id: str) -> None:
    opened = [each for each in session.get(OPENED, ()) if each != id]
    session[OPENED] = [*opened, id][-MOST_OPENED:]


def _stale() -> str:
    return _("Страница устарела, и мы её обновили. Ничего не потеряно: нажмите кнопку ещё раз.")


def _pause(until: datetime) -> str:
    return _(
        "Слишком много неверных кодов подряд. Новый код можно будет запросить %(moment)s.",
        moment=language.moment(until),
    )


def _too_soon(until: datetime, *, code: bool) -> str:
    span = language.duration(until - clock.now())
    if code:
        return _("Новый код можно запросить через %(span)s.", span=span)
    return _("Новое письмо можно отправить через %(span)s.", span=span)
