"""Second factors as a noun: each counts once, the last device stays, lost ones stop working."""

from __future__ import annotations

import hmac
import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import cbor2
import pyotp
import pytest
from argon2.low_level import Type, hash_secret_raw
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from portal import account, clock, config, create_app, device, journal, keys
from portal.account import Account, Role
from portal.database import db, metadata
from portal.device import Kind, Options, backup_codes
from portal.device.backup_codes import code_in
from portal.device.tables import backup_codes as code_rows
from portal.device.tables import code_sets, devices
from tests import passwords
from tests.authenticator import Authenticator, decode, encode
from tests.conftest import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask import Flask

    from tests.conftest import Time

ADDRESS = "10.20.4.17"
AT_ONCE = 20
EMPTYING = [table.delete() for table in reversed(metadata.sorted_tables)]  # compiled once each
# The secret of RFC 6238, appendix B, for SHA-1: the ASCII digits 1 to 9 and 0, twice.
RFC_SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
NEW_KEY = "bmV3ZXIga2V5IG9mIHRoZSB0ZXN0cyBmb3IgZGF0YSE="
WRONG_CODE = "0000-0000-0000-0000"


@pytest.fixture
def sokolova(app: Flask) -> Account:
    in_the_middle_of_a_step()
    return new_account("a.sokolova@sever-trakt.example")


@pytest.fixture
def orlov(app: Flask) -> Account:
    return new_account("p.orlov@sever-trakt.example")


def new_account(email: str) -> Account:
    created: Account = act(
        account.create, email, Role.SPECIALIST, None, "Анна Соколова", "", "tests"
    )
    return created


@db.again
def act(verb: Callable[..., Any], *arguments: object, **named: object) -> Any:
    """One step in a transaction of its own, as a request takes it."""
    with db.writing():
        outcome = verb(*arguments, **named)
        db.commit()
    return outcome


def at_once(verb: Callable[..., Any], *arguments: object, times: int = AT_ONCE) -> Counter[Any]:
    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(lambda _: act(verb, *arguments), range(times)))


def move_to(moment: datetime) -> None:
    clock.shift(moment - clock.now())


def in_the_middle_of_a_step() -> None:
    """So that none begins while a test runs."""
    clock.shift(timedelta(seconds=(15 - clock.now().timestamp()) % 30))


def digits(secret: str, offset: int = 0) -> str:
    return pyotp.TOTP(secret).at(clock.now(), counter_offset=offset)


def with_app(owner: Account) -> str:
    """An authenticator app, enrolled by the code of the step before this one."""
    secret = device.new_secret()
    assert act(device.add_totp, owner, secret, digits(secret, -1), "", ADDRESS)
    return secret


def with_passkey(owner: Account, **knobs: Any) -> Authenticator:
    authenticator = Authenticator(**knobs)
    asked = act(device.registration_options, owner)
    answer = authenticator.register(asked.json)
    assert act(device.add_passkey, owner, answer, asked.challenge, "", ADDRESS)
    return authenticator


def with_codes(owner: Account) -> list[str]:
    made = act(device.make_codes, owner)
    assert act(device.prove_codes, owner, made.set_id, made.codes[0], ADDRESS)
    codes: list[str] = made.codes
    return codes


def ask(owner: Account) -> Options:
    with db.reading():
        return device.authentication_options(owner.id)


def devices_of(owner: Account) -> list[device.Device]:
    with db.reading():
        return device.devices_of(owner.id)


def left(owner: Account) -> int:
    with db.reading():
        return device.codes_left(owner.id).count


def lines(owner: Account) -> list[str]:
    with db.reading():
        events = db.all(journal.events.select().order_by(journal.events.c.id))
    return [row.name for row in events if row.chain == owner.chain][1:]


# Authenticator apps


@pytest.mark.parametrize(
    ("seconds", "code"),
    [  # RFC 6238, appendix B, SHA-1: the last six of eight digits
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ],
)
def test_codes_are_those_of_the_standard(orlov: Account, seconds: int, code: str) -> None:
    move_to(datetime.fromtimestamp(seconds, UTC))
    for typed in (code, f" {code[:3]} {code[3:]} "):
        assert act(device.add_totp, orlov, RFC_SECRET, typed, "", ADDRESS)
    clock.shift(timedelta(seconds=90))
    assert not act(device.add_totp, orlov, RFC_SECRET, code, "", ADDRESS)


@pytest.mark.parametrize(
    ("offset", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)]
)
def test_a_clock_may_be_one_step_off(
    sokolova: Account, time: Time, offset: int, taken: bool
) -> None:
    secret = with_app(sokolova)
    time.passes(minutes=5)
    assert act(device.take_totp, sokolova.id, digits(secret, offset)) is taken


def test_a_code_counts_once(sokolova: Account) -> None:
    secret = with_app(sokolova)
    assert act(device.take_totp, sokolova.id, digits(secret))
    assert not act(device.take_totp, sokolova.id, digits(secret))


