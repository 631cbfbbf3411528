"""Answers an agent that asks on a call who it is to a registry. Credentials stay here.

A host gets no more than its task needs, whatever it asks for: an answer for another registry, or for rights that the
call does not need, is refused.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from jackstay.client import messages
from jackstay.errors import AgentError, Error, Unauthorized
from jackstay_oci.registry.authorizing import AuthorizationWanted, Authorizer, Challenge

MAX_OPEN = 32
"""Questions that an agent may have open; more is a broken agent."""

log = logging.getLogger(__name__)


class Authorizing:
    """Answers the questions of one call beside the reading of its replies, one message at a time.

    *registry* and *repository* are those of the call, *actions* the rights that it needs there. Other repositories may
    be read where *others* are (a push mounts blobs from them).
    """

    def __init__(
        self,
        write: Callable[[messages.AuthorizationGiven], Awaitable[None]],
        authorizer: Authorizer,
        registry: str,
        repository: str,
        actions: Collection[str] = ("pull",),
        *,
        others: bool = False,
    ) -> None:
        self._write = write
        self._authorizer = authorizer
        self._registry = registry
        self._repository = repository
        self._actions = frozenset(actions)
        self._others = others
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def answer(self, wanted: messages.AuthorizationWanted) -> None:
        """Begin to answer; never waits.

        Raises:
            AgentError: too many questions are open.
        """
        if len(self._tasks) >= MAX_OPEN:
            raise AgentError("LIMIT_EXCEEDED", f"the agent asked more than {MAX_OPEN} times at once who it is")
        task = asyncio.create_task(self._answer(wanted))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        # A broken call is told by its reader, which holds the status; here it is only taken note of.
        if not task.cancelled():
            task.exception()

    async def _answer(self, wanted: messages.AuthorizationWanted) -> None:
        given = messages.AuthorizationGiven(request=wanted.request)
        try:
            found = await self._authorizer.authorize(self._checked(wanted))
        except Error as error:
            given.reason, given.message, given.hint = error.reason, error.message, error.hint
        except Exception as error:  # the agent waits for an answer
            log.debug("authorizing for %s failed", wanted.registry, exc_info=True)
            given.reason, given.message = "INTERNAL", f"authorizing for {wanted.registry}: {type(error).__name__}"
        else:
            if found is not None:
                given.header, given.seconds = found.header, found.seconds
        async with self._writing:
            await self._write(given)

    def _checked(self, wanted: messages.AuthorizationWanted) -> AuthorizationWanted:
        scopes = tuple(wanted.scopes)
        if wanted.registry != self._registry or not all(map(self._needed, scopes)):
            raise Unauthorized(
                f"the agent asked for more than it needs: {wanted.registry} {' '.join(scopes)}"[:200],
                hint="check the agent on that host",
            )
        return AuthorizationWanted(
            registry=wanted.registry,
            url=wanted.url,
            challenge=Challenge(
                scheme="basic" if wanted.scheme == "basic" else "bearer",
                realm=wanted.realm,
                service=wanted.service,
                scopes=scopes,
            ),
            refused=wanted.refused,
        )

    def _needed(self, scope: str) -> bool:
        resource, _, actions = scope.rpartition(":")
        kind, _, repository = resource.partition(":")
        if kind != "repository":
            return False
        allowed = self._actions if repository == self._repository else {"pull"} if self._others else frozenset()
        return set(actions.split(",")) <= allowed

    async def close(self) -> None:
        """Stop answering."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
