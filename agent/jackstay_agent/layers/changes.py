"""Which paths a snapshot changes over its parent, as Docker's diff tells them: C changed, A added, D deleted.

Guarantees: the files are only read, each name resolved below the folder without following links; what `diff` would
write is told of, and also what no layer can hold, such as sockets. A folder is changed when something in it is, or its
mode, owner or attributes are; its time alone does not count, as in `diff`. Memory grows with the number of changes.
"""

from __future__ import annotations

import os
import stat
from typing import Any

from jackstay_agent.kernel import syscalls
from jackstay_agent.layers import copy_mark, inside, xattrs
from jackstay_agent.layers.lower import mount_lower
from jackstay_agent.layers.untouched import Untouched
from jackstay_agent.layers.whiteouts import is_whiteout

Change = tuple[str, bytes]
"""``C``, ``A`` or ``D``, and the absolute path."""

MADE_BY_THE_RUNTIME = frozenset(
    {b"dev", b"proc", b"sys", b"etc/hosts", b"etc/hostname", b"etc/resolv.conf"}
)  # where an image has none of them, so that something can be mounted there


def list_changes(argument: Any, descriptors: list[int]) -> list[Change]:
    """The job: the changes of the upper folder (first descriptor), by path.

    The argument is that of `diff.diff_layer`.
    """
    (upper,) = descriptors
    mark = copy_mark.read(upper) if argument["whole"] else None
    upper = syscalls.without_devices(upper)
    lower = mount_lower(argument["folder"], argument["target"], argument["lower"]) if argument["lower"] else None
    untouched = Untouched(upper, lower, mark) if mark is not None and lower is not None else None
    return _Walk(upper, lower, argument["whole"], untouched).run()


class _Walk:
    def __init__(self, upper: int, lower: int | None, whole: bool, untouched: Untouched | None) -> None:
        self._upper = upper
        self._lower = lower
        self._whole = whole
        self._untouched = untouched
        self._changes: dict[bytes, str] = {}

    def run(self) -> list[Change]:
        """All of them."""
        # Paths, not descriptors, so that depth costs none.
        waiting = [(b"", self._whole)]
        while waiting:
            path, hidden = waiting.pop()
            folder = inside.open_folder(path, self._upper)
            if folder is None:
                continue  # a running container took it away
            try:
                below = None if self._lower is None else inside.open_folder(path, self._lower)
                try:
                    self._compare(path, folder, below)
                    hidden = hidden or xattrs.is_opaque(folder)
                    waiting += [(inner, hidden) for inner in self._contents(path, folder, below, hidden)]
                finally:
                    if below is not None:
                        os.close(below)
            finally:
                os.close(folder)
        return [(kind, b"/" + path) for path, kind in sorted(self._changes.items())]

    def _compare(self, path: bytes, folder: int, below: int | None) -> None:
        """Tell of the folder itself; of the root nobody does."""
        if path and below is not None and _look(folder) != _look(below):
            self._tell("C", path)

    def _contents(self, path: bytes, folder: int, below: int | None, hidden: bool) -> list[bytes]:
        """Tell of what is in the folder; the paths of its folders."""
        prefix = path + b"/" if path else b""
        present = {os.fsencode(name) for name in os.listdir(folder)}
        gone = {os.fsencode(name) for name in os.listdir(below)} - present if hidden and below is not None else set()
        for name in gone:
            self._tell("D", prefix + name)
        folders = []
        for name in present:
            status, before = inside.status(name, folder), None if below is None else inside.status(name, below)
            if status is None:
                continue
            inner = prefix + name
            if is_whiteout(status) and not self._whole:
                if before is not None:
                    self._tell("D", inner)
            elif stat.S_ISDIR(status.st_mode):
                folders.append(inner)
                if before is None:
                    if inner not in MADE_BY_THE_RUNTIME:
                        self._tell("A", inner)
                elif not stat.S_ISDIR(before.st_mode):
                    self._tell("C", inner)
            elif before is None:
                if status.st_size or inner not in MADE_BY_THE_RUNTIME:
                    self._tell("A", inner)
            elif below is not None and not self._is_untouched(name, status, folder, below):
                self._tell("C", inner)
        return folders

    def _is_untouched(self, name: bytes, status: os.stat_result, folder: int, below: int) -> bool:
        return self._untouched is not None and self._untouched.is_so(name, status, folder, below)

    def _tell(self, kind: str, path: bytes) -> None:
        """*path* has changed so, and the folders that lead to it have changed."""
        self._changes[path] = kind
        while (path := path.rpartition(b"/")[0]) and path not in self._changes:
            self._changes[path] = "C"


def _look(folder: int) -> tuple[int, int, int, dict[bytes, bytes]]:
    status = os.fstat(folder)
    return status.st_mode, status.st_uid, status.st_gid, xattrs.read(folder)
