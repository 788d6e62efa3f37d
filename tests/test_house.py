"""The rules of the house that a machine can keep."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from portal import config, create_app, journal
from portal.database import db, metadata
from portal.pages import HEADERS
from tests.browser import Browser, check_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask
    from werkzeug.routing import Rule

    from tests.conftest import Post

PORTAL = Path(__file__).parents[1] / "portal"
TEMPLATES = PORTAL / "templates"
FILES = sorted(PORTAL.rglob("*.py"))

# A module may import those on the floors above it, never those beside or below.
FLOORS = [
    {"weakening", "redis_counts"},
    {"readers"},
    {"clock", "config", "logs", "version"},
    {"keys", "language", "metrics", "statements", "telemetry"},
    {"database"},
    {"journal", "proofs", "limits", "networks", "gateways", "checks", "agents", "workdays"},
    {"outbox", "exporting", "flood"},
    {"organisation"},
    {"account"},
    {"device", "diagnostics"},
    {"confirmation", "recovery"},
    {"verification", "campaign", "history"},
    {"block", "deliveries", "editing", "keeping", "restoring"},
    {"reminders"},
    {"cookie"},
    {"forms", "importing", "sample_people", "schema", "migrations", "written"},
    {"importing_facts", "sample_organisations"},
    {"again", "templating"},
    {"pages"},
    {"access", "watching"},
    {"routes"},
    {"__init__", "embedded", "door"},
    {"cli"},
    {"__main__"},
]


def path_of(file: Path) -> str:
    return file.relative_to(PORTAL).as_posix()


WITHOUT_A_BROWSER = set.union(*FLOORS[: FLOORS.index({"reminders"}) + 1])
COMMITTERS = {
    *(
        "access.py",
        "campaign/forgetting.py",
        "campaign/turns.py",
        "embedded.py",
        "sample_organisations.py",
        "sample_people.py",
        "importing.py",
        "importing_facts.py",
        "outbox/delivering.py",
        "outbox/failures.py",
        "outbox/receipts.py",
        "reminders.py",
        "gateways/inbox.py",
    ),
    *(path for path in map(path_of, FILES) if path.startswith(("cli/", "routes/"))),
}


def module_of(file: Path) -> str:
    return path_of(file).partition("/")[0].removesuffix(".py")


def floor_of(module: str) -> int:
    found = [floor for floor, modules in enumerate(FLOORS) if module in modules]
    assert found, f"{module} has no floor yet: give it one in test_house.py"
    return found[0]


def imported(file: Path) -> set[str]:
    """Our own modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "portal":
            # What is no module of ours is a name out of `__init__`.
            names |= {f"portal.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
            assert not node.level, f"{path_of(file)} imports by dots"
    inside = {name.split(".")[1] for name in names if name.startswith("portal.")}
    known = {module_of(each) for each in FILES}
    return {name if name in known else "__init__" for name in inside}


@pytest.mark.parametrize("file", FILES, ids=path_of)
def test_imports_only_go_up(file: Path) -> None:
    own = module_of(file)
    for name in imported(file) - {own}:
        assert floor_of(name) < floor_of(own), f"{path_of(file)} imports {name}"


def test_a_floor_has_no_module_that_is_gone() -> None:
    assert set.union(*FLOORS) <= {module_of(file) for file in FILES}


@pytest.mark.parametrize(
    "file", [file for file in FILES if module_of(file) in WITHOUT_A_BROWSER], ids=path_of
)
def test_no_noun_knows_of_a_request(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("flask"):
            assert not {"request", "session", "g"} & {alias.name for alias in node.names}


@pytest.mark.parametrize("file", FILES, ids=path_of)
def test_only_routes_commands_and_the_worker_commit(file: Path) -> None:
    commits = [
        node
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "commit"
    ]
    allowed = (
        path_of(file) in COMMITTERS or path_of(file) == "database/database.py"
    )  # where it is made
    assert not commits or allowed


def test_only_settings_read_the_environment() -> None:
    """`embedded` gives settings their values for this machine; commands hand them over.

    `metrics` hands a folder over to prometheus-client, which asks the environment for it, and
    systemd says to `listening` whose socket it has opened.
    """
    readers = {path_of(file) for file in FILES if "os.environ" in file.read_text()}
    assert readers <= {
        *("__init__.py", "cli/listening.py", "cli/servers.py", "embedded.py", "metrics.py"),
    }
    assert not any("getenv" in file.read_text() for file in FILES)


def test_only_the_clock_tells_the_time() -> None:
    for file in FILES:
        if module_of(file) != "clock":
            assert not re.search(r"\b(datetime\.now|utcnow|time\.time)\(", file.read_text()), file


@pytest.mark.parametrize(
    "part",
    [each for each in sorted(TEMPLATES.glob("*/_*.html")) if each.parent.name != "letters"],
    ids=lambda part: str(part.relative_to(TEMPLATES)),
)
def test_a_part_is_named_after_the_element_it_is(part: Path) -> None:
    text = re.sub(r"\{% macro.*?endmacro %\}", "", part.read_text(), flags=re.DOTALL)
    text = re.sub(r"\{[#%].*?[#%]\}", "", text, flags=re.DOTALL)
    root = re.search(r"<\w+[^>]*>", text)
    assert root
    assert f'id="{part.stem[1:]}"' in root[0]


def test_a_part_that_can_be_served_alone_is_included_by_its_page() -> None:
    included = {
        name
        for each in TEMPLATES.rglob("*.html")
        for name in re.findall(r'\{% include "([^"]+)"', each.read_text())
    }
    for file in (PORTAL / "routes").rglob("*.py"):
        for part in re.findall(r'"(\w+/_\w+\.html)"', file.read_text()):
            assert part in included, f"{part} of {file.name}"


def posted() -> Iterator[tuple[str, str]]:
    """Channel and letter of each message that the code posts.

    A letter is named where it is written: `write("letter", …)` or `write(owner, "letter", …)`; an
    SMS about a recovery, too: `write_sms(case, "text", …)`.
    """
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            named = [str(each.value) for each in node.args[:2] if isinstance(each, ast.Constant)]
            if called in {"write", "account.write"}:
                assert len(named) == 1, f"{path_of(file)} writes a letter without its name"
                yield "email", named[0]
            if called == "write_sms":
                yield "sms", named[0]
            if called == "outbox.post" and len(named) == 2:  # else it passes a name on
                yield named[0], named[1]


def test_every_letter_that_is_posted_exists() -> None:
    letters = set(posted())
    assert {channel for channel, _ in letters} == {"email", "sms"}
    files = {
        f"letters/{letter}{end}" if channel == "email" else f"sms/{letter}.txt"
        for channel, letter in letters
        for end in (".txt", ".html")
    }
    there = {
        str(each.relative_to(TEMPLATES))
        for folder in ("letters", "sms")
        for each in (TEMPLATES / folder).iterdir()
        if not each.name.startswith("_")
    }
    assert files == there, "and no letter is there that nobody posts"


# What every route keeps


@pytest.fixture
def opened(browser: Browser, post: Post, asked: str) -> dict[str, Any]:
    """Both links opened in one browser: the values that addresses of routes are made of."""
    token = post.link().rpartition("/")[2]
    browser.open(post.link())
    browser.press("Подтвердить номер телефона").open(f"/confirmation/{asked}")
    browser.press("Подтвердить email")
    link = post.link()
    browser.open(link)
    return {
        "token": token,
        "id": asked,
        "link_id": browser.path.rpartition("/")[2],
        "code": "en",
        "filename": "portal.css",
        "audience": "responsible",
    }


def rules(app: Flask) -> list[Rule]:
    found = list(app.url_map.iter_rules())
    assert len(found) > 10
    return found


def address(app: Flask, rule: Rule, values: dict[str, Any]) -> str:
    needed = {name: values[name] for name in rule.arguments}
    if rule.endpoint.startswith("inbox."):
        needed |= dict.fromkeys(rule.arguments, 1)
    return app.url_map.bind("127.0.0.1").build(rule.endpoint, needed)


def rows() -> dict[str, list[tuple[Any, ...]]]:
    """All that is in the database."""
    with db.reading():
        return {
            table.name: [tuple(row) for row in db.all(select(table))]
            for table in metadata.sorted_tables
        }


def posts(app: Flask) -> list[Rule]:
    changing = [
        rule for rule in rules(app) if {"POST", "PUT", "PATCH", "DELETE"} & (rule.methods or set())
    ]
    assert len(changing) >= 6
    return changing


# Forms of accounts, sent by who is not signed in: before their token counts, one is asked to sign
# in, or told that the link in a letter was not followed.
NOT_SIGNED_IN = {
    "campaigns": 401,
    "check": 401,
    "deliveries": 401,
    "devices": 401,
    "edit": 401,
    "corrections": 401,
    "organisations": 401,
    "operations": 401,
    "own_password": 401,
    "people": 401,
    "support": 401,
    "verifications": 401,
}
NO_PASSWORD = {
    *("account.enter_code", "account.enter_backup_code", "account.invite_again"),
    *("account.enter_passkey", "account.passkey_options"),
    *("recovery.open_case", "recovery.enter_code"),
}
NO_LINK = {"account.accept_invitation", "account.choose_password"}
REFUSED = NOT_SIGNED_IN | dict.fromkeys(NO_PASSWORD, 303) | dict.fromkeys(NO_LINK, 410)


def refused(rule: Rule) -> int:
    """How a form without a good token is answered to who opened the links of a confirmation."""
    return REFUSED.get(rule.endpoint, REFUSED.get(rule.endpoint.partition(".")[0], 422))


def check_refused(rule: Rule, answer: Any, *, htmx: bool = False) -> None:
    expected = refused(rule)
    if htmx and expected == 401:
        assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/signin?ended="), rule
    else:
        assert answer.status_code == expected, rule
    if expected == 303:
        assert answer.location.partition("?")[0] in {"/signin", "/recovery"}, rule


FORMS: list[dict[str, str]] = [
    {},
    {"csrf_token": ""},
    {"csrf_token": "ImZvcmdlZCI.ZZZZZZ.forged"},
]


@pytest.mark.sqlite  # each is refused before it comes to a row
@pytest.mark.parametrize("form", FORMS, ids=["missing", "empty", "forged"])
def test_no_form_without_its_token_changes_anything(
    app: Flask, browser: Browser, opened: dict[str, Any], form: dict[str, str]
) -> None:
    answers = {"code": "123456", "comment": "Всё неверно.", "new_position": "Директор"}
    before = rows()
    assert before["codes"]
    assert before["email_links"]
    for rule in posts(app):
        url = address(app, rule, opened)
        for headers in ({}, {"HX-Request": "true", "HX-Target": "div#confirmation"}):
            answer = browser.client.post(url, data=form | answers, headers=headers)
            check_refused(rule, answer, htmx=bool(headers))
            assert rows() == before, url


def test_no_form_with_the_token_of_another_session_changes_anything(
    app: Flask, environment: dict[str, str], browser: Browser, opened: dict[str, Any]
) -> None:
    # An application of its own, for in the fixture's one all requests share one `g`, and with it
    # the token that Flask-WTF keeps there.
    other = Browser(create_app(config.load(environment)).test_client()).open(
        f"/confirm/{opened['token']}"
    )
    token = other.page.form_of("Подтвердить номер телефона").fields["csrf_token"]
    before = rows()
    for rule in posts(app):
        answer = browser.client.post(address(app, rule, opened), data={"csrf_token": token})
        check_refused(rule, answer)
    assert rows() == before


# For a computer that is let in nowhere else, and for who stops a recovery from wherever they are:
# refused for the missing token alone.
FOR_STRANGERS = {"diagnostics.begin", "diagnostics.measure", "recovery.confirm_cancel"}


def test_a_stranger_is_refused_by_every_form(
    app: Flask, new_browser: Callable[..., Browser], opened: dict[str, Any]
) -> None:
    """Who opened no link is sent to the letter; who is outside, into the channel."""
    before = rows()
    for where, status in (("10.20.4.99", 410), ("203.0.113.9", 403)):
        client = new_browser(where).client
        client.environ_base["REMOTE_ADDR"] = where
        for rule in posts(app):
            answer = client.post(address(app, rule, opened), data={"code": "123456"})
            expected = status
            if rule.endpoint in FOR_STRANGERS:
                expected = 422
            elif status == 410 and not rule.endpoint.startswith("confirm."):
                expected = refused(rule)
            assert answer.status_code == expected, rule
    assert rows() == before


def test_looking_changes_nothing(app: Flask, browser: Browser, opened: dict[str, Any]) -> None:
    before = rows()
    for rule in rules(app):
        url = address(app, rule, opened)
        for method in ("GET", "HEAD", "OPTIONS"):
            answer = browser.client.open(url, method=method, buffered=True)
            assert answer.status_code < 500, url
    assert rows() == before


def check_all_headers(answer: Any) -> None:
    for name, value in HEADERS.items():
        assert answer.headers.getlist(name) == [value], name


def test_every_route_answers_with_the_security_headers(
    app: Flask, browser: Browser, opened: dict[str, Any]
) -> None:
    for rule in rules(app):
        for method in ("GET", "HEAD", "OPTIONS", "POST", "PUT", "TRACE"):
            url = address(app, rule, opened)
            answer = browser.client.open(url, method=method, buffered=True)
            check_all_headers(answer)
            if rule.endpoint != "static" or answer.status_code != 200:
                check_headers(answer)
            is_for_proxies = rule.endpoint == "forward_auth.ask"
            if 400 <= answer.status_code < 500 and method == "GET" and not is_for_proxies:
                assert "<h1" in answer.text


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/static/nothing", 404),
        ("GET", "/static/../config.py", 404),
        ("GET", "/inbox/99", 404),
        ("GET", "/confirm/%00%ff", 410),
        ("GET", "/confirmation/" + "a" * 5000, 410),
        ("GET", "/language/xx", 404),
        ("PUT", "/", 405),
        ("POST", "/health/live", 405),
    ],
)
def test_every_refusal_is_a_page_with_the_security_headers(
    browser: Browser, method: str, url: str, status: int
) -> None:
    browser.client.environ_base["REMOTE_ADDR"] = browser.address
    answer = browser.client.open(url, method=method)
    assert answer.status_code == status
    check_all_headers(answer)
    check_headers(answer)
    assert "<h1" in answer.text


