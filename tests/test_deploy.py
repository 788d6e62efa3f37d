"""The sample files of deploy/, in front of a real `portal serve` and a real operational part.

nginx and Caddy run here: `make servers` fetches what is not there. Traefik is in no distribution
that we know of: it runs where it is on the PATH. Elsewhere its files are read, no more: that they
name the headers and addresses that the other samples name.
"""

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
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pysqlite3
import pytest

from portal import clock, config, create_app, organisation, schema
from portal.account import Role, session
from portal.account.session import Stage
from portal.database import db
from portal.organisation import Status
from portal.organisation.status import move
from tests import proxies
from tests.conftest import ADMINISTRATOR, ENVIRONMENT, LOMOVA
from tests.locks import hung, locked
from tests.people import Person, enrol
from tests.ports import free_port
from tests.proxies import NAME, PROXY, STAFF, STRANGER, Answer, Operations, Ports, Visitor, at_once
from tests.servers import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask

ID = "ORG-004217"
HEADERS = ("X-Portal-Account", "X-Portal-Role", "X-Portal-Organisation")
OTHERS = ("caddy", "traefik")
RUNNABLE = ["nginx", *(name for name in OTHERS if proxies.find(name))]
PROMISED = 2  # seconds until an answer, whatever happens to the database
A_PROXY_WAITS = 2  # seconds for the portal
A_LITTLE = 4  # for all that is done beside waiting
LIE = "a-lie-of-a-client"
SLOW_MACHINE = 3  # seconds more: a door that is broken takes ten at least
COOKIE = "__Host-session"


