"""A container's working folder: where the image has none, it is made, as docker makes it, root's and open to all.

Runtimes make one too, but not all of them one that a user other than root may enter.
"""

from __future__ import annotations

import contextlib
import os

from jackstay_agent.kernel import syscalls

MODE = 0o755


def make(root: int, path: str) -> None:
    """Make the folder *path*, and those above it, below the folder *root*: a descriptor. Blocking.

    The kernel resolves it inside the root, so that no link of the image leads out. What cannot be made is left to the
    runtime, which says so: a file in the way, a link to nothing.
    """
    with contextlib.suppress(OSError):
        above = os.dup(root)
        try:
            for end in _ends(path):
                below = _open_or_make(root, path[:end], above)
                os.close(above)
                above = below
        finally:
            os.close(above)


def _ends(path: str) -> list[int]:
    """Where the names in the clean absolute *path* end."""
    return [at for at in range(1, len(path) + 1) if at == len(path) or path[at] == "/"] if path != "/" else []


def _open_or_make(root: int, path: str, above: int) -> int:
    name, resolve = os.path.basename(path), syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
    with contextlib.suppress(FileNotFoundError):
        return syscalls.openat2(path.lstrip("/"), os.O_PATH | os.O_DIRECTORY, dir_fd=root, resolve=resolve)
    os.mkdir(name, MODE, dir_fd=above)
    made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    os.fchmod(made, MODE)  # whatever the agent's umask
    return made
