"""What connecting a container to a network takes and gives. Values only.

The two protocols name what is needed of a container's settings, which are a higher layer's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class WantedPort(Protocol):
    """A port to publish, as `containers.settings.Port` has it; `host_port` 0 is any free one, `host_ip` "" all."""

    @property
    def container_port(self) -> int:
        """In the container."""
        ...

    @property
    def protocol(self) -> str:
        """ "tcp" or "udp"."""
        ...

    @property
    def host_ip(self) -> str:
        """An address of the host, or ""."""
        ...

    @property
    def host_port(self) -> int:
        """On the host."""
        ...


class WantedNetwork(Protocol):
    """The part of `containers.settings.Settings` that speaks of the network; "" in the other two is "choose one"."""

    @property
    def network(self) -> str:
        """ "bridge" (also "" and "default"), "host" or "none"."""
        ...

    @property
    def mac_address(self) -> str:
        """For the container's interface."""
        ...

    @property
    def ip(self) -> str:
        """IPv4."""
        ...


@dataclass(frozen=True, slots=True)
class BoundPort:
    """A published port as it is bound: `host_port` is never 0, `host_ip` "" is every address of the host."""

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
