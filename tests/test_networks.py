"""Where a request came from: the header counts only from a listed proxy, read from the right."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portal import networks
from portal.networks import client_address, is_inside, is_secure, parse, parse_networks

if TYPE_CHECKING:
    from flask import Flask

    from portal.config import Network
    from portal.networks import Address

PROXIES: tuple[Network, ...] = parse_networks("10.0.0.0/24 fd00:1::/64")
CHANNEL: tuple[Network, ...] = parse_networks("10.20.0.0/16 fd00:20::/64")


def within(network: str) -> st.SearchStrategy[Address]:
    found = ipaddress.ip_network(network)
    return st.integers(0, found.num_addresses - 1).map(lambda number: found[number])


proxies = st.one_of(within("10.0.0.0/24"), within("fd00:1::/64"))
clients = st.one_of(within("10.20.0.0/16"), within("fd00:20::/64"), within("192.0.2.0/24"))
addresses = st.one_of(proxies, clients)
rubbish = st.one_of(
    st.sampled_from(["", " ", '"', "unknown", "_hidden", "10.20.0.1:443", "[fd00:20::1]", "10.20"]),
    st.sampled_from(
        ["fe80::1%eth0", "010.20.0.1", "1", "0x0a140001", "10.20.0.1/32", "１０.20.0.1"]
    ),
    st.text(st.characters(codec="utf-8", exclude_characters=","), max_size=12),
).filter(lambda text: parse(text.strip(" \t")) is None)
blanks = st.sampled_from(["", " ", "  ", "\t"])


@st.composite
def spelled(draw: st.DrawFn, of: st.SearchStrategy[Address]) -> tuple[str, Address]:
    """An address and one of the ways to write it."""
    address = draw(of)
    ways = [str(address)]
    if address.version == 4:
        number = int(address)
        ways += [f"::ffff:{address}", f"::FFFF:{number >> 16:x}:{number & 0xFFFF:x}"]
    else:
        ways += [address.exploded, str(address).upper()]
    return draw(st.sampled_from(ways)), address


header = st.lists(st.one_of(spelled(addresses).map(lambda pair: pair[0]), rubbish), max_size=5)


def joined(parts: list[str], gap: str = " ") -> str:
    return f",{gap}".join(parts)


@given(spelled(clients), st.none() | header.map(joined))
def test_an_unlisted_peer_is_believed_nothing(
    peer: tuple[str, Address], forwarded_for: str | None
) -> None:
    written, address = peer
    assert client_address(written, forwarded_for, PROXIES) == address
    assert client_address(written, forwarded_for, ()) == address


@given(spelled(proxies), header, spelled(clients), st.lists(spelled(proxies), max_size=3), blanks)
def test_the_header_is_walked_from_the_right(
    peer: tuple[str, Address],
    forged: list[str],
    client: tuple[str, Address],
    passed: list[tuple[str, Address]],
    gap: str,
) -> None:
    """What the person's side wrote in front changes nothing."""
    parts = [*forged, client[0], *(written for written, _ in passed)]
    assert client_address(peer[0], joined(parts, gap), PROXIES) == client[1]


@given(spelled(proxies), header, rubbish, st.lists(spelled(proxies), max_size=3))
@example(("10.0.0.1", parse("10.0.0.1")), ["10.20.0.1"], '"', [])
def test_what_does_not_parse_makes_the_address_unknown(
    peer: tuple[str, Address],
    forged: list[str],
    broken: str,
    passed: list[tuple[str, Address]],
) -> None:
    parts = [*forged, broken, *(written for written, _ in passed)]
    assert client_address(peer[0], joined(parts), PROXIES) is None


@given(spelled(proxies), st.lists(spelled(proxies), max_size=3))
def test_a_listed_proxy_says_who_came_or_it_is_unknown(
    peer: tuple[str, Address], passed: list[tuple[str, Address]]
) -> None:
    """A missing header, an empty one, and one that names only proxies."""
    assert client_address(peer[0], None, PROXIES) is None
    assert client_address(peer[0], "", PROXIES) is None
    assert client_address(peer[0], joined([written for written, _ in passed]), PROXIES) is None


@given(rubbish.filter(bool), st.none() | header.map(joined))
def test_a_peer_that_is_no_address_is_unknown(peer: str, forwarded_for: str | None) -> None:
    assert client_address(peer, forwarded_for, PROXIES) is None


@given(st.text(max_size=60), st.none() | st.text(max_size=60))
def test_no_header_breaks_anything(peer: str, forwarded_for: str | None) -> None:
    found = client_address(peer, forwarded_for, PROXIES)
    assert found is None or isinstance(found, networks.Address)


@given(spelled(addresses))
def test_an_address_is_the_same_however_it_is_written(written: tuple[str, Address]) -> None:
    assert parse(written[0]) == written[1]
    assert is_inside(parse(written[0]), PROXIES) == any(
        written[1] in network for network in PROXIES
    )


def test_an_unknown_address_is_inside_nothing(app: Flask) -> None:
    everything = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
    assert not is_inside(None, everything)
    assert not is_secure(None, CHANNEL)
    assert not is_secure(None, ())


def test_an_organisations_own_networks_take_the_place_of_the_portals(app: Flask) -> None:
    ours, theirs = parse("10.20.4.17"), parse("192.0.2.7")
    assert is_secure(ours, ())
    assert not is_secure(theirs, ())
    own = parse_networks("192.0.2.0/24")
    assert is_secure(theirs, own)
    assert not is_secure(ours, own)


def test_networks_are_separated_by_spaces() -> None:
    found = parse_networks("10.20.4.0/24  ::ffff:10.20.8.0/120 fd00::/8")
    assert [str(network) for network in found] == ["10.20.4.0/24", "10.20.8.0/24", "fd00::/8"]
    assert parse_networks("") == ()


@pytest.mark.parametrize(
    "text", ["10.20.4.0/33", "10.20.4.1/24", "10.20.4.0/24,10.20.8.0/24", "0.0.0.0/0", "::/0", "x"]
)
def test_what_is_no_network_or_all_of_them_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any text will do
        parse_networks(text)
    with pytest.raises(ValueError):  # noqa: PT011
        parse_networks(f"10.20.0.0/16 {text}")


def test_a_header_without_end_is_not_read() -> None:
    header = "10.20.4.17, " * 500 + "10.20.4.17"
    assert client_address("10.0.0.1", header, PROXIES) is None
