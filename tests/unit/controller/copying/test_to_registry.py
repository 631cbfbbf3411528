"""Copies into a registry: nothing that is there is sent, and a plan foresees what is."""

from __future__ import annotations

from pathlib import Path

import pytest

from jackstay.copying.archive_source import ArchiveSource
from jackstay.copying.plan import HostPlan
from jackstay.copying.registry_source import RegistrySource
from jackstay.copying.to_registry import copy_to_registry, plan_registry
from jackstay.errors import InvalidDocument
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
