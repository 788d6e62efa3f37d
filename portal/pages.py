"""How we answer a browser: whole pages, parts of pages, and pages that say sorry."""

import hashlib
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import structlog
from flask import (
    Flask,
    Response,
    current_app,
    g,
    make_response,
    redirect,
    render_template,
    request,
)
from flask_compress import Compress
from htmx_flask import Htmx
from htmx_flask.requests import HtmxAwareRequest, HtmxHeaders
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import (
    BadRequest,
    HTTPException,
    NotFound,
    RequestEntityTooLarge,
    RequestURITooLarge,
    TooManyRequests,
    UnprocessableEntity,
    UnsupportedMediaType,
)

from portal import again, checks, clock, config, flood, language, metrics, networks
from portal.database import Overtaken, db
from portal.language import gettext as _
from portal.networks import Address
from portal.written import written

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
MOST_FIELDS = 100
LONGEST_QUERY = 4096  # bytes
# What a browser sends a form as. Flask-WTF would read JSON, too, however deep it is.
FORM_TYPES = {"", "application/x-www-form-urlencoded", "multipart/form-data"}
# What no flood shuts: static files ask nobody, and others rely on the answers of the rest. /access
# is asked for each request of the operational part, and a limit would shut somebody out of it.
UNCOUNTED = {"static", "health", "forward_auth"}
# What htmx does with an answer: a window that polls keeps what it shows; who pressed reads it.
KEPT = {"HX-Reswap": "none"}
INSTEAD = {"HX-Retarget": "#main", "HX-Reselect": "#main", "HX-Reswap": "outerHTML"}
YEAR_SECONDS = 365 * 24 * 3600
UNPROCESSABLE = UnprocessableEntity.code
A_MINUTE = timedelta(minutes=1)

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), otp-credentials=(self)",
    "Referrer-Policy": "same-origin",  # Flask-WTF and the language switch read the Referer
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

log = structlog.get_logger()


def respond(page: str, *parts: str, status: int = 200, **context: object) -> Response:
    """The whole page, or just the part that htmx says it will replace.

    A part is a template included by the page. Its file name and the id of its root element
    agree: `confirm/_confirmation.html` holds `<div id="confirmation">`.
    """
    wanted = (htmx().target or "").rpartition("#")[2]  # htmx says div#name
    template = next((part for part in parts if part.endswith(f"/_{wanted}.html")), page)
    is_refused = status == UNPROCESSABLE
    response = make_response(render_template(template, is_refused=is_refused, **context), status)
    response.headers["Vary"] = "HX-Request, HX-Target, Cookie"
    response.headers["Content-Language"] = language.chosen()
    return response


def json_page(text: str) -> Response:
    """An answer that a script asked for."""
    return Response(text, mimetype="application/json")


def sorry(status: int, title: str, advice: str, *, way: tuple[str, str] | None = None) -> Response:
    """A page that says what went wrong and what to do next; `way` is a link and its words."""
    # Flask's `render_template` would look up who is signed in, and the database may be away.
    page = current_app.jinja_env.get_template("sorry.html").render(
        title=title, advice=advice, way=way, written=written()
    )
    response = make_response(page, status)
    if htmx() and status >= 500:
        response.headers["HX-Reswap"] = "none"  # the window keeps what it shows
    elif htmx():
        response.headers["HX-Refresh"] = "true"  # it opens anew what cannot be shown in place
    return response


def language_cookie() -> str:
    """The cookie's name: over HTTPS bound to the host, so that no neighbour plants it."""
    return "__Host-language" if config.settings.is_https else "language"


def note_refused(why: str) -> None:
    """Say in the log that a request was turned away; not who asked, nor from where."""
    log.warning("request refused", why=why, endpoint=request.endpoint)


def retry_after(response: Response, until: datetime) -> Response:
    """Say to programs too how long to wait."""
    seconds = max(1, round((until - clock.now()).total_seconds()))
    response.headers["Retry-After"] = str(seconds)
    return response


