"""attach and exec: the streams of a process for one who sits at them.

Both give a `Seat`: output to iterate over, input, resize, signals, and in the end the exit code, which comes after
all output.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any, Protocol

from jackstay_agent.containers import exec_process, host_facts, state, users
from jackstay_agent.containers.attach import Client, Hub, Stream, resize
from jackstay_agent.containers.engine import Engine, Entry, settings_of
from jackstay_agent.containers.exec import Session
from jackstay_agent.containers.exec_process import ExecRequest
from jackstay_agent.containers.monitor import Streams
from jackstay_agent.containers.telling import tell, tell_exec
from jackstay_agent.errors import NotFound, RuntimeFailed
from jackstay_agent.metadata.containers import ContainerRow


class Seat(Protocol):
    """One's place at a process. Implementations: `Attached`, `exec.Session`."""

    id: str

    def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """What it writes, until it ends. Raises `LimitExceeded` when it is not taken for too long."""
        ...

    async def write(self, data: bytes) -> None:
        """Write to its standard input."""
        ...

    async def close_stdin(self) -> None:
        """Close its standard input."""
        ...

    async def resize(self, height: int, width: int) -> None:
        """Set its terminal's size. Raises `WrongState`."""
        ...

    async def signal(self, number: int) -> None:
        """Send it a signal."""
        ...

    async def wait(self) -> int | None:
        """Its exit code; None when the agent goes and the process stays."""
        ...

    async def leave(self) -> None:
        """Stand up; the process goes on."""
        ...


class Attached:
    """A place at a container. Made by `attach`, also before the start: then the output comes from its first byte."""

    def __init__(self, engine: Engine, entry: Entry, row: ContainerRow, hub: Hub, client: Client) -> None:
        self.id = row.id
        settings = settings_of(row)
        self.tty = settings.tty
        self._once = settings.open_stdin and settings.attach_stdin and not settings.tty
        self._engine = engine
        self._entry = entry
        self._hub = hub
        self._client = client
        self._seen = entry.ends
        self._row = row

    def output(self) -> AsyncIterator[tuple[Stream, bytes]]:
        """See `Seat.output`."""
        return aiter(self._client)

    async def write(self, data: bytes) -> None:
        """See `Seat.write`."""
        await self._hub.write(data)

    async def close_stdin(self) -> None:
        """Close standard input if it belongs to who created the container (docker's StdinOnce); else no effect."""
        if self._once:
            await self._hub.close_stdin()

    async def resize(self, height: int, width: int) -> None:
        """See `Seat.resize`. Before the start it waits for that."""
        await self._hub.opened()
        await asyncio.to_thread(resize, self._engine.layout.bundle(self.id), height, width)

    async def signal(self, number: int) -> None:
        """See `Seat.signal`."""
        await self._engine.runtime.kill(self.id, number)
        await tell(self._engine, self._entry, self._row, "kill", {"signal": str(number)})

    async def wait(self) -> int | None:
        """See `Seat.wait`. The code of a start that failed is docker's: 126, 127 or 128."""
        while self._entry.ends == self._seen and not self._entry.gone:
            if self._hub.left:
                return None
            try:
                row = await self._engine.get(self.id)
            except NotFound:
                break
            if not (state.is_live(row.state) or row.state == "starting"):
                return row.exit_code or 0
            await self._entry.changed()
        return self._entry.code

    async def leave(self) -> None:
        """See `Seat.leave`. The connection to the container is kept when its standard input hangs on it."""
        self._hub.leave(self._client)
        if not self._hub.has_clients and not (self._once and self._hub.is_open):
            if self._entry.hub is self._hub:
                self._entry.hub = None
            await self._hub.close()


async def attach(
    engine: Engine, text: str, *, stdout: bool, stderr: bool, size: tuple[int, int] | None = None
) -> Attached:
    """A place at the container that *text* means. Raises `NotFound`, `WrongState`.

    Its terminal has that *size*, rows and columns, from the first moment of its next start.
    """
    found = await engine.find(text)
    entry = engine.entry(found.id)
    async with entry.lock:
        row = await engine.get(found.id)
        state.check_can_attach(state.of(row), row.id)
        if entry.hub is None or entry.hub.ended.is_set():
            entry.hub = Hub(engine.layout.bundle(row.id))
        hub = entry.hub
        client = hub.join(stdout=stdout, stderr=stderr)
        entry.console = size or entry.console
        attached = Attached(engine, entry, row, hub, client)
        if state.is_live(row.state):
            try:
                await hub.open()
            except RuntimeFailed:
                # It is ending just now: nothing more comes but its exit code.
                hub.leave(client)
                await hub.close()
        await tell(engine, entry, row, "attach")
        return attached


async def execute(engine: Engine, text: str, request: ExecRequest) -> Session:
    """Run a further process in the container that *text* means.

    Raises `NotFound`, `WrongState`, `InvalidArgument`, `CommandNotFound`, `CommandNotExecutable`, `RuntimeFailed`.
    """
    row = await engine.find(text)
    state.check_can_exec(state.of(row), row.id)
    own = await asyncio.to_thread(own_process, os.path.join(engine.layout.bundle(row.id), "config.json"))
    settings = settings_of(row)
    user = None
    if request.user:
        user = await users.resolve(engine.jobs, engine.layout.rootfs(row.id), request.user, settings.group_add)
    facts = await asyncio.to_thread(host_facts.read)
    process = exec_process.build(own, request, user, facts.capabilities)
    streams = Streams(tty=request.tty, stdin=request.stdin, keep_stdin=False)
    session = await engine.execs.start(row.id, process, streams, detach=request.detach)
    await tell_exec(engine, row, session, " ".join(request.command))
    return session


def own_process(path: str) -> dict[str, Any]:
    """The ``process`` in the runtime specification at *path*. Blocking."""
    with open(path, encoding="utf-8") as file:
        process: dict[str, Any] = json.load(file)["process"]
    return process
