"""Where a request came from, and whether that is the secure channel.

Werkzeug's ProxyFix is not used: it never looks at the peer. `X-Forwarded-For` counts only from a
listed proxy and is walked from the right, past listed proxies; whatever does not parse makes the
address unknown, and an unknown address is outside.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from portal import config, readers
from portal.config import Network

LONGEST_ADDRESS = 45  # of IPv6 with an IPv4 address written inside
LONGEST_HEADER = 1000

NETWORK_BITS = 64  # of an IPv6 address: what one computer has to choose from

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def client_address(
    peer: str, forwarded_for: str | None, proxies: tuple[Network, ...]
) -> Address | None:
    """The address a request came from, or None where it cannot be known.

    `peer` is the other end of the connection, empty for a Unix socket, which only the proxy that
    it was made for can open; `forwarded_for` the header or None if there is none, `proxies` those
    whose header counts.
    """
    if not is_proxy(peer, proxies):
        return parse(peer)
    if forwarded_for is None or len(forwarded_for) > LONGEST_HEADER:
        return None
    for part in reversed(forwarded_for.split(",")):
        address = parse(part.strip(" \t"))
        if address is None or not is_inside(address, proxies):
            return address
    return None


def is_proxy(peer: str, proxies: tuple[Network, ...]) -> bool:
    """Whether what the other end of a connection says of a request counts; see above."""
    return not peer or is_inside(parse(peer), proxies)


def is_inside(address: Address | None, networks: Iterable[Network]) -> bool:
    """Whether an address lies in one of the networks; an unknown one never does."""
    return address is not None and any(
        address.version == network.version and address in network for network in networks
    )


@lru_cache(maxsize=4096)
def counted_as(address: object) -> str:
    """What an address is in a count of what one computer does; `address` as `client_address`."""
    if isinstance(address, ipaddress.IPv6Address):
        return f"{int(address) >> (128 - NETWORK_BITS):x}"
    return str(address or "unknown")


def is_secure(address: Address | None, own: tuple[Network, ...]) -> bool:
    """Whether an address is in the secure channel.

    `own` are the networks of the organisation concerned; where it has none, the portal's count.
    """
    return is_inside(address, own or config.settings.secure_networks)


def is_staff(address: Address | None) -> bool:
    """Whether accounts may sign in from an address."""
    allowed = config.settings.staff_networks or config.settings.secure_networks
    return is_inside(address, allowed)


def parse(text: str) -> Address | None:
    """An address without a port or zone; IPv4 written inside IPv6 is the IPv4 address it is."""
    return _parse(text) if len(text) <= LONGEST_ADDRESS else None


@lru_cache(maxsize=4096)
def _parse(text: str) -> Address | None:
    if not text.isascii() or "%" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


@lru_cache(maxsize=4096)
def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks separated by spaces; raises ValueError for what is none, or is everything."""
    networks = tuple(readers.network(part) for part in text.split())
    for network in networks:
        if network.prefixlen == 0:
            raise ValueError(f"{network} is every address")
    return networks
