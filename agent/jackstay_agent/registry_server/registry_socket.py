"""The registry's socket, which listens from the agent's start on; what answers is loaded by the first caller.

Why: HTTP's library is a third of what the agent would load at its start, in time and in memory, and many hosts are
never asked. Guarantees that whoever calls early is answered, too: the kernel has the connection wait meanwhile.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import structlog

from jackstay_agent.config import Limits
from jackstay_agent.content.store import ContentStore
from jackstay_agent.events.event import Record
from jackstay_agent.gc.collect import Collector
from jackstay_agent.images.receiving import Receiver

if TYPE_CHECKING:
    from jackstay_agent.registry_server.server import RegistryServer

BACKLOG = 128
"""Connections that wait to be accepted."""

_log = structlog.get_logger("registry")


class RegistrySocket:
    """Serves one agent's images as a registry. *busy* is entered for the time of each request."""

    def __init__(
        self,
        content: ContentStore,
        receiver: Receiver,
        collector: Collector,
        limits: Limits,
        record: Record,
        busy: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._parts = (content, receiver, collector, limits, record, busy)
        self._busy = busy
        self._grace = 0.0
        self._listening: socket.socket | None = None
        self._starting: asyncio.Task[None] | None = None
        self._server: RegistryServer | None = None

    def serve(self, path: str, *, grace: float) -> None:
        """Listen on the Unix socket *path*, which must not exist; in the end, requests get *grace* seconds to end."""
        self._grace = grace
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._listening.bind(path)
        self._listening.listen(BACKLOG)
        asyncio.get_running_loop().add_reader(self._listening, self._called)

    async def close(self) -> None:
        """Accept no more, end the requests that are under way, and keep uploads for the next start."""
        if self._starting is not None:
            await self._starting
        elif self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
        if self._server is not None:
            await self._server.close()
        self._starting = self._listening = self._server = None

    def _called(self) -> None:
        assert self._listening is not None
        asyncio.get_running_loop().remove_reader(self._listening)
        self._starting = asyncio.create_task(self._start(self._listening))

    async def _start(self, listening: socket.socket) -> None:
        with self._busy():
            try:
                await asyncio.to_thread(importlib.import_module, "jackstay_agent.registry_server.server")
                from jackstay_agent.registry_server.server import RegistryServer

                self._server = RegistryServer(*self._parts)
                await self._server.serve(listening, grace=self._grace, backlog=BACKLOG)
            except Exception as error:
                listening.close()  # so that callers are refused instead of waiting for ever
                _log.error("the registry cannot be served", error=repr(error))
