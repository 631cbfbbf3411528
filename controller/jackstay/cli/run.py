"""``jackstay run``, ``jackstay container run``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from jackstay.cli.container_flags import ContainerFlags, container_flags
from jackstay.cli.invocation import report, select
from jackstay.cli.lazy import group_value
from jackstay.cli.output.view import field
from jackstay.cli.parsing.detach_keys import DEFAULT, parse_detach_keys
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.cli.sinks import Sink
    from jackstay.cli.streams import Signals, StreamEnd
    from jackstay.client import AgentClient, messages
    from jackstay.fleet import FleetResult
    from jackstay.library import Hosts
    from jackstay.library.bringing import Bringing

OPTION_GROUPS = (container_flags,)
INTERSPERSED = False


def command(
    ctx: typer.Context,
    image: Annotated[str, typer.Argument(metavar="IMAGE")],
    args: Annotated[list[str] | None, typer.Argument(metavar="[COMMAND] [ARG...]", show_default=False)] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Leave it in the background, print its id.")] = False,
    detach_keys: Annotated[str, typer.Option("--detach-keys", metavar="KEYS", help="To leave it running.")] = DEFAULT,
    sig_proxy: Annotated[bool, typer.Option("--sig-proxy/--no-sig-proxy", help="Pass signals on.")] = True,
) -> int:
    """Create a container from an image and start it.

    In the foreground, on one host, the exit code is the container's; 125 when it could not be run, 126 when
    the command is not executable, 127 when it does not exist. A container that cannot be started is removed.

    \b
    Examples:
      jackstay -H '@web' run -d -p 8080:80 --name app httpd:1.1
      jackstay -H web1 run -it --rm debian:12 bash
      jackstay -H '@web' run --rm -m 256m app:1 /bin/selftest
    """
    from jackstay.cli.creating import bringing, environment, id_file
    from jackstay.cli.parsing.container_request import build_request
    from jackstay.cli.placing import place
    from jackstay.cli.terminal import require_terminal

    flags = group_value(ctx, container_flags)
    keys = parse_detach_keys(detach_keys)
    request = build_request(flags, image, args or (), environment(), detach=detach)
    hosts = place(flags, select(ctx))
    bringer = bringing(flags, hosts)
    _check(flags, hosts, detach)
    if not detach and flags.tty and flags.interactive:
        require_terminal("run")
    with id_file(flags, hosts) as file:
        if detach:
            return _background(ctx, hosts, request, file, bringer)
        from jackstay.cli.creating import create
        from jackstay.cli.foreground import run_foreground
        from jackstay.library.new_container import new_container

        async def work(agent: AgentClient, sink: Sink, signals: Signals) -> StreamEnd:
            from jackstay.cli.attaching import attach_streams

            async with new_container(agent, create(agent, request, file, bringer)) as new:
                return await attach_streams(
                    agent,
                    new.id,
                    sink,
                    stdin=flags.interactive,
                    keys=keys,
                    signals=None if flags.tty else signals,
                    joined=new.start,
                )

        return run_foreground(ctx, hosts, work, proxy=sig_proxy and not flags.tty, terminal=flags.tty, around=bringer)


def _check(flags: ContainerFlags, hosts: Hosts, detach: bool) -> None:
    if not detach and len(hosts) > 1 and (flags.tty or flags.interactive):
        raise UsageError(
            f"run -i and -t join one container, {len(hosts)} hosts were chosen", hint="choose one host, or use -d"
        )


def _background(
    ctx: typer.Context, hosts: Hosts, request: messages.CreateContainerRequest, file: object, bringer: Bringing
) -> int:
    from jackstay.cli.container_id_file import ContainerIdFile
    from jackstay.cli.creating import create, created_object
    from jackstay.cli.foreground import single_code
    from jackstay.library.new_container import new_container

    async def work(agent: AgentClient) -> messages.CreateContainerReply:
        id_file = file if isinstance(file, ContainerIdFile) else None
        async with new_container(agent, create(agent, request, id_file, bringer)) as new:
            await new.start()
        return new.reply

    async def around(hosts: Hosts) -> FleetResult[messages.CreateContainerReply]:
        async with bringer:
            return await hosts.run(work)

    result = report(ctx, hosts, around, lambda reply: [created_object(reply)], field("ID"))
    return single_code(*result, len(hosts) > 1)
