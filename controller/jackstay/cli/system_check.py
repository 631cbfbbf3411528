"""``jackstay system check``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackstay.cli.invocation import confirm, select, show
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.output.headings import FINDING
from jackstay.cli.output.view import Table

if TYPE_CHECKING:
    from jackstay.client import messages
    from jackstay.fleet import FleetResult, Outcome
    from jackstay.library import Hosts
    from jackstay.library.system import Checked

COLUMNS = (("KIND", "Kind"), ("THING", "Thing"), ("NAME", "Name"), ("DETAIL", "Detail"), ("TO DO", "ToDo"))


def command(
    ctx: typer.Context,
    repair: Annotated[
        bool, typer.Option("--repair", help="Put right what needs no source; the rest is named.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> int:
    """Check every blob and layer, and repair.

    Reads every stored byte again, unpacks every layer once more and compares, and looks for what is missing,
    wrong, or belongs to nothing. Containers, loads and removals may go on. Exits with 1 when something is
    left to be done.

    \b
    Examples:
      jackstay -H web1 system check
      jackstay -H '@web' system check --repair --yes
    """
    hosts = select(ctx)
    if repair:
        confirm(ctx, hosts, "remove what is damaged or belongs to nothing")
    flags = fleet_flags_of(ctx)

    async def work(hosts: Hosts) -> FleetResult[Checked]:
        from jackstay.cli.progress import showing
        from jackstay.copying.progress import CopyProgress

        shown = CopyProgress()
        for host in hosts:
            shown.host(host.name)

        def progress(name: str, step: messages.CheckProgress) -> None:
            host = shown.host(name)
            host.phase = step.doing
            if step.doing == "blobs":
                host.current, host.total = step.current, step.total

        async with showing(shown, quiet=quiet or flags.json or flags.jsonl):
            return await hosts.system.check(repair=repair, progress=progress)

    footer = _footer if flags.format is None else None
    return show(ctx, hosts, work, finding_objects, Findings(COLUMNS, FINDING), footer=footer)


class Findings(Table):
    """The table; nothing at all when nothing was found."""

    def render(self, rows: Any, several: bool) -> str:
        """See :class:`Table`."""
        return super().render(rows, several) if any(objects for _, objects in rows) else ""


def finding_objects(checked: Checked) -> list[dict[str, Any]]:
    """The findings of one host."""
    return [
        {
            "Kind": finding.kind,
            "Thing": finding.thing,
            "Name": finding.name,
            "Detail": finding.detail,
            "Repaired": finding.repaired,
            "Hint": finding.hint,
            "ToDo": "repaired" if finding.repaired else finding.hint,
        }
        for finding in checked.findings
    ]


def _footer(outcomes: Sequence[Outcome[Checked]]) -> str:
    from jackstay.cli.invocation import with_host
    from jackstay.cli.output.units import human_size

    lines = []
    for outcome in outcomes:
        done = outcome.value.done if outcome.value is not None else None
        if done is None:
            continue
        looked = f"{_count(done.blobs, 'blob')} ({human_size(done.bytes)}), {_count(done.layers, 'layer')}, "
        looked += f"{_count(done.images, 'image')} checked: "
        if not done.found:
            looked += "nothing is wrong"
        else:
            looked += f"{done.found} found, {done.repaired} repaired"
        lines.append(with_host(outcome.host, looked) if len(outcomes) > 1 else looked)
    return "".join(f"{line}\n" for line in lines)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
