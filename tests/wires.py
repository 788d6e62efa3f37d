"""Real wires, to servers on this computer.

A test module asks for these fixtures with `pytest_plugins = ["tests.wires"]`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from tests.servers import Authority, MailServer, SmsGateway

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The authority, known to this computer as an operator would make it known."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


@pytest.fixture
def new_mail_server() -> Iterator[Callable[..., MailServer]]:
    """Start a mail server, with or without TLS."""
    with contextlib.ExitStack() as stack:

        def start(tls: ssl.SSLContext | None = None, *, starttls: bool = False) -> MailServer:
            server = MailServer(tls, starttls)
            server.start()
            stack.callback(server.stop)
            return server

        yield start


@pytest.fixture
def mail_server(new_mail_server: Callable[..., MailServer]) -> MailServer:
    return new_mail_server()


@pytest.fixture
def new_sms_gateway() -> Iterator[Callable[..., SmsGateway]]:
    """Start an SMS gateway, with or without TLS."""
    with contextlib.ExitStack() as stack:

        def start(tls: ssl.SSLContext | None = None) -> SmsGateway:
            gateway = SmsGateway(tls)
            gateway.start()
            stack.callback(gateway.stop)
            return gateway

        yield start


@pytest.fixture
def sms_gateway(new_sms_gateway: Callable[..., SmsGateway]) -> SmsGateway:
    return new_sms_gateway()
