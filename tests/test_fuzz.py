"""Every route, asked for anything by everybody: nothing breaks, and refusals change nothing.

Two ways: a table of 1034 hostile requests (tests/corpus.py), each sent by four visitors; and every
rule of the map, by every method, with what hypothesis makes up in the places of names, arguments,
fields, headers and cookies, sent by everybody there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import pytest
from flask.sessions import SecureCookieSession
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from itsdangerous import URLSafeTimedSerializer

from portal import pages
from portal.account import Role, session
from portal.account.session import Stage
from portal.database import db
from tests.browser import Browser, Page
from tests.corpus import CORPUS
from tests.hostile import FORM, INSIDE, OUTSIDE, Reply, ask, check, rows
from tests.people import act, cookie_of, payload_of
from tests.test_access import OF_ORGANISATIONS, OF_PEOPLE, World, first_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask
    from werkzeug.routing import Rule

    from tests.conftest import Post

MADE_UP = "0123456789abcdef0123456789abcdef01234567"  # what ties a form to its cookie
NOBODY, INSIDER, RESPONSIBLE, HALF = "a stranger", "an insider", "the responsible person", "half in"


def one_database_is_enough(who: str | Role) -> Any:
    """For those who meet no other statements than the rest."""
    return pytest.param(who, marks=pytest.mark.sqlite)


EVERYBODY = [
    one_database_is_enough(NOBODY),
    INSIDER,
    one_database_is_enough(RESPONSIBLE),
    one_database_is_enough(HALF),
    Role.ADMINISTRATOR,
    one_database_is_enough(Role.OPERATOR),
    Role.SPECIALIST,
]
ATTACKERS = [
    one_database_is_enough(NOBODY),
    INSIDER,
    Role.ADMINISTRATOR,
    one_database_is_enough(Role.SPECIALIST),
]

# Counts of what was wrong, of who asked, and when they were seen: refusing writes these.
COUNTED = {
    "accounts": {"wrong_factors", "paused_until"},
    "cases": {"tries"},
    "codes": {"tries"},
    "confirmations": {"wrong_codes", "paused_until"},
    "sessions": {"seen_at", "wrong", "ended_at", "pending"},
}
UNCOUNTED_TABLES = {"uses", "wrong_passwords"}
NOTED = ("denied", "forged", "paused", "refused", "wrong")  # how lines end that say so


@pytest.fixture
def new_world(keep: Callable[..., None], ask: Callable[..., str | None]) -> Callable[[Role], World]:
    for id in ("ORG-004217", "ORG-2", "ORG-3"):
        keep(id)
    asked = ask()
    assert asked
    return lambda role: World(role, asked)


class Visitor:
    """Somebody's browser as it is sent: an address and a cookie that fits its forms."""

    def __init__(self, app: Flask, who: str | Role, world: World, post: Post) -> None:
        self._app, self._who, self._world = app, who, world
        self.address = OUTSIDE if who == NOBODY else INSIDE
        self.paths: dict[str, str] = {}
        self._opened: dict[str, Any] = {}
        if who == RESPONSIBLE:
            self._open_links(post)
        signer = URLSafeTimedSerializer(app.config["SECRET_KEY"], salt="wtf-csrf-token")
        self.token = signer.dumps(MADE_UP)
        self.cookie, self.device = "", first_of("devices", world.me.account.id)
        self.come()

    def _open_links(self, post: Post) -> None:
        browser = Browser(self._app.test_client())
        token = post.link().rpartition("/")[2]
        browser.open(f"/confirm/{token}").press("Подтвердить номер телефона")
        browser.open(f"/confirmation/{self._world.asked}").press("Подтвердить email")
        second = post.link().rpartition("/")[2]
        browser.open(f"/confirm-email/{second}")
        self.paths = {"link_id": browser.path.rpartition("/")[2], "token": token}
        self._opened = payload_of(cookie_of(browser))

    def come(self) -> None:
        """Begin anew, with a session of one's own if one is to have one."""
        known = {**self._opened, "csrf_token": MADE_UP}
        if self._who == HALF or isinstance(self._who, Role):
            stage = Stage.PASSWORD if self._who == HALF else Stage.FULL
            known["_user_id"] = act(session.begin, self._world.me.account, stage, INSIDE, "")
        signed: Any = self._app.session_interface
        self.cookie = signed.get_signing_serializer(self._app).dumps(
            dict(SecureCookieSession(known))
        )

    def send(self, asked: Asked) -> Reply:
        fields = [*asked.fields, ("csrf_token", self.token)]
        body = "&".join(f"{spelled(name)}={spelled(text)}" for name, text in fields)
        has_body = asked.method not in pages.SAFE_METHODS
        cookies = f"session={self.cookie}{asked.cookies}"
        return ask(
            self._app,
            asked.path,
            method=asked.method,
            query=asked.query,
            address=self.address,
            headers={"Cookie": cookies, **asked.headers},
            body=(body.encode(), FORM) if has_body else (b"", ""),
        )


