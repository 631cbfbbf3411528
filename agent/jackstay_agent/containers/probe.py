"""One probe of a health check: a command in the container, which nobody but the check sees.

Guarantees: it always gives a result, and when it returns or is cancelled its process has been ended. Leaves to others
when to probe and what a result means.
"""

from __future__ import annotations

import asyncio
import os
import time

from jackstay_agent.containers import exec_process, health
from jackstay_agent.containers.attaching import own_process
from jackstay_agent.containers.engine import Engine
from jackstay_agent.containers.exec import Session
from jackstay_agent.containers.exec_process import ExecRequest
from jackstay_agent.containers.health import Result
from jackstay_agent.containers.monitor import Streams
from jackstay_agent.errors import Error

_END_SECONDS = 5


class _Output:
    """The beginning of what a probe writes."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._cut = False

    def add(self, data: bytes) -> None:
        room = health.OUTPUT_BYTES - len(self._data)
        self._data += data[:room]
        self._cut = self._cut or len(data) > room

    def text(self) -> str:
        return self._data.decode(errors="replace") + ("..." if self._cut else "")


async def probe(engine: Engine, container: str, command: tuple[str, ...], limit: int) -> Result:
    """Run *command* in the running *container* for at most *limit* nanoseconds."""
    begin, output = time.time_ns(), _Output()
    starting = asyncio.ensure_future(_start(engine, container, command))
    try:
        async with asyncio.timeout(limit / 10**9):
            session = await asyncio.shield(starting)
            async for _stream, data in session.output():
                output.add(data)
            code = await session.wait()
        text = output.text()
    except TimeoutError:
        code, text = -1, health.too_long(limit, output.text())
    except (Error, OSError) as error:
        code, text = -1, str(error)[: health.OUTPUT_BYTES]
    finally:
        await asyncio.shield(_end(starting))
    return Result(start=begin, end=time.time_ns(), exit_code=-1 if code is None else code, output=text)


async def _start(engine: Engine, container: str, command: tuple[str, ...]) -> Session:
    own = await asyncio.to_thread(own_process, os.path.join(engine.layout.bundle(container), "config.json"))
    process = exec_process.build(own, ExecRequest(command=command), None, ())
    streams = Streams(tty=False, stdin=False, keep_stdin=False)
    return await engine.execs.start(container, process, streams, detach=False)


async def _end(starting: asyncio.Future[Session]) -> None:
    """End the process, wherever its start has come to."""
    try:
        session = await starting
    except (Error, OSError):
        return
    await session.end()
    try:
        async with asyncio.timeout(_END_SECONDS):
            await session.wait()
    except TimeoutError:
        pass  # what it left behind holds its streams; it ends with the container
    await session.leave()
