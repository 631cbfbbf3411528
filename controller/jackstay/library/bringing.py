"""How the image is brought to a host before a container is made of it: docker's ``--pull``."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from jackstay.errors import AgentError, Error, InvalidReference, UsageError

if TYPE_CHECKING:
    from jackstay.client import AgentClient, messages
    from jackstay.library import Hosts
    from jackstay.library.pulling import Pulling

POLICIES = ("always", "missing", "never")
_NO_IMAGE = re.compile(r"(no such |no )?image\b", re.IGNORECASE)
"""How an agent's message begins when it is the image that is missing."""


class Bringing:
    """Makes containers, and pulls their image as ``policy`` says; an async context manager around a run over ``hosts``.

    ``missing`` is told of a host and the image that it has not, before that is pulled.

    Raises:
        UsageError: there is no such policy.
    """

    def __init__(self, hosts: Hosts, policy: str, missing: Callable[[str, str], None] | None = None) -> None:
        if policy not in POLICIES:
            raise UsageError(f"--pull {policy[:40]}: no such policy", hint=f"one of {', '.join(POLICIES)}")
        self._hosts = hosts
        self._policy = policy
        self._missing = missing
        self._pulling: Pulling | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pulling is not None:
            await self._pulling.__aexit__(kind, error, trace)

    async def create(
        self, agent: AgentClient, request: messages.CreateContainerRequest
    ) -> messages.CreateContainerReply:
        """Make the container, the image having been pulled if need be.

        Raises:
            Error: the agent's, or why the image cannot be pulled.
        """
        if self._policy == "always":
            await self._pull(agent, request)
        try:
            return await agent.containers.create(request)
        except Error as error:
            if not (error.reason == "NOT_FOUND" and _NO_IMAGE.match(error.message)):
                raise
            if self._policy != "missing":
                error.hint = f"pull it: jackstay -H {agent.host.name} pull {request.image}"
                raise
            await self._pull_missing(agent, request, error)
        return await agent.containers.create(request)

    async def _pull_missing(self, agent: AgentClient, request: messages.CreateContainerRequest, missing: Error) -> None:
        """Pull what is not there; one that cannot be had from the registry is told as missing, and why."""
        host = agent.host.name
        missing.hint = (
            f"bring the image there: jackstay copy HOST::{request.image} {host}::, or jackstay -H {host} load"
        )
        try:
            await self._pull(agent, request, told=True)
        except InvalidReference:  # an id
            raise missing from None
        except Error as error:
            if error.reason != "REGISTRY_FAILED":
                raise
            raise AgentError(missing.reason, f"{missing.message}, and {error.message}", missing.hint) from error

    async def _pull(self, agent: AgentClient, request: messages.CreateContainerRequest, *, told: bool = False) -> None:
        from jackstay.library.pulling import Pulling, parsed

        reference = parsed(request.image)
        if told and self._missing is not None:
            self._missing(agent.host.name, reference.familiar)
        if self._pulling is None:
            self._pulling = Pulling(self._hosts, platform=request.platform)
        await self._pulling.pull(agent, reference)
