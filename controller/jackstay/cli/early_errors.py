"""What ``--json`` and ``--jsonl`` print of an error that ended the command before it had outcomes of hosts.

The shape is that of every other end: each host that was chosen has failed with the error. Where none was chosen yet,
because the command line itself is wrong, one element whose host is empty tells it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

from jackstay.cli.fleet_flags import FleetFlags

if TYPE_CHECKING:
    from typer._click import Context

    from jackstay.errors import Error

_HOSTS = "jackstay.hosts"


def note_hosts(ctx: Context, names: Sequence[str]) -> None:
    """Keep which hosts the command is for."""
    ctx.meta[_HOSTS] = tuple(names)


def asked_for(words: Sequence[str], belongs: Callable[[str], bool]) -> FleetFlags:
    """What a command line that could not be read wants printed: its words count while they belong to the command."""
    own = set(takewhile(lambda word: word != "--" and belongs(word), words))
    return FleetFlags(json="--json" in own, jsonl="--jsonl" in own)


def tell(ctx: Context, flags: FleetFlags, error: Error) -> None:
    """Print it, if the output is for programs."""
    if not (flags.json or flags.jsonl):
        return
    from jackstay.cli.output.envelope import element, render_json, render_jsonl
    from jackstay.fleet.outcome import ErrorInfo, Outcome

    hosts: tuple[str, ...] = ctx.meta.get(_HOSTS) or ("",)
    told = ErrorInfo.of(error)
    outcomes: list[Outcome[None]] = [Outcome(host, "failed", error=told) for host in hosts]
    elements = [element(outcome, ()) for outcome in outcomes]
    sys.stdout.write(render_json(elements) if flags.json else "".join(map(render_jsonl, elements)))