class Portal:
    """`portal serve` in a process of its own."""

    def __init__(self, environment: dict[str, str], port: int) -> None:
        self._environment, self._port = environment, port
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        if self.process and self.process.poll() is None:
            return
        clean = {name: text for name, text in os.environ.items() if not name.startswith("PORTAL_")}
        command = [sys.executable, "-m", "portal", "serve", "--port", str(self._port)]
        self.process = subprocess.Popen(
            command,
            env=clean | self._environment,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        proxies._wait_for(self._port, self.process, Path(os.devnull))

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Its workers are processes, too: all of them hear the signal."""
        assert self.process
        if self.process.poll() is None:
            os.killpg(self.process.pid, how)
        if how in {signal.SIGTERM, signal.SIGKILL}:
            self.process.wait(proxies.SECONDS)


class Yard:
    """Everything that there is: the portal, the operational part, a proxy, and somebody's work."""

    def __init__(
        self, name: str, folder: Path, ports: Ports, portal: Portal, operations: Operations
    ) -> None:
        self.name, self.folder, self.ports = name, folder, ports
        self.portal, self.operations = portal, operations
        self.person: Person
        self.cookie = ""

    @property
    def heard(self) -> list[proxies.Heard]:
        return self.operations.heard

    def visitor(self, cookie: str | None = None, address: str = STAFF) -> Visitor:
        cookie = self.cookie if cookie is None else cookie
        return Visitor(self.ports, self.folder / "authority.pem", cookie, address)

    def passed(self, answer: Answer) -> bool:
        """Whether a request came through; if not, the operational part knows nothing of it."""
        assert (answer.status == 200 and answer.body == "work") == bool(self.heard)
        return bool(self.heard)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    path = tmp_path_factory.mktemp("portal") / "portal.db"
    return ENVIRONMENT | {
        "PORTAL_DATABASE_URL": f"sqlite:///{path}",
        "PORTAL_BASE_URL": f"https://{NAME}",
        "PORTAL_SECURE_NETWORKS": f"{STAFF}/32",
        "PORTAL_TRUSTED_PROXIES": f"{PROXY}/32",
        "PORTAL_OPERATIONS_URL": f"https://{NAME}/work",
        "PORTAL_MAIL_URL": "smtp://127.0.0.1:1",
        "PORTAL_SMS_URL": "http://127.0.0.1:1/",
    }


@pytest.fixture(scope="module")
def world(environment: dict[str, str]) -> Iterator[tuple[Flask, Person]]:
    """The portal's own code in this process, which is another one than the web server's."""
    app = create_app(config.load(environment))
    with app.app_context():
        schema.upgrade()
        with db.writing():
            organisation.save(ID, LOMOVA, ADMINISTRATOR, "", "tests")
            db.commit()
        yield app, enrol("petrov@sever-trakt.example", Role.SENIOR_OPERATOR)
    db.dispose()


@pytest.fixture(scope="module", params=RUNNABLE)
def place(
    request: pytest.FixtureRequest,
    environment: dict[str, str],
    world: object,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Yard]:
    name = str(request.param)
    assert proxies.find(name), f"no {name} found: `make servers` fetches it"
    folder = tmp_path_factory.mktemp(name)
    authority = Authority(folder)
    authority.server(NAME)
    made = (folder / f"{NAME} 1.pem").read_bytes()
    (folder / "fullchain.pem").write_bytes(made)
    (folder / "privkey.pem").write_bytes(made)
    operations = Operations()
    ports = Ports(*(free_port(), operations.port), *(free_port() for _ in "ab"))
    portal = Portal(environment, ports.portal)
    portal.start()
    with proxies.running(name, folder, ports):
        yield Yard(name, folder, ports, portal, operations)
    portal.stop()
    operations.stop()


@pytest.fixture
def yard(place: Yard, world: tuple[Flask, Person]) -> Iterator[Yard]:
    """All is well: the organisation is verified, somebody is signed in, nobody has worked yet."""
    app, place.person = world
    with app.app_context():
        place.portal.start()
        to(Status.VERIFIED)
        place.cookie = f"{COOKIE}={sign_in(app, place.person)}"
        place.heard.clear()
        yield place
        clock.reset()


def sign_in(app: Flask, person: Person, stage: Stage = Stage.FULL) -> str:
    """The cookie of somebody who signed in a moment ago."""
    with db.writing():
        token = session.begin(person.account, stage, STAFF, "")
        db.commit()
    signed: Any = app.session_interface
    return str(signed.get_signing_serializer(app).dumps({"_user_id": token}))


WAYS = {
    Status.UNVERIFIED: Status.SUBMITTED,
    Status.SUBMITTED: Status.VERIFIED,
    Status.VERIFIED: Status.EDITING,
    Status.EDITING: Status.RESUBMITTED,
    Status.RESUBMITTED: Status.VERIFIED,
}


def to(status: Status) -> None:
    """Move the organisation on to a status, in this process."""
    with db.writing():
        found = organisation.find(ID)
        assert found
        while found.status is not status:
            move(ID, found.status, WAYS[found.status], "tests")
            found = organisation.find(ID)
            assert found
        db.commit()


def is_sent_to(yard: Yard, answer: Answer, path: str) -> bool:
    """Whether somebody is shown that page of the portal instead."""
    if yard.name == "traefik":  # it shows the page where it is
        statuses = {"/signin": 401, "/operations": 403}
        return answer.status == statuses[path] and "<h1" in answer.body
    return (answer.status, answer.location) == (303, path)


# Who may in


def test_who_may_in_is_named_to_the_operational_part(yard: Yard) -> None:
    answer = yard.visitor().ask("/work/orders?number=7")
    assert yard.passed(answer)
    (heard,) = yard.heard
    assert (heard.method, heard.path) == ("GET", "/orders?number=7")
    said = [yard.person.account.id, "senior_operator", ID]
    assert [heard.value(name) for name in HEADERS] == said
    assert "Set-Cookie".lower() not in answer.headers


def test_what_is_sent_arrives_and_the_portal_does_not_see_it(yard: Yard) -> None:
    body = os.urandom(300_000)  # more than the portal takes
    for method in ("POST", "PUT", "DELETE"):
        assert yard.passed(yard.visitor().ask("/work/orders", method=method, body=body))
        heard = yard.heard.pop()
        assert (heard.method, heard.body) == (method, body)


def test_the_portals_cookie_stays_with_the_portal(yard: Yard) -> None:
    if yard.name == "traefik":
        pytest.skip("it passes all cookies on, as its file says")
    secret = yard.cookie.partition("=")[2]
    for cookies in (
        yard.cookie,
        f"a=1; {yard.cookie}; b=2",
        f"{yard.cookie}; b=2",
        f"a=1; {yard.cookie}",
        f"not__Host-session=3; {yard.cookie}",
    ):
        assert yard.passed(yard.visitor(cookies).ask())
        heard = yard.heard.pop()
        assert secret not in str(heard.headers)
        kept = (heard.value("Cookie") or "").replace(" ", "").split(";")
        for each in cookies.replace(" ", "").split(";"):
            assert (each in kept) == (secret not in each)


def test_the_portal_itself_is_there_for_everybody(yard: Yard) -> None:
    assert yard.visitor("").ask("/health/live").status == 200
    page = yard.visitor("").ask("/signin")
    assert page.status == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert yard.visitor().ask("/operations").status == 200
    assert yard.visitor("", STRANGER).ask("/signin").status == 403
    assert not yard.heard


# Who may not


def test_who_is_not_signed_in_is_asked_to(yard: Yard, world: tuple[Flask, Person]) -> None:
    half = f"{COOKIE}={sign_in(world[0], yard.person, Stage.PASSWORD)}"
    for cookie in ("", f"{COOKIE}=forged", half):
        answer = yard.visitor(cookie).ask()
        assert not yard.passed(answer)
        assert is_sent_to(yard, answer, "/signin")


def test_who_is_blocked_is_told_why(yard: Yard) -> None:
    to(Status.EDITING)
    for method in ("GET", "POST"):
        answer = yard.visitor().ask(method=method, body=b"x" * 100_000)
        assert not yard.passed(answer)
        assert is_sent_to(yard, answer, "/operations")


def test_the_block_is_in_force_within_a_second(yard: Yard) -> None:
    visitor = yard.visitor()
    for status, is_open in (
        *[(Status.EDITING, False), (Status.RESUBMITTED, True), (Status.EDITING, False)],
        (Status.VERIFIED, True),
    ):
        yard.heard.clear()
        to(status)
        answer = visitor.ask()
        assert yard.passed(answer) == is_open
        assert answer.seconds < PROMISED + SLOW_MACHINE


def test_who_is_outside_may_not_in_whatever_they_say(yard: Yard) -> None:
    outside = yard.visitor(address=STRANGER)
    for name in ("X-Forwarded-For", "x_forwarded_for", "X-Real-IP", "Forwarded"):
        lie = f"for={STAFF}" if name == "Forwarded" else STAFF
        answer = outside.ask("/work/orders", (name, lie))
        assert not yard.passed(answer)
        assert answer.status in {303, 403}
    twice = outside.ask("/work/orders", ("X-Forwarded-For", STAFF), ("X-Forwarded-For", STAFF))
    assert not yard.passed(twice)


# What a client says of itself

LIES = [
    *("X-Portal-Role", "x-portal-role", "X-PORTAL-ROLE", "X_Portal_Role", "x_portal_role"),
    *("X-Portal_Role", "X_Portal-Role", "X-Portal-Account", "X_Portal_Account"),
    *("X-Portal-Organisation", "X_PORTAL_ORGANISATION", "x-Portal_organisation"),
]


def told(heard: proxies.Heard) -> dict[str, list[str]]:
    """What a server that takes _ for - hears of who somebody is."""
    said: dict[str, list[str]] = {}
    for name, value in heard.headers:
        known = name.lower().replace("_", "-")
        if known.startswith("x-portal-"):
            said.setdefault(known, []).append(value)
    return said


def test_what_a_client_says_of_itself_never_arrives(yard: Yard) -> None:
    true = {
        "x-portal-account": [yard.person.account.id],
        "x-portal-role": ["senior_operator"],
        "x-portal-organisation": [ID],
    }
    tried = [[(name, "lie")] for name in LIES]
    tried += [[("X-Portal-Role", "lie"), ("x-portal-role", "lie"), ("X_Portal_Role", "lie")]]
    tried += [[(name, "lie") for name in LIES], [("X-Portal-Role", "")]]
    for lies in tried:
        assert yard.passed(yard.visitor().ask("/work/orders", *lies))
        assert told(yard.heard.pop()) == true, lies


def test_what_a_client_calls_its_request_is_not_believed(yard: Yard) -> None:
    answer = yard.visitor("").ask("/signin", ("X-Request-ID", "forged-by-a-stranger"))
    assert answer.headers["x-request-id"] not in {"", "forged-by-a-stranger"}


def test_nor_does_it_open_what_is_closed(yard: Yard) -> None:
    lies = [(name, "manager") for name in LIES]
    assert not yard.passed(yard.visitor("").ask("/work/orders", *lies))
    to(Status.EDITING)
    assert not yard.passed(yard.visitor().ask("/work/orders", *lies))


def test_a_client_that_names_headers_for_the_wire_gains_nothing(yard: Yard) -> None:
    """What `Connection` names is taken out on the way: less is said then, never something else."""
    for name in (*HEADERS, "Cookie", "X-Forwarded-For"):
        yard.heard.clear()
        answer = yard.visitor().ask("/work/orders", ("Connection", f"close, {name}"))
        if yard.passed(answer):
            said = told(yard.heard[0])
            assert said.get("x-portal-role", ["senior_operator"]) == ["senior_operator"]
            assert said.get("x-portal-account", [yard.person.account.id])[0] != LIE
        lies = [(each, LIE) for each in HEADERS]
        yard.heard.clear()
        answer = yard.visitor().ask("/work/orders", ("Connection", f"close, {name}"), *lies)
        if yard.passed(answer):
            assert LIE not in str(yard.heard[0].headers)


PATHS = [
    *("/work", "/work/", "/work/orders", "//work/orders", "/work//orders", "/work/../work/orders"),
    *("/WORK/orders", "/work%2forders", "/%77ork/orders", "/./work/orders", "/x/../work/orders"),
    *("/work/..%2f..%2forders", "/work;x/orders", "/work/%2e%2e/orders", "/work\\orders"),
    *("/.access", "/access/../work/orders", "/static/../work/orders", "/work/orders/../../work/"),
    *("/work?/work/", "/work/?x=/access", "/work/#x"),
]


@pytest.mark.parametrize("path", PATHS)
def test_no_spelling_of_an_address_goes_round_the_question(yard: Yard, path: str) -> None:
    to(Status.EDITING)
    for cookie in ("", None):
        answer = yard.visitor(cookie).ask(path)
        assert not yard.passed(answer)
        assert answer.status != 200 or "<h1" in answer.body, "at most a page of the portal"


# Use keeps a session alive, and polls do not


def seen_at() -> object:
    with db.reading():
        rows = db.connection.exec_driver_sql("SELECT max(seen_at) FROM sessions").fetchall()
    return rows[0][0]


def test_only_use_keeps_a_session_alive(yard: Yard) -> None:
    with db.writing():
        db.connection.exec_driver_sql(
            "UPDATE sessions SET seen_at = datetime(seen_at, '-5 minutes') || '.000000'"
        )
        db.commit()
    before = seen_at()
    for headers in ((), (("Sec-Fetch-Mode", "cors"),)):
        assert yard.passed(yard.visitor().ask("/work/orders", *headers))
    assert seen_at() == before
    assert yard.passed(yard.visitor().ask(method="POST", body=b"x"))
    assert seen_at() != before, "the proxy says which method it was"


# Whatever goes wrong


def path_of_database() -> Path:
    return Path(db.url.removeprefix("sqlite:///"))


def test_a_database_that_hangs_closes_in_time(yard: Yard) -> None:
    assert yard.passed(yard.visitor().ask())
    yard.heard.clear()
    db.dispose()
    with hung(path_of_database()) as is_held:
        assert is_held
        for answer in at_once(4, yard.visitor().ask):
            assert not yard.passed(answer)
            assert answer.seconds < PROMISED + SLOW_MACHINE
    time.sleep(0.2)
    deadline = time.monotonic() + 12  # of SQLite's own ten seconds
    while not yard.passed(yard.visitor().ask()):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_database_that_is_locked_from_the_start_closes(yard: Yard) -> None:
    yard.portal.stop()
    db.dispose()
    with locked(path_of_database()) as is_held:
        assert is_held
        yard.portal.start()
        answer = yard.visitor().ask()
        assert not yard.passed(answer)
        assert answer.seconds < PROMISED + SLOW_MACHINE
    assert yard.passed(yard.visitor().ask())


def test_a_database_that_is_away_closes(yard: Yard) -> None:
    path = path_of_database()
    assert yard.passed(yard.visitor().ask())
    yard.heard.clear()
    away = path.with_name("away.db")
    path.rename(away)
    answer = yard.visitor().ask()
    assert not yard.passed(answer)
    assert answer.seconds < PROMISED + SLOW_MACHINE
    path.unlink(missing_ok=True)
    away.rename(path)
    assert yard.passed(yard.visitor().ask())


def test_pages_that_wait_hold_nobody_up(yard: Yard) -> None:
    """Both threads of the web server wait for another process to finish writing."""
    other = pysqlite3.connect(path_of_database())
    other.execute("BEGIN IMMEDIATE")
    visitor = yard.visitor()
    threads = [
        threading.Thread(
            target=visitor.ask, args=("/operations/remind",), kwargs={"method": "POST"}
        )
        for _ in range(4)
    ]
    for each in threads:
        each.start()
    time.sleep(0.3)
    try:
        answer = yard.visitor().ask()
        assert yard.passed(answer)
        assert answer.seconds < PROMISED + SLOW_MACHINE
    finally:
        other.rollback()
        other.close()
    for each in threads:
        each.join()


def test_a_portal_that_is_gone_closes(yard: Yard) -> None:
    yard.portal.stop(signal.SIGKILL)
    for cookie in (None, ""):
        answer = yard.visitor(cookie).ask()
        assert not yard.passed(answer)
        assert answer.status == (500 if yard.name == "traefik" else 503)
        assert answer.seconds < PROMISED + SLOW_MACHINE
        if yard.name != "traefik":
            assert "операционная часть закрыта" in answer.body
    yard.portal.start()
    assert yard.passed(yard.visitor().ask())


def test_a_portal_that_hangs_closes(yard: Yard) -> None:
    if yard.name == "traefik":
        pytest.skip("it waits for 30 seconds, as its file says")
    yard.portal.stop(signal.SIGSTOP)
    try:
        answer = yard.visitor().ask()
        assert not yard.passed(answer)
        assert answer.status == 503
        assert answer.seconds < A_PROXY_WAITS + A_LITTLE
    finally:
        yard.portal.stop(signal.SIGCONT)
    assert yard.passed(yard.visitor().ask())


def test_any_other_answer_closes(yard: Yard) -> None:
    yard.portal.stop()
    for status in (302, 400, 404, 405, 429, 500, 503):
        with impostor(yard.ports.portal, status):
            answer = yard.visitor().ask()
            assert not yard.passed(answer), status
            assert answer.status >= 300


class impostor:  # noqa: N801 - it reads as a verb
    """Something else where the portal should be."""

    def __init__(self, port: int, status: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("X-Portal-Role", "manager")
                self.send_header("Location", "/work/")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer((PROXY, port), Handler)

    def __enter__(self) -> None:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


# What the files say


def test_the_files_agree() -> None:
    """Traefik's among them, which run nowhere here: the same headers, addresses and name."""
    samples = {
        name: (proxies.DEPLOY / name).read_text()
        for name in ("nginx.conf", "Caddyfile", "traefik/dynamic.yml")
    }
    for name, text in samples.items():
        for words in (*HEADERS, "127.0.0.1:8000", "127.0.0.1:9000", "/access", NAME):
            assert words in text, f"{name} has no {words}"
        for setting in re.findall(r"PORTAL_[A-Z_]+", text):
            assert hasattr(config.settings, setting.removeprefix("PORTAL_").lower()), setting
    traefik = samples["traefik/dynamic.yml"]
    for name in HEADERS:
        assert f"          - {name}\n" in traefik
        spellings = {name, name[:8] + "_" + name[9:], "X_" + name[2:]}
        spellings.add("X_Portal_" + name[9:])
        for each in spellings:
            assert f'          {each}: ""\n' in traefik
    assert "trustForwardHeader: false" in traefik
    defined = set(re.findall(r"^    ([a-z-]+):$", traefik, re.MULTILINE))
    for used in re.findall(r"middlewares: \[([^\]]+)\]", traefik):
        assert set(used.split(", ")) <= defined


def test_the_headers_are_those_of_the_code() -> None:
    code = (Path(proxies.ROOT) / "portal/routes/forward_auth.py").read_text()
    assert set(re.findall(r'"(X-Portal-\w+)"', code)) == set(HEADERS)


# What a proxy says itself


def check_own_headers(answer: Answer) -> None:
    assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_proxys_own_answer_has_the_headers_of_the_portals(yard: Yard) -> None:
    if yard.name == "traefik":
        pytest.skip("its file adds none")
    check_own_headers(yard.visitor("").ask("/signin"))
    yard.portal.stop(signal.SIGKILL)
    for path in ("/signin", "/work/orders"):
        gone = yard.visitor().ask(path)
        assert gone.status >= 500
        check_own_headers(gone)
    yard.portal.start()
    work = yard.visitor().ask()
    assert yard.passed(work)
    assert "strict-transport-security" in work.headers
    assert "content-security-policy" not in work.headers, "the operational part has its own"


def test_browsers_are_led_to_https_and_programs_refused(yard: Yard) -> None:
    for path, expected in (("/signin", 308), ("/access", 403), ("/health/ready", 403)):
        if yard.name != "nginx" and expected == 403:
            continue  # only its file tells them apart
        connection = http.client.HTTPConnection(proxies.PROXY, yard.ports.http, timeout=5)
        connection.request("GET", path, headers={"Host": NAME})
        answer = connection.getresponse()
        assert answer.status == expected
        connection.close()


def test_tls_older_than_1_2_is_not_spoken(yard: Yard) -> None:
    context = ssl.create_default_context(cafile=str(yard.folder / "fullchain.pem"))
    for version, speaks in (("TLSv1_3", True), ("TLSv1_2", True), ("TLSv1_1", False)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
        assert does_speak(context, yard.ports.https) is speaks, version


def test_old_ciphers_are_not_spoken(yard: Yard) -> None:
    if yard.name != "nginx":
        pytest.skip("its list is its own")
    context = ssl.create_default_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    for ciphers, speaks in (("ECDHE+AESGCM", True), ("AESGCM:!kECDHE", False), ("SHA1", False)):
        context.set_ciphers(ciphers)
        assert does_speak(context, yard.ports.https) is speaks, ciphers


def does_speak(context: ssl.SSLContext, port: int) -> bool:
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((proxies.PROXY, port), timeout=5) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=NAME):
                return True
        except (ssl.SSLError, ConnectionError):
            return False
