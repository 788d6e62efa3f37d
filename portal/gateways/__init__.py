"""The outside world: how a letter or an SMS leaves the house.

A gateway hands one message over and tells its own id of it, or raises Trouble. It keeps its
connection open between messages and belongs to one thread of the delivery worker.
"""

from typing import Protocol
from urllib.parse import urlsplit

from portal import config
from portal.gateways.outgoing import Outgoing, Reason, Trouble

__all__ = ["Gateway", "Outgoing", "Reason", "Trouble", "choose"]


class Gateway(Protocol):
    """What the delivery worker needs of a way out."""

    def send(self, message: Outgoing) -> str:
        """Hand one message over; returns the gateway's own id of it, which may be empty."""

    def close(self) -> None:
        """Let go of the connection, if one is open."""


def choose(channel: str) -> Gateway:
    """The gateway that the settings name for `email` or `sms`."""
    url = config.settings.mail_url if channel == "email" else config.settings.sms_url
    scheme = urlsplit(url).scheme
    if scheme == "inbox":
        from portal.gateways.inbox import Inbox  # noqa: PLC0415 - only what is used is loaded

        return Inbox(channel)
    if channel == "email":
        from portal.gateways.mail import Smtp  # noqa: PLC0415

        return Smtp(url)
    from portal.gateways.http_sms import JsonGateway  # noqa: PLC0415

    return JsonGateway(url)
