"""An archive or OCI folder on this host as a source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from jackstay_agent.errors import Error, SourceFailed
from jackstay_oci.archives.archive import Archive
from jackstay_oci.digest import Digest

_PIECE = 1 << 20


class ArchiveSource:
    """Implements `source.Source` over an open archive, which stays the caller's to close."""

    def __init__(self, archive: Archive, name: str) -> None:
        self.name = name
        self._archive = archive

    async def read(self, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes | bytearray, None]:
        """See `source.Source.read`."""
        end = offset + length
        while offset < end:
            try:
                piece = await asyncio.to_thread(self._archive.read, digest, offset, min(_PIECE, end - offset))
            except (Error, OSError) as error:
                raise SourceFailed(f"{self.name}: {error}") from error
            if not piece:
                raise SourceFailed(f"{self.name}: {digest} ends at byte {offset}, {end} were announced")
            offset += len(piece)
            yield piece

    def distrust(self, digest: Digest) -> bool:
        """See `source.Source.distrust`: there is only this archive."""
        return False
