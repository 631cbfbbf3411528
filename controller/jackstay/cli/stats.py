"""``jackstay stats``, ``jackstay container stats``."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackstay.cli.fleet_flags import FleetFlags
from jackstay.cli.invocation import (
    finish,
    parsed_template,
    print_failures,
    print_jsonl,
    remember_failed,
    run_async,
    select,
    show,
)
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.headings import STATS
from jackstay.cli.output.view import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackstay.cli.output.template import Template
    from jackstay.client import AgentClient
    from jackstay.client.messages import ContainerStats, StatsRequest
    from jackstay.fleet import Outcome
    from jackstay.library import Hosts

COLUMNS = (
    ("CONTAINER ID", "ID"),
    ("NAME", "Name"),
    ("CPU %", "CPUPerc"),
    ("MEM USAGE / LIMIT", "MemUsage"),
    ("MEM %", "MemPerc"),
    ("NET I/O", "NetIO"),
    ("BLOCK I/O", "BlockIO"),
    ("PIDS", "PIDs"),
)
VIEW = Table(COLUMNS, STATS)

EVERY = 1.0
"""Seconds between two pictures."""
PATIENCE = 3.0
"""Seconds that the first picture waits for hosts that have not told yet."""


def command(
    ctx: typer.Context,
    containers: Annotated[list[str] | None, typer.Argument(metavar="[CONTAINER...]", show_default=False)] = None,
    all_: Annotated[bool, typer.Option("--all", "-a", help="Show those that do not run, too.")] = False,
    no_stream: Annotated[bool, typer.Option("--no-stream", help="Show what they use now, and end.")] = False,
) -> int:
    """Show what containers use, as it changes.

    Without names every container that runs, those that come meanwhile too. CPU is of one CPU: 200% are two. On a
    terminal the table is drawn again every second, elsewhere printed again. --json is of now, as --no-stream.

    \b
    Examples:
      jackstay -H '@web' stats
      jackstay -H web1 stats --no-stream app
      jackstay -H '@web' stats --no-stream --format '{{.Host}} {{.Name}} {{.CPUPerc}}'
    """
    flags = fleet_flags_of(ctx)
    names = containers or ()
    if no_stream or flags.json:
        return show(
            ctx,
            select(ctx),
            lambda hosts: hosts.containers.stats(names, all=all_),
            lambda items: _objects(items, flags),
            VIEW,
        )
    from jackstay.client import messages

    template = parsed_template(flags, VIEW)
    hosts = select(ctx)
    sys.stdout.flush()
    request = messages.StatsRequest(containers=names, all=all_, stream=True)
    return run_async(_follow(hosts, request, flags, template))


async def _follow(hosts: Hosts, request: StatsRequest, flags: FleetFlags, template: Template | None) -> int:
    from jackstay.fleet import exit_code

    screen = _Screen(hosts, flags, template)
    hosts.on_outcome = screen.ended

    async def work(agent: AgentClient) -> None:
        async for reply in agent.containers.stats(request):
            await screen.tell(agent.host.name, list(reply.containers))

    working = asyncio.create_task(hosts.run(work, at_once=True))
    drawing = asyncio.create_task(screen.draw())
    try:
        await asyncio.wait({working, drawing}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await drawing  # it never ends by itself: raises
    finally:
        for task in (working, drawing):
            task.cancel()
        await asyncio.gather(working, drawing, return_exceptions=True)
    result = await working
    if flags.jsonl or screen.terminal:
        return finish(result, flags)
    remember_failed(result)
    return exit_code(result)


class _Screen:
    """What the hosts have told last, and the picture of it."""

    def __init__(self, hosts: Hosts, flags: FleetFlags, template: Template | None) -> None:
        self.terminal = sys.stdout.isatty() and not flags.jsonl
        self._names = hosts.names
        self._flags = flags
        self._template = template
        self._latest: dict[str, list[ContainerStats]] = {}
        self._failed: dict[str, str] = {}
        self._silent = set(hosts.names)
        self._all_told = asyncio.Event()
        self._changed = False

    async def tell(self, host: str, containers: list[ContainerStats]) -> None:
        """A host's sample."""
        from jackstay.cli.output.envelope import render_line
        from jackstay.cli.writing import write

        if self._flags.jsonl:
            lines = [render_line({"host": host, "data": item}) for item in _objects(containers, self._flags)]
            await write(1, "".join(lines).encode())
            return
        self._latest[host] = containers
        self._heard(host)

    def ended(self, outcome: Outcome[Any]) -> None:
        """A host tells no more."""
        from jackstay.fleet import FleetResult

        if self._flags.jsonl:
            print_jsonl(outcome, lambda _: [])
            return
        self._latest.pop(outcome.host, None)
        if outcome.error is not None:
            if self.terminal:
                self._failed[outcome.host] = outcome.error.message
            else:
                print_failures(FleetResult((outcome,)))  # now, since the others may go on for days
        self._heard(outcome.host)

    async def draw(self) -> None:
        """Draw it whenever it has changed, once a second at most, for ever. Raises ``OutputClosed``."""
        from jackstay.cli.output.screen import CLEAR, picture
        from jackstay.cli.terminal import window_size
        from jackstay.cli.writing import write

        if self._flags.jsonl:
            await asyncio.Event().wait()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._all_told.wait()
        except TimeoutError:
            pass
        if self.terminal:
            await write(1, CLEAR.encode())
        while True:
            if self._changed:
                self._changed = False
                text = self._text()
                await write(1, (picture(text, *window_size()) if self.terminal else text).encode())
            await asyncio.sleep(EVERY)

    def _heard(self, host: str) -> None:
        self._changed = True
        self._silent.discard(host)
        if not self._silent:
            self._all_told.set()

    def _text(self) -> str:
        from jackstay.cli.output.formatted import render_template
        from jackstay.cli.output.units import printable

        several = len(self._names) > 1
        rows = [
            (name, _objects(self._latest[name], self._flags))
            for name in self._names
            if self._latest.get(name) is not None
        ]
        if self._template is None:
            text = VIEW.render(rows, several)
        else:
            formatted = render_template(self._template, rows, STATS, several=several)
            errors = {f"Error: {host}: {error.message}\n" for host, error in formatted.errors.items()}
            text = formatted.text + "".join(sorted(errors))
        return text + "".join(f"Error: {host}: {printable(told)}\n" for host, told in self._failed.items())


def _objects(items: Sequence[ContainerStats], flags: FleetFlags) -> list[Any]:
    from jackstay.cli.output.stats import stats_object

    return [stats_object(item, full=flags.no_trunc) for item in items]