def test_an_older_step_does_not_count_after_a_newer_one(sokolova: Account, time: Time) -> None:
    secret = with_app(sokolova)
    time.passes(minutes=5)
    assert act(device.take_totp, sokolova.id, digits(secret, 1))
    assert not act(device.take_totp, sokolova.id, digits(secret))
    assert not act(device.take_totp, sokolova.id, digits(secret, -1))


def test_the_code_that_enrolled_an_app_is_used_up(sokolova: Account) -> None:
    secret = with_app(sokolova)
    assert not act(device.take_totp, sokolova.id, digits(secret, -1))


def test_of_twenty_codes_at_once_one_is_taken(sokolova: Account) -> None:
    secret = with_app(sokolova)
    assert at_once(device.take_totp, sokolova.id, digits(secret)) == {True: 1, False: AT_ONCE - 1}


def test_digits_that_two_steps_share_count_once(
    sokolova: Account, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_app(sokolova)
    time.passes(minutes=5)
    now = int(clock.now().timestamp()) // 30
    monkeypatch.setattr(
        pyotp.TOTP, "generate_otp", lambda _, step: "111111" if abs(step - now) == 1 else "222222"
    )
    assert act(device.take_totp, sokolova.id, "111111")
    assert not act(device.take_totp, sokolova.id, "111111")
    time.passes(seconds=60)
    assert not act(device.take_totp, sokolova.id, "111111")


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "١٢٣٤٥٦", "12345a", "1" * 5000, "\0"])
def test_what_is_no_code_is_a_wrong_one(sokolova: Account, typed: str) -> None:
    secret = with_app(sokolova)
    assert not act(device.add_totp, sokolova, secret, typed, "", ADDRESS)
    assert not act(device.take_totp, sokolova.id, typed)


def test_who_has_no_app_has_no_code(sokolova: Account, orlov: Account) -> None:
    secret = with_app(orlov)
    assert not act(device.take_totp, sokolova.id, digits(secret))


def test_the_old_app_is_dropped_only_when_the_new_one_proved_itself(
    sokolova: Account, time: Time
) -> None:
    old, new = with_app(sokolova), device.new_secret()
    assert not act(device.add_totp, sokolova, new, digits(old), "", ADDRESS)
    assert act(device.take_totp, sokolova.id, digits(old))
    time.passes(seconds=60)
    assert act(device.add_totp, sokolova, new, digits(new, -1), "Телефон", ADDRESS)
    assert not act(device.take_totp, sokolova.id, digits(old))
    assert act(device.take_totp, sokolova.id, digits(new))
    assert [each.name for each in devices_of(sokolova)] == ["Телефон"]
    assert lines(sokolova) == ["device.added", "device.dropped", "device.added"]


def test_enrolling_an_app_twice_changes_nothing(sokolova: Account) -> None:
    secret = with_app(sokolova)
    app = devices_of(sokolova)[0].id
    assert act(device.take_totp, sokolova.id, digits(secret))
    assert act(device.add_totp, sokolova, secret, digits(secret, -1), "", ADDRESS) == app
    assert not act(device.take_totp, sokolova.id, digits(secret)), "it is still used up"
    assert lines(sokolova) == ["device.added"]


def test_the_picture_says_what_the_app_needs_and_has_no_style(app: Flask) -> None:
    secret = device.new_secret()
    uri = device.provisioning_uri(secret, "a.sokolova@sever-trakt.example")
    read = pyotp.parse_uri(uri)
    assert (read.secret, read.name) == (secret, "a.sokolova@sever-trakt.example")
    assert read.issuer == "IZKT"
    svg = device.qr_svg(uri)
    assert svg.startswith("<svg viewBox=")
    assert not re.search(r"style|class|width=|height=|sokolova", svg)


def test_a_secret_is_shown_in_groups_of_four(app: Flask) -> None:
    assert device.grouped(RFC_SECRET) == "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"
    assert re.fullmatch(r"([A-Z2-7]{4} ){7}[A-Z2-7]{4}", device.grouped(device.new_secret()))


# Passkeys


def test_a_passkey_is_asked_for_with_user_verification(sokolova: Account) -> None:
    authenticator = with_passkey(sokolova)
    with db.reading():
        asked = device.registration_options(sokolova)
    options = json.loads(asked.json)
    assert options["rp"] == {"id": "localhost", "name": "IZKT"}
    assert decode(options["user"]["id"]) == sokolova.id.encode()
    assert decode(options["challenge"]) == asked.challenge
    assert len(asked.challenge) >= 32
    assert options["attestation"] == "none"
    selection = options["authenticatorSelection"]
    assert (selection["residentKey"], selection["userVerification"]) == ("preferred", "required")
    known = [encode(each.id) for each in authenticator.passkeys]
    assert [each["id"] for each in options["excludeCredentials"]] == known
    options = json.loads(ask(sokolova).json)
    assert options["userVerification"] == "required"
    assert [each["id"] for each in options["allowCredentials"]] == known
    assert options["rpId"] == "localhost"


def test_a_passkey_signs_in(sokolova: Account) -> None:
    authenticator = with_passkey(sokolova)
    for _ in range(2):
        asked = ask(sokolova)
        assert act(
            device.take_passkey, sokolova.id, authenticator.sign(asked.json), asked.challenge
        )


