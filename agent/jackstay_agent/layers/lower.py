"""The stack below a snapshot, mounted read-only for one child alone.

For jobs: the child moves into a mount namespace of its own first, so nobody else sees the mount and it ends with the
child. Guarantees that what the descriptor shows is what a container on that stack would see.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from jackstay_agent import faults
from jackstay_agent.kernel import syscalls

_OPTIONS = "index=off,redirect_dir=off,metacopy=off"


def mount_lower(folder: str, target: str, lower: Sequence[str]) -> int:
    """Mount the stack *lower* (newest first, relative to *folder*) at *target*; a path descriptor of its root.

    A stack of one part is a whole tree; of several, an overlay, which demands two. The working folder is *folder*
    afterwards.
    """
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_SLAVE)
    faults.point("layers.lower.private")
    os.chdir(folder)
    if len(lower) == 1:
        tree = syscalls.copy_mount(lower[0])
        syscalls.change_mount(tree, syscalls.MOUNT_ATTR_RDONLY, syscalls.MS_PRIVATE)
        syscalls.move_mount(tree, target)
        os.close(tree)
    else:
        syscalls.mount("overlay", target, "overlay", syscalls.MS_RDONLY, f"lowerdir={':'.join(lower)},{_OPTIONS}")
    faults.point("layers.lower.mounted")
    return os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
