"""What a journey costs: CPU of the web server and the delivery worker, against bare pages.

A bare page is a table of 20 rows through the portal's layout, a route of the same application
without database, session or form; what plain Flask takes for it stands beside (tests/bare.py).
A journey is what a person with scripts does: the letter's link, the page, the code, the second
link, completion; every row, event, letter and SMS is real, over SMTP and HTTP to sinks in this
process, whose CPU does not count. All servers run the same way: granian, one worker, two threads;
journeys and bare pages take turns, so that all meet the same machine.
"""

from __future__ import annotations

import email
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from base64 import urlsafe_b64encode
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from aiosmtpd.controller import Controller
from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Iterator

JOURNEYS = 300
WARM_UP = 40
AT_ONCE = 6
ROUNDS = 3
PORT, BARE_PORT, PLAIN_PORT = 8471, 8472, 8475
TICKS = os.sysconf("SC_CLK_TCK")

arrived: dict[str, Queue[str]] = defaultdict(Queue)
"""What reached each address and number, as text."""


class MailSink:
    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        letter = email.message_from_bytes(envelope.content)
        text = next(part for part in letter.walk() if part.get_content_type() == "text/plain")
        payload = text.get_payload(decode=True)
        assert isinstance(payload, bytes)
        arrived[envelope.rcpt_tos[0]].put(payload.decode())
        return "250 OK"


