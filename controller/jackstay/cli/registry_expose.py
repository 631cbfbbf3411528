"""``jackstay registry expose``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from jackstay.cli.invocation import finish, open_fleet, run_async, select_one
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.main import print_error
from jackstay.cli.output.envelope import render_line
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.errors import Error
    from jackstay.library import Hosts


def command(
    ctx: typer.Context,
    host: Annotated[str, typer.Argument(metavar="[HOST]", help="Else the one that -H names.")] = "",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, metavar="PORT", help="0: a free one.")] = 0,
) -> int:
    """Serve a host's images as a registry on this machine.

    Until Ctrl-C, 127.0.0.1:PORT here is a registry whose images are those of the host: what is pushed there can be run
    there, and goes through SSH, layer by layer. It has no password: on Linux only you and root can use it, elsewhere
    every user of this machine.

    \b
    Examples:
      jackstay registry expose web1 --port 5000
      docker push 127.0.0.1:5000/app:1          # in another terminal
      skopeo copy --dest-tls-verify=false docker-archive:app.tar docker://127.0.0.1:5000/app:1
    """
    from jackstay.library.registry_expose import bind, expose

    flags = fleet_flags_of(ctx)
    hosts = _one(ctx, host)
    (name,) = hosts.names

    def ready(address: str) -> None:
        if flags.json or flags.jsonl:
            print(render_line({"host": name, "data": {"Address": address}}), end="", flush=True)
            return
        print(address, flush=True)
        for line in advice(name, address):
            print(line, file=sys.stderr, flush=True)

    def told(error: Error) -> None:
        print_error(error.message, error.hint)

    listener = bind(port)
    try:
        result = run_async(expose(hosts, listener, ready, told))
    except KeyboardInterrupt:  # the way to end it
        return 0
    finally:
        listener.close()
    return finish(result, flags)


def _one(ctx: typer.Context, host: str) -> Hosts:
    if not host:
        return select_one(ctx, "registry expose")
    flags = fleet_flags_of(ctx)
    if flags.hosts:
        raise UsageError("a host was named twice", hint=f"leave out -H, or {host}")
    hosts = open_fleet(flags).select(host, exclude=flags.exclude, limit=flags.limit)
    if len(hosts) != 1:
        raise UsageError(f"registry expose works on one host, {len(hosts)} were chosen", hint="name one")
    return hosts


def advice(host: str, address: str) -> list[str]:
    """What to do with the host's address, line by line: commands that work today."""
    return [
        f"The images of {host} are at {address} until Ctrl-C. To put one there:",
        f"  docker tag app:1 {address}/app:1 && docker push {address}/app:1",
        "Where Docker cannot reach this machine's loopback, as Docker Desktop may not:",
        f"  docker save app:1 | jackstay -H {host} load",
    ]
