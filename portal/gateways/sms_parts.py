"""The text of an SMS as SMPP carries it: in an alphabet of the network, and in parts.

3GPP TS 23.038 for the alphabets, 23.040 (9.2.3.24.1) for the header of a part. smpplib has both,
but takes a character apart where a part ends, and knows no backtick.
"""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from smpplib import consts, gsm

MOST_PARTS = 255
NOT_IN_ITS_TABLE = {"`", "\x1b"}  # smpplib fills the gaps of its table with them


class Alphabet(NamedTuple):
    """How many octets fit: into an SMS of one part, and into each of several."""

    coding: int
    alone: int
    of_several: int


GSM = Alphabet(consts.SMPP_ENCODING_DEFAULT, 160, 153)  # septets, each in an octet of its own
UCS2 = Alphabet(consts.SMPP_ENCODING_ISO10646, 140, 134)


class Part(NamedTuple):
    coding: int
    esm_class: int
    octets: bytes


def parts_of(text: str, id: str) -> list[Part]:
    """A text in as many parts as it needs. The same message has the same parts each time.

    So a phone that got some of them already, and then gets all, shows one message.
    """
    alphabet, signs = _written(text)
    whole = b"".join(signs)
    if len(whole) <= alphabet.alone:
        return [Part(alphabet.coding, consts.SMPP_MSGTYPE_DEFAULT, whole)]
    bodies = _fill(signs, alphabet.of_several)
    if len(bodies) > MOST_PARTS:
        raise ValueError("a text that no SMS can hold")
    reference = hashlib.sha256(id.encode()).digest()[0]
    return [
        Part(
            alphabet.coding,
            consts.SMPP_GSMFEAT_UDHI,
            bytes((5, 0, 3, reference, len(bodies), number)) + body,
        )
        for number, body in enumerate(bodies, start=1)
    ]


def _written(text: str) -> tuple[Alphabet, list[bytes]]:
    """Each character in octets, in the network's own alphabet if it has them all."""
    if not NOT_IN_ITS_TABLE & set(text):
        try:
            return GSM, [gsm.gsm_encode(sign) for sign in text]
        except UnicodeError:
            pass
    return UCS2, [sign.encode("utf-16-be", "replace") for sign in text]


def _fill(signs: Iterable[bytes], room: int) -> list[bytes]:
    """Put characters into parts; none is taken apart."""
    parts = [b""]
    for sign in signs:
        if len(parts[-1]) + len(sign) > room:
            parts.append(b"")
        parts[-1] += sign
    return parts
