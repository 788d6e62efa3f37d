"""What `GET /metrics` tells: counts that add up, and nothing of anybody."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time as wall
import urllib.request
from collections import defaultdict
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from portal import campaign, config, metrics, outbox, recovery
from portal.account import Role
from portal.database import db
from portal.gateways import Reason, Trouble
from tests.browser import Browser
from tests.conftest import ADMINISTRATOR, LOMOVA
from tests.faults.databases import small_disk
from tests.people import PASSWORD, act, enrol, next_code
from tests.ports import free_port
from tests.servers import MailServer
from tests.test_campaign import running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flask import Flask

    from portal.gateways import Outgoing
    from tests.conftest import Post, Time

    NewBrowser = Callable[..., Browser]

SLOW_MACHINE = 90  # seconds, for several processes to start

Values = defaultdict[tuple[str, ...], float]


def read(said: str) -> Values:
    """Values by the name and the labels' values, in the order of the labels' names."""
    found: Values = defaultdict(float)
    for family in text_string_to_metric_families(said):
        for sample in family.samples:
            labels = [value for _name, value in sorted(sample.labels.items())]
            found[(sample.name.removeprefix("portal_"), *labels)] = sample.value
    return found


class Meter:
    """What has been counted since it was made; the tests before counted, too."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._before = self.now()

    def now(self) -> Values:
        answer = self._browser.ask("get", "/metrics")
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        return read(answer.text)

    def __call__(self, *name: str) -> float:
        return self.now()[name] - self._before[name]


@pytest.fixture
def meter(new_browser: NewBrowser) -> Meter:
    return Meter(new_browser())


# Who may ask


@pytest.mark.parametrize("address", ["203.0.113.9", "127.0.0.1", "::1", "", "?"])
def test_it_is_told_to_the_networks_of_staff_alone(new_browser: NewBrowser, address: str) -> None:
    answer = new_browser(address).ask("get", "/metrics")
    assert answer.status_code == 403
    assert "portal_" not in answer.text


class TestStaffNetworks:
    @pytest.fixture
    def environment(self, environment: dict[str, str]) -> dict[str, str]:
        return environment | {"PORTAL_STAFF_NETWORKS": "10.30.0.0/16"}

    def test_the_channel_of_responsible_persons_is_none(self, new_browser: NewBrowser) -> None:
        assert new_browser("10.20.4.17").ask("get", "/metrics").status_code == 403
        assert new_browser("10.30.0.5").ask("get", "/metrics").status_code == 200


# What is counted


def test_requests_are_counted_by_endpoint_and_not_by_address(
    new_browser: NewBrowser, meter: Meter, asked: str
) -> None:
    browser = new_browser()
    for number in range(20):
        browser.ask("get", f"/confirm/{number}")
        browser.ask("get", f"/{number}")
        browser.client.open("/", method=f"ODD{number}")
    assert meter("requests_total", "confirm.open_link", "read", "410") == 20
    assert meter("requests_total", "none", "read", "404") == 20
    assert meter("requests_total", "none", "write", "405") == 20
    assert meter("request_seconds_count", "confirm.open_link") == 20
    assert meter("request_seconds_count", "none") == 40
    assert asked not in str(meter.now())


def test_what_can_happen_begins_at_nought(meter: Meter) -> None:
    """Else the first failure would be a line that is new, and no rise of one."""
    names = set(meter.now())
    for channel in ("email", "sms"):
        for outcome in ("delivered", "postponed", "failed"):
            assert any(name[:3] == ("messages_total", channel, outcome) for name in names)
    for name in (
        *(("codes_total", each) for each in ("posted", "accepted", "wrong")),
        *(("database_errors_total", each) for each in ("request", "delivery", "chore")),
        ("transactions_overtaken_total",),
    ):
        assert name in names


