"""Every setting once, with its default. Nothing else reads the environment.

Names and meanings are those of the README. A name that is unknown, a value that is missing or
bad stops the start with one sentence that names it.
"""

import base64
import binascii
import ipaddress
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import phonenumbers

from portal import weakening

PREFIX = "PORTAL_"
Network = weakening.Network
MAPPED_BITS = 96  # how much of an IPv6 address says that an IPv4 address follows

# Names that other parts of the product will read. A value is accepted, so that one file of
# settings serves every version, but nothing here acts on it yet.
RESERVED = {
    "WEBHOOK_URL",
    "WEBHOOK_SECRET",
}

MILLION = 1_000_000
LONGEST_HOST = 76  # templates/sms/code.txt ends with it, and fits two parts: 134 characters
MAIL_SCHEMES = {"smtp", "smtps", "smtp+starttls", "inbox"}
SMS_SCHEMES = {"http", "https", "inbox", "smpp", "smpps", "smsc", "smsc+http"}
LONGEST_SMPP = {"name": 15, "password": 8, "sender": 15}  # SMPP 3.4, 5.2.1 and 5.2.2; E.164
SENDER = re.compile(r"[^@\s<>,;:\"]+@[^@\s<>,;:\"]+")


class BadSettingError(Exception):
    """One sentence about one setting, for the person who starts the portal."""


def _text(value: str) -> str:
    return value


def _secret(value: str) -> str:
    if not value:
        raise ValueError("is empty; `portal keys new` prints a key")
    return value


def _data_keys(value: str) -> tuple[bytes, ...]:
    keys = tuple(_data_key(part) for part in _parts(value))
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


def _networks(value: str) -> tuple[Network, ...]:
    networks = []
    for part in _parts(value):
        try:
            networks.append(network(part))
        except ValueError:
            raise ValueError(f"has {part!r}, which is not a network such as 10.20.0.0/16") from None
    return tuple(networks)


def network(text: str) -> Network:
    """A network; IPv4 written inside IPv6 is the IPv4 network it is. Raises ValueError."""
    found = ipaddress.ip_network(text)
    inside = getattr(found.network_address, "ipv4_mapped", None)
    if inside is None or found.prefixlen < MAPPED_BITS:
        return found
    return ipaddress.IPv4Network((inside, found.prefixlen - MAPPED_BITS))


def _secure_networks(value: str) -> tuple[Network, ...]:
    networks = _networks(value)
    if not networks:
        raise ValueError("is empty: nobody could open the portal")
    return networks


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
    if not url.hostname or any(sign.isspace() for sign in value):
        raise ValueError("names no host")
    if url.fragment:
        raise ValueError("has a #; in a password it is written %23")
    try:
        url.port  # noqa: B018 - reading it checks it
    except ValueError:  # as above
        raise ValueError("has a port that is no number") from None
    return url


def _database_url(value: str) -> str:
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
    if not named.get("dbname"):
        raise ValueError("names no database: postgresql://portal@host/portal")
    return value


def _base_url(value: str) -> str:
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


def _mail_url(value: str) -> str:
    url = _url(value, MAIL_SCHEMES)
    if url.path not in {"", "/"} or url.query:
        raise ValueError("has something behind the host; in a password / is written %2F, ? %3F")
    return url.geturl() if url.scheme != "inbox" else "inbox:"


def _sms_url(value: str) -> str:
    url = _url(value, SMS_SCHEMES)
    if url.scheme in {"smpp", "smpps", "smsc", "smsc+http"}:
        _check_way(url)
    return url.geturl() if url.scheme != "inbox" else "inbox:"


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


def _fallback(read: Callable[[str], str]) -> Callable[[str], str]:
    """A second gateway, or none; one that keeps the messages in the house would hide a failure."""

    def check(value: str) -> str:
        url = read(value) if value else ""
        if url == "inbox:":
            raise ValueError("cannot be inbox:, where nobody would get the message")
        return url

    return check


def _operations_url(value: str) -> str:
    if not value:
        return ""
    url = _url(value, {"http", "https"})
    if url.query or "?" in value or "@" in url.netloc:
        raise ValueError("must be an address to which /orders can be added")
    return url.geturl().rstrip("/")


