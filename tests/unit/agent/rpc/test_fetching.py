"""The stream of one fetch: both directions, every way to break it, and what is left then."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from jackstay_agent.config import Limits
from jackstay_agent.errors import Error, InvalidArgument, InvalidReference, PolicyRefused, SourceFailed
from jackstay_agent.fetch.progress import Phase, Progress, Report
from jackstay_agent.fetch.source import Source
from jackstay_agent.images.documents import Target
from jackstay_agent.images.pulling import Puller
from jackstay_agent.images.receiving import Received
from jackstay_agent.images.verifying import Verifier
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.spawner import Spawner
from jackstay_agent.metadata.database import Database
from jackstay_agent.rpc import fetching
from jackstay_agent.rpc.fetching import fetch
from jackstay_agent.rpc.images import ImagesService
from jackstay_oci.digest import Digest
from jackstay_proto.v1 import content_pb2
from jackstay_proto.v1 import images_pb2 as pb
from tests.unit.agent.images.image_host import ImageHost, Made, tar
from tests.unit.agent.rpc.served import images

DATA = bytes(range(256)) * 20_000  # 5 MB
DIGEST = Digest.of(DATA)
NAME = "docker.io/library/web:1"


class FakeReceiver:
    """Reads `DATA` in *ranges* at once from the source, each piece after *delay* seconds, and tells many steps."""

    def __init__(self, ranges: int = 3, delay: float = 0, steps: int = 0) -> None:
        self.ranges, self.delay, self.steps = ranges, delay, steps
        self.busy = 0

    async def receive(self, target: Target, sources: Sequence[Source], report: Report, ask: Any = None) -> Received:
        async def one(source: Source) -> None:
            self.busy += 1
            try:
                got = bytearray()
                async with aclosing(source.read(DIGEST, 0, len(DATA))) as pieces:
                    async for piece in pieces:
                        got += piece
                        await asyncio.sleep(self.delay)
                assert got == DATA
            finally:
                self.busy -= 1

        for step in range(self.steps):
            report(Progress(DIGEST, Phase.RECEIVING, step, self.steps))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self.ranges):
                    group.create_task(one(sources[0]))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return Received(target, Digest.of(b"config"), True, len(DATA) * self.ranges, 7)


def start(count: int = 1, **values: Any) -> pb.FetchRequest:
    root = content_pb2.Descriptor(media_type="m", digest=str(Digest.of(b"root")), size=9)
    images = [pb.ImageTarget(**({"root": root, "names": [NAME]} | values)) for _ in range(count)]
    return pb.FetchRequest(start=pb.FetchStart(images=images, source="laptop"))


class Laptop:
    """Drives `fetch` and answers what it wants by *answer*, which gives requests for one `RangeWanted`."""

    def __init__(self, answer: Callable[[pb.RangeWanted], list[pb.FetchRequest]]) -> None:
        self.answer = answer
        self.requests: asyncio.Queue[pb.FetchRequest | None] = asyncio.Queue()

    async def stream(self) -> AsyncIterator[pb.FetchRequest]:
        while (request := await self.requests.get()) is not None:
            yield request

    async def drive(self, receiver: Any, first: pb.FetchRequest | None = None) -> list[pb.FetchReply]:
        self.requests.put_nowait(first or start())
        replies = []
        async with aclosing(fetch(receiver, self.stream())) as stream:
            async for reply in stream:
                replies.append(reply)
                if reply.HasField("wanted"):
                    for request in self.answer(reply.wanted):
                        self.requests.put_nowait(request)
                elif reply.HasField("stopping"):
                    self.requests.put_nowait(None)
        return replies


async def test_what_may_not_come_this_way_is_not_asked_for() -> None:
    def accept(target: Target) -> None:
        if target.pulled:
            raise PolicyRefused("not this way")

    async def stream(pulled: bool) -> AsyncIterator[pb.FetchRequest]:
        yield start(pulled=pulled)

    with pytest.raises(PolicyRefused):
        await anext(fetch(FakeReceiver(0), stream(True), accept=accept))  # type: ignore[arg-type]
    reply = await anext(fetch(FakeReceiver(0), stream(False), accept=accept))  # type: ignore[arg-type]
    assert reply.HasField("done")


def data(number: int, piece: bytes) -> pb.FetchRequest:
    return pb.FetchRequest(data=pb.RangeData(request=number, data=piece))


def honest(wanted: pb.RangeWanted) -> list[pb.FetchRequest]:
    end = wanted.offset + wanted.length
    return [
        data(wanted.request, DATA[at : min(at + (1 << 20), end)]) for at in range(wanted.offset, end, 1 << 20)
    ]  # fmt: skip


async def test_several_ranges_at_once_with_a_slow_disk() -> None:
    replies = await asyncio.wait_for(Laptop(honest).drive(FakeReceiver(delay=0.01), start(2)), 20)
    done = replies[-1].done
    assert [image.names for image in done.images] == [[NAME], [NAME]]
    assert (done.bytes_sent, done.bytes_spared) == (6 * len(DATA), 14)


async def test_steps_that_nobody_reads_fast_enough_are_dropped_and_the_end_is_not() -> None:
    replies = await asyncio.wait_for(Laptop(honest).drive(FakeReceiver(steps=5000)), 20)
    assert 0 < sum(reply.HasField("progress") for reply in replies) <= 64
    assert replies[-1].HasField("done")


async def test_noise_is_passed_over() -> None:
    def noisy(wanted: pb.RangeWanted) -> list[pb.FetchRequest]:
        noise = [
            start(), data(4_000_000_000, b"x" * 100), data(wanted.request, b""), pb.FetchRequest(),
            pb.FetchRequest(failed=pb.RangeFailed(request=77, message="who?")),
        ]  # fmt: skip
        return [request for piece in honest(wanted) for request in (*noise, piece)] + [data(wanted.request, b"more")]

    replies = await asyncio.wait_for(Laptop(noisy).drive(FakeReceiver()), 20)
    assert replies[-1].HasField("done")


BROKEN: dict[str, tuple[Callable[[pb.RangeWanted], list[pb.FetchRequest | None]], str]] = {
    "says no": (
        lambda wanted: [pb.FetchRequest(failed=pb.RangeFailed(request=wanted.request, message="gone"))], "gone",
    ),
    "says no without a word": (
        lambda wanted: [pb.FetchRequest(failed=pb.RangeFailed(request=wanted.request))], "laptop failed",
    ),
    "sends too much": (lambda wanted: [data(wanted.request, b"x" * (1 << 20))] * 6, "more of"),
    "sends a huge piece": (lambda wanted: [data(wanted.request, b"x" * ((1 << 20) + 1))], "piece of"),
    "goes away": (lambda wanted: [*honest(wanted)[:2], None], "went away"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
async def test_a_controller_that_breaks_it(case: str) -> None:
    answer, message = BROKEN[case]
    receiver = FakeReceiver()
    with pytest.raises(SourceFailed, match=message):
        await asyncio.wait_for(Laptop(answer).drive(receiver), 10)  # type: ignore[arg-type]
    assert receiver.busy == 0


@pytest.mark.parametrize(
    ("first", "kind"),
    [
        (data(1, b"x"), InvalidArgument),
        (pb.FetchRequest(), InvalidArgument),
        (start(names=["UPPER"]), InvalidReference),
        (start(names=[f"web@{Digest.of(b'')}"]), InvalidReference),
        (start(root=content_pb2.Descriptor(digest="sha256:1")), Error),
        (start(root=content_pb2.Descriptor(digest=str(Digest.of(b"")), size=(1 << 64) - 1)), Error),
    ],
)
async def test_a_bad_beginning(first: pb.FetchRequest, kind: type[Error]) -> None:
    with pytest.raises(kind):
        await Laptop(honest).drive(FakeReceiver(), first)


async def test_no_beginning_at_all() -> None:
    async def nothing() -> AsyncIterator[pb.FetchRequest]:
        return
        yield

    with pytest.raises(InvalidArgument, match="begins with its images"):
        await anext(fetch(FakeReceiver(), nothing()))  # type: ignore[arg-type]


async def test_a_caller_that_is_not_silent_when_asked_is_told_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_SILENCE", 0.1)

    async def deaf() -> AsyncIterator[pb.FetchRequest]:
        yield start()
        while True:
            await asyncio.sleep(0.01)
            yield pb.FetchRequest(failed=pb.RangeFailed(request=1, message="gone"))

    async def drive() -> list[pb.FetchReply]:
        return [reply async for reply in fetch(FakeReceiver(1), deaf())]  # type: ignore[arg-type]

    with pytest.raises(SourceFailed, match="gone"):
        await asyncio.wait_for(drive(), 5)


async def test_whoever_stops_reading_ends_all_of_it() -> None:
    receiver = FakeReceiver()
    laptop = Laptop(honest)
    laptop.requests.put_nowait(start())
    stream = fetch(receiver, laptop.stream())  # type: ignore[arg-type]
    await anext(stream)
    await asyncio.sleep(0)
    assert receiver.busy
    await stream.aclose()
    assert receiver.busy == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


def service_of(host: ImageHost, puller: Puller | None = None) -> ImagesService:
    return ImagesService(
        host.database, host.images, host.receiver, puller or host.puller, host.pusher, host.saver, host.collector,
        host.room, "overlay", None,
    )  # type: ignore[arg-type]  # fmt: skip


async def test_a_host_whose_policy_asks_for_signatures_is_brought_no_image_in_place_of_a_pull(
    tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts
) -> None:
    host = await asyncio.to_thread(ImageHost, tmp_path, database, jobs, mounts, Limits())
    puller = Puller(host.content, host.receiver, host.registries, Verifier({"docker.io": "reject"}))
    async with images(tmp_path, service_of(host, puller)) as stub:
        call = stub.Fetch()
        await call.write(start(pulled=True))
        with pytest.raises(grpc.aio.AioRpcError, match="taken from its registry alone"):
            await call.read()
        call = stub.Fetch()
        await call.write(start(event="pull"))
        assert (await call.read()).HasField("wanted")
        call.cancel()
        await idle(host)


async def test_callers_who_go_away_at_random_leave_nothing_and_the_next_succeeds(
    tmp_path: Path, database: Database, jobs: Spawner, mounts: Mounts
) -> None:
    host = await asyncio.to_thread(ImageHost, tmp_path, database, jobs, mounts, Limits())
    service = service_of(host)
    made = Made([tar({"a": os.urandom(3 << 20)}), tar({"b": os.urandom(1 << 20)}), tar({"c": b"c"})])
    root = made.root
    asked = start(root=content_pb2.Descriptor(media_type=root.media_type, digest=str(root.digest), size=root.size))

    async def load(stub: Any) -> pb.FetchDone:
        call = stub.Fetch()
        try:
            await call.write(asked)
            async for reply in call:
                if reply.HasField("wanted"):
                    blob = made.blobs[Digest.parse(reply.wanted.digest)]
                    end = reply.wanted.offset + reply.wanted.length
                    for at in range(reply.wanted.offset, end, 1 << 17):
                        await call.write(data(reply.wanted.request, blob[at : min(at + (1 << 17), end)]))
                elif reply.HasField("done"):
                    await call.done_writing()
                    return reply.done  # type: ignore[no-any-return]
            raise AssertionError("it ended without a result")
        finally:
            call.cancel()

    async def save(stub: Any) -> None:
        call = stub.Save(pb.SaveRequest(images=["web:1"]))
        try:
            with contextlib.suppress(grpc.aio.AioRpcError):  # it may not be there
                async for _ in call:
                    await asyncio.sleep(random.random() / 500)
        finally:
            call.cancel()

    async with images(tmp_path, service) as stub:
        await load(stub)
        await host.forget()
        await host.collector.collect()
        descriptors = len(os.listdir("/proc/self/fd"))
        for turn in range(40):
            tasks = [asyncio.create_task(work(stub)) for work in (load, load, save)]
            await asyncio.sleep(random.random() * 0.15)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            unexpected = [each for each in results if isinstance(each, Exception) and "being written" not in str(each)]
            assert unexpected == []
            if turn % 8 == 7:
                await idle(host)
                await host.forget()
                await host.collector.collect()
        await idle(host)
        assert (await load(stub)).images[0].names == [NAME]
        await host.whole()
        assert len(os.listdir("/proc/self/fd")) <= descriptors + 2
        for process in os.listdir("/proc"):  # no child of the spawner is left
            if process.isdigit():
                with contextlib.suppress(OSError):
                    status = (await asyncio.to_thread(Path(f"/proc/{process}/stat").read_text)).rpartition(")")[2]
                    assert int(status.split()[1]) != jobs._pid


async def idle(host: ImageHost) -> None:
    """Wait until every lease has ended."""
    async with asyncio.timeout(10):
        while await host.column("SELECT id FROM leases WHERE expires = 9223372036854775807"):
            await asyncio.sleep(0.01)
