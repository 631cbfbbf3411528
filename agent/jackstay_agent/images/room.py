"""Making room on a full disk: what is only kept for a later try goes first, then what nothing needs."""

from __future__ import annotations

from collections.abc import Collection

from jackstay_agent.content.store import ContentStore
from jackstay_agent.gc.collect import Collector
from jackstay_oci.digest import Digest


class Room:
    """Makes room."""

    def __init__(self, content: ContentStore, collector: Collector) -> None:
        self._content = content
        self._collector = collector

    async def make(self, *, keep: Collection[str] = (), fetch: Digest | None = None) -> int:
        """Give up fetches that broke off, but the ingests in *keep* and what came for the root *fetch*; then collect.

        How many bytes that freed.
        """
        freed = await self._content.evict(keep=keep, fetch=fetch)
        return freed + (await self._collector.collect()).bytes

    async def collect(self) -> int:
        """Collect what nothing needs, and keep what broken-off fetches left; how many bytes that freed."""
        return (await self._collector.collect()).bytes
