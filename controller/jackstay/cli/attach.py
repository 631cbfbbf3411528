"""``jackstay attach``, ``jackstay container attach``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jackstay.cli.invocation import select_one
from jackstay.cli.parsing.detach_keys import DEFAULT, parse_detach_keys

if TYPE_CHECKING:
    from jackstay.cli.sinks import Sink
    from jackstay.cli.streams import Signals, StreamEnd
    from jackstay.client import AgentClient


def command(
    ctx: typer.Context,
    container: Annotated[str, typer.Argument(metavar="CONTAINER")],
    no_stdin: Annotated[bool, typer.Option("--no-stdin", help="Only look.")] = False,
    detach_keys: Annotated[str, typer.Option("--detach-keys", metavar="KEYS", help="To leave it running.")] = DEFAULT,
    sig_proxy: Annotated[bool, typer.Option("--sig-proxy/--no-sig-proxy", help="Pass signals on.")] = True,
) -> int:
    """Join the terminal of a running container.

    The exit code is the container's.

    \b
    Examples:
      jackstay -H web1 attach app
    """
    from jackstay.cli.attaching import attach_streams
    from jackstay.cli.foreground import run_foreground

    keys = parse_detach_keys(detach_keys)
    hosts = select_one(ctx, "attach")

    async def work(agent: AgentClient, sink: Sink, signals: Signals) -> StreamEnd:
        return await attach_streams(
            agent, container, sink, stdin=not no_stdin, keys=keys, signals=signals if sig_proxy else None
        )

    return run_foreground(ctx, hosts, work, proxy=sig_proxy)
