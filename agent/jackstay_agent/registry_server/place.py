"""Where the registry's socket is. Only this, since small commands want to know it."""

from __future__ import annotations

import os


def beside(socket: str) -> str:
    """The registry's socket of the agent whose own is *socket*: in the same folder, for the same people."""
    return os.path.join(os.path.dirname(socket), "registry.sock")