def stale() -> str:
    """What is said to a form that is too old, or that no page of this session sent."""
    return _("Страница устарела, и мы её обновили. Ничего не потеряно: нажмите кнопку ещё раз.")


def stale_secret() -> str:
    """The same where what was typed is not shown again."""
    return _("Страница устарела, и мы её обновили. Введите ещё раз и нажмите кнопку.")


def opens_above(path: str) -> str:
    """The address nearest above one that only takes forms that is a page's; "" if there is none.

    A line break in it would break the header of a redirect.
    """
    pages = current_app.url_map.bind("")
    while (path := path.rpartition("/")[0]) and path.isprintable():
        if pages.test(path, "GET"):
            return path
    return ""


def page_of_form() -> str:
    """The address of the page whose form was sent; "" if there is none."""
    is_page = current_app.url_map.bind("").test(request.path, "GET")
    return request.path if is_page else opens_above(request.path)


def htmx() -> HtmxHeaders:
    """What htmx says of the request; false if it was not htmx that asked."""
    return cast(HtmxAwareRequest, request).htmx


def client_address() -> Address | None:
    """Where the request came from; None if that cannot be known."""
    return networks.client_address(
        request.remote_addr or "",
        request.headers.get("X-Forwarded-For"),
        config.settings.trusted_proxies,
    )


def absolute_url(endpoint: str, **values: object) -> str:
    """A link for letters. Built from our own setting, never from the Host header."""
    base = urlsplit(config.settings.base_url)
    urls = current_app.url_map.bind(base.netloc, "/", url_scheme=base.scheme)
    return urls.build(endpoint, values, force_external=True)


@cache
def static_url(name: str) -> str:
    """The address of a static file, which changes when the file does."""
    content = (Path(__file__).parent / "static" / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


def init_app(app: Flask) -> None:
    secure = config.settings.is_https
    app.config.update(
        SESSION_COOKIE_NAME="__Host-session" if secure else "session",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_SAMESITE="Lax",  # a link in a letter must find the session
        SESSION_REFRESH_EACH_REQUEST=False,
        SEND_FILE_MAX_AGE_DEFAULT=YEAR_SECONDS,
        COMPRESS_ALGORITHM=["br", "gzip"],
        COMPRESS_ALGORITHM_STREAMING=["br"],
    )
    if db.overtakes:
        app.wsgi_app = again.Again(app.wsgi_app)  # type: ignore[method-assign]
    Htmx(app)
    app.after_request(_add_headers)
    Compress(app)  # before our headers, for Flask runs these last to first
    app.after_request(_close_file)
    app.url_value_preprocessor(_receive)
    app.before_request(_begin)
    app.teardown_request(_end)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters["phone"] = checks.display_phone
    app.jinja_env.globals.update(
        absolute_url=absolute_url,
        static_url=static_url,
        settings=config.settings,
        now=clock.now,
        client_address=client_address,
    )
    app.register_error_handler(OperationalError, _unavailable)
    app.register_error_handler(Overtaken, _overtaken)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _failure)


def _begin() -> None:
    request.environ.pop("HTTP_RANGE", None)  # compressed parts of a file make no whole
    writes = request.method not in SAFE_METHODS
    db.begin(writes=writes)
    if writes:
        if request.mimetype not in FORM_TYPES:
            raise UnsupportedMediaType
        fields = sum(1 for _field in request.form.items(multi=True))
        if fields > MOST_FIELDS:
            raise RequestEntityTooLarge


def _receive(_endpoint: str | None, _values: object) -> None:
    """What comes before anything else, the first look at a body or into the database included."""
    g.address = client_address()
    language.choose(request.cookies.get(language_cookie()))
    if (request.endpoint or "").partition(".")[0] in UNCOUNTED:
        return
    if again.OVERTAKEN in request.environ:
        return  # it was counted when it was asked the first time
    seconds = flood.counts.wait(g.address, writes=request.method not in SAFE_METHODS)
    if seconds:
        raise TooManyRequests(retry_after=seconds)
    if len(request.query_string) > LONGEST_QUERY:
        raise RequestURITooLarge


