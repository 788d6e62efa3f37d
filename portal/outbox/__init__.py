"""Messages wait here until the delivery worker hands them to a gateway.

A message is a row, posted in the same transaction as the change it tells of: both happen or
neither does. What it says is kept as words for a template, encrypted, and wiped once it left.
Claiming a message moves its due time forward, so a worker that dies with a message in its hands
gives it back simply by being late. One that failed for good keeps its words for a while, so that
it can be sent again; a code and what was withdrawn keep none.
"""

from portal.outbox.delivering import LEASE, deliver_due
from portal.outbox.failures import (
    Failed,
    claim_telling,
    failed,
    failed_of,
    forget_worthless,
    has_untold,
    send_again,
    state,
    told_about,
    untold,
)
from portal.outbox.posting import post, readdress, reword, topic_of, withdraw, withdraw_all
from portal.outbox.receipts import note_receipts
from portal.outbox.tables import PERSONS, State, messages, state_of
from portal.outbox.waiting import Waiting, waiting

__all__ = [
    "LEASE",
    "PERSONS",
    "Failed",
    "State",
    "Waiting",
    "claim_telling",
    "deliver_due",
    "failed",
    "failed_of",
    "forget_worthless",
    "has_untold",
    "messages",
    "note_receipts",
    "post",
    "readdress",
    "reword",
    "send_again",
    "state",
    "state_of",
    "told_about",
    "topic_of",
    "untold",
    "waiting",
    "withdraw",
    "withdraw_all",
]
