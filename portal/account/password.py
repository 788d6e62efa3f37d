"""Passwords: which are good enough, and how they are kept.

product.md, «Numbers», and NIST SP 800-63B-4, 3.1.1.2: at least 12 characters, up to 128, not easily
guessed, no rules of composition; Argon2id with 19 MiB, t=2, p=1 (OWASP's first choice).
"""

import re
import unicodedata
from collections.abc import Sequence
from threading import Lock

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

from portal.checks import BadValueError
from portal.language import gettext as _

SHORTEST, LONGEST = 12, 128
LONGEST_TYPED = 4 * LONGEST  # no 128 characters have more in any spelling (Unicode, NFC)
GUESSES = 10**6  # what a list of common passwords and their neighbours holds
LOOKED_AT = 24  # signs: what is easily guessed is so early; more would take seconds

# Of a random text that nobody kept.
NOBODYS = (
    "$argon2id$v=19$m=19456,t=2,p=1$kYuu0zXTbeCQcDcY7"
    "e2LKQ$UM65rHPiuQ+CNESe1dyXyrBIaGJAgR8gfWIx33xv89M"
)
_HASHER = PasswordHasher(
    memory_cost=19 * 1024, time_cost=2, parallelism=1, hash_len=32, salt_len=16
)
# A Russian word typed without switching the keyboard stands in lists as its Latin keys.
_KEYS = str.maketrans("йцукенгшщзхъфывапролджэячсмитьбюё", "qwertyuiop[]asdfghjkl;'zxcvbnm,.`")
_OURS = ("изкт", "izkt", "тахограф", "tachograph", "taho-kart", "портал", "пароль")
_WORD = re.compile(r"[\w-]{3,}")
_BETWEEN = re.compile(r"[\s._-]+")  # what people put between words, and guessers know of
_one_at_a_time = Lock()  # zxcvbn keeps the known words of a check where the next one looks


def check(password: str, known: Sequence[str]) -> str:
    """The password as it is kept; raises BadValueError with a sentence if it is no good.

    `known` are words that anybody tries first: the person's email, name and organisation.
    """
    password = normal(password)
    if len(password) < SHORTEST:
        raise BadValueError(
            _("Слишком короткий: нужно не меньше %(count)s знаков.", count=SHORTEST)
        )
    if len(password) > LONGEST:
        raise BadValueError(_("Слишком длинный: не больше %(count)s знаков.", count=LONGEST))
    if is_common(password, known):
        raise BadValueError(
            _("Такой пароль легко подобрать. Возьмите несколько слов, не связанных между собой.")
        )
    return password


def is_common(password: str, known: Sequence[str] = ()) -> bool:
    """Whether a password is one of the common ones, or little more than one of them."""
    from zxcvbn import zxcvbn  # noqa: PLC0415 - its lists take a tenth of a second to load

    folded = password.casefold()[:LOOKED_AT].replace("\n", " ")  # at which zxcvbn breaks
    spellings = {folded, _BETWEEN.sub("", folded) or folded}
    spellings |= {each.translate(_KEYS) for each in spellings}
    texts = [text.casefold() for text in (*_OURS, *known)]
    words = {word[:LOOKED_AT] for text in texts for word in (text, *_WORD.findall(text))}
    words |= {word.translate(_KEYS) for word in words}
    with _one_at_a_time:
        return any(
            zxcvbn(each, user_inputs=sorted(words))["guesses"] < GUESSES for each in spellings
        )


def hash(password: str) -> str:
    """What is stored of a password."""
    return _HASHER.hash(password)


def is_right(stored: str | None, typed: str) -> bool:
    """Whether a typed password is the stored one.

    Takes the same time where nothing is stored, so that nobody learns which accounts there are.
    """
    typed = normal(typed)
    typed = typed if len(typed) <= LONGEST else ""  # which is nobody's password
    try:
        _HASHER.verify(stored or NOBODYS, typed)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


def is_outdated(stored: str) -> bool:
    """Whether the stored hash is weaker than today's; a stronger one stays."""
    old = extract_parameters(stored)
    return (
        old.type is not _HASHER.type
        or old.version < ARGON2_VERSION
        or old.memory_cost < _HASHER.memory_cost
        or old.time_cost < _HASHER.time_cost
        or old.hash_len < _HASHER.hash_len
        or old.salt_len < _HASHER.salt_len
    )


def normal(password: str) -> str:
    """One spelling for signs that look the same (NIST SP 800-63B-4, 3.1.1.2).

    What is too long in any spelling stays as it is: marks without end take seconds to sort.
    """
    return password if len(password) > LONGEST_TYPED else unicodedata.normalize("NFC", password)
