"""Pieces of bytes from a thread to the event loop: few wait between them, so that a slow taker slows the maker."""

from __future__ import annotations

import asyncio
import threading

_JOINED = 1 << 17
"""Bytes up to which what is written is put together with what comes next; more is passed on as it is."""


class Handover:
    """Made in the event loop, whose `take` gives what a thread writes.

    At most *ahead* pieces of at most *piece* bytes wait to be taken, beside one that is being put together.
    """

    def __init__(self, *, piece: int, ahead: int = 2) -> None:
        self._loop = asyncio.get_running_loop()
        self._piece = piece
        self._room = threading.Semaphore(ahead)
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue()
        self._broken = False
        self._small = bytearray()

    # --- the thread's side -------------------------------------------------------------------------------------------

    def write(self, data: bytes, /) -> int:
        """Pass on all of *data*, waiting for room. Raises `BrokenPipeError` when nobody takes any more."""
        if len(data) < _JOINED:
            self._small += data
            if len(self._small) >= _JOINED:
                self.flush()
            return len(data)
        self.flush()
        for start in range(0, len(data), self._piece):
            self._put(data if len(data) <= self._piece else data[start : start + self._piece])
        return len(data)

    def flush(self) -> None:
        """Pass on what is held back."""
        if self._small:
            data, self._small = bytes(self._small), bytearray()
            self._put(data)

    def end(self) -> None:
        """Say that nothing follows, also when what was to follow has failed; never waits."""
        self._tell(b"")

    def _put(self, data: bytes) -> None:
        self._room.acquire()
        if self._broken:
            self._room.release()  # for the next write, which must fail too and not wait
            raise BrokenPipeError
        self._tell(data)

    def _tell(self, data: bytes) -> None:
        try:
            self._loop.call_soon_threadsafe(self._waiting.put_nowait, data)
        except RuntimeError:  # the loop has been closed
            raise BrokenPipeError from None

    # --- the event loop's side ---------------------------------------------------------------------------------------

    async def take(self) -> bytes:
        """The next piece; empty at the end."""
        data = await self._waiting.get()
        self._room.release()
        return data

    def close(self) -> None:
        """Take nothing any more: what the thread writes from now on fails, also what waits for room."""
        self._broken = True
        self._room.release()