def test_an_error_of_the_portal_has_the_security_headers_and_no_details(
    app: Flask, browser: Browser, opened: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("S3CRET")

    app.testing = False
    monkeypatch.setattr("portal.routes.confirm.confirmation.find", fail)
    answer = browser.client.get(f"/confirmation/{opened['id']}")
    assert answer.status_code == 500
    check_all_headers(answer)
    check_headers(answer)
    assert "S3CRET" not in answer.text


def test_a_body_that_is_too_large_is_refused_before_it_is_read(
    app: Flask, browser: Browser, opened: dict[str, Any]
) -> None:
    for rule in posts(app):
        url = address(app, rule, opened)
        large = browser.client.post(url, data={"code": "1" * 70_000})
        many = browser.client.post(url, data={f"field{number}": "" for number in range(2000)})
        assert (large.status_code, many.status_code) == (413, 413), url
        check_headers(large)
        check_headers(many)


@pytest.mark.parametrize("file", ["portal.css", "staff.css", "portal.js", "staff.js"])
def test_what_tests_call_a_thing_is_theirs_to_change(file: str) -> None:
    assert "data-testid" not in (PORTAL / "static" / file).read_text()


def test_over_https_every_answer_says_so(environment: dict[str, str], app: Flask) -> None:
    app = create_app(
        config.load(
            environment
            | {
                "PORTAL_BASE_URL": "HTTPS://portal.example.ru",
                "PORTAL_MAIL_URL": "smtps://mail.example.ru",
                "PORTAL_SMS_URL": "https://sms.example.ru",
            }
        )
    )
    client = app.test_client()
    for url in ("/", "/nothing", "/static/portal.css", "/health/live"):
        answer = client.get(url, buffered=True)
        assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]
    cookie = client.get("/language/en").headers["Set-Cookie"]
    assert "Secure" in cookie
    assert client.get("/inbox").status_code == 404, "there is no such page in production"


def test_the_journal_of_a_journey_is_whole(opened: dict[str, Any]) -> None:
    with db.reading():
        assert journal.first_broken_line() is None
