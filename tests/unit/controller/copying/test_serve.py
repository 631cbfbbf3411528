"""One destination's fetch against a scripted agent: order of pieces, failures of the source, bounded work."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from jackstay.client import messages
from jackstay.copying.serve import PARALLEL, serve
from jackstay.copying.sources import PIECE, Blob, SourceImage
from jackstay.errors import AgentError, NotFound

BLOBS = (Blob("sha256:blob", 1 << 30), Blob("sha256:gone", 3))
IMAGE = SourceImage(Blob("sha256:root", 3, "m"), ("docker.io/library/app:1",), BLOBS)


class FakeSource:
    """Bytes that tell where they come from; counts the readers at work."""

    name, via = "somewhere", "archive"

    def __init__(self, short: int = 0, piece: int = PIECE) -> None:
        self.short, self.piece = short, piece
        self.reading = self.most = 0

    async def read(self, digest: str, offset: int, length: int) -> AsyncIterator[bytes]:
        if digest == "sha256:gone":
            raise NotFound("somewhere has no sha256:gone")
        self.reading += 1
        self.most = max(self.most, self.reading)
        try:
            left = length - self.short
            while left > 0:
                await asyncio.sleep(0)
                yield bytes(min(self.piece, left))
                left -= self.piece
        finally:
            self.reading -= 1


class FakeCall:
    """The agent's side, as a function of the call."""

    def __init__(self, script: Callable[[FakeCall], AsyncIterator[messages.FetchReply]]) -> None:
        self.written: asyncio.Queue[messages.FetchRequest] = asyncio.Queue()
        self.writing = 0
        self.script = script
        self.cancelled = self.ended = False

    async def write(self, request: messages.FetchRequest) -> None:
        assert self.writing == 0, "two writers at once"
        self.writing += 1
        await asyncio.sleep(0)
        self.written.put_nowait(request)
        self.writing -= 1

    async def done_writing(self) -> None:
        self.ended = True

    def __aiter__(self) -> AsyncIterator[messages.FetchReply]:
        return self.script(self)

    async def __aenter__(self) -> FakeCall:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cancelled = True


async def test_asked_to_stop_it_ends_the_requests_after_the_write_under_way() -> None:
    async def script(call: FakeCall) -> AsyncIterator[messages.FetchReply]:
        yield messages.FetchReply(wanted=messages.RangeWanted(request=1, digest="sha256:blob", length=1 << 30))
        while call.written.qsize() < 5:
            await asyncio.sleep(0)
        yield messages.FetchReply(stopping=messages.FetchStopping())
        written = call.written.qsize()
        await asyncio.sleep(0.05)
        assert (call.written.qsize(), call.writing, call.ended) == (written, 0, True)
        raise AgentError("DISK_FULL", "no space left")

    with pytest.raises(AgentError, match="no space left"):
        await serve(agent_with(script), FakeSource(), [IMAGE])


def agent_with(script: Callable[[FakeCall], AsyncIterator[messages.FetchReply]]) -> Any:
    call = FakeCall(script)

    class Agent:
        host = type("Host", (), {"name": "web1"})()
        images = type("Images", (), {"fetch": lambda self: call})()

    return Agent()


def wanted(number: int, length: int, digest: str = "sha256:blob") -> messages.FetchReply:
    return messages.FetchReply(wanted=messages.RangeWanted(request=number, digest=digest, offset=0, length=length))


DONE = messages.FetchReply(done=messages.FetchDone(bytes_sent=5))


async def test_start_comes_first_and_pieces_in_order() -> None:
    got: list[messages.FetchRequest] = []

    async def script(call: FakeCall) -> AsyncIterator[messages.FetchReply]:
        got.append(await call.written.get())
        yield wanted(1, 2 * PIECE + 5)
        while sum(len(item.data.data) for item in got) < 2 * PIECE + 5:
            got.append(await call.written.get())
        yield DONE

    source = FakeSource(piece=3 * PIECE)  # a source that gives more at once than a message may carry
    fetched = await serve(agent_with(script), source, [IMAGE])  # type: ignore[arg-type]
    assert got[0].start.source == "somewhere"
    assert list(got[0].start.images[0].names) == ["docker.io/library/app:1"]
    assert [len(item.data.data) for item in got[1:]] == [PIECE, PIECE, 5]
    assert fetched.done.bytes_sent == 5
    assert 2 * PIECE + 5 < fetched.wire["sha256:blob"] < 2 * PIECE + 100


async def test_at_most_so_many_ranges_at_once() -> None:
    async def script(call: FakeCall) -> AsyncIterator[messages.FetchReply]:
        await call.written.get()
        for number in range(50):
            yield wanted(number, 10)
        for _ in range(50):
            assert (await call.written.get()).WhichOneof("request") == "data"
        yield DONE

    source = FakeSource(piece=1)
    source.piece = 10
    await serve(agent_with(script), source, [IMAGE])  # type: ignore[arg-type]
    assert 1 < source.most <= PARALLEL


