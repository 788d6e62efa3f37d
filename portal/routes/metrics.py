"""`GET /metrics`: what Prometheus asks for, from the networks of staff only.

Counts are those of this machine's processes (portal/metrics.py); what waits is asked of the
database, which answers with one statement or is told as away.
"""

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError

from portal import access, clock, metrics, outbox
from portal.database import db

bp = Blueprint("metrics", __name__)

PATIENCE = 1.0  # seconds; what is counted can be told without the database

bp.before_request(access.only_staff_networks)


@bp.get("/metrics")
def page() -> Response:
    try:
        db.begin(writes=False, patience=PATIENCE)
        rows = outbox.waiting()
    except SQLAlchemyError:
        rows = None
    now = clock.now()
    gauges = [
        metrics.gauge("database_up", "Whether the database answers.", {"": rows is not None}),
        metrics.gauge(
            "messages_due",
            "Messages that wait for a worker.",
            {each.channel: each.due for each in rows or ()},
            "channel",
        ),
        metrics.gauge(
            "messages_due_seconds",
            "How long the one that waits longest has been due.",
            {
                each.channel: (now - each.oldest).total_seconds() if each.oldest else 0
                for each in rows or ()
            },
            "channel",
        ),
    ]
    return Response(metrics.text(*gauges), content_type=CONTENT_TYPE_LATEST)
