"""One destination's fetch: the agent asks for ranges of what it lacks, we give them from a source.

Memory for one destination stays below ``PARALLEL`` pieces of 1 MiB, and what gRPC holds of one message under way: a
piece is read only when there is a free place, and writing waits until the agent takes it. Requests that wait for a
place are a few dozen bytes each and at most ``MAX_WAITING``. Of blobs outside the images nothing is read or counted,
whatever the agent asks for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jackstay.client import messages
from jackstay.copying.sources import PIECE, AttachedDocument, Blob, RangeSource, SourceImage
from jackstay.errors import AgentError, Error, NotFound

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.client.calls import BidiCall
    from jackstay.client.lanes import FetchLane

    Call = BidiCall[messages.FetchRequest, messages.FetchReply]

PARALLEL = 4
"""Ranges answered at the same time."""
MAX_WAITING = 4096
"""Requests that an agent may have open; more is a broken agent."""

OnProgress = Callable[[messages.FetchProgress], None]


@dataclass(slots=True)
class Fetched:
    """What a fetch did: the agent's account, and how many bytes we wrote for each blob, their messages included."""

    done: messages.FetchDone
    wire: dict[str, int] = field(default_factory=dict)  # digest → bytes


async def serve(
    agent: AgentClient,
    source: RangeSource,
    images: Sequence[SourceImage],
    on_progress: OnProgress | None = None,
    lane: FetchLane | None = None,
) -> Fetched:
    """Drive ``Images.Fetch`` of one agent to its end; what it asks for goes on the ``lane`` when there is one.

    Raises:
        Error: the agent's own, ``SOURCE_FAILED`` among them when the source could not give what was asked for.
    """
    async with agent.images.fetch() as call:
        await call.write(messages.FetchRequest(start=start_request(source.name, images, lane)))
        known = {blob.digest for image in images for blob in image.everything}
        answerer = _Answerer(call, source, known, lane)
        try:
            async for reply in call:
                kind = reply.WhichOneof("reply")
                if kind == "wanted":
                    answerer.answer(reply.wanted)
                elif kind == "progress" and on_progress is not None and reply.progress.digest in known:
                    on_progress(reply.progress)
                elif kind == "stopping":
                    await answerer.stop()
                    await call.done_writing()
                elif kind == "done":
                    await answerer.close()
                    await call.done_writing()
                    return Fetched(reply.done, answerer.wire)
        finally:
            await answerer.close()
        raise AgentError("INTERNAL", f"the agent on {agent.host.name} ended the copy without a result")


def start_request(source: str, images: Sequence[SourceImage], lane: FetchLane | None = None) -> messages.FetchStart:
    """The first message of a fetch."""
    return messages.FetchStart(
        source=source,
        lane=lane.name if lane else "",
        images=[
            messages.ImageTarget(
                root=_descriptor(image.root),
                names=image.names,
                platform=image.platform,
                all_platforms=image.all_platforms,
                manifests=image.manifests,
                event=image.event,
                pulled=image.pulled,
                attached=[_attached(one) for one in image.attached],
            )
            for image in images
        ],
    )


def _attached(one: AttachedDocument) -> messages.Attached:
    return messages.Attached(
        document=_descriptor(one.document),
        about=one.about,
        kind=one.kind,
        blobs=[_descriptor(blob) for blob in one.blobs],
    )


def _descriptor(blob: Blob) -> messages.Descriptor:
    return messages.Descriptor(media_type=blob.media_type, digest=blob.digest, size=blob.size)


class _Answerer:
    """Answers ranges concurrently. One message is written at a time, for a call takes one writer, as does a lane."""

    def __init__(self, call: Call, source: RangeSource, known: Collection[str], lane: FetchLane | None) -> None:
        self._lane = lane
        self._call = call
        self._source = source
        self._known = known
        self._places = asyncio.Semaphore(PARALLEL)
        self._writing = asyncio.Lock()  # to the call
        self._sending = asyncio.Lock()  # on the lane
        self._tasks: set[asyncio.Task[None]] = set()
        self.wire: dict[str, int] = {}

    def answer(self, wanted: messages.RangeWanted) -> None:
        """Begin to answer; never waits, so that the agent's other messages are still read."""
        if len(self._tasks) >= MAX_WAITING:
            raise AgentError("LIMIT_EXCEEDED", f"the agent asked for more than {MAX_WAITING} ranges at once")
        task = asyncio.create_task(self._answer(wanted))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # A broken call is told by its reader, which holds the status; here it is only taken note of.
        if not task.cancelled():
            task.exception()

    async def _answer(self, wanted: messages.RangeWanted) -> None:
        async with self._places:
            try:
                await self._send_range(wanted)
            except Error as error:
                await self._fail(wanted, error.reason, error.message)
            except OSError as error:
                await self._fail(wanted, "SOURCE_FAILED", f"{self._source.name}: {error.strerror or error}")

    async def _fail(self, wanted: messages.RangeWanted, reason: str, message: str) -> None:
        failed = messages.RangeFailed(request=wanted.request, reason=reason, message=message)
        request = messages.FetchRequest(failed=failed)
        await self._write(request, wanted.digest, request.ByteSize())

    async def _send_range(self, wanted: messages.RangeWanted) -> None:
        if wanted.digest not in self._known:
            raise NotFound(f"{wanted.digest[:100]} belongs to no image that is being copied")
        sent = 0
        async for data in self._source.read(wanted.digest, wanted.offset, wanted.length):
            if sent + len(data) > wanted.length:
                raise AgentError(
                    "SOURCE_FAILED", f"{self._source.name} gave more than was asked for of {wanted.digest}"
                )
            for start in range(0, len(data), PIECE):
                piece = data[start : start + PIECE] if len(data) > PIECE else data
                if self._lane is not None:
                    await self._write_to_lane(self._lane, wanted, piece)
                    continue
                # Filled in place: a message given to another's constructor is serialized and parsed to be copied.
                request = messages.FetchRequest()
                request.data.request = wanted.request
                framing = request.ByteSize()  # before the data is in it, which would be serialized to be counted
                request.data.data = piece
                await self._write(request, wanted.digest, framing + len(piece))
            sent += len(data)
        if sent < wanted.length:
            raise AgentError(
                "SOURCE_FAILED",
                f"{self._source.name} has only {wanted.offset + sent} bytes of {wanted.digest}, "
                f"{wanted.offset + wanted.length} were asked for",
            )

    async def _write_to_lane(self, lane: FetchLane, wanted: messages.RangeWanted, piece: bytes) -> None:
        async with self._sending:
            try:
                size = await lane.send(wanted.request, piece)
            except OSError as error:  # told on the call: an agent that has not seen it break would wait
                raise AgentError("SOURCE_FAILED", f"the lane broke: {error}") from error
        self.wire[wanted.digest] = self.wire.get(wanted.digest, 0) + size

    async def _write(self, request: messages.FetchRequest, digest: str, size: int) -> None:
        async with self._writing:
            await self._call.write(request)
        if digest in self._known:  # or an agent that makes digests up would have us count without end
            self.wire[digest] = self.wire.get(digest, 0) + size

    async def stop(self) -> None:
        """Stop answering, after the write that is under way: one that is cut would take the whole call with it. On the
        lane it may be cut, since nothing follows there."""
        async with self._writing:
            await self.close()

    async def close(self) -> None:
        """Stop answering."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
