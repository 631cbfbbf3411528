"""``jackstay inspect``: containers first, then images, as docker looks them up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackstay.cli.documents import show_documents
from jackstay.cli.invocation import select
from jackstay.errors import Error, UsageError

if TYPE_CHECKING:
    from jackstay.client import AgentClient
    from jackstay.fleet import FleetResult
    from jackstay.library import Hosts

SHORT_FORMAT = True


def command(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME...")],
    kind: Annotated[str, typer.Option("--type", metavar="container|image", help="Look for this kind only.")] = "",
    size: Annotated[bool, typer.Option("--size", "-s", help="Tell containers' sizes, too.")] = False,
) -> int:
    """Show everything about containers or images.

    \b
    Examples:
      jackstay -H web1 inspect app
      jackstay -H '@web' inspect --format '{{.Host}} {{.State.Status}}' app
    """
    if kind not in ("", "container", "image"):
        raise UsageError(f"--type {kind!r}: not container or image")

    async def work(hosts: Hosts) -> FleetResult[list[dict[str, Any]]]:
        if kind == "container":
            return await hosts.containers.inspect(names, size=size)
        if kind == "image":
            return await hosts.images.inspect(names)
        return await hosts.each(names, lambda agent, name: _either(agent, name, size))

    return show_documents(ctx, select(ctx), work, list)


async def _either(agent: AgentClient, name: str, size: bool) -> dict[str, Any]:
    from jackstay.client import messages
    from jackstay.errors import AgentError

    try:
        reply = await agent.containers.inspect(messages.InspectContainerRequest(container=name, size=size))
        document: dict[str, Any] = json.loads(reply.document)
        return document
    except Error as error:
        if error.reason != "NOT_FOUND":
            raise
    try:
        image: dict[str, Any] = json.loads(
            (await agent.images.inspect(messages.InspectImageRequest(image=name))).document
        )
    except Error as error:
        if error.reason not in ("NOT_FOUND", "INVALID_REFERENCE"):
            raise
        raise AgentError(
            "NOT_FOUND",
            f"no container and no image is called {name!r}",
            hint="see them with: jackstay ps -a, jackstay images",
        ) from error
    return image
