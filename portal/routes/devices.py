"""«Мои устройства»: second factors, backup codes, sessions; and enrolling after an invitation.

Every change needs a second factor from the last five minutes and is told to the owner by letter
(product.md). An enrolment session may add a device and backup codes, and nothing else.
"""

from flask import Blueprint, Response, g, redirect, request, url_for
from flask import session as cookie
from flask.typing import ResponseReturnValue

from portal import access, account, agents, device, language, recovery
from portal.access import CAME_FOR
from portal.account import links, session
from portal.account.links import INVITATION
from portal.account.session import Stage
from portal.checks import BadValueError, text
from portal.cookie import is_own_form
from portal.database import db
from portal.language import gettext as _
from portal.pages import json_page, respond, retry_after, sorry, stale, stale_secret
from portal.routes.account import dead_link

bp = Blueprint("devices", __name__, url_prefix="/devices")

ENROLS = {
    f"{bp.name}.{name}"
    for name in ("new", "add_totp", "passkey_options", "add_passkey", "codes", "type_back")
}
# Where somebody goes on whose five minutes were over before they were done.
STEPS = dict.fromkeys(ENROLS, ".new") | {
    f"{bp.name}.codes": ".codes",
    f"{bp.name}.type_back": ".codes",
    f"{bp.name}.replacement": ".replacement",
}
# They change no factor, and show none.
LOOKS = {f"{bp.name}.{name}" for name in ("page", "begin", "keep_replacement")}

_only_signed_in = access.only()
_only_enrolling = access.only(stages=(Stage.FULL, Stage.ENROLMENT))


@bp.before_request
def guard() -> ResponseReturnValue | None:
    """Signed in or enrolling; and for every change with a second factor of a moment ago."""
    refused = _only_enrolling() if request.endpoint in ENROLS else _only_signed_in()
    if getattr(refused, "status_code", 0) == 401 and request.endpoint in ENROLS - {
        f"{bp.name}.new"
    }:
        return _too_late()
    if refused is not None or request.endpoint in LOOKS:
        return refused
    if access.at_stage(Stage.ENROLMENT) or access.mine().is_fresh:
        return None
    cookie[CAME_FOR] = url_for(STEPS.get(request.endpoint or "", ".page"))
    return access.needs_second_factor()


def _too_late() -> Response:
    """The ten minutes for enrolling are over, or the session is."""
    advice = _(
        "Ничего не добавлено. Настраиваете вход по приглашению — откройте ссылку из письма ещё "
        "раз. Восстанавливаете доступ — войдите, и портал покажет, что дальше."
    )
    if STEPS.get(request.endpoint or "") == ".codes":  # the device is there by then
        advice = _(
            "Коды, которые вы не успели подтвердить, не действуют. Войдите со своим устройством и "
            "получите новые на странице «Мои устройства»."
        )
    way = url_for("account.sign_in"), _("Войти")
    return sorry(401, _("Время на этот шаг вышло"), advice, way=way)


@bp.get("")
def page() -> ResponseReturnValue:
    return _page()


def _page(notice: str = "", status: int = 200) -> Response:
    owner, mine = access.me(), access.mine()
    return respond(
        "devices/page.html",
        status=status,
        notice=notice,
        devices=device.devices_of(owner.id),
        codes=device.codes_left(owner.id),
        sign_ins=session.sign_ins(owner),
        lasts=session.lasts,
        describe=agents.describe,
        mine=mine,
        done=request.args.get("done", ""),
    )


@bp.post("/check")
def begin() -> ResponseReturnValue:
    """Ask for a second factor, to come back here."""
    if not is_own_form():
        return _page(stale(), 422)
    cookie[CAME_FOR] = url_for(".page")
    return redirect(url_for("check.page"), 303)


# A new device


@bp.route("/new", methods=["GET", "POST"])
def new() -> ResponseReturnValue:
    """The app's QR code and the passkey's button. Pressing «Добавить» makes the secret."""
    mine = access.mine()
    if request.method == "POST":
        if mine.stage is Stage.ENROLMENT:  # its secret was made when it began
            return redirect(url_for(".new"), 303)
        if not is_own_form():
            return _page(stale(), 422)
        _keep(secret=device.new_secret())
        db.commit()
        return redirect(url_for(".new"), 303)
    if "codes" in mine.pending:
        return redirect(url_for(".codes"), 303)
    return _new_page() if mine.pending.get("secret") else redirect(url_for(".page"), 303)


