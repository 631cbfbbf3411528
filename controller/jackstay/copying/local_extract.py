"""Unpacks what a container gave below a local folder. The tar is a stranger's: no link is followed below the folder."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from jackstay.errors import InvalidArgument, NotFound
from jackstay_oci.limits import DEFAULT_LIMITS
from jackstay_oci.tar.extract import Extractor
from jackstay_oci.tar.reader import TarReader

if TYPE_CHECKING:
    from jackstay.copying.container_paths import Facts
    from jackstay_oci.tar.entries import Entry

_FOLDER = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
_MANY = 1 << 62
_BOUNDS = replace(DEFAULT_LIMITS, entries=_MANY, total_bytes=_MANY)  # as much as there is room for


def look(path: str) -> Facts:
    """The destination *path* as it is.

    Raises:
        NotFound, InvalidArgument: it does not exist, and nor does a folder that it could be made in.
    """
    from jackstay.copying.container_paths import Facts, split_entry

    real = os.path.realpath(path) + ("/" if path.endswith("/") else "/." if path.endswith("/.") else "")
    if os.path.exists(path):
        return Facts(real if os.path.islink(path.rstrip("/")) else path, True, os.path.isdir(path))
    if os.path.islink(path.rstrip("/")):
        path = real  # to nothing: what it leads to is made
    above = split_entry(path)[0]
    if not os.path.exists(above):
        raise NotFound(f"{above}: no such file or directory", hint="make the folder first")
    if not os.path.isdir(above):
        raise InvalidArgument(f"{above}: not a directory")
    return Facts(path, False)


def extract(source: int, folder: str, rebase: tuple[str, str], *, keep_owner: bool) -> None:
    """Unpack the tar that comes from the descriptor *source* in *folder*; the part *rebase* of names is renamed.

    Names that begin with another part are refused: only what was asked for comes to *folder* (as CVE-2019-6111).

    With *keep_owner*, and as root, files belong to whom the tar says.

    Raises:
        InvalidArchive, InvalidArgument, DiskFull, Error: see :class:`jackstay_oci.tar.extract.Extractor`.
    """
    target = os.open(folder, _FOLDER)
    try:

        def reach(path: bytes) -> int:
            found = os.dup(target)
            for part in path.split(b"/") if path != b"." else ():
                try:
                    inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=found)
                finally:
                    os.close(found)
                found = inner
            return found

        def owner(entry: Entry) -> tuple[int, int] | None:
            return (entry.uid, entry.gid) if keep_owner and os.geteuid() == 0 else None

        first, name = map(os.fsencode, rebase)
        renamed = None if first == name == b"." else (first, name)
        reader = TarReader(source, _BOUNDS, name="the archive")
        Extractor(reach, owner=owner, dress=_dress, rebase=renamed).extract(reader)
        reader.drain()
    finally:
        os.close(target)


def _dress(file: int, entry: Entry) -> None:
    for name, value in entry.xattrs.items():
        if name.startswith(b"user.") or (name == b"security.capability" and os.geteuid() == 0):
            with contextlib.suppress(OSError):  # a file system that has none keeps none
                os.setxattr(file, name, value)
