"""Signing in and out, invitations, and forgotten passwords.

A password alone opens nothing but the question for the second factor: passkey, then the code of an
authenticator app, then a backup code (product.md, «Sign-in and the lost device»).
"""

from collections.abc import Callable
from datetime import datetime

from flask import Blueprint, Response, abort, g, redirect, request, url_for
from flask import session as cookie
from flask.typing import ResponseReturnValue

from portal import access, account, config, device, language, recovery
from portal.account import Account, NotAllowedError, links, session
from portal.account import sign_in as password_step
from portal.account.links import INVITATION, RESET
from portal.account.session import Session, Stage, Wrong
from portal.checks import LONGEST_EMAIL, BadValueError
from portal.cookie import is_own_form
from portal.database import db
from portal.language import gettext as _
from portal.pages import (
    json_page,
    note_refused,
    respond,
    retry_after,
    sorry,
    stale,
    stale_secret,
)
from portal.recovery import Standing

bp = Blueprint("account", __name__)

Page = Callable[[Session, str, int], Response]

MOST_NAMES = 3  # of administrators whom somebody may ask

bp.before_request(access.only_staff_networks)


# Email and password


@bp.get("/signin")
def sign_in() -> ResponseReturnValue:
    if access.at_stage(Stage.FULL):
        return redirect(access.start(), 303)
    return _sign_in_page()


@bp.post("/signin")
def enter_password() -> ResponseReturnValue:
    typed = request.form.get("email", "")[: LONGEST_EMAIL + 1]
    if not is_own_form():
        return _sign_in_page(typed, stale_secret(), 422)
    entry = password_step.enter(typed, request.form.get("password", ""), g.address, access.agent())
    previous = access.here()
    if entry.token and previous:
        session.end(previous)
    db.commit()
    if entry.pause:
        page = _sign_in_page(typed, pause(*entry.pause), 429)
        return retry_after(page, entry.pause.until)
    if entry.suspended:
        return _sign_in_page(typed, suspended=_suspended(entry.suspended), status=403)
    if entry.token is None:
        return _sign_in_page(typed, _("Не удалось войти. Проверьте email и пароль."), 422)
    access.let_in(entry.token)
    case = recovery.open_case_of(access.me())
    if case and case.standing is Standing.GRANTED:
        return redirect(url_for("recovery.page"), 303)  # who waited for the code has it now
    return redirect(url_for(".second_factor"), 303)


def _sign_in_page(
    email: str = "", error: str = "", status: int = 200, suspended: str = ""
) -> Response:
    return respond(
        "account/sign_in.html", status=status, email=email, error=error, suspended=suspended
    )


def _suspended(owner: Account) -> str:
    """Why nobody signs in with the right password, and whom to ask: names that its people know."""
    employers = owner.organisations if owner.is_operational else ()
    people = [each for id in employers for each in account.administrators_of(id)]
    if not people:
        return _(
            "Учётная запись приостановлена. Почему и надолго ли, скажут в поддержке: %(phone)s.",
            phone=config.settings.support_phone,
        )
    return _(
        "Учётная запись приостановлена. Почему и надолго ли, скажет администратор вашей "
        "организации: %(names)s.",
        names=", ".join(each.called for each in people[:MOST_NAMES]),
    )


@bp.post("/signout")
def sign_out() -> ResponseReturnValue:
    found = access.here()
    if not is_own_form():
        return _sign_in_page(error=stale(), status=422)
    if found:
        session.end(found)
        db.commit()
    access.let_out()
    response = redirect(url_for(".sign_in"), 303)
    # What a browser kept of pages, for its back button; cookies stay: other steps have theirs.
    response.headers["Clear-Site-Data"] = '"cache"'
    return response


# The second factor


@bp.get("/signin/factor")
def second_factor() -> ResponseReturnValue:
    found = access.at_stage(Stage.PASSWORD)
    return _factor_page(found) if found else redirect(url_for(".sign_in"), 303)


@bp.post("/signin/factor")
def enter_code() -> ResponseReturnValue:
    """The code of an authenticator app."""
    found = _half_signed_in(_factor_page)
    typed = request.form.get("code", "")
    if not typed.strip():
        return _factor_page(found, no_code(), 422)
    if device.take_totp(found.account.id, typed):
        return _finish(found, "totp")
    return _wrong(found, _factor_page, _("Неверный код."))


@bp.post("/signin/passkey/options")
def passkey_options() -> ResponseReturnValue:
    """What the browser asks a passkey with; the challenge counts once."""
    found = _half_signed_in(_factor_page)
    options, challenge = device.authentication_options(found.account.id)
    session.keep(found, challenge=challenge.hex())
    db.commit()
    return json_page(options)


