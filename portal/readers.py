"""How the text of each setting is read.

A function gives the value, or raises ValueError with the rest of a sentence that begins with the
setting's name. None of them quotes what may be a secret.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from importlib.util import find_spec
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import phonenumbers

from portal import weakening

Network = weakening.Network

MAPPED_BITS = 96  # how much of an IPv6 address says that an IPv4 address follows
MILLION = 1_000_000
LONGEST_HOST = 76  # templates/sms/code.txt ends with it, and fits two parts: 134 characters
LONGEST_SUPPORT_PHONE = 19  # templates/sms/case_granted.txt ends with it
MAIL_SCHEMES = {"smtp", "smtps", "smtp+starttls", "inbox"}
SMS_SCHEMES = {"http", "https", "inbox", "smpp", "smpps", "smsc", "smsc+http"}
LONGEST_SMPP = {"name": 15, "password": 8, "sender": 15}  # SMPP 3.4, 5.2.1 and 5.2.2; E.164
LABEL = re.compile(rb"[A-Za-z0-9_-]+")
SENDER = re.compile(r"[^@\s<>,;:\"]+@[^@\s<>,;:\"]+")


def text(value: str) -> str:
    return value


def secret(value: str) -> str:
    if not value:
        raise ValueError("is empty; `portal keys new` prints a key")
    return value


def data_keys(value: str) -> tuple[bytes, ...]:
    keys = tuple(_data_key(part) for part in parts(value))
    if not keys:
        raise ValueError("is empty; `portal keys new` prints a key")
    return keys


def _data_key(text: str) -> bytes:
    try:
        key = base64.b64decode(text.encode(), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        key = b""
    if len(key) != 32:
        raise ValueError("has a key that is not 32 bytes in URL-safe base64; see `portal keys new`")
    return key


def networks(value: str) -> tuple[Network, ...]:
    found = []
    for part in parts(value):
        try:
            found.append(network(part))
        except ValueError:
            raise ValueError(f"has {part!r}, which is not a network such as 10.20.0.0/16") from None
    return tuple(found)


def network(text: str) -> Network:
    """A network; IPv4 written inside IPv6 is the IPv4 network it is. Raises ValueError."""
    found = ipaddress.ip_network(text)
    inside = getattr(found.network_address, "ipv4_mapped", None)
    if inside is None or found.prefixlen < MAPPED_BITS:
        return found
    return ipaddress.IPv4Network((inside, found.prefixlen - MAPPED_BITS))


def secure_networks(value: str) -> tuple[Network, ...]:
    found = networks(value)
    if not found:
        raise ValueError("is empty: nobody could open the portal")
    return found


def _url(value: str, schemes: set[str]) -> SplitResult:
    try:
        url = urlsplit(value)
    except ValueError:  # its own text would quote what may be a password
        raise ValueError("is no URL; a password's signs such as @ # / [ are written %40") from None
    if url.scheme not in schemes:
        raise ValueError(f"must begin with one of: {', '.join(sorted(schemes))}")
    if url.scheme == "inbox":
        if value.lower() != "inbox:":
            raise ValueError("must be inbox: with nothing behind it")
        return url
    if not url.hostname or any(sign.isspace() for sign in value) or not _is_host(url.hostname):
        raise ValueError("names no host")
    if url.fragment:
        raise ValueError("has a #; in a password it is written %23")
    try:
        port = url.port
    except ValueError:  # as above
        port = 0
    if port == 0:
        raise ValueError("has a port that is none")
    return url


def _is_host(name: str) -> bool:
    """Whether it is an address, or a name that can be looked up (RFC 1035, 2.3.4)."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        pass
    else:
        return True
    try:  # which knows that no part may be empty or too long
        labels = name.encode("idna").rstrip(b".").split(b".")
    except UnicodeError:
        return False
    return all(map(LABEL.fullmatch, labels)) and not labels[-1].isdigit()


