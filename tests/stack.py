"""All that an operator runs, started for real: nginx in front of two web servers, two deliverers,
PostgreSQL and Redis; and whoever is asked from there, a mail server and a gateway for SMS."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit

import psycopg
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, TestResponse

from tests import postgresql, proxies
from tests.browser import Browser
from tests.conftest import ENVIRONMENT
from tests.ports import free_port
from tests.proxies import DEPLOY, NAME, PROXY, STAFF, Ports
from tests.redis_server import Redis
from tests.servers import Authority, MailServer, SmsGateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECONDS = 60  # for whatever a slow machine does
REDIRECTS = {301, 302, 303, 308}
# What systemd does with the socket of a service: sd_listen_fds(3).
HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[2], sys.argv[2:])
"""


class Unhurried(SmsGateway):
    """A gateway that answers when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = threading.Event()
        self.may_answer.set()

    def next_answer(self) -> tuple[int, Any] | str:
        self.may_answer.wait(SECONDS)
        return super().next_answer()

    def codes(self, phone: str) -> list[str]:
        """What a phone got, oldest first."""
        return [str(each.body["text"])[:6] for each in self.asked if each.body["to"] == phone]


class Process:
    """A command of the portal that runs until it is stopped."""

    def __init__(
        self,
        environment: dict[str, str],
        log: Path,
        *command: str,
        on: socket.socket | None = None,
    ) -> None:
        self._environment, self._log, self._on = environment, log, on
        self._command = [sys.executable, "-m", "portal", *command]
        self._process: subprocess.Popen[bytes]

    def start(self) -> None:
        command = self._command
        handed_over: tuple[int, ...] = ()
        if self._on is not None:
            handed_over = (self._on.fileno(),)
            command = [sys.executable, "-c", HAND_OVER, str(self._on.fileno()), *command]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=self._environment, stderr=log, pass_fds=handed_over
            )

    def tell(self, how: signal.Signals = signal.SIGTERM) -> None:
        self._process.send_signal(how)

    def runs(self) -> bool:
        return self._process.poll() is None

    def ended(self) -> int:
        """Its exit status, once it has ended."""
        return self._process.wait(SECONDS)

    def stop(self) -> None:
        if self.runs():
            self.tell()
            self.ended()


class Stack:
    """Where everything is."""

    def __init__(self, folder: Path, server: postgresql.Server, ports: Ports) -> None:
        self.folder, self.ports = folder, ports
        self.mail, self.sms, self.redis = MailServer(), Unhurried(), Redis(folder)
        self.database_url = f"postgresql://portal:secret@{PROXY}:{server.port}/portal"
        self.mail.start()
        clean = {name: text for name, text in os.environ.items() if not name.startswith("PORTAL_")}
        self.environment = (
            clean
            | ENVIRONMENT
            | {
                "PORTAL_DATABASE_URL": self.database_url,
                "PORTAL_REDIS_URL": self.redis.url,
                "PORTAL_BASE_URL": f"https://{NAME}",
                "PORTAL_SECURE_NETWORKS": f"{STAFF}/32",
                "PORTAL_TRUSTED_PROXIES": f"{PROXY}/32",
                "PORTAL_MAIL_URL": self.mail.url(),
                "PORTAL_SMS_URL": self.sms.url(),
            }
        )
        # One on a socket that outlives it, as systemd's does; one on a port of its own.
        self.listener = socket.create_server((PROXY, ports.portal), backlog=1024)
        how = (self.environment, folder / "log")
        serve = (*how, "serve", "--workers", "2")
        self.web = [
            Process(*serve, on=self.listener),
            Process(*serve, "--port", str(ports.second)),
        ]
        self.deliverers = [Process(*how, "deliver") for _ in range(2)]

    def run(self, *command: str) -> str:
        """A command that ends; what it said."""
        told = subprocess.run(
            [sys.executable, "-m", "portal", *command],
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return told.stdout

    def browser(self) -> Browser:
        """Somebody's browser in the secure channel, before nginx."""
        client: Any = OverTheWire(self.ports.https, self.folder / "authority.pem")
        return Browser(client)

    def link(self, recipient: str, subject: str) -> str:
        """The address in the newest letter of that subject, when it has come."""
        found = wait_for(
            lambda: [each for each in self.mail.to(recipient) if each.headers["Subject"] == subject]
        )
        address = re.search(rf"https://{re.escape(NAME)}/\S+", found[-1].text)
        assert address
        return address[0]

    def code(self, phone: str) -> str:
        """The newest code, when it has come."""
        return wait_for(lambda: self.sms.codes(phone))[-1]

    def rows(self, query: str, *values: object) -> list[Any]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(query, values).fetchall()

    def is_ready(self, port: int) -> bool:
        """Whether the web server at a port says that it may be asked."""
        connection = http.client.HTTPConnection(PROXY, port, timeout=SECONDS)
        with closing(connection), suppress(OSError, http.client.HTTPException):
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        return False


