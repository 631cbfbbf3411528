"""What connecting a container to a network takes and gives. Values only.

The two protocols name what is needed of a container's settings, which are a higher layer's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class WantedPort(Protocol):
    """A port to publish, as `containers.settings.Port` has it; `host_port` 0 is any free one, `host_ip` "" all."""

    @property
    def host_port_end(self) -> int:
        """The first free one from `host_port` to this is taken; 0: `host_port` only."""
        ...

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


class WantedEndpoint(Protocol):
    """A place in a network, as `containers.settings.NetworkAttachment` has it; "" is "choose one"."""

    @property
    def network(self) -> str:
        """Its name or id, also "" and "default" for "bridge"."""
        ...

    @property
    def aliases(self) -> Sequence[str]:
        """More names in the network."""
        ...

    @property
    def ip(self) -> str:
        """IPv4."""
        ...

    @property
    def ip6(self) -> str:
        """IPv6."""
        ...

    @property
    def mac_address(self) -> str:
        """For the container's interface."""
        ...


class WantedNetworks(Protocol):
    """The part of `containers.settings.Settings` that speaks of networks."""

    @property
    def network(self) -> str:
        """The first one: "bridge", "host", "none", "container:ID", or another's name."""
        ...

    @property
    def networks(self) -> Sequence[WantedEndpoint]:
        """All of them, in the order of the interfaces."""
        ...


@dataclass(frozen=True, slots=True)
class BoundPort:
    """A published port as it is bound: `host_port` is never 0, `host_ip` "" is every address of the host."""

    host_ip: str
    host_port: int
    container_port: int
    protocol: str  # "tcp", "udp"

    @property
    def host_port_end(self) -> int:
        """0: it is this one."""
        return 0


@dataclass(frozen=True, slots=True)
class Attachment:
    """A connected container. Without a place in a network, as on "none" and "host", the fields from `addresses` on are
    empty."""

    netns_path: str | None  # for the runtime to join; None: the host's own network namespace
    network: str  # that the container is reached by: "bridge", "host", "none", a name
    addresses: tuple[str, ...] = ()  # without prefix, of each interface IPv4 and then IPv6
    gateway: str = ""  # the host's IPv4 address for the container
    ports: tuple[BoundPort, ...] = ()
    nameservers: tuple[str, ...] = ()  # of the host, that know the names of containers
