"""Neither device nor codes: the person's side of a recovery.

Only who typed the password gets here. The page says whose turn it is, and takes the one-time code
once the wait is over; the code opens nothing but the enrolment of a new device.
"""

from flask import Blueprint, Response, g, redirect, request, url_for
from flask import session as cookie
from flask.typing import ResponseReturnValue

from portal import access, config, device, diagnostics, proofs, recovery
from portal.account import session
from portal.account.session import Session, Stage
from portal.cookie import is_own_form
from portal.database import db
from portal.language import gettext as _
from portal.pages import htmx, respond, sorry, stale
from portal.recovery import CANCEL, Case, Judgement, NotOpenError, Refusal
from portal.recovery.questions import catalogue
from portal.routes.account import no_code
from portal.routes.diagnostics import browser_cookie

bp = Blueprint("recovery", __name__)

FROM_ANYWHERE = {f"{bp.name}.{name}" for name in ("cancel", "cancel_page", "confirm_cancel")}
MOST_OPENED = 8  # links to cases that one browser opened, which it knows apart
FURTHER = {Stage.FULL: "devices.page", Stage.ENROLMENT: "devices.new"}  # who needs no case


@bp.before_request
def guard() -> ResponseReturnValue | None:
    """A case can be cancelled from any address: that only ever protects its owner."""
    return None if request.endpoint in FROM_ANYWHERE else access.only_staff_networks()


@bp.get("/recovery")
def page() -> ResponseReturnValue:
    found = access.at_stage(Stage.PASSWORD)
    if found is None:
        return _leave()
    case = recovery.last_case_of(found.account)
    if case and request.args.get("seen") == case.version:
        return "", 204
    return _page(found)


def _leave() -> ResponseReturnValue:
    """On to where somebody has come meanwhile, perhaps in another window; or to the password."""
    here = access.here()
    if htmx():  # the poll of a window whose password was typed long ago
        where = url_for(FURTHER[here.stage]) if here else url_for(".page", late=1)
        return Response(status=204, headers={"HX-Redirect": where})
    if here:
        return redirect(url_for(FURTHER[here.stage]), 303)
    return respond("recovery/begin.html", is_late="late" in request.args)


@bp.post("/recovery")
def open_case() -> ResponseReturnValue:
    found = access.at_stage(Stage.PASSWORD)
    if found is None:
        return redirect(url_for(".page", late=1), 303)
    if not is_own_form():
        return _page(found, stale(), 422)
    service = request.form.get("service", "")
    if service not in catalogue() and not recovery.administrators_of(found.account):
        return _page(found, _("Выберите, куда вы входили."), 422, "service")
    opened = recovery.open_by_owner(found.account, service, g.address)
    db.commit()
    if opened is Refusal.OPEN_CASE:
        return _page(found, _("Обращение уже открыто: вот как обстоит дело."), 409)
    if isinstance(opened, Refusal):
        return _page(found, _(recovery.SENTENCES[opened].caller), 409)
    return redirect(url_for(".page"), 303)


@bp.post("/recovery/code")
def enter_code() -> ResponseReturnValue:
    """The code from the letter: with the password, in the browser of the diagnostics."""
    found = access.at_stage(Stage.PASSWORD)
    if found is None:
        return redirect(url_for(".page", late=1), 303)
    if not is_own_form():
        return _page(found, stale(), 422, "code")
    case = recovery.open_case_of(found.account)
    if case is None:
        return _page(found, _not_granted(), 409)
    typed = request.form.get("code", "")
    if not typed.strip():
        return _page(found, no_code(), 422, "code")
    answer = recovery.enter_code(case, found.account, typed, browser_cookie(), g.address)
    if answer.judgement is not Judgement.RIGHT:
        db.commit()
        status = 409 if answer.judgement is Judgement.NOT_GRANTED else 422
        return _page(found, _advice(answer), status, "code")
    session.end(found)
    token = session.begin(
        found.account, Stage.ENROLMENT, g.address, access.agent(), case_id=case.id
    )
    access.let_in(token)
    session.keep(access.mine(), secret=device.new_secret())
    db.commit()
    return redirect(url_for("devices.new"), 303)


@bp.app_errorhandler(NotOpenError)
def not_open(_error: NotOpenError) -> ResponseReturnValue:
    """The case ended meanwhile, in another window or by another hand."""
    return sorry(
        409,
        _("Обращение тем временем закрыто"),
        _("Введите email и пароль, и портал покажет, чем оно закончилось."),
        way=(url_for("account.sign_in"), _("Ко входу")),
    )


