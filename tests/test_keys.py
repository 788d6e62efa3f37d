"""Personal data at rest: bound to its column, safe from tampering, and keys that rotate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal import config, keys
from tests.conftest import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = config.load(ENVIRONMENT)
OLD, NEW = SETTINGS.data_keys[0], b"another key of thirty-two bytes!"
PLACE = "records.details"
texts = st.text(st.characters(codec="utf-8"), max_size=60)


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    config.use(SETTINGS)
    yield
    config.use(SETTINGS)


def rotate(*data_keys: bytes) -> None:
    config.use(replace(SETTINGS, data_keys=data_keys))


def refused(stored: bytes, place: str = PLACE) -> bool:
    with pytest.raises(keys.UnreadableError) as caught:
        keys.decrypt(stored, place)
    return "PORTAL_DATA_KEYS" in str(caught.value)


@given(texts)
def test_what_was_encrypted_is_read_again(text: str) -> None:
    stored = keys.encrypt(text, PLACE)
    assert keys.decrypt(stored, PLACE) == text
    assert len(text) < 4 or text.encode() not in stored


def test_the_same_text_is_never_stored_the_same() -> None:
    assert len({keys.encrypt("Ломова", PLACE) for _ in range(100)}) == 100


@given(texts)
def test_ciphertext_moved_to_another_column_is_refused(text: str) -> None:
    assert refused(keys.encrypt(text, PLACE), "messages.words")


@given(texts, st.data())
def test_a_changed_byte_is_noticed(text: str, data: st.DataObject) -> None:
    stored = bytearray(keys.encrypt(text, PLACE))
    place = data.draw(st.integers(0, len(stored) - 1))
    stored[place] ^= data.draw(st.integers(1, 255))
    assert refused(bytes(stored))


@given(texts, st.data())
def test_a_missing_end_is_noticed(text: str, data: st.DataObject) -> None:
    stored = keys.encrypt(text, PLACE)
    assert refused(stored[: data.draw(st.integers(0, len(stored) - 1))])


@given(st.binary(max_size=80))
@example(b"")
def test_other_bytes_are_refused(stored: bytes) -> None:
    assert refused(stored)


def test_a_data_key_is_rotated_by_putting_a_new_one_in_front() -> None:
    stored = keys.encrypt("Ломова", PLACE)
    rotate(NEW, OLD)
    assert keys.decrypt(stored, PLACE) == "Ломова"
    newer = keys.encrypt("Ломова", PLACE)
    rotate(NEW)
    assert keys.decrypt(newer, PLACE) == "Ломова"
    assert refused(stored)


def test_fingerprints_find_what_was_stored_under_an_older_key() -> None:
    stored = keys.fingerprints("+79215550147", "phone")[0]
    rotate(NEW, OLD)
    newest, older = keys.fingerprints("+79215550147", "phone")
    assert stored == older
    assert newest != older


def test_a_fingerprint_tells_value_and_purpose_apart() -> None:
    assert keys.fingerprints("+79215550147", "phone") == keys.fingerprints("+79215550147", "phone")
    assert keys.fingerprints("+79215550147", "phone") != keys.fingerprints("+79215550148", "phone")
    assert keys.fingerprints("+79215550147", "phone") != keys.fingerprints("+79215550147", "limit")


def test_keys_of_purposes_that_are_used_once_are_not_held_for_ever() -> None:
    for number in range(1000):
        keys.seals("012345", f"phone {number} +79215550147")
    assert keys.derive.cache_info().currsize < 1000
