"""Images of several platforms: which manifest is unpacked, what is kept beside it, and what a wrong wish is told."""

from __future__ import annotations

import pytest

from jackstay_agent.errors import LimitExceeded, Unsupported
from jackstay_agent.images import documents
from jackstay_agent.images.documents import Target
from jackstay_agent.images.receiving import Received
from jackstay_oci import media_types, platforms
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from tests.unit.agent.images.image_host import ImageHost, Made, Memory, descriptor, platform, tar

NAME = "docker.io/library/web:1"
HERE, RISCV, S390 = platform(), {"os": "linux", "architecture": "riscv64"}, {"os": "linux", "architecture": "s390x"}


class Multi:
    """An index of one image a platform, each with a layer that only it has and one that all have."""

    def __init__(self, *offered: dict[str, str]) -> None:
        shared = tar({"shared": b"s" * 70_000})
        self.images = [Made([shared, tar({one["architecture"]: b"x" * 80_000})], config=one) for one in offered]
        self.roots = [made.root for made in self.images]
        self.blobs = {digest: data for made in self.images for digest, data in made.blobs.items()}
        entries = [
            descriptor(media_types.OCI_MANIFEST, b"") | {"digest": str(root.digest), "size": root.size, "platform": one}
            for root, one in zip(self.roots, offered, strict=True)
        ]
        index = Made([])
        self.root: Descriptor = index.index(*entries)
        self.blobs[self.root.digest] = index.blobs[self.root.digest]
        self.source = Memory(self.blobs)

    async def load(
        self, host: ImageHost, wanted: str = "", *, every: bool = False, held: list[int] | None = None
    ) -> Received:
        manifests = frozenset(self.roots[number].digest for number in held or [])
        target = Target(
            self.root, (NAME,), platforms.parse(wanted) if wanted else None, all_platforms=every, manifests=manifests
        )
        return await host.receiver.receive(target, [self.source], host.steps.append)


async def test_the_platform_that_is_asked_for_is_unpacked_and_the_last_one_asked_for_counts(host: ImageHost) -> None:
    multi = Multi(HERE, RISCV, S390)
    await multi.load(host)
    assert (await host.images.find("web:1")).manifest == multi.roots[0].digest
    assert not await host.content.has(multi.roots[1].digest)
    received = await multi.load(host, "linux/riscv64")
    assert received.changed
    image = await host.images.find("web:1")
    assert (image.manifest, str(image.image_id)) == (multi.roots[1].digest, multi.images[1].image_id)
    assert image.chain_id in await host.column("SELECT key FROM snapshots")
    assert not (await multi.load(host, "riscv64")).changed
    await host.whole()


async def test_all_platforms_are_kept_whole_and_one_is_unpacked(host: ImageHost) -> None:
    multi = Multi(HERE, RISCV, S390)
    received = await multi.load(host, every=True)
    assert received.sent == sum(map(len, multi.blobs.values()))
    await host.collector.collect()
    for digest in multi.blobs:
        assert await host.content.has(digest), digest
    assert await host.column("SELECT COUNT(*) FROM snapshots") == [2]
    await host.forget()
    await host.collector.collect()
    assert await host.column("SELECT digest FROM blobs") == []
    await host.whole()


async def test_of_a_part_of_an_index_only_what_the_source_has_counts(host: ImageHost) -> None:
    multi = Multi(HERE, RISCV, S390)
    for root in multi.roots[:2]:
        del multi.blobs[root.digest]
    with pytest.raises(Unsupported, match="no manifest for") as caught:
        await multi.load(host, held=[2])
    assert caught.value.hint == "it is for linux/s390x"
    await multi.load(host, "s390x", every=True, held=[2])
    assert (await host.images.find("web:1")).manifest == multi.roots[2].digest
    await host.whole()


async def test_a_platform_that_there_is_not_is_told_with_those_there_are(host: ImageHost) -> None:
    multi = Multi(HERE, RISCV)
    with pytest.raises(Unsupported, match=r"^image web:1 has no manifest for linux/arm/v7$") as caught:
        await multi.load(host, "linux/arm/v7")
    assert "linux/riscv64" in caught.value.hint
    made = Made([])
    target = Target(made.root, (NAME,), platforms.parse("linux/riscv64"))
    with pytest.raises(Unsupported, match=r"^image web:1 is not for linux/riscv64$"):
        await host.receiver.receive(target, [Memory(made.blobs)], host.steps.append)
    assert await host.column("SELECT root FROM images") == []


async def test_an_index_of_too_many_manifests_is_refused(host: ImageHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MANIFESTS", 2)
    multi = Multi(HERE, RISCV, S390)
    with pytest.raises(LimitExceeded, match="names 3 manifests"):
        await multi.load(host, every=True)
    await multi.load(host)
    assert await host.content.has(Digest.parse(multi.images[0].image_id))