def _new_page(error: str = "", status: int = 200, where: str = "totp") -> Response:
    mine, owner = access.mine(), access.me()
    secret = mine.pending.get("secret", "")
    return respond(
        "devices/new.html",
        status=status,
        error=error,
        where=where,
        secret=device.grouped(secret),
        uri=device.provisioning_uri(secret, owner.email),
        qr=device.qr_svg(device.provisioning_uri(secret, owner.email)),
        is_first=mine.stage is Stage.ENROLMENT,
        replaces=any(each.kind == "totp" for each in device.devices_of(owner.id)),
        has_passkeys=device.works_at(request.host),
        passkeys_at=device.origin(),
    )


@bp.post("/new/totp")
def add_totp() -> ResponseReturnValue:
    mine, owner = access.mine(), access.me()
    secret = mine.pending.get("secret")
    if not secret:
        return redirect(url_for(".new"), 303)
    if not is_own_form():
        return _new_page(stale_secret(), 422)
    try:
        name = _name()
    except BadValueError as bad:
        return _new_page(str(bad), 422)
    added = device.add_totp(owner, secret, request.form.get("code", ""), name, g.address)
    if added:
        return _added(added)
    # It is the code of the secret on this very page: whoever guesses it has won nothing, so nobody
    # is paused, and a phone with a wrong clock costs no recovery.
    error = _(
        "Неверный код. Введите тот, что приложение показывает сейчас. Не подходит и он — включите "
        "на телефоне автоматическое время и попробуйте ещё раз."
    )
    return _new_page(error, 422)


@bp.post("/new/passkey/options")
def passkey_options() -> ResponseReturnValue:
    mine = access.mine()
    if not mine.pending.get("secret"):
        return redirect(url_for(".new"), 303)
    if not is_own_form():
        return _new_page(stale(), 422, "passkey")
    options, challenge = device.registration_options(access.me())
    session.keep(mine, **mine.pending | {"challenge": challenge.hex()})
    db.commit()
    return json_page(options)


@bp.post("/new/passkey")
def add_passkey() -> ResponseReturnValue:
    mine, owner = access.mine(), access.me()
    secret, challenge = mine.pending.get("secret"), mine.pending.get("challenge")
    if not secret:
        return redirect(url_for(".new"), 303)
    if not is_own_form():
        return _new_page(stale(), 422, "passkey")
    _keep(secret=secret)  # a challenge counts once
    try:
        name = _name()
    except BadValueError as bad:
        db.commit()
        return _new_page(str(bad), 422, "passkey")
    answer = request.form.get("answer", "")
    added = challenge and device.add_passkey(
        owner, answer, bytes.fromhex(challenge), name, g.address
    )
    if added:
        return _added(added)
    db.commit()
    return _new_page(_("Ключ доступа не удалось добавить. Попробуйте ещё раз."), 422, "passkey")


def _name() -> str:
    return text(device.LONGEST_NAME, required=False)(request.form.get("name", ""))


def _keep(**pending: object) -> None:
    """Keep what the next step needs, beside the code that its owner has yet to write down."""
    mine = access.mine()
    waiting = {name: kept for name, kept in mine.pending.items() if name == "replacement"}
    session.keep(mine, **waiting | pending)


def _added(id: str) -> ResponseReturnValue:
    """The device is proved. Where it is the first one, or replaces a lost one, codes follow."""
    mine, owner = access.mine(), access.me()
    if not mine.case_id:  # a recovery has a letter of its own
        account.tell(owner, "device.added", g.address)
    if mine.stage is not Stage.ENROLMENT:
        _keep()
        db.commit()
        return redirect(url_for(".page", done="added"), 303)
    if mine.case_id:
        recovery.complete(mine, id, g.address)
    elif links.find_link_by_id(INVITATION, mine.link_id or ""):
        links.use_invitation(owner)
    else:  # the letter was taken back meanwhile: the device is not kept
        return dead_link(INVITATION)
    return _make_codes()


# Backup codes