def test_a_journey_is_counted(browser: Browser, post: Post, asked: str, meter: Meter) -> None:
    browser.open(post.link()).press("Подтвердить номер телефона")
    code = post.code()
    wrong = "000000" if code != "000000" else "111111"
    browser.press("Подтвердить", code=wrong)
    browser.press("Подтвердить", code=code)
    assert [meter("codes_total", each) for each in ("posted", "wrong", "accepted")] == [1, 1, 1]
    assert meter("messages_total", "email", "delivered", "none") == 1
    assert meter("messages_total", "sms", "delivered", "none") == 1
    assert meter("delivery_seconds_count", "sms") == 1


def test_sign_ins_are_counted_by_how_they_ended(
    keep: Callable[..., None], new_browser: NewBrowser, meter: Meter
) -> None:
    keep()
    owner = enrol("z.zimina@rechnoy.example", Role.SPECIALIST, name="Зимина Зоя Захаровна")
    browser = new_browser()
    browser.open("/signin").press("Войти", email=owner.account.email, password="не тот пароль")
    browser.press("Войти", email=owner.account.email, password=PASSWORD)
    browser.press("Войти", code=owner.wrong)
    next_code()
    browser.press("Войти", code=owner.code)
    outcomes = ("wrong_password", "password", "wrong_factor", "totp", "paused")
    assert [meter("sign_ins_total", each) for each in outcomes] == [1, 1, 1, 1, 0]
    act(recovery.open_by_owner, owner.account, "cabinet", "10.20.4.17")
    assert meter("recoveries_total", "opened") == 1


class Refusing:
    """A gateway that is not there."""

    def __init__(self, reason: Reason, *, permanent: bool = False) -> None:
        self._trouble = Trouble(reason, permanent=permanent)

    def send(self, message: Outgoing) -> str:
        raise self._trouble

    def close(self) -> None:
        """Nothing is open."""


def test_what_did_not_leave_is_counted_with_its_reason(
    asked: str, meter: Meter, time: Time
) -> None:
    outbox.deliver_due("email", Refusing(Reason.UNREACHABLE))
    assert meter("messages_total", "email", "postponed", "unreachable") == 2
    time.passes(minutes=6)
    outbox.deliver_due("email", Refusing(Reason.REFUSED, permanent=True))
    assert meter("messages_total", "email", "failed", "refused") == 1


def test_how_late_a_message_left_is_counted_from_when_it_was_due(
    asked: str, post: Post, meter: Meter, time: Time
) -> None:
    time.passes(seconds=40)
    post.deliver()
    assert meter("delivery_seconds_count", "email") == 1
    assert meter("delivery_seconds_bucket", "email", "30.0") == 0
    assert meter("delivery_seconds_bucket", "email", "60.0") == 1


def test_the_turns_of_a_list_are_counted(
    keep: Callable[..., None], meter: Meter, time: Time
) -> None:
    keep("ORG-1")
    running(enrol(ADMINISTRATOR, Role.ADMINISTRATOR, "ORG-1").account, ["ORG-1"])
    time.passes(minutes=1)
    while campaign.continue_due():
        time.passes(seconds=2)
    assert meter("campaign_turns_total", "sent") == 1


def test_what_was_undone_is_not_counted(app: Flask, meter: Meter) -> None:
    with db.writing():
        metrics.codes.note("posted")
    with db.writing():
        metrics.codes.note("posted")
        metrics.codes.note("posted")
        db.commit()
    metrics.overtaken.inc()
    assert meter("codes_total", "posted") == 2
    assert meter("transactions_overtaken_total") == 1


# What waits


def test_what_is_due_is_asked_of_the_database(
    keep: Callable[..., None], ask: Callable[..., Any], meter: Meter, time: Time, post: Post
) -> None:
    assert meter.now()["messages_due", "email"] == 0
    assert meter.now()["messages_due_seconds", "email"] == 0
    for number in (1, 2):
        keep(f"ORG-{number}")
        ask(f"ORG-{number}")
        time.passes(minutes=1)
    now = meter.now()
    assert now["messages_due", "email"] == 2, "reminders wait for their time"
    assert 120 <= now["messages_due_seconds", "email"] < 130
    assert now["messages_due", "sms"] == 0
    assert now["database_up",] == 1
    post.deliver()
    assert meter.now()["messages_due", "email"] == 0


