"""A text that is drawn again and again in the same place of a terminal. Pure: text in, text with control codes out."""

from __future__ import annotations

from jackstay.cli.output.table import display_width

_HOME, _CLEAR_LINE, _CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"
CLEAR = "\x1b[2J"
"""Empties the screen, before the first picture."""


def picture(text: str, height: int, width: int) -> str:
    """``text`` from the upper left corner on, over what is there; never higher or wider than the screen."""
    lines = text.splitlines()
    if len(lines) > height - 1:  # the cursor stands below
        hidden = len(lines) - (height - 2)
        lines = [*lines[: height - 2], f"… {hidden} more lines; a higher window shows them"]
    return _HOME + "".join(f"{_cut(line, width)}{_CLEAR_LINE}\r\n" for line in lines) + _CLEAR_BELOW


def _cut(line: str, width: int) -> str:
    while display_width(line) > width:
        line = line[:-1]
    return line
