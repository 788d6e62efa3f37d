"""Every setting once, with its default. Nothing else reads the environment.

Names and meanings are those of the README. A name that is unknown, a value that is missing or
bad stops the start with one sentence that names it.
"""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from portal import readers, weakening

PREFIX = "PORTAL_"
Network = weakening.Network

# Names that other parts of the product will read. A value is accepted, so that one file of
# settings serves every version, but nothing here acts on it yet.
RESERVED = {
    "WEBHOOK_URL",
    "WEBHOOK_SECRET",
}


class BadSettingError(Exception):
    """One sentence about one setting, for the person who starts the portal."""


def is_loopback(host: str | None) -> bool:
    """Whether a host name means this computer itself."""
    return weakening.where(host) is weakening.Where.HERE


def _setting(read: Callable[[str], Any], default: str | None = None) -> Any:
    return field(metadata={"read": read, "default": default})


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)  # secrets stay out of tracebacks
class Settings:
    """What an operator decides. The field `mail_url` is the variable `PORTAL_MAIL_URL`."""

    secret_key: str = _setting(readers.secret)
    secret_key_fallbacks: tuple[str, ...] = _setting(readers.parts, "")
    data_keys: tuple[bytes, ...] = _setting(readers.data_keys)
    database_url: str = _setting(readers.database_url, "sqlite:///instance/portal.db")
    base_url: str = _setting(readers.base_url)
    secure_networks: tuple[Network, ...] = _setting(readers.secure_networks)
    staff_networks: tuple[Network, ...] = _setting(readers.networks, "")  # none: the secure ones
    trusted_proxies: tuple[Network, ...] = _setting(readers.networks, "")
    mail_url: str = _setting(readers.mail_url)
    mail_fallback_url: str = _setting(readers.fallback(readers.mail_url), "")  # none: no second one
    mail_sender: str = _setting(readers.sender, "po-reply@taho-kart.ru")
    sms_url: str = _setting(readers.sms_url)
    sms_fallback_url: str = _setting(readers.fallback(readers.sms_url), "")
    sms_sender: str = _setting(readers.sms_sender, "IZKT")
    phone_regions: tuple[str, ...] = _setting(readers.regions, "RU")
    operations_url: str = _setting(readers.operations_url, "")  # none: the page says whom to ask
    support_phone: str = _setting(readers.support_phone, "8-800-333-30-92")
    support_hours: str = _setting(readers.text, "рабочие дни, 8:00–18:00 мск")
    support_email: str = _setting(readers.support_email, "")
    link_days: int = _setting(readers.count, "7")
    code_minutes: int = _setting(readers.count, "10")
    email_link_hours: int = _setting(readers.count, "24")
    queue_days: int = _setting(readers.count, "1")  # working days, until specialists are reminded
    tries_per_code: int = _setting(readers.count, "5")
    wrong_codes_before_pause: int = _setting(readers.count, "10")
    pause_minutes: int = _setting(readers.count, "15")
    session_idle_minutes: int = _setting(readers.count, "30")
    session_hours: int = _setting(readers.count, "12")
    recovery_hours: int = _setting(readers.count, "24")
    recovery_staff_hours: int = _setting(readers.count, "72")
    redis_url: str = _setting(readers.redis_url, "")  # none: flood limits are those of each process
    flood_per_minute: int = _setting(readers.rate, "1200")  # pages and polls, of one address
    flood_forms_per_minute: int = _setting(readers.rate, "240")
    campaign_per_minute: int = _setting(readers.count, "60")
    keep_messages_days: int = _setting(readers.count, "365")  # to whom letters and SMS went
    keep_records_days: int = _setting(readers.count, "1095")  # what organisations said before
    keep_cases_days: int = _setting(readers.count, "1095")  # recoveries that have ended
    keep_accounts_days: int = _setting(readers.count, "1095")  # since they were suspended
    questions_file: str = _setting(readers.text, "")  # none: portal/recovery/questions.toml
    metrics_folder: str = _setting(readers.text, "")  # none: each command counts for itself
    otlp_url: str = _setting(readers.otlp_url, "")  # none: no traces
    sentry_dsn: str = _setting(readers.sentry_dsn, "")  # none: failures are in the log alone

    allow: tuple[str, ...] = _setting(readers.allow, "")  # what may be weak (portal/weakening.py)

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
