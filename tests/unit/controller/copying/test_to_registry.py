"""Copies into a registry: nothing that is there is sent, and a plan foresees what is."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from jackstay.copying import attached
from jackstay.copying.archive_source import ArchiveSource
from jackstay.copying.plan import HostPlan
from jackstay.copying.platform_choice import alone
from jackstay.copying.registry_source import RegistrySource
from jackstay.copying.to_registry import copy_to_registry, plan_registry
from jackstay.errors import InvalidDocument
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.reference import Reference
from jackstay_oci.registry.pushing import Step
from tests.unit.controller.copying.memory_registry import MemoryRegistry
from tests.unit.controller.oci_archive import make_archive

LAYER = b"layer" * 1000


@pytest.fixture
def registry() -> MemoryRegistry:
    """``multi:1`` for two platforms."""
    registry = MemoryRegistry()
    children = {name: registry.put("multi", [LAYER, name.encode()], architecture=name) for name in ("amd64", "arm64")}
    registry.index("multi", "1", children)
    return registry


async def copied(source: RegistrySource | ArchiveSource, name: str, to: MemoryRegistry, reference: str) -> HostPlan:
    """Copy as the plan says it."""
    (image,) = await source.images([name] if name else [])
    destination = Reference.parse(reference)
    plan = await plan_registry(source, image, to, destination)
    to.asked.clear()
    steps: list[Step] = []
    done = await copy_to_registry(source, image, to, destination, steps.append)
    assert done == plan
    return done


async def test_from_one_registry_to_another_with_the_whole_index(registry: MemoryRegistry) -> None:
    other = MemoryRegistry("other.example")
    source = RegistrySource(registry)
    done = await copied(source, "registry.example/multi:1", other, "other.example/copy/multi:2")
    assert done.image == "other.example/copy/multi:2"
    assert other.manifests["copy/multi"]["2"] == registry.manifests["multi"]["1"]
    assert other.blobs["copy/multi"] == registry.blobs["multi"]
    assert done.bytes_sent == sum(map(len, registry.blobs["multi"].values())) + sum(
        len(document.data) for name, document in registry.manifests["multi"].items() if name != "1"
    )
    assert (done.sources[0].name, done.sources[0].via) == ("registry.example", "relay")
    again = await copied(source, "registry.example/multi:1", other, "other.example/copy/multi:2")
    assert (again.bytes_sent, again.sources, other.asked) == (0, (), [])


@pytest.mark.parametrize("mounts", [True, False])
async def test_within_one_registry_blobs_are_mounted(registry: MemoryRegistry, mounts: bool) -> None:
    source = RegistrySource(registry)
    (image,) = await source.images(["registry.example/multi:1"])
    registry.mounts = mounts
    done = await copy_to_registry(
        source, image, registry, Reference.parse("registry.example/twin:1"), lambda step: None
    )
    assert registry.blobs["twin"] == registry.blobs["multi"]
    documents = sum(len(one.data) for name, one in registry.manifests["multi"].items() if name != "1")
    blobs = sum(map(len, registry.blobs["multi"].values()))
    assert (done.bytes_sent, done.bytes_spared) == ((documents, blobs) if mounts else (documents + blobs, 0))
    assert any(line.startswith("blob") for line in registry.asked) == (not mounts)


async def test_from_an_archive(tmp_path: Path) -> None:
    registry = MemoryRegistry()
    path = make_archive(tmp_path / "app.tar", {"app:1": LAYER})
    source = await ArchiveSource.open(str(path), "app.tar", {"HOME": str(tmp_path)})
    try:
        done = await copied(source, "", registry, "registry.example/app")
    finally:
        await source.close()
    assert done.image == "registry.example/app:latest"
    assert LAYER in registry.blobs["app"].values()
    assert registry.manifests["app"]["latest"].descriptor.digest == done.digest


async def test_a_part_of_an_index_is_refused_before_anything_is_sent(registry: MemoryRegistry) -> None:
    source = RegistrySource(registry)
    (image,) = await source.images(["registry.example/multi:1"])
    del registry.manifests["multi"][image.manifests[1]]
    source = RegistrySource(registry)
    (part,) = await source.images(["registry.example/multi:1"])
    other = MemoryRegistry("other.example")
    with pytest.raises(InvalidDocument, match="1 of 2 manifests") as error:
        await copy_to_registry(source, part, other, Reference.parse("other.example/x:1"), lambda step: None)
    assert "--platform" in error.value.hint
    assert other.asked == []


async def test_what_is_attached_goes_along_and_a_second_time_nothing_does(registry: MemoryRegistry) -> None:
    root = registry.manifests["multi"]["1"].descriptor
    signature = registry.attach("multi", root, b"signature", "sig")
    sbom = registry.attach("multi", platform_of(registry, "arm64"), b"list of parts")
    other = MemoryRegistry("other.example")
    source = RegistrySource(registry)
    done = await copied(source, "registry.example/multi:1", other, "other.example/copy:2")
    assert other.manifests["copy"][f"sha256-{root.digest.hex}.sig"].descriptor == signature
    assert str(sbom.digest) in other.manifests["copy"]
    assert other.blobs["copy"] == registry.blobs["multi"]
    assert done.warnings == ()
    again = await copied(source, "registry.example/multi:1", other, "other.example/copy:2")
    assert (again.bytes_sent, other.asked) == (0, [])


async def test_of_one_platform_goes_what_is_attached_to_that(registry: MemoryRegistry) -> None:
    registry.attach("multi", registry.manifests["multi"]["1"].descriptor, b"signature", "sig")
    arm = platform_of(registry, "arm64")
    mine = registry.attach("multi", arm, b"about arm64")
    registry.attach("multi", platform_of(registry, "amd64"), b"about amd64")
    other = MemoryRegistry("other.example")
    source = RegistrySource(registry)
    (image,) = await source.images(["registry.example/multi:1"])
    chosen = await alone(source, image.wanting("linux/arm64"))
    await copy_to_registry(source, chosen, other, Reference.parse("other.example/copy:1"), lambda step: None)
    assert set(other.manifests["copy"]) == {"1", str(arm.digest), str(mine.digest)}


async def test_what_cannot_be_had_is_told_and_the_image_is_there(registry: MemoryRegistry) -> None:
    root = registry.manifests["multi"]["1"].descriptor
    registry.attach("multi", root, b"signature", "sig")
    gone = registry.attach("multi", root, b"gone")
    registry.manifests["multi"][str(gone.digest)] = registry.manifests["multi"][str(root.digest)]
    registry.offered[str(root.digest)] = [gone]
    other = MemoryRegistry("other.example")
    source = RegistrySource(registry)
    (image,) = await source.images(["registry.example/multi:1"])
    assert [one.kind for one in image.attached] == ["sig"]
    done = await copy_to_registry(source, image, other, Reference.parse("other.example/copy:1"), lambda step: None)
    assert len(done.warnings) == 1
    assert str(gone.digest) in done.warnings[0]
    assert "1" in other.manifests["copy"]


async def test_a_registry_that_does_not_answer_is_not_waited_for(
    registry: MemoryRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attached, "GRACE", 0.01)

    async def silent(repository: str, digest: Digest) -> list[Descriptor]:
        await asyncio.Event().wait()
        return []

    registry.referrers = silent  # type: ignore[method-assign]
    (image,) = await RegistrySource(registry).images(["registry.example/multi:1"])
    assert image.attached == ()
    assert "did not tell within" in image.warnings[0]


def platform_of(registry: MemoryRegistry, architecture: str) -> Descriptor:
    index = json.loads(registry.manifests["multi"]["1"].data)
    (entry,) = [one for one in index["manifests"] if one["platform"]["architecture"] == architecture]
    return registry.manifests["multi"][entry["digest"]].descriptor
