"""Settings that would weaken the portal, and the names by which an operator says: it is meant.

Each is a row of a table. What a row is about stops the start, unless `PORTAL_ALLOW` names it: so
nothing is weak by accident, and whoever reads the settings sees what was decided.
"""

import ipaddress
from collections.abc import Callable, Iterable
from enum import Enum
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import urlsplit

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

WIDEST = {4: 8, 6: 32}  # the shortest prefixes: one of 256 parts of IPv4, a provider's IPv6
SHORTEST_KEY = 32  # bytes: what HMAC-SHA-256 makes of a key
FEWEST_SIGNS = 8  # different ones; of 32 random hexadecimal digits, one in 27 million has fewer
MOST_SMALL_STEPS = 3 / 4  # from a sign to its neighbour; of random hexadecimal digits 17 in 100 are
CHECKING = {"verify-ca", "verify-full"}  # modes of libpq that look at who answers
WORDS = {"changeme", "example", "password", "placeholder", "replaceme", "yoursecret"}
INNER_NAMES = (".local", ".internal", ".lan", ".home.arpa")  # of no public host (RFC 6762, 8375)


class Where(Enum):
    """How far away a host is, as far as its name tells."""

    HERE = "this computer itself"
    NEAR = "a private network"
    FAR = "anywhere"


def where(host: str | None) -> Where:
    """Where a host is. Nobody is asked about its name: one with a dot may be anywhere."""
    host = (host or "").lower().rstrip(".")
    if host == "localhost":
        return Where.HERE
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        is_inner = "." not in host or host.endswith(INNER_NAMES)
        return Where.NEAR if host and is_inner else Where.FAR
    if address.is_loopback:
        return Where.HERE
    return Where.NEAR if address.is_private else Where.FAR


# What to look for


def is_wide(networks: Iterable[Network]) -> bool:
    """Whether public networks, all of them taken together, are wider than anybody's own."""
    parts = {4: 0.0, 6: 0.0}  # of the widest that there may be
    for each in merged(networks):
        if not each.is_private:
            parts[each.version] += 2.0 ** (WIDEST[each.version] - each.prefixlen)
    return max(parts.values()) > 1


def overlap(
    proxies: Iterable[Network], secure: Iterable[Network], staff: Iterable[Network]
) -> bool:
    """Whether an address is both a proxy's and one of people's."""
    people = [*secure, *staff]
    return any(
        proxy.version == each.version and proxy.overlaps(each)
        for proxy in proxies
        for each in people
    )


def is_short(*keys: str) -> bool:
    return any(len(key.encode()) < SHORTEST_KEY for key in keys)


def is_guessable(*keys: str) -> bool:
    """Whether a key was made up: few signs, the same again and again, a row of them, an example."""
    return any(_is_made_up(key) for key in keys)


def _is_made_up(key: str) -> bool:
    letters = "".join(sign for sign in key.lower() if sign.isalnum())
    steps = [abs(ord(one) - ord(next)) for one, next in pairwise(key)]
    return (
        len(set(key)) < FEWEST_SIGNS
        or key in (key + key)[1:-1]
        or sum(step <= 1 for step in steps) > len(steps) * MOST_SMALL_STEPS
        or any(word in letters for word in WORDS)
    )


def is_plain_http(url: str) -> bool:
    return _is_beyond(Where.HERE, url, "http")


def is_open_inbox(gateway: str, base_url: str) -> bool:
    return gateway == "inbox:" and where(urlsplit(base_url).hostname) is not Where.HERE


def tells_password(url: str) -> bool:
    """Whether a mail server is told a password that others on the way can read."""
    return bool(urlsplit(url).password) and _is_beyond(Where.HERE, url, "smtp")


def is_plain_sms(url: str) -> bool:
    """Whether codes and numbers can be read on the way.

    SMPP mostly has no TLS, and an operator's own network or tunnel in its place; HTTP always has.
    """
    return (
        _is_beyond(Where.HERE, url, "http")
        or _is_beyond(Where.HERE, url, "smsc+http")
        or _is_beyond(Where.NEAR, url, "smpp")
    )


def is_plain_database(url: str) -> bool:
    """Whether PostgreSQL is asked anywhere without looking who answers; a folder is its socket."""
    if not url.startswith("postgresql://"):
        return False
    from psycopg import conninfo  # noqa: PLC0415 - SQLite needs no driver of it

    named = conninfo.conninfo_to_dict(url)
    hosts = str(named.get("hostaddr") or named.get("host") or "localhost").split(",")
    is_far = any(where(host) is Where.FAR for host in hosts if not host.startswith("/"))
    return is_far and named.get("sslmode") not in CHECKING


def is_plain_redis(url: str) -> bool:
    return _is_beyond(Where.NEAR, url, "redis")


def more_than(most: int) -> Callable[[int], bool]:
    return lambda count: count > most


def less_than(least: int) -> Callable[[int], bool]:
    return lambda count: count < least


def _is_beyond(place: Where, url: str, scheme: str) -> bool:
    """Whether a URL of that scheme leads further away than there."""
    reach = list(Where)
    parts = urlsplit(url)
    return parts.scheme == scheme and reach.index(where(parts.hostname)) > reach.index(place)


