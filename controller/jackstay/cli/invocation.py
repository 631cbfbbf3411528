"""What every command does around its work: choose hosts, ask before destroying, print outcomes, give the exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from jackstay.cli.early_errors import note_hosts
from jackstay.cli.fleet_flags import FleetFlags
from jackstay.cli.lazy import fleet_flags_of
from jackstay.cli.main import print_error
from jackstay.cli.output.view import Rows, Table, View, render_quiet
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.cli.output.template import Template
    from jackstay.fleet import FleetResult, Outcome
    from jackstay.library import Fleet, Hosts

T = TypeVar("T")
Object = dict[str, Any]
Objects = Callable[[T], Sequence[Object]]


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run the command's work. SIGINT, SIGTERM and SIGHUP cancel it, so that connections and terminals are put right.

    Raises:
        KeyboardInterrupt: it was cancelled so.
    """

    async def guarded() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
        return await main

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def open_fleet(flags: FleetFlags) -> Fleet:
    """The fleet that the options and files describe."""
    from jackstay.fleet import FleetOptions
    from jackstay.library import Fleet

    standard = FleetOptions()
    options = FleetOptions(
        fanout=flags.fanout or standard.fanout,
        serial=flags.serial,
        max_fail=flags.max_fail,
        ignore_unreachable=flags.ignore_unreachable,
        timeout=flags.timeout or None,
        connect_timeout=flags.connect_timeout or standard.connect_timeout,
    )
    return Fleet.open(flags.inventory, options)


def select(ctx: typer.Context) -> Hosts:
    """The hosts that the command is for."""
    flags = fleet_flags_of(ctx)
    hosts = open_fleet(flags).select(*flags.hosts, exclude=flags.exclude, limit=flags.limit)
    note_hosts(ctx, hosts.names)
    return hosts


def select_one(ctx: typer.Context, what: str) -> Hosts:
    """The one host that the command is for.

    Raises:
        UsageError: there are several; ``what`` says for whom that is impossible.
    """
    hosts = select(ctx)
    if len(hosts) != 1:
        raise UsageError(f"{what} works on one host, {len(hosts)} were chosen", hint="choose one with -H")
    return hosts


def confirm(ctx: typer.Context, hosts: Hosts, what: str) -> None:
    """Ask before something is destroyed on several hosts; refuse when nobody can be asked.

    Raises:
        UsageError: there is no terminal, or the output is for a program, and no ``--yes``.
        typer.Abort: the answer was no.
    """
    flags = fleet_flags_of(ctx)
    if len(hosts) < 2 or flags.yes:
        return
    from jackstay.cli.output.fold import fold_names

    question = f"{what} on {len(hosts)} hosts ({fold_names(hosts.names)})"
    if flags.json or flags.jsonl or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"will not {question} without being told so", hint="add --yes")
    if not typer.confirm(f"{question[0].upper()}{question[1:]}?", err=True):
        raise typer.Abort


def show(
    ctx: typer.Context,
    hosts: Hosts,
    work: Callable[[Hosts], Awaitable[FleetResult[T]]],
    objects: Objects[T],
    view: View,
    *,
    quiet: str | None = None,
    footer: Callable[[Sequence[Outcome[T]]], str] | None = None,
    document: bool = False,
) -> int:
    """Do the work, print what came of it, write down who failed; the exit code.

    ``quiet`` is the field that ``-q`` prints alone. ``footer`` is text below, for people only. ``document``: the
    objects are documents as ``inspect``'s, not rows of a listing.
    """
    return report(ctx, hosts, work, objects, view, quiet=quiet, footer=footer, document=document)[1]


def report(
    ctx: typer.Context,
    hosts: Hosts,
    work: Callable[[Hosts], Awaitable[FleetResult[T]]],
    objects: Objects[T],
    view: View,
    *,
    quiet: str | None = None,
    footer: Callable[[Sequence[Outcome[T]]], str] | None = None,
    document: bool = False,
) -> tuple[FleetResult[T], int]:
    """As :func:`show`; the result, and the exit code of a fleet."""
    flags = fleet_flags_of(ctx)
    note_hosts(ctx, hosts.names)
    if flags.jsonl:
        hosts.on_outcome = lambda outcome: print_jsonl(outcome, objects)
    template = parsed_template(flags, view, document=document)

    async def main() -> FleetResult[T]:
        return await work(hosts)

    result = run_async(main())
    code = 0
    if flags.json:
        print_json(result, objects)
    elif not flags.jsonl:
        rows = rows_of(result, objects)
        if template is not None:
            code = write_formatted(template, rows, view, several=len(hosts) > 1)
            text = ""
        elif quiet is not None:
            text = render_quiet(rows, quiet)
        elif any(outcome.ok or outcome.value is not None for outcome in result.outcomes):
            text = view.render(rows, len(hosts) > 1)
        else:
            text = ""
        sys.stdout.write(text + (footer(result.outcomes) if footer else ""))
    return result, max(code, finish(result, flags))


