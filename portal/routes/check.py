"""A second factor, asked for anew before something is changed: then five minutes are free."""

from flask import Blueprint, Response, abort, g, redirect, request, url_for
from flask import session as cookie
from flask.typing import ResponseReturnValue

from portal import access, account, device, recovery
from portal.access import CAME_FOR
from portal.account import session
from portal.cookie import is_own_form
from portal.database import db
from portal.language import gettext as _
from portal.pages import json_page, respond, retry_after, stale_secret
from portal.routes.account import count_wrong, no_code, pause, take_passkey, tries

bp = Blueprint("check", __name__, url_prefix="/check")
bp.before_request(access.only())


@bp.get("")
def page() -> ResponseReturnValue:
    return _page()


@bp.post("")
def enter() -> ResponseReturnValue:
    """The code of an app, a passkey's answer, or a backup code."""
    _must_be_judged()
    found, owner = access.mine(), access.me()
    typed, answer = request.form.get("code", ""), request.form.get("answer", "")
    if not typed.strip() and not answer:
        return _page(no_code(), 422)
    if answer:
        factor = "passkey" if take_passkey(found, answer) else ""
    else:
        factor = "totp" if device.take_totp(owner.id, typed) else ""
    replacement = None
    if not factor and not answer:
        replacement = device.take_code(owner, typed, g.address)
        factor = "code" if replacement else ""
    # Who took longer than five minutes over the picture or the codes finds them again.
    kept = {name: value for name, value in found.pending.items() if name != "challenge"}
    if not factor:
        if answer:
            session.keep(found, **kept)
        wrong = count_wrong(found)
        if wrong.paused_until:
            return retry_after(_page(pause(wrong.paused_until), 429), wrong.paused_until)
        sentence = _("Ключ доступа не подошёл.") if answer else _("Неверный код.")
        return _page(f"{sentence} {tries(wrong)}" if wrong.tries_left else sentence, 422)
    access.let_in(session.renew(found, factor, g.address, access.agent()))
    recovery.cancel_by_sign_in(owner, g.address)  # who has a factor needs no recovery
    if replacement:
        kept["replacement"] = replacement
        account.tell(owner, "code.used", g.address, left=device.codes_left(owner.id).count)
    session.keep(access.mine(), **kept)
    db.commit()
    if replacement:
        return redirect(url_for("devices.replacement"), 303)
    return redirect(cookie.pop(CAME_FOR, None) or url_for("devices.page"), 303)


@bp.post("/passkey/options")
def passkey_options() -> ResponseReturnValue:
    _must_be_judged()
    options, challenge = device.authentication_options(access.me().id)
    session.keep(access.mine(), **access.mine().pending | {"challenge": challenge.hex()})
    db.commit()
    return json_page(options)


def _must_be_judged() -> None:
    """Answer at once to an old form, or during a pause."""
    if not is_own_form():
        abort(_page(stale_secret(), 422))
    until = access.me().pause_ends_at
    if until:
        abort(retry_after(_page(pause(until), 429), until))


def _page(error: str = "", status: int = 200) -> Response:
    kinds = {each.kind for each in device.devices_of(access.me().id)}
    return respond(
        "account/check.html",
        status=status,
        error=error,
        has_passkey="passkey" in kinds and device.works_at(request.host),
    )
