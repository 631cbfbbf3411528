"""``jackstay host add``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from jackstay.cli.hosts_file import read_hosts_file, write_hosts_file
from jackstay.cli.lazy import fleet_flags_of


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    address: Annotated[str, typer.Argument(metavar="[[USER@]ADDRESS[:PORT]]", show_default=False)] = "",
    user: Annotated[
        str | None, typer.Option("--user", "-u", metavar="NAME", help="Else as ~/.ssh/config says.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", "-p", metavar="PORT", min=1, max=65535, help="Of its SSH server.")
    ] = None,
    identity: Annotated[
        list[str] | None, typer.Option("--identity", "-i", metavar="FILE", help="A private key. Repeatable.")
    ] = None,
    socket: Annotated[str | None, typer.Option("--socket", metavar="PATH", help="Of the agent, on the host.")] = None,
    jump: Annotated[str | None, typer.Option("--jump", "-J", metavar="HOST", help="A bastion.")] = None,
    sudo: Annotated[bool, typer.Option("--sudo", help="Reach the agent with sudo.")] = False,
) -> int:
    """Add a host to the inventory.

    \b
    Examples:
      jackstay host add web1 root@192.0.2.11
      jackstay host add web2 192.0.2.12 --user admin --sudo --jump bastion
    """
    from jackstay.inventory import AGENT_SOCKET, Host, Inventory
    from jackstay.inventory.address import parse_address
    from jackstay.inventory.edit import add_host

    place = parse_address(address or name)
    host = Host(
        name=name,
        address=place.host,
        port=port or place.port,
        user=user or place.user,
        identity_files=tuple(os.path.abspath(os.path.expanduser(path)) for path in identity or ()),
        socket=socket or AGENT_SOCKET,
        jump=jump,
        sudo=sudo,
    )
    path = Inventory.find(fleet_flags_of(ctx).inventory, os.environ, Path.cwd())
    write_hosts_file(path, add_host(read_hosts_file(path), host, path))
    print(name)
    return 0
