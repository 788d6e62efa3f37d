"""A request that was overtaken is answered anew.

On PostgreSQL a request that writes may find that another was first. Then nothing that it did is
kept (portal/database), and nobody has seen its answer: so it is asked once more, from the
beginning and while nobody else writes, as if it had come a moment later.
"""

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import IO, Any

from werkzeug.wsgi import get_content_length, get_input_stream

from portal import metrics
from portal.database import db

OVERTAKEN = "portal.overtaken"
LONGEST_KEPT = 64 * 1024  # what cannot be rewound is kept in memory, but no file is

Environ = dict[str, Any]


class Again:
    """A WSGI application around ours, which says by `OVERTAKEN` in the environment that it was.

    Where that is said beforehand there is no second time.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = _rewindable(environ)
        if body is None:
            return self._app(environ | {OVERTAKEN: True}, start_response)
        asked = dict(environ)
        begun: list[tuple[Any, ...]] = []
        parts = self._app(asked, lambda *said: begun.append(said))
        if OVERTAKEN not in asked:
            start_response(*begun[-1])
            return parts
        metrics.overtaken.inc()
        body.seek(0)
        with db.alone():
            return self._app(environ | {OVERTAKEN: True}, start_response)


def _rewindable(environ: Environ) -> IO[bytes] | None:
    """The body, in a form that can be read twice; None if it is a file that cannot."""
    body: IO[bytes] = environ["wsgi.input"]
    if getattr(body, "seekable", bool)():  # not every server's has it (PEP 3333)
        return body
    if (get_content_length(environ) or 0) > LONGEST_KEPT:
        return None
    body = environ["wsgi.input"] = BytesIO(get_input_stream(environ).read())
    return body
