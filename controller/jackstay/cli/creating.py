"""What ``run`` and ``create`` share: the container is made on a host, its id noted."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jackstay.cli.container_id_file import ContainerIdFile
from jackstay.cli.invocation import with_host
from jackstay.cli.main import print_warning
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.cli.container_flags import ContainerFlags
    from jackstay.client import AgentClient, messages
    from jackstay.library import Hosts
    from jackstay.library.bringing import Bringing


@contextmanager
def id_file(flags: ContainerFlags, hosts: Hosts) -> Iterator[ContainerIdFile | None]:
    """The ``--cidfile`` for the block, or ``None``.

    Raises:
        UsageError: several hosts would write it, or it exists.
    """
    if flags.cidfile is None:
        yield None
        return
    if len(hosts) > 1:
        raise UsageError("--cidfile: one file cannot hold the ids of several hosts", hint="choose one host with -H")
    file = ContainerIdFile(flags.cidfile)
    try:
        yield file
    finally:
        file.close()


def bringing(flags: ContainerFlags, hosts: Hosts) -> Bringing:
    """What pulls the image where it is missing, as ``--pull`` says, and tells that on stderr unless ``--quiet``.

    Raises:
        UsageError: there is no such policy.
    """
    from jackstay.library.bringing import Bringing

    def missing(host: str, image: str) -> None:
        text = f"Unable to find image '{image}' locally"
        print(with_host(host, text) if len(hosts) > 1 else text, file=sys.stderr, flush=True)

    return Bringing(hosts, flags.pull, None if flags.quiet else missing)


async def create(
    agent: AgentClient, request: messages.CreateContainerRequest, file: ContainerIdFile | None, bringer: Bringing
) -> messages.CreateContainerReply:
    """Make the container; warnings go to stderr.

    Raises:
        Error: the agent's, or why the image cannot be pulled.
    """
    host = agent.host.name
    reply = await bringer.create(agent, request)
    for warning in reply.warnings:
        print_warning(with_host(host, warning))
    if file is not None:
        await asyncio.to_thread(file.write, reply.id)
    return reply


def created_object(reply: messages.CreateContainerReply) -> dict[str, Any]:
    """What programs get of a container that was made; docker's API calls the warnings so, too."""
    return {"ID": reply.id, "Warnings": list(reply.warnings)}


def environment() -> dict[str, str]:
    """What ``-e NAME`` takes values from."""
    return dict(os.environ)
