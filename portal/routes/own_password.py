"""A new password of one's own: with the old one, and a second factor from the last five minutes."""

from flask import Blueprint, Response, g, redirect, request, url_for
from flask.typing import ResponseReturnValue

from portal import access, recovery
from portal.account.own_password import change_password
from portal.checks import BadValueError
from portal.cookie import is_own_form
from portal.database import db
from portal.language import gettext as _
from portal.pages import respond, retry_after, stale_secret
from portal.routes.account import pause

bp = Blueprint("own_password", __name__, url_prefix="/devices/password")

_only_signed_in = access.only()


@bp.before_request
def guard() -> ResponseReturnValue | None:
    refused = _only_signed_in()
    return refused if refused is not None else access.needs_second_factor(url_for(".page"))


@bp.get("")
def page() -> ResponseReturnValue:
    return _page()


@bp.post("")
def change() -> ResponseReturnValue:
    old, chosen = request.form.get("old", ""), request.form.get("password", "")
    if not is_own_form():
        return _page(stale_secret())
    if not old:
        return _page(_("Введите нынешний пароль."), "old")
    if chosen != request.form.get("again", ""):
        return _page(_("Пароли не совпадают. Введите одинаковые."), "password")
    try:
        changed = change_password(access.me(), old, chosen, g.address)
    except BadValueError as bad:
        return _page(str(bad), "password")
    if changed.done:
        recovery.cancel_by_change(access.me(), access.me().id, g.address)
    db.commit()
    if changed.pause:
        return retry_after(_page(pause(*changed.pause), "old", 429), changed.pause.until)
    if not changed.done:
        return _page(
            _(
                "Это не нынешний пароль. Введите тот, с которым вы вошли. Если не помните его, "
                "выйдите и нажмите «Забыли пароль?» на странице входа."
            ),
            "old",
        )
    access.let_out()
    return redirect(url_for("account.sign_in", changed=1), 303)


def _page(error: str = "", where: str = "", status: int = 422) -> Response:
    return respond(
        "devices/password.html", status=status if error else 200, error=error, where=where
    )
