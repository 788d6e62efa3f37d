"""Settings: what is missing, bad or unknown stops the start with one sentence that names it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal import config
from tests.conftest import ENVIRONMENT

if TYPE_CHECKING:
    from pathlib import Path

KEY = "S3CRET-key-that-must-never-be-shown-anywhere"
REQUIRED = sorted(name for name in ENVIRONMENT if "FLOOD" not in name)

# (the variable without PORTAL_, a bad value, what must not be quoted)
BAD = [
    ("SECRET_KEY", "S3CRET", "S3CRET"),
    ("SECRET_KEY", "", ""),
    ("SECRET_KEY", KEY + "\udcff", KEY),
    ("SECRET_KEY_FALLBACKS", f"{KEY},S3CRET", "S3CRET"),
    ("DATA_KEYS", "", ""),
    ("DATA_KEYS", " , ", ""),
    ("DATA_KEYS", "S3CRETS3CRETS3CRET", "S3CRET"),
    ("DATA_KEYS", "не-ключ-S3CRET", "S3CRET"),
    ("DATA_KEYS", f"{ENVIRONMENT['PORTAL_DATA_KEYS']},S3CRET", "S3CRET"),
    ("DATABASE_URL", "portal.db", ""),
    ("DATABASE_URL", "postgresql://portal:S3CRET@db", "S3CRET"),
    ("DATABASE_URL", "postgresql://portal:12@S3CRET@db/portal", "S3CRET"),
    ("DATABASE_URL", "postgresql://portal@db:99999/portal", ""),
    ("DATABASE_URL", "postgresql://portal@a..b/portal", ""),
    ("DATABASE_URL", "postgresql://portal@db:5432,other:0/portal", ""),
    ("DATABASE_URL", "sqlite://", ""),
    ("DATABASE_URL", "sqlite:///", ""),
    ("DATABASE_URL", "sqlite:///:memory:", ""),
    ("BASE_URL", "portal.example.ru", ""),
    ("BASE_URL", "https://", ""),
    ("BASE_URL", "http://portal.example.ru", ""),
    ("BASE_URL", "http://127.0.0.1.example.ru", ""),
    ("BASE_URL", "http://10.20.0.1", ""),
    ("BASE_URL", "https://portal.example.ru/portal", ""),
    ("BASE_URL", "https://portal.example.ru?", ""),
    ("BASE_URL", "https://portal.example.ru#", ""),
    ("BASE_URL", "https://portal.example.ru\n.example.org", ""),
    ("BASE_URL", "https://portal.exa mple.ru", ""),
    ("BASE_URL", "https://u:S3CRET@portal.example.ru", "S3CRET"),
    ("BASE_URL", "https://portal.example.ru:port", ""),
    ("BASE_URL", "https://portal<x>.example.ru", ""),
    ("BASE_URL", "https://a,b.ru", ""),
    ("BASE_URL", "https://a%20b.ru", ""),
    ("BASE_URL", "https://1.2.3", ""),
    ("SECURE_NETWORKS", "", ""),
    ("SECURE_NETWORKS", "10.20.0.0/33", ""),
    ("SECURE_NETWORKS", "10.20.0.1/16", ""),
    ("SECURE_NETWORKS", "10.20.0.0/16 10.30.0.0/16", ""),
    ("SECURE_NETWORKS", "0.0.0.0/0", ""),
    ("SECURE_NETWORKS", "10.20.0.0/16,::/0", ""),
    ("SECURE_NETWORKS", "::ffff:0.0.0.0/96", ""),
    ("TRUSTED_PROXIES", "proxy.example.ru", ""),
    ("MAIL_URL", "mail.example.ru", ""),
    ("MAIL_URL", "", ""),
    ("MAIL_URL", "ftp://u:S3CRET@mail.example.ru", "S3CRET"),
    ("MAIL_URL", "smtp://u:S3CRET@", "S3CRET"),
    ("MAIL_URL", "smtp://u:S3CRET@mail.example.ru:port", "S3CRET"),
    ("MAIL_URL", "smtp://u:S3CRET", "S3CRET"),
    ("MAIL_URL", "smtp://u:S3CRET℀@mail.example.ru", "S3CRET"),
    ("MAIL_URL", "smtp://u:[S3CRET]@mail.example.ru", "S3CRET"),
    ("MAIL_URL", "smtp://u:12#S3CRET@mail.example.ru", "S3CRET"),
    ("MAIL_URL", "smtp://u:12/S3CRET@mail.example.ru", "S3CRET"),
    ("MAIL_URL", "smtp://u:12?S3CRET@mail.example.ru", "S3CRET"),
    ("MAIL_URL", "smtp://u:%D0%9FS3CRET@mail.example.ru", "S3CRET"),
    ("MAIL_URL", "smtp://u:S3CRET@mail..example.ru", "S3CRET"),
    ("MAIL_URL", f"smtp://u:S3CRET@{'a' * 64}.example.ru", "S3CRET"),
    ("MAIL_URL", "smtp://mail.example.ru:0", ""),
    ("MAIL_URL", "inbox:elsewhere", ""),
    ("MAIL_URL", "inbox://", ""),
    ("MAIL_SENDER", "po-reply", ""),
    ("MAIL_SENDER", "@", ""),
    ("MAIL_SENDER", "po-reply@", ""),
    ("MAIL_SENDER", "ответ@taho-kart.ru", ""),
    ("MAIL_SENDER", "a@taho-kart.ru, b@taho-kart.ru", ""),
    ("MAIL_SENDER", "a@taho-kart.ru\nBcc: all@taho-kart.ru", ""),
    ("SMS_URL", "smpp://portal:S3CRET@sms.example.ru", "S3CRET"),
    ("SMS_URL", "smpps://portal@sms.example.ru", ""),
    ("SMS_URL", "smpps://portal:S3CRETS3CRET@sms.example.ru", "S3CRET"),
    ("SMS_URL", "smpps://a-very-long-name:S3CRET@sms.example.ru", "S3CRET"),
    ("SMS_URL", "smpps://portal:%D0%9FS3CRET@sms.example.ru", "S3CRET"),
    ("SMS_URL", "smpps://portal:S3CRET@sms.example.ru?sender=IZKT-IZKT-IZKT-IZKT", "S3CRET"),
    ("SMS_URL", "smpps://portal:S3CRET@sms.example.ru?from=IZKT", "S3CRET"),
    ("SMS_URL", "smpps://portal:12/S3CRET@sms.example.ru", "S3CRET"),
    ("SMS_URL", "smpps://portal:S3CRET@sms.example.ru/send", "S3CRET"),
    ("SMS_URL", "smpps://portal:12?S3CRET@sms.example.ru", "S3CRET"),
    ("SMS_URL", "smsc://portal@smsc.ru", ""),
    ("SMS_URL", "smsc://portal:S3CRET@", "S3CRET"),
    ("SMS_URL", "smsc+http://portal:S3CRET@smsc.ru", "S3CRET"),
    ("SMS_FALLBACK_URL", "inbox:", ""),
    ("SMS_FALLBACK_URL", "smsc://portal@smsc.ru", ""),
    ("MAIL_FALLBACK_URL", "inbox:", ""),
    ("MAIL_FALLBACK_URL", "https://u:S3CRET@mail.example.ru", "S3CRET"),
    ("SMS_URL", "http://portal:S3CRET@sms.example.ru/send", "S3CRET"),
    ("SMS_URL", "https://portal:S3CRET@:443/send", "S3CRET"),
    ("SMS_URL", "https://portal:%D0%9FS3CRET@sms.example.ru/send", "S3CRET"),
    ("SMS_SENDER", "ИЗКТ", ""),
    ("SMS_SENDER", "IZKT-IZKT-IZKT-IZKT", ""),
    ("SMS_SENDER", "", ""),
    ("PHONE_REGIONS", "", ""),
    ("PHONE_REGIONS", "RU,Казахстан", ""),
    ("LINK_DAYS", "0", ""),
    ("LINK_DAYS", "-7", ""),
    ("LINK_DAYS", "семь", ""),
    ("LINK_DAYS", "٧", ""),
    ("LINK_DAYS", "1.5", ""),
    ("LINK_DAYS", "9" * 5000, "99999999"),
    ("CODE_MINUTES", "", ""),
    ("TRIES_PER_CODE", "1e3", ""),
    ("SUPPORT_PHONE", "8-800\x00", ""),
    ("SUPPORT_PHONE", "", ""),
    ("SUPPORT_PHONE", "+7 (800) 333-30-92, доб. 4", ""),
]


def refusal(environment: dict[str, str]) -> str:
    """The sentence that stops the start."""
    with pytest.raises(config.BadSettingError) as caught:
        config.load(environment)
    return str(caught.value)


def start(folder: Path, *arguments: str, **changed: str) -> subprocess.CompletedProcess[str]:
    """A command of the portal, with nothing of this process's own settings."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
    return subprocess.run(
        [sys.executable, "-m", "portal", *arguments],
        env=clean | ENVIRONMENT | changed,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_settings_of_the_tests_are_good() -> None:
    settings = config.load(ENVIRONMENT)
    assert settings.mail_sender == "po-reply@taho-kart.ru"
    assert settings.link_lifetime.days == 7
    assert settings.phone_regions == ("RU",)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_setting_is_named(name: str) -> None:
    environment = {other: value for other, value in ENVIRONMENT.items() if other != name}
    assert refusal(environment) == f"{name} is missing."


@pytest.mark.parametrize(("name", "value", "secret"), BAD)
def test_a_bad_value_is_named_and_no_secret_is_quoted(name: str, value: str, secret: str) -> None:
    sentence = refusal(ENVIRONMENT | {f"PORTAL_{name}": value})
    assert sentence.startswith(f"PORTAL_{name} ")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert not secret or secret not in sentence


@pytest.mark.parametrize("name", ["PORTAL_", "PORTAL_SECRET_KEYS", "PORTAL_link_days"])
def test_an_unknown_name_is_named(name: str) -> None:
    assert refusal(ENVIRONMENT | {name: "1"}) == f"{name} is not a setting of the portal."


def test_a_name_of_another_program_is_no_business_of_ours() -> None:
    config.load(ENVIRONMENT | {"HOME": "", "MY_PORTAL_THING": "1"})


@pytest.mark.parametrize("name", sorted(config.RESERVED))
def test_a_reserved_name_is_accepted(name: str) -> None:
    config.load(ENVIRONMENT | {f"PORTAL_{name}": "anything"})


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40))
def test_any_password_is_read_or_refused_in_a_sentence_without_it(password: str) -> None:
    secret = f"S3CRET{password}S3CRET"
    for name, url in (("MAIL_URL", "smtp://u:{}@h.ru:25"), ("SMS_URL", "https://u:{}@h.ru/x")):
        sentence = f"PORTAL_{name} is good"
        try:
            config.load(ENVIRONMENT | {f"PORTAL_{name}": url.format(secret)})
        except config.BadSettingError as error:
            sentence = str(error)
        assert sentence.startswith(f"PORTAL_{name} ")
        assert "S3CRET" not in sentence


