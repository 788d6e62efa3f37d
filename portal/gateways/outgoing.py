"""What goes out, what may go wrong on the way, and what is heard of it afterwards."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from portal import clock


@dataclass(frozen=True, slots=True, repr=False)  # personal data stays out of tracebacks
class Outgoing:
    """One message, ready to leave. An SMS has no subject and no HTML."""

    id: str
    recipient: str
    subject: str
    text: str
    html: str
    posted_at: datetime
    useful_until: datetime | None = None
    attempts: int = 0  # before this one
    maybe_taken_by: str | None = None  # the `way` that was asked last, if nobody knows what it did
    ours_until: datetime | None = None  # when another worker may take it up

    def must_be_ours(self) -> None:
        """Raise TakenOver if another worker may have it in hand by now, Trouble if it expired.

        A gateway asks right before a message can no longer be held back: a process may be stopped
        anywhere, for minutes.
        """
        now = clock.now()
        if self.ours_until and now >= self.ours_until:
            raise TakenOver
        if self.useful_until and now >= self.useful_until:
            raise Trouble(Reason.EXPIRED, permanent=True)


class Reason(StrEnum):
    """Why a message did not leave; stored with it, and told in words by the pages."""

    REFUSED = "refused"  # the other side will never take it
    UNREACHABLE = "unreachable"  # no connection, or it broke before the message was over
    BUSY = "busy"  # the other side asks to come back later
    MISCONFIGURED = "misconfigured"  # our sender, password, certificate or key is at fault
    UNKNOWN = "unknown"  # handed over, and the answer was lost: it may have left
    EXPIRED = "expired"  # it would be worth nothing any more
    GIVEN_UP = "given_up"  # tried for hours
    WITHDRAWN = "withdrawn"  # a newer message took its place


class TakenOver(Exception):
    """The message was not handed over: it is another worker's to send."""


class Trouble(Exception):
    """A message was not handed over. Only a permanent trouble is worth no further try.

    Of `Reason.UNKNOWN` a gateway says that it is permanent where the same message, given to it
    again, would reach the person twice.
    """

    def __init__(self, reason: Reason, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent


@dataclass(frozen=True, slots=True, repr=False)  # a phone number stays out of tracebacks
class Receipt:
    """What an operator says of a message that it took."""

    way: str  # the `way` of the gateway that it came to
    known_as: str  # the operator's own id of the message
    recipient: str  # as the operator writes it; may be empty
    received: bool | None  # None: on its way, and another receipt follows
    at: datetime  # when the receipt came
