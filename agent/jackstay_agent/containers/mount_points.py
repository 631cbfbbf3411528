"""The folders that a runtime mounts ``/dev``, ``/proc`` and ``/sys`` at: real ones, whatever the image has there.

Runtimes have gone through a link of the image as if it were the host's, and made and removed files where it led
(CVE-2026-41579, CVE-2026-47766). Docker hides what an image has there, too (moby ``daemon/initlayer``).
"""

from __future__ import annotations

import os
import stat

from jackstay_agent.containers import working_folder

FOLDERS = ("dev", "proc", "sys")


def make(root: int) -> None:
    """Put a folder in the place of what is none, in the folder *root*: a descriptor. Blocking.

    What is missing is left to the runtime.
    """
    for name in FOLDERS:
        try:
            status = os.stat(name, dir_fd=root, follow_symlinks=False)
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(name, dir_fd=root)
            working_folder.make(root, f"/{name}")
