"""Links and codes: one spelling of a token, one purpose, and six digits."""

from __future__ import annotations

import base64
import re
import string
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal import config, proofs
from tests.conftest import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = config.load(ENVIRONMENT)
NEWER = replace(
    SETTINGS,
    secret_key="a newer secret key of the tests, just as long",
    secret_key_fallbacks=(SETTINGS.secret_key,),
)
ALPHABET = string.ascii_letters + string.digits + "-_"
ids = st.text(ALPHABET, min_size=22, max_size=22)
codes = st.text(string.digits, min_size=6, max_size=6)
PURPOSE = "phone 7 +79215550147"


@pytest.fixture(autouse=True, scope="module")
def _settings() -> Iterator[None]:
    config.use(SETTINGS)
    yield
    config.use(SETTINGS)


def test_public_ids_are_fit_for_an_address_and_never_the_same() -> None:
    made = {proofs.new_public_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(proofs.PUBLIC_ID.fullmatch(each) for each in made)


@given(ids)
def test_a_token_tells_the_id_it_was_made_for(public_id: str) -> None:
    token = proofs.sign("confirmation", public_id)
    assert proofs.unsign("confirmation", token) == public_id
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", token)


@given(ids)
def test_a_token_has_one_spelling(public_id: str) -> None:
    token = proofs.sign("confirmation", public_id)
    id, _, signature = token.partition(".")
    raw = base64.urlsafe_b64decode(signature + "=")
    same_bytes = [
        f"{id}.{signature[:-1]}{last}"
        for last in ALPHABET
        if base64.urlsafe_b64decode(signature[:-1] + last + "=") == raw
    ]
    assert len(same_bytes) == 4
    others = [each for each in same_bytes if each != token]
    others += [
        token + "=",
        token + "==",
        token + ".",
        token + "\n",
        " " + token,
        "." + token,
        f"{id}.{id}.{signature}",
        f"{id}..{signature}",
        f"{id}.{signature.translate(str.maketrans('-_', '+/'))}=",
        token.swapcase(),
        token.upper(),
        token.lower(),
        token.replace(".", ":"),
        token[:-1],
        token + "\u0660",
        token + "я",
        token.replace(id[0], "а", 1),
    ]
    for other in others:
        assert other == token or proofs.unsign("confirmation", other) is None, other


@given(ids, st.integers(0, 65), st.sampled_from(ALPHABET))
def test_a_changed_token_is_no_token(public_id: str, place: int, sign: str) -> None:
    token = proofs.sign("confirmation", public_id)
    changed = token[:place] + sign + token[place + 1 :]
    assert changed == token or proofs.unsign("confirmation", changed) is None


@given(st.text(max_size=80))
@example("")
@example("." * 4096)
@example("A" * 22 + ".")
def test_other_text_is_no_token(text: str) -> None:
    assert proofs.unsign("confirmation", text) is None


@given(ids)
def test_a_token_of_one_purpose_is_worth_nothing_as_another(public_id: str) -> None:
    assert proofs.unsign("email", proofs.sign("confirmation", public_id)) is None
    assert proofs.unsign("confirmation", proofs.sign("email", public_id)) is None


def test_a_token_outlives_its_key_as_long_as_the_key_is_believed() -> None:
    public_id = proofs.new_public_id()
    token = proofs.sign("confirmation", public_id)
    try:
        config.use(NEWER)
        assert proofs.unsign("confirmation", token) == public_id
        newer = proofs.sign("confirmation", public_id)
        assert newer != token
        config.use(replace(NEWER, secret_key_fallbacks=()))
        assert proofs.unsign("confirmation", token) is None
        assert proofs.unsign("confirmation", newer) == public_id
    finally:
        config.use(SETTINGS)


def test_a_code_is_six_digits() -> None:
    made = [proofs.new_code() for _ in range(2000)]
    assert all(re.fullmatch(r"[0-9]{6}", code) for code in made)
    assert any(code.startswith("0") for code in made), "leading zeros are kept"
    assert len(set(made)) > 1900


@given(codes)
@example("000000")
@example("012345")
def test_a_code_is_itself_and_no_number(code: str) -> None:
    sealed = proofs.seal_code(PURPOSE, code)
    assert code.encode() not in sealed
    assert len(sealed) == 32
    assert proofs.is_code(PURPOSE, code, sealed)
    if code.startswith("0"):
        assert not proofs.is_code(PURPOSE, code.lstrip("0"), sealed)
    assert not proofs.is_code(PURPOSE, "0" + code, sealed)


@given(codes, st.lists(st.sampled_from(" -\u00a0\u202f\u2009‑–—"), min_size=7, max_size=7))
def test_spaces_and_hyphens_are_forgiven(code: str, gaps: list[str]) -> None:
    typed = "".join(gap + digit for gap, digit in zip(gaps, code + " ", strict=True))
    sealed = proofs.seal_code(PURPOSE, code)
    assert proofs.is_code(PURPOSE, typed, sealed)
    assert proofs.is_code(PURPOSE, f"{code[:3]} {code[3:]}", sealed)
    assert proofs.is_code(PURPOSE, f"{code[:3]}-{code[3:]}", sealed)


@given(codes, st.text(min_size=1, max_size=5))
@example("123456", "\0")
@example("123456", "x" * 4096)
@example("123456", " " * 4096 + "x")
@example("123456", " " * 94 + "7")
@example("123456", "\u200b")
def test_anything_else_is_a_wrong_code(code: str, more: str) -> None:
    sealed = proofs.seal_code(PURPOSE, code)
    if proofs.FORGIVEN.sub("", more):
        for typed in (code + more, more + code, code[:3] + more + code[3:]):
            assert not proofs.is_code(PURPOSE, typed, sealed)


@given(codes, st.sampled_from([0xFF10, 0x0660, 0x06F0, 0x0966, 0x1D7CE]))
def test_digits_of_other_writing_are_wrong(code: str, zero: int) -> None:
    typed = "".join(chr(zero + int(digit)) for digit in code)
    assert typed.isdigit()
    assert not proofs.is_code(PURPOSE, typed, proofs.seal_code(PURPOSE, code))


@given(codes, codes)
def test_another_code_is_wrong(code: str, other: str) -> None:
    sealed = proofs.seal_code(PURPOSE, code)
    assert proofs.is_code(PURPOSE, other, sealed) == (code == other)


@given(codes)
def test_a_code_is_bound_to_its_purpose(code: str) -> None:
    sealed = proofs.seal_code(PURPOSE, code)
    assert not proofs.is_code("phone 8 +79215550147", code, sealed)
    assert not proofs.is_code("phone 7 +79215550148", code, sealed)


def test_a_code_outlives_its_key_as_long_as_the_key_is_believed() -> None:
    sealed = proofs.seal_code(PURPOSE, "012345")
    try:
        config.use(NEWER)
        assert proofs.is_code(PURPOSE, "012345", sealed)
        assert not proofs.is_code(PURPOSE, "012346", sealed)
        config.use(replace(NEWER, secret_key_fallbacks=()))
        assert not proofs.is_code(PURPOSE, "012345", sealed)
    finally:
        config.use(SETTINGS)