@pytest.mark.parametrize("name", ["MAIL_URL", "SMS_URL"])
def test_the_inbox_is_for_this_computer_alone(name: str) -> None:
    elsewhere = ENVIRONMENT | {
        "PORTAL_BASE_URL": "https://portal.example.ru",
        "PORTAL_MAIL_URL": "smtps://mail.example.ru",
        "PORTAL_SMS_URL": "https://sms.example.ru/send",
    }
    assert not config.load(elsewhere).has_inbox
    for spelling in ("inbox:", "INBOX:"):
        sentence = refusal(elsewhere | {f"PORTAL_{name}": spelling})
        assert f"PORTAL_{name}" in sentence
        assert "only where PORTAL_BASE_URL is on this computer itself" in sentence


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "http://localhost", "http://[::1]:8000/", "HTTP://LOCALHOST"]
)
def test_plain_http_is_for_this_computer(url: str) -> None:
    settings = config.load(ENVIRONMENT | {"PORTAL_BASE_URL": url, "PORTAL_SMS_URL": url})
    assert not settings.is_https
    assert not settings.base_url.endswith("/")


def test_https_is_https_however_it_is_written() -> None:
    environment = ENVIRONMENT | {
        "PORTAL_BASE_URL": "HTTPS://Portal.Example.ru:8443/",
        "PORTAL_MAIL_URL": "SMTP://mail.example.ru",
        "PORTAL_SMS_URL": "https://sms.example.ru/send?to=all",
    }
    settings = config.load(environment)
    assert settings.is_https
    assert settings.base_url == "https://Portal.Example.ru:8443"
    assert settings.host == "portal.example.ru"
    assert settings.mail_url == "smtp://mail.example.ru"
    assert settings.sms_url == "https://sms.example.ru/send?to=all"


