"""What is kept of each request for whoever watches: its id, how it ended and how long it took.

Each is counted (portal/metrics.py). A line of the log is written of what failed or was slow alone:
a line for each would cost a journey 9 % more CPU and say nothing that the counts do not. Both name
the endpoint, never the path, which may hold a token.
"""

import time
from typing import TYPE_CHECKING, NamedTuple

import structlog
from flask import Flask, Request, Response, g, request

from portal import again, config, logs, metrics, networks, telemetry
from portal.pages import SAFE_METHODS

if TYPE_CHECKING:
    from opentelemetry.trace import Span

HEADER = "X-Request-ID"
SLOW_SECONDS = 1

log = structlog.get_logger()


class Watched(NamedTuple):
    """A request that is being answered."""

    request: Request  # itself: each look through Flask's `request` costs more than a count
    id: str
    begun_at: float
    endpoint: str
    method: str  # read or write; the word itself may be any that somebody sends
    span: "Span | None"
    is_last: bool  # what is overtaken is asked once more


def init_app(app: Flask) -> None:
    """To be called before others: what begins first here ends last."""
    app.url_value_preprocessor(_begin)
    app.after_request(_note)
    app.teardown_request(_end)
    app.log_exception = _tell  # type: ignore[method-assign] # Flask's own names the path


def _begin(endpoint: str | None, _values: object) -> None:
    begun_at = time.perf_counter()
    asked = request._get_current_object()  # type: ignore[attr-defined] # of what stands for it
    heard = asked.headers
    trusted = networks.is_proxy(asked.remote_addr or "", config.settings.trusted_proxies)
    id = logs.begin_request(heard.get(HEADER) if trusted else None)
    endpoint = endpoint or "none"
    method = "read" if asked.method in SAFE_METHODS else "write"
    came_from = heard.get("traceparent", "") if trusted else ""
    span = telemetry.start(endpoint, came_from, method=method, request=id)
    is_last = again.OVERTAKEN in asked.environ
    g.watched = Watched(asked, id, begun_at, endpoint, method, span, is_last)


def _note(response: Response) -> Response:
    watched: Watched = g.watched
    response.headers[HEADER] = watched.id
    status = response.status_code
    if not watched.is_last and again.OVERTAKEN in watched.request.environ:
        telemetry.finish(watched.span, status=status)
        return response  # it did not end: it is asked anew
    telemetry.finish(watched.span, status=status, **({"error": "server"} if status >= 500 else {}))
    seconds = time.perf_counter() - watched.begun_at
    metrics.requests.inc(watched.endpoint, watched.method, str(status))
    metrics.request_seconds.observe(seconds, watched.endpoint)
    if seconds > SLOW_SECONDS:
        log.warning(
            "request was slow",
            endpoint=watched.endpoint,
            method=watched.method,
            status=status,
            seconds=round(seconds, 3),
        )
    return response


def _end(_error: BaseException | None) -> None:
    logs.end_request()


def _tell(exc_info: object) -> None:
    """What failed where no page of ours could be made of it."""
    log.error("request failed", endpoint=request.endpoint, exc_info=exc_info)