def database_url(value: str) -> str:
    if value.startswith("postgresql://"):
        return _postgresql_url(value)
    if not value.startswith("sqlite:///"):
        raise ValueError(
            "must look like sqlite:///instance/portal.db or postgresql://portal@host/portal"
        )
    if not urlsplit(value).path.strip("/") or value.endswith("/:memory:"):
        raise ValueError("names no file")
    return value


def _postgresql_url(value: str) -> str:
    """One that libpq reads, several hosts in it or not (PostgreSQL 34.1.1)."""
    from psycopg import ProgrammingError, conninfo  # noqa: PLC0415 - SQLite needs no driver of it

    try:
        named = conninfo.conninfo_to_dict(value)
    except ProgrammingError:  # its own text would quote what may be a password
        raise ValueError(
            "is no URL that PostgreSQL reads; a password's signs such as @ # / are written %40"
        ) from None
    for host in str(named.get("host") or "").split(","):
        if host and not host.startswith(("/", "@")) and not _is_host(host):
            raise ValueError("names no host; a password's signs such as @ # / are written %40")
    if not all(map(_is_port, str(named.get("port") or "").split(","))):
        raise ValueError("has a port that is none")
    if not named.get("dbname"):
        raise ValueError("names no database: postgresql://portal@host/portal")
    return value


def _is_port(text: str) -> bool:
    """Whether it is one, or left to the driver."""
    return not text or (re.fullmatch("[0-9]{1,5}", text) is not None and 0 < int(text) < 65536)


def base_url(value: str) -> str:
    url = _url(value, {"http", "https"})
    if value.lower().rstrip("/") != f"{url.scheme}://{url.netloc}".lower() or "@" in url.netloc:
        raise ValueError("must be a scheme and a host, with nothing behind them")
    host = url.hostname or ""
    if not host.isascii():
        raise ValueError("has a host that is not ASCII; write it as xn--…")
    if len(host) > LONGEST_HOST:
        raise ValueError(
            f"has a host of more than {LONGEST_HOST} characters: no SMS with a code could hold it"
        )
    return f"{url.scheme}://{url.netloc}"


def mail_url(value: str) -> str:
    url = _url(value, MAIL_SCHEMES)
    if url.path not in {"", "/"} or url.query:
        raise ValueError("has something behind the host; in a password / is written %2F, ? %3F")
    _check_login(url)
    return url.geturl() if url.scheme != "inbox" else "inbox:"


def sms_url(value: str) -> str:
    url = _url(value, SMS_SCHEMES)
    if url.scheme in {"smpp", "smpps", "smsc", "smsc+http"}:
        _check_way(url)
    elif url.scheme != "inbox":
        _check_login(url)
    return url.geturl() if url.scheme != "inbox" else "inbox:"


def _check_login(url: SplitResult) -> None:
    """Raise ValueError for a name or password that SMTP and HTTP clients have no way to write."""
    if not unquote(f"{url.username or ''}{url.password or ''}").isascii():
        raise ValueError("has a name or password with signs that are not ASCII")


def _check_way(url: SplitResult) -> None:
    """Raise ValueError where a URL of SMPP or SMSC.ru lacks something, or has too much."""
    if url.path not in {"", "/"}:
        raise ValueError("has something behind the host; in a password / is written %2F")
    try:
        asked = dict(parse_qsl(url.query, strict_parsing=bool(url.query), keep_blank_values=True))
    except ValueError:  # its own text would quote what may be a password
        asked = {"": ""}
    if asked.keys() - {"sender"}:
        raise ValueError("can have ?sender=… and nothing else behind the host")
    name, password = unquote(url.username or ""), unquote(url.password or "")
    sender = asked.get("sender", "")
    if not password:
        raise ValueError("has no password")
    if not url.scheme.startswith("smpp"):
        return
    for what, text in {"name": name, "password": password, "sender": sender}.items():
        longest = LONGEST_SMPP[what]
        if len(text) > longest or not text.isascii():
            raise ValueError(f"has a {what} that SMPP cannot carry: up to {longest} signs of ASCII")


