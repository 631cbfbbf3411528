"""What an image leaves behind when another takes its place, or when somebody used it as it was removed. Needs root."""

from __future__ import annotations

from jackstay_agent.images import removing
from jackstay_oci.digest import Digest
from tests.unit.agent.images.image_host import ImageHost, Made, tar

NAME = "docker.io/library/web:1"
LAYER = tar({"a": b"1" * 1000})


async def everything(host: ImageHost) -> list[str]:
    """Every blob and snapshot."""
    return await host.column("SELECT digest FROM blobs UNION ALL SELECT key FROM snapshots")


async def test_the_manifest_of_a_twin_goes_with_it(host: ImageHost) -> None:
    """The same image from another archive: its layer is compressed there, so manifest and layer are other blobs."""
    plain, packed = Made([LAYER]), Made([LAYER], compress=True)
    await host.load(plain, NAME)
    await host.load(packed, NAME)
    assert plain.image_id == packed.image_id
    assert set(await everything(host)) == {*map(str, packed.blobs), str(Digest.of(LAYER))}
    await host.whole()


async def test_what_a_save_held_while_it_was_removed_goes_when_the_save_has_ended(host: ImageHost) -> None:
    await host.load(Made([LAYER]), NAME)
    async with host.images.resolve("web:1"):
        await removing.remove(host.database, host.collector, "web:1", force=False)
        assert len(await everything(host)) == 3
    await host.collector.settle()
    assert await everything(host) == []
    await host.whole()
