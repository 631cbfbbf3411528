"""What is told of one blob on its way to whoever reads along, if anybody does.

Guarantees that it is one story whatever sources the blob comes from, that it ends well only with the right digest, and
that it breaks off when what came was not the blob.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from jackstay_agent.content.store import ContentStore
from jackstay_agent.kernel.threads import acquire
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.growing import Growth
from jackstay_oci.store.ingest import Ingest

Begun = Callable[[Growth], object]
"""Called once when bytes of a blob begin to come. Whoever is called closes the reader's end of the growth."""


class Told:
    """Tells of *blob*; *begun* is who reads along."""

    def __init__(self, begun: Begun | None, blob: Descriptor) -> None:
        self._begun = begun
        self._blob = blob
        self._growth: Growth | None = None

    async def begin(self, content: ContentStore, ingest: Ingest) -> None:
        """Let the reader know of *ingest*, the first time; and how far it is."""
        begun, self._begun = self._begun, None
        if begun is not None and ingest.offset < self._blob.size:
            data = await acquire(content.blobs.open_ingest, os.close, ingest.ref)
            self._growth = Growth(data, self._blob.size)
            begun(self._growth)
        self.grown(ingest.offset)

    def grown(self, offset: int) -> None:
        """So many bytes are written."""
        if self._growth is not None:
            self._growth.grown(offset)

    def whole(self, digest: Digest) -> None:
        """All bytes are written, and their digest is *digest*; the reader hears of it if it is the right one."""
        if self._growth is not None and digest == self._blob.digest:
            self._growth.whole(digest)

    def stop(self) -> None:
        """The reader hears no more."""
        if self._growth is not None:
            self._growth.stop()
            self._growth = None