@pytest.mark.sqlite
def test_it_takes_one_reach_of_the_index_for_each_channel(app: Flask) -> None:
    from portal.outbox.waiting import _WAITING

    sql = str(_WAITING.compile(dialect=db.connection.dialect))
    with db.reading():
        plan = db.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", (None,) * 6).fetchall()
    steps = [row[-1] for row in plan if "messages" in row[-1]]
    assert len(steps) == 2
    for step in steps:
        assert "USING COVERING INDEX ix_messages_due (channel=? AND due_at<?)" in step


@pytest.mark.sqlite
def test_without_the_database_the_counts_are_told(
    new_browser: NewBrowser, meter: Meter, tmp_path: Path
) -> None:
    db.dispose()
    for each in tmp_path.glob("portal.db*"):
        each.unlink()
    now = meter.now()
    assert now["database_up",] == 0
    assert ("messages_due", "email") not in now
    assert ("codes_total", "posted") in now


# Several processes


# A process begets others, which count so far; one tells and ends, or waits to be killed.
COUNTING = """
import os, signal, sys
from portal import metrics

def count(times, tells):
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        metrics.share(sys.argv[1])
        for _ in range(times):
            metrics.codes.inc("posted")
            metrics.delivery_seconds.observe(0.3, "sms")
            metrics.overtaken.inc()
        os.write(writing, metrics.text() if tells else b"counted")
        os._exit(0) if tells else signal.pause()
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        if tells:
            print(said.read().decode(), end="----", flush=True)
            os.waitpid(pid, 0)
        else:
            said.read(7)
            return pid

alive = count(1, tells=False)
for _ in range(3):
    pid = count(10, tells=False)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    count(100, tells=True)
os.kill(alive, signal.SIGKILL)
"""


