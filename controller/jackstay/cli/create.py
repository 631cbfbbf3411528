"""``jackstay create``, ``jackstay container create``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jackstay.cli.container_flags import container_flags
from jackstay.cli.invocation import select, show
from jackstay.cli.lazy import group_value
from jackstay.cli.output.view import field

if TYPE_CHECKING:
    from jackstay.client import AgentClient, messages
    from jackstay.fleet import FleetResult
    from jackstay.library import Hosts

OPTION_GROUPS = (container_flags,)
INTERSPERSED = False


def command(
    ctx: typer.Context,
    image: Annotated[str, typer.Argument(metavar="IMAGE")],
    args: Annotated[list[str] | None, typer.Argument(metavar="[COMMAND] [ARG...]", show_default=False)] = None,
) -> int:
    """Create a container without starting it.

    \b
    Examples:
      jackstay -H '@web' create --name app -p 8080:80 httpd:1.1
    """
    from jackstay.cli.creating import bringing, create, created_object, environment, id_file
    from jackstay.cli.parsing.container_request import build_request
    from jackstay.cli.placing import place

    flags = group_value(ctx, container_flags)
    request = build_request(flags, image, args or (), environment(), detach=False)
    hosts = place(flags, select(ctx))
    bringer = bringing(flags, hosts)
    with id_file(flags, hosts) as file:

        async def work(hosts: Hosts) -> FleetResult[messages.CreateContainerReply]:
            async with bringer:

                async def one(agent: AgentClient) -> messages.CreateContainerReply:
                    return await create(agent, request, file, bringer)

                return await hosts.run(one)

        return show(ctx, hosts, work, lambda reply: [created_object(reply)], field("ID"))
