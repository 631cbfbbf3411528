"""Layers for tests: tars from short descriptions, and trees as values that can be compared."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tempfile
from collections.abc import Iterable
from typing import Any

from jackstay_oci.tar.entries import Entry, Kind
from jackstay_oci.tar.writer import TarWriter

SECOND = 10**9


def folder(name: str, **fields: Any) -> tuple[Entry, bytes]:
    return entry(name, kind=Kind.DIRECTORY, **{"mode": 0o755, **fields}), b""


def file(name: str, content: bytes = b"", **fields: Any) -> tuple[Entry, bytes]:
    return entry(name, size=len(content), **fields), content


def symlink(name: str, target: str, **fields: Any) -> tuple[Entry, bytes]:
    return entry(name, kind=Kind.SYMLINK, linkname=target.encode(), mode=0o777, **fields), b""


def link(name: str, target: str, **fields: Any) -> tuple[Entry, bytes]:
    return entry(name, kind=Kind.HARDLINK, linkname=target.encode(), **fields), b""


def node(name: str, kind: Kind, major: int = 0, minor: int = 0, **fields: Any) -> tuple[Entry, bytes]:
    return entry(name, kind=kind, devmajor=major, devminor=minor, **fields), b""


def entry(name: str, **fields: Any) -> Entry:
    return Entry(name=name.encode(), **{"mtime_ns": 1_600_000_000 * SECOND, **fields})


def tar(entries: Iterable[tuple[Entry, bytes]]) -> bytes:
    out = io.BytesIO()
    with TarWriter(out, nanoseconds=True) as writer:
        for header, content in entries:
            writer.add(header, content)
    return out.getvalue()


def blob(data: bytes) -> int:
    """A descriptor of *data*; the caller closes it."""
    with tempfile.TemporaryFile() as holder:
        holder.write(data)
        holder.flush()
        return os.dup(holder.fileno())


def snapshot(
    root: str, *, fraction: bool = True, folder_times: bool = True, listed_only: bool = True
) -> dict[str, tuple[Any, ...]]:
    """The tree below *root* as values: kind, mode, owner, time, content, attributes; hard links by their first name.

    Without *listed_only*, a name that is listed and is not there is passed over.
    """
    found: dict[str, tuple[Any, ...]] = {}
    first: dict[int, str] = {}
    for at, folders, files in os.walk(root):
        folders.sort()
        for name in [".", *sorted([*folders, *files])] if at == root else sorted([*folders, *files]):
            path = os.path.join(at, name)
            if not listed_only and not os.path.lexists(path):
                continue
            status = os.lstat(path)
            shown = os.path.relpath(path, root)
            content: Any = None
            linked = None
            if stat.S_ISREG(status.st_mode):
                with open(path, "rb") as opened:
                    content = hashlib.sha256(opened.read()).hexdigest()
            elif stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
                content = status.st_rdev
            if not stat.S_ISDIR(status.st_mode) and status.st_nlink > 1:
                linked = first.setdefault(status.st_ino, shown)
            attributes = {
                each: os.getxattr(path, each, follow_symlinks=False)
                for each in os.listxattr(path, follow_symlinks=False)
                if not each.startswith("trusted.overlay.")
            }
            mtime = status.st_mtime_ns if fraction else status.st_mtime_ns // SECOND
            timed = folder_times or not stat.S_ISDIR(status.st_mode)
            found[shown] = (
                stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid,
                mtime if timed and shown != "." else None, content, linked, attributes,
            )  # fmt: skip
    return found
