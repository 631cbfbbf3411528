"""A host as a registry of this machine: a port of the loopback that leads to its images, through SSH."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from jackstay.errors import Error, UsageError

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.fleet import FleetResult
    from jackstay.library.hosts import Hosts

LOOPBACK = "127.0.0.1"


def bind(port: int) -> socket.socket:
    """A socket on ``port`` of the loopback, 0 for a free one.

    Raises:
        UsageError: the port cannot be had.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        listener.bind((LOOPBACK, port))
        # Another program may be bound to it and not listen yet: with SO_REUSEADDR only this tells.
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        if isinstance(error, OverflowError):
            raise UsageError(f"--port {port} is no port", hint="0 to 65535; 0 takes a free one") from None
        taken = error.errno == errno.EADDRINUSE
        raise UsageError(
            f"port {port} of this machine {'is taken' if taken else f'cannot be had: {os.strerror(error.errno or 0)}'}",
            hint="name another --port; 0 takes a free one",
        ) from None
    return listener


async def expose(
    hosts: Hosts,
    listener: socket.socket,
    ready: Callable[[str], None],
    told: Callable[[Error], None],
) -> FleetResult[None]:
    """Carry what comes to ``listener`` (see `bind`) to the registry of the one host, until the way there is lost.

    Args:
        hosts: one host.
        listener: closed when this ends.
        ready: called with the address, ``127.0.0.1:5000``, once it can be used.
        told: called with why a single connection could not be carried; others may still be.
    """

    async def work(agent: AgentClient) -> None:
        async with agent.exposed_registry(listener, told) as exposure:
            ready(exposure.address)
            raise await exposure.lost()

    try:
        return await hosts.run(work)
    finally:
        listener.close()