def test_a_passkey_without_a_counter_signs_in(sokolova: Account) -> None:
    authenticator = with_passkey(sokolova, counts=False)
    for _ in range(2):
        asked = ask(sokolova)
        assert act(
            device.take_passkey, sokolova.id, authenticator.sign(asked.json), asked.challenge
        )


def test_a_counter_has_32_bits(sokolova: Account) -> None:
    authenticator = with_passkey(sokolova)
    for count in (2**31, 2**32 - 1):
        asked = ask(sokolova)
        signed = authenticator.sign(asked.json, count=count)
        assert act(device.take_passkey, sokolova.id, signed, asked.challenge)


BAD_SIGNATURES: dict[str, dict[str, Any]] = {
    "the address in place of localhost": {"origin": "http://127.0.0.1:8000"},
    "another origin": {"origin": "https://portal.example.ru"},
    "another port": {"origin": "http://localhost:8001"},
    "an origin that begins like ours": {"origin": "http://localhost:8000.example.ru"},
    "another host": {"rp_id": "portal.example.ru"},
    "nobody verified": {"verifies": False},
    "another challenge": {"challenge": b"x" * 64},
    "a counter that stands": {"count": 3},
    "a counter that went back": {"count": 1},
    "a counter of none": {"count": 0},
    "another user": {"user": b"somebody else"},
    "another key": {"with_key": ...},
}


@pytest.mark.parametrize("knobs", BAD_SIGNATURES.values(), ids=BAD_SIGNATURES)
def test_a_bad_signature_is_refused(
    sokolova: Account, orlov: Account, knobs: dict[str, Any]
) -> None:
    authenticator = with_passkey(sokolova)
    if "with_key" in knobs:  # a real one, of somebody else
        knobs = {"with_key": with_passkey(orlov).passkeys[0].key}
    for _ in range(3):
        asked = ask(sokolova)
        assert act(
            device.take_passkey, sokolova.id, authenticator.sign(asked.json), asked.challenge
        )
    asked = ask(sokolova)
    bad = authenticator.sign(asked.json, **knobs)
    assert not act(device.take_passkey, sokolova.id, bad, asked.challenge)
    good = authenticator.sign(asked.json)
    assert act(device.take_passkey, sokolova.id, good, asked.challenge)


def test_a_passkey_of_another_account_is_refused(sokolova: Account, orlov: Account) -> None:
    with_passkey(sokolova)
    others = with_passkey(orlov)
    asked = ask(sokolova)
    for user in (orlov.id.encode(), sokolova.id.encode(), b""):
        answer = others.sign(asked.json, passkey=others.passkeys[0], user=user)
        assert not act(device.take_passkey, sokolova.id, answer, asked.challenge)


def test_a_replayed_answer_is_refused(sokolova: Account) -> None:
    authenticator = with_passkey(sokolova)
    asked = ask(sokolova)
    answer = authenticator.sign(asked.json)
    assert act(device.take_passkey, sokolova.id, answer, asked.challenge)
    assert not act(device.take_passkey, sokolova.id, answer, asked.challenge)
    assert not act(device.take_passkey, sokolova.id, answer, ask(sokolova).challenge)


def test_of_twenty_signatures_at_once_one_is_taken(sokolova: Account) -> None:
    authenticator = with_passkey(sokolova)
    asked = ask(sokolova)
    answer = authenticator.sign(asked.json)
    outcomes = at_once(device.take_passkey, sokolova.id, answer, asked.challenge)
    assert outcomes == {True: 1, False: AT_ONCE - 1}


def test_a_dropped_passkey_is_refused_and_forgotten(sokolova: Account) -> None:
    with_app(sokolova)
    authenticator = with_passkey(sokolova)
    asked = ask(sokolova)
    assert act(device.drop, sokolova, devices_of(sokolova)[1].id, ADDRESS)
    answer = authenticator.sign(asked.json)
    assert not act(device.take_passkey, sokolova.id, answer, asked.challenge)
    with db.reading():
        row = next(row for row in db.all(devices.select()) if row.kind == "passkey")
    assert (row.credential_id, row.public_key) == (None, None)


@pytest.mark.parametrize(
    "knobs",
    [
        {"origin": "http://127.0.0.1:8000"},
        {"origin": "https://portal.example.ru"},
        {"rp_id": "portal.example.ru"},
        {"verifies": False},
        {"challenge": b"x" * 64},
        {"id": b"x" * 1024},
    ],
    ids=lambda knobs: next(iter(knobs)),
)
def test_a_bad_registration_is_refused(sokolova: Account, knobs: dict[str, Any]) -> None:
    with db.reading():
        asked = device.registration_options(sokolova)
    answer = Authenticator().register(asked.json, **knobs)
    assert not act(device.add_passkey, sokolova, answer, asked.challenge, "", ADDRESS)
    assert devices_of(sokolova) == []
    assert lines(sokolova) == []


