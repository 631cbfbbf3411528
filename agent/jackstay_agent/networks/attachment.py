"""What connecting a container to a network gives. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BoundPort:
    """A published port as it is bound: `host_port` is never 0, `host_ip` "" is every IPv4 address of the host."""

    host_ip: str
    host_port: int
    container_port: int
    protocol: str  # "tcp", "udp"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A connected container. On network "none" and "host" everything from `address` on is empty."""

    netns_path: str | None  # for the runtime to join; None: the host's own network namespace
    network: str  # "bridge", "host", "none"
    network_id: str = ""
    address: str = ""  # IPv4 without prefix
    prefix: int = 0
    gateway: str = ""
    mac: str = ""
    ports: tuple[BoundPort, ...] = ()
