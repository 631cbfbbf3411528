"""What system df says is reclaimable is what prune frees."""

from __future__ import annotations

import asyncio

import pytest

from jackstay_agent.errors import SourceFailed
from jackstay_agent.images import removing
from jackstay_agent.metadata import usage
from jackstay_oci.digest import Digest
from tests.unit.agent.images.image_host import ImageHost, Made, tar

A, B, C, D = (tar({name: name.encode() * size}) for name, size in (("a", 9000), ("b", 70000), ("c", 500), ("d", 1)))


async def reclaimable(host: ImageHost) -> int:
    """Of images and of the ingests that broke off."""
    both, blobs, layers = await host.database.read(usage.images)
    assert (both.size, both.reclaimable) == (blobs.size + layers.size, blobs.reclaimable + layers.reclaimable)
    partial = {status.ref: status.offset for status in await host.content.ingests()}
    broken_off = [one.ref for one in await host.database.read(usage.ingests) if not one.active]
    return both.reclaimable + sum(partial[ref] for ref in broken_off)


async def break_off(host: ImageHost, made: Made) -> None:
    """A fetch of *made* whose source fails before its last layer, of which half has come."""
    root = made.root
    missing = Digest(made.manifest["layers"][-1]["digest"])
    del made.blobs[missing]
    with pytest.raises(SourceFailed):
        await host.load(made, root=root)
    ingest = await host.content.ingest(f"blob-{missing}", expected=missing, total=70000)
    await asyncio.to_thread(ingest.write, b"x" * 4000)
    await asyncio.to_thread(ingest.close)


async def test_all_of_it(host: ImageHost) -> None:
    await host.load(used := Made([A, B]), "docker.io/library/used:1")
    await host.load(Made([A, C]), "docker.io/library/unused:1", "docker.io/library/unused:2")
    await host.load(Made([A, B], config={"author": "twin"}), "docker.io/library/twin:1")
    await host.load(Made([D]))
    await host.load(Made([A, B], compress=True), "docker.io/library/again:1")  # the image that is used, packed
    await host.load(Made([A, C], compress=True), "docker.io/library/packed:1")
    await host.container("c", used.root.digest)
    await break_off(host, Made([A, tar({"never": b"came"})]))
    lines = await host.database.read(usage.images)
    assert [(line.type, line.total, line.active) for line in lines] == [
        ("Images", 4, 1),
        ("Blobs", 19, 7),
        ("Layers", 4, 2),
    ]
    said = await reclaimable(host)
    _, freed = await removing.prune(host.database, host.room, all_unused=True)
    assert freed == said > len(C)
    assert await reclaimable(host) == 0
    (both, _, layers) = await host.database.read(usage.images)
    assert (both.total, both.active, layers.total) == (1, 1, 2)


async def test_what_is_on_its_way_is_not_reclaimable(host: ImageHost) -> None:
    async with host.content.lease(fetch=Digest.of(b"root")) as lease:
        await host.content.put(b"a document", lease)
        assert (await host.database.read(usage.images))[1] == usage.DiskUsage("Blobs", 1, 1, 10, 0)
    assert await reclaimable(host) == 10
    assert (await removing.prune(host.database, host.room, all_unused=True))[1] == 10
    async with host.content.lease(fetch=Digest.of(b"root")) as lease:
        await host.content.put(b"a document", lease)
        assert (await removing.prune(host.database, host.room, all_unused=True))[1] == 0


async def test_an_image_that_only_a_container_keeps_takes_space_and_is_none(host: ImageHost) -> None:
    await host.load(made := Made([A]), "docker.io/library/web:1")
    await host.container("c", made.root.digest)
    await removing.remove(host.database, host.collector, "web:1", force=True)
    both, blobs, layers = await host.database.read(usage.images)
    assert (both.total, both.reclaimable, blobs.active, layers.active) == (0, 0, 3, 1)
    await host.end("c")
    assert await reclaimable(host) == both.size
