"""Plain tables: aligned columns, three spaces between, as docker's. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from jackstay.cli.output.units import printable

GAP = "   "


def render_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Header and rows, each line ended; the last column is not padded."""
    cells = [list(header), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(display_width(row[column]) for row in cells) for column in range(len(header))]
    lines = []
    for row in cells:
        padded = [cell + " " * (width - display_width(cell)) for cell, width in zip(row, widths, strict=True)]
        lines.append(GAP.join(padded).rstrip())
    return "\n".join(lines) + "\n"


def display_width(text: str) -> int:
    """Terminal cells that ``text`` takes: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )
