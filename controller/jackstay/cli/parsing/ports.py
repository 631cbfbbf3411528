"""``--publish`` as docker writes it: ``[[IP:]HOST:]CONTAINER[/PROTOCOL]``, ranges, IPv6 in brackets. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from jackstay_oci.errors import InvalidArgument

PROTOCOLS = ("tcp", "udp")
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Port:
    """One published port; ``host_port`` 0 lets the host choose, an empty ``host_ip`` is every address.

    With ``host_port_end`` it is the first that is free from ``host_port`` to that.
    """

    container_port: int
    host_port: int = 0
    host_ip: str = ""
    protocol: str = "tcp"
    host_port_end: int = 0


def parse_publish(text: str) -> list[Port]:
    """The ports that one ``-p`` names, a range becoming one port each, or the choice for a single one.

    Raises:
        InvalidArgument: malformed, out of range, or ranges of different length.
    """
    rest, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if protocol not in PROTOCOLS:
        raise _invalid(text, f"the protocol is {protocol!r}, not tcp or udp")
    host_ip, host_text, container_text = _split(text, rest)
    container = _ports(text, container_text, least=1)
    if not host_text:
        return [Port(port, 0, host_ip, protocol) for port in container]
    host = _ports(text, host_text, least=0)
    if len(host) == len(container):
        return [Port(inner, outer, host_ip, protocol) for inner, outer in zip(container, host, strict=True)]
    if len(container) == 1 and host[0]:
        return [Port(container[0], host[0], host_ip, protocol, host[-1])]
    raise _invalid(text, "the two ranges have different lengths")


def _split(text: str, rest: str) -> tuple[str, str, str]:
    """Address, host port, container port; the first two may be empty."""
    if rest.startswith("["):
        address, bracket, ports = rest[1:].partition("]")
        if not bracket or not ports.startswith(":"):
            raise _invalid(text, "after an address in brackets comes ':'")
        host, _, container = ports[1:].rpartition(":")
        return _address(text, address), host, container
    before, _, container = rest.rpartition(":")
    if ":" not in before:
        return "", before, container
    address, _, host = before.rpartition(":")
    if ":" in address:
        raise _invalid(text, "an IPv6 address stands in brackets")
    return _address(text, address), host, container


def _address(text: str, address: str) -> str:
    if not address:
        return ""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        raise _invalid(text, f"{address!r} is not an IP address") from None


def _ports(text: str, part: str, *, least: int) -> list[int]:
    match = _RANGE.fullmatch(part)
    if match is None:
        raise _invalid(text, f"{part!r} is not a port or a range of ports")
    first, last = int(match[1]), int(match[2] or match[1])
    if not least <= first <= last <= 65535:
        raise _invalid(text, f"{part!r} is not within {least}-65535, first to last")
    return list(range(first, last + 1))


def _invalid(text: str, why: str) -> InvalidArgument:
    return InvalidArgument(
        f"--publish {text!r}: {why}", hint="write it like 8080:80, 127.0.0.1:53:53/udp or 8000-8010:8000-8010"
    )
