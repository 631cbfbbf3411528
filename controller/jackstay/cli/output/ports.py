"""The PORTS column: ``0.0.0.0:8080->80/tcp, 443/tcp``, consecutive ports joined to ranges, as docker does. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class BoundPort:
    """A container's port; ``host_port`` 0 means that it is exposed only."""

    protocol: str
    host_ip: str
    container_port: int
    host_port: int


def format_ports(ports: Iterable[BoundPort]) -> str:
    """All ports in one line."""
    groups: list[list[BoundPort]] = []
    for port in sorted(set(ports)):
        if groups and _follows(groups[-1][-1], port):
            groups[-1].append(port)
        else:
            groups.append([port])
    return ", ".join(_format(group[0], group[-1]) for group in groups)


def _follows(last: BoundPort, port: BoundPort) -> bool:
    step = 1 if last.host_port else 0
    return (port.protocol, port.host_ip, port.container_port, port.host_port) == (
        last.protocol,
        last.host_ip,
        last.container_port + 1,
        last.host_port + step,
    )


def _format(first: BoundPort, last: BoundPort) -> str:
    inner = _range(first.container_port, last.container_port)
    if not first.host_port:
        return f"{inner}/{first.protocol}"
    address = first.host_ip or "0.0.0.0"  # noqa: S104 (what "every address" looks like, nothing is bound here)
    if ":" in address:
        address = f"[{address}]"
    return f"{address}:{_range(first.host_port, last.host_port)}->{inner}/{first.protocol}"


def _range(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
