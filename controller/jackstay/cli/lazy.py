"""Commands that are imported when they are run, and options that several commands share.

An *option group* is a function with typer's annotations that returns a value. :func:`build_command` gives its options
to a command, takes what was parsed away from the command's own arguments, and keeps the function's result in the
context, where :func:`group_value` finds it. So ``run`` and ``create`` share their flags, and every verb takes the
fleet's.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import typer
import typer.main
from typer.core import TyperCommand, TyperGroup

from jackstay.cli.coercion import spared
from jackstay.cli.color import set_color
from jackstay.cli.commands import Entry, Group
from jackstay.cli.early_errors import asked_for, tell
from jackstay.cli.fleet_flags import FleetFlags, fleet_flags
from jackstay.cli.switches import without_values
from jackstay.errors import UsageError
from jackstay_oci.errors import Error

if TYPE_CHECKING:
    from typer._click import Command, Context, HelpFormatter, Parameter

T = TypeVar("T")
_FLEET = "jackstay.fleet"
_FOOT = "The options of the fleet (-H, -x, --limit, --json, …) may stand here too: see jackstay --help."


class FleetCommand(TyperCommand):
    """A command with option groups."""

    option_groups: tuple[tuple[str, frozenset[str], Callable[..., Any]], ...] = ()

    def get_params(self, ctx: Context) -> list[Parameter]:
        """Its options and arguments."""
        return spared(super().get_params(ctx))

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Read the line; of one that is wrong, keep how that shall be printed."""
        interspersed = ctx.allow_interspersed_args
        words = without_values(args, super().get_params(ctx), interspersed=interspersed)
        try:
            return super().parse_args(ctx, list(words))
        except typer.TyperException:
            wanted = asked_for(words, lambda word: interspersed or word.startswith("-"))
            ctx.meta[_FLEET] = _inherited(ctx).merged(wanted)
            raise

    def collect_usage_pieces(self, ctx: Context) -> list[str]:
        """``[OPTIONS]`` and the arguments, written as their declarations write them."""
        arguments = (param for param in self.get_params(ctx) if param.param_type_name == "argument")
        return ["[OPTIONS]", *(getattr(param, "metavar", None) or str(param.name).upper() for param in arguments)]

    def format_options(self, ctx: Context, formatter: HelpFormatter) -> None:
        """The options; the usage line and the examples tell the arguments."""
        records = [
            record
            for param in self.get_params(ctx)
            if param.param_type_name == "option" and (record := param.get_help_record(ctx)) is not None
        ]
        with formatter.section("Options"):
            formatter.write_dl(records)

    def invoke(self, ctx: Context) -> Any:
        """Run the command, the groups' options taken out first."""
        for key, names, collect in self.option_groups:
            value = collect(**{name: ctx.params.pop(name) for name in names})
            if key == _FLEET:
                value = _inherited(ctx).merged(value)
            ctx.meta[key] = value
        set_color(_inherited(ctx).color)
        if _inherited(ctx).debug:
            import logging

            logging.basicConfig(level=logging.DEBUG)
        return super().invoke(ctx)


def _inherited(ctx: Context) -> FleetFlags:
    flags = ctx.meta.get(_FLEET)
    return flags if isinstance(flags, FleetFlags) else FleetFlags()


def fleet_flags_of(ctx: typer.Context) -> FleetFlags:
    """The fleet's options of the command that runs."""
    return _inherited(ctx)


def group_value(ctx: typer.Context, group: Callable[..., T]) -> T:
    """What the option group's function returned for the command that runs."""
    value: T = ctx.meta[_key(group)]
    return value


def _key(group: Callable[..., Any]) -> str:
    return f"{group.__module__}.{group.__qualname__}"


def build_command(
    function: Callable[..., Any],
    name: str,
    groups: tuple[Callable[..., Any], ...] = (),
    *,
    interspersed: bool = True,
    short_format: bool = False,
) -> FleetCommand:
    """The command that ``function`` is, with the groups' options and, where they do not collide, the fleet's.

    ``interspersed=False``: what follows the first argument is the container's command, dashes too.
    ``short_format``: ``-f`` is short for ``--format``, as with docker's ``inspect``.
    """
    command = _plain(function, name, FleetCommand)
    assert isinstance(command, FleetCommand)
    command.context_settings = {"allow_interspersed_args": interspersed, "help_option_names": ["--help"]}
    command.epilog = _FOOT
    taken = {option for param in command.params for option in (*param.opts, *param.secondary_opts)}
    collected = []
    for key, group, hidden in (*((_key(g), g, False) for g in groups), (_FLEET, fleet_flags, True)):
        source = _plain(group, name, TyperCommand)
        assert source.callback is not None
        names = set()
        for param in source.params:
            if taken.intersection(param.secondary_opts) or not (
                free := [each for each in param.opts if each not in taken]
            ):
                continue
            param.opts = free
            options = {*param.opts, *param.secondary_opts}
            taken |= options
            if short_format and "--format" in options:
                param.opts = ["--format", "-f"]
            elif hidden:
                param.hidden = True  # type: ignore[attr-defined]  # they are told by `jackstay --help`
            names.add(param.name)
            command.params.append(param)
        collected.append((key, frozenset(names), source.callback))
    command.option_groups = tuple(collected)
    return command