class SmsSink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        arrived[body["to"]].put(body["text"])
        answer = json.dumps({"id": body["id"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Client:
    """A browser's requests on one connection: cookies, forms, htmx."""

    def __init__(self, port: int) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=30)
        self.cookies: dict[str, str] = {}
        self.path = ""
        self.text = ""

    def get(self, path: str, *, compressed: bool = False) -> bytes:
        headers = {"Accept-Encoding": "br, gzip"} if compressed else {}
        return self._ask("GET", path, None, headers)

    def post(self, path: str, *, part: str = "", **fields: str) -> None:
        """Send the form of the page that is shown; with `part`, as scripts do that change it."""
        token = re.search(r'name="csrf_token" value="([^"]+)"', self.text)
        assert token, self.text[:2000]
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if part:
            headers |= {"HX-Request": "true", "HX-Target": f"div#{part}"}
        self._ask("POST", path, urlencode({"csrf_token": token[1]} | fields), headers)

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> bytes:
        if self.cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        content = answer.read()
        for name, value in answer.getheaders():
            if name.lower() == "set-cookie":
                cookie, _, rest = value.partition("=")
                self.cookies[cookie] = rest.partition(";")[0]
        assert answer.status < 400, (answer.status, path, content[:500])
        self.path = path
        location = answer.getheader("Location")
        if location:
            return self._ask("GET", location, None, {})
        self.text = content.decode() if not headers.get("Accept-Encoding") else ""
        return content


def journey(number: int, port: int = PORT) -> None:
    person, phone = f"person{number}@bench.example", f"+7921{number:07}"
    client = Client(port)
    client.get(path_in(arrived[person].get(timeout=60)))
    here = client.path
    client.post(f"{here}/phone", part="confirmation")
    client.post(f"{here}/code", part="confirmation", code=arrived[phone].get(timeout=60)[:6])
    assert "подтверждён" in client.text
    client.post(f"{here}/email", part="confirmation")
    client.get(path_in(arrived[person].get(timeout=60)))
    client.post(client.path, part="link")
    assert "администратору отправлено письмо" in client.text
    arrived[f"admin{number}@bench.example"].get(timeout=60)
    client.connection.close()


def seven_pages(port: int) -> None:
    client = Client(port)
    for _ in range(7):
        client.get("/bare")


def path_in(letter: str) -> str:
    found = re.search(rf"http://127\.0\.0\.1:{PORT}(/\S+)", letter)
    assert found
    return found[1]


def cpu_seconds(*roots: int) -> float:
    """CPU that processes and their descendants used so far, user and system."""
    parents = {}
    used = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(entry.parent.name)
        parents[pid] = int(fields[1])
        used[pid] = sum(int(each) for each in fields[11:15]) / TICKS
    tree = set(roots)
    while True:
        more = {pid for pid, parent in parents.items() if parent in tree} - tree
        if not more:
            return sum(used.get(pid, 0) for pid in tree)
        tree |= more


def turn(number: int) -> None:
    """A journey and the pages it is compared with, so that all meet the same machine."""
    journey(number)
    seven_pages(BARE_PORT)
    seven_pages(PLAIN_PORT)


def measure(numbers: range, words: str, *pids: int) -> list[float]:
    """Take the turns; CPU milliseconds of each process tree for one turn."""
    before = [cpu_seconds(pid) for pid in pids]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = pool.map(turn, numbers)
        list(tqdm(done, desc=words, total=len(numbers), disable=None, leave=False))
    after = [cpu_seconds(pid) for pid in pids]
    return [(b - a) * 1000 / len(numbers) for a, b in zip(before, after, strict=True)]


@contextmanager
def started(*command: str, environment: dict[str, str]) -> Iterator[int]:
    process = subprocess.Popen([sys.executable, *command], env=os.environ | environment)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def wait_for(port: int, path: str) -> None:
    for _ in range(400):
        connection = HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.1)
    raise TimeoutError(path)


def organisations(file: Path, count: int) -> None:
    """A CSV of organisations, each with a person of its own."""
    header = (
        "id,name,short_name,inn,kpp,ogrn,legal_address,administrator_email,responsible_last_name,"
        "responsible_first_name,responsible_patronymic,responsible_position,responsible_phone,"
        "responsible_email"
    )
    lines = [
        f"BENCH-{number},Общество с ограниченной ответственностью «Северный тракт»,"
        "ООО «Северный тракт»,2901999014,290101001,1022900999109,"
        '"163000, Архангельская обл., г. Архангельск, ул. Поморская, д. 12",'
        f"admin{number}@bench.example,Ломова,Ирина,Васильевна,Главный механик,"
        f"+7921{number:07},person{number}@bench.example"
        for number in range(count)
    ]
    file.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


def first_load(link: str) -> tuple[float, int]:
    """Kilobytes on the wire and requests until the page can be used; fonts come later."""
    client = Client(PORT)
    client.get(link)
    size = len(client.get(client.path, compressed=True))
    page = Client(PORT)
    page.cookies = client.cookies
    page.get(client.path)
    needed = re.findall(r'<(?:link rel="stylesheet" href|script src)="([^"]+)"', page.text)
    size += sum(len(client.get(each, compressed=True)) for each in needed)
    return size / 1000, 1 + len(needed)


def main() -> None:
    place = Path(tempfile.mkdtemp())
    mail = Controller(MailSink(), hostname="127.0.0.1", port=8473)
    mail.start()
    sms = ThreadingHTTPServer(("127.0.0.1", 8474), SmsSink)
    threading.Thread(target=sms.serve_forever, daemon=True).start()
    key = urlsafe_b64encode(os.urandom(32)).decode()
    environment = {
        "PORTAL_SECRET_KEY": key,
        "PORTAL_DATA_KEYS": key,
        "PORTAL_BASE_URL": f"http://127.0.0.1:{PORT}",
        "PORTAL_SECURE_NETWORKS": "127.0.0.0/8",
        "PORTAL_FLOOD_PER_MINUTE": "1000000",
        "PORTAL_FLOOD_FORMS_PER_MINUTE": "1000000",
        "PORTAL_MAIL_URL": "smtp://127.0.0.1:8473",
        "PORTAL_SMS_URL": "http://127.0.0.1:8474/",
        "PORTAL_DATABASE_URL": f"sqlite:///{place}/portal.db",
    }
    count = WARM_UP + ROUNDS * JOURNEYS + 1
    organisations(place / "bench.csv", count)
    for command in (
        ["database", "upgrade"],
        ["organisations", "import", str(place / "bench.csv")],
        ["confirmations", "request", "--all-unconfirmed"],
    ):
        subprocess.run(
            [sys.executable, "-m", "portal", *command],
            env=os.environ | environment,
            check=True,
            capture_output=True,
        )
    serve = ["-m", "portal", "serve", "--port", str(PORT)]
    try:
        with (
            started(*serve, environment=environment) as web,
            started("-m", "portal", "deliver", environment=environment) as delivery,
            started(*_bare("portals", BARE_PORT), environment=environment) as bare,
            started(*_bare("plain", PLAIN_PORT), environment={}) as plain,
        ):
            wait_for(PORT, "/health/ready")
            wait_for(BARE_PORT, "/bare")
            wait_for(PLAIN_PORT, "/bare")
            while len(arrived) < count:  # the letters of the request are not part of a journey
                time.sleep(0.2)
            _report(web, delivery, bare, plain, count)
    finally:
        mail.stop()
        sms.shutdown()
        shutil.rmtree(place)


def _bare(what: str, port: int) -> list[str]:
    command = ["-m", "granian", f"tests.bare:{what}", "--factory", "--interface", "rsgi"]
    command += ["--port", str(port), "--http", "1", "--no-ws"]
    return [*command, "--log-level", "warning"]


def _report(web: int, delivery: int, bare: int, plain: int, count: int) -> None:
    size, requests = first_load(path_in(arrived[f"person{count - 1}@bench.example"].get()))
    measure(range(WARM_UP), "warming up", web)
    ratios = []
    print("CPU in ms      journey   of it web  delivery   7 bare pages  ratio   7 of plain Flask")
    for number in range(ROUNDS):
        begin = WARM_UP + number * JOURNEYS
        numbers = range(begin, begin + JOURNEYS)
        of_web, of_delivery, pages, flask = measure(numbers, "journeys", web, delivery, bare, plain)
        whole = of_web + of_delivery
        ratios.append(whole / pages)
        print(
            f"round {number + 1:<7}{whole:>9.2f}{of_web:>12.2f}{of_delivery:>10.2f}"
            f"{pages:>15.2f}{ratios[-1]:>7.2f}{flask:>19.2f}"
        )
    print(f"journey / seven bare pages: {sorted(ratios)[len(ratios) // 2]:.2f}")
    print(f"first load: {size:.1f} kB in {requests} requests")


if __name__ == "__main__":
    main()
