"""The whole check of one agent's state: database, blobs, images, containers, secrets, leftovers, layers, in that
order.

Guarantees: without *repair* nothing is changed but for what is made to compare with and removed again; with it nothing
is removed that an image or a container needs and that is good. Runs beside everything else; one check at a time. When
the caller goes away, it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from jackstay_agent.checking.blobs import BlobCheck
from jackstay_agent.checking.containers import ContainerCheck
from jackstay_agent.checking.database import DatabaseCheck
from jackstay_agent.checking.findings import Done, Event, Finding
from jackstay_agent.checking.images import ImageCheck
from jackstay_agent.checking.layers import LayerCheck
from jackstay_agent.checking.leftovers import LeftoverCheck
from jackstay_agent.checking.parts import Parts
from jackstay_agent.checking.secrets import SecretCheck


class Checker:
    """Checks."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._turn = asyncio.Lock()

    async def check(self, *, repair: bool = False) -> AsyncGenerator[Event, None]:
        """Look at everything; findings and steps as they come, `Done` last.

        Raises `DiskFull` after everything else when some layers could not be compared.
        """
        async with self._turn:
            found = repaired = 0
            blobs = BlobCheck(self._parts, repair=repair)
            images = ImageCheck(self._parts, repair=repair)
            layers = LayerCheck(self._parts, images.layers, repair=repair)
            leftovers = LeftoverCheck(self._parts, repair=repair)
            for part in (
                DatabaseCheck(self._parts, repair=repair).run(),
                blobs.run(),
                images.run(),
                ContainerCheck(self._parts).run(),
                SecretCheck(self._parts, repair=repair).run(),
                leftovers.run(),
                layers.run(),
            ):
                async with aclosing(part) as events:
                    async for event in events:
                        if isinstance(event, Finding):
                            found += 1
                            repaired += event.repaired
                        yield event
            yield Done(blobs.count, layers.count, images.count, blobs.bytes, found, repaired)
