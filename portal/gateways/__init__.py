"""The outside world: how a letter or an SMS leaves the house.

A gateway hands one message over and tells its own id of it, or raises Trouble. It keeps its
connection open between messages and belongs to one thread of the delivery worker.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

from portal import config
from portal.gateways.fallback import Fallback
from portal.gateways.outgoing import Outgoing, Reason, Receipt, TakenOver, Trouble

__all__ = [
    "Gateway",
    "Listening",
    "Outgoing",
    "Reason",
    "Receipt",
    "TakenOver",
    "Trouble",
    "choose",
    "way_of",
]


class Gateway(Protocol):
    """What the delivery worker needs of a way out.

    It may have a `way`, too: the name of the way by which the message left that it was given
    last, or by which that was tried. It is kept with the message, in up to 20 signs.
    """

    def send(self, message: Outgoing) -> str:
        """Hand one message over; returns the gateway's own id of it, which may be empty."""

    def close(self) -> None:
        """Let go of the connection, if one is open."""


@runtime_checkable
class Listening(Protocol):
    """A gateway to which the other side speaks by itself."""

    def listen(self, keep: Callable[[list[Receipt]], list[Receipt]]) -> None:
        """Read what is there, without waiting for more; to be called a few times in a second.

        `keep` notes receipts for good and returns those whose message it does not know yet. Only
        then the other side is told that they came: what nobody kept, it says again.
        """


def choose(channel: str) -> Gateway:
    """The gateway that the settings name for `email` or `sms`, with its fallback if it has one."""
    settings = config.settings
    if channel == "email":
        first, second = settings.mail_url, settings.mail_fallback_url
    else:
        first, second = settings.sms_url, settings.sms_fallback_url
    gateway = _gateway(channel, first, urlsplit(first).scheme)
    if not second:
        return gateway
    # Two ways with the same scheme are two ways: the ids of their receipts have nothing in common.
    return Fallback(gateway, _gateway(channel, second, f"{urlsplit(second).scheme} 2"))


def way_of(gateway: Gateway) -> str | None:
    """The way by which the message left that a gateway was given last, if it tells."""
    return getattr(gateway, "way", None)


def _gateway(channel: str, url: str, way: str) -> Gateway:
    """The gateway at a URL; only what is used is loaded."""
    scheme = urlsplit(url).scheme
    if scheme == "inbox":
        from portal.gateways.inbox import Inbox  # noqa: PLC0415

        return Inbox(channel)
    if channel == "email":
        from portal.gateways.mail import Smtp  # noqa: PLC0415

        return Smtp(url, way)
    if scheme in {"smpp", "smpps"}:
        from portal.gateways.smpp import Smpp  # noqa: PLC0415

        return Smpp(url, way)
    if scheme in {"smsc", "smsc+http"}:
        from portal.gateways.smsc import Smsc  # noqa: PLC0415

        return Smsc(url, way)
    from portal.gateways.http_sms import JsonGateway  # noqa: PLC0415

    return JsonGateway(url, way)
