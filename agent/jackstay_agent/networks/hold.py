"""Published ports, held by sockets of the agent so that nobody else on the host can bind them.

Packets for a published port are translated before they would come to a socket; the socket is only the kernel's
register of who has the port. A TCP one does not listen, so that without the translation a connection is refused; the
option to share a port is off on both kinds.
"""

from __future__ import annotations

import errno
import ipaddress
import socket

from jackstay_agent.errors import InvalidArgument, PortTaken, Unsupported
from jackstay_agent.networks.attachment import BoundPort, WantedPort

_ANY = "0.0.0.0"  # noqa: S104 - what publishing a port means, unless an address is given
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


class HeldPort:
    """A port that is held until `close`."""

    def __init__(self, port: BoundPort, holder: socket.socket) -> None:
        self.port = port
        self._holder = holder

    def close(self) -> None:
        """Let the port go."""
        self._holder.close()


def hold(port: WantedPort) -> HeldPort:
    """Bind *port*'s place on the host; the host's port 0 is any that is free.

    Raises `PortTaken`, `InvalidArgument` for what is no port or no address of this host, `Unsupported` for other
    protocols and IPv6.
    """
    kind = _KINDS.get(port.protocol)
    if kind is None:
        raise Unsupported(f"ports of {port.protocol} cannot be published", hint="tcp and udp can")
    if not 1 <= port.container_port <= 65535 or not 0 <= port.host_port <= 65535:
        raise InvalidArgument(
            f"{port.host_port}:{port.container_port} is not a pair of ports", hint="ports are 1 to 65535"
        )
    address = _address(port.host_ip)
    holder = socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC)
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # what comes anyhow is nobody's
        holder.bind((address or _ANY, port.host_port))
    except OSError as error:
        holder.close()
        place = f"{address or _ANY}:{port.host_port}/{port.protocol}"
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"port {place} is taken",
                hint=f"see who has it with `ss -lnp 'sport = :{port.host_port}'`, or publish another one",
            ) from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise InvalidArgument(
                f"{address} is not an address of this host", hint="publish on one that it has, or on all"
            ) from error
        raise InvalidArgument(f"port {place} cannot be bound: {error.strerror}") from error
    number = holder.getsockname()[1]
    return HeldPort(BoundPort(address, number, port.container_port, port.protocol), holder)


def _address(host_ip: str) -> str:
    """*host_ip* in its canonical form, "" for every address."""
    if host_ip in ("", _ANY):
        return ""
    try:
        address = ipaddress.ip_address(host_ip.strip("[]"))
    except ValueError as error:
        raise InvalidArgument(f"{host_ip!r} is not an IP address", hint="publish as IP:PORT:PORT") from error
    if address.version == 6:
        raise Unsupported(f"ports cannot be published on the IPv6 address {address} yet", hint="use an IPv4 address")
    return str(address)
