"""What a receipt of SMPP says: of which message, and whether the phone has it.

In parameters of its own, or in the text of appendix B: `id:… stat:DELIVRD …`. Operators write
that text with differences; only `id` and `stat` are relied on.
"""

import re
from typing import Any

from smpplib import consts

from portal import clock
from portal.gateways.outgoing import Receipt

MARKS = 0b0011_1100  # of esm_class: what kind of message it is (5.2.12)
RECEIPT = consts.SMPP_MSGTYPE_DEFAULT | 0b0000_0100
ID = re.compile(rb"\bid:\s*([^\s]{1,65})", re.IGNORECASE)
STAT = re.compile(rb"\bstat:\s*([A-Z]{4,8})", re.IGNORECASE)
STATES = {  # 5.2.28, and the words of appendix B
    1: None,
    2: True,
    3: False,
    4: False,
    5: False,
    6: None,
    8: False,
    b"ENROUTE": None,
    b"DELIVRD": True,
    b"EXPIRED": False,
    b"DELETED": False,
    b"UNDELIV": False,
    b"ACCEPTD": None,
    b"REJECTD": False,
}
# UNKNOWN (7) says nothing: neither that the phone has it, nor that it has not.


def read_receipt(pdu: Any, way: str) -> Receipt | None:
    """The receipt in what came; None if it is none, or nobody could tell of which message."""
    if pdu.esm_class & MARKS != RECEIPT:
        return None
    text = getattr(pdu, "short_message", None) or getattr(pdu, "message_payload", None) or b""
    id, stat = ID.search(text), STAT.search(text)
    known_as = getattr(pdu, "receipted_message_id", None) or (id[1] if id else b"")
    known_as = known_as.partition(b"\0")[0].decode("ascii", "replace")
    if not known_as:
        return None
    state = getattr(pdu, "message_state", None) or (stat[1].upper() if stat else None)
    number = re.sub(r"\D", "", (pdu.source_addr or b"").decode("ascii", "replace"))
    return Receipt(way, known_as, number, STATES.get(state), clock.now())