class Asked(NamedTuple):
    """One request of the fuzzing."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    fields: list[tuple[str, str]]
    cookies: str


def state() -> dict[str, list[Any]]:
    """All that is stored, but for what refusing writes down."""
    left = {name: found for name, found in rows().items() if name not in UNCOUNTED_TABLES}
    left["events"] = [row for row in left["events"] if not row.name.endswith(NOTED)]
    for name, columns in COUNTED.items():
        left[name] = [
            tuple(value for key, value in row._asdict().items() if key not in columns)
            for row in left[name]
        ]
    return left


def changed(before: dict[str, list[Any]], now: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The rows that are new or other, by their tables."""
    return {
        name: [row for row in now[name] if row not in before[name]] or ["gone"]
        for name in now
        if now[name] != before[name]
    }


# The table


@pytest.mark.parametrize("who", ATTACKERS)
def test_a_thousand_known_attacks_break_and_change_nothing(
    who: str | Role, app: Flask, new_world: Callable[[Role], World], post: Post
) -> None:
    """1034 requests of each of four visitors, 4136 in all: no 5xx, no state changed."""
    world = new_world(who if isinstance(who, Role) else Role.OPERATOR)
    visitor = Visitor(app, who, world, post)
    before = state()
    for hostile in CORPUS:
        headers = {"Cookie": f"session={visitor.cookie}", **dict(hostile.headers)}
        reply = ask(
            app,
            hostile.path,
            method=hostile.method,
            query=hostile.query,
            address=visitor.address,
            headers=headers,
            body=(hostile.body, hostile.content_type),
        )
        reply.asked = hostile.spelled
        check(reply, is_static=hostile.path.startswith("/static"))
        check_nothing_came_of(reply)
    assert len(CORPUS) >= 500
    assert not changed(before, state())
    print(f"{len(CORPUS)} hostile requests of {who}: no 5xx, no state changed")


def check_nothing_came_of(reply: Reply) -> None:
    """No payload ran, was believed, or came back as what it wants to be."""
    for name, value in reply.headers.items():
        said = value.partition("=")[0] + value.partition(";")[2] if name == "Set-Cookie" else value
        assert "evil" not in name + said, reply.asked  # what a cookie holds is random
        assert name.lower() not in {"x-injected", "bcc"}, reply.asked
    for sign in ("<script>alert", "<svg/onload", "<img src=x", 'href="https://evil', "111111111"):
        assert sign not in reply.text, reply.asked
    for sign in ("root:x:0", "[fonts]", "uid=0", "create_app", "SQLSTATE", "sqlite3."):
        assert sign not in reply.text, reply.asked
    assert 'href="javascript:' not in reply.text, reply.asked


# Made up

NASTY = ["", "\x00", "-1", "9" * 30, "\ud800", "'", "<b>", "../..", "//evil.example", "=1+1"]
NASTY += ["ORG-004217", "[" * 3000, "2026-02-31", "000000", '{"id": 1}', "\r\nX-Injected: 1"]
ANY = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(NASTY)
LATIN = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=60)
NAMES = ["HX-Request", "HX-Target", "Referer", "Origin", "Accept-Language", "If-None-Match"]
NAMES += ["X-Forwarded-For", "Sec-Fetch-Site", "User-Agent", "Range", "Content-Encoding", "Host"]


class MadeUp(NamedTuple):
    """What one round puts everywhere."""

    gap: str  # in the path
    words: list[str]  # in fields and arguments, one after another
    headers: dict[str, str]
    cookies: str
    keeps: int  # every how many fields keep the value that their page gave them


made_up = st.builds(
    MadeUp,
    gap=ANY.filter(bool),
    words=st.lists(ANY, min_size=1, max_size=7),
    headers=st.dictionaries(st.sampled_from(NAMES), LATIN, max_size=4),
    cookies=LATIN.map("; language={0}".format),
    keeps=st.integers(1, 4),
)


