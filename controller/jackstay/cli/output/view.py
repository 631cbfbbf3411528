"""How a verb's results look in each of the ways to print them. Pure: results in, text out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jackstay.cli.output.table import GAP, display_width, render_table
from jackstay.cli.output.template import Template
from jackstay.cli.output.units import printable

Object = dict[str, Any]
Rows = Sequence[tuple[str, Sequence[Object]]]
"""Hosts, and the objects of each."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns with docker's titles; HOST comes first when several hosts were asked."""

    columns: tuple[tuple[str, str], ...]  # title, field

    def render(self, rows: Rows, several: bool) -> str:
        """The text; with its header also when there is no row, as docker does."""
        header = (["HOST"] if several else []) + [title for title, _ in self.columns]
        body = [
            ([host] if several else []) + [str(item.get(field, "")) for _, field in self.columns]
            for host, objects in rows
            for item in objects
        ]
        return render_table(header, body)


@dataclass(frozen=True, slots=True)
class Lines:
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


def render_template(template: Template, rows: Rows) -> str:
    """``--format``: a line for every object, ``.Host`` being its host; a table's columns are parted by tabs."""
    lines = [template.render({**item, "Host": host}) for host, objects in rows for item in objects]
    if not template.table:
        return "".join(f"{line}\n" for line in lines)
    cells = [line.split("\t") for line in (template.header(), *(printable_cells(line) for line in lines))]
    count = max(map(len, cells))
    widths = [max(display_width(row[at]) for row in cells if len(row) > at) for at in range(count)]
    return "".join(
        GAP.join(cell + " " * (width - display_width(cell)) for cell, width in zip(row, widths, strict=False)).rstrip()
        + "\n"
        for row in cells
    )


def printable_cells(line: str) -> str:
    """A row made safe for the terminal, its tabs kept."""
    return "\t".join(printable(cell) for cell in line.split("\t"))
