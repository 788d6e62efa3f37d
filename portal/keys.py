"""What is done with the two kinds of keys, both kept outside the database.

Data keys (`PORTAL_DATA_KEYS`) encrypt personal data and make the fingerprints by which an exact
value is found again. Secret keys (`PORTAL_SECRET_KEY`) sign links and seal codes. Of each kind
the first is used for what is new and all of them for what is old, so a key is rotated by putting
a new one in front. No key is used as it is: every purpose gets one of its own, derived by HMAC.
"""

import hashlib
import hmac
import os
from collections.abc import Iterable
from functools import cache, lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from portal import config

KEY_ID_BYTES = 4
NONCE_BYTES = 12


class UnreadableError(Exception):
    """Stored bytes that none of the data keys decrypts."""


def encrypt(text: str, place: str) -> bytes:
    """Encrypt text with AES-256-GCM under the first data key.

    `place` names the column it is for; ciphertext moved to another column does not decrypt.
    """
    key_id, cipher = _ciphers(config.settings.data_keys)[0]
    nonce = os.urandom(NONCE_BYTES)
    return key_id + nonce + cipher.encrypt(nonce, text.encode(), place.encode())


def decrypt(stored: bytes, place: str) -> str:
    """The text behind stored bytes; raises UnreadableError."""
    key_id, nonce = stored[:KEY_ID_BYTES], stored[KEY_ID_BYTES : KEY_ID_BYTES + NONCE_BYTES]
    for known, cipher in _ciphers(config.settings.data_keys):
        if known == key_id:
            try:
                hidden = stored[KEY_ID_BYTES + NONCE_BYTES :]
                return cipher.decrypt(nonce, hidden, place.encode()).decode()
            except (InvalidTag, ValueError):  # the latter where bytes are missing
                continue
    raise UnreadableError(_of_no_key(place))


def must_know(ids: Iterable[bytes], place: str) -> None:
    """Raise UnreadableError unless there is the data key for each of these ids.

    An id is the first KEY_ID_BYTES of what is stored.
    """
    known = {id for id, _cipher in _ciphers(config.settings.data_keys)}
    if not known.issuperset(ids):
        raise UnreadableError(_of_no_key(place))


def _of_no_key(place: str) -> str:
    return f"{place}: no key in PORTAL_DATA_KEYS decrypts it"


def fingerprints(value: str, purpose: str) -> tuple[bytes, ...]:
    """HMAC-SHA-256 of a value under every data key, the first one's first.

    Store the first; look for any of them.
    """
    return tuple(
        hmac.digest(derive(key, f"fingerprint {purpose}"), value.encode(), "sha256")
        for key in config.settings.data_keys
    )


def seals(value: str, purpose: str) -> tuple[bytes, ...]:
    """HMAC-SHA-256 of a value under every secret key, the first one's first."""
    return tuple(
        hmac.digest(derive(key.encode(), f"seal {purpose}"), value.encode(), "sha256")
        for key in config.settings.secret_keys
    )


@lru_cache(maxsize=256)  # bounded, for a code's purpose names its request
def derive(key: bytes, purpose: str) -> bytes:
    """A 32-byte key for one purpose, from a longer-lived one."""
    return hmac.digest(key, f"portal {purpose}".encode(), "sha256")


@cache
def _ciphers(data_keys: tuple[bytes, ...]) -> list[tuple[bytes, AESGCM]]:
    return [
        (hashlib.sha256(key).digest()[:KEY_ID_BYTES], AESGCM(derive(key, "encrypt")))
        for key in data_keys
    ]
