"""Whether to colour: ``--color`` above all, then ``NO_COLOR``, ``CLICOLOR_FORCE``, ``CLICOLOR``, then the terminal."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TextIO

_when = "auto"


def set_color(when: str | None) -> None:
    """Take ``--color``: ``auto``, ``always``, ``never``; ``None`` when it was not given."""
    global _when
    _when = when or "auto"


def decide(when: str, environ: Mapping[str, str], terminal: bool) -> bool:
    """The decision as a value (no-color.org, bixense.com/clicolors)."""
    if when != "auto":
        return when == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return terminal and environ.get("CLICOLOR", "1") != "0" and environ.get("TERM") != "dumb"


def use_color(stream: TextIO) -> bool:
    """Whether what goes to ``stream`` shall be coloured."""
    return decide(_when, os.environ, stream.isatty())
