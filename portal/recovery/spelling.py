"""What a text says, whatever way it is typed: case, ё, signs and look-alikes apart."""

import re
import unicodedata

# Latin letters that look like Cyrillic ones, most of them as capitals; and ё.
_SAME = str.maketrans("abcehkmoptxyё", "авсенкмортхуе")
_UNSEEN = {"Mn", "Cf"}  # stresses, soft hyphens, marks of direction
_NUMBER_SIGN = re.compile(r"\bn(?:о\b)?[. ]*(?=[0-9])")  # what stands for №
_WORD = re.compile(r"[^\W_]+")


def folded(text: str) -> str:
    """Text with one spelling for each letter, and one blank for each run of them."""
    text = unicodedata.normalize("NFKC", text.replace("№", " ")).casefold()
    text = "".join(sign for sign in text if unicodedata.category(sign) not in _UNSEEN)
    return " ".join(text.translate(_SAME).split())


def words(text: str) -> tuple[str, ...]:
    """The words and numbers of a text, without the signs between them; № is no word."""
    return tuple(_WORD.findall(_NUMBER_SIGN.sub("", folded(text))))
