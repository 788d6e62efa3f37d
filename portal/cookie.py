"""The session cookie, and the token that ties a form to it.

Both are Flask's and Flask-WTF's own. What a cookie opens is for rows to say, so it carries no time:
a computer whose clock runs ahead would else sign cookies that the next one refuses.
"""

from functools import lru_cache

import structlog
from flask import Flask, Request, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_wtf.csrf import generate_csrf, validate_csrf
from itsdangerous import BadSignature, URLSafeSerializer
from wtforms import ValidationError

OWN_SITE = "same-origin"  # what browsers say of a form that one of our pages sends

log = structlog.get_logger()


class Cookie(SecureCookieSessionInterface):
    """Flask's signed cookie, its serializer made once for all requests."""

    def __init__(self, app: Flask) -> None:
        self._signed = URLSafeSerializer(
            [*app.config["SECRET_KEY_FALLBACKS"], app.config["SECRET_KEY"]],
            salt="portal.session",
            signer_kwargs={"key_derivation": "hmac", "digest_method": "sha256"},
        )
        # A browser sends the same cookie again and again; what it says is copied, never changed.
        self._read = lru_cache(maxsize=1024)(self._signed.loads)

    def get_signing_serializer(self, app: Flask) -> URLSafeSerializer:  # type: ignore[override] # noqa: ARG002
        return self._signed

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession:
        cookie = request.cookies.get(self.get_cookie_name(app))
        try:
            return self.session_class(self._read(cookie) if cookie else None)
        except BadSignature:
            return self.session_class()


def is_own_form() -> bool:
    """Whether a form was sent from a page of this session: not by another site, nor too old."""
    if seems_own_form():
        return True
    log.warning("request refused", why="form", endpoint=request.endpoint)
    return False


def seems_own_form() -> bool:
    """The same, where a form that is none is no news."""
    return _is_from_own_page() and _has_token()


def is_said_to_be_own() -> bool:
    """Whether the browser itself says that one of our pages sent a form, however old it is."""
    return request.headers.get("Sec-Fetch-Site") == OWN_SITE


def _is_from_own_page() -> bool:
    """What the browser says, if it says anything: another site's form is none whatever it holds."""
    return request.headers.get("Sec-Fetch-Site", OWN_SITE) in {OWN_SITE, "none"}


def _has_token() -> bool:
    try:
        validate_csrf(request.form.get("csrf_token"))
    except ValidationError:
        return False
    return True


def init_app(app: Flask) -> None:
    app.session_interface = Cookie(app)
    app.jinja_env.globals["csrf_token"] = generate_csrf
