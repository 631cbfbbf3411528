"""The stream of one push: what reaches the pusher, who is asked, what is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from jackstay_agent.errors import InvalidArgument, Unauthorized
from jackstay_agent.rpc.pushing import push
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.registry.authorizing import Authorization, AuthorizationWanted, Authorizer, Challenge
from jackstay_oci.registry.pushing import Phase, Pushed, Report, Step
from jackstay_proto.v1 import images_pb2 as pb

WANTED = AuthorizationWanted(
    "registry.example",
    "https://registry.example",
    Challenge("bearer", "https://auth", "svc", ("repository:app:pull,push",)),
)
ROOT = Descriptor(media_type="m", digest=Digest.of(b"root"), size=9)


class FakePusher:
    """Asks who asks, tells *steps* of sending and each other phase once, and has pushed."""

    def __init__(self, steps: int = 0) -> None:
        self.steps = steps
        self.asked: tuple[str, ...] = ()
        self.options: dict[str, str] = {}
        self.answer: Authorization | None = None
        self.ended = False

    async def push(self, name: str, destination: str, authorizer: Authorizer, report: Report, **options: str) -> Pushed:
        self.asked, self.options = (name, destination), options
        try:
            self.answer = await authorizer.authorize(WANTED)
        finally:
            self.ended = True
        for step in range(self.steps):
            report(Step(Digest.of(b"x"), Phase.SENDING, step, self.steps))
        for phase in Phase:
            report(Step(Digest.of(b"y"), phase, 1, 2))
        return Pushed(ROOT, 5, 7)


async def drive(pusher: FakePusher, given: pb.AuthorizationGiven, **start: Any) -> list[pb.PushReply]:
    requests: asyncio.Queue[pb.PushRequest] = asyncio.Queue()
    start = {"image": "app:1", "destination": "registry.example/app:1", **start}
    requests.put_nowait(pb.PushRequest(start=pb.PushStart(**start)))

    async def stream() -> AsyncIterator[pb.PushRequest]:
        while True:
            yield await requests.get()

    replies = []
    async with aclosing(push(pusher, stream())) as told:  # type: ignore[arg-type]
        async for reply in told:
            replies.append(reply)
            if reply.HasField("authorization"):
                given.request = reply.authorization.request
                requests.put_nowait(pb.PushRequest(authorization=given))
    return replies


async def test_what_is_asked_reaches_the_pusher_and_what_came_of_it_the_caller() -> None:
    pusher = FakePusher()
    replies = await drive(
        pusher, pb.AuthorizationGiven(header="Bearer x", seconds=9), platform="linux/arm64", compression="zstd"
    )
    assert pusher.asked == ("app:1", "registry.example/app:1")
    assert pusher.options == {"platform": "linux/arm64", "compression": "zstd"}
    assert pusher.answer == Authorization("Bearer x", 9)
    assert list(replies[0].authorization.scopes) == ["repository:app:pull,push"]
    told = [pb.PushProgress.Phase.Name(reply.progress.phase) for reply in replies[1:-1]]
    assert told == ["COMPRESSING", "PRESENT", "MOUNTED", "SENDING", "SENT"]
    done = replies[-1].done
    assert (done.root.digest, done.root.media_type, done.root.size) == (ROOT.digest, "m", 9)
    assert (done.bytes_sent, done.bytes_spared) == (5, 7)


async def test_gzip_is_what_nobody_has_to_ask_for() -> None:
    pusher = FakePusher()
    await drive(pusher, pb.AuthorizationGiven())
    assert pusher.options["compression"] == "gzip"
    assert pusher.answer is None


async def test_of_many_steps_some_are_dropped_and_what_matters_is_not() -> None:
    replies = await drive(FakePusher(steps=10_000), pb.AuthorizationGiven())
    assert len(replies) < 100
    assert pb.PushProgress.SENT in {reply.progress.phase for reply in replies if reply.HasField("progress")}
    assert replies[-1].HasField("done")


async def test_what_the_controller_met_with_is_raised() -> None:
    pusher = FakePusher()
    with pytest.raises(Unauthorized, match="wrong password"):
        await drive(pusher, pb.AuthorizationGiven(reason="UNAUTHORIZED", message="wrong password"))
    assert pusher.ended


@pytest.mark.parametrize("requests", [[], [pb.PushRequest(authorization=pb.AuthorizationGiven())]])
async def test_a_push_begins_with_its_image(requests: list[pb.PushRequest]) -> None:
    async def stream() -> AsyncIterator[pb.PushRequest]:
        for request in requests:
            yield request

    with pytest.raises(InvalidArgument, match="begins with its image"):
        await anext(push(FakePusher(), stream()))  # type: ignore[arg-type]


async def test_a_caller_who_goes_away_ends_the_push() -> None:
    pusher = FakePusher()

    async def stream() -> AsyncIterator[pb.PushRequest]:
        yield pb.PushRequest(start=pb.PushStart(image="app:1", destination="registry.example/app:1"))
        await asyncio.Event().wait()

    async with aclosing(push(pusher, stream())) as told:  # type: ignore[arg-type]
        assert (await anext(told)).HasField("authorization")
    assert pusher.ended
    assert asyncio.all_tasks() == {asyncio.current_task()}
