"""Where an agent's registry listens: beside the agent itself."""

from __future__ import annotations

import os


def beside(socket: str) -> str:
    """The registry's socket of the agent whose own is ``socket``."""
    return os.path.join(os.path.dirname(socket), "registry.sock")