def _redis_url(value: str) -> str:
    if not value:
        return ""
    url = _url(value, {"redis", "rediss"})
    if not re.fullmatch("/?[0-9]{0,4}", url.path) or url.query:
        raise ValueError("must look like redis://:password@host:6379/0, / in a password is %2F")
    return url.geturl()


def _otlp_url(value: str) -> str:
    if not value:
        return ""
    url = _watching_url(value)
    if "@" in url.netloc or url.query:
        raise ValueError("must look like https://collector.example.ru:4318")
    _needs("opentelemetry.exporter.otlp.proto.http", "telemetry")
    return url.geturl() if url.path.strip("/") else f"{url.scheme}://{url.netloc}/v1/traces"


def _sentry_dsn(value: str) -> str:
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
        raise ValueError(f"needs the extra {extra}: pip install 'portal[{extra}]'")


def _allow(value: str) -> tuple[str, ...]:
    for part in _parts(value):
        if part not in weakening.NAMES:
            raise ValueError(f"has {part!r}, which is none of: {', '.join(weakening.NAMES)}")
    return _parts(value)


def _regions(value: str) -> tuple[str, ...]:
    regions = _parts(value)
    for region in regions:
        if region not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError(f"has {region!r}, which is not a region such as RU or KZ")
    if not regions:
        raise ValueError("is empty")
    return regions


def _sender(value: str) -> str:
    if not SENDER.fullmatch(value) or not value.isprintable():
        raise ValueError("must be one address such as po-reply@taho-kart.ru")
    return value


def _support_email(value: str) -> str:
    return _sender(value) if value else ""


def _count(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10 and 1 <= int(value) <= 10_000):
        raise ValueError("must be a whole number from 1 to 10000")
    return int(value)


def _rate(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 10 and 1 <= int(value) <= MILLION):
        raise ValueError(f"must be a whole number from 1 to {MILLION}")
    return int(value)


def _parts(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def is_loopback(host: str | None) -> bool:
    """Whether a host name means this computer itself."""
    return weakening.where(host) is weakening.Where.HERE


def _setting(read: Callable[[str], Any], default: str | None = None) -> Any:
    return field(metadata={"read": read, "default": default})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)  # secrets stay out of tracebacks