def test_what_died_stays_counted_and_leaves_no_file(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "metrics"
    command = [sys.executable, "-c", COUNTING, str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    for told, expected in zip(map(read, ended.stdout.split("----")), (111, 221, 331), strict=False):
        assert told["codes_total", "posted"] == expected
        assert told["transactions_overtaken_total",] == expected
        assert told["delivery_seconds_bucket", "sms", "0.25"] == 0
        assert told["delivery_seconds_bucket", "sms", "0.5"] == expected
        assert told["delivery_seconds_count", "sms"] == expected
        assert told["delivery_seconds_sum", "sms"] == pytest.approx(0.3 * expected)
    files = sorted(re.sub(r"\d+-\w+", "N", file.name) for file in folder.iterdir())
    living = ["N.alive", "counter_N.db", "histogram_N.db"]  # and the one that told last
    assert files == sorted([*living, *living, "counter_past.db", "histogram_past.db", "lock"])
    assert folder.stat().st_mode & 0o777 == 0o700


NOT_SHARED = "counts not shared"
ON_A_FULL_DISK = """
import os, sys
from pathlib import Path
from portal import logs, metrics
from tests.faults.databases import fill_up

logs.configure()
folder = Path(sys.argv[1])
metrics.share(str(folder))
fill_up(folder.parent / "ballast")
for number in range(1000):
    metrics.requests.inc(f"page {number}", "read", "200")
    metrics.request_seconds.observe(0.3, f"page {number % 100}")
told = metrics.text()
assert told.count(b"portal_requests_total{") == 1000, told
assert b'portal_request_seconds_count{endpoint="page 99"} 10.0' in told
child = os.fork()
if not child:
    metrics.share(str(folder))
metrics.requests.inc("another", "read", "200")
assert (b"page 99" in metrics.text()) == bool(child), "a child has no room to share"
sys.exit(child and os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
def test_a_full_disk_kills_nobody_who_counts() -> None:
    with small_disk() as disk:
        if disk is None:
            pytest.skip("nobody lets us mount a small file system")
        command = [sys.executable, "-c", ON_A_FULL_DISK, f"{disk}/metrics"]
        run = partial(subprocess.run, command, capture_output=True, text=True, check=False)
        first, second = run(timeout=60), run(timeout=60)
    assert first.returncode == 0, first.stderr
    assert second.returncode == 0, second.stderr
    assert [json.loads(line)["event"] for line in first.stderr.splitlines()] == [NOT_SHARED]
    assert [json.loads(line)["event"] for line in second.stderr.splitlines()] == [NOT_SHARED] * 2


def test_a_folder_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(config.BadSettingError) as caught:
            metrics.share(str(path))
        assert str(caught.value).startswith("PORTAL_METRICS_FOLDER names a folder that cannot be")


@contextmanager
def started(environment: dict[str, str], said: Path, *command: str) -> Iterator[int]:
    with said.open("a") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "portal", *command], env=environment, stdout=out, stderr=out
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return str(answer.read().decode())


def wait_until(happened: Callable[[], Any]) -> None:
    deadline = wall.monotonic() + SLOW_MACHINE
    while wall.monotonic() < deadline:
        with suppress(OSError):
            if happened():
                return
        wall.sleep(0.05)
    raise AssertionError("it never happened")


def children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:  # noqa: PTH123 - a file of the kernel
        return [int(each) for each in file.read().split()]


@pytest.mark.postgresql
def test_several_servers_and_workers_add_up_and_say_nothing_of_anybody(
    tmp_path: Path, environment: dict[str, str], ask: Callable[..., Any], keep: Any
) -> None:
    """Two web processes and two workers on one machine; then one of them is killed."""
    for number in range(4):
        keep(f"ORG-{number}", email=f"person{number}@sever-trakt.example")
        ask(f"ORG-{number}")
    mail, port, said = MailServer(), free_port(), tmp_path / "said"
    mail.moods["person3@sever-trakt.example"] = "550 no such person3"
    mail.start()
    environment = (
        os.environ
        | environment
        | {
            "PORTAL_METRICS_FOLDER": f"{tmp_path}/metrics",
            "PORTAL_BASE_URL": f"http://127.0.0.1:{port}",
            "PORTAL_SECURE_NETWORKS": "127.0.0.0/8",
            "PORTAL_MAIL_URL": mail.url(),
        }
    )
    here = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        stack.callback(mail.stop)
        command = ("serve", "--port", str(port), "--workers", "2")
        web = stack.enter_context(started(environment, said, *command))
        for _each in range(2):
            stack.enter_context(started(environment, said, "deliver"))
        wait_until(lambda: get(f"{here}/health/live") == "")
        for _each in range(40):
            with suppress(urllib.error.HTTPError):
                get(f"{here}/confirm/secret-token-of-somebody")

        def told() -> Values:
            return read(get(f"{here}/metrics"))

        wait_until(lambda: told()["messages_total", "email", "failed", "refused"] == 1)
        # Three requests, and the letter that tells the administrator of the one that failed.
        wait_until(lambda: told()["messages_total", "email", "delivered", "none"] == 4)
        assert told()["requests_total", "confirm.open_link", "read", "410"] == 40
        assert told()["request_seconds_count", "confirm.open_link"] == 40
        raw = get(f"{here}/metrics")
        os.kill(children(web)[-1], signal.SIGKILL)
        wait_until(lambda: '"logger": "_granian"' in said.read_text())
    lines = [json.loads(line) for line in said.read_text().splitlines()]
    assert {line["event"] for line in lines} >= {"request refused", "message did not leave"}
    for secret in ("secret-token", "person", LOMOVA.last_name, LOMOVA.phone[2:]):
        assert secret not in raw
        assert secret not in said.read_text()
    assert re.search(r"portal_database_up 1", raw)