def test_keys_are_rotated_by_putting_a_new_one_in_front() -> None:
    other = "b3RoZXIgZW5jcnlwdCB3aXRoIHRoaXMgb25lIGtleSE="
    settings = config.load(
        ENVIRONMENT
        | {
            "PORTAL_SECRET_KEY_FALLBACKS": f" {KEY} ,",
            "PORTAL_DATA_KEYS": f"{other}, {ENVIRONMENT['PORTAL_DATA_KEYS']}",
        }
    )
    assert settings.secret_keys == (ENVIRONMENT["PORTAL_SECRET_KEY"], KEY)
    assert settings.data_keys[0].startswith(b"other")
    assert len(settings.data_keys) == 2


def test_ipv4_inside_ipv6_is_the_ipv4_network() -> None:
    environment = ENVIRONMENT | {"PORTAL_SECURE_NETWORKS": "::ffff:10.20.0.0/112, fd00::/8"}
    written = [str(network) for network in config.load(environment).secure_networks]
    assert written == ["10.20.0.0/16", "fd00::/8"]


def test_settings_do_not_show_their_secrets() -> None:
    settings = config.load(ENVIRONMENT | {"PORTAL_MAIL_URL": "smtps://u:S3CRET@mail.example.ru"})
    assert "S3CRET" not in repr(settings)
    assert ENVIRONMENT["PORTAL_SECRET_KEY"] not in repr(settings)


