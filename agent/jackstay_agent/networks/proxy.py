"""The job that passes on what comes to a port published on IPv6, to the container's IPv4 address: one child a port.

Guarantees: a piece is read only when the one before it has been taken (back-pressure), an end of one direction is
passed on and the other goes on (half-close), and an end by an error is an error on both sides, never a clean one.
Datagrams of one sender go out by one socket, and are answered from the address that they came to.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import struct
from dataclasses import dataclass, field
from typing import Any

from jackstay_agent.kernel.readiness import readable

IDLE = 30.0
"""Seconds without a connection, or without a datagram, after which the child ends."""

FLOW = 90.0
"""Seconds after which a sender of datagrams who is silent is forgotten."""

FLOWS = 1024
"""Senders of datagrams at a time; for one more, the one that was silent longest is forgotten."""

_PIECE = 1 << 16
_DATAGRAM = 1 << 16
_RESET = struct.pack("ii", 1, 0)  # struct linger: an end that the other side sees as one by an error
_PACKET_INFO = 20  # struct in6_pktinfo: an address, the number of a link

_Target = tuple[str, int]


def serve(argument: Any, descriptors: list[int]) -> None:
    """Job: serve the socket in *descriptors* until it is idle; *argument* is ``[protocol, address, port]``."""
    protocol, address, port = argument
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with socket.socket(fileno=descriptors[0]) as listener:
        listener.setblocking(False)
        asyncio.run((connections if protocol == "tcp" else datagrams)(listener, (address, port)))


async def connections(listener: socket.socket, target: _Target) -> None:
    """Pass connections to *listener* on to *target*, until there has been none for `IDLE` seconds."""
    living: set[asyncio.Task[None]] = set()
    while True:
        try:
            async with asyncio.timeout(IDLE):
                await readable(listener.fileno())
        except TimeoutError:
            if not living:
                return
            continue
        try:
            client, _address = listener.accept()
        except OSError as error:
            if not isinstance(error, (BlockingIOError, ConnectionError)):
                await asyncio.sleep(0.1)  # too many descriptors: until some are closed
            continue
        client.setblocking(False)
        relaying = asyncio.create_task(_relay(client, target))
        living.add(relaying)
        relaying.add_done_callback(living.discard)


async def _relay(client: socket.socket, target: _Target) -> None:
    with client, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as container:
        try:
            container.setblocking(False)
            await asyncio.get_running_loop().sock_connect(container, target)
            for each in (client, container):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                each.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            async with asyncio.TaskGroup() as both:
                both.create_task(_pump(client, container))
                both.create_task(_pump(container, client))
        except* OSError:
            for each in (client, container):
                with contextlib.suppress(OSError):
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


async def _pump(source: socket.socket, sink: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while piece := await loop.sock_recv(source, _PIECE):
        await loop.sock_sendall(sink, piece)
    sink.shutdown(socket.SHUT_WR)


@dataclass(eq=False, slots=True)
class _Flow:
    """One sender of datagrams, and the address that it sends to."""

    sender: Any  # a socket address
    answers_from: list[tuple[int, int, bytes]]
    used: float
    socket: socket.socket = field(default_factory=lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))


async def datagrams(listener: socket.socket, target: _Target) -> None:
    """Pass datagrams to *listener* on to *target*, and the answers back, until nobody has sent one for long enough."""
    loop = asyncio.get_running_loop()
    flows: dict[tuple[Any, bytes], _Flow] = {}
    try:
        while True:
            try:
                async with asyncio.timeout(IDLE):
                    await readable(listener.fileno())
            except TimeoutError:
                _forget(flows, loop.time() - FLOW)
                if not flows:
                    return
                continue
            try:
                data, ancillary, _flags, sender = listener.recvmsg(_DATAGRAM, socket.CMSG_SPACE(_PACKET_INFO))
            except OSError:  # what an earlier answer met with
                continue
            flow = flows.get(key := (sender, _place(ancillary)))
            if flow is None:
                flow = _begin(flows, key, target, loop.time())
                if flow is None:
                    continue
                loop.add_reader(flow.socket.fileno(), _answer, listener, flow, loop)
            flow.used = loop.time()
            with contextlib.suppress(OSError):  # lost, as datagrams may be
                flow.socket.send(data)
    finally:
        _forget(flows, loop.time())


def _place(ancillary: list[tuple[int, int, bytes]]) -> bytes:
    """The address that a datagram came to, as packet info whose link is left for the routes to say; b"" if unknown."""
    for level, kind, value in ancillary:
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) and len(value) == _PACKET_INFO:
            return value[:16] + bytes(4)
    return b""


def _begin(flows: dict[tuple[Any, bytes], _Flow], key: tuple[Any, bytes], target: _Target, now: float) -> _Flow | None:
    """A new flow, at the cost of forgetting old ones; None when the container cannot be sent to now."""
    _forget(flows, now - FLOW)
    if len(flows) >= FLOWS:
        _forget(flows, min(flow.used for flow in flows.values()))
    sender, place = key
    flow = _Flow(sender, [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, place)] if place else [], now)
    flow.socket.setblocking(False)
    try:
        flow.socket.connect(target)
    except OSError:
        flow.socket.close()
        return None
    flows[key] = flow
    return flow


def _answer(listener: socket.socket, flow: _Flow, loop: asyncio.AbstractEventLoop) -> None:
    with contextlib.suppress(OSError):  # the container has nobody at that port, or the sender is gone
        data = flow.socket.recv(_DATAGRAM)
        flow.used = loop.time()
        listener.sendmsg([data], flow.answers_from, 0, flow.sender)


def _forget(flows: dict[tuple[Any, bytes], _Flow], since: float) -> None:
    """Forget the flows that nobody has used since *since*."""
    loop = asyncio.get_running_loop()
    for key in [key for key, flow in flows.items() if flow.used <= since]:
        old = flows.pop(key)
        loop.remove_reader(old.socket.fileno())
        old.socket.close()
