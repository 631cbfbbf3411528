"""Progress on stderr: on a terminal one bar for all and the slowest hosts, elsewhere a plain line every few seconds.

The picture is drawn from :class:`CopyProgress` on a clock, so that a thousand events a second cost nothing. It is never
higher than the screen.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from jackstay.cli.color import use_color
from jackstay.cli.output.units import human_size

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

    from jackstay.copying.progress import CopyProgress

TICK = 0.2
"""Seconds between two pictures on a terminal."""
LINE_EVERY = 3.0
"""Seconds between two plain lines."""
SLOWEST = 5
"""Hosts with a bar of their own, at most."""


@asynccontextmanager
async def showing(progress: CopyProgress, *, quiet: bool) -> AsyncIterator[None]:
    """Show ``progress`` while the block runs; nothing when ``quiet``."""
    if quiet:
        yield
        return
    task = asyncio.create_task(_bars(progress) if sys.stderr.isatty() else _lines(progress))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _lines(progress: CopyProgress) -> None:
    while True:
        await asyncio.sleep(LINE_EVERY)
        print(progress_line(progress), file=sys.stderr, flush=True)


def progress_line(progress: CopyProgress) -> str:
    """``1.2GB of 3.4GB, 2 of 5 hosts done``; without bytes while none are known of."""
    hosts = len(progress.hosts)
    size = f"{human_size(progress.current)} of {human_size(progress.total)}, " if progress.total else ""
    return f"{size}{progress.finished} of {hosts} host{'' if hosts == 1 else 's'} done"


def bar_columns() -> tuple[ProgressColumn, ...]:
    """A bar's columns; on a narrow terminal they are cut, never wrapped: a bar is one line."""
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.table import Column

    return (
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(),
        DownloadColumn(table_column=Column(no_wrap=True)),
        TransferSpeedColumn(table_column=Column(no_wrap=True)),
    )


async def _bars(progress: CopyProgress) -> None:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(
        *bar_columns(),
        console=Console(stderr=True, no_color=not use_color(sys.stderr)),
        transient=True,
        auto_refresh=False,
    ) as bars:
        everything = bars.add_task("all hosts", total=None)
        rows = [bars.add_task("", total=None, visible=False) for _ in range(SLOWEST)]
        while True:
            bars.update(everything, completed=progress.current, total=progress.total or None)
            room = max(min(SLOWEST, shutil.get_terminal_size().lines - 3), 0)
            several = len(progress.hosts) > 1
            slowest = progress.slowest(room) if several else []
            for row, task in enumerate(rows):
                if row < len(slowest):
                    name, host = slowest[row]
                    bars.update(
                        task,
                        description=f"  {name} {host.phase}",
                        completed=host.current,
                        total=host.total or None,
                        visible=True,
                    )
                else:
                    bars.update(task, visible=False)
            bars.refresh()
            await asyncio.sleep(TICK)
