"""The PORTS column: ``443-445/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp``, as docker writes it. Pure.

Ports that follow each other are one range where they have the same number on both sides, or are exposed only. Those
that have another number on the host come last, each by itself.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple


class BoundPort(NamedTuple):
    """A container's port; ``host_port`` 0 means that it is exposed only."""

    protocol: str
    host_ip: str
    container_port: int
    host_port: int


def format_ports(ports: Iterable[BoundPort]) -> str:
    """All ports in one line."""
    told: list[str] = []
    others: list[str] = []
    open_ranges: dict[tuple[str, str], tuple[int, int]] = {}
    for port in sorted(set(ports), key=_order):
        number = port.container_port
        address = _address(port.host_ip) if port.host_port else ""
        if port.host_port not in (0, number):
            others.append(f"{address}:{port.host_port}->{number}/{port.protocol}")
            continue
        first, last = open_ranges.get((address, port.protocol), (number, number - 1))
        if last + 1 != number:
            told.append(_range(address, port.protocol, first, last))
            first = number
        open_ranges[address, port.protocol] = (first, number)
    told += [_range(address, protocol, *numbers) for (address, protocol), numbers in open_ranges.items()]
    return ", ".join([*told, *others])


def _order(port: BoundPort) -> tuple[int, int, bytes, int, str]:
    address = ipaddress.ip_address(port.host_ip or "0.0.0.0") if port.host_port else None  # noqa: S104 (nothing is bound)
    family, packed = (address.version, address.packed) if address is not None else (0, b"")
    return port.container_port, family, packed, port.host_port, port.protocol


def _address(host_ip: str) -> str:
    return f"[{host_ip}]" if ":" in host_ip else host_ip or "0.0.0.0"  # noqa: S104 (what "every address" looks like)


def _range(address: str, protocol: str, first: int, last: int) -> str:
    numbers = str(first) if first == last else f"{first}-{last}"
    return f"{address}:{numbers}->{numbers}/{protocol}" if address else f"{numbers}/{protocol}"
