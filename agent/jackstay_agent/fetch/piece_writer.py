"""Writing the pieces of one blob into its ingest, in a thread of its own.

Guarantees their order; that after an error nothing more is written, so that an ingest has no holes; and that the ingest
is the caller's again when the block is left. Memory: `AHEAD` + 2 pieces of at most 1 MiB.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from jackstay_agent.fetch.told import Told
from jackstay_agent.kernel.threads import to_end
from jackstay_oci.store.ingest import Ingest

AHEAD = 2


class PieceWriter:
    """A thread that writes, hashes and tells of pieces in their order, up to `AHEAD` behind the one who gives them.

    Going from piece to piece it does not wait for the event loop. After an error nothing more is written.
    """

    def __init__(self, ingest: Ingest, told: Told) -> None:
        self._ingest = ingest
        self._told = told
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ingest")
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._failed = False

    async def __aenter__(self) -> PieceWriter:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Write what was taken, whatever happened; then the ingest is the caller's again."""
        try:
            if self._waiting:
                await to_end(asyncio.gather(*self._waiting, return_exceptions=True))
        finally:
            self._thread.shutdown(wait=False)

    async def write(self, piece: bytes | bytearray) -> None:
        """Take a piece. Raises what writing an earlier one raised: `LimitExceeded`, `DiskFull`."""
        if len(self._waiting) > AHEAD:
            await self._next()
        self._waiting.append(asyncio.get_running_loop().run_in_executor(self._thread, self._write, piece))

    async def finish(self) -> None:
        """Wait until all is written. Raises as `write` does."""
        while self._waiting:
            await self._next()

    async def _next(self) -> None:
        await asyncio.shield(self._waiting[0])
        self._waiting.popleft()

    def _write(self, piece: bytes | bytearray) -> None:
        if self._failed:
            return
        try:
            self._ingest.write(piece)
        except BaseException:
            self._failed = True
            raise
        self._told.grown(self._ingest.offset)
