"""Traces and reports of failures: what leaves the house for others, and what does not."""

from __future__ import annotations

import gzip
import json
import logging
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import brotli  # type: ignore[import-untyped]
import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from portal import config, logs, outbox, telemetry
from portal.gateways import Reason, Trouble
from tests.conftest import ADMINISTRATOR, ENVIRONMENT, LOMOVA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from portal.gateways import Outgoing
    from tests.browser import Browser
    from tests.conftest import Post

PROXY = "192.0.2.1"
AGENT = "Browser of somebody/1.0"
TRACE = "0af7651916cd43dd8448eb211c80319c"


class Receiver:
    """Takes what is sent: traces by OTLP, failures in Sentry's envelopes."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                packed = self.headers["Content-Encoding"]
                body = {"gzip": gzip, "br": brotli}[packed].decompress(body) if packed else body
                receiver.bodies.append((self.path, str(self.headers).encode() + body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.address = f"127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def all(self) -> bytes:
        telemetry.end()
        return b"".join(body for _path, body in self.bodies)

    def spans(self) -> list[Span]:
        telemetry.end()
        found = []
        for path, body in self.bodies:
            if path == "/v1/traces":
                said = ExportTraceServiceRequest.FromString(body.partition(b"\n\n")[2])
                found += [
                    span
                    for of_resource in said.resource_spans
                    for of_scope in of_resource.scope_spans
                    for span in of_scope.spans
                ]
        return sorted(found, key=lambda span: span.start_time_unix_nano)

    def events(self) -> list[dict[str, Any]]:
        telemetry.end()
        lines = [
            body.partition(b"\n\n")[2].splitlines()
            for path, body in self.bodies
            if path == "/api/7/envelope/"
        ]
        assert all(json.loads(line[1])["type"] == "event" for line in lines), "and nothing else"
        return [json.loads(line[2]) for line in lines]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    telemetry.end()
    receiver.stop()


@pytest.fixture
def environment(environment: dict[str, str], receiver: Receiver) -> dict[str, str]:
    return environment | {
        "PORTAL_TRUSTED_PROXIES": f"{PROXY}/32",
        "PORTAL_OTLP_URL": f"http://{receiver.address}",
        "PORTAL_SENTRY_DSN": f"http://key@{receiver.address}/7",
    }


@pytest.fixture(autouse=True)
def own_logs() -> Iterator[None]:
    """As commands have them: failures are told of from there."""
    before, own = logging.getLogger().handlers, structlog.get_config()
    logs.configure()
    yield
    logging.getLogger().handlers = before
    structlog.configure(**own)


class Told:
    """What somebody typed, was sent or was shown on a journey."""

    def __init__(self, browser: Browser, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
        browser.headers = {"User-Agent": AGENT}
        first = post.link()
        browser.open(first).press("Подтвердить номер телефона")
        code = post.code()
        wrong = "000000" if code != "000000" else "111111"
        browser.press("Подтвердить", code=wrong)
        browser.press("Подтвердить", code=code)
        browser.press("Подтвердить email")
        second = post.link()
        browser.open(f"{second}?from={LOMOVA.email}")
        cookies = [cookie.value for cookie in (browser.client._cookies or {}).values()]
        assert cookies
        self.secrets = [
            *(first, first.rpartition("/")[2], second, second.rpartition("/")[2]),
            *(code, wrong, *cookies, AGENT, browser.address, ADMINISTRATOR),
            *(LOMOVA.phone, LOMOVA.phone[2:], LOMOVA.email, LOMOVA.last_name, LOMOVA.inn),
            *(ENVIRONMENT["PORTAL_SECRET_KEY"], ENVIRONMENT["PORTAL_DATA_KEYS"]),
        ]

    def found_in(self, sent: bytes) -> list[str]:
        spelled = [(each, json.dumps(each)[1:-1]) for each in self.secrets]
        return [each for each, other in spelled if each.encode() in sent or other.encode() in sent]


class Failing:
    """A gateway that says too much when it fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def send(self, message: Outgoing) -> str:
        raise self._error

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def told(browser: Browser, post: Post, asked: str, monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(browser, post, monkeypatch)


def attributes(span: Span) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


# Traces


def test_a_journey_leaves_names_of_ours_and_nothing_of_anybody(
    told: Told, receiver: Receiver
) -> None:
    spans = receiver.spans()
    names = [span.name for span in spans]
    assert names[:4] == ["deliver", "confirm.open_link", "confirm.page", "confirm.request_code"]
    assert "confirm.enter_code" in names
    for span in spans:
        said = attributes(span)
        assert set(said) <= set(telemetry.ATTRIBUTES.values())
        assert not span.events
        assert not span.status.message
        if span.name == "deliver":
            assert set(said) == {"portal.channel", "portal.letter", "portal.message"}
        else:
            assert said["http.request.method"] in {"read", "write"}
            assert said["http.response.status_code"] in {200, 303, 422}
            assert len(said["portal.request"]) == 32
    assert told.found_in(receiver.all()) == []


def test_what_fails_is_marked_and_says_no_more_than_its_kind(
    app: Flask, asked: str, receiver: Receiver
) -> None:
    trouble = Trouble(Reason.REFUSED, permanent=True)
    trouble.__cause__ = OSError(LOMOVA.email)
    outbox.deliver_due("email", Failing(trouble))
    (span,) = receiver.spans()
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert attributes(span)["error.type"] == "Trouble"
    assert LOMOVA.email.encode() not in receiver.all()
    assert receiver.events() == [], "that a letter is refused is no failure of ours"


@pytest.mark.parametrize(("peer", "is_believed"), [(PROXY, True), ("203.0.113.9", False)])
def test_a_trace_goes_on_from_a_trusted_proxy_alone(
    browser: Browser, receiver: Receiver, peer: str, is_believed: bool
) -> None:
    browser.client.environ_base["REMOTE_ADDR"] = peer
    browser.client.get("/health/live", headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})
    (span,) = receiver.spans()
    assert (span.trace_id.hex() == TRACE) is is_believed
    assert bool(span.parent_span_id) is is_believed