class OverTheWire:
    """What a browser of the tests asks through, over TLS; it keeps cookies as browsers do."""

    def __init__(self, port: int, trusted: Path) -> None:
        self.environ_base: dict[str, str] = {}  # of Flask's own client: here addresses are real
        self.cookies: dict[str, str] = {}
        self._port = port
        self._context = ssl.create_default_context(cafile=str(trusted))

    def get(self, url: str, **what: Any) -> TestResponse:
        return self._follow("GET", url, **what)

    def post(self, url: str, **what: Any) -> TestResponse:
        return self._follow("POST", url, **what)

    def _follow(self, method: str, url: str, **what: Any) -> TestResponse:
        if what.get("query_string"):
            url = f"{url}?{urlencode(what['query_string'])}"
        response = self._ask(method, url, what.get("data"), what.get("headers") or {})
        for _ in range(5):
            if response.status_code not in REDIRECTS:
                break
            url = urljoin(url, response.headers["Location"])
            response = self._ask("GET", url, None, {})
        return response

    def _ask(
        self, method: str, url: str, data: dict[str, str] | None, headers: dict[str, str]
    ) -> TestResponse:
        parts = urlsplit(url)
        where = f"{parts.path}?{parts.query}" if parts.query else parts.path
        said = {"Host": NAME, "Cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        body = None
        if method == "POST":
            body = urlencode(data or {})
            said |= {"Content-Type": "application/x-www-form-urlencoded"}
            said |= {"Referer": f"https://{NAME}/", "Origin": f"https://{NAME}"}
        plain = socket.create_connection((PROXY, self._port), SECONDS, source_address=(STAFF, 0))
        with self._context.wrap_socket(plain, server_hostname=NAME) as wire:
            connection = http.client.HTTPConnection(NAME)
            connection.sock = wire
            connection.request(method, where, body, said | headers)
            answer = connection.getresponse()
            text = answer.read()
        for each in answer.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(each).items():
                self.cookies[name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.cookies[name]
        asked = EnvironBuilder(parts.path).get_request()
        given = Headers(answer.getheaders())
        return TestResponse([text], f"{answer.status} {answer.reason}", given, asked)


@contextmanager
def running(folder: Path) -> Iterator[Stack]:
    """Everything, ready to be asked, until it is no longer needed."""
    authority = Authority(folder)
    authority.server(NAME)
    for name in ("fullchain.pem", "privkey.pem"):
        (folder / name).write_bytes((folder / f"{NAME} 1.pem").read_bytes())
    ports = Ports(*(free_port() for _ in range(5)))
    settings = ("fsync=off", f"listen_addresses={PROXY}", "max_connections=60")
    with ExitStack() as ending:
        server = ending.enter_context(postgresql.running(*settings, port=free_port()))
        make_database(server)
        stack = Stack(folder, server, ports)
        ending.callback(stack.listener.close)
        ending.callback(stack.mail.stop)
        stack.sms.start()
        ending.callback(stack.sms.stop)
        stack.redis.start()
        ending.callback(stack.redis.kill)
        stack.run("database", "upgrade")
        for process in (*stack.web, *stack.deliverers):
            process.start()
            ending.callback(process.stop)
        for port in (ports.portal, ports.second):
            wait_for(lambda port=port: stack.is_ready(port))  # type: ignore[misc]
        ending.enter_context(proxies.running("nginx", folder, ports))
        yield stack


def make_database(server: postgresql.Server) -> None:
    """As the operator does it, by the file that is shipped."""
    command = [postgresql.program_path("psql"), "--quiet", "--no-psqlrc"]
    where = ["--set=ON_ERROR_STOP=1", server.url("postgres")]
    environment = os.environ | {"PORTAL_PASSWORD": "secret"}
    with (DEPLOY / "postgresql.sql").open() as statements:
        subprocess.run([*command, *where], stdin=statements, check=True, env=environment)


def wait_for(find: Callable[[], Any]) -> Any:
    """What is found, as soon as anything is."""
    deadline = time.monotonic() + SECONDS
    while not (found := find()):
        assert time.monotonic() < deadline, "it has not come"
        time.sleep(0.02)
    return found
