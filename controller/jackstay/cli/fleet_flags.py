"""The fleet's own options: before the verb, or after it where docker's verb has no such option."""

import os
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

import typer

# Annotations are values here, not text: typer needs them, and text would be compiled at every start.


class FleetFlags(NamedTuple):
    """What was given; ``None`` and empty mean "not given"."""

    hosts: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    limit: tuple[str, ...] = ()
    inventory: str | None = None
    fanout: int | None = None
    serial: str | None = None
    max_fail: str | None = None
    ignore_unreachable: bool = False
    timeout: float | None = None
    connect_timeout: float | None = None
    json: bool = False
    jsonl: bool = False
    format: str | None = None
    no_trunc: bool = False
    fold: bool | None = None
    yes: bool = False
    color: str | None = None
    debug: bool = False

    def merged(self, later: Self) -> Self:
        """These, with what was given later on the line: lists are joined, single values replaced."""
        values: dict[str, Any] = {}
        for name in self._fields:
            ours, theirs = getattr(self, name), getattr(later, name)
            if isinstance(ours, tuple):
                values[name] = ours + theirs
            else:
                values[name] = ours if theirs is None or (theirs is False and name != "fold") else theirs
        return type(self)(**values)


def known_hosts(incomplete: str) -> list[str]:
    """Names of the inventory that begin so, groups as ``@name``; no host is asked."""
    from jackstay.errors import UsageError
    from jackstay.inventory import Inventory

    try:
        inventory = Inventory.load(Inventory.find(None, os.environ, Path.cwd()))
    except UsageError:
        return []
    names = [*inventory.hosts, *(f"@{name}" for name in inventory.groups)]
    return [name for name in names if name.startswith(incomplete)]


def fleet_flags(
    fleet_hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            "-H",
            metavar="SET",
            autocompletion=known_hosts,
            help="Hosts: web1, 'web[1-40]', @web, user@host:port. Repeatable.",
        ),
    ] = None,
    fleet_exclude: Annotated[
        list[str] | None, typer.Option("--exclude", "-x", metavar="SET", help="Take these hosts away.")
    ] = None,
    fleet_limit: Annotated[
        list[str] | None,
        typer.Option("--limit", metavar="SET", help="Only those of the hosts; @last-failed: that failed last time."),
    ] = None,
    fleet_inventory: Annotated[
        str | None,
        typer.Option("--inventory", metavar="FILE", help="The hosts file instead of ~/.config/jackstay/hosts.toml."),
    ] = None,
    fleet_fanout: Annotated[
        int | None, typer.Option("--fanout", metavar="N", min=1, help="Hosts at work at once (64).")
    ] = None,
    fleet_serial: Annotated[
        str | None, typer.Option("--serial", metavar="BATCHES", help="Batches, e.g. 1,10%,50%.")
    ] = None,
    fleet_max_fail: Annotated[
        str | None, typer.Option("--max-fail", metavar="N|N%", help="Begin no more hosts after so many failed.")
    ] = None,
    fleet_ignore_unreachable: Annotated[
        bool, typer.Option("--ignore-unreachable", help="Unreachable hosts are no failure.")
    ] = False,
    fleet_timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="SECONDS", min=0, help="For the work on one host; 0: none.")
    ] = None,
    fleet_connect_timeout: Annotated[
        float | None, typer.Option("--connect-timeout", metavar="SECONDS", min=0.1, help="For reaching one host (15).")
    ] = None,
    fleet_json: Annotated[bool, typer.Option("--json", help="One JSON array with one element a host.")] = False,
    fleet_jsonl: Annotated[
        bool, typer.Option("--jsonl", help="JSON lines as they happen, then one outcome line a host.")
    ] = False,
    fleet_format: Annotated[
        str | None,
        typer.Option("--format", metavar="TEMPLATE", help="json, table …, or a Go template as docker's: {{.Names}}."),
    ] = None,
    fleet_no_trunc: Annotated[bool, typer.Option("--no-trunc", help="Do not shorten what is printed.")] = False,
    fleet_fold: Annotated[
        bool | None, typer.Option("--fold/--no-fold", help="Print identical output once, with its hosts.")
    ] = None,
    fleet_yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before destroying things on several hosts.")
    ] = False,
    fleet_color: Annotated[
        str | None, typer.Option("--color", metavar="WHEN", help="auto, always or never; NO_COLOR is honoured.")
    ] = None,
    fleet_debug: Annotated[
        bool, typer.Option("--debug", help="Tell on stderr what is done, and where mistakes are.")
    ] = False,
) -> FleetFlags:
    """Collect the options."""
    if fleet_color not in (None, "auto", "always", "never"):
        raise typer.BadParameter(f"--color {fleet_color!r}: not auto, always or never")
    return FleetFlags(
        hosts=tuple(fleet_hosts or ()),
        exclude=tuple(fleet_exclude or ()),
        limit=tuple(fleet_limit or ()),
        inventory=fleet_inventory,
        fanout=fleet_fanout,
        serial=fleet_serial,
        max_fail=fleet_max_fail,
        ignore_unreachable=fleet_ignore_unreachable,
        timeout=fleet_timeout,
        connect_timeout=fleet_connect_timeout,
        json=fleet_json,
        jsonl=fleet_jsonl,
        format=fleet_format,
        no_trunc=fleet_no_trunc,
        fold=fleet_fold,
        yes=fleet_yes,
        color=fleet_color,
        debug=fleet_debug,
    )
