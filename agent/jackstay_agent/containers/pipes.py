"""Starting a conmon: the pipes over which it waits to be let go and tells how its work went.

conmon reads a byte from the start pipe before it does anything (so that it can be put into a cgroup first), forks
into the background, and writes lines of JSON to the sync pipe. Guarantees: its own session, no inherited descriptor
but the pipes, nothing of the agent's environment but PATH.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Sequence
from types import TracebackType

from jackstay_agent import faults
from jackstay_agent.errors import RuntimeFailed, Unsupported

_LINE = 1 << 20


class Pipes:
    """A conmon that was started and waits. Use as an async context: the pipes are closed at its end, conmon goes on."""

    def __init__(
        self, pid: int, ended: asyncio.Task[int], sync: socket.socket, start: int, attach: socket.socket
    ) -> None:
        self.pid = pid  # of the process before its fork into the background
        self._ended = ended
        self._sync = sync
        self._start = start
        self._attach = attach
        self._went = False
        self._seen: dict[socket.socket, bytes] = {sync: b"", attach: b""}

    @classmethod
    async def start(cls, argv: Sequence[str], folder: str) -> Pipes:
        """Start conmon as *argv* in the working folder *folder*. Raises `Unsupported` when it is not installed."""
        ours: list[socket.socket] = []
        theirs: list[socket.socket] = []
        for _ in range(2):
            mine, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            mine.setblocking(False)
            ours.append(mine)
            theirs.append(other)
        go_read, go_write = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                cwd=folder,
                env={
                    "PATH": os.environ.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
                    "LC_ALL": "C.UTF-8",
                    "_OCI_SYNCPIPE": str(theirs[0].fileno()),
                    "_OCI_ATTACHPIPE": str(theirs[1].fileno()),
                    "_OCI_STARTPIPE": str(go_read),
                },
                pass_fds=(theirs[0].fileno(), theirs[1].fileno(), go_read),
                start_new_session=True,
            )
        except FileNotFoundError as error:
            os.close(go_write)
            for mine in ours:
                mine.close()
            raise Unsupported(f"{argv[0]} is not installed", hint="install conmon on the host") from error
        except BaseException:
            os.close(go_write)
            for mine in ours:
                mine.close()
            raise
        finally:
            os.close(go_read)
            for other in theirs:
                other.close()
        faults.point("containers.monitor.spawned")
        os.set_blocking(go_write, False)
        return cls(process.pid, asyncio.create_task(process.wait()), ours[0], go_write, ours[1])

    async def __aenter__(self) -> Pipes:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.shield(self.close())

    async def close(self) -> None:
        """Close the pipes. A conmon that was not let go is killed; one that was has written its pid file after this."""
        if not self._went:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        if self._start >= 0:
            os.close(self._start)
            self._start = -1
        self._sync.close()
        self._attach.close()
        await asyncio.wait([self._ended], timeout=10)

    def go(self) -> None:
        """Let it go on. Raises `RuntimeFailed` when it is gone."""
        self._went = True
        try:
            os.write(self._start, b"1")
        except OSError as error:
            raise RuntimeFailed(f"conmon ended early: {error.strerror}") from error

    async def forked(self) -> None:
        """Wait until it has gone into the background. Raises `RuntimeFailed` when it ended instead."""
        code = await asyncio.shield(self._ended)
        if code:
            raise RuntimeFailed(f"conmon failed with exit code {code}", hint="journalctl -t conmon tells more")

    async def told(self) -> tuple[int, str] | None:
        """The next number it tells on the sync pipe and the message with it; None when it told its last."""
        return await self._line(self._sync)

    async def attachable(self) -> None:
        """Wait until the attach socket of an exec session listens."""
        await self._line(self._attach)

    async def _line(self, channel: socket.socket) -> tuple[int, str] | None:
        loop = asyncio.get_running_loop()
        seen = self._seen[channel]
        while b"\n" not in seen:
            with contextlib.suppress(ConnectionResetError):
                more = await loop.sock_recv(channel, 65536)
                if more and len(seen) < _LINE:
                    seen += more
                    continue
            if not seen:
                return None
            seen += b"\n"
        line, _, self._seen[channel] = seen.partition(b"\n")
        try:
            told = json.loads(line)
            return int(told["data"]), str(told.get("message", ""))
        except (ValueError, KeyError, TypeError):
            return -1, line.decode(errors="replace")
