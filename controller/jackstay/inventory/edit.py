"""Changes to a ``hosts.toml`` that keep everything else in it, comments too: pure, text in, text out."""

from __future__ import annotations

from jackstay.inventory.host import Host


def add_host(text: str, host: Host) -> str:
    """The file with ``[hosts.<name>]`` added. Raises :class:`~jackstay.errors.UsageError` when the name is taken."""
    raise NotImplementedError


def remove_host(text: str, name: str) -> str:
    """The file without ``[hosts.<name>]``. Raises :class:`~jackstay.errors.UsageError` when it is not there."""
    raise NotImplementedError
