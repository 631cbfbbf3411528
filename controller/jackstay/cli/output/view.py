"""How a verb's results look in each of the ways to print them. Pure: results in, text out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from jackstay.cli.output.table import render_table
from jackstay.cli.output.units import printable

if TYPE_CHECKING:
    from jackstay.cli.output.headings import Titles

Object = dict[str, Any]
Rows = Sequence[tuple[str, Sequence[Object]]]
"""Hosts, and the objects of each."""


class Table(NamedTuple):
    """Columns with docker's titles; HOST comes first when several hosts were asked.

    ``titles`` are those of all fields that ``--format`` may use; when it is empty any field may be tried.
    """

    columns: tuple[tuple[str, str], ...]  # title, field
    titles: Titles = MappingProxyType({})

    def render(self, rows: Rows, several: bool) -> str:
        """The text; with its header also when there is no row, as docker does."""
        header = (["HOST"] if several else []) + [title for title, _ in self.columns]
        body = [
            ([host] if several else []) + [str(item.get(field, "")) for _, field in self.columns]
            for host, objects in rows
            for item in objects
        ]
        return render_table(header, body)


class Lines(NamedTuple):
    """A line for each object, such as an id or a name; with the host before it when several were asked."""

    line: Callable[[Object], str]

    def render(self, rows: Rows, several: bool) -> str:
        """The text; an object whose line is empty has none."""
        return "".join(
            f"{host}: {printable(text)}\n" if several else f"{printable(text)}\n"
            for host, objects in rows
            for item in objects
            if (text := self.line(item))
        )


class View(Protocol):
    """What people see."""

    def render(self, rows: Rows, several: bool) -> str:
        """The text; ``several`` hosts were asked."""


def field(name: str) -> Lines:
    """Lines of one field."""
    return Lines(lambda item: str(item.get(name, "")))


def render_quiet(rows: Rows, name: str) -> str:
    """``-q``: the field of every object alone, each once, also of several hosts: for other commands' arguments."""
    values: Iterable[str] = (str(item.get(name, "")) for _, objects in rows for item in objects)
    return "".join(f"{value}\n" for value in dict.fromkeys(values))
