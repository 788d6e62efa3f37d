"""For whoever watches the portal: does it live, and may it take requests."""

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import SQLAlchemyError

from portal import schema

bp = Blueprint("health", __name__, url_prefix="/health")


@bp.get("/live")
def live() -> ResponseReturnValue:
    return "", 200


@bp.get("/ready")
def ready() -> ResponseReturnValue:
    """503 while the database does not answer or its schema is not this version's."""
    try:
        return "", 200 if schema.is_current() else 503
    except SQLAlchemyError:
        return "", 503
