"""The front door, which leads nowhere without a letter, and the choice of language."""

from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Blueprint, abort, current_app, g, redirect, request
from flask.typing import ResponseReturnValue

from portal import access, config, language, networks
from portal.account.session import Stage
from portal.pages import YEAR_SECONDS, language_cookie, opens_above, respond

bp = Blueprint("home", __name__)


@bp.get("/")
def home() -> ResponseReturnValue:
    """Where nobody is signed in; who is goes to their own first page."""
    if access.at_stage(Stage.FULL) and networks.is_staff(g.address):
        return redirect(access.first_page(), 303)
    return respond("home.html")


@bp.get("/language/<code>")
def choose_language(code: str) -> ResponseReturnValue:
    """Keep the language in a cookie and go back to where the person was."""
    if code not in language.LANGUAGES:
        abort(404)
    response = redirect(_way_back(), 303)
    response.set_cookie(
        language_cookie(),
        code,
        max_age=YEAR_SECONDS,
        secure=config.settings.is_https,
        httponly=True,
        samesite="Lax",
    )
    return response


def _way_back() -> str:
    """The Referer's page, so that none names itself: from outside the channel all are alike.

    The answer to a form may stand at an address that only takes forms; then the nearest above it
    that can be opened.
    """
    try:
        back = urlsplit(request.referrer or "")
    except ValueError:
        return "/"
    if back.netloc != request.host:
        return "/"
    path = "/" + back.path.lstrip("/\\")
    if current_app.url_map.bind("").test(path, "GET"):
        asked = urlencode(parse_qsl(back.query))  # what was searched for
        return f"{path}?{asked}" if asked else path
    return opens_above(path) or "/"
