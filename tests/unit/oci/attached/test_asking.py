"""What a registry is asked for, and what its refusals mean."""

from __future__ import annotations

import pytest

from jackstay_oci.attached.asking import ask_registry
from jackstay_oci.attached.offer import Offer
from jackstay_oci.errors import Error, RegistryFailed, Unauthorized
from jackstay_oci.registry.registry import Document
from tests.unit.agent.images.memory_registry import MemoryRegistry
from tests.unit.oci.attached.attachments import IMAGE, attached


def registry_with(*kinds: str, lists: bool = True) -> MemoryRegistry:
    """A registry in which things of these kinds are attached to the image: by tags, or "" by its subject."""
    registry = MemoryRegistry(lists=lists)
    for kind in kinds:
        one = attached(f"of kind {kind}".encode(), kind=kind)
        document = Document(one.offer.document, one.data)
        registry.manifests[f"app:{one.offer.tag}" if kind else f"app@{one.digest}"] = document
    return registry


def offers(*kinds: str) -> list[Offer]:
    return [attached(f"of kind {kind}".encode(), kind=kind).offer for kind in kinds]


async def test_where_there_is_nothing_two_questions_are_asked() -> None:
    registry = registry_with()
    assert not (await ask_registry(registry, "app", IMAGE)).offers
    assert registry.asked == [f"referrers app {IMAGE}", f"HEAD app sha256-{IMAGE.hex}.sig"]


async def test_where_there_is_something_the_other_tags_are_asked_for() -> None:
    answer = await ask_registry(registry_with("sbom", "att", "sig"), "app", IMAGE)
    assert list(answer.offers) == offers("sig", "att", "sbom")
    answer = await ask_registry(registry_with("", "att"), "app", IMAGE)
    assert list(answer.offers) == offers("", "att")
    assert not answer.failures


@pytest.mark.parametrize("kind", [RegistryFailed, Unauthorized])
async def test_a_failure_is_told_and_the_other_way_is_gone(kind: type[Error]) -> None:
    registry = registry_with("sig")
    registry.no_referrers = kind("registry.example says no")
    answer = await ask_registry(registry, "app", IMAGE)
    assert list(answer.offers) == offers("sig")
    assert [failure.message for failure in answer.failures] == ["registry.example says no"]
