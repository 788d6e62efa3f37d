"""For whoever watches the portal: does it live, and may it take requests.

Both answer without data. In `portal serve` each has a thread of its own and is answered within two
seconds, though the database hang and all others wait for it (portal/door.py).
"""

import structlog
from flask import Blueprint
from flask.typing import ResponseReturnValue

from portal import schema
from portal.database import db

bp = Blueprint("health", __name__, url_prefix="/health")

PATIENCE = 0.6  # seconds, as in forward_auth.py

log = structlog.get_logger()


@bp.get("/live")
def live() -> ResponseReturnValue:
    return "", 200


@bp.get("/ready")
def ready() -> ResponseReturnValue:
    """503 while the database does not answer or its schema is not this version's."""
    db.begin(writes=False, patience=PATIENCE)
    if schema.is_current():
        return "", 200
    log.warning("not ready", why="schema")
    return "", 503


@bp.errorhandler(Exception)
def fail(error: Exception) -> ResponseReturnValue:
    """Who cannot say that it is ready is not."""
    log.warning("not ready", why="database", cause=type(error).__name__)
    return "", 503
