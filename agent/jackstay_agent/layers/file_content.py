"""The content of a file that a container may change meanwhile, on its way into a tar.

Guarantees: a tar entry gets as many bytes as its header says, or the tar is given up. Leaves to its user: opening the
file without following anything.
"""

from __future__ import annotations

import os

from jackstay_agent.errors import Busy
from jackstay_agent.layers import names
from jackstay_oci.tar.entries import Entry


class FileContent:
    """The content of *descriptor*, *size* bytes for *entry*, which must not become shorter than it was."""

    def __init__(self, descriptor: int, entry: Entry, size: int) -> None:
        self._descriptor = descriptor
        self._entry = entry
        self._left = size

    def read(self, size: int, /) -> bytes:
        """At most *size* bytes of it. Raises `Busy` when it ends early."""
        data = os.read(self._descriptor, size)
        if not data and self._left:
            raise changed(self._entry)
        self._left -= len(data)
        return data


def changed(entry: Entry) -> Busy:
    """The error for a file that is another one, or shorter, than it was."""
    return Busy(f"file {names.shown(entry.name)} changed while it was read", hint="pause or stop the container first")