@bp.post("/signin/passkey")
def enter_passkey() -> ResponseReturnValue:
    found = _half_signed_in(_factor_page)
    if take_passkey(found, request.form.get("answer", "")):
        return _finish(found, "passkey")
    return _wrong(found, _factor_page, _("Ключ доступа не подошёл."))


@bp.get("/signin/code")
def backup_code() -> ResponseReturnValue:
    found = access.at_stage(Stage.PASSWORD)
    return _code_page(found) if found else redirect(url_for(".sign_in"), 303)


@bp.post("/signin/code")
def enter_backup_code() -> ResponseReturnValue:
    found = _half_signed_in(_code_page)
    typed = request.form.get("code", "")
    if not typed.strip():
        return _code_page(found, no_code(), 422)
    replacement = device.take_code(found.account, typed, g.address)
    if replacement is None:
        return _wrong(found, _code_page, _("Неверный код."))
    return _finish(found, "code", replacement)


def take_passkey(found: Session, answer: str) -> bool:
    """Judge a passkey's answer to the challenge of this session, which it uses up."""
    challenge = found.pending.get("challenge")
    if not challenge or not session.take_pending(found):
        return False
    return device.take_passkey(found.account.id, answer, bytes.fromhex(challenge))


def _half_signed_in(page: Page) -> Session:
    """The session that waits for its second factor; nothing is judged of an old or paused one."""
    found = access.at_stage(Stage.PASSWORD)
    if found is None:
        abort(redirect(url_for(".sign_in"), 303))
    if not is_own_form():
        abort(page(found, stale_secret(), 422))
    until = found.account.pause_ends_at
    if until:
        abort(retry_after(page(found, pause(until), 429), until))
    return found


def _finish(found: Session, factor: str, replacement: str = "") -> ResponseReturnValue:
    """The second factor was right: whoever has it needs no recovery."""
    token = session.renew(found, factor, g.address, access.agent())
    recovery.cancel_by_sign_in(found.account, g.address)
    access.let_in(token)
    if replacement:
        session.keep(access.mine(), replacement=replacement)
        left = device.codes_left(found.account.id).count
        account.tell(found.account, "code.used", g.address, left=left)
    db.commit()
    return redirect(url_for("devices.replacement") if replacement else access.start(), 303)


def _wrong(found: Session, page: Page, sentence: str) -> Response:
    wrong = count_wrong(found)
    if wrong.paused_until:
        return retry_after(page(found, pause(wrong.paused_until), 429), wrong.paused_until)
    if not wrong.tries_left:
        access.let_out()
        return _sign_in_page(
            found.account.email, _("Попытки закончились. Введите пароль ещё раз."), 422
        )
    return page(found, f"{sentence} {tries(wrong)}", 422)


def count_wrong(found: Session) -> Wrong:
    """Count a wrong second factor; who is paused for it has no recovery under way."""
    wrong = session.count_wrong(found, g.address)
    if wrong.paused_until:
        recovery.cancel_by_wrong_factors(found.account, g.address)
    db.commit()
    return wrong


def no_code() -> str:
    return _("Введите код.")


def tries(wrong: Wrong) -> str:
    return _("Осталось попыток: %(left)s.", left=wrong.tries_left)


def _factor_page(found: Session, error: str = "", status: int = 200) -> Response:
    devices = device.devices_of(found.account.id)
    kinds = {each.kind for each in devices}
    return respond(
        "account/second_factor.html",
        status=status,
        error=error,
        has_passkey="passkey" in kinds and device.works_at(request.host),
        has_totp="totp" in kinds,
        passkeys_at=""
        if kinds != {"passkey"} or device.works_at(request.host)
        else device.origin(),
        is_enrolled=bool(devices),
        invited_again="invited" in request.args,
    )


def _code_page(found: Session, error: str = "", status: int = 200) -> Response:  # noqa: ARG001 - as _factor_page
    return respond("account/backup_code.html", status=status, error=error)


@bp.post("/signin/invitation")
def invite_again() -> ResponseReturnValue:
    """For who chose a password and enrolled no device: the letter's link, once more."""
    found = _half_signed_in(_factor_page)
    if device.has_device(found.account.id):
        return redirect(url_for(".second_factor"), 303)
    until = links.may_invite_again_at(found.account)
    if until:
        error = _(
            "Письмо уже отправляли. Новое можно запросить %(moment)s.",
            moment=language.moment(until),
        )
        return retry_after(_factor_page(found, error, 429), until)
    links.invite_again(found.account, found.account.id, g.address)
    db.commit()
    return redirect(url_for(".second_factor", invited=1), 303)