def fallback(read: Callable[[str], str]) -> Callable[[str], str]:
    """A second gateway, or none; one that keeps the messages in the house would hide a failure."""

    def check(value: str) -> str:
        url = read(value) if value else ""
        if url == "inbox:":
            raise ValueError("cannot be inbox:, where nobody would get the message")
        return url

    return check


def operations_url(value: str) -> str:
    if not value:
        return ""
    url = _url(value, {"http", "https"})
    if url.query or "?" in value or "@" in url.netloc:
        raise ValueError("must be an address to which /orders can be added")
    return url.geturl().rstrip("/")


def redis_url(value: str) -> str:
    if not value:
        return ""
    url = _url(value, {"redis", "rediss"})
    if not re.fullmatch("/?[0-9]{0,4}", url.path) or url.query:
        raise ValueError("must look like redis://:password@host:6379/0, / in a password is %2F")
    return url.geturl()


def otlp_url(value: str) -> str:
    if not value:
        return ""
    url = _watching_url(value)
    if "@" in url.netloc or url.query:
        raise ValueError("must look like https://collector.example.ru:4318")
    _needs("opentelemetry.exporter.otlp.proto.http", "telemetry")
    return url.geturl() if url.path.strip("/") else f"{url.scheme}://{url.netloc}/v1/traces"


def sentry_dsn(value: str) -> str:
    if not value:
        return ""
    url = _watching_url(value)
    if not url.username or not re.fullmatch("/(.*/)?[0-9]+", url.path) or url.query:
        raise ValueError("must look like https://key@sentry.example.ru/1")
    _needs("sentry_sdk", "sentry")
    return url.geturl()


def _watching_url(value: str) -> SplitResult:
    url = _url(value, {"http", "https"})
    if url.scheme == "http" and weakening.where(url.hostname) is weakening.Where.FAR:
        raise ValueError("must begin with https:// (plain http only in private networks)")
    return url


def _needs(module: str, extra: str) -> None:
    """Raise ValueError unless packages of an extra are installed."""
    try:
        is_there = find_spec(module) is not None
    except ModuleNotFoundError:
        is_there = False
    if not is_there:
        raise ValueError(
            f"needs the extra {extra}: pip install '.[{extra}]' in the portal's source"
        )


def allow(value: str) -> tuple[str, ...]:
    for part in parts(value):
        if part not in weakening.NAMES:
            raise ValueError(f"has {part!r}, which is none of: {', '.join(weakening.NAMES)}")
    return parts(value)


def regions(value: str) -> tuple[str, ...]:
    found = parts(value)
    for region in found:
        if region not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError(f"has {region!r}, which is not a region such as RU or KZ")
    if not found:
        raise ValueError("is empty")
    return found


def sender(value: str) -> str:
    is_ascii = value.partition("@")[0].isascii()  # before the @ SMTP carries nothing else for sure
    if not SENDER.fullmatch(value) or not value.isprintable() or not is_ascii:
        raise ValueError("must be one address such as po-reply@taho-kart.ru")
    return value


def sms_sender(value: str) -> str:
    if not value.isascii() or not 1 <= len(value) <= LONGEST_SMPP["sender"]:
        raise ValueError(f"must be 1 to {LONGEST_SMPP['sender']} signs of ASCII, such as IZKT")
    return value


def support_phone(value: str) -> str:
    if not 1 <= len(value) <= LONGEST_SUPPORT_PHONE:
        raise ValueError(
            f"must have 1 to {LONGEST_SUPPORT_PHONE} signs: SMS end with it, and have two parts"
        )
    return value


def support_email(value: str) -> str:
    return sender(value) if value else ""


def count(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10 and 1 <= int(value) <= 10_000):
        raise ValueError("must be a whole number from 1 to 10000")
    return int(value)


def rate(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10 and 1 <= int(value) <= MILLION):
        raise ValueError(f"must be a whole number from 1 to {MILLION}")
    return int(value)


def parts(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())