@pytest.mark.parametrize(
    ("command", "name", "value"),
    [
        (["serve"], "PORTAL_SECURE_NETWORKS", "0.0.0.0/0"),
        (["serve"], "PORTAL_QUESTIONS_FILE", "/proc/no/questions.toml"),
        (["serve", "--workers", "2"], "PORTAL_METRICS_FOLDER", "/proc/no"),
        (["serve"], "PORTAL_DATABASE_URL", "sqlite:////proc/no/portal.db"),
        (["deliver", "--once"], "PORTAL_MAIL_URL", "smtp://u:[S3CRET]@mail.example.ru"),
        (["journal", "verify"], "PORTAL_LINK_DAY", "7"),
        (["database", "upgrade"], "PORTAL_DATABASE_URL", "sqlite:////proc/no/portal.db"),
        (["run"], "PORTAL_SECRET_KEY", "S3CRET"),
    ],
)
def test_a_bad_setting_stops_a_command(
    tmp_path: Path, command: list[str], name: str, value: str
) -> None:
    ended = start(tmp_path, *command, **{name: value})
    assert ended.returncode == 2
    assert ended.stderr.startswith((f"portal: {name} ", f"portal: {name}: "))
    assert ended.stderr.count("\n") == 1
    assert "S3CRET" not in ended.stderr + ended.stdout


def test_a_key_is_made_before_there_are_settings(tmp_path: Path) -> None:
    ended = start(tmp_path, "keys", "new", PORTAL_SECRET_KEY="", PORTAL_DATA_KEYS="")
    key = ended.stdout.strip()
    assert ended.returncode == 0
    config.load(ENVIRONMENT | {"PORTAL_DATA_KEYS": key, "PORTAL_SECRET_KEY": key})
