"""The hosts that the user has named, and the choice among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jackstay.inventory.host import Host


@dataclass(frozen=True, slots=True)
class Inventory:
    """Hosts and groups of one ``hosts.toml``."""

    hosts: Mapping[str, Host] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)  # name → NodeSet
    defaults: Host | None = None
    path: Path | None = None

    @staticmethod
    def find(explicit: str | Path | None, environ: Mapping[str, str], cwd: Path) -> Path:
        """Where the inventory is: ``--inventory``, ``JACKSTAY_INVENTORY``, else ``~/.config/jackstay/hosts.toml``."""
        raise NotImplementedError

    @classmethod
    def load(cls, path: Path) -> Inventory:
        """Read an inventory; a missing file is an empty one.

        Raises :class:`~jackstay.errors.UsageError` naming file and line when it is not as it must be.
        """
        raise NotImplementedError

    def select(self, sets: Sequence[str], exclude: Sequence[str] = (), limit: Sequence[str] = ()) -> list[Host]:
        """The hosts of ``sets`` without those of ``exclude``, only those of ``limit`` when given; each host once.

        Raises :class:`~jackstay.errors.UsageError` for what is malformed, unknown but near to a known name, or empty.
        """
        raise NotImplementedError