@pytest.mark.parametrize("who", EVERYBODY)
def test_whatever_is_asked_nothing_breaks_and_refusals_change_nothing(
    who: str | Role, app: Flask, new_world: Callable[[Role], World], post: Post
) -> None:
    world = new_world(who if isinstance(who, Role) else Role.OPERATOR)
    visitor = Visitor(app, who, world, post)
    walk = [(rule, method) for rule in routes(app) for method in methods_of(rule)]
    known = known_fields(visitor, world, walk)
    commits = Commits()

    @settings(max_examples=ROUNDS, phases=[Phase.generate], suppress_health_check=[*HealthCheck])
    @given(made_up)
    def fuzz(round: MadeUp) -> None:
        before = state()
        for number, (rule, method) in enumerate(walk):
            gap = round.gap if number % 2 else None
            asked = request_of(rule, method, round, known, own_path(rule, world, visitor, gap))
            commits.seen = 0
            reply = visitor.send(asked)
            check(reply, is_static=rule.endpoint == "static")
            check_nothing_came_of(reply)
            if not commits.seen:
                continue
            now = state()
            is_accepted = method == "POST" and 200 <= reply.status < 400
            begins_pause = reply.status == 429  # of which the owner is told
            assert is_accepted or begins_pause or not changed(before, now), (reply.status, asked)
            before = now
            if is_accepted:
                visitor.come()  # it may have ended the session
                before = state()

    with commits:
        fuzz()


ROUNDS = 2  # of some 260 requests each; a failing one names its request, so none is made smaller


class Commits:
    """Counts what was committed: where nothing was, nothing changed."""

    def __init__(self) -> None:
        self.seen = 0
        self._kept = db.commit

    def __enter__(self) -> None:
        def commit() -> None:
            self.seen += 1
            self._kept()

        db.commit = commit  # type: ignore[method-assign] # and does what it did

    def __exit__(self, *_: object) -> None:
        del db.commit


def routes(app: Flask) -> list[Rule]:
    found = sorted(app.url_map.iter_rules(), key=lambda rule: (rule.rule, rule.endpoint))
    assert len(found) > 100
    return found


def methods_of(rule: Rule) -> list[str]:
    """Those that it has, and two that it has not."""
    allowed = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    return [*allowed, "HEAD" if "GET" in allowed else "GET", "DELETE"]


def own_path(rule: Rule, world: World, visitor: Visitor, gap: str | None) -> str:
    """The rule's address, with something of one's own in it or with what was made up."""
    path = rule.rule
    for name in rule.arguments:
        value = own_value(rule.endpoint, name, world, visitor) if gap is None else gap
        spelled = quote(value.encode("utf-8", "surrogatepass"), safe="")
        before, _, rest = path.partition("<")
        path = before + spelled.lower() + rest.partition(">")[2]
    return path


def own_value(endpoint: str, name: str, world: World, visitor: Visitor) -> str:
    if name in visitor.paths:
        return visitor.paths[name]
    fixed = {"filename": "portal.css", "code": "en", "audience": "responsible"}
    if name in fixed:
        return fixed[name]
    of_organisations = ("organisations.", "edit.", "corrections.")
    if endpoint.startswith(of_organisations) or endpoint in OF_ORGANISATIONS:
        return "ORG-004217"
    if endpoint.startswith(OF_PEOPLE):
        return world.mate.account.id
    if endpoint == "verifications.organisation_page":
        return "ORG-2"
    if endpoint == "devices.drop":
        return visitor.device
    whose = {
        "campaigns": world.campaigns["own"],
        "confirm": world.asked,
        "deliveries": world.undelivered,
        "inbox": "1",
        "support": world.cases["free"],
        "verifications": world.waiting,
    }
    return whose.get(endpoint.partition(".")[0], "x")


def known_fields(
    visitor: Visitor, world: World, walk: list[tuple[Rule, str]]
) -> dict[str, dict[str, str]]:
    """The fields of every form that the visitor is shown, by the address that it is sent to."""
    found: dict[str, dict[str, str]] = {}
    for rule, method in walk:
        if method == "GET" and rule.endpoint != "static":
            asked = Asked("GET", own_path(rule, world, visitor, None), "", {}, [], "")
            page = Page(visitor.send(asked).text)
            for form in page.forms:
                ticks = {name: options[0] for name, options in form.options.items() if options}
                found.setdefault(form.action.partition("?")[0], {}).update(ticks | form.fields)
    return found


COMMON = ("email", "password", "again", "code", "name", "role", "answer", "comment", "id", "ids")


def request_of(
    rule: Rule, method: str, round: MadeUp, known: dict[str, dict[str, str]], path: str
) -> Asked:
    """Fields of the page's own form, some as they were and some not, and some that are nobody's."""
    words = iter(round.words * 50)
    fields = []
    if method == "POST":
        own = known.get(path, dict.fromkeys(COMMON, ""))
        fields = [
            (name, text if number % round.keeps == 0 and text else next(words))
            for number, (name, text) in enumerate(own.items())
            if name != "csrf_token"
        ][:40]
        fields += [(next(words)[:50] or "x", next(words))]
    names = ("after", "seen", "q", "email", "organisation", "since", "before", "kind", "which")
    query = "&".join(f"{name}={spelled(next(words))}" for name in names[: 1 + len(path) % 9])
    return Asked(method, path, query, round.headers, fields, round.cookies)


def spelled(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="")
