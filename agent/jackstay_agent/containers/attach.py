"""A container's standard streams: one connection to conmon's attach socket, shared by everyone who is attached.

One reader always drains the socket, since conmon blocks on a write nobody takes, and the container on conmon. What it
reads goes to every client's buffer of at most `BUFFER` bytes. A client that does not keep up makes the reader wait,
which is back-pressure on the container, but at most `PATIENCE` seconds: then that client is cut off with
`LimitExceeded`, and the others and the container go on.

conmon's side: SEQPACKET, packets of at most 8193 bytes whose first byte is 2 for standard output and 3 for standard
error; what is written to it is standard input, at most 32768 bytes a packet; a shutdown for writing closes standard
input. There is no replay: who joins sees what comes from then on.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from typing import Literal

from jackstay_agent.errors import Error, LimitExceeded, RuntimeFailed, WrongState
from jackstay_agent.kernel.threads import acquire

Stream = Literal["stdout", "stderr"]

BUFFER = 1 << 20
"""Bytes kept for a client that is slow."""

PATIENCE = 60.0
"""Seconds that a client may take nothing while its buffer is full."""

_PACKET = 8193
_INPUT = 32768
_STREAMS: dict[int, Stream] = {2: "stdout", 3: "stderr"}


class Client:
    """One who is attached. Iterate over it for the output, until the container ends or `close` is called."""

    def __init__(self, streams: frozenset[Stream]) -> None:
        self._streams = streams
        self._chunks: collections.deque[tuple[Stream, bytes]] = collections.deque()
        self._held = 0
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._ended = False
        self._error: Error | None = None

    async def offer(self, stream: Stream, data: bytes) -> None:
        """Buffer *data*; wait for room, but not for ever."""
        if self._ended or stream not in self._streams:
            return
        while self._held >= BUFFER and not self._ended:
            self._room.clear()
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._room.wait()
            except TimeoutError:
                self._error = LimitExceeded(
                    f"detached: {BUFFER} bytes of output waited {PATIENCE:g} s to be taken",
                    hint="read faster, or read the container's logs instead",
                )
                self.end()
        if not self._ended:
            self._chunks.append((stream, data))
            self._held += len(data)
            self._changed.set()

    def end(self) -> None:
        """Say that nothing more comes."""
        self._ended = True
        self._changed.set()
        self._room.set()

    async def __aiter__(self) -> AsyncIterator[tuple[Stream, bytes]]:
        while True:
            while self._chunks:
                stream, data = self._chunks.popleft()
                self._held -= len(data)
                self._room.set()
                yield stream, data
            if self._error is not None:
                raise self._error
            if self._ended:
                return
            self._changed.clear()
            await self._changed.wait()


class Hub:
    """The streams of one container, or of one command run by exec."""

    def __init__(self, bundle: str) -> None:
        self._bundle = bundle
        self._clients: set[Client] = set()
        self._socket: socket.socket | None = None
        self._reader: asyncio.Task[None] | None = None
        self._opened = asyncio.Event()
        self._writing = asyncio.Lock()
        self._stdin_closed = False
        self.ended = asyncio.Event()
        self.left = False  # this side closed the connection, the process goes on

    @property
    def is_open(self) -> bool:
        """Whether the streams are joined."""
        return self._socket is not None

    @property
    def has_clients(self) -> bool:
        """Whether somebody is attached."""
        return bool(self._clients)

    async def opened(self) -> None:
        """Wait until the streams are joined, or never will be."""
        await self._opened.wait()

    async def open(self) -> None:
        """Connect. Raises `RuntimeFailed` when conmon is not there. No effect when it is connected."""
        if self._socket is not None:
            return
        self._socket = await connect(self._bundle)
        self._reader = asyncio.create_task(self._drain(self._socket))
        self._opened.set()

    def join(self, *, stdout: bool = True, stderr: bool = True) -> Client:
        """A new client, which gets all output from now on; from the very first byte before the start."""
        wanted: set[Stream] = set()
        if stdout:
            wanted.add("stdout")
        if stderr:
            wanted.add("stderr")
        client = Client(frozenset(wanted))
        if self.ended.is_set():
            client.end()
        else:
            self._clients.add(client)
        return client

    def leave(self, client: Client) -> None:
        """Take *client* away."""
        client.end()
        self._clients.discard(client)

    async def write(self, data: bytes) -> None:
        """Write *data* to standard input, in order with other writers; before the start, it waits for that.

        Bytes for a process that does not read any more are dropped, as a pipe's are.
        """
        await self._opened.wait()
        async with self._writing:
            if self._socket is None or self._stdin_closed:
                return
            loop = asyncio.get_running_loop()
            view = memoryview(data)
            with contextlib.suppress(OSError):
                while view:
                    await loop.sock_sendall(self._socket, view[:_INPUT])
                    view = view[_INPUT:]

    async def close_stdin(self) -> None:
        """Close standard input after what was written."""
        await self._opened.wait()
        async with self._writing:
            if self._socket is not None and not self._stdin_closed:
                self._stdin_closed = True
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_WR)

    async def finish(self) -> None:
        """Wait until all output has reached the clients' buffers, conmon having ended; then end them."""
        if self._reader is not None:
            await asyncio.wait([self._reader], timeout=PATIENCE + 5)
        self.ended.set()
        await self.close()

    async def close(self) -> None:
        """Disconnect and end all clients. The container does not notice, unless its input hangs on this connection."""
        self.left = not self.ended.is_set()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
            self._reader = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._end()

    def _end(self) -> None:
        self.ended.set()
        self._opened.set()
        for client in self._clients:
            client.end()
        self._clients.clear()

    async def _drain(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                packet = await loop.sock_recv(connection, _PACKET)
            except OSError:
                packet = b""
            if not packet:
                self._end()
                return
            stream = _STREAMS.get(packet[0])
            if stream is None:
                continue
            for client in tuple(self._clients):
                await client.offer(stream, packet[1:])


async def connect(bundle: str) -> socket.socket:
    """A connection to the attach socket in *bundle*, however long its path is."""
    try:
        folder = await acquire(os.open, os.close, bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise RuntimeFailed(f"cannot attach: {error.strerror}") from error
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, f"/proc/self/fd/{folder}/attach")
    except OSError as error:
        connection.close()
        raise RuntimeFailed(f"cannot attach: {error.strerror}") from error
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(folder)
    return connection


def resize(bundle: str, height: int, width: int) -> None:
    """Set the size of the terminal of *bundle*'s process, through conmon's control FIFO. Blocking, but never for long.

    conmon takes sizes up to 1000. Raises `WrongState` when no conmon listens.
    """
    try:
        descriptor = os.open(os.path.join(bundle, "ctl"), os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise WrongState("cannot resize: the process is not running") from error
    try:
        os.write(descriptor, b"1 %d %d\n" % (max(1, min(height, 1000)), max(1, min(width, 1000))))
    finally:
        os.close(descriptor)