def _end(_error: BaseException | None) -> None:
    db.close()


def own_headers() -> dict[str, str]:
    """What every answer carries, whoever gives it."""
    if not config.settings.is_https:
        return HEADERS
    transport = f"max-age={YEAR_SECONDS}; includeSubDomains"
    return {**HEADERS, "Strict-Transport-Security": transport}


def _add_headers(response: Response) -> Response:
    response.headers.update(own_headers())
    kept = f"public, max-age={YEAR_SECONDS}, immutable" if _stays(response) else "no-store"
    response.headers["Cache-Control"] = kept
    return response


def _stays(response: Response) -> bool:
    """Whether a file is what its address names: a page may be from a server of another version."""
    if request.endpoint != "static" or response.status_code not in {200, 304}:
        return False
    asked = request.args.get("v")
    return asked is None or static_url(str(request.view_args["filename"])).endswith(f"?v={asked}")  # type: ignore[index] # the route has it


def _close_file(response: Response) -> Response:
    """Close the file that a static answer reads: Flask-Compress forgets it."""
    close = getattr(response.response, "close", None)
    if close:
        response.call_on_close(close)
    return response


def _http_error(error: HTTPException) -> Response:
    if error.response is not None:
        return cast(Response, error.response)
    titles = {
        404: (_("Такой страницы нет"), _("Проверьте адрес или откройте ссылку из письма.")),
        405: (_("Так эту страницу не открыть"), _("Вернитесь на страницу назад.")),
        429: (
            _("Слишком много запросов"),
            _(
                "За последнюю минуту с вашего адреса пришло необычно много запросов. Ничего не "
                "потеряно: подождите минуту и попробуйте ещё раз."
            ),
        ),
        413: (_("Слишком много данных"), _("Сократите текст и отправьте ещё раз.")),
    }
    above = opens_above(request.path) if error.code == 405 and request.method == "GET" else ""
    if above:  # the address bar still shows where a form was sent
        return cast(Response, redirect(above, 303))
    unclear = (_("Портал не понял запрос"), _("Вернитесь на страницу назад и попробуйте ещё раз."))
    code = error.code or BadRequest.code
    way = _way_back() if code == TooManyRequests.code and htmx() else None
    if code == NotFound.code:
        way = ("/", _("На главную страницу"))
    response = sorry(code, *titles.get(code, unclear), way=way)
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After"}:
            response.headers[name] = value
    if code == TooManyRequests.code and htmx():
        del response.headers["HX-Refresh"]  # it would hide the sentence
        shown = KEPT if request.method in SAFE_METHODS else INSTEAD
        response.headers.update(shown)
    return response


def _way_back() -> tuple[str, str] | None:
    """To the page whose form was sent."""
    address = page_of_form()
    return (address, _("Обновить страницу")) if address else None


def _unavailable(error: OperationalError) -> Response:
    log.error("database unavailable", cause=type(error.orig).__name__)
    metrics.database_errors.inc("request")
    return _away()


def too_late() -> Response:
    """What is said where no thread has answered in time; asks nothing of the database."""
    log.error("request not answered in time", endpoint=request.endpoint)
    g.address = client_address()
    language.choose(request.cookies.get(language_cookie()))
    return _add_headers(_away())


def _away() -> Response:
    title = _("Портал временно недоступен")
    advice = _("Ничего не потеряно. Подождите минуту и попробуйте ещё раз.")
    return retry_after(sorry(503, title, advice), clock.now() + A_MINUTE)


def _overtaken(error: Overtaken) -> Response:
    """It is asked anew; only what is overtaken again is told to anybody."""
    if again.OVERTAKEN in request.environ:
        return _unavailable(error)
    request.environ[again.OVERTAKEN] = True
    return Response(status=503)


def _failure(error: Exception) -> Response:
    log.error("request failed", endpoint=request.endpoint, exc_info=error)
    return sorry(
        500,
        _("На портале произошла ошибка"),
        _("Мы её уже записали. Попробуйте ещё раз или позвоните в поддержку."),
    )
