"""Published ports, held by sockets of the agent so that nobody else on the host can bind them.

IPv4: packets are translated before they would come to a socket; the socket is only the kernel's register of who has
the port. A TCP one does not listen, so that without the translation a connection is refused. IPv6: containers are
reached by IPv4, so the socket does listen, and `proxied` passes on what comes. Nobody else can share any of them.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Sequence

from jackstay_agent.errors import Error, InvalidArgument, PortTaken, Unsupported
from jackstay_agent.networks.attachment import BoundPort, WantedPort

_ANY = "0.0.0.0"  # noqa: S104 - what publishing a port means, unless an address is given
_ANY6 = "::"
_KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
_TRIES = 32
"""So often another free port is chosen when the one that IPv4 has free is taken on IPv6."""


class HeldPort:
    """A port that is held until `close`; `listener` is its IPv6 socket, non-blocking, or None."""

    def __init__(self, port: BoundPort, holders: Sequence[socket.socket]) -> None:
        self.port = port
        self.listener = next((holder for holder in holders if holder.family == socket.AF_INET6), None)
        self._holders = tuple(holders)

    def close(self) -> None:
        """Let the port go."""
        for holder in self._holders:
            holder.close()


def hold(port: WantedPort) -> HeldPort:
    """Bind *port*'s place on the host; the host's port 0 is any that is free, no address is all of both families.

    Of a range it is the first that is free.

    Raises `PortTaken`, `InvalidArgument` for what is no port or no address of this host, `Unsupported` for other
    protocols.
    """
    if port.protocol not in _KINDS:
        raise Unsupported(f"ports of {port.protocol} cannot be published", hint="tcp and udp can")
    last = port.host_port_end or port.host_port
    if not 1 <= port.container_port <= 65535 or not 0 <= port.host_port <= last <= 65535:
        raise InvalidArgument(
            f"{port.host_port}:{port.container_port} is not a pair of ports", hint="ports are 1 to 65535"
        )
    address = _address(port.host_ip)
    places = [address] if address else [_ANY, _ANY6] if socket.has_ipv6 else [_ANY]
    # The last one's error is the one to tell.
    for number in [0] * _TRIES if port.host_port == 0 else range(port.host_port, last + 1):
        try:
            holders = _bind_all(places, number, port.protocol)
        except PortTaken as error:
            taken = error
            continue
        bound = holders[0].getsockname()[1]
        return HeldPort(BoundPort(address, bound, port.container_port, port.protocol), holders)
    if port.host_port_end:
        taken = PortTaken(
            f"ports {_place(places[0], port.host_port)}-{last}/{port.protocol} are all taken",
            hint="see who has them with `ss -lntup`, or publish others",
        )
    raise taken


def _bind_all(places: Sequence[str], number: int, protocol: str) -> list[socket.socket]:
    holders: list[socket.socket] = []
    try:
        for place in places:
            try:
                holder = _bind(place, number, _KINDS[protocol])
            except OSError as error:
                if len(places) > 1 and place == _ANY6 and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                    continue  # a host without IPv6
                raise _refusal(place, number, protocol, error) from error
            holders.append(holder)
            number = holder.getsockname()[1]
    except BaseException:
        for holder in holders:
            holder.close()
        raise
    return holders


def _bind(address: str, number: int, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    place = socket.getaddrinfo(address, number, family, kind, flags=flags)[0][4]  # knows of scopes: fe80::1%eth0
    holder = socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)  # what comes anyhow is nobody's
        else:
            holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if kind == socket.SOCK_STREAM:
                # Connections that an earlier proxy had and that are still ending must not keep the port; while one
                # listens, nobody else can bind it in spite of this.
                holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            else:
                holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)  # to answer from where it came to
        holder.bind(place)
        if family == socket.AF_INET6 and kind == socket.SOCK_STREAM:
            holder.listen(socket.SOMAXCONN)
    except BaseException:
        holder.close()
        raise
    return holder


def _refusal(address: str, number: int, protocol: str, error: OSError) -> Error:
    place = f"{_place(address, number)}/{protocol}"
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"port {place} is taken",
            hint=f"see who has it with `ss -lnp 'sport = :{number}'`, or publish another one",
        )
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT) or isinstance(error, socket.gaierror):
        return InvalidArgument(
            f"{address} is not an address of this host", hint="publish on one that it has, or on all"
        )
    return InvalidArgument(f"port {place} cannot be bound: {error.strerror}")


def _place(address: str, number: int) -> str:
    return f"[{address}]:{number}" if ":" in address else f"{address}:{number}"


def _address(host_ip: str) -> str:
    """*host_ip* in its canonical form, "" for every address."""
    if host_ip in ("", _ANY):
        return ""
    try:
        address = ipaddress.ip_address(host_ip.strip("[]"))
    except ValueError as error:
        raise InvalidArgument(f"{host_ip!r} is not an IP address", hint="publish as IP:PORT:PORT") from error
    if address.version == 6 and address.ipv4_mapped is not None:
        return _address(str(address.ipv4_mapped))
    return str(address)
