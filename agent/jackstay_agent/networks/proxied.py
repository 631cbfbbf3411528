"""A port published on IPv6: its socket, watched, and a child that passes on what comes while something does.

Guarantees: nothing runs for a port that nobody uses; a child that has had nothing to do ends, and the next caller's
connection, which waits in the socket, brings another one; after `close` and `closed` no child has the socket any more.
A connection that is open ends with the child, and so with the container and with the agent.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

import structlog

from jackstay_agent.errors import Error
from jackstay_agent.kernel.jobs import Jobs

_JOB = "jackstay_agent.networks.proxy:serve"
_PAUSE = 1.0
"""Seconds before the next try when a child could not be started or broke."""

log = structlog.get_logger()


class ProxiedPort:
    """Passes what comes to *listener* (non-blocking, which stays the caller's) on to *address* and *port*."""

    def __init__(self, jobs: Jobs, listener: socket.socket, protocol: str, address: str, port: int) -> None:
        self._jobs = jobs
        self._listener = listener
        self._target = [protocol, address, port]
        self._child: asyncio.Task[None] | None = None
        self._open = True
        self._watch()

    def close(self) -> None:
        """Stop; the caller may close the listener at once."""
        self._open = False
        if self._child is None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
        else:
            self._child.cancel()

    async def closed(self) -> None:
        """Return when the child is gone, too."""
        if self._child is not None:
            await asyncio.wait([self._child])

    def _watch(self) -> None:
        asyncio.get_running_loop().add_reader(self._listener.fileno(), self._begin)

    def _begin(self) -> None:
        asyncio.get_running_loop().remove_reader(self._listener.fileno())
        self._child = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            try:
                await self._jobs.run(_JOB, self._target, [self._listener.fileno()])
            except Error as error:
                log.warning("what comes by IPv6 is not passed on", target=self._target, error=error.message)
                await asyncio.sleep(_PAUSE)
            if self._open:
                self._child = None
                self._watch()
