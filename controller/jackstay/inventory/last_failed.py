"""The hosts on which the last command failed: ``~/.local/state/jackstay/last-failed``, a name a line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from jackstay.inventory.places import state_folder
from jackstay.inventory.replace_file import replace_file


def last_failed_path(environ: Mapping[str, str]) -> Path:
    """Where the names are kept."""
    return state_folder(environ) / "last-failed"


def read_last_failed(path: Path) -> tuple[str, ...]:
    """The names; none when nothing was ever kept."""
    try:
        return tuple(line for line in path.read_text(encoding="utf-8").splitlines() if line)
    except FileNotFoundError:
        return ()


def write_last_failed(path: Path, names: Iterable[str]) -> None:
    """Keep the names, replacing those before, atomically; an empty list too. Raises :class:`OSError`.

    When they are the same as before, as after most commands, nothing is written.
    """
    kept = tuple(names)
    if kept != read_last_failed(path):
        replace_file(path, "".join(f"{name}\n" for name in kept))
