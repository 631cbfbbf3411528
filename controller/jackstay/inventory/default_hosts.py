"""Which hosts are meant when a command names none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class DefaultHosts:
    """Sets for :meth:`Inventory.select`, and where they were said (for ``host ls --origin`` and for prompts)."""

    sets: tuple[str, ...]
    origin: str  # "JACKSTAY_HOST", the path of a file, or "default"


def default_hosts(environ: Mapping[str, str], cwd: Path) -> DefaultHosts:
    """``JACKSTAY_HOST``, else ``host`` in ``jackstay.toml`` here or above, else in the user's ``config.toml``, else ``local``.

    Raises :class:`~jackstay.errors.UsageError` naming the file when it is not as it must be.
    """
    raise NotImplementedError
