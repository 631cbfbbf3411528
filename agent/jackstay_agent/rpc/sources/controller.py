"""The controller as a source: the agent asks for ranges on a stream that the controller opened.

So the laptop needs no listening port. The stream is one ``Images.Fetch`` call: `RangeWanted` goes out, `RangeData`
comes in, or the bytes come on a lane beside it (`rpc.lanes`). Back-pressure: a range holds at most `_PIECES` pieces of
at most 1 MiB; when its reader is slower, stream or lane are not read, and the controller has to wait.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol

from jackstay_agent.errors import SourceFailed
from jackstay_oci.digest import Digest
from jackstay_proto.v1.images_pb2 import FetchReply, FetchRequest, RangeWanted

PIECE = 1 << 20
_PIECES = 4


class Lane(Protocol):
    """Brings pieces by calling `ControllerSource.take`."""

    def pause(self) -> None:
        """Bring no more for now."""

    def resume(self) -> None:
        """Bring pieces again."""


class ControllerSource:
    """Implements `fetch.source.Source`; `deliver` is called with every request that comes on the stream."""

    def __init__(self, name: str, send: Callable[[FetchReply], Awaitable[None]]) -> None:
        self.name = name
        self._send = send
        self._numbers = itertools.count(1)
        self._ranges: dict[int, asyncio.Queue[bytes | bytearray | SourceFailed]] = {}
        self._lost: SourceFailed | None = None
        self._lane: Lane | None = None
        self._held = False  # whether the lane waits for a reader

    async def read(self, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes | bytearray, None]:
        """See `fetch.source.Source.read`."""
        number = next(self._numbers)
        pieces: asyncio.Queue[bytes | bytearray | SourceFailed] = asyncio.Queue(_PIECES)
        self._ranges[number] = pieces
        try:
            if self._lost is not None:
                raise self._lost
            wanted = RangeWanted(request=number, digest=str(digest), offset=offset, length=length)
            await self._send(FetchReply(wanted=wanted))
            left = length
            while left:
                piece = await pieces.get()
                self._go_on()
                if isinstance(piece, SourceFailed):
                    raise piece
                if len(piece) > left:
                    raise SourceFailed(f"{self.name} sent more of {digest} than was asked for")
                left -= len(piece)
                yield piece
        finally:
            del self._ranges[number]
            while not pieces.empty():  # whoever waits to put a piece goes on, and finds the range gone
                pieces.get_nowait()
            self._go_on()

    def distrust(self, digest: Digest) -> bool:
        """See `fetch.source.Source.distrust`: where the bytes come from is the controller's business."""
        return False

    def brought_by(self, lane: Lane) -> None:
        """Pieces come on *lane*."""
        self._lane = lane

    def take(self, number: int, piece: bytes | bytearray) -> None:
        """Hand a piece that came on the lane to the range it is of; one that is over takes nothing."""
        pieces = self._ranges.get(number)
        if pieces is None or pieces.full():  # full only if there is a stream that brings more of the same
            return
        pieces.put_nowait(piece)
        if pieces.full() and self._lane is not None:
            self._held = True
            self._lane.pause()

    def _go_on(self) -> None:
        if self._held and self._lane is not None and not any(pieces.full() for pieces in self._ranges.values()):
            self._held = False
            self._lane.resume()

    async def deliver(self, request: FetchRequest) -> None:
        """Hand one request of the stream to the range it answers; waits while that has enough."""
        kind = request.WhichOneof("request")
        if kind == "data":
            pieces = self._ranges.get(request.data.request)
            if pieces is not None and len(request.data.data) > PIECE:
                await pieces.put(SourceFailed(f"{self.name} sent a piece of {len(request.data.data)} bytes"))
            elif pieces is not None and request.data.data:
                await pieces.put(request.data.data)
        elif kind == "failed":
            pieces = self._ranges.get(request.failed.request)
            if pieces is not None:
                await pieces.put(SourceFailed(request.failed.message or f"{self.name} failed"))

    def lose(self) -> None:
        """The stream has ended: every range that is still read fails."""
        self._lost = SourceFailed(
            f"{self.name} went away", hint="run the command again; it resumes from what has arrived"
        )
        for pieces in self._ranges.values():
            # Room is made at the end: a piece taken from the front would leave a hole in what is kept for the next try.
            came = [pieces.get_nowait() for _ in range(pieces.qsize())]
            for piece in (*came[: _PIECES - 1], self._lost):
                pieces.put_nowait(piece)