# Links in letters


@bp.get("/invitation/<token>")
def invitation(token: str) -> ResponseReturnValue:
    """Looking changes nothing; the token leaves the address bar."""
    return _open_link(INVITATION, token, ".accept_invitation")


@bp.get("/password/new/<token>")
def new_password(token: str) -> ResponseReturnValue:
    return _open_link(RESET, token, ".choose_password")


def _open_link(purpose: str, token: str, page: str) -> ResponseReturnValue:
    found = links.find_link(purpose, token)
    if found is None:
        return dead_link(purpose)
    cookie[purpose] = found[0]
    return redirect(url_for(page), 303)


@bp.route("/invitation", methods=["GET", "POST"])
def accept_invitation() -> ResponseReturnValue:
    return _choose(INVITATION)


@bp.route("/password/new", methods=["GET", "POST"])
def choose_password() -> ResponseReturnValue:
    return _choose(RESET)


def _choose(purpose: str) -> ResponseReturnValue:
    found = links.find_link_by_id(purpose, cookie.get(purpose, ""))
    if found is None:
        return dead_link(purpose)
    id, owner = found
    previous = access.here()
    error, status = "", 200
    if request.method == "POST":
        typed, status = request.form.get("password", ""), 422
        if not is_own_form():
            error = stale_secret()
        elif request.form.get("email") != owner.email:
            status, error = 409, _other_link(owner)
        elif typed != request.form.get("again", ""):
            error = _("Пароли не совпадают. Введите одинаковые.")
        else:
            try:
                token = links.choose_password(purpose, id, owner, typed, g.address, access.agent())
                if token:
                    access.let_in(token)
                    session.keep(access.mine(), secret=device.new_secret())
                else:
                    recovery.cancel_by_change(owner, owner.id, g.address)
                if previous:  # this browser's cookie forgets it
                    session.end(previous)
                db.commit()
                return _chosen(purpose, token)
            except BadValueError as bad:
                error = str(bad)
            except NotAllowedError:  # used meanwhile, in another window
                return dead_link(purpose)
    return respond(
        "account/password.html", status=status, owner=owner, error=error, purpose=purpose
    )


def _other_link(owner: Account) -> str:
    return _(
        "В этом браузере открыли ещё одну ссылку: здесь пароль для %(email)s. Пароль пока не "
        "изменён. Если он нужен другой учётной записи, откройте её ссылку ещё раз.",
        email=owner.email,
    )


def _chosen(purpose: str, token: str | None) -> ResponseReturnValue:
    cookie.pop(purpose, None)
    if token:
        return redirect(url_for("devices.new"), 303)
    access.let_out()
    return redirect(url_for(".sign_in", changed=1), 303)


def dead_link(purpose: str) -> Response:
    note_refused("link")
    if purpose == INVITATION:
        advice = _(
            "Если вы уже настроили вход, просто войдите. Если нет, попросите администратора "
            "или поддержку прислать новое приглашение."
        )
    else:
        advice = _("Она работает один раз и только час. Запросите новое письмо на странице входа.")
    return sorry(
        410, _("Ссылка не действует"), advice, way=(url_for("account.sign_in"), _("Ко входу"))
    )


@bp.route("/password", methods=["GET", "POST"])
def forgotten() -> ResponseReturnValue:
    """Ask for a link to choose a new password; the answer is the same for every email."""
    typed = request.form.get("email", "").strip()[: LONGEST_EMAIL + 1]
    if request.method == "GET":
        return respond("account/forgotten.html", email="", error="")
    error = ""
    if not is_own_form():
        error = stale()
    elif "@" not in typed:
        error = _("Введите адрес полностью, например i.lomova@example.ru.")
    if error:
        return respond("account/forgotten.html", status=422, email=typed, error=error)
    links.request_reset(typed, g.address)
    db.commit()
    return respond("account/forgotten_sent.html", email=typed)


# What the answers have in common


def pause(until: datetime, of_address: bool = False) -> str:
    """What is said to who has to wait; `of_address`: for all who sign in from there."""
    if of_address:
        return _(
            "С вашего адреса в сети за последние минуты входили необычно часто, может быть, и не "
            "вы. Войти можно будет %(moment)s.",
            moment=language.moment(until),
        )
    return _(
        "Слишком много неверных попыток. Попробовать снова можно будет %(moment)s.",
        moment=language.moment(until),
    )
