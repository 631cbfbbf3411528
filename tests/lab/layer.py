"""A layer's tar, written entry by entry with the standard library alone."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

MTIME = 1704164645  # of every entry, so that the same calls give the same bytes


class Layer:
    """A layer's tar, written entry by entry; complete after :meth:`close`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def __enter__(self) -> Layer:
        return self

    def __exit__(self, *_: object) -> None:
        self._tar.close()

    def folder(self, name: str, mode: int = 0o755) -> None:
        """A folder."""
        self.add(self.entry(name, tarfile.DIRTYPE, mode))

    def file(self, name: str, content: bytes | str, mode: int = 0o644) -> None:
        """A regular file."""
        data = content.encode() if isinstance(content, str) else content
        entry = self.entry(name, tarfile.REGTYPE, mode)
        entry.size = len(data)
        self.add(entry, io.BytesIO(data))

    def link(self, name: str, target: str, hard: bool = False) -> None:
        """A symbolic link, or with ``hard`` a hard link."""
        entry = self.entry(name, tarfile.LNKTYPE if hard else tarfile.SYMTYPE, 0o777)
        entry.linkname = target
        self.add(entry)

    def whiteout(self, name: str) -> None:
        """What hides ``name`` of the layers below."""
        folder, _, base = name.rpartition("/")
        self.file(f"{folder}/.wh.{base}" if folder else f".wh.{base}", b"")

    def opaque(self, folder: str) -> None:
        """What hides everything that the layers below have in ``folder``."""
        self.file(f"{folder}/.wh..wh..opq", b"")

    def add(self, entry: tarfile.TarInfo, content: Any = None) -> None:
        """Any entry, well-formed or not."""
        self._tar.addfile(entry, content)

    @staticmethod
    def entry(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
        """The head of an entry, to be changed and added."""
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.mtime = kind, mode, MTIME
        return entry
