"""The agent's folders, and the lock that keeps a second agent out of them."""

from __future__ import annotations

import fcntl
import os

from jackstay_agent.config import Config
from jackstay_agent.errors import Busy, from_os_error


def hold(config: Config) -> int:
    """Make the state and run folders (0700 and 0750) and lock the state; the descriptor that is the lock.

    Raises `Busy` when another agent holds it, `Error` when the folders cannot be made.
    """
    try:
        os.makedirs(config.state, mode=0o700, exist_ok=True)
        os.chmod(config.state, 0o700)
        os.makedirs(config.run, mode=0o750, exist_ok=True)
        lock = os.open(os.path.join(config.state, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise from_os_error(error, f"making {config.state}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise Busy(
            f"another agent runs on {config.state}", hint="see which with: systemctl status jackstayd"
        ) from error
    return lock
