"""What goes out, and what may go wrong on the way."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message, ready to leave. An SMS has no subject and no HTML."""

    id: str
    recipient: str
    subject: str
    text: str
    html: str
    posted_at: datetime


class Reason(StrEnum):
    """Why a message did not leave; stored with it, and told in words by the pages."""

    REFUSED = "refused"  # the other side will never take it
    UNREACHABLE = "unreachable"  # no connection, or it broke
    BUSY = "busy"  # the other side asks to come back later
    MISCONFIGURED = "misconfigured"  # our sender, password, certificate or key is at fault
    EXPIRED = "expired"  # it would be worth nothing any more
    GIVEN_UP = "given_up"  # tried for hours
    WITHDRAWN = "withdrawn"  # a newer message took its place


class Trouble(Exception):
    """A message was not handed over. Only a permanent trouble is worth no further try."""

    def __init__(self, reason: Reason, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