@pytest.mark.parametrize(
    ("source", "digest", "reason"),
    [(FakeSource(), "sha256:gone", "NOT_FOUND"), (FakeSource(short=3), "sha256:blob", "SOURCE_FAILED")],
)
async def test_a_failing_source_is_told(source: FakeSource, digest: str, reason: str) -> None:
    async def script(call: FakeCall) -> AsyncIterator[messages.FetchReply]:
        await call.written.get()
        yield wanted(7, 10, digest)
        while (request := await call.written.get()).WhichOneof("request") == "data":
            pass
        assert (request.failed.request, request.failed.reason) == (7, reason)
        assert digest in request.failed.message
        yield DONE

    await serve(agent_with(script), source, [IMAGE])  # type: ignore[arg-type]


async def test_an_end_without_a_result_is_an_error() -> None:
    async def script(call: FakeCall) -> AsyncIterator[messages.FetchReply]:
        await call.written.get()
        return
        yield

    with pytest.raises(AgentError, match="web1"):
        await serve(agent_with(script), FakeSource(), [IMAGE])  # type: ignore[arg-type]


async def test_too_many_open_requests_end_the_fetch() -> None:
    async def script(call: FakeCall) -> AsyncIterator[messages.FetchReply]:
        await call.written.get()
        for number in range(10_000):
            yield wanted(number, 10)

    with pytest.raises(AgentError, match="4096"):
        await serve(agent_with(script), FakeSource(), [IMAGE])  # type: ignore[arg-type]


async def test_other_blobs_than_the_images_are_neither_read_nor_counted() -> None:
    told: list[messages.FetchProgress] = []

    async def script(call: FakeCall) -> AsyncIterator[messages.FetchReply]:
        await call.written.get()
        for number in range(3):
            yield messages.FetchReply(progress=messages.FetchProgress(digest=f"sha256:{number}", phase=2, total=9))
            yield wanted(number, 10, f"sha256:{number}")
            assert (await call.written.get()).failed.reason == "NOT_FOUND"
        yield messages.FetchReply(progress=messages.FetchProgress(digest="sha256:blob", phase=2, total=9))
        yield DONE

    source = FakeSource()
    fetched = await serve(agent_with(script), source, [IMAGE], told.append)  # type: ignore[arg-type]
    assert source.most == 0
    assert fetched.wire == {}
    assert [each.digest for each in told] == ["sha256:blob"]


async def test_a_lane_that_breaks_fails_its_ranges_on_the_call() -> None:
    class Broken:
        name = "n" * 32

        async def send(self, number: int, piece: bytes) -> int:
            raise ConnectionResetError("reset")

    got: list[messages.FetchRequest] = []

    async def script(call: FakeCall) -> AsyncIterator[messages.FetchReply]:
        got.append(await call.written.get())
        yield wanted(7, 10)
        got.append(await call.written.get())
        yield DONE

    await serve(agent_with(script), FakeSource(), [IMAGE], lane=Broken())  # type: ignore[arg-type]
    assert got[0].start.lane == "n" * 32
    assert (got[1].failed.request, got[1].failed.reason) == (7, "SOURCE_FAILED")
    assert "the lane broke: reset" in got[1].failed.message


async def test_a_source_that_cannot_be_read_is_told_as_what_it_is() -> None:
    class Unreadable(FakeSource):
        async def read(self, digest: str, offset: int, length: int) -> AsyncIterator[bytes]:
            raise OSError(errno.EIO, "Input/output error")
            yield

    async def script(call: FakeCall) -> AsyncIterator[messages.FetchReply]:
        await call.written.get()
        yield wanted(7, 10)
        request = await call.written.get()
        assert request.failed.reason == "SOURCE_FAILED"
        assert request.failed.message == "somewhere: Input/output error"
        yield DONE

    await serve(agent_with(script), Unreadable(), [IMAGE])  # type: ignore[arg-type]


async def test_pieces_go_on_the_lane() -> None:
    class Kept:
        name = "n" * 32

        def __init__(self) -> None:
            self.sent: list[tuple[int, int]] = []

        async def send(self, number: int, piece: bytes) -> int:
            self.sent.append((number, len(piece)))
            return 8 + len(piece)

    lane = Kept()

    async def script(call: FakeCall) -> AsyncIterator[messages.FetchReply]:
        await call.written.get()
        yield wanted(1, PIECE + 5)
        while len(lane.sent) < 2:
            await asyncio.sleep(0)
        yield DONE

    fetched = await serve(agent_with(script), FakeSource(), [IMAGE], lane=lane)  # type: ignore[arg-type]
    assert lane.sent == [(1, PIECE), (1, 5)]
    assert fetched.wire == {"sha256:blob": PIECE + 5 + 16}
