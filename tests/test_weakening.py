"""Settings that would weaken the portal stop the start, unless the operator names them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from portal import config, create_app, weakening
from portal.weakening import Where
from tests.conftest import ENVIRONMENT
from tests.test_config import start

GOOD = {
    "PORTAL_BASE_URL": "https://portal.example.ru",
    "PORTAL_MAIL_URL": "smtps://portal:S3CRET@mail.example.ru",
    "PORTAL_SMS_URL": "https://portal:S3CRET@sms.example.ru/send",
}

# (what PORTAL_ALLOW calls it, the variable without PORTAL_, a value)
WEAK = [
    ("short-secret-key", "SECRET_KEY", "kJ8#mQ2!xZ7@"),
    ("short-secret-key", "SECRET_KEY", "kJ8mQ2xZ7pL4vN9rT6wY3bH5cF1dG0s"),
    ("short-secret-key", "SECRET_KEY_FALLBACKS", "kJ8#mQ2!xZ7@"),
    ("guessable-secret-key", "SECRET_KEY", "a" * 64),
    ("guessable-secret-key", "SECRET_KEY", "0123456789abcdef" * 4),
    ("guessable-secret-key", "SECRET_KEY", "abcdefghijklmnopqrstuvwxyz0123456789"),
    ("guessable-secret-key", "SECRET_KEY", "change-me: this is the key of the portal"),
    ("guessable-secret-key", "SECRET_KEY", "the secret key of an example, 32 bytes"),
    ("guessable-secret-key", "SECRET_KEY", "my very long P-a-s-s-w-o-r-d of 2026 !!!"),
    ("guessable-secret-key", "SECRET_KEY_FALLBACKS", "z" * 40),
    ("plain-http", "BASE_URL", "http://portal.example.ru"),
    ("plain-http", "BASE_URL", "http://10.20.0.1:8000"),
    ("plain-http", "OPERATIONS_URL", "http://work.example.ru"),
    ("wide-networks", "SECURE_NETWORKS", "0.0.0.0/0"),
    ("wide-networks", "SECURE_NETWORKS", "10.20.0.0/16,::/0"),
    ("wide-networks", "SECURE_NETWORKS", "::ffff:0.0.0.0/96"),
    ("wide-networks", "SECURE_NETWORKS", "0.0.0.0/1,128.0.0.0/1"),
    ("wide-networks", "SECURE_NETWORKS", "95.0.0.0/8,94.0.0.0/8"),
    ("wide-networks", "SECURE_NETWORKS", "80.0.0.0/7"),
    ("wide-networks", "SECURE_NETWORKS", "2000::/3"),
    ("wide-networks", "SECURE_NETWORKS", "2a00::/16"),
    ("wide-networks", "STAFF_NETWORKS", "2000::/3"),
    ("wide-proxies", "TRUSTED_PROXIES", "128.0.0.0/1"),
    ("wide-proxies", "TRUSTED_PROXIES", "::/0"),
    ("proxies-inside", "TRUSTED_PROXIES", "10.20.0.1/32"),
    ("proxies-inside", "TRUSTED_PROXIES", "10.0.0.0/8"),
    ("proxies-inside", "TRUSTED_PROXIES", "192.0.2.1/32,::ffff:10.20.0.0/112"),
    ("proxies-inside", "STAFF_NETWORKS", "192.0.2.0/24"),
    ("open-inbox", "MAIL_URL", "inbox:"),
    ("open-inbox", "SMS_URL", "inbox:"),
    ("plain-smtp", "MAIL_URL", "smtp://portal:S3CRET@mail.example.ru"),
    ("plain-smtp", "MAIL_URL", "smtp://portal:S3CRET@10.20.0.9"),
    ("plain-smtp", "MAIL_FALLBACK_URL", "smtp://portal:S3CRET@mail.example.ru"),
    ("plain-sms", "SMS_URL", "http://sms.example.ru/send"),
    ("plain-sms", "SMS_URL", "http://10.20.0.9/send"),
    ("plain-sms", "SMS_URL", "smpp://portal:S3CRET@sms.example.ru:2775"),
    ("plain-sms", "SMS_URL", "smpp://portal:S3CRET@203.0.114.9"),
    ("plain-sms", "SMS_FALLBACK_URL", "smpp://portal:S3CRET@sms.example.ru"),
    ("plain-database", "DATABASE_URL", "postgresql://portal:S3CRET@db.example.ru/portal"),
    ("plain-database", "DATABASE_URL", "postgresql://u@/p?hostaddr=203.0.114.9"),
    ("plain-database", "DATABASE_URL", "postgresql://u@db,203.0.114.9:5433/p?sslmode=prefer"),
    ("plain-database", "DATABASE_URL", "postgresql://u@db.example.ru/p?sslmode=require"),
    ("plain-redis", "REDIS_URL", "redis://:S3CRET@redis.example.ru"),
    ("loose-limits", "TRIES_PER_CODE", "1000"),
    ("loose-limits", "WRONG_CODES_BEFORE_PAUSE", "1000"),
    ("loose-limits", "PAUSE_MINUTES", "1"),
    ("loose-limits", "CODE_MINUTES", "1440"),
    ("loose-limits", "SESSION_IDLE_MINUTES", "10000"),
    ("loose-limits", "SESSION_HOURS", "720"),
    ("loose-limits", "RECOVERY_HOURS", "1"),
    ("loose-limits", "RECOVERY_STAFF_HOURS", "1"),
]
BESIDES = {"STAFF_NETWORKS": {"PORTAL_TRUSTED_PROXIES": "192.0.2.1/32"}}  # what it overlaps with

FINE = [
    ("SECURE_NETWORKS", "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fd00::/8,127.0.0.0/8,::1/128"),
    ("SECURE_NETWORKS", "95.0.0.0/8,2a00:1450::/32"),
    ("TRUSTED_PROXIES", "127.0.0.1/32,::1/128,192.0.2.0/24"),
    ("MAIL_URL", "smtp://mail.example.ru"),
    ("MAIL_URL", "smtp://portal:S3CRET@localhost:25"),
    ("MAIL_URL", "smtp+starttls://portal:S3CRET@mail.example.ru"),
    ("SMS_URL", "http://127.0.0.1:8080/send"),
    ("SMS_URL", "smpp://portal:S3CRET@10.20.0.9:2775"),
    ("SMS_URL", "smpp://portal:S3CRET@smsc.operator.internal"),
    ("SMS_URL", "smpp://system:S3CRET@host:2775?sender=IZKT"),
    ("SMS_URL", "smpps://portal:S3CRET@sms.example.ru"),
    ("SMS_URL", "smsc://portal:S3CRET@smsc.ru"),
    ("DATABASE_URL", "postgresql://portal@10.20.0.9,db:5433/portal"),
    ("DATABASE_URL", "postgresql://portal@/portal?host=/run/postgresql"),
    ("DATABASE_URL", "postgresql://portal:S3CRET@db.example.ru/portal?sslmode=verify-full"),
    ("REDIS_URL", "redis://:S3CRET@10.20.0.9:6379/0"),
    ("REDIS_URL", "rediss://:S3CRET@redis.example.ru/1"),
    ("SECRET_KEY", "3f7a" + "9c1e5b2d804f6a7b9c3d1e5f2a4b" + "60"),
    ("TRIES_PER_CODE", "10"),
]


def of(name: str, value: str) -> dict[str, str]:
    return ENVIRONMENT | GOOD | BESIDES.get(name, {}) | {f"PORTAL_{name}": value}


@pytest.mark.parametrize(("allowed", "name", "value"), WEAK)
def test_a_weakening_needs_its_name_and_no_other(allowed: str, name: str, value: str) -> None:
    environment = of(name, value)
    others = ",".join(other for other in weakening.NAMES if other != allowed)
    for allow in ("", others):
        with pytest.raises(config.BadSettingError) as caught:
            config.load(environment | {"PORTAL_ALLOW": allow})
        sentence = str(caught.value)
        assert sentence.endswith(f"; if it is meant, PORTAL_ALLOW has to name {allowed}.")
        assert sentence.startswith("PORTAL_")
        assert "S3CRET" not in sentence
        assert "\n" not in sentence
    meant = config.load(environment | {"PORTAL_ALLOW": f" {allowed} ,"})
    assert meant.weakened == [allowed]


def test_every_weakening_has_an_example() -> None:
    assert {allowed for allowed, _name, _value in WEAK} == set(weakening.NAMES)
    looked_at = {each.settings[0].upper() for each in weakening.TABLE}
    assert looked_at == {name for _allowed, name, _value in WEAK}


@pytest.mark.parametrize(("name", "value"), FINE)
def test_what_weakens_nothing_needs_no_name(name: str, value: str) -> None:
    assert config.load(of(name, value)).weakened == []


def test_two_weakenings_need_two_names() -> None:
    environment = of("BASE_URL", "http://portal.example.ru")
    environment |= {"PORTAL_SMS_URL": "inbox:", "PORTAL_ALLOW": "plain-http"}
    with pytest.raises(config.BadSettingError, match=r"^PORTAL_SMS_URL .* open-inbox\.$"):
        config.load(environment)
    environment["PORTAL_ALLOW"] = "open-inbox,plain-http"
    assert config.load(environment).weakened == ["open-inbox", "plain-http"]


@pytest.mark.parametrize("allow", ["everything", "plain-http,all", "*", "PLAIN-HTTP", "plain http"])
def test_a_name_that_is_none_stops_the_start(allow: str) -> None:
    with pytest.raises(config.BadSettingError, match=r"^PORTAL_ALLOW has .*none of: .*wide"):
        config.load(ENVIRONMENT | {"PORTAL_ALLOW": allow})


def test_a_name_that_is_not_needed_says_nothing() -> None:
    settings = config.load(ENVIRONMENT | {"PORTAL_ALLOW": ",".join(weakening.NAMES)})
    assert settings.weakened == []


def test_the_start_says_once_what_was_meant(environment: dict[str, str]) -> None:
    environment |= {"PORTAL_ALLOW": "wide-networks,plain-http"}
    environment |= {"PORTAL_SECURE_NETWORKS": "0.0.0.0/0"}
    with capture_logs() as said:
        create_app(config.load(environment))
    warnings = [line for line in said if line["log_level"] == "warning"]
    assert [line["by"] for line in warnings] == [["wide-networks"]]
    with capture_logs() as said:
        create_app(config.load(environment | {"PORTAL_SECURE_NETWORKS": "10.20.0.0/16"}))
    assert not said


def test_a_command_starts_with_the_name_and_not_without(tmp_path: Path) -> None:
    weak = {"PORTAL_TRUSTED_PROXIES": "10.20.0.1/32"}
    ended = start(tmp_path, "database", "upgrade", **weak)
    assert ended.returncode == 2
    assert ended.stderr.startswith("portal: PORTAL_TRUSTED_PROXIES has addresses")
    ended = start(tmp_path, "database", "upgrade", **weak, PORTAL_ALLOW="proxies-inside")
    assert ended.returncode == 0
    assert ended.stderr.count("proxies-inside") == 1


def test_the_settings_of_portal_run_weaken_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from portal import embedded

    monkeypatch.chdir(tmp_path)
    for name in [each for each in os.environ if each.startswith("PORTAL_")]:
        monkeypatch.delenv(name)
    before = dict(os.environ)
    try:
        embedded.prepare("127.0.0.1", 8000)
        assert config.load(os.environ).weakened == []
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_keys_that_the_portal_makes_are_good() -> None:
    from portal.embedded import _new_key

    keys = [_new_key() for _each in range(1000)]
    keys += [os.urandom(16).hex() for _each in range(1000)]
    assert not any(weakening.is_guessable(key) or weakening.is_short(key) for key in keys)


@pytest.mark.parametrize(
    ("host", "where"),
    [
        ("localhost", Where.HERE),
        ("LOCALHOST.", Where.HERE),
        ("127.0.0.53", Where.HERE),
        ("::1", Where.HERE),
        ("10.1.2.3", Where.NEAR),
        ("fd00::1", Where.NEAR),
        ("redis", Where.NEAR),
        ("smsc.internal", Where.NEAR),
        ("localhost.example.ru", Where.FAR),
        ("203.0.114.9", Where.FAR),
        ("2a00::1", Where.FAR),
        ("smsc.ru", Where.FAR),
        ("", Where.FAR),
        (None, Where.FAR),
    ],
)
def test_a_host_is_here_near_or_far(host: str | None, where: Where) -> None:
    assert weakening.where(host) is where


def test_the_readme_names_every_weakening() -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in weakening.NAMES)
