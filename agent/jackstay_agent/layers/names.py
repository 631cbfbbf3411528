"""Names in layers: what an entry's name means, and which names are whiteouts (image-spec, layer.md). Pure.

Guarantees that what `parse` lets through has no ``..``, and that no file is ever made whose name reads as a whiteout.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from jackstay_agent.errors import InvalidArchive

PREFIX = b".wh."
OPAQUE_MARKER = b".wh..wh..opq"
_AUFS = b".wh..wh."  # the marker begins so too; the others are bookkeeping of aufs, which old images carry


class Meaning(Enum):
    """What an entry's name asks for."""

    ENTRY = "entry"
    WHITEOUT = "whiteout"
    OPAQUE = "opaque"
    NOTHING = "nothing"


@dataclass(slots=True)
class Name:
    """A name taken apart: *base* in the folder *parent* (b"" for the root). The root itself has an empty *base*.

    For a whiteout *base* is what it hides; for an opaque marker it is empty and *parent* is the folder.
    """

    meaning: Meaning
    parent: bytes
    base: bytes


def parse(name: bytes) -> Name:
    """Take an entry's *name* apart; a leading ``/`` and ``./`` do not count. Raises `InvalidArchive`."""
    parent, base = split(name)
    if PREFIX not in name:
        return Name(Meaning.ENTRY, parent, base)
    parts = parent.split(b"/")
    if any(part.startswith(_AUFS) for part in parts):
        return Name(Meaning.NOTHING, parent, base)
    if any(part.startswith(PREFIX) for part in parts):
        raise InvalidArchive(f"the layer has an entry {shown(name)} below a whiteout")
    if base == OPAQUE_MARKER:
        return Name(Meaning.OPAQUE, parent, b"")
    if base.startswith(_AUFS) and len(base) > len(_AUFS) and base != b".wh..wh..":
        return Name(Meaning.NOTHING, parent, base)
    if not base.startswith(PREFIX):
        return Name(Meaning.ENTRY, parent, base)
    hidden = base[len(PREFIX) :]
    if hidden in (b"", b".", b"..") or hidden.startswith(PREFIX):
        raise InvalidArchive(f"the layer has a whiteout {shown(name)} that names nothing")
    return Name(Meaning.WHITEOUT, parent, hidden)


def split(name: bytes) -> tuple[bytes, bytes]:
    """The parent and the last part of *name*, cleaned; both empty for the root. Raises `InvalidArchive` for ``..``."""
    parts = [part for part in name.split(b"/") if part and part != b"."]
    if b".." in parts:
        raise InvalidArchive(
            f"the layer has an entry {shown(name)} that leads out of its folder", hint="do not trust this image"
        )
    if not parts:
        return b"", b""
    base = parts.pop()
    return b"/".join(parts), base


def whiteout_of(base: bytes) -> bytes:
    """The name of the whiteout that hides *base*."""
    return PREFIX + base


def shown(name: bytes) -> str:
    """*name* for a message: one line, printable, not endless."""
    return repr(name[:200].decode("utf-8", "backslashreplace"))