@bp.post("/codes/new")
def new_codes() -> ResponseReturnValue:
    if not is_own_form():
        return _page(stale(), 422)
    until = device.may_make_codes_at(access.me())
    if until:
        words = _(
            "За час можно получить не больше десяти наборов. Следующий — %(moment)s; прежние коды "
            "работают.",
            moment=language.moment(until),
        )
        return retry_after(_page(words, 429), until)
    return _make_codes()


def _make_codes() -> ResponseReturnValue:
    made = device.make_codes(access.me())
    _keep(codes=made.codes, set=made.set_id)
    db.commit()
    return redirect(url_for(".codes"), 303)


@bp.get("/codes")
def codes() -> ResponseReturnValue:
    return _codes_page()


@bp.post("/codes")
def type_back() -> ResponseReturnValue:
    """One code typed back says that they are kept. They are shown no more."""
    mine, owner = access.mine(), access.me()
    if "set" not in mine.pending:
        return redirect(access.start() if mine.stage is Stage.FULL else url_for(".new"), 303)
    if not is_own_form():
        return _codes_page(stale_secret(), 422)
    if not device.prove_codes(owner, mine.pending["set"], request.form.get("code", ""), g.address):
        return _codes_page(_("Такого кода в этом списке нет. Введите любой из десяти."), 422)
    account.tell(owner, "codes.made", g.address)
    if mine.stage is Stage.ENROLMENT:
        access.let_in(session.renew(mine, "enrolment", g.address, access.agent()))
        db.commit()
        if mine.case_id:
            return redirect(url_for(".page", done="restored"), 303)
        return redirect(access.start(), 303)
    session.keep(mine)  # a code in place of a spent one was of the set that is gone now
    db.commit()
    return redirect(url_for(".page", done="codes"), 303)


def _codes_page(error: str = "", status: int = 200) -> ResponseReturnValue:
    mine = access.mine()
    if "codes" not in mine.pending:
        return redirect(url_for(".page" if mine.stage is Stage.FULL else ".new"), 303)
    return respond(
        "devices/codes.html",
        status=status,
        codes=mine.pending["codes"],
        owner=mine.account,
        error=error,
        is_first=mine.stage is Stage.ENROLMENT,
    )


@bp.get("/codes/replacement")
def replacement() -> ResponseReturnValue:
    """The code that takes the place of the one just spent."""
    code = access.mine().pending.get("replacement")
    if not code:
        return redirect(url_for(".page"), 303)
    return respond("devices/replacement.html", code=code)


@bp.post("/codes/replacement")
def keep_replacement() -> ResponseReturnValue:
    if not is_own_form():
        return _page(stale(), 422)  # the code itself is shown to who was asked for a factor
    device.keep_replacement(access.me().id)
    others = {name: kept for name, kept in access.mine().pending.items() if name != "replacement"}
    session.keep(access.mine(), **others)
    db.commit()
    return redirect(url_for(".page") if "lost" in request.form else access.start(), 303)


# Changes


@bp.post("/<id>/drop")
def drop(id: str) -> ResponseReturnValue:
    owner = access.me()
    if not is_own_form():
        return _page(stale(), 422)
    if id not in {each.id for each in device.devices_of(owner.id)}:
        access.note_refusal()
        return _page(_("Такого устройства у вас нет."), 404)
    if not device.drop(owner, id, g.address):
        return _page(_("Последнее устройство удалить нельзя. Сначала добавьте другое."), 409)
    account.tell(owner, "device.dropped", g.address)
    db.commit()
    return redirect(url_for(".page", done="dropped"), 303)


@bp.post("/sessions/<id>/end")
def end_session(id: str) -> ResponseReturnValue:
    if not is_own_form():
        return _page(stale(), 422)
    if not session.end_one(access.me(), id):
        access.note_refusal()
        return _page(_("Такого открытого сеанса у вас нет."), 404)
    account.tell(access.me(), "sessions.ended", g.address)
    db.commit()
    return redirect(url_for(".page", done="ended"), 303)


@bp.post("/sessions/end")
def end_sessions() -> ResponseReturnValue:
    """«Выйти везде»: every session but this one."""
    if not is_own_form():
        return _page(stale(), 422)
    session.end_all(access.me(), but=access.mine())
    account.tell(access.me(), "sessions.ended", g.address)
    db.commit()
    return redirect(url_for(".page", done="ended"), 303)
