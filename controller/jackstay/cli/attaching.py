"""Joining a container's streams: the streams are joined before it starts, so that no output is lost."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from jackstay.cli.streams import Signals, StreamEnd, Streams
from jackstay.cli.terminal import window_size
from jackstay.client import messages

if TYPE_CHECKING:
    from jackstay.cli.sinks import Sink
    from jackstay.client import AgentClient


async def attach_streams(
    agent: AgentClient,
    container: str,
    sink: Sink,
    *,
    stdin: bool,
    keys: bytes,
    signals: Signals | None,
    joined: Callable[[], Awaitable[None]] | None = None,
) -> StreamEnd:
    """Join the streams, do ``joined`` (which starts it), and stay until it ends or the keys are typed.

    Raises:
        Error: the agent's, or what ``joined`` raises.
    """
    height, width = window_size()
    async with agent.containers.attach() as call:
        start = messages.AttachStart(
            container=container,
            stdin=stdin,
            stdout=True,
            stderr=True,
            size=messages.WindowSize(height=height, width=width),
        )
        await call.write(messages.StreamInput(attach=start))
        streams = Streams(call, agent.host.name)
        ready = await streams.ready()
        if joined is not None:
            await joined()
        terminal = ready.tty and stdin and sys.stdin.isatty()
        end = await streams.run(
            sink, stdin=stdin, terminal=terminal, detach_keys=keys if ready.tty else b"", signals=signals
        )
    if end.exit_code is None:
        print(f"detached from {container[:12]} on {agent.host.name}, which goes on", file=sys.stderr)
    return end
