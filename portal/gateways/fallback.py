"""A second gateway, for when the first one does not take messages."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from portal.gateways.outgoing import Outgoing, Reason, Receipt, Trouble

if TYPE_CHECKING:
    from portal.gateways import Gateway

# As long as the first gateway is not asked after it failed, a code does not wait for its time-out.
REST_SECONDS = 30
GOES_THE_OTHER_WAY = {Reason.UNREACHABLE, Reason.BUSY, Reason.MISCONFIGURED}
UNSURE = {
    *GOES_THE_OTHER_WAY,
    Reason.UNKNOWN,
}  # none of them says that an earlier try came to naught

log = structlog.get_logger()


class Fallback:
    """Asks the second gateway where the first one did not take a message, with the same id.

    Never where the first one may have taken it: that would reach the person twice. And never
    where it refused the message for good: the second one would ask for the same number.
    """

    def __init__(self, first: "Gateway", second: "Gateway") -> None:
        self._first, self._second = first, second
        self._asked = first
        self._rests_until = 0.0

    @property
    def way(self) -> str | None:
        return getattr(self._asked, "way", None)

    def send(self, message: Outgoing) -> str:
        if message.maybe_taken_by:
            return self._ask_again(message)
        if time.monotonic() < self._rests_until:
            return self._ask(self._second, message)
        try:
            return self._ask(self._first, message)
        except Trouble as trouble:
            if trouble.reason in UNSURE:
                self._rests_until = time.monotonic() + REST_SECONDS
            if trouble.permanent or trouble.reason not in GOES_THE_OTHER_WAY:
                raise
            log.warning("the second gateway is asked", message=message.id, reason=trouble.reason)
        return self._ask(self._second, message)

    def listen(self, keep: Callable[[list[Receipt]], list[Receipt]]) -> None:
        is_resting = time.monotonic() < self._rests_until  # it would be waited for
        for gateway in (self._second,) if is_resting else (self._first, self._second):
            listen = getattr(gateway, "listen", None)
            if listen is not None:
                listen(keep)

    def close(self) -> None:
        self._first.close()
        self._second.close()

    def _ask(self, gateway: "Gateway", message: Outgoing) -> str:
        self._asked = gateway
        return gateway.send(message)

    def _ask_again(self, message: Outgoing) -> str:
        """Give a message that may have left to no other gateway than the one that had it."""
        had_it = getattr(self._second, "way", None) == message.maybe_taken_by
        try:
            return self._ask(self._second if had_it else self._first, message)
        except Trouble as trouble:
            if trouble.reason not in UNSURE:
                raise
            raise Trouble(Reason.UNKNOWN, permanent=trouble.permanent) from trouble
