"""Pulling: what is asked of the registry, what comes, and what is told when it does not."""

from __future__ import annotations

from typing import Any

import pytest

from jackstay_agent.errors import (
    DigestMismatch,
    Error,
    InvalidReference,
    NotFound,
    RateLimited,
    RegistryFailed,
    SourceFailed,
    Unauthorized,
    Unsupported,
)
from jackstay_agent.images.pulling import Pulled
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from tests.unit.agent.images.image_host import ImageHost, Made, descriptor, tar
from tests.unit.agent.images.memory_registry import MemoryRegistry

A, B = tar({"a": b"a" * 200_000}), tar({"b": b"b"})
NAME = "registry.example/app:1"
NOBODY: Any = None


def given(host: ImageHost, made: Made, tag: str = "1") -> MemoryRegistry:
    """A registry that has *made* as app:*tag*."""
    registry = host.registries.setdefault("registry.example", MemoryRegistry())
    registry.put("app", tag, made.root, made.blobs)
    return registry


async def pull(host: ImageHost, name: str = NAME, **options: Any) -> Pulled:
    return await host.puller.pull(name, NOBODY, host.steps.append, **options)


async def test_each_thing_is_asked_for_once_and_a_second_pull_costs_three_questions(host: ImageHost) -> None:
    made = Made([A, B], compress=True)
    registry = given(host, made)
    first = await pull(host)
    whole = made.root.size + len(made.config_bytes) + sum(layer["size"] for layer in made.manifest["layers"])
    assert (first.received.changed, first.received.sent, first.given) == (True, whole, {"registry.example": whole})
    assert registry.asked[0] == "GET app 1"
    about = [f"referrers app {made.root.digest}", f"HEAD app sha256-{made.root.digest.hex}.sig"]
    assert len(registry.asked) == len(set(registry.asked)) == 4 + len(about)
    registry.asked.clear()
    again = await pull(host)
    assert (again.received.changed, again.received.sent, again.given) == (False, 0, {})
    assert registry.asked == ["HEAD app 1", *about]
    assert registry.closed == 2
    image = await host.images.find("registry.example/app:1")
    assert image.names == (NAME,)
    await host.whole()


async def test_a_name_that_means_another_image_now_brings_what_is_lacking(host: ImageHost) -> None:
    registry = given(host, Made([A]))
    await pull(host)
    newer = Made([A, B])
    given(host, newer)
    registry.asked.clear()
    pulled = await pull(host)
    assert (pulled.received.changed, str(pulled.received.image_id)) == (True, newer.image_id)
    assert registry.asked[:2] == ["HEAD app 1", "GET app 1"]
    assert str(Digest.of(A)) not in " ".join(registry.asked)


async def test_by_digest_there_is_nothing_to_ask_once_it_is_here(host: ImageHost) -> None:
    made = Made([A])
    registry = given(host, made)
    by_digest = f"registry.example/app@{made.root.digest}"
    assert (await pull(host, f"registry.example/app:1@{made.root.digest}")).received.target.names == (by_digest,)
    assert registry.asked[0] == f"GET app {made.root.digest}"
    registry.asked.clear()
    assert not (await pull(host, by_digest)).received.changed
    assert registry.asked == []
    assert (await host.images.find(by_digest)).names == (by_digest,)


async def test_of_an_index_the_host_s_manifest_comes_and_with_all_platforms_every_one(host: ImageHost) -> None:
    made, other = Made([A]), Made([B], config={"architecture": "s390x", "variant": ""})
    here = {"architecture": made.config["architecture"], "os": "linux"}
    entries = [
        descriptor(media_types.OCI_MANIFEST, made.blobs[made.root.digest], platform=here),
        descriptor(
            media_types.OCI_MANIFEST, other.blobs[other.root.digest], platform={"architecture": "s390x", "os": "linux"}
        ),
    ]
    index = made.index(*entries)
    registry = host.registries["registry.example"] = MemoryRegistry()
    for each in (made, other):
        registry.put("app", "one", each.root, dict(each.blobs))
    registry.put("app", "1", index, {index.digest: made.blobs[index.digest]})
    for digest in (made.root.digest, other.root.digest):
        registry.blobs.pop(digest, None)  # manifests are asked for as such
    registry.asked.clear()
    await pull(host)
    assert registry.asked[:2] == ["GET app 1", f"GET app {made.root.digest}"]
    assert not any(str(other.root.digest) in question for question in registry.asked)
    assert not (await pull(host)).received.changed
    await pull(host, all_platforms=True)
    assert f"GET app {other.root.digest}" in registry.asked
    assert (await pull(host, platform="linux/s390x")).received.image_id == Digest.of(other.config_bytes)
    with pytest.raises(Unsupported, match="no manifest for linux/riscv64"):
        await pull(host, platform="linux/riscv64")
    await host.whole()


@pytest.mark.parametrize("kind", [Unauthorized, RateLimited, RegistryFailed, NotFound])
async def test_what_the_registry_says_is_what_is_told(host: ImageHost, kind: type[Error]) -> None:
    registry = given(host, Made([A]))
    registry.failing = kind("registry.example says no", hint="do something")
    with pytest.raises(kind, match="says no"):
        await pull(host)
    assert registry.closed == 1


async def test_a_blob_that_breaks_off_is_told_in_the_registry_s_words_and_goes_on_later(host: ImageHost) -> None:
    made = Made([A])
    registry = given(host, made)
    registry.breaks_after = 1 << 16
    with pytest.raises(RegistryFailed, match="broke") as raised:
        await pull(host)
    assert not isinstance(raised.value, SourceFailed)
    registry.breaks_after = None
    registry.asked.clear()
    await pull(host)
    layer = Digest.of(A)
    assert f"blob {layer} {1 << 16}+{len(A) - (1 << 16)}" in registry.asked
    await host.whole()


async def test_a_blob_of_other_bytes_is_not_kept(host: ImageHost) -> None:
    made = Made([A])
    registry = given(host, made)
    registry.blobs[Digest.of(A)] = b"x" * len(A)
    with pytest.raises(DigestMismatch):
        await pull(host)
    await host.collector.settle()
    await host.whole()


async def test_a_manifest_damaged_on_the_disk_is_taken_anew(host: ImageHost) -> None:
    made = Made([A])
    registry = given(host, made)
    await pull(host)
    path = next(host.root.glob(f"content/blobs/sha256/{made.root.digest.hex}"))
    path.chmod(0o600)
    path.write_bytes(b"{" + path.read_bytes()[1:-1] + b"!")
    registry.asked.clear()
    await pull(host)
    assert registry.asked[0] == "GET app 1"
    assert path.read_bytes() == registry.manifests["app:1"].data


async def test_names_that_no_image_may_have(host: ImageHost) -> None:
    with pytest.raises(InvalidReference):
        await pull(host, "docker.io/library/sha256:1")


async def test_the_event_is_a_pull(host: ImageHost) -> None:
    told: list[tuple[str, str, str]] = []
    host.receiver.record = lambda kind, action, _id, attributes, *_: told.append((kind, action, attributes["name"]))
    given(host, Made([A]))
    await pull(host)
    assert told == [("image", "pull", "registry.example/app:1")]
