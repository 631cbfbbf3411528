"""The subnets of the networks that users make: chosen from a pool, or checked as they were asked for. Pure."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from jackstay_agent.errors import AddressTaken, InvalidArgument
from jackstay_agent.networks import addresses

POOLS = ("10.89.0.0/16", "10.90.0.0/15", "10.92.0.0/14", "10.96.0.0/11", "10.128.0.0/9", "172.16.0.0/12",
         "192.168.0.0/16")  # fmt: skip
"""Where IPv4 subnets of 24 bits are taken from, in this order: what the standard default network leaves free."""

Place = tuple[str, str]
"""Who has it ("network web", "eth0") and an address or a network."""


@dataclass(frozen=True, slots=True)
class Subnet:
    """One subnet of a network: CIDR, the host's address in it, and the part that addresses are chosen from or ""."""

    subnet: str
    gateway: str
    ip_range: str = ""


def choose4(taken: Iterable[Place]) -> Subnet:
    """The first IPv4 subnet of the pools that shares no address with *taken*. Raises `AddressTaken`."""
    used = [network for network in _networks(taken) if isinstance(network, IPv4Network)]
    for subnet in _pool():
        if not any(subnet.overlaps(each) for each in used):
            return Subnet(str(subnet), str(subnet[1]))
    raise AddressTaken("no subnet is free for a network", hint="remove networks, or give one with --subnet")


def choose6(taken: Iterable[Place]) -> Subnet:
    """An IPv6 subnet of one's own (RFC 4193: 40 random bits) that shares no address with *taken*."""
    used = [network for network in _networks(taken) if isinstance(network, IPv6Network)]
    while True:
        subnet = IPv6Network((bytes([0xFD]) + secrets.token_bytes(5) + bytes(10), 64))
        if not any(subnet.overlaps(each) for each in used):
            return Subnet(str(subnet), str(subnet[1]))


def checked(subnet: str, gateway: str, ip_range: str) -> Subnet:
    """What was asked for, in canonical form. Raises `InvalidArgument`."""
    try:
        network = ipaddress.ip_network(subnet)
    except ValueError as error:
        raise InvalidArgument(f"{subnet!r} is not a subnet: {error}", hint="give one like 10.89.5.0/24") from error
    most = 30 if network.version == 4 else 126
    if not 8 <= network.prefixlen <= most:
        raise InvalidArgument(f"the subnet {subnet} must have a prefix of 8 to {most} bits", hint="give another one")
    if network.is_multicast or network.is_loopback or network.is_unspecified:
        raise InvalidArgument(f"containers cannot have addresses of {subnet}", hint="give one like 10.89.5.0/24")
    host = _gateway(network, gateway) if gateway else str(network[1])
    part = str(_part(network, ip_range)) if ip_range else ""
    return Subnet(str(network), host, part)


def clash(subnet: str, networks: Sequence[Place], addresses: Sequence[Place], routes: Sequence[Place]) -> str:
    """Who has addresses of the *subnet* that a user asked for, with its own, or "".

    A route of the host's that leads to more than the subnet, as a VPN's, is no clash: the user has chosen to have a
    part of that for containers.
    """
    own = ipaddress.ip_network(subnet)
    for name, text in (*networks, *addresses, *routes):
        other = ipaddress.ip_interface(text).network
        if other.version != own.version or not other.overlaps(own):
            continue
        if (name, text) in (*networks, *addresses) or other.prefixlen >= own.prefixlen:
            return f"{name} ({text})"
    return ""


def _pool() -> Iterator[IPv4Network]:
    for pool in POOLS:
        yield from IPv4Network(pool).subnets(new_prefix=24)


def _networks(places: Iterable[Place]) -> list[IPv4Network | IPv6Network]:
    return [ipaddress.ip_interface(text).network for _name, text in places]


def _gateway(network: IPv4Network | IPv6Network, text: str) -> str:
    try:
        address = addresses.parse(text)
    except ValueError as error:
        raise InvalidArgument(f"the gateway {text!r} is not an address", hint="give one of the subnet") from error
    bounds = {network.network_address, network.broadcast_address} if network.version == 4 else {network.network_address}
    if address not in network or address in bounds:
        raise InvalidArgument(f"the gateway {text} is not an address of {network}", hint="give one of the subnet")
    return str(address)


def _part(network: IPv4Network | IPv6Network, text: str) -> IPv4Network | IPv6Network:
    try:
        part = ipaddress.ip_network(text)
    except ValueError as error:
        raise InvalidArgument(f"the range {text!r} is not a subnet: {error}", hint="give a part of --subnet") from error
    if part.version != network.version or not part.subnet_of(network):  # type: ignore[arg-type]
        raise InvalidArgument(f"the range {text} is not a part of {network}", hint="give a part of --subnet")
    return part
