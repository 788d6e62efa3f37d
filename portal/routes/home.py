"""The front door, which leads nowhere without a letter, and the choice of language."""

from urllib.parse import urlsplit

from flask import Blueprint, abort, redirect, request
from flask.typing import ResponseReturnValue

from portal import config, language
from portal.pages import LANGUAGE_COOKIE, YEAR_SECONDS, respond

bp = Blueprint("home", __name__)


@bp.get("/")
def home() -> ResponseReturnValue:
    return respond("home.html")


@bp.get("/language/<code>")
def choose_language(code: str) -> ResponseReturnValue:
    """Keep the language in a cookie and go back to where the person was.

    The way back is the Referer's path, so that no page has to name itself: the page for those
    outside the secure channel is the same for every link.
    """
    if code not in language.LANGUAGES:
        abort(404)
    back = urlsplit(request.referrer or "")
    path = back.path if back.netloc == request.host and back.path.startswith("/") else "/"
    response = redirect("/" + path.lstrip("/\\"), 303)
    response.set_cookie(
        LANGUAGE_COOKIE,
        code,
        max_age=YEAR_SECONDS,
        secure=config.settings.is_https,
        httponly=True,
        samesite="Lax",
    )
    return response
