"""Addresses of a network: which one is free, and the MAC that goes with it. Pure."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Collection

from jackstay_agent.errors import AddressTaken, InvalidArgument

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def parse(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """*text* as an address without a zone. Raises `ValueError`.

    A zone, as in ``fe80::1%eth0``, may be any text for Python, with ends of lines, too: files and rules are made of
    addresses. And with one the same address would not be known again as taken.
    """
    if "%" in text:
        raise ValueError(f"{text!r} has a zone")
    return ipaddress.ip_address(text)


def gateway_of(subnet: str) -> str:
    """The host's own address in *subnet* unless another is said: the first one, as docker has it.

    Raises `InvalidArgument`.
    """
    network = _network(subnet)
    if network.version != 4:
        raise InvalidArgument(f"{subnet} is not an IPv4 subnet", hint="set network.subnet to one like 10.88.0.0/16")
    return str(network[1])


def prefix_of(subnet: str) -> int:
    """The length of *subnet*'s prefix in bits."""
    return _network(subnet).prefixlen


def next_free(subnet: str, taken: Collection[str], gateway: str = "", ip_range: str = "") -> str:
    """The lowest address of *subnet*, and of *ip_range* if it is not "", that a container can have and is not *taken*.

    *gateway* is the host's, "" for the first one. Raises `AddressTaken` when there is none.
    """
    network = _network(subnet)
    part = ipaddress.ip_network(ip_range) if ip_range else network
    used = {int(ipaddress.ip_address(address)) for address in (*taken, gateway or str(network[1]))}
    first = max(int(part.network_address), int(network.network_address) + 1)
    last = min(int(part.broadcast_address), int(network.broadcast_address) - 1)
    for number in range(first, last + 1):
        if number not in used:
            return str(network.network_address + (number - int(network.network_address)))
    raise AddressTaken(f"no address of {ip_range or subnet} is free", hint="remove containers that are not needed")


def asked(subnet: str, taken: Collection[str], address: str, gateway: str = "") -> str:
    """*address* in its canonical form, if a container may have it.

    Raises `InvalidArgument` when it is malformed or not a host's address in *subnet*, `AddressTaken`.
    """
    network = _network(subnet)
    try:
        wanted = parse(address)
    except ValueError as error:
        raise InvalidArgument(f"{address!r} is not an IP address", hint=f"give one of {subnet}") from error
    if wanted.version != network.version:
        raise InvalidArgument(
            f"{address!r} is not an IPv{network.version} address", hint="--ip is for IPv4, --ip6 for IPv6"
        )
    if wanted not in network or wanted in (network.network_address, network.broadcast_address):
        raise InvalidArgument(
            f"{wanted} is not an address of the network's subnet {subnet}", hint="choose one inside the subnet"
        )
    if str(wanted) == (gateway or str(network[1])) or str(wanted) in taken:
        flag = "--ip" if network.version == 4 else "--ip6"
        raise AddressTaken(f"the address {wanted} is taken", hint=f"choose another one, or leave {flag} out")
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


def _network(subnet: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        network = ipaddress.ip_network(subnet)
    except ValueError as error:
        raise InvalidArgument(
            f"{subnet!r} is not a subnet: {error}", hint="set network.subnet to one like 10.88.0.0/16"
        ) from error
    most = 30 if network.version == 4 else 126
    if not 8 <= network.prefixlen <= most:
        raise InvalidArgument(f"the subnet {subnet} must have a prefix of 8 to {most} bits", hint="set network.subnet")
    return network
