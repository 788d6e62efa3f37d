"""`GET /access`: a reverse proxy asks about each request for the operational part.

204 with who it is (X-Portal-Account, X-Portal-Role, X-Portal-Organisation) lets it pass, 401 is
nobody who is signed in, 403 is blocked, of another role or outside. There is no other answer:
whatever goes wrong is 403, within two seconds (portal/door.py sees to calls that hang).

Nothing is kept between two calls, and a call writes nothing; but use keeps a session alive, so at
most once a minute it is written down, if that takes no waiting. Pages that poll in the operational
part must not keep anybody signed in, and the portal does not know its addresses. So what counts
as use is a page that somebody opens (browsers say `Sec-Fetch-Mode: navigate`, over TLS only) or
anything but looking (the proxy says the method in X-Forwarded-Method, or X-Original-Method).
"""

from urllib.parse import quote

import structlog
from flask import Blueprint, Response, g, request
from sqlalchemy.exc import SQLAlchemyError

from portal import access, block, networks
from portal.block import Entry, Refusal
from portal.database import db
from portal.pages import SAFE_METHODS

bp = Blueprint("forward_auth", __name__)

PATIENCE = 0.6  # seconds; SQLite may wait twice, for the schema and for the row
METHOD_HEADERS = ("X-Forwarded-Method", "X-Original-Method")
STATUSES = {Refusal.NOBODY: 401, Refusal.CLOSED: 403}

log = structlog.get_logger()


@bp.route("/access", methods=["GET"], provide_automatic_options=False)
def ask() -> Response:
    if not networks.is_staff(g.address):
        return _answer(403)
    db.begin(writes=False, patience=PATIENCE)
    db.look_again()
    found = block.enter(access.token())
    if isinstance(found, Refusal):
        return _answer(STATUSES[found])
    if block.is_due(found) and _is_use():
        _note_use(found)
    answer = _answer(204)
    answer.headers["X-Portal-Account"] = found.account_id
    answer.headers["X-Portal-Role"] = found.role
    answer.headers["X-Portal-Organisation"] = quote(found.organisation_id)  # may be Cyrillic
    return answer


@bp.errorhandler(Exception)
def fail(error: Exception) -> Response:
    """Who cannot be known is not let in."""
    log.error("access not answered", cause=type(error).__name__)
    return _answer(403)


def _is_use() -> bool:
    if request.headers.get("Sec-Fetch-Mode") == "navigate":
        return True
    methods = {request.headers.get(name, "GET").upper() for name in METHOD_HEADERS}
    return not methods <= SAFE_METHODS


def _note_use(found: Entry) -> None:
    """Write it down if nobody else is writing; else the next call will."""
    try:
        db.begin(writes=True, patience=0, shared=True)
        block.see(found)
        db.commit()
    except SQLAlchemyError as error:
        log.info("use not noted", cause=type(error).__name__)


def _answer(status: int) -> Response:
    """An answer of headers alone."""
    answer = Response(status=status)
    del answer.headers["Content-Type"]
    return answer