def test_a_passkey_is_registered_once(sokolova: Account, orlov: Account) -> None:
    known = with_passkey(orlov).passkeys[0].id
    for owner in (sokolova, orlov):
        with db.reading():
            asked = device.registration_options(owner)
        answer = Authenticator().register(asked.json, id=known, ignores_excluded=True)
        assert not act(device.add_passkey, owner, answer, asked.challenge, "", ADDRESS)
    assert devices_of(sokolova) == []


def test_a_registration_is_no_signature_and_the_other_way_round(sokolova: Account) -> None:
    authenticator = with_passkey(sokolova)
    asked, wanted = ask(sokolova), act(device.registration_options, sokolova)
    signed = authenticator.sign(asked.json)
    registered = Authenticator().register(wanted.json)
    assert not act(device.add_passkey, sokolova, signed, asked.challenge, "", ADDRESS)
    assert not act(device.take_passkey, sokolova.id, registered, wanted.challenge)


RUBBISH = [
    "",
    "{",
    "null",
    "[]",
    '"text"',
    "1e999",
    "{}",
    '{"id": 1}',
    "[" * 50_000,
    '{"a":' * 20_000,
    "\ud800",
    "\0",
]


@pytest.mark.parametrize("answer", RUBBISH, ids=lambda text: ascii(text[:10]))
def test_rubbish_is_a_wrong_answer(sokolova: Account, answer: str) -> None:
    with_passkey(sokolova)
    challenge = ask(sokolova).challenge
    assert act(device.take_passkey, sokolova.id, answer, challenge) is False
    assert act(device.add_passkey, sokolova, answer, challenge, "", ADDRESS) is None


SPOILT: list[object] = [
    None,
    1,
    "",
    "é",
    "=",
    "AAAA",
    [],
    {},
    encode(b"null"),
    encode(b'{"type": 1}'),
]


def test_a_spoilt_answer_is_a_wrong_answer(sokolova: Account) -> None:
    """Every value of a good answer, replaced by values that are none."""
    authenticator = with_passkey(sokolova)
    asked, wanted = ask(sokolova), act(device.registration_options, sokolova)
    signed = json.loads(authenticator.sign(asked.json))
    registered = json.loads(Authenticator().register(wanted.json))
    deep = encode(b"\x81" * 20_000)  # CBOR: a list of a list of a list …
    huge = encode(cbor2.dumps({"fmt": "packed", "attStmt": {"x5c": [b""]}, "authData": b"\0" * 37}))
    for answer, names in (
        (signed, ["clientDataJSON", "authenticatorData", "signature"]),
        (registered, ["clientDataJSON", "attestationObject"]),
    ):
        for name in names:
            for value in [*SPOILT, deep, huge]:
                spoilt = json.dumps(answer | {"response": answer["response"] | {name: value}})
                assert not act(device.take_passkey, sokolova.id, spoilt, asked.challenge)
                assert not act(device.add_passkey, sokolova, spoilt, wanted.challenge, "", ADDRESS)
        for name in ("id", "rawId", "response", "type"):
            for value in SPOILT:
                spoilt = json.dumps(answer | {name: value})
                assert not act(device.take_passkey, sokolova.id, spoilt, asked.challenge)
                assert not act(device.add_passkey, sokolova, spoilt, wanted.challenge, "", ADDRESS)
    assert act(device.take_passkey, sokolova.id, json.dumps(signed), asked.challenge)


HTTPS = {"PORTAL_MAIL_URL": "smtps://mail.example.ru", "PORTAL_SMS_URL": "https://sms.example.ru"}


@pytest.mark.parametrize(
    ("base_url", "origin", "hosts", "others"),
    [
        (
            "http://127.0.0.1:8000",
            "http://localhost:8000",
            ["localhost:8000", "localhost", "LOCALHOST"],
            ["127.0.0.1:8000", "[::1]:8000", "", "portal.example.ru"],
        ),
        ("http://[::1]:8000", "http://localhost:8000", ["localhost:8000"], ["[::1]:8000"]),
        ("http://localhost", "http://localhost", ["localhost"], ["127.0.0.1"]),
        (
            "HTTPS://Portal.Example.ru:443",
            "https://portal.example.ru",
            ["portal.example.ru", "PORTAL.example.ru:443"],
            ["www.portal.example.ru", "portal.example.ru.", "example.ru", "[", "localhost"],
        ),
        ("https://portal.example.ru:8443", "https://portal.example.ru:8443", [], ["10.20.0.5"]),
        ("https://10.20.0.5", "https://10.20.0.5", [], ["10.20.0.5", "localhost"]),
    ],
)
def test_passkeys_work_at_the_name_of_the_portal_and_at_no_address(
    app: Flask, base_url: str, origin: str, hosts: list[str], others: list[str]
) -> None:
    config.use(config.load(ENVIRONMENT | HTTPS | {"PORTAL_BASE_URL": base_url}))
    assert device.origin() == origin
    assert [host for host in hosts + others if device.works_at(host)] == hosts


# Backup codes


TYPED = "ABEK-MHPC-TYX0-1345"
CYRILLIC = "АВЕК-МНРС-ТУХО-ІЗ45"
PLAIN = "ABEKMHPCTYX01345"


