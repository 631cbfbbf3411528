"""What a name means on a host, where it may be a container, an image, a network or a volume: its document."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jackstay.cli.output.objects import volume_document
from jackstay.client import messages
from jackstay.errors import AgentError, Error

if TYPE_CHECKING:
    from jackstay.client import AgentClient

Document = dict[str, Any]

_NOTHING = ("NOT_FOUND", "INVALID_REFERENCE", "INVALID_ARGUMENT")
"""Why nothing is found: a name of one kind may be none of another."""


async def look_up(agent: AgentClient, name: str, kinds: Sequence[str], *, size: bool) -> Document:
    """The document of the first of *kinds* that *name* means; of a container with its sizes, if *size*.

    Raises:
        Error: the agent's; of several kinds that there is nothing of that name.
    """
    for kind in kinds:
        try:
            return await _KINDS[kind](agent, name, size)
        except Error as error:
            if len(kinds) == 1 or error.reason not in _NOTHING:
                raise
    raise AgentError(
        "NOT_FOUND",
        f"no {', '.join(kinds[:-1])} or {kinds[-1]} is called {name!r}",
        hint="see them with: jackstay ps -a, images, network ls, volume ls",
    )


async def _container(agent: AgentClient, name: str, size: bool) -> Document:
    request = messages.InspectContainerRequest(container=name, size=size)
    return _read((await agent.containers.inspect(request)).document)


async def _image(agent: AgentClient, name: str, size: bool) -> Document:
    return _read((await agent.images.inspect(messages.InspectImageRequest(image=name))).document)


async def _network(agent: AgentClient, name: str, size: bool) -> Document:
    return _read((await agent.networks.inspect(messages.InspectNetworkRequest(network=name))).document)


async def _volume(agent: AgentClient, name: str, size: bool) -> Document:
    return volume_document((await agent.volumes.inspect(messages.InspectVolumeRequest(name=name))).volume)


def _read(document: str) -> Document:
    read: Document = json.loads(document)
    return read


_KINDS: Mapping[str, Callable[[AgentClient, str, bool], Awaitable[Document]]] = {
    "container": _container,
    "image": _image,
    "network": _network,
    "volume": _volume,
}
