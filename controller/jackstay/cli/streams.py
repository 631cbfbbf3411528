"""A container's standard streams joined to ours: input with back-pressure, output, size, signals, detaching."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

from jackstay.cli.parsing.detach_keys import DetachScanner
from jackstay.cli.sinks import STDERR, STDOUT, Sink
from jackstay.cli.standard_input import read_input
from jackstay.cli.terminal import on_resize, raw_mode, window_size
from jackstay.client import messages
from jackstay.errors import AgentError, Error

if TYPE_CHECKING:
    from jackstay.client.calls import BidiCall

    Call = BidiCall[messages.StreamInput, messages.StreamOutput]

PROXIED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
FORCED = 3
"""After so many interrupts without an end the command itself ends."""


class StreamEnd(NamedTuple):
    """How it ended: the process's exit code, or ``None`` when we detached from it."""

    exit_code: int | None


class Signals:
    """Signals that this command gets, passed on to every container that it is attached to."""

    def __init__(self) -> None:
        self._targets: set[Callable[[str], None]] = set()
        self._interrupts = 0

    @contextmanager
    def proxied(self, wanted: bool) -> Iterator[None]:
        """Catch signals for the block."""
        if not wanted:
            yield
            return
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        for number in PROXIED:
            loop.add_signal_handler(number, self._pass, number, task)
        try:
            yield
        finally:
            for number in PROXIED:
                loop.remove_signal_handler(number)

    def _pass(self, number: signal.Signals, task: asyncio.Task[object]) -> None:
        if number in (signal.SIGINT, signal.SIGTERM):
            self._interrupts += 1
        if self._interrupts >= FORCED or not self._targets:
            task.cancel()
        for target in list(self._targets):
            target(number.name)

    @contextmanager
    def target(self, send: Callable[[str], None]) -> Iterator[None]:
        """Pass signals on to ``send`` for the block."""
        self._targets.add(send)
        try:
            yield
        finally:
            self._targets.discard(send)


class Streams:
    """One attach or exec call whose first request has been written."""

    def __init__(self, call: Call, host: str) -> None:
        self._call = call
        self._host = host
        self._replies: AsyncIterator[messages.StreamOutput] = aiter(call)
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ready(self) -> messages.StreamReady:
        """Wait until the streams are joined.

        Raises:
            Error: the agent refused.
        """
        async for reply in self._replies:
            if reply.WhichOneof("output") == "ready":
                return reply.ready
            break
        raise AgentError("INTERNAL", f"the agent on {self._host} did not join the streams")

    async def run(
        self,
        sink: Sink,
        *,
        stdin: bool = False,
        terminal: bool = False,
        detach_keys: bytes = b"",
        signals: Signals | None = None,
    ) -> StreamEnd:
        """Join the streams until the process ends or the keys to detach are typed.

        Raises:
            Unreachable: the connection broke; the container goes on.
        """
        detached = asyncio.Event()
        with (
            raw_mode() if terminal else nullcontext(),
            on_resize(self._resize) if terminal else nullcontext(),
            signals.target(self._signal) if signals else nullcontext(),
        ):
            if terminal:
                self._resize()
            output = asyncio.create_task(self._output(sink))
            waiting: list[asyncio.Task[object]] = [output, asyncio.create_task(detached.wait())]
            typing = asyncio.create_task(self._input(DetachScanner(detach_keys), detached)) if stdin else None
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (*waiting, *self._tasks, *([typing] if typing else [])):
                    task.cancel()
                await asyncio.gather(*waiting, *self._tasks, *([typing] if typing else []), return_exceptions=True)
                await sink.close()
        if detached.is_set() and output.cancelled():
            return StreamEnd(None)
        return output.result()

    async def _output(self, sink: Sink) -> StreamEnd:
        async for reply in self._replies:
            kind = reply.WhichOneof("output")
            if kind == "stdout":
                await sink.write(STDOUT, reply.stdout)
            elif kind == "stderr":
                await sink.write(STDERR, reply.stderr)
            elif kind == "exit_code":
                return StreamEnd(reply.exit_code)
            elif kind == "detached":
                return StreamEnd(None)
        raise AgentError("INTERNAL", f"the agent on {self._host} ended the stream without an exit code")

    async def _input(self, scanner: DetachScanner, detached: asyncio.Event) -> None:
        while data := await read_input():
            passed, left = scanner.feed(data)
            if passed:
                await self._write(messages.StreamInput(stdin=passed))
            if left:
                detached.set()
                return
        await self._write(messages.StreamInput(stdin_closed=True))

    async def _write(self, request: messages.StreamInput) -> None:
        try:
            async with self._writing:
                await self._call.write(request)
        except Error:
            pass  # the reader of the call tells why it ended

    def _later(self, request: messages.StreamInput) -> None:
        task = asyncio.create_task(self._write(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _resize(self) -> None:
        height, width = window_size()
        self._later(messages.StreamInput(resize=messages.WindowSize(height=height, width=width)))

    def _signal(self, name: str) -> None:
        self._later(messages.StreamInput(signal=name))
