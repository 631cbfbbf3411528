"""``jackstay network connect``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import no_objects, select, show
from jackstay.cli.output.view import field


def command(
    ctx: typer.Context,
    network: Annotated[str, typer.Argument(metavar="NETWORK")],
    container: Annotated[str, typer.Argument(metavar="CONTAINER")],
    alias: Annotated[
        list[str] | None, typer.Option("--alias", metavar="NAME", help="More names for it there; repeatable.")
    ] = None,
    ip: Annotated[str, typer.Option("--ip", metavar="ADDRESS", help="Its IPv4 address.")] = "",
    ip6: Annotated[str, typer.Option("--ip6", metavar="ADDRESS", help="Its IPv6 address.")] = "",
    mac_address: Annotated[str, typer.Option("--mac-address", metavar="MAC", help="Its link address.")] = "",
) -> int:
    """Connect a container to a network.

    \b
    Examples:
      jackstay -H web1 network connect --alias db shop postgres
    """
    from jackstay.client import messages

    request = messages.ConnectNetworkRequest(
        network=network, container=container, aliases=alias or (), ip=ip, ip6=ip6, mac_address=mac_address
    )
    return show(ctx, select(ctx), lambda hosts: hosts.networks.connect(request), no_objects, field("Name"))
