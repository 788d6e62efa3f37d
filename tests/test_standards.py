"""What a standard asks of every portal, and no test of ours would else have shown.

docs/security.md says which requirement each of them belongs to.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from portal import config, create_app
from tests.browser import Browser
from tests.people import PASSWORD, enrol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from tests.conftest import Post

    NewBrowser = Callable[..., Browser]

PORTAL = Path(__file__).parents[1] / "portal"
EMAIL = "p.petrov@sever-trakt.example"
INSIDE, OUTSIDE = "10.20.4.17", "203.0.113.9"


# Over HTTPS


@pytest.fixture
def deployed(environment: dict[str, str], app: Flask) -> Flask:
    """The portal as it is in production: under https, with real gateways."""
    return create_app(
        config.load(
            environment
            | {
                "PORTAL_BASE_URL": "https://portal.example.ru",
                "PORTAL_MAIL_URL": "smtps://mail.example.ru",
                "PORTAL_SMS_URL": "https://sms.example.ru",
            }
        )
    )


def test_every_cookie_is_bound_to_the_host_and_kept_from_scripts(deployed: Flask) -> None:
    browser = Browser(deployed.test_client())
    once: dict[str, Any] = {"follow_redirects": False, "base_url": "https://portal.example.ru"}
    asked = [
        browser.ask("get", "/language/en", **once),
        browser.ask("get", "/signin", **once),
    ]
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', asked[1].text)
    page = browser.ask("get", "/diagnostics", **once)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert token
    form = {"csrf_token": token.group(1)}
    origin = {"Referer": "https://portal.example.ru/diagnostics"}
    asked += [page, browser.ask("post", "/diagnostics", data=form, headers=origin, **once)]
    lines = [line for answer in asked for line in answer.headers.getlist("Set-Cookie")]
    names = {line.partition("=")[0] for line in lines}
    assert names == {"__Host-language", "__Host-session", "__Host-diagnostics"}
    for line in lines:
        traits = {trait.strip() for trait in line.split(";")[1:]}
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= traits, line
        assert "Domain=" not in line
        assert len(line.partition(";")[0]) < 4096


def test_a_language_is_kept_over_https(deployed: Flask) -> None:
    client = deployed.test_client()
    over: dict[str, Any] = {"base_url": "https://portal.example.ru", "buffered": True}
    client.get("/language/en", **over)
    assert '<html lang="en"' in client.get("/", **over).text


def test_the_transport_is_secure_for_a_year_and_every_name_below(deployed: Flask) -> None:
    for path in ("/", "/nothing", "/static/portal.css", "/health/live"):
        answer = deployed.test_client().get(path, buffered=True)
        said = answer.headers["Strict-Transport-Security"]
        assert said == "max-age=31536000; includeSubDomains"


# What a browser and its owner get


def test_signing_out_clears_what_the_browser_kept(
    keep: Callable[..., None], browser: Browser
) -> None:
    keep()
    enrol(EMAIL).sign_in(browser)
    form = browser.page.form_of("Выйти")
    answer = browser.ask("post", form.action, data=form.fields, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["Clear-Site-Data"] == '"cache"'


def test_a_password_is_hidden_and_may_be_filled_in_by_a_program(
    keep: Callable[..., None], browser: Browser
) -> None:
    keep()
    pages = [browser.ask("get", "/signin").text]
    enrol(EMAIL).sign_in(browser)
    pages.append(browser.ask("get", "/devices/password").text)
    fields = [field for page in pages for field in re.findall(r"<input[^>]*password[^>]*>", page)]
    assert len(fields) >= 4
    for field in fields:
        if 'type="hidden"' in field:
            continue
        assert 'type="password"' in field
        assert re.search('autocomplete="(current|new)-password"', field)
    scripts = "".join(each.read_text() for each in own_scripts())
    assert "paste" not in scripts, "nobody keeps anybody from pasting"


def test_every_text_says_how_its_letters_are_written(app: Flask) -> None:
    client = app.test_client()
    files = [f"/static/{each.name}" for each in sorted((PORTAL / "static").glob("*.*"))]
    for path in ("/", "/nothing", "/health/live", "/help", *files):
        kind = client.get(path, buffered=True).headers["Content-Type"]
        is_text = kind.startswith("text/") or "xml" in kind
        assert not is_text or kind.endswith("; charset=utf-8"), (path, kind)


def test_methods_that_nobody_uses_are_refused(app: Flask) -> None:
    client = app.test_client()
    client.environ_base["REMOTE_ADDR"] = INSIDE
    for method in ("TRACE", "CONNECT", "PUT", "PATCH", "DELETE", "SPAM"):
        for path in ("/", "/signin", "/devices", "/static/portal.css"):
            answer = client.open(path, method=method, buffered=True)
            assert answer.status_code == 405, (method, path)
            assert answer.text.find("Cookie") < 0, "nothing is sent back"


def test_folders_and_sources_are_not_served(app: Flask) -> None:
    client = app.test_client()
    for path in ("/static/", "/static/help", "/static/help/", "/static/../config.py", "/portal/"):
        assert client.get(path, buffered=True).status_code == 404, path
    for path in ("/.git/config", "/.env", "/instance/run.env", "/requirements.txt", "/wsgi.py"):
        assert client.get(path, buffered=True).status_code == 404, path


def test_an_address_says_nothing_that_a_form_has_to_say(
    keep: Callable[..., None], browser: Browser
) -> None:
    """Of a field that comes twice the first counts; one in the address never does."""
    keep()
    owner = enrol(EMAIL)
    token = browser.open("/signin").page.form_of("Войти").fields["csrf_token"]
    named = {"email": EMAIL, "password": PASSWORD}
    for data, query in (
        ({"csrf_token": token}, named),
        ({"csrf_token": token, "email": ["nobody@example.ru", EMAIL], "password": PASSWORD}, {}),
        (named, {"csrf_token": token}),
    ):
        answer = browser.ask("post", "/signin", data=data, query_string=query)
        assert answer.status_code == 422
    assert owner.enter_password(browser).path == "/signin/factor"


# What is written down


def test_a_refusal_is_a_line_of_the_log_that_names_nobody(
    keep: Callable[..., None], new_browser: NewBrowser, post: Post
) -> None:
    keep()
    owner = enrol(EMAIL)
    inside, outside = new_browser(), new_browser(OUTSIDE)
    with capture_logs() as lines:
        outside.ask("get", "/signin")
        outside.ask("get", "/confirm/" + "A" * 22)
        inside.ask("get", "/confirm/" + "A" * 22)
        inside.ask("get", "/invitation/" + "A" * 22)
        inside.ask("post", "/signin", data={"email": EMAIL, "password": PASSWORD})
        inside.ask("post", "/devices/codes/new")
        inside.open("/signin").press("Войти", email=EMAIL, password="не тот пароль")
        inside.open("/signin").press("Войти", email="nobody@example.ru", password="не тот пароль")
        owner.sign_in(inside).ask("get", "/verifications")
    said = [(line["event"], line.get("why"), line.get("endpoint")) for line in lines]
    assert said == [
        ("request refused", "outside", "account.sign_in"),
        ("request refused", "outside", "confirm.open_link"),
        ("request refused", "link", "confirm.open_link"),
        ("request refused", "link", "account.invitation"),
        ("request refused", "form", "account.enter_password"),
        ("request refused", "not signed in", "devices.new_codes"),
        ("password refused", None, None),
        ("password refused", None, None),
        ("request refused", "not theirs", "verifications.queue"),
    ]
    for secret in (EMAIL, "nobody", PASSWORD, "не тот", INSIDE, OUTSIDE, "AAAA"):
        assert secret not in str(lines)


# The code itself


def own_scripts() -> list[Path]:
    found = [each for each in (PORTAL / "static").glob("*.js") if "htmx" not in each.name]
    assert len(found) >= 3
    return sorted(found)


def called() -> Iterator[tuple[Path, str]]:
    """Every name that the portal's code calls, imports or reads of something."""
    for file in sorted(PORTAL.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Import():
                    yield from ((file, alias.name) for alias in node.names)
                case ast.ImportFrom():
                    yield from ((file, f"{node.module}.{alias.name}") for alias in node.names)
                case ast.Attribute(value=ast.Name(id=owner), attr=name):
                    yield file, f"{owner}.{name}"
                case ast.Call(func=ast.Name(id=name)):
                    yield file, f"{name}()"


NEVER = re.compile(
    r"(eval|exec|compile|__import__)\(\)|(pickle|marshal|shelve|yaml|xml|lxml|ctypes)(\.|$)|"
    r"os\.(system|popen|exec|spawn)|(hashlib\.)?(md5|sha1|new)\b(?<=md5|ha1)|"
    r"random(\.|$)|render_template_string|from_string|tempfile\.mktemp"
)


def test_nothing_runs_unpacks_or_guesses_what_it_should_not() -> None:
    """No code from text, no pickles, no XML, no shell, no weak hash, no predictable number."""
    found = [(file.name, name) for file, name in called() if NEVER.match(name)]
    assert found == []
    shells = [
        file.name for file in sorted(PORTAL.rglob("*.py")) if "shell=True" in file.read_text()
    ]
    assert shells == []


@pytest.mark.parametrize("script", own_scripts(), ids=lambda script: script.name)
def test_scripts_make_no_markup_of_text_and_keep_nothing(script: Path) -> None:
    for word in (
        *("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("),
        *("localStorage", "sessionStorage", "indexedDB", "document.cookie"),
        *('window.addEventListener("message"', "onmessage", "__proto__", "window.open"),
    ):
        assert word not in script.read_text(), word


def test_templates_escape_everything() -> None:
    """Only a picture of our own making is put in as it is."""
    for page in sorted((PORTAL / "templates").rglob("*.html")):
        text = page.read_text()
        assert "|safe" not in text.replace(" ", ""), page.name
        assert "autoescape false" not in text, page.name
        if page.parent.name == "letters":
            continue  # a letter has styles of its own, for nothing else reaches a mail program
        assert not re.search(r"<(script|style)\b(?![^>]*\bsrc=)", text), page.name
        assert not re.search(r"\s(on[a-z]+|style)=", text), page.name
