"""What the portal says of itself: JSON lines on standard error, without personal data.

A line names ids, endpoints and plain words. What stands in it was written by us or is known to be
no one's: of an exception its type, its place and its code, and its text only where that is a
literal of the code that raised it, for any other may quote what somebody typed. What libraries log
takes the same form: the text as it stands in their code, without what they would fill in.

Whatever a value holds, a line stays one line of ASCII. Standard error may be closed: then nothing
is said, and nothing breaks.
"""

import errno
import logging
import re
import secrets
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import suppress
from datetime import datetime
from types import TracebackType
from typing import Any

import structlog
from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars

Event = MutableMapping[str, Any]

WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}")  # an id of a request: a UUID, nginx's $request_id
MOST_CAUSES = 5
MOST_FRAMES = 40
PACKAGE = __file__.removesuffix("logs.py")  # whatever the folder around it is called
CODES = ("sqlstate", "sqlite_errorname", "smtp_code")  # what drivers say by a code, not by words

# Granian would write to standard output in a form of its own.
OF_GRANIAN: dict[str, Any] = {
    "formatters": {},
    "handlers": {},
    "loggers": {name: {"propagate": True} for name in ("_granian", "granian.access")},
}

log = structlog.get_logger()

listeners: list[Callable[[Event], None]] = []
"""Who is told of each line with an exception; the line is complete by then."""


def configure() -> None:
    """Write lines as said above, those of libraries from a warning on."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _describe,
            _tell,
            structlog.processors.JSONRenderer(default=_name_of),
        ],
        logger_factory=structlog.WriteLoggerFactory(_StandardError()),  # type: ignore[arg-type] # all it needs
    )
    root = logging.getLogger()
    root.handlers = [_OfLibraries()]
    root.setLevel(logging.WARNING)


def take_over() -> None:
    """Write what nobody caught, and Python's warnings, in the same form; for whole processes."""
    sys.excepthook = _uncaught
    threading.excepthook = lambda what: _uncaught(
        what.exc_type, what.exc_value or what.exc_type(), what.exc_traceback
    )
    sys.unraisablehook = lambda what: _uncaught(
        what.exc_type, what.exc_value or what.exc_type(), what.exc_traceback
    )
    warnings.showwarning = _warn  # type: ignore[assignment] # it calls by place


def begin_request(given: str | None) -> str:
    """Name the request that begins, in all lines until `end_request`; returns its id.

    `given` is what a trusted proxy calls it; it is called otherwise where that is not well-formed.
    """
    id = given if given and WELL_FORMED.fullmatch(given) else secrets.token_hex(16)
    clear_contextvars()
    bind_contextvars(request=id)
    return id


def end_request() -> None:
    """What comes after belongs to no request."""
    clear_contextvars()


about = bound_contextvars
"""`with about(message=id):` names in all lines what the work inside is about."""


def described(error: BaseException) -> list[dict[str, Any]]:
    """An exception and what led to it, the last first, without values."""
    return [_described(each) for each in _chain(error)]


def _chain(error: BaseException) -> Iterator[BaseException]:
    following: BaseException | None = error
    for _ in range(MOST_CAUSES):
        if following is None:
            return
        yield following
        hidden = following.__suppress_context__
        following = following.__cause__ or (None if hidden else following.__context__)


def _described(error: BaseException) -> dict[str, Any]:
    frames = list(traceback.walk_tb(error.__traceback__))
    said: dict[str, Any] = {"type": type(error).__name__}
    text = _text(error)
    if frames and text in frames[-1][0].f_code.co_consts:
        said["text"] = text
    codes = [getattr(error, name, None) for name in CODES]
    codes.append(errno.errorcode.get(getattr(error, "errno", None) or 0))
    code = next((each for each in codes if isinstance(each, str | int)), None)
    if code is not None:
        said["code"] = code
    said["at"] = [
        f"{_place(frame.f_code.co_filename)}:{line} {frame.f_code.co_name}"
        for frame, line in frames[-MOST_FRAMES:]
    ]
    return said


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an exception that cannot be written
        return ""


def _place(file: str) -> str:
    """A file as it is called in its package, not on this machine."""
    if file.startswith(PACKAGE):
        return f"portal/{file.removeprefix(PACKAGE)}"
    for folder, called in (("/site-packages/", ""), ("/lib/python3", "lib/python3")):
        _before, found, rest = file.rpartition(folder)
        if found:
            return f"{called}{rest}"
    return file.rpartition("/")[2]


def _describe(_logger: object, _level: str, event: Event) -> Event:
    """Put what happened in the place of the exception itself."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["error"] = described(error)
    return event


def _tell(_logger: object, _level: str, event: Event) -> Event:
    if "error" in event:
        for each in listeners:
            with suppress(Exception):  # a line is written whoever cannot hear it
                each(event)
    return event


def _name_of(value: object) -> str:
    """What is no plain value; its own words may be anybody's."""
    return value.isoformat() if isinstance(value, datetime) else type(value).__name__


class _StandardError:
    """Standard error, as long as somebody listens."""

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()


class _OfLibraries(logging.Handler):
    """Gives what libraries say our form. Of a text of several lines the first is its own."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        say = log.error if record.levelno >= logging.ERROR else log.warning
        say(text.partition("\n")[0], logger=record.name, exc_info=record.exc_info)


def _uncaught(
    kind: type[BaseException], error: BaseException, _trace: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt | SystemExit):
        log.critical("uncaught", exc_info=error)


def _warn(_message: object, category: type[Warning], file: str, line: int, *_: object) -> None:
    log.warning("warning of Python", category=category.__name__, at=f"{_place(file)}:{line}")
