"""What the commands that prune share: the question before it, and the account of what went."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import typer

from jackstay.cli.invocation import confirm
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.units import human_size
from jackstay.cli.output.view import Lines, Object, Rows
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.fleet import Outcome
    from jackstay.library import Hosts

CONTAINERS = "all stopped containers"
NETWORKS = "all custom networks not used by at least one container"
IMAGES = "all images without at least one container associated to them"
DANGLING = "all dangling images"
VOLUMES = "all volumes not used by at least one container"
ANONYMOUS = "all anonymous volumes not used by at least one container"


def ask(ctx: typer.Context, hosts: Hosts, what: Sequence[str], *, filters: Sequence[str] = (), force: bool) -> None:
    """Ask before ``what`` goes, in docker's words, and name the hosts when there are several.

    The answer is a line of standard input, whatever that is; on several hosts see :func:`confirm`. With ``force`` not
    at all.

    Raises:
        UsageError: nobody answered, and no ``--yes``.
        typer.Abort: the answer was no.
    """
    if force:
        return
    flags = fleet_flags_of(ctx)
    if len(hosts) != 1:
        confirm(ctx, hosts, f"remove {_listed(what)}{_filtered(filters)}")
        return
    if flags.yes:
        return
    if len(what) == 1:
        typer.echo(f"WARNING! This will remove {what[0]}{_filtered(filters)}.", err=True)
    else:
        lines = "".join(f"  - {each}\n" for each in what)
        typer.echo(f"WARNING! This will remove{_filtered(filters)}:\n{lines}", err=True)
    # typer.confirm would write to standard output, too, where it is not a terminal.
    typer.echo("Are you sure you want to continue? [y/N] ", nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer and not sys.stdin.isatty():
        raise UsageError("nothing was removed: nobody answered", hint="do not ask: --force")
    if answer.strip().lower() not in ("y", "yes"):
        raise typer.Abort


def _listed(what: Sequence[str]) -> str:
    return what[0] if len(what) == 1 else f"{', '.join(what[:-1])} and {what[-1]}"


def _filtered(filters: Sequence[str]) -> str:
    return f" that fit {', '.join(filters)}" if filters else ""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went, below a heading, as docker prints it; nothing when nothing went."""

    heading: str
    line: Callable[[Object], str] = lambda item: str(item.get("Deleted", ""))

    def render(self, rows: Rows, several: bool) -> str:
        """The text."""
        text = Lines(self.line).render(rows, several)
        return f"{self.heading}:\n{text}\n" if text else ""


def image_line(item: Object) -> str:
    """``untagged: …`` or ``deleted: …``, as docker has it."""
    return next((f"{kind.lower()}: {item[kind]}" for kind in ("Untagged", "Deleted") if kind in item), "")


class Reclaimed(Protocol):
    """An agent's reply to a prune."""

    @property
    def reclaimed(self) -> int:
        """Bytes."""


def total(ctx: typer.Context) -> Callable[[Sequence[Outcome[Any]]], str]:
    """The line with the sum over all hosts; nothing with a format, or where no host did anything."""

    def footer(outcomes: Sequence[Outcome[Any]]) -> str:
        values: list[Reclaimed] = [outcome.value for outcome in outcomes if outcome.value is not None]
        if fleet_flags_of(ctx).format is not None or not values:
            return ""
        return f"Total reclaimed space: {human_size(sum(value.reclaimed for value in values), 4)}\n"

    return footer
