"""``jackstay start``, ``jackstay container start``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jackstay.cli.invocation import names_as, select, show
from jackstay.cli.output.view import field
from jackstay.cli.parsing.detach_keys import DEFAULT, parse_detach_keys
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.cli.sinks import Sink
    from jackstay.cli.streams import Signals, StreamEnd
    from jackstay.client import AgentClient


def command(
    ctx: typer.Context,
    containers: Annotated[list[str], typer.Argument(metavar="CONTAINER...")],
    attach: Annotated[bool, typer.Option("--attach", "-a", help="Show its output, pass signals on.")] = False,
    interactive: Annotated[bool, typer.Option("--interactive", "-i", help="Give it standard input.")] = False,
    detach_keys: Annotated[str, typer.Option("--detach-keys", metavar="KEYS", help="To leave it running.")] = DEFAULT,
    sig_proxy: Annotated[bool, typer.Option("--sig-proxy/--no-sig-proxy", help="Pass signals on.")] = True,
) -> int:
    """Start containers that exist.

    With -a on one host the exit code is the container's.

    \b
    Examples:
      jackstay -H '@web' start app
      jackstay -H web1 start -ai shell
    """
    hosts = select(ctx)
    if not (attach or interactive):
        return show(ctx, hosts, lambda hosts: hosts.containers.start(containers), names_as("Name"), field("Name"))
    from jackstay.cli.attaching import attach_streams
    from jackstay.cli.foreground import run_foreground
    from jackstay.client import messages

    if len(containers) != 1:
        raise UsageError("start -a and -i join one container")
    if interactive and len(hosts) > 1:
        raise UsageError(f"start -i joins one container, {len(hosts)} hosts were chosen")
    keys, name = parse_detach_keys(detach_keys), containers[0]

    async def work(agent: AgentClient, sink: Sink, signals: Signals) -> StreamEnd:
        async def begin() -> None:
            await agent.containers.start(messages.StartContainerRequest(container=name))

        proxied = signals if sig_proxy else None
        return await attach_streams(agent, name, sink, stdin=interactive, keys=keys, signals=proxied, joined=begin)

    return run_foreground(ctx, hosts, work, proxy=sig_proxy)