@pytest.mark.parametrize(
    "typed",
    [
        TYPED,
        PLAIN,
        TYPED.lower(),
        CYRILLIC,
        CYRILLIC.lower(),
        "  abek\u00a0mhpc\ttyx0\u20111345\r\n",
        "ABEK\u2010MHPC\u2013TYX0\u20141345",
        "ABEK\u2212MHPC\u00adTYX0\u200b1345",
        "A-B-E-K M-H-P-C T-Y-X-0 1-3-4-5",
    ],
)
def test_case_blanks_hyphens_and_cyrillic_are_forgiven(typed: str) -> None:
    assert code_in(typed) == PLAIN


@pytest.mark.parametrize(
    ("alike", "meant"),
    [
        *[("0OoОо", "0"), ("1IiLlІі", "1"), ("3Зз", "3"), ("VvUu", "V")],
        *[("AaАа", "A"), ("BbВв", "B"), ("EeЕе", "E"), ("KkКк", "K"), ("MmМм", "M")],
        *[("HhНн", "H"), ("PpРр", "P"), ("CcСс", "C"), ("TtТт", "T"), ("YyУу", "Y")],
        ("XxХх", "X"),
    ],
)
def test_what_looks_alike_is_the_same(alike: str, meant: str) -> None:
    for sign in alike:
        assert code_in(sign * 16) == meant * 16


@pytest.mark.parametrize(
    "typed",
    [
        "",
        PLAIN[1:],
        PLAIN + "5",
        *(PLAIN[1:] + sign for sign in "ЖЁЛЯ٥_.?*\0\ud800"),
        "-" * 99 + TYPED,
    ],
)
def test_what_has_no_form_of_a_code_is_none(typed: str) -> None:
    assert code_in(typed) is None


def test_ten_codes_of_eighty_bits_are_made(sokolova: Account) -> None:
    codes = [code for _ in range(20) for code in act(device.make_codes, sokolova).codes]
    assert len(set(codes)) == 200
    for code in codes:
        assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}", code)
    assert set("".join(codes)) == {*backup_codes.ALPHABET, "-"}
    assert len(backup_codes.ALPHABET) == 32


