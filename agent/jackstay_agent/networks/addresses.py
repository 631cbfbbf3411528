"""Addresses of a network: which one is free, and the MAC that goes with it. Pure."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Collection

from jackstay_agent.errors import AddressTaken, InvalidArgument

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def gateway_of(subnet: str) -> str:
    """The host's own address in *subnet*: the first one, as docker has it. Raises `InvalidArgument`."""
    return str(_network(subnet)[1])


def prefix_of(subnet: str) -> int:
    """The length of *subnet*'s prefix in bits."""
    return _network(subnet).prefixlen


def next_free(subnet: str, taken: Collection[str]) -> str:
    """The lowest address of *subnet* that is neither *taken* nor the network's, the gateway's or the broadcast one.

    Raises `AddressTaken` when there is none.
    """
    network = _network(subnet)
    used = {int(ipaddress.IPv4Address(address)) for address in taken}
    first = int(network.network_address) + 2
    for number in range(first, int(network.broadcast_address)):
        if number not in used:
            return str(ipaddress.IPv4Address(number))
    raise AddressTaken(f"no address of {subnet} is free", hint="remove containers that are not needed")


def asked(subnet: str, taken: Collection[str], address: str) -> str:
    """*address* in its canonical form, if a container may have it.

    Raises `InvalidArgument` when it is malformed or not a host's address in *subnet*, `AddressTaken`.
    """
    network = _network(subnet)
    try:
        wanted = ipaddress.IPv4Address(address)
    except ValueError as error:
        raise InvalidArgument(f"{address!r} is not an IPv4 address", hint="give one like 10.88.0.20") from error
    if wanted not in network or wanted in (network.network_address, network.broadcast_address):
        raise InvalidArgument(
            f"{wanted} is not an address of the network's subnet {subnet}", hint="choose one inside the subnet"
        )
    if str(wanted) == gateway_of(subnet) or str(wanted) in taken:
        raise AddressTaken(f"the address {wanted} is taken", hint="choose another one, or leave --ip out")
    return str(wanted)


def mac_of(address: str) -> str:
    """The MAC docker gives the holder of an IPv4 address: 02:42 and its four bytes, so that it moves with it."""
    return "02:42:" + ipaddress.IPv4Address(address).packed.hex(":")


def asked_mac(mac: str) -> str:
    """*mac* in its canonical form, if an interface may have it. Raises `InvalidArgument`."""
    canonical = mac.lower().replace("-", ":")
    if _MAC.fullmatch(canonical) is None:
        raise InvalidArgument(f"{mac!r} is not a MAC address", hint="give one like 02:42:0a:58:00:02")
    if int(canonical[:2], 16) & 1 or canonical == "00:00:00:00:00:00":
        raise InvalidArgument(f"{mac} is not the address of one interface", hint="the first byte must be even")
    return canonical


def interface_name(container: str, network: str, taken: Collection[str]) -> str:
    """The host side's name, ``veth`` and seven hexadecimal digits that follow from *container* and *network*."""
    digits = hashlib.sha256(f"{container} {network}".encode()).hexdigest()
    for start in range(len(digits) - 7):
        name = "veth" + digits[start : start + 7]
        if name not in taken:
            return name
    raise AddressTaken("no interface name is free", hint="remove containers that are not needed")


def _network(subnet: str) -> ipaddress.IPv4Network:
    try:
        network = ipaddress.IPv4Network(subnet)
    except ValueError as error:
        raise InvalidArgument(
            f"{subnet!r} is not an IPv4 subnet: {error}", hint="set network.subnet to one like 10.88.0.0/16"
        ) from error
    if not 8 <= network.prefixlen <= 30:
        raise InvalidArgument(f"the subnet {subnet} must have a prefix of 8 to 30 bits", hint="set network.subnet")
    return network