class Settings:
    """What an operator decides. The field `mail_url` is the variable `PORTAL_MAIL_URL`."""

    secret_key: str = _setting(_secret)
    secret_key_fallbacks: tuple[str, ...] = _setting(_parts, "")
    data_keys: tuple[bytes, ...] = _setting(_data_keys)
    database_url: str = _setting(_database_url, "sqlite:///instance/portal.db")
    base_url: str = _setting(_base_url)
    secure_networks: tuple[Network, ...] = _setting(_secure_networks)
    staff_networks: tuple[Network, ...] = _setting(_networks, "")  # none: the secure ones
    trusted_proxies: tuple[Network, ...] = _setting(_networks, "")
    mail_url: str = _setting(_mail_url)
    mail_fallback_url: str = _setting(_fallback(_mail_url), "")  # none: there is no second one
    mail_sender: str = _setting(_sender, "po-reply@taho-kart.ru")
    sms_url: str = _setting(_sms_url)
    sms_fallback_url: str = _setting(_fallback(_sms_url), "")
    sms_sender: str = _setting(_text, "IZKT")
    phone_regions: tuple[str, ...] = _setting(_regions, "RU")
    operations_url: str = _setting(_operations_url, "")  # none: the page says whom to ask
    support_phone: str = _setting(_text, "8-800-333-30-92")
    support_hours: str = _setting(_text, "рабочие дни, 8:00–18:00 мск")
    support_email: str = _setting(_support_email, "")
    link_days: int = _setting(_count, "7")
    code_minutes: int = _setting(_count, "10")
    email_link_hours: int = _setting(_count, "24")
    queue_days: int = _setting(_count, "1")  # working days, before the specialists are reminded
    tries_per_code: int = _setting(_count, "5")
    wrong_codes_before_pause: int = _setting(_count, "10")
    pause_minutes: int = _setting(_count, "15")
    session_idle_minutes: int = _setting(_count, "30")
    session_hours: int = _setting(_count, "12")
    recovery_hours: int = _setting(_count, "24")
    recovery_staff_hours: int = _setting(_count, "72")
    redis_url: str = _setting(_redis_url, "")  # none: flood limits are those of each process
    flood_per_minute: int = _setting(_rate, "1200")  # pages and polls, of one address
    flood_forms_per_minute: int = _setting(_rate, "240")
    campaign_per_minute: int = _setting(_count, "60")
    keep_messages_days: int = _setting(_count, "365")  # to whom letters and SMS went
    keep_records_days: int = _setting(_count, "1095")  # what organisations said before
    keep_cases_days: int = _setting(_count, "1095")  # recoveries that have ended
    keep_accounts_days: int = _setting(_count, "1095")  # since they were suspended
    questions_file: str = _setting(_text, "")  # none: portal/recovery/questions.toml
    metrics_folder: str = _setting(_text, "")  # none: each command counts for itself
    otlp_url: str = _setting(_otlp_url, "")  # none: no traces
    sentry_dsn: str = _setting(_sentry_dsn, "")  # none: failures are in the log alone

    allow: tuple[str, ...] = _setting(_allow, "")  # what may be weak (portal/weakening.py)

    @property
    def weakened(self) -> list[str]:
        """What weakens the portal, by the names of `PORTAL_ALLOW`."""
        return sorted({each.name for each in weakening.found_in(partial(getattr, self))})

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The key that signs, then the older ones that are still believed."""
        return (self.secret_key, *self.secret_key_fallbacks)

    @property
    def host(self) -> str:
        """The host of links, without a port: what the last line of an SMS names."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def is_https(self) -> bool:
        return self.base_url.startswith("https://")

    @property
    def has_inbox(self) -> bool:
        """Whether letters or SMS stay in the house, to be read at /inbox."""
        return "inbox:" in {self.mail_url, self.sms_url}

    @property
    def link_lifetime(self) -> timedelta:
        return timedelta(days=self.link_days)

    @property
    def code_lifetime(self) -> timedelta:
        return timedelta(minutes=self.code_minutes)

    @property
    def email_link_lifetime(self) -> timedelta:
        return timedelta(hours=self.email_link_hours)

    @property
    def pause(self) -> timedelta:
        return timedelta(minutes=self.pause_minutes)


settings: Settings
"""The settings in force; `use` puts them here, once, at the start."""


def load(environment: Mapping[str, str]) -> Settings:
    """Read the settings out of an environment.

    Raises BadSettingError, whose text names the first variable that is unknown, missing or bad.
    """
    known = {PREFIX + item.name.upper() for item in fields(Settings)}
    reserved = {PREFIX + name for name in RESERVED}
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known | reserved:
            raise BadSettingError(f"{name} is not a setting of the portal.")
    values = {item.name: _read(item.name, item.metadata, environment) for item in fields(Settings)}
    loaded = Settings(**values)
    for each in weakening.found_in(partial(getattr, loaded)):
        if each.name not in loaded.allow:
            raise BadSettingError(
                f"{PREFIX}{each.settings[0].upper()} {each.danger}; if it is meant, "
                f"{PREFIX}ALLOW has to name {each.name}."
            )
    return loaded


def _read(name: str, metadata: Mapping[str, Any], environment: Mapping[str, str]) -> Any:
    variable = PREFIX + name.upper()
    value = environment.get(variable, metadata["default"])
    if value is None:
        raise BadSettingError(f"{variable} is missing.")
    if any(unicodedata.category(sign) in {"Cc", "Cs"} for sign in value.strip()):
        raise BadSettingError(f"{variable} has a sign in it that is no text.")
    try:
        return metadata["read"](value.strip())
    except ValueError as error:
        raise BadSettingError(f"{variable} {error}.") from None


def use(chosen: Settings) -> None:
    """Put settings in force for this process."""
    global settings  # noqa: PLW0603 - one process runs with one set of settings
    settings = chosen