def test_a_code_is_at_rest_what_is_promised(
    sokolova: Account, everything_stored: Callable[[], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Argon2id, 19 MiB, two passes, one lane, over a key that is not in the database."""
    monkeypatch.setattr(backup_codes, "MEMORY_KIB", passwords.OWN_MEMORY_KIB)
    codes = with_codes(sokolova)
    with db.reading():
        salt = db.one(code_sets.select()).salt
        seals = [row.seal for row in db.all(code_rows.select().order_by(code_rows.c.id))]
    pepper = keys.derive(config.settings.data_keys[0], "backup codes")
    peppered = hmac.digest(pepper, codes[3].replace("-", "").encode(), "sha256")
    assert seals[3] == hash_secret_raw(peppered, salt, 2, 19 * 1024, 1, 32, Type.ID)
    assert len(salt) == 16
    stored = everything_stored()
    for code in codes:
        assert code.encode() not in stored
        assert code.replace("-", "").encode() not in stored


def test_new_codes_open_nothing_until_one_was_typed_back(sokolova: Account) -> None:
    old = with_codes(sokolova)
    made = act(device.make_codes, sokolova)
    assert act(device.take_code, sokolova, made.codes[0], ADDRESS) is None
    assert left(sokolova) == 10
    assert not act(device.prove_codes, sokolova, made.set_id, old[1], ADDRESS)
    assert act(device.take_code, sokolova, old[0], ADDRESS)
    assert act(device.prove_codes, sokolova, made.set_id, made.codes[9].lower(), ADDRESS)
    assert act(device.take_code, sokolova, old[1], ADDRESS) is None
    assert left(sokolova) == 10, "typing back spends none"
    assert act(device.take_code, sokolova, made.codes[9], ADDRESS)


def test_codes_of_another_account_are_worth_nothing(sokolova: Account, orlov: Account) -> None:
    codes, made = with_codes(orlov), act(device.make_codes, orlov)
    assert act(device.take_code, sokolova, codes[0], ADDRESS) is None
    assert not act(device.prove_codes, sokolova, made.set_id, made.codes[0], ADDRESS)
    assert not act(device.prove_codes, sokolova, "x" * 22, made.codes[0], ADDRESS)
    with_codes(sokolova)
    assert act(device.take_code, sokolova, codes[0], ADDRESS) is None
    assert act(device.take_code, orlov, codes[0], ADDRESS)


def test_proving_a_set_twice_changes_nothing(sokolova: Account) -> None:
    made = act(device.make_codes, sokolova)
    assert act(device.prove_codes, sokolova, made.set_id, made.codes[0], ADDRESS)
    assert act(device.take_code, sokolova, made.codes[1], ADDRESS)
    assert act(device.prove_codes, sokolova, made.set_id, made.codes[0], ADDRESS)
    assert left(sokolova) == 9, "nobody said that the new one was written down"
    assert lines(sokolova) == ["codes.made", "code.used"]


def test_an_offer_is_dead_once_another_was_proved(sokolova: Account) -> None:
    first, second = (act(device.make_codes, sokolova) for _ in range(2))
    assert act(device.prove_codes, sokolova, second.set_id, second.codes[0], ADDRESS)
    assert not act(device.prove_codes, sokolova, first.set_id, first.codes[0], ADDRESS)


def test_a_spent_code_is_replaced_at_once(sokolova: Account) -> None:
    codes = with_codes(sokolova)
    replacement = act(device.take_code, sokolova, codes[0], ADDRESS)
    assert replacement not in codes
    assert act(device.take_code, sokolova, codes[0], ADDRESS) is None
    assert act(device.take_code, sokolova, replacement, ADDRESS)
    assert lines(sokolova) == ["codes.made", "code.used", "code.used"]


def test_only_codes_that_were_written_down_are_counted(sokolova: Account) -> None:
    assert left(sokolova) == 0
    codes = with_codes(sokolova)
    for spent in range(1, 8):
        assert act(device.take_code, sokolova, codes[spent], ADDRESS)
        with db.reading():
            now = device.codes_left(sokolova.id)
        assert now.count == 10 - spent
        assert now.are_few is (spent == 7)
        assert now.made_at
    act(device.keep_replacement, sokolova.id)
    assert left(sokolova) == 4, "the last one, for the others were not seen any more"
    act(device.keep_replacement, sokolova.id)
    assert left(sokolova) == 4


def test_keeping_a_replacement_keeps_no_offered_set(sokolova: Account) -> None:
    codes = with_codes(sokolova)
    assert act(device.take_code, sokolova, codes[0], ADDRESS)
    made = act(device.make_codes, sokolova)
    act(device.keep_replacement, sokolova.id)
    assert left(sokolova) == 10
    assert act(device.take_code, sokolova, made.codes[0], ADDRESS) is None


def test_of_twenty_tries_at_once_one_spends_a_code(sokolova: Account) -> None:
    codes = with_codes(sokolova)
    outcomes = at_once(device.take_code, sokolova, codes[0], ADDRESS)
    assert outcomes.pop(None) == AT_ONCE - 1
    assert list(outcomes.values()) == [1]
    assert left(sokolova) == 9


def test_codes_outlive_a_rotated_data_key(sokolova: Account, environment: dict[str, str]) -> None:
    codes = with_codes(sokolova)
    old_key = environment["PORTAL_DATA_KEYS"]
    config.use(config.load(environment | {"PORTAL_DATA_KEYS": f"{NEW_KEY},{old_key}"}))
    replacement = act(device.take_code, sokolova, codes[0], ADDRESS)
    assert replacement
    config.use(config.load(environment | {"PORTAL_DATA_KEYS": NEW_KEY}))
    assert act(device.take_code, sokolova, codes[1], ADDRESS) is None
    assert act(device.take_code, sokolova, replacement, ADDRESS), "made with the newer key"


def test_what_has_no_form_of_a_code_takes_as_long(
    sokolova: Account, orlov: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_codes(sokolova)
    worked = []

    def count(*arguments: Any, **named: Any) -> bytes:
        worked.append(1)
        return hash_secret_raw(*arguments, **named)

    monkeypatch.setattr(backup_codes, "hash_secret_raw", count)
    for owner, typed in ((sokolova, WRONG_CODE), (sokolova, ""), (sokolova, "Ж"), (orlov, "x")):
        assert act(device.take_code, owner, typed, ADDRESS) is None
    assert len(worked) == 4


# Devices


def test_devices_are_listed_by_their_names_oldest_first(sokolova: Account, time: Time) -> None:
    with db.reading():
        assert device.first_added_at(sokolova.id) is None
        assert not device.has_device(sokolova.id)
    secret = with_app(sokolova)
    time.passes(minutes=1)
    with_passkey(sokolova)
    assert act(device.take_totp, sokolova.id, digits(secret))
    app, passkey = devices_of(sokolova)
    assert (app.kind, app.name) == (Kind.TOTP, "")
    assert (passkey.kind, passkey.name) == (Kind.PASSKEY, "")
    assert app.used_at
    assert not passkey.used_at
    assert act(device.drop, sokolova, app.id, ADDRESS)
    with db.reading():
        assert device.has_device(sokolova.id)
        assert device.first_added_at(sokolova.id) == app.added_at


def test_a_name_is_sixty_characters_at_most(sokolova: Account) -> None:
    secret = device.new_secret()
    assert act(device.add_totp, sokolova, secret, digits(secret), "  " + "ё" * 61, ADDRESS)
    assert devices_of(sokolova)[0].name == "ё" * 60


def test_the_last_device_stays(sokolova: Account, orlov: Account) -> None:
    secret = with_app(sokolova)
    app = devices_of(sokolova)[0]
    assert not act(device.drop, sokolova, app.id, ADDRESS)
    with_passkey(sokolova)
    passkey = devices_of(sokolova)[1]
    with_app(orlov)
    with_passkey(orlov)
    assert not act(device.drop, orlov, app.id, ADDRESS), "it is another's"
    assert act(device.drop, sokolova, app.id, ADDRESS)
    assert not act(device.drop, sokolova, app.id, ADDRESS)
    assert not act(device.drop, sokolova, passkey.id, ADDRESS)
    assert not act(device.take_totp, sokolova.id, digits(secret))
    with db.reading():
        row = next(row for row in db.all(devices.select()) if row.id == app.id)
    assert row.secret is None


def test_of_two_last_devices_dropped_at_once_one_stays(sokolova: Account) -> None:
    for _ in range(5):
        with_app(sokolova)
        with_passkey(sokolova)
        ids = [each.id for each in devices_of(sokolova)]
        with ThreadPoolExecutor(len(ids)) as pool:
            outcomes = pool.map(lambda each: act(device.drop, sokolova, each, ADDRESS), ids)
        assert Counter(outcomes)[False] == 1
        assert len(devices_of(sokolova)) == 1


def test_what_was_lost_stops_working(sokolova: Account, time: Time) -> None:
    passkey, codes = with_passkey(sokolova), with_codes(sokolova)
    offered = act(device.make_codes, sokolova)
    time.passes(days=1)
    secret = device.new_secret()
    new = act(device.add_totp, sokolova, secret, digits(secret, -1), "", ADDRESS)
    act(device.drop_all, sokolova, ADDRESS, but=new)
    asked = ask(sokolova)
    answer = passkey.sign(asked.json, passkey=passkey.passkeys[0])
    assert not act(device.take_passkey, sokolova.id, answer, asked.challenge)
    assert act(device.take_code, sokolova, codes[0], ADDRESS) is None
    assert not act(device.prove_codes, sokolova, offered.set_id, offered.codes[0], ADDRESS)
    assert act(device.take_totp, sokolova.id, digits(secret))
    assert [each.id for each in devices_of(sokolova)] == [new]
    assert left(sokolova) == 0
    codes = with_codes(sokolova)
    act(device.drop_all, sokolova, ADDRESS, but=new)
    assert left(sokolova) == 10, "codes made since the new device stay"


def test_everything_is_dropped_once_and_of_nobody_else(sokolova: Account, orlov: Account) -> None:
    with_app(sokolova)
    with_passkey(sokolova)
    with_codes(sokolova)
    with_app(orlov)
    act(device.drop_all, sokolova, ADDRESS, but="of nobody")
    assert devices_of(sokolova) == []
    assert left(sokolova) == 0
    assert len(devices_of(orlov)) == 1
    act(device.drop_all, sokolova, ADDRESS, but="of nobody")
    assert lines(sokolova)[-4:] == [
        *("codes.made", "device.dropped", "device.dropped", "codes.dropped")
    ]
    with db.reading():
        rows = db.all(journal.events.select().order_by(journal.events.c.id))
        assert journal.first_broken_line() is None
    assert {row.actor for row in rows if row.name.endswith(".dropped")} == {sokolova.id}


def test_the_journal_and_the_database_say_no_secret(
    sokolova: Account, everything_stored: Callable[[], bytes]
) -> None:
    secret = device.new_secret()
    assert act(device.add_totp, sokolova, secret, digits(secret), "Телефон Анны", ADDRESS)
    codes = with_codes(sokolova)
    act(device.take_code, sokolova, codes[0], ADDRESS)
    stored = everything_stored()
    for text in (secret, "Телефон", "sokolova", *codes):
        assert text.encode() not in stored


# Any order of steps


def _wrong_for(secret: str) -> str:
    """The code of another app, that is none of this one by chance."""
    right = {digits(secret, offset) for offset in (-1, 0, 1)}
    while (typed := digits(device.new_secret())) in right:
        pass
    return typed


class Walk(RuleBasedStateMachine):
    """Any steps in any order; what must hold, holds after each."""

    app: Flask

    @initialize()
    def begin(self) -> None:
        self.context = self.app.app_context()
        self.context.push()
        with db.writing():
            for rows in EMPTYING:
                db.execute(rows)
            db.commit()
        in_the_middle_of_a_step()
        self.owner = new_account("a.sokolova@sever-trakt.example")
        self.secret: str | None = None
        self.last_step = 0
        self.used: list[str] = []  # codes of apps, which never count again
        self.keys: dict[str, Authenticator] = {}
        self.codes: dict[str, bool] = {}  # those that work, and whether they are written down
        self.dead: list[str] = []  # spent, or of a set that was dropped
        self.newest: str | None = None
        self.offered: device.NewCodes | None = None

    def teardown(self) -> None:
        clock.reset()
        self.context.pop()

    @rule(right=st.booleans())
    def add_app(self, *, right: bool) -> None:
        secret = device.new_secret()
        typed = digits(secret) if right else _wrong_for(secret)
        assert bool(act(device.add_totp, self.owner, secret, typed, "", ADDRESS)) is right
        if right:
            self.secret, self.last_step = secret, self.step_of(0)
            self.used.append(typed)

    @precondition(lambda self: len(self.keys) < 3)
    @rule()
    def add_key(self) -> None:
        known = {each.id for each in devices_of(self.owner)}
        authenticator = with_passkey(self.owner)
        added = {each.id for each in devices_of(self.owner)} - known
        self.keys[added.pop()] = authenticator

    @rule(which=st.integers(0, 3))
    def drop(self, which: int) -> None:
        there = devices_of(self.owner)
        if not there:
            return
        chosen = there[which % len(there)]
        assert act(device.drop, self.owner, chosen.id, ADDRESS) is (len(there) > 1)
        if len(there) > 1:
            self.keys.pop(chosen.id, None)
            if chosen.kind is Kind.TOTP:
                self.secret = None

    @rule(offset=st.integers(-2, 2))
    def take_from_app(self, offset: int) -> None:
        if self.secret is None:
            return
        typed = digits(self.secret, offset)
        # By chance another step has the same digits.
        steps = [each for each in (-1, 0, 1) if digits(self.secret, each) == typed]
        fits = bool(steps) and self.step_of(max(steps)) > self.last_step
        assert act(device.take_totp, self.owner.id, typed) is fits
        if fits:
            self.last_step = self.step_of(max(steps))
            self.used.append(typed)

    @precondition(lambda self: self.used)
    @rule(which=st.integers(0, 50))
    def take_a_used_one(self, which: int) -> None:
        typed = self.used[which % len(self.used)]
        assert not act(device.take_totp, self.owner.id, typed)

    @precondition(lambda self: self.keys)
    @rule(which=st.integers(0, 3), verifies=st.booleans())
    def take_from_key(self, which: int, *, verifies: bool) -> None:
        authenticator = list(self.keys.values())[which % len(self.keys)]
        asked = ask(self.owner)
        answer = authenticator.sign(asked.json, verifies=verifies)
        assert act(device.take_passkey, self.owner.id, answer, asked.challenge) is verifies
        assert not act(device.take_passkey, self.owner.id, answer, asked.challenge)

    @rule()
    def make_codes(self) -> None:
        if self.offered:
            self.dead += self.offered.codes
        self.offered = act(device.make_codes, self.owner)

    @precondition(lambda self: self.offered)
    @rule(right=st.booleans())
    def prove_codes(self, *, right: bool) -> None:
        assert self.offered
        typed = self.offered.codes[4] if right else WRONG_CODE
        outcome = act(device.prove_codes, self.owner, self.offered.set_id, typed, ADDRESS)
        assert outcome is right
        if right:
            self.dead += self.codes
            self.codes = dict.fromkeys(self.offered.codes, True)
            self.offered = self.newest = None

    @rule(which=st.integers(0, 50), works=st.booleans())
    def take_code(self, which: int, *, works: bool) -> None:
        offered = self.offered.codes if self.offered else []
        among = list(self.codes) if works else [*self.dead, *offered, WRONG_CODE]
        if not among:
            return
        typed = among[which % len(among)]
        replacement = act(device.take_code, self.owner, typed.lower(), ADDRESS)
        assert bool(replacement) is works
        if works:
            del self.codes[typed]
            self.dead.append(typed)
            self.codes[replacement], self.newest = False, replacement

    @rule()
    def keep_replacement(self) -> None:
        act(device.keep_replacement, self.owner.id)
        if self.newest:
            self.codes[self.newest] = True

    @rule(seconds=st.sampled_from([30, 60, 300]))
    def wait(self, seconds: int) -> None:
        clock.shift(timedelta(seconds=seconds))

    @rule()
    def lose(self) -> None:
        """Everything but the newest device, as a recovery ends."""
        there = devices_of(self.owner)
        if not there or there[-1].kind is Kind.TOTP:
            return
        self.add_app(right=True)
        new = next(each for each in devices_of(self.owner) if each.kind is Kind.TOTP)
        act(device.drop_all, self.owner, ADDRESS, but=new.id)
        self.keys.clear()
        self.dead += self.codes
        self.codes, self.newest = {}, None
        if self.offered:
            self.dead += self.offered.codes
            self.offered = None

    def step_of(self, offset: int) -> int:
        return int(clock.now().timestamp()) // 30 + offset

    @invariant()
    def what_is_there_is_what_was_added(self) -> None:
        if not hasattr(self, "owner"):
            return
        there = devices_of(self.owner)
        expected = len(self.keys) + (self.secret is not None)
        assert len(there) == expected
        assert expected or not self.used, "who had a device has one"
        assert sum(each.kind is Kind.TOTP for each in there) <= 1

    @invariant()
    def the_count_is_of_those_written_down(self) -> None:
        if not hasattr(self, "owner"):
            return
        assert left(self.owner) == sum(self.codes.values())
        assert len(self.codes) in {0, 10}
        with db.reading():
            assert journal.first_broken_line() is None


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
def test_any_order_of_steps_keeps_what_must_hold(tmp_path: Path, empty_database: Path) -> None:
    (tmp_path / "portal.db").write_bytes(empty_database.read_bytes())
    url = {"PORTAL_DATABASE_URL": f"sqlite:///{tmp_path}/portal.db"}
    Walk.app = create_app(config.load(ENVIRONMENT | url))
    run_state_machine_as_test(
        Walk,
        settings=settings(
            max_examples=80,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    db.dispose()
