"""Calls in which a registry may want to know who asks: the agent asks the controller on the call's own stream.

Credentials stay with the controller. What it gives is handed to the registry's client of this one call, and kept in no
other place; it goes with the call.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Protocol, TypeVar

from jackstay_agent.errors import RegistryFailed, by_reason
from jackstay_oci.registry.authorizing import Authorization, AuthorizationWanted, Authorizer
from jackstay_proto.v1 import images_pb2 as pb

_REPLIES = 64

Request = TypeVar("Request", bound="pb.PullRequest | pb.PushRequest")
Reply = TypeVar("Reply", bound="pb.PullReply | pb.PushReply")
Told = TypeVar("Told", bound="pb.PullReply | pb.PushReply", contravariant=True)


class Tell(Protocol[Told]):
    """Sends a reply that does not wait: dropped when many wait to be read already, unless it is *needed*."""

    def __call__(self, reply: Told, *, needed: bool = False) -> None:
        """Send *reply*; a *needed* one is dropped only when there is no room at all."""
        ...


class CallAuthorizer:
    """Implements `Authorizer`; *ask* sends a question, `answer` is called with what comes back."""

    def __init__(self, ask: Callable[[pb.AuthorizationWanted], Awaitable[None]]) -> None:
        self._ask = ask
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[pb.AuthorizationGiven]] = {}
        self._lost = False

    async def authorize(self, wanted: AuthorizationWanted) -> Authorization | None:
        """See `Authorizer.authorize`; raises also what the controller met with."""
        number = next(self._numbers)
        answered = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            if self._lost:
                raise _lost(wanted.registry)
            await self._ask(
                pb.AuthorizationWanted(
                    request=number,
                    registry=wanted.registry,
                    url=wanted.url,
                    scheme=wanted.challenge.scheme,
                    realm=wanted.challenge.realm,
                    service=wanted.challenge.service,
                    scopes=wanted.challenge.scopes,
                    refused=wanted.refused,
                )
            )
            try:
                given = await answered
            except EOFError:
                raise _lost(wanted.registry) from None
        finally:
            del self._asked[number]
        if given.reason:
            raise by_reason(given.reason)(given.message, hint=given.hint)
        return Authorization(given.header, given.seconds) if given.header else None

    def answer(self, given: pb.AuthorizationGiven) -> None:
        """Hand an answer to whoever asked; one to no question is passed over."""
        answered = self._asked.get(given.request)
        if answered is not None and not answered.done():
            answered.set_result(given)

    def lose(self) -> None:
        """No answer comes any more."""
        self._lost = True
        for answered in self._asked.values():
            if not answered.done():
                answered.set_exception(EOFError())


def _lost(registry: str) -> RegistryFailed:
    return RegistryFailed(f"{registry} wants to know who asks, and the controller went away", hint="run it again")


async def conversation(
    requests: AsyncIterator[Request],
    kind: type[Reply],
    work: Callable[[Authorizer, Tell[Reply]], Awaitable[Reply]],
) -> AsyncGenerator[Reply, None]:
    """The replies of a call after its first request: what *work* tells, the questions of its authorizer, its result.

    *kind* is the message of the replies. Ending the generator ends *work*, which raises to the caller.
    """
    replies: asyncio.Queue[Reply | None] = asyncio.Queue(_REPLIES)

    async def ask(wanted: pb.AuthorizationWanted) -> None:
        await replies.put(kind(authorization=wanted))

    authorizer = CallAuthorizer(ask)

    def tell(reply: Reply, *, needed: bool = False) -> None:
        if needed or replies.qsize() < _REPLIES // 2:
            with contextlib.suppress(asyncio.QueueFull):
                replies.put_nowait(reply)

    async def listen() -> None:
        try:
            async for request in requests:
                if request.WhichOneof("request") == "authorization":
                    authorizer.answer(request.authorization)
        finally:
            authorizer.lose()

    async def run() -> None:
        try:
            await replies.put(await work(authorizer, tell))
        finally:
            # The reader of the queue may be gone with the call; then nobody needs the end.
            with contextlib.suppress(asyncio.QueueFull):
                replies.put_nowait(None)

    listening = asyncio.create_task(listen())
    working = asyncio.create_task(run())
    try:
        while not (working.done() and replies.empty()):
            reply = await replies.get()
            if reply is None:
                break
            yield reply
        await working
    finally:
        for task in (working, listening):
            task.cancel()
        await asyncio.gather(working, listening, return_exceptions=True)