def _advice(answer: recovery.Answer) -> str:
    match answer.judgement:
        case Judgement.OTHER_BROWSER:
            return _(
                "Код сработает только в том браузере, в котором вы проходили диагностику. "
                "Откройте портал в нём. Если его больше нет, остановите обращение по ссылке "
                "из письма и начните заново."
            )
        case Judgement.USED_UP:
            return _("Код пять раз ввели неверно.")
        case Judgement.NOT_GRANTED:
            return _not_granted()
    return _("Неверный код. Осталось попыток: %(left)s.", left=answer.tries_left)


def _not_granted() -> str:
    return _("Код сейчас не действует: вот как обстоит дело с обращением.")


def _page(found: Session, error: str = "", status: int = 200, where: str = "") -> Response:
    """The case, and what was wrong with the last press: `where` is the field, if there is one."""
    case = recovery.last_case_of(found.account)
    is_slow, settings = recovery.needs_two(found.account), config.settings
    return respond(
        "recovery/page.html",
        "recovery/_case.html",
        status=status,
        case=case,
        is_open=bool(case and case.is_open),
        error=error,
        where=where,
        typed=request.form,
        services=catalogue(),
        is_its_browser=case is None or _is_its_browser(case),
        administrators=_administrators(found),
        email=masked(found.account.email),
        is_slow=is_slow,
        span=_span(settings.recovery_staff_hours if is_slow else settings.recovery_hours),
    )


def _is_its_browser(case: Case) -> bool:
    """Whether the code of a case works in this browser: one with diagnostics is bound to that."""
    ran = case.diagnostics_id
    return ran is None or diagnostics.is_browser_of(browser_cookie(), ran)


def _span(hours: int) -> str:
    """Hours, as Russian counts them."""
    last, is_teen = hours % 10, hours // 10 % 10 == 1
    if last == 1 and not is_teen:
        return _("%(hours)s час", hours=hours)
    if 2 <= last <= 4 and not is_teen:
        return _("%(hours)s часа", hours=hours)
    return _("%(hours)s часов", hours=hours)


def _administrators(found: Session) -> list[str]:
    """Who looks after a case that went to the organisation: names that its people know."""
    people = [each for each, _organisation in recovery.administrators_of(found.account)]
    return sorted({each.called for each in people})


def masked(email: str) -> str:
    """An address that its owner recognises and nobody else learns."""
    name, _at, host = email.partition("@")
    return f"{name[:1]}…@{host}"


# The link in every letter of a case


@bp.get("/cancel/<token>")
def cancel(token: str) -> ResponseReturnValue:
    """Looking changes nothing; the token leaves the address bar."""
    id = proofs.unsign(CANCEL, token)
    if id is None:
        return _dead_link()
    _open_link(id)
    return redirect(url_for(".cancel_page"), 303)


@bp.get("/cancel")
def cancel_page() -> ResponseReturnValue:
    case = _case_of_link()
    if case is None:
        return _dead_link()
    return _cancel_page(case, status=200 if case.may_be_stopped else 410)


@bp.post("/cancel")
def confirm_cancel() -> ResponseReturnValue:
    case = _case_of_link()
    if not is_own_form():
        return _cancel_page(case, stale(), 422) if case else _dead_link(422)
    if case is None:
        return _dead_link()
    recovery.cancel_by_link(case.id, g.address)
    db.commit()
    _open_link(case.id)
    return redirect(url_for(".cancel_page"), 303)


def _open_link(id: str) -> None:
    """Keep that a case's link was opened here; of many the latest."""
    opened = [each for each in cookie.get(CANCEL, ()) if each != id]
    cookie[CANCEL] = [*opened, id][-MOST_OPENED:]


def _case_of_link() -> Case | None:
    """The case that the form was shown for, else the one whose link was opened last."""
    opened = cookie.get(CANCEL, ())
    id = request.form.get("case") or (opened[-1] if opened else "")
    return recovery.find(id) if id in opened else None


def _cancel_page(case: Case, error: str = "", status: int = 200) -> Response:
    return respond("recovery/cancel.html", status=status, case=case, error=error)


def _dead_link(status: int = 410) -> Response:
    return sorry(
        status,
        _("Ссылка не действует"),
        _(
            "Откройте её прямо из письма. Не получается — позвоните в поддержку: она остановит "
            "восстановление."
        ),
    )
