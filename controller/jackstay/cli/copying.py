"""What a ``jackstay copy`` is to do, for the files that do it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Rows = Callable[[Any], list[dict[str, Any]]]
"""Objects of ``data`` as they are printed."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which images of a source, what of them, and how."""

    source: str
    names: Sequence[str] = ()
    all: bool = False
    platform: str = ""
    all_platforms: bool = False
    plan: bool = False
    quiet: bool = False
    via: str = "auto"
