"""``jackstay exec``, ``jackstay container exec``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from jackstay.cli.invocation import report, select
from jackstay.cli.output.view import field
from jackstay.cli.parsing.detach_keys import DEFAULT, parse_detach_keys
from jackstay.cli.parsing.environment import parse_environment, read_environment_file
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.cli.sinks import Sink
    from jackstay.cli.streams import Signals, StreamEnd
    from jackstay.client import AgentClient
    from jackstay.client.messages import ExecStart

INTERSPERSED = False


def command(
    ctx: typer.Context,
    container: Annotated[str, typer.Argument(metavar="CONTAINER")],
    args: Annotated[list[str], typer.Argument(metavar="COMMAND [ARG...]")],
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Leave it in the background.")] = False,
    interactive: Annotated[bool, typer.Option("--interactive", "-i", help="Give it standard input.")] = False,
    tty: Annotated[bool, typer.Option("--tty", "-t", help="Give it a terminal.")] = False,
    env: Annotated[
        list[str] | None, typer.Option("--env", "-e", metavar="NAME[=VALUE]", help="Without a value: this shell's.")
    ] = None,
    env_file: Annotated[
        list[str] | None, typer.Option("--env-file", metavar="FILE", help="A NAME=VALUE a line.")
    ] = None,
    user: Annotated[str, typer.Option("--user", "-u", metavar="NAME|UID[:GROUP|GID]", help="Who runs it.")] = "",
    workdir: Annotated[str, typer.Option("--workdir", "-w", metavar="PATH", help="The working folder.")] = "",
    privileged: Annotated[bool, typer.Option("--privileged", help="Everything is allowed.")] = False,
    detach_keys: Annotated[str, typer.Option("--detach-keys", metavar="KEYS", help="To leave it running.")] = DEFAULT,
) -> int:
    """Run a command in a running container.

    On one host the exit code is the command's; on several, identical output is printed once with its hosts.

    \b
    Examples:
      jackstay -H web1 exec -it app sh
      jackstay -H '@web' exec app cat /etc/hostname
      jackstay -H '@web' exec --no-fold app uptime
    """
    from jackstay.cli.foreground import run_foreground, single_code
    from jackstay.cli.terminal import require_terminal, window_size
    from jackstay.client import messages

    hosts = select(ctx)
    if not detach and len(hosts) > 1 and (interactive or tty):
        raise UsageError(f"exec -i and -t join one container, {len(hosts)} hosts were chosen", hint="choose one host")
    if tty and interactive and not detach:
        require_terminal("exec")
    keys = parse_detach_keys(detach_keys)
    lines = [line for path in env_file or () for line in read_environment_file(path)]
    height, width = window_size()
    start = messages.ExecStart(
        container=container,
        command=args,
        tty=tty,
        stdin=interactive and not detach,
        env=parse_environment([*lines, *(env or ())], os.environ),
        user=user,
        working_dir=workdir,
        privileged=privileged,
        detach=detach,
        size=messages.WindowSize(height=height, width=width) if tty else None,
    )
    if detach:
        result, code = report(
            ctx,
            hosts,
            lambda hosts: hosts.run(lambda agent: _detached(agent, start)),
            lambda id_: [{"ID": id_}],
            field(""),
        )
        return single_code(result, code, len(hosts) > 1)

    async def work(agent: AgentClient, sink: Sink, signals: Signals) -> StreamEnd:
        return await _joined(agent, start, sink, keys)

    return run_foreground(ctx, hosts, work, proxy=False, terminal=tty)


async def _detached(agent: AgentClient, start: ExecStart) -> str:
    from jackstay.cli.streams import Streams
    from jackstay.client import messages

    async with agent.containers.exec() as call:
        await call.write(messages.StreamInput(exec=start))
        await call.done_writing()
        return (await Streams(call, agent.host.name).ready()).id


async def _joined(agent: AgentClient, start: ExecStart, sink: Sink, keys: bytes) -> StreamEnd:
    import sys

    from jackstay.cli.streams import Streams
    from jackstay.client import messages

    async with agent.containers.exec() as call:
        await call.write(messages.StreamInput(exec=start))
        streams = Streams(call, agent.host.name)
        await streams.ready()
        return await streams.run(
            sink,
            stdin=start.stdin,
            terminal=start.tty and start.stdin and sys.stdin.isatty(),
            detach_keys=keys if start.tty else b"",
        )
