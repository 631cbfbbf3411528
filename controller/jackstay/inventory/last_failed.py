"""The hosts on which the last command failed: ``~/.local/state/jackstay/last-failed``, a name a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path


def last_failed_path(environ: Mapping[str, str]) -> Path:
    """Where the names are kept."""
    raise NotImplementedError


def read_last_failed(path: Path) -> tuple[str, ...]:
    """The names; none when nothing was ever kept."""
    raise NotImplementedError


def write_last_failed(path: Path, names: Iterable[str]) -> None:
    """Keep the names, replacing those before, atomically; an empty list too."""
    raise NotImplementedError
