"""The stream of one pull: questions of who asks go out, answers come back, and nothing of them stays."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from jackstay_agent.errors import Error, InvalidArgument, RegistryFailed, Unauthorized
from jackstay_agent.fetch.progress import Phase, Progress, Report
from jackstay_agent.images.documents import Target
from jackstay_agent.images.pulling import Pulled
from jackstay_agent.images.receiving import Received
from jackstay_agent.rpc.pulling import pull
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.registry.authorizing import Authorization, AuthorizationWanted, Authorizer, Challenge
from jackstay_proto.v1 import images_pb2 as pb

NAME = "registry.example/app:1"
SECRET = "Bearer dG9rZW4"
WANTED = AuthorizationWanted(
    "registry.example", "https://registry.example", Challenge("bearer", "https://auth", "svc", ("repository:app:pull",))
)


class FakePuller:
    """Asks *questions* at once who asks, tells *steps*, and then has the image."""

    def __init__(self, questions: int = 1, steps: int = 0) -> None:
        self.questions, self.steps = questions, steps
        self.answers: list[Authorization | None] = []
        self.options: dict[str, Any] = {}

    async def pull(self, reference: str, authorizer: Authorizer, report: Report, **options: Any) -> Pulled:
        self.options = options
        asked = [asyncio.ensure_future(authorizer.authorize(WANTED)) for _ in range(self.questions)]
        self.answers = list(await asyncio.gather(*asked))
        for step in range(self.steps):
            report(Progress(Digest.of(b"x"), Phase.RECEIVING, step, self.steps))
        root = Descriptor(media_type="m", digest=Digest.of(b"root"), size=9)
        return Pulled(Received(Target(root, (reference,)), Digest.of(b"config"), True, 5, 7), {"registry.example": 5})


async def drive(puller: FakePuller, *answers: pb.AuthorizationGiven, end: bool = False) -> list[pb.PullReply]:
    """Answer the questions in turn; with *end* the requests end then."""
    requests: asyncio.Queue[pb.PullRequest | None] = asyncio.Queue()
    start = pb.PullStart(reference=NAME, platform="linux/arm64", all_platforms=True, verify_keys=[b"k"])
    requests.put_nowait(pb.PullRequest(start=start))
    waiting = list(answers)

    async def stream() -> AsyncIterator[pb.PullRequest]:
        while (request := await requests.get()) is not None:
            yield request

    replies = []
    async with aclosing(pull(puller, stream())) as told:  # type: ignore[arg-type]
        async for reply in told:
            replies.append(reply)
            if reply.HasField("authorization"):
                if waiting:
                    given = waiting.pop(0)
                    given.request = given.request or reply.authorization.request
                    requests.put_nowait(pb.PullRequest(authorization=given))
                elif end:
                    requests.put_nowait(None)
    return replies


async def test_a_question_goes_out_and_its_answer_comes_back() -> None:
    puller = FakePuller()
    replies = await drive(puller, pb.AuthorizationGiven(header=SECRET, seconds=300))
    asked = replies[0].authorization
    assert (asked.registry, asked.url, asked.scheme, asked.realm, asked.service, list(asked.scopes), asked.refused) == (
        "registry.example", "https://registry.example", "bearer", "https://auth", "svc", ["repository:app:pull"], False,
    )  # fmt: skip
    assert puller.answers == [Authorization(SECRET, 300)]
    assert puller.options == {"platform": "linux/arm64", "all_platforms": True, "verify_keys": [b"k"]}
    done = replies[-1].done
    assert (done.image.names, done.image.changed, done.image.bytes_sent) == ([NAME], True, 5)
    assert [(given.name, given.bytes) for given in done.given] == [("registry.example", 5)]


async def test_several_questions_get_their_own_answers_in_any_order() -> None:
    puller = FakePuller(questions=3)
    order = [pb.AuthorizationGiven(request=number, header=f"Basic {number}") for number in (2, 77, 3, 1)]
    requests: asyncio.Queue[pb.PullRequest] = asyncio.Queue()

    async def stream() -> AsyncIterator[pb.PullRequest]:
        while True:
            yield await requests.get()

    requests.put_nowait(pb.PullRequest(start=pb.PullStart(reference=NAME)))
    async with aclosing(pull(puller, stream())) as told:  # type: ignore[arg-type]
        for _ in range(3):
            await anext(told)
        for given in order:
            requests.put_nowait(pb.PullRequest(authorization=given))
        assert [reply.WhichOneof("reply") async for reply in told] == ["done"]
    assert [answer.header for answer in puller.answers if answer] == ["Basic 1", "Basic 2", "Basic 3"]


async def test_no_credentials_is_an_answer_too() -> None:
    puller = FakePuller()
    await drive(puller, pb.AuthorizationGiven())
    assert puller.answers == [None]


async def test_what_the_controller_met_with_is_raised_as_its_own_kind() -> None:
    with pytest.raises(Unauthorized, match="wrong password") as raised:
        await drive(FakePuller(), pb.AuthorizationGiven(reason="UNAUTHORIZED", message="wrong password", hint="log in"))
    assert raised.value.hint == "log in"
    with pytest.raises(Error, match="something new"):
        await drive(FakePuller(), pb.AuthorizationGiven(reason="OF_TOMORROW", message="something new"))


async def test_a_controller_that_goes_away_is_waited_for_no_longer() -> None:
    with pytest.raises(RegistryFailed, match="went away"):
        await asyncio.wait_for(drive(FakePuller(questions=2), pb.AuthorizationGiven(), end=True), 10)


async def test_steps_that_nobody_reads_fast_enough_are_dropped_and_the_end_is_not() -> None:
    replies = await drive(FakePuller(questions=0, steps=5000))
    assert 0 < sum(reply.HasField("progress") for reply in replies) <= 64
    assert replies[-1].HasField("done")


async def test_a_pull_begins_with_its_image() -> None:
    async def wrong() -> AsyncIterator[pb.PullRequest]:
        yield pb.PullRequest(authorization=pb.AuthorizationGiven())

    with pytest.raises(InvalidArgument):
        await anext(pull(FakePuller(), wrong()))  # type: ignore[arg-type]


async def test_what_was_given_goes_with_the_call() -> None:
    puller = FakePuller()
    await drive(puller, pb.AuthorizationGiven(header=SECRET, seconds=300))
    puller.answers.clear()
    gc.collect()
    kept = [each for each in gc.get_objects() if isinstance(each, Authorization)]
    assert kept == []
    assert SECRET not in repr(Authorization(SECRET))
