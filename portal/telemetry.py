"""Traces by OpenTelemetry and failures by Sentry, each where its setting names a receiver.

Neither is let see a request: no instrumentation is installed, for it would send paths with tokens,
addresses and headers, and local variables with whatever somebody typed. What leaves is put together
here out of names of our own: a span has a name and a few attributes (ATTRIBUTES), a failure is
the line that the log has of it (portal/logs.py).
"""

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from portal import config, logs
from portal.logs import Event

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

NAME = "portal"
SECONDS_TO_SEND = 2  # and to try again, if need be
SECONDS_TO_END = 2
ATTRIBUTES = {
    "method": "http.request.method",
    "status": "http.response.status_code",
    "error": "error.type",
    "request": "portal.request",
    "channel": "portal.channel",
    "letter": "portal.letter",
    "message": "portal.message",
}
# What of a line is told to Sentry besides its words and its exception.
TAGS = ("request", "message", "endpoint", "method", "channel", "letter", "chore", "logger")
KEPT = {
    *("event_id", "timestamp", "platform", "level", "logentry", "exception", "tags"),
    *("transaction", "release", "environment", "sdk"),
}

_provider: "TracerProvider | None" = None


def begin() -> None:
    """Do what the settings say, for this process; what was done before ends."""
    end()
    if config.settings.otlp_url:
        _begin_traces(config.settings.otlp_url)
    if config.settings.sentry_dsn:
        _begin_reports(config.settings.sentry_dsn)


def end() -> None:
    """Send what waits, for a short while, and nothing after it."""
    global _provider  # noqa: PLW0603 - a process has one
    if _provider:
        _provider.force_flush(SECONDS_TO_END * 1000)
        _provider.shutdown()
        _provider = None
    if _report in logs.listeners:
        import sentry_sdk  # noqa: PLC0415 - it is there: reports were begun

        logs.listeners.remove(_report)
        sentry_sdk.get_client().close(timeout=SECONDS_TO_END)


atexit.register(end)


# Traces


def _begin_traces(url: str) -> None:
    # Only who is told to needs these packages.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    global _provider  # noqa: PLW0603
    resource = Resource({"service.name": NAME, "service.version": version(NAME)})
    _provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(url, timeout=SECONDS_TO_SEND)))


def start(name: str, came_from: str = "", **attributes: Any) -> "Span | None":
    """Begin a span; None where nobody wants any. `came_from` is a proxy's `traceparent`."""
    if _provider is None:
        return None
    from opentelemetry.trace import SpanKind  # noqa: PLC0415
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
        TraceContextTextMapPropagator,
    )

    given = {"traceparent": came_from} if came_from else {}
    return _provider.get_tracer(NAME).start_span(
        name,
        TraceContextTextMapPropagator().extract(given),
        SpanKind.SERVER if "method" in attributes else SpanKind.INTERNAL,
        {ATTRIBUTES[each]: value for each, value in attributes.items()},
    )


def finish(span: "Span | None", **attributes: Any) -> None:
    """End a span; one with an `error` has failed."""
    if span is None:
        return
    from opentelemetry.trace import StatusCode  # noqa: PLC0415

    if "error" in attributes:
        span.set_status(StatusCode.ERROR)
    for each, value in attributes.items():
        span.set_attribute(ATTRIBUTES[each], value)
    span.end()


@contextmanager
def traced(name: str, **attributes: Any) -> Iterator[None]:
    """A span around the work inside."""
    span = start(name, **attributes)
    try:
        yield
    except BaseException as error:
        finish(span, error=type(error).__name__)
        raise
    finish(span)


# Failures


def _begin_reports(dsn: str) -> None:
    import sentry_sdk  # noqa: PLC0415 - only who is told to needs this package

    sentry_sdk.init(  # without send_default_pii, which is deprecated, and off where it is not said
        dsn,
        default_integrations=False,
        auto_enabling_integrations=False,
        include_local_variables=False,
        include_source_context=False,
        max_breadcrumbs=0,
        max_request_body_size="never",
        before_send=_allowed,
        send_client_reports=False,
        auto_session_tracking=False,
        server_name="",
        environment="production",
        release=version(NAME),
        spotlight=False,
    )
    logs.listeners.append(_report)


def _report(line: Event) -> None:
    """Tell of a line of the log that has an exception."""
    import sentry_sdk  # noqa: PLC0415

    if str(line.get("logger", "")).startswith("sentry_sdk"):
        return  # it could not tell of something; nor could it of that
    sentry_sdk.capture_event(
        {
            "level": line["level"],
            "logentry": {"message": line["event"]},
            "transaction": str(line.get("endpoint", "")),
            "exception": {"values": [_exception(each) for each in reversed(line["error"])]},
            "tags": {name: str(line[name]) for name in TAGS if name in line},
        }
    )


def _exception(said: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": said["type"],
        "value": str(said.get("text") or said.get("code") or ""),
        "stacktrace": {"frames": [_frame(each) for each in said["at"]]},
    }


def _frame(place: str) -> dict[str, Any]:
    where, _, function = place.partition(" ")
    file, _, line = where.rpartition(":")
    return {
        "filename": file,
        "lineno": int(line),
        "function": function,
        "in_app": file.startswith("portal/"),
    }


def _allowed(event: Any, _hint: object) -> Any:
    """Of what the package adds by itself, what is nobody's."""
    return {name: value for name, value in event.items() if name in KEPT}