def parsed_template(flags: FleetFlags, view: View | None = None, *, document: bool = False) -> Template | None:
    """The ``--format`` of the command, or ``None`` when it has none or it is docker's word for the standard form.

    Raises:
        TemplateError: it is malformed, or uses fields that the view has not.
    """
    if not flags.format or flags.format.strip() == "table":
        return None
    from jackstay.cli.output.template import parse_template

    template = parse_template(flags.format, listing=not document)
    if isinstance(view, Table) and view.titles:
        template.check_fields({"Host", *view.titles})
    return template


def write_formatted(template: Template, rows: Rows, view: View | None = None, *, several: bool) -> int:
    """Print the objects by the template, then a line for every host with one that it does not fit; the exit code."""
    from jackstay.cli.output.formatted import render_template

    titles = {field: title for title, field in view.columns} | dict(view.titles) if isinstance(view, Table) else {}
    formatted = render_template(template, rows, titles, several=several)
    sys.stdout.write(formatted.text)
    if formatted.errors:
        sys.stdout.flush()
        for host, error in formatted.errors.items():
            print_error(with_host(host, error.message), error.hint)
    return 1 if formatted.errors else 0


def rows_of(result: FleetResult[T], objects: Objects[T]) -> Rows:
    """Every host with its objects; what was done before a failure counts."""
    return [(outcome.host, data_of(outcome, objects)) for outcome in result.outcomes]


def data_of(outcome: Outcome[T], objects: Objects[T]) -> Sequence[Object]:
    """The objects of one host. A verb without results has ``None`` as its value, also where it went well."""
    if outcome.ok:
        return objects(outcome.value)  # type: ignore[arg-type]  # T may itself be None
    return [] if outcome.value is None else objects(outcome.value)


def print_json(result: FleetResult[T], objects: Objects[T]) -> None:
    """The one array."""
    from jackstay.cli.output.envelope import element, render_json

    sys.stdout.write(render_json([element(outcome, data_of(outcome, objects)) for outcome in result.outcomes]))


def print_jsonl(outcome: Outcome[T], objects: Objects[T]) -> None:
    """One host's lines, as soon as it has ended."""
    from jackstay.cli.output.envelope import element, render_jsonl

    sys.stdout.write(render_jsonl(element(outcome, data_of(outcome, objects))))
    sys.stdout.flush()


def finish(result: FleetResult[Any], flags: FleetFlags) -> int:
    """Tell the errors (unless they are in the JSON), write down who failed; the exit code."""
    from jackstay.fleet import exit_code

    if any(outcome.error is not None and outcome.error.kind == "OUTPUT_CLOSED" for outcome in result.outcomes):
        raise BrokenPipeError
    if not (flags.json or flags.jsonl):
        sys.stdout.flush()
        print_failures(result)
    remember_failed(result)
    return exit_code(result)


def print_failures(result: FleetResult[Any]) -> None:
    """A line for every host that failed, naming it, and a line with the hint."""
    for outcome in result.outcomes:
        if outcome.error is not None and outcome.outcome != "skipped":
            print_error(with_host(outcome.host, outcome.error.message), outcome.error.hint)
    skipped = [outcome.host for outcome in result.outcomes if outcome.outcome == "skipped"]
    if skipped:
        from jackstay.cli.output.fold import fold_names

        print_error(f"{fold_names(skipped)}: skipped, too many hosts had failed")


def with_host(host: str, message: str) -> str:
    """The message, beginning with the host unless it names it already."""
    import re

    return message if re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", message) else f"{host}: {message}"


def remember_failed(result: FleetResult[Any]) -> None:
    """Write who failed where ``--limit @last-failed`` finds it; a full disk is not this command's error."""
    from jackstay.inventory import last_failed_path, write_last_failed

    try:
        write_last_failed(last_failed_path(os.environ), [outcome.host for outcome in result.failed])
    except OSError:
        pass


def no_objects(_: object) -> list[Object]:
    """The objects of a verb that has none."""
    return []


def names_as(key: str) -> Callable[[list[str]], list[Object]]:
    """Names that a verb worked on, as objects with one field."""
    return lambda names: [{key: name} for name in names]
