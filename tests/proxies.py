"""The reverse proxies of deploy/, run as they are but for ports, files and the certificate."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
FETCHED = ROOT / ".venv/fetched/usr"  # `make servers`
NAME = "portal.example.ru"
CERTIFICATES = f"/etc/ssl/{NAME}"
SECOND = "    server 127.0.0.1:8001 max_fails=1 fail_timeout=1s;\n"  # of nginx.conf
PROXY, STAFF, STRANGER = "127.0.0.1", "127.0.0.2", "127.0.0.3"
SECONDS = 20  # to start


class Ports(NamedTuple):
    """Where everybody is."""

    portal: int
    operations: int
    http: int
    https: int
    second: int = 0  # another `portal serve`, where there is one


class Heard(NamedTuple):
    """One request as it came to the operational part."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def value(self, name: str) -> str | None:
        return dict(self.headers).get(name)


class Answer(NamedTuple):
    """What a browser gets."""

    status: int
    headers: dict[str, str]  # names in small letters
    body: str
    seconds: float

    @property
    def location(self) -> str | None:
        """Where it is sent, on the same host."""
        return self.headers.get("location", "").removeprefix(f"https://{NAME}") or None


class Operations:
    """The operational part: it writes down what it hears, and says so."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self._server = ThreadingHTTPServer((PROXY, 0), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                heard.append(Heard(self.command, self.path, self.headers.items(), body))
                self.send_response(200)
                self.send_header("Content-Length", "4")
                self.end_headers()
                self.wfile.write(b"work")

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the names are theirs

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        return Handler


def find(name: str) -> str | None:
    """The program of that name: of this computer, or fetched by `make servers`."""
    here = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    fetched = (FETCHED / folder / name for folder in ("sbin", "bin"))
    return here or next((str(each) for each in fetched if each.exists()), None)


@contextmanager
def running(name: str, folder: Path, ports: Ports) -> Iterator[None]:
    """A proxy with its sample file, until it is no longer needed."""
    program = find(name)
    assert program
    command = {"nginx": _nginx, "caddy": _caddy, "traefik": _traefik}[name](program, folder, ports)
    homes = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with (folder / "said").open("w+") as said:
        process = subprocess.Popen(command, env=os.environ | homes, stdout=said, stderr=said)
        try:
            _wait_for(ports.https, process, folder / "said")
            yield
        finally:
            process.terminate()
            process.wait(SECONDS)


def _wait_for(port: int, process: subprocess.Popen[bytes], said: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError):
            socket.create_connection((PROXY, port), timeout=1).close()
            return
        time.sleep(0.02)
    raise AssertionError(said.read_text())


def _sample(name: str, folder: Path, ports: Ports, *more: tuple[str, str]) -> str:
    """A sample file with the places of this test in it; each of them is there."""
    text = (DEPLOY / name).read_text()
    places = [
        (CERTIFICATES, str(folder)),
        ("127.0.0.1:8000", f"{PROXY}:{ports.portal}"),
        ("127.0.0.1:9000", f"{PROXY}:{ports.operations}"),
        *more,
    ]
    for old, new in places:
        assert old in text, f"{name} has no {old}"
        text = text.replace(old, new)
    return text


def _nginx(program: str, folder: Path, ports: Ports) -> list[str]:
    sample = _sample(
        *("nginx.conf", folder, ports),
        (SECOND, SECOND.replace("127.0.0.1:8001", f"{PROXY}:{ports.second}") * bool(ports.second)),
        ("listen 80;", f"listen {PROXY}:{ports.http};"),
        ("listen 443 ssl;", f"listen {PROXY}:{ports.https} ssl;"),
        ("/var/log/nginx/portal.log", f"{folder}/portal.log"),
        ("/var/log/nginx/portal-error.log crit", "stderr warn"),
    )
    (folder / "portal.conf").write_text(sample)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off;\npid {folder}/pid;\nerror_log stderr warn;\nworker_processes 1;\n"
        + ("user root;\n" if os.geteuid() == 0 else "")
        + "events {}\n"
        + f"http {{\n    access_log off;\n{paths}    include {folder}/portal.conf;\n}}\n"
    )
    return [program, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def _caddy(program: str, folder: Path, ports: Ports) -> list[str]:
    sample = _sample("Caddyfile", folder, ports)
    (folder / "Caddyfile").write_text(
        f"{{\n\tadmin off\n\tdefault_bind {PROXY}\n\thttp_port {ports.http}\n"
        f"\thttps_port {ports.https}\n}}\n{sample}"
    )
    return [program, "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def _traefik(program: str, folder: Path, ports: Ports) -> list[str]:
    (folder / "dynamic.yml").write_text(_sample("traefik/dynamic.yml", folder, ports))
    static = (DEPLOY / "traefik/traefik.yml").read_text()
    for old, new in (
        ('":80"', f'"{PROXY}:{ports.http}"'),
        ('":443"', f'"{PROXY}:{ports.https}"'),
        ("/etc/traefik/dynamic.yml", str(folder / "dynamic.yml")),
    ):
        assert old in static
        static = static.replace(old, new)
    (folder / "traefik.yml").write_text(static)
    return [program, f"--configFile={folder / 'traefik.yml'}"]


class Visitor:
    """Somebody's browser before the proxy, at an address of its own."""

    def __init__(self, ports: Ports, trusted: Path, cookie: str = "", address: str = STAFF) -> None:
        self._ports, self._address = ports, address
        self._context = ssl.create_default_context(cafile=str(trusted))
        self.cookie = cookie

    def ask(
        self,
        path: str = "/work/orders",
        *headers: tuple[str, str],
        method: str = "GET",
        body: bytes = b"",
    ) -> Answer:
        """One request on a connection of its own, its headers sent as they are."""
        begun = time.monotonic()
        at = (PROXY, self._ports.https)
        plain = socket.create_connection(at, timeout=SECONDS, source_address=(self._address, 0))
        with self._context.wrap_socket(plain, server_hostname=NAME) as wire:
            connection = http.client.HTTPConnection(NAME)
            connection.sock = wire
            connection.putrequest(method, path, skip_accept_encoding=True)
            if self.cookie:
                connection.putheader("Cookie", self.cookie)
            for name, value in headers:
                connection.putheader(name, value)
            if body:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body or None)
            response = connection.getresponse()
            said = response.read().decode()
            given = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, given, said, time.monotonic() - begun)


def at_once(times: int, what: Callable[[], Answer]) -> list[Answer]:
    """The answers to the same question, asked by several at once."""
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda: answers.append(what())) for _ in range(times)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(answers) == times
    return answers