def _plain(function: Callable[..., Any], name: str, cls: type[TyperCommand]) -> Command:
    # Typer evaluates annotations that are text four times, which takes longer than all else in here.
    function.__annotations__ = inspect.get_annotations(function, eval_str=True)
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=cls)(function)
    return typer.main.get_command(app)


class LazyGroup(TyperGroup):
    """A group whose commands come from a table of :mod:`jackstay.cli.commands`."""

    table: Mapping[str, Entry | Group] = {}

    def get_params(self, ctx: Context) -> list[Parameter]:
        """Its options."""
        return spared(super().get_params(ctx))

    def list_commands(self, ctx: Context) -> list[str]:
        """Their names, in the table's order."""
        return [name for name, entry in self.table.items() if isinstance(entry, Group) or not entry.hidden]

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        """The command, its module imported now."""
        entry = self.table.get(cmd_name)
        if isinstance(entry, Group):
            return build_group(cmd_name, entry.summary, entry.entries)
        return None if entry is None else load(cmd_name, entry)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:
        """Their lines in the help, from the table: no module is imported."""
        for title, kind in (("Commands", Entry), ("Groups", Group)):
            rows = [
                (name, self.table[name].summary)
                for name in self.list_commands(ctx)
                if isinstance(self.table[name], kind)
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, Command | None, list[str]]:
        """The command meant, or an error that names the nearest."""
        if args[0] not in self.table and not args[0].startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.table)
            ctx.fail(f"no command {args[0]!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)


def load(name: str, entry: Entry) -> FleetCommand:
    """Import a command's module and build the command."""
    module = importlib.import_module(entry.module)
    return build_command(
        module.command,
        name,
        getattr(module, "OPTION_GROUPS", ()),
        interspersed=getattr(module, "INTERSPERSED", True),
        short_format=getattr(module, "SHORT_FORMAT", False),
    )


def build_group(name: str, summary: str, table: Mapping[str, Entry | Group]) -> LazyGroup:
    """A noun with its verbs."""
    app = typer.Typer(
        name=name, cls=LazyGroup, help=summary, add_completion=False, rich_markup_mode=None, no_args_is_help=True
    )
    app.callback()(_nothing)
    group = typer.main.get_group(app)
    assert isinstance(group, LazyGroup)
    group.table = table
    return group


def _nothing() -> None:
    """Groups do nothing by themselves."""


class RootGroup(LazyGroup):
    """The program: the fleet's options, then a verb."""

    collect: Callable[..., FleetFlags] = FleetFlags

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Read the options before the verb; an error in them is told to programs, too."""
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            tell(ctx, asked_for(words, lambda word: word not in self.table), UsageError(error.format_message()))
            raise

    def invoke(self, ctx: Context) -> Any:
        """Keep the fleet's options, then run the verb; an error of it is told to programs, too."""
        values, ctx.params = ctx.params, {}
        ctx.meta[_FLEET] = type(self).collect(**values)
        try:
            return super().invoke(ctx)
        except Error as error:
            tell(ctx, _inherited(ctx), error)
            raise
        except typer.TyperException as error:
            tell(ctx, _inherited(ctx), UsageError(error.format_message()))
            raise


def build_root(table: Mapping[str, Entry | Group]) -> RootGroup:
    """The whole command line."""
    app = typer.Typer(
        name="jackstay",
        cls=RootGroup,
        help=_HELP,
        add_completion=False,
        rich_markup_mode=None,
        no_args_is_help=True,
        context_settings={"help_option_names": ["--help"]},
    )
    app.callback()(_nothing)
    root = typer.main.get_group(app)
    assert isinstance(root, RootGroup)
    flags = _plain(fleet_flags, "jackstay", TyperCommand)
    assert flags.callback is not None
    RootGroup.collect = staticmethod(flags.callback)
    root.params.extend(flags.params)
    root.table = table
    return root


_HELP = """Container images and containers on many Linux hosts, over SSH, with no registry needed.

\b
Examples:
  jackstay copy docker-archive:app.tar '@web::'
  jackstay -H '@web' run -d -p 8080:80 app:1
  jackstay -H 'web[1-40]' ps
  jackstay copy web1::app:1 'web[2-40]::'
"""
