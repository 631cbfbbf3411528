"""What a whiteout does to a folder that is unpacked into: the two ways there are.

*Apart*: the folder holds one layer alone, and an overlay lays it on the others. Then all in it is the layer's own, and
what is to be hidden gets a mark that the overlay interprets. *Together*: the folder holds the whole tree, begun as a
copy of the one below. Then what is to be hidden is taken away, and a record tells the layer's own from the rest, since
whiteouts apply to the layers below only, whichever comes first in the tar (image-spec, layer.md, "Whiteouts").

Both answer alike what a layer can see of itself, so that the same layer gives the same tree, or the same error.
"""

from __future__ import annotations

import os
import stat
from typing import Protocol

from jackstay_agent.kernel import syscalls
from jackstay_agent.layers import xattrs
from jackstay_agent.layers.deleting import delete
from jackstay_agent.layers.inodes import Inodes

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_INSIDE = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_XDEV


class Whiteouts(Protocol):
    """How what is below is hidden. Implementations: `Apart` and `Together`."""

    apart: bool  # whether the folder has nothing but the layer's own, so that the kernel may resolve whole names in it

    def has(self, status: os.stat_result) -> bool:
        """Whether the file of *status*, in the folder that is unpacked into, is the layer's own."""
        ...

    def made(self, base: bytes, folder: int) -> None:
        """The layer has made *base* in *folder*: from now on it is its own."""
        ...

    def joined(self, base: bytes, folder: int) -> None:
        """The layer has the folder *base* too, which is there: it is its own from now on, what is in it is not."""
        ...

    def covered(self, base: bytes, folder: int) -> None:
        """The new folder *base* has taken the place of something else: nothing below may show in it."""
        ...

    def hide(self, base: bytes, folder: int) -> int:
        """Hide *base* of the tree below, but not what the layer itself has there; how many inodes that took."""
        ...

    def hide_all(self, base: bytes, folder: int) -> None:
        """Hide all that the tree below has in the folder *base*, which the layer has, but not what it has there."""
        ...


class Apart:
    """Whiteouts as overlayfs has them: a character device 0:0, and an attribute on folders."""

    apart = True

    def has(self, status: os.stat_result) -> bool:
        """See `Whiteouts.has`."""
        return not is_whiteout(status)

    def made(self, base: bytes, folder: int) -> None:
        """See `Whiteouts.made`: everything is the layer's own."""

    def joined(self, base: bytes, folder: int) -> None:
        """See `Whiteouts.joined`: everything is the layer's own."""

    def covered(self, base: bytes, folder: int) -> None:
        """See `Whiteouts.covered`."""
        self.hide_all(base, folder)

    def hide(self, base: bytes, folder: int) -> int:
        """See `Whiteouts.hide`."""
        try:
            os.mknod(base, stat.S_IFCHR, 0, dir_fd=folder)
        except FileExistsError:
            if stat.S_ISDIR(os.stat(base, dir_fd=folder, follow_symlinks=False).st_mode):
                self.hide_all(base, folder)
            return 0
        return 1

    def hide_all(self, base: bytes, folder: int) -> None:
        """See `Whiteouts.hide_all`."""
        descriptor = os.open(base, _FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            os.setxattr(descriptor, xattrs.OPAQUE, b"y")
        finally:
            os.close(descriptor)


class Together:
    """Whiteouts that take away.

    What the layer has made is known by inode number: nobody else makes files in the folder meanwhile, so a number that
    was given to the layer once is the layer's for good. Memory: two bits for each, where numbers come in a row.
    """

    apart = False

    def __init__(self) -> None:
        self._own = Inodes()
        self._pure = Inodes()  # folders in which all is the layer's own, so that none is looked through twice

    def has(self, status: os.stat_result) -> bool:
        """See `Whiteouts.has`."""
        return status.st_ino in self._own

    def made(self, base: bytes, folder: int) -> None:
        """See `Whiteouts.made`."""
        status = os.stat(base, dir_fd=folder, follow_symlinks=False)
        self._own.add(status.st_ino)
        if stat.S_ISDIR(status.st_mode):
            self._pure.add(status.st_ino)

    def joined(self, base: bytes, folder: int) -> None:
        """See `Whiteouts.joined`."""
        self._own.add(os.stat(base, dir_fd=folder, follow_symlinks=False).st_ino)

    def covered(self, base: bytes, folder: int) -> None:
        """See `Whiteouts.covered`: what was there is gone."""

    def hide(self, base: bytes, folder: int) -> int:
        """See `Whiteouts.hide`."""
        try:
            status = os.stat(base, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return 0
        if not self.has(status):
            delete(base, folder)
        elif stat.S_ISDIR(status.st_mode):
            self.hide_all(base, folder)
        return 0

    def hide_all(self, base: bytes, folder: int) -> None:
        """See `Whiteouts.hide_all`."""
        top = os.open(base, _FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            waiting = [b"."]
            while waiting:
                path = waiting.pop()
                inner = syscalls.openat2(path, _FOLDER, dir_fd=top, resolve=_INSIDE)
                try:
                    waiting += [path + b"/" + name for name in self._thin(inner)]
                finally:
                    os.close(inner)
        finally:
            os.close(top)

    def _thin(self, folder: int) -> list[bytes]:
        """Take away what in *folder* is not the layer's own; the folders in it that are."""
        number = os.fstat(folder).st_ino
        if number in self._pure:
            return []
        folders = []
        for name in map(os.fsencode, os.listdir(folder)):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not self.has(status):
                delete(name, folder)
            elif stat.S_ISDIR(status.st_mode):
                folders.append(name)
        self._pure.add(number)
        return folders


def is_whiteout(status: os.stat_result) -> bool:
    """Whether overlay takes the file for a whiteout."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0
