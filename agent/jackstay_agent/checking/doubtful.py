"""Layers that the host may not have written to the disk before it went down: looked at when the agent starts.

Guarantees: before a container is started and before anything is served, a doubtful layer of an image has the files that
its blob unpacks to, and one of no image is gone. Where that cannot be done (no room, a damaged blob), it is told to the
log, and stays doubtful until a later start; `system check` tells the same. Nearly always there is nothing to do: layers
are written out some seconds after they were unpacked.
"""

from __future__ import annotations

from contextlib import aclosing

import structlog

from jackstay_agent.checking import needs
from jackstay_agent.checking.images import ImageCheck, Layer
from jackstay_agent.checking.layers import LayerCheck
from jackstay_agent.checking.parts import Parts
from jackstay_agent.errors import Error, InUse

_log = structlog.get_logger("layers")


async def settle(parts: Parts) -> None:
    """Look at every doubtful layer, those below first."""
    keys = await parts.snapshotter.doubtful()
    if not keys:
        return
    _log.warning("the host went down before layers were written out, they are looked at again", layers=len(keys))
    images = ImageCheck(parts, repair=False)
    async with aclosing(images.run()) as events:
        async for _ in events:
            pass  # what is wrong with an image is for `system check` to tell
    of_images = {str(layer.chain_id): layer for layer in images.layers.values()}
    check = LayerCheck(parts, images.layers, repair=True)
    for key in (key for key in of_images if key in keys):
        try:
            await _look(parts, check, of_images[key])
        except Error as error:
            _log.error("a layer may be damaged: its files could not be looked at", layer=key, error=error.message)
    for key in reversed([key for key in keys if key not in of_images]):
        await _drop(parts, key)


async def _look(parts: Parts, check: LayerCheck, layer: Layer) -> None:
    """Put the layer right if it is wrong. Raises what `LayerCheck.check` raises."""
    finding = await check.check(layer)
    if finding is None:
        await parts.snapshotter.trust(str(layer.chain_id))
    elif finding.repaired:
        _log.info("a layer was unpacked again", layer=str(layer.chain_id), because=finding.detail)
    else:
        _log.error("a layer is damaged", layer=str(layer.chain_id), because=finding.detail, hint=finding.hint)


async def _drop(parts: Parts, key: str) -> None:
    """Remove a layer that no image has, as a fetch leaves it that broke off; the next one unpacks it again."""
    if await parts.database.read(lambda c: needs.of_layer(c, key)):
        _log.error("a layer may be damaged: its image cannot be read", layer=key, hint="run system check")
        return
    try:
        await parts.snapshotter.remove(key)
    except InUse as error:
        _log.error("a layer may be damaged: it could not be removed", layer=key, error=error.message)
