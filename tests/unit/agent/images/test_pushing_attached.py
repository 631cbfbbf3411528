"""What is attached to an image goes with it into a registry, unless the registry's image has another digest."""

from __future__ import annotations

from typing import Any

import pytest

from jackstay_agent.images import pushing_attached
from jackstay_oci.attached.gathering import Gathered
from jackstay_oci.digest import Digest
from jackstay_oci.errors import Unauthorized
from tests.unit.agent.images.attachments import refer, tag
from tests.unit.agent.images.image_host import ImageHost, Made, tar
from tests.unit.agent.images.memory_registry import MemoryRegistry
from tests.unit.agent.images.test_pulling import NAME, given, pull
from tests.unit.agent.images.test_pushing import push

A = tar({"a": b"a" * 20_000})
TO = "other.example/there:1"


async def signed_and_pulled(host: ImageHost, *, compress: bool = True) -> tuple[Made, MemoryRegistry, list[Digest]]:
    """An image with a signature, a list of parts and what is about that, here from one registry; and another one."""
    made = Made([A], compress=compress)
    registry = given(host, made)
    signature = tag(registry, made.root.digest, b"signature")
    sbom = refer(registry, made.root, b"list of parts")
    deeper = refer(registry, sbom, b"about the list")
    await pull(host)
    host.registries["other.example"] = MemoryRegistry("other.example")
    return made, host.registries["other.example"], [signature.digest, sbom.digest, deeper.digest]


async def test_it_comes_to_be_there_after_the_image_and_a_second_push_sends_nothing(host: ImageHost) -> None:
    made, registry, (signature, sbom, deeper) = await signed_and_pulled(host)
    first, _ = await push(host, to=TO)
    assert first.root.digest == made.root.digest  # what was pulled is pushed as it was
    assert first.warnings == ()
    assert registry.manifests[f"there:sha256-{made.root.digest.hex}.sig"].descriptor.digest == signature
    assert [one.digest for one in await registry.referrers("there", made.root.digest)] == [sbom]
    assert [one.digest for one in await registry.referrers("there", sbom)] == [deeper]
    put = [asked for asked in registry.asked if asked.startswith("PUT")]
    assert put[0] == "PUT there 1"
    assert len(put) == 4
    registry.asked.clear()
    second, _ = await push(host, to=TO)
    assert second.sent == 0
    assert all(asked.startswith(("HEAD", "referrers")) for asked in registry.asked)
    await host.whole()


async def test_where_the_registry_keeps_no_list_it_is_found_by_the_tag(host: ImageHost) -> None:
    made, registry, (_, sbom, _) = await signed_and_pulled(host)
    registry.lists = False
    await push(host, to=TO)
    assert f"there:sha256-{made.root.digest.hex}" in registry.manifests
    assert [one.digest for one in await registry.referrers("there", made.root.digest)] == [sbom]
    assert (await push(host, to=TO))[0].sent == 0


async def test_a_second_host_pulls_it_from_there(host: ImageHost) -> None:
    """What a registry got is what the next one gets."""
    made, _, digests = await signed_and_pulled(host)
    await push(host, to=TO)
    await host.forget()
    await host.collector.collect()
    assert await host.column("SELECT digest FROM artifacts") == []
    await pull(host, TO)
    assert await host.column("SELECT digest FROM artifacts ORDER BY digest") == sorted(map(str, digests))
    assert await host.column("SELECT name FROM artifact_names") == [
        f"other.example/there:sha256-{made.root.digest.hex}.sig"
    ]


async def test_signatures_do_not_follow_an_image_that_got_another_digest(host: ImageHost) -> None:
    made, registry, _ = await signed_and_pulled(host, compress=False)
    pushed, _ = await push(host, to=TO)
    assert pushed.root.digest != made.root.digest
    assert len(pushed.warnings) == 1
    assert "3 documents that are attached" in pushed.warnings[0]
    assert str(pushed.root.digest) in pushed.warnings[0]
    assert list(registry.manifests) == [f"there@{pushed.root.digest}", "there:1"]
    plain, _ = await push(host, to=TO, compression="none")
    assert plain.warnings == ()
    assert f"there:sha256-{made.root.digest.hex}.sig" in registry.manifests


async def test_blobs_are_mounted_from_where_the_image_is(host: ImageHost) -> None:
    made, _, _ = await signed_and_pulled(host)
    registry = host.registries["registry.example"]
    registry.held["app"].update(made.blobs)
    await push(host, to="registry.example/copy:1")
    payload = Digest.of(b"signature")
    assert f"mount copy {payload} app" in registry.asked
    assert not any(asked.startswith("upload") for asked in registry.asked)


async def test_a_registry_that_refuses_it_has_the_image(host: ImageHost) -> None:
    made, registry, _ = await signed_and_pulled(host)
    registry.no_referrers = Unauthorized("other.example says no")
    pushed, _ = await push(host, to=TO)
    assert registry.manifests["there:1"].descriptor == made.root
    assert ["other.example says no" in warning for warning in pushed.warnings] == [True]
    assert f"there:sha256-{made.root.digest.hex}.sig" in registry.manifests


async def test_what_collection_would_take_is_held_while_it_goes(host: ImageHost) -> None:
    _, _, digests = await signed_and_pulled(host)

    class Removing(MemoryRegistry):
        async def put_manifest(self, repository: str, reference: str, document: Any) -> bool:
            if reference == "1":
                await host.forget()
                await host.collector.collect()
            return await super().put_manifest(repository, reference, document)

    registry = host.registries["other.example"] = Removing("other.example")
    pushed, _ = await push(host, to=TO)
    assert pushed.warnings == ()
    assert {f"there@{digest}" for digest in digests} <= set(registry.manifests)
    await host.collector.settle()
    assert await host.column("SELECT digest FROM blobs") == []


async def test_of_two_signatures_under_one_tag_that_of_the_name_goes(
    host: ImageHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, registry, (signature, _, _) = await signed_and_pulled(host)
    source = given(host, made)
    other = tag(source, made.root.digest, b"another signature")
    for key in [key for key in source.manifests if ":" in key]:
        source.manifests[key.replace("app:", "second:")] = source.manifests[key]
    source.manifests[f"second@{made.root.digest}"] = source.manifests["app:1"]
    source.manifests[f"second@{other.digest}"] = source.manifests[f"app@{other.digest}"]
    await pull(host, "registry.example/second:1")
    seen: list[Gathered] = []
    real = pushing_attached.attached_here

    async def noted(*args: Any) -> Gathered:
        seen.append(await real(*args))
        return seen[-1]

    monkeypatch.setattr(pushing_attached, "attached_here", noted)
    registry.asked.clear()
    await push(host, NAME, "registry.example/second:2")
    assert [one.digest for one in seen[0].found if one.offer.kind] == [other.digest]
    assert signature != other.digest