# Failures


def fail_in_a_page(browser: Browser, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        phone, words = LOMOVA.phone, f"no such person: {LOMOVA.email}"
        try:
            int(phone + LOMOVA.email)
        except ValueError as error:
            raise RuntimeError(words, arguments) from error

    app.testing = False
    with monkeypatch.context() as patch:
        patch.setattr("portal.routes.confirm.confirmation.follow_email_link", fail)
        patch.setattr("portal.routes.confirm.is_own_form", lambda: True)
        answer = browser.client.post(
            f"{browser.path}?to={LOMOVA.email}", data={"code": LOMOVA.phone}
        )
    assert answer.status_code == 500


def test_a_failure_is_told_by_its_kind_and_place_and_nothing_of_anybody(
    app: Flask,
    told: Told,
    browser: Browser,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    browser.client.environ_base["REMOTE_ADDR"] = browser.address
    fail_in_a_page(browser, app, monkeypatch)
    (event,) = receiver.events()
    assert set(event) <= telemetry.KEPT
    assert event["transaction"] == "confirm.follow_email_link"
    assert event["logentry"]["message"] == "request failed"
    assert event["tags"].keys() == {"endpoint", "request"}
    first, last = event["exception"]["values"]
    assert (first["type"], last["type"]) == ("ValueError", "RuntimeError")
    frames = last["stacktrace"]["frames"]
    assert frames[-1]["function"] == "fail"
    ours = [frame for frame in frames if frame["in_app"]]
    assert {frame["filename"] for frame in ours} == {"portal/routes/confirm.py"}
    assert all(set(frame) == {"filename", "lineno", "function", "in_app"} for frame in frames)
    assert told.found_in(receiver.all()) == []


def test_a_failure_of_the_worker_is_told_with_the_id_of_the_message(
    app: Flask, asked: str, receiver: Receiver
) -> None:
    outbox.deliver_due("email", Failing(RuntimeError(LOMOVA.email)))
    (event,) = receiver.events()
    assert len(event["tags"]["message"]) == 22
    assert event["tags"]["letter"] == "confirmation"
    assert LOMOVA.email.encode() not in receiver.all()


def test_what_is_only_worth_a_warning_is_not_told(browser: Browser, receiver: Receiver) -> None:
    browser.open("/confirm/x")
    browser.open("/nothing")
    assert receiver.events() == []


# With and without


@pytest.mark.sqlite
def test_receivers_that_are_away_hold_up_nobody(
    app: Flask, browser: Browser, receiver: Receiver, environment: dict[str, str]
) -> None:
    receiver.stop()
    logging.getLogger("asyncio").error("it failed", exc_info=RuntimeError())
    assert browser.ask("get", "/health/live").status_code == 200
    telemetry.end()
    assert browser.ask("get", "/health/live").status_code == 200
    receiver.__init__()  # type: ignore[misc] # for who stops it in the end


UNASKED = """
import os, sys, portal
portal.create_app()
print(sorted({"sentry_sdk", "opentelemetry.exporter"} & set(sys.modules)))
"""


def test_unasked_neither_package_is_loaded(tmp_path: Any) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", UNASKED],
        env=os.environ | ENVIRONMENT,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ended.stdout == "[]\n"


@pytest.mark.parametrize(
    ("setting", "value", "package", "extra"),
    [
        ("PORTAL_SENTRY_DSN", "https://key@sentry.example.ru/1", "sentry_sdk", "sentry"),
        ("PORTAL_OTLP_URL", "https://collector.example.ru", "opentelemetry", "telemetry"),
    ],
)
def test_without_its_packages_a_setting_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, setting: str, value: str, package: str, extra: str
) -> None:
    settings = ENVIRONMENT | {setting: value}
    config.load(settings)
    for name in [each for each in sys.modules if each.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(config.BadSettingError) as caught:
        config.load(settings)
    expected = (
        f"{setting} needs the extra {extra}: pip install '.[{extra}]' in the portal's source."
    )
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("SENTRY_DSN", "https://sentry.example.ru/1"),
        ("SENTRY_DSN", "https://S3CRET@sentry.example.ru/"),
        ("SENTRY_DSN", "http://S3CRET@sentry.example.ru/1"),
        ("SENTRY_DSN", "S3CRET"),
        ("OTLP_URL", "http://collector.example.ru"),
        ("OTLP_URL", "https://user:S3CRET@collector.example.ru"),
        ("OTLP_URL", "https://collector.example.ru/?key=S3CRET"),
        ("OTLP_URL", "grpc://collector.example.ru"),
    ],
)
def test_a_receiver_that_is_none_is_refused(setting: str, value: str) -> None:
    with pytest.raises(config.BadSettingError) as caught:
        config.load(ENVIRONMENT | {f"PORTAL_{setting}": value})
    assert str(caught.value).startswith(f"PORTAL_{setting} ")
    assert "S3CRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://collector.example.ru", "https://collector.example.ru/v1/traces"),
        ("http://10.20.0.7:4318/", "http://10.20.0.7:4318/v1/traces"),
        ("https://collector.example.ru/otlp/v1/traces", None),
        ("", ""),
    ],
)
def test_traces_go_where_collectors_take_them(given: str, used: str | None) -> None:
    settings = config.load(ENVIRONMENT | {"PORTAL_OTLP_URL": given})
    assert settings.otlp_url == (given if used is None else used)
