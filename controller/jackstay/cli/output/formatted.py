"""How a verb's results look with ``--format``: a line for every object, or a table. Pure: results in, text out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jackstay.cli.output.go_values import Row
from jackstay.cli.output.table import GAP, display_width
from jackstay.cli.output.template import EvaluationError, Template
from jackstay.cli.output.units import printable
from jackstay.cli.output.view import Rows


@dataclass(frozen=True, slots=True)
class Formatted:
    """The text of the objects that the template fits, and for every other host the first error."""

    text: str
    errors: Mapping[str, EvaluationError]


def render_template(template: Template, rows: Rows, titles: Mapping[str, str], *, several: bool) -> Formatted:
    """The lines of all objects, ``.Host`` being an object's host.

    A table begins with a header of ``titles``. When ``several`` hosts were asked its first column is HOST, unless the
    template has the host itself.
    """
    add_host = several and template.table and "Host" not in template.fields
    lines: list[str] = []
    errors: dict[str, EvaluationError] = {}
    for host, objects in rows:
        for item in objects:
            try:
                line = template.render(_with_host(item, host))
            except EvaluationError as error:
                errors.setdefault(host, error)
            else:
                lines.append(f"{host}\t{line}" if add_host else line)
    if not template.table:
        return Formatted("".join(f"{line}\n" for line in lines), errors)
    header = template.header(titles)
    return Formatted(_table([f"HOST\t{header}" if add_host else header, *lines]), errors)


def _with_host(item: dict[str, Any], host: str) -> dict[str, Any]:
    fields = {**item, "Host": host}
    return Row(fields, item.labels) if isinstance(item, Row) else fields


def _table(rows: Sequence[str]) -> str:
    """Rows whose cells are parted by tabs, a row of several lines being several; all made safe for the terminal."""
    cells = [[printable(cell) for cell in line.split("\t")] for row in rows for line in row.split("\n")]
    widths = [0] * max(map(len, cells))
    for row in cells:
        for column, cell in enumerate(row):
            widths[column] = max(widths[column], display_width(cell))
    return "".join(
        GAP.join(cell + " " * (width - display_width(cell)) for cell, width in zip(row, widths, strict=False)).rstrip()
        + "\n"
        for row in cells
    )
