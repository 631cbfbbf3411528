"""Putting what is attached into a registry: sent once, listed in both ways, and nothing that is there taken away."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from jackstay_oci import media_types
from jackstay_oci.attached.offer import Attached
from jackstay_oci.attached.putting import MAX_LISTED, Place, Put, extended, plan_attached, put_attached
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.errors import InvalidDocument, LimitExceeded
from jackstay_oci.registry.pushing import Step
from jackstay_oci.registry.registry import Document
from tests.unit.agent.images.memory_registry import MemoryRegistry
from tests.unit.oci.attached.attachments import IMAGE, attached

CONTENT = {Digest.of(data): data for data in (b"{}", b"one", b"two", b"three")}
FALLBACK = f"app:sha256-{IMAGE.hex}"


class Reader:
    async def read(self, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        yield CONTENT[digest][offset : offset + length]


async def put(registry: MemoryRegistry, *some: Attached, **more: Any) -> Put:
    steps: list[Step] = []
    return await put_attached(Place(registry, "app", Reader(), steps.append, **more), some)


async def plan(registry: MemoryRegistry, *some: Attached) -> Put:
    return await plan_attached(Place(registry, "app", Reader(), lambda step: None), some)


def signature(*content: bytes) -> Attached:
    layers = [{"mediaType": "x/y", "digest": Digest.of(data), "size": len(data)} for data in content]
    return attached(b"", kind="sig", layers=layers)


@pytest.mark.parametrize("lists", [True, False])
async def test_a_second_time_nothing_is_sent_nor_asked_blob_by_blob(lists: bool) -> None:
    registry = MemoryRegistry(lists=lists)
    some = [attached(b"one"), attached(b"two", kind="sig")]
    planned = await plan(registry, *some)
    assert not [asked for asked in registry.asked if asked.startswith(("PUT", "upload", "mount"))]
    first = await put(registry, *some)
    assert planned.sent == first.sent - (len(registry.manifests[FALLBACK].data) if not lists else 0)
    assert first.sent >= sum(len(one.data) for one in some) + 3 + 3 + 2
    assert first.warnings == []
    assert [one.digest for one in await registry.referrers("app", IMAGE)] == [some[0].digest]
    assert registry.manifests[f"app:{some[1].offer.tag}"].data == some[1].data
    registry.asked.clear()
    second = await put(registry, *some)
    assert second.sent == 0
    assert registry.asked == [f"referrers app {IMAGE}", f"HEAD app {some[1].offer.tag}"]


async def test_a_registry_that_lists_referrers_gets_no_index_of_them() -> None:
    registry = MemoryRegistry()
    await put(registry, attached(b"one"))
    assert FALLBACK not in registry.manifests


async def test_the_index_of_others_is_extended() -> None:
    registry = MemoryRegistry(lists=False)
    entry = {"mediaType": "x/y", "digest": Digest.of(b"theirs"), "size": 6, "unknown": "field"}
    index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [entry], "other": 1}
    registry.manifests[FALLBACK] = document(index)
    registry.manifests[f"app@{Digest.of(b'theirs')}"] = registry.manifests[FALLBACK]
    one = attached(b"one", annotations={"a": "b"})
    await put(registry, one)
    now = json.loads(registry.manifests[FALLBACK].data)
    mine = {
        "mediaType": media_types.OCI_MANIFEST,
        "digest": str(one.digest),
        "size": len(one.data),
        "artifactType": "application/spdx+json",
        "annotations": {"a": "b"},
    }
    assert now == {**index, "manifests": [entry, mine]}


async def test_a_signature_that_was_added_takes_the_place_of_fewer_but_not_of_others() -> None:
    registry = MemoryRegistry()
    await put(registry, signature(b"one"))
    both = signature(b"one", b"two")
    assert (await put(registry, both)).warnings == []
    assert registry.manifests[f"app:{both.offer.tag}"].data == both.data
    told = await put(registry, signature(b"one", b"three"))
    assert len(told.warnings) == 1
    assert both.offer.tag in told.warnings[0]
    assert registry.manifests[f"app:{both.offer.tag}"].data == both.data


async def test_a_blob_of_another_repository_is_mounted() -> None:
    registry = MemoryRegistry()
    registry.held["other"] = {Digest.of(b"one")}
    await put(registry, attached(b"one"), sources={Digest.of(b"one"): ("other",)})
    assert f"mount app {Digest.of(b'one')} other" in registry.asked
    assert f"upload app {Digest.of(b'one')}" not in registry.asked


async def test_what_is_refused_is_told_and_the_rest_is_put() -> None:
    registry = MemoryRegistry(lists=False)
    registry.manifests[FALLBACK] = document(
        {"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "config": attached_config(), "layers": []}
    )
    put_now = await put(registry, attached(b"one"), attached(b"two", kind="sig"))
    assert len(put_now.warnings) == 1
    assert "is no index of referrers" in put_now.warnings[0]
    assert f"app:sha256-{IMAGE.hex}.sig" in registry.manifests


def test_an_index_that_is_none_or_too_long_is_not_extended() -> None:
    manifest = {"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "config": attached_config(), "layers": []}
    with pytest.raises(InvalidDocument, match="no index"):
        extended(document(manifest), [attached(b"one")], "app:tag")
    entry = {"mediaType": "x/y", "digest": Digest.of(b""), "size": 0}
    full = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [entry] * MAX_LISTED}
    with pytest.raises(LimitExceeded, match="app:tag"):
        extended(document(full), [attached(b"one")], "app:tag")


def attached_config() -> dict[str, Any]:
    return {"mediaType": media_types.OCI_EMPTY, "digest": Digest.of(b"{}"), "size": 2}


def document(content: dict[str, Any]) -> Document:
    data = json.dumps(content).encode()
    return Document(Descriptor(media_type=content["mediaType"], digest=Digest.of(data), size=len(data)), data)