def merged(networks: Iterable[Network]) -> list[Network]:
    """The same addresses in as few networks as there can be."""
    known = list(networks)
    of_4 = (each for each in known if isinstance(each, ipaddress.IPv4Network))
    of_6 = (each for each in known if isinstance(each, ipaddress.IPv6Network))
    return [*ipaddress.collapse_addresses(of_4), *ipaddress.collapse_addresses(of_6)]


# The table


class Weakening(NamedTuple):
    """One way to weaken the portal."""

    name: str  # what PORTAL_ALLOW calls it
    settings: tuple[str, ...]  # whose values are looked at; the first one is what is wrong
    is_there: Callable[..., bool]
    danger: str


TABLE = (
    Weakening(
        "short-secret-key",
        ("secret_key",),
        is_short,
        f"is shorter than {SHORTEST_KEY} bytes, so links and sessions could be forged; "
        "`portal keys new` prints a good one",
    ),
    Weakening(
        "guessable-secret-key",
        ("secret_key",),
        is_guessable,
        "can be guessed, so links and sessions could be forged; `portal keys new` prints a good "
        "one",
    ),
    Weakening(
        "short-secret-key",
        ("secret_key_fallbacks",),
        lambda keys: is_short(*keys),
        f"has a key shorter than {SHORTEST_KEY} bytes, and what is forged with it is believed",
    ),
    Weakening(
        "guessable-secret-key",
        ("secret_key_fallbacks",),
        lambda keys: is_guessable(*keys),
        "has a key that can be guessed, and what is forged with it is believed",
    ),
    Weakening(
        "plain-http",
        ("base_url",),
        is_plain_http,
        "must begin with https://, else links, codes and cookies can be read on the way (plain "
        "http only on this computer itself)",
    ),
    Weakening(
        "plain-http",
        ("operations_url",),
        is_plain_http,
        "must begin with https://, else people's work can be read on the way (plain http only on "
        "this computer itself)",
    ),
    Weakening(
        "wide-networks",
        ("secure_networks",),
        is_wide,
        f"has public networks wider than /{WIDEST[4]} (IPv6: /{WIDEST[6]}): much of the world "
        "could open the portal",
    ),
    Weakening(
        "wide-networks",
        ("staff_networks",),
        is_wide,
        f"has public networks wider than /{WIDEST[4]} (IPv6: /{WIDEST[6]}): much of the world "
        "could sign in",
    ),
    Weakening(
        "wide-proxies",
        ("trusted_proxies",),
        is_wide,
        f"has public networks wider than /{WIDEST[4]} (IPv6: /{WIDEST[6]}): much of the world "
        "could say where it is",
    ),
    Weakening(
        "proxies-inside",
        ("trusted_proxies", "secure_networks", "staff_networks"),
        overlap,
        "has addresses that are in PORTAL_SECURE_NETWORKS or PORTAL_STAFF_NETWORKS, too: whoever "
        "has one could say where they are",
    ),
    *(
        Weakening(
            "open-inbox",
            (name, "base_url"),
            is_open_inbox,
            "can be inbox: only where PORTAL_BASE_URL is on this computer itself: everybody could "
            "read what is sent",
        )
        for name in ("mail_url", "sms_url")
    ),
    *(
        Weakening(
            "plain-smtp",
            (name,),
            tells_password,
            "has a password and no TLS, so it can be read on the way; smtps:// and "
            "smtp+starttls:// have TLS",
        )
        for name in ("mail_url", "mail_fallback_url")
    ),
    *(
        Weakening(
            "plain-sms",
            (name,),
            is_plain_sms,
            "leads away without TLS, so codes can be read on the way; https://, smpps:// and "
            "smsc:// have TLS (plain http only on this computer itself, plain smpp only in "
            "private networks)",
        )
        for name in ("sms_url", "sms_fallback_url")
    ),
    Weakening(
        "plain-database",
        ("database_url",),
        is_plain_database,
        "leads out of private networks without sslmode=verify-full, so what is stored can be read "
        "and changed on the way",
    ),
    Weakening(
        "plain-redis",
        ("redis_url",),
        is_plain_redis,
        "leads out of private networks without TLS, so others could change the counts; rediss:// "
        "has TLS",
    ),
    *(
        Weakening(
            "loose-limits",
            (name,),
            is_there,
            f"is {words}: beyond that the limit hardly protects anybody",
        )
        for name, is_there, words in (
            ("code_minutes", more_than(60), "more than 60"),
            ("tries_per_code", more_than(10), "more than 10"),
            ("wrong_codes_before_pause", more_than(30), "more than 30"),
            ("pause_minutes", less_than(5), "less than 5"),
            ("session_idle_minutes", more_than(240), "more than 240"),
            ("session_hours", more_than(24), "more than 24"),
            ("recovery_hours", less_than(12), "less than 12"),
            ("recovery_staff_hours", less_than(24), "less than 24"),
        )
    ),
)
NAMES = sorted({each.name for each in TABLE})


def found_in(values: Callable[[str], Any]) -> list[Weakening]:
    """The rows that settings fulfil; `values` gives the value of a setting by its name."""
    return [each for each in TABLE if each.is_there(*map(values, each.settings))]
