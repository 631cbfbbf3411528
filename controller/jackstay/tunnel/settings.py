"""How tunnels are opened; values only."""

from __future__ import annotations

from typing import NamedTuple

MIB = 1024 * 1024


class TunnelSettings(NamedTuple):
    """The choices that hold for every host of one run."""

    connect_timeout: float = 15.0
    """Seconds from the first packet to an open channel to the agent, SSH login included."""
    accept_new: bool = False
    """Accept the key of a host that no known_hosts file names, and remember it in ``accepted_keys``. A changed key is
    always refused."""
    accepted_keys: str | None = None
    """The known_hosts file of keys accepted so; ``None``: ``~/.local/state/jackstay/known_hosts``."""
    ssh_config: str | None = None
    """The SSH configuration to honour; ``None``: ``~/.ssh/config`` when it exists; empty: none."""
    use_ssh_agent: bool = True
    """Ask the agent at ``SSH_AUTH_SOCK`` for keys."""
    window: int = 16 * MIB
    """Bytes in flight from a host on one channel before the laptop has to acknowledge."""
    keepalive_interval: float = 15.0
    """Seconds of silence after which the SSH server is asked whether it is there; three misses end the connection."""
