"""The two proofs a person gives: a link that was followed, a code that was typed.

A link is the public id of a row and a signature over it (itsdangerous). Each purpose has its own
salt, so a link of one kind is worth nothing as another. What the link may still do is in its row.
"""

import hmac
import re
import secrets

from itsdangerous import Signer

from portal import config, keys

CODE_DIGITS = 6
CODE = re.compile(r"[0-9]{6}")
LONGEST_TYPED = 100  # blanks and all
FORGIVEN = re.compile(r"[\s\-‐‑‒–—\u00ad]+")  # what people and phones put between digits
PUBLIC_ID = re.compile(r"[A-Za-z0-9_-]{22}")


def new_public_id() -> str:
    """128 random bits, 22 characters fit for an address."""
    return secrets.token_urlsafe(16)


def sign(purpose: str, public_id: str) -> str:
    """The token of a link: 22 characters, a dot, a signature."""
    return _signer(config.settings.secret_key, purpose).sign(public_id).decode()


def unsign(purpose: str, token: str) -> str | None:
    """The public id that a token was made for, or None.

    Base64 has several spellings of the same bytes; only the one that `sign` wrote is taken.
    """
    public_id = token.partition(".")[0]
    if not PUBLIC_ID.fullmatch(public_id) or not token.isascii():
        return None
    for key in config.settings.secret_keys:
        right = _signer(key, purpose).sign(public_id).decode()
        if hmac.compare_digest(right, token):
            return public_id
    return None


def new_code() -> str:
    """Six random digits, leading zeros kept."""
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"


def seal_code(purpose: str, code: str) -> bytes:
    """What is stored of a code: its HMAC, bound to what it is for (product.md, «Numbers»)."""
    return keys.seals(code, purpose)[0]


def is_code(purpose: str, typed: str, sealed: bytes) -> bool:
    """Whether what a person typed is the code behind a seal; compared in constant time.

    Spaces and hyphens are forgiven. Anything but six ASCII digits is a wrong code.
    """
    code = FORGIVEN.sub("", typed)
    if len(typed) > LONGEST_TYPED or not CODE.fullmatch(code):
        return False
    matches = [hmac.compare_digest(seal, sealed) for seal in keys.seals(code, purpose)]
    return any(matches)


def _signer(key: str, purpose: str) -> Signer:
    return Signer(key, salt=f"portal.{purpose}", key_derivation="hmac", digest_method="sha256")
