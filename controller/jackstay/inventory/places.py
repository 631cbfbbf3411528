"""Where the user's own files are, by the XDG base directory specification."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def config_folder(environ: Mapping[str, str]) -> Path:
    """``~/.config/jackstay``."""
    return _folder(environ, "XDG_CONFIG_HOME", ".config")


def state_folder(environ: Mapping[str, str]) -> Path:
    """``~/.local/state/jackstay``."""
    return _folder(environ, "XDG_STATE_HOME", ".local/state")


def _folder(environ: Mapping[str, str], variable: str, default: str) -> Path:
    base = environ.get(variable, "")
    if base.startswith("/"):  # the specification: relative paths are to be ignored
        return Path(base) / "jackstay"
    home = Path(environ["HOME"]) if environ.get("HOME") else Path.home()
    return home / default / "jackstay"
