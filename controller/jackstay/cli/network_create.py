"""``jackstay network create``."""

from __future__ import annotations

from typing import Annotated

import typer

from jackstay.cli.invocation import select, show
from jackstay.cli.output.view import field
from jackstay.cli.parsing.environment import parse_pairs
from jackstay.cli.parsing.subnets import parse_subnets


def command(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NETWORK")],
    driver: Annotated[str, typer.Option("--driver", "-d", metavar="DRIVER", help="bridge.")] = "bridge",
    subnet: Annotated[
        list[str] | None, typer.Option("--subnet", metavar="CIDR", help="Else a free one; one each of IPv4 and IPv6.")
    ] = None,
    gateway: Annotated[
        list[str] | None, typer.Option("--gateway", metavar="ADDRESS", help="The host's address in --subnet.")
    ] = None,
    ip_range: Annotated[
        list[str] | None, typer.Option("--ip-range", metavar="CIDR", help="Addresses are chosen from this part.")
    ] = None,
    internal: Annotated[bool, typer.Option("--internal", help="No way out of it, and none in.")] = False,
    ipv6: Annotated[bool, typer.Option("--ipv6", help="With IPv6, too.")] = False,
    label: Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="Repeatable.")] = None,
    opt: Annotated[
        list[str] | None, typer.Option("--opt", "-o", metavar="KEY=VALUE", help="com.docker.network.driver.mtu=….")
    ] = None,
) -> int:
    """Create a network.

    \b
    Examples:
      jackstay -H web1 network create shop
      jackstay -H '@web' network create --internal --subnet 10.90.0.0/24 back
    """
    from jackstay.client import messages

    request = messages.CreateNetworkRequest(
        name=name,
        driver=driver,
        internal=internal,
        ipv6=ipv6,
        subnets=parse_subnets(subnet or (), gateway or (), ip_range or ()),
        labels=parse_pairs(label or (), "--label"),
        options=parse_pairs(opt or (), "--opt"),
    )
    return show(
        ctx,
        select(ctx),
        lambda hosts: hosts.networks.create(request),
        lambda identity: [{"Id": identity, "Name": name}],
        field("Id"),
    )
