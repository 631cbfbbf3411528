"""Sources: anything that gives ranges of blobs. The protocol; implementations are `archive` here and those in
`rpc.sources`, handed in by whoever calls. One contract suite runs on all of them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from jackstay_oci.digest import Digest


class Source(Protocol):
    """Gives ranges of blobs. What it gives is not trusted: the receiver hashes."""

    name: str  # for errors and events: "web1", "images.tar"

    def read(self, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes | bytearray, None]:
        """The bytes of *digest* from *offset*, exactly *length* of them, in pieces of at most 1 MiB.

        May wait for bytes that the source itself is still receiving. Raises `SourceFailed` when it cannot give them,
        also in the middle; the next source then goes on where it stopped.
        """
        ...

    def distrust(self, digest: Digest) -> bool:
        """What it gave of *digest* proved wrong. Whether to ask it again: it has other places to get the bytes from."""
        ...
