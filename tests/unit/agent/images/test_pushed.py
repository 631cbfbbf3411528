"""By which digests an image is known after its layers were compressed for a push: shown, found, gone with its names."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jackstay_agent.errors import NotFound
from jackstay_agent.images import removing
from jackstay_agent.images.listing import list_images
from jackstay_agent.images.pulling import Pulled
from jackstay_agent.images.removing import Removed
from jackstay_oci.digest import Digest
from tests.unit.agent.images.image_host import ImageHost, Made, tar
from tests.unit.agent.images.memory_registry import MemoryRegistry
from tests.unit.agent.images.test_pushing import load_index, own, several

A, B = tar({"a": b"a" * 200_000}), tar({"b": b"b"})
NAME = "registry.example/app:1"
OTHER = "registry.example/team/app:1"


async def push(host: ImageHost, to: str = NAME, **options: Any) -> Digest:
    """Push the image; the digest that the registry knows it by."""
    host.registries.setdefault("registry.example", MemoryRegistry())
    nobody: Any = None
    return (await host.pusher.push(NAME, to, nobody, lambda _: None, **options)).root.digest


async def repo_digests(host: ImageHost, text: str = NAME) -> list[str]:
    document = await host.images.inspect(text, "overlay")
    digests: list[str] = document["RepoDigests"]
    return digests


async def listed(host: ImageHost) -> set[tuple[str, str]]:
    return {(f"{line.repository}:{line.tag}", line.digest) for line in await list_images(host.database, [])}


async def test_it_is_known_by_what_the_registry_has(host: ImageHost) -> None:
    made = Made([A])
    await host.load(made, NAME, "docker.io/library/app:1")
    assert await repo_digests(host) == [f"app@{made.root.digest}", f"registry.example/app@{made.root.digest}"]
    pushed = await push(host)
    assert pushed != made.root.digest
    assert await repo_digests(host) == [f"app@{made.root.digest}", f"registry.example/app@{pushed}"]
    assert await listed(host) == {("app:1", made.root.digest), (NAME, pushed)}
    assert (await host.images.find(f"registry.example/app@{pushed}")).root == made.root.digest
    with pytest.raises(NotFound):
        await host.images.find(f"app@{pushed}")


async def test_one_that_goes_as_it_is_keeps_its_digest(host: ImageHost) -> None:
    made = Made([A], compress=True)
    await host.load(made, NAME)
    assert await push(host) == made.root.digest
    assert await repo_digests(host) == [f"registry.example/app@{made.root.digest}"]
    assert await listed(host) == {(NAME, made.root.digest)}


async def test_every_push_counts_and_the_last_is_listed(host: ImageHost) -> None:
    await host.load(Made([A]), NAME)
    gzip = await push(host)
    zstd = await push(host, compression="zstd")
    assert await repo_digests(host) == sorted(f"registry.example/app@{digest}" for digest in (gzip, zstd))
    assert await listed(host) == {(NAME, zstd)}
    await push(host)
    assert await listed(host) == {(NAME, gzip)}
    assert len(await host.column("SELECT id FROM pushed")) == 2


async def test_with_the_last_tag_of_the_repository_they_go(host: ImageHost) -> None:
    await host.load(Made([A]), NAME, "registry.example/app:2", OTHER)
    pushed = await push(host)
    assert await removed(host, NAME) == [Removed(untagged=NAME)]
    assert await removed(host, "registry.example/app:2") == [
        Removed(untagged="registry.example/app:2"), Removed(untagged=f"registry.example/app@{pushed}"),
    ]  # fmt: skip
    with pytest.raises(NotFound):
        await host.images.find(f"registry.example/app@{pushed}")
    assert await host.column("SELECT id FROM pushed") == []


async def test_by_its_digest_it_can_be_removed(host: ImageHost) -> None:
    made = Made([A])
    await host.load(made, NAME)
    pushed, there = await push(host), await push(host, OTHER)
    assert pushed == there
    names = [f"registry.example/app@{pushed}", f"registry.example/team/app@{pushed}"]
    assert await repo_digests(host) == names
    assert await removed(host, names[1]) == [Removed(untagged=names[1])]  # it has no tag there
    assert await repo_digests(host) == names[:1]
    assert (await removed(host, names[0]))[:3] == [
        Removed(untagged=NAME), Removed(untagged=names[0]), Removed(deleted=made.image_id),
    ]  # fmt: skip
    assert await host.column("SELECT digest FROM blobs") == []
    await host.whole()


async def test_an_image_that_was_removed_takes_them_with_it_and_is_not_found_by_them(host: ImageHost) -> None:
    made = Made([A])
    await host.load(made, NAME)
    pushed = await push(host, OTHER)
    await host.container("c", made.root.digest)
    await removed(host, NAME, force=True)
    with pytest.raises(NotFound):  # it waits for the container
        await host.images.find(f"registry.example/team/app@{pushed}")
    await host.end("c")
    assert await host.column("SELECT id FROM pushed") == []


async def test_one_whose_name_was_taken_can_be_pruned(host: ImageHost) -> None:
    old = Made([A])
    await host.load(old, NAME)
    pushed = await push(host)
    await host.load(Made([B]), NAME)
    assert await repo_digests(host, old.image_id) == [f"registry.example/app@{pushed}"]
    lines, _ = await removing.prune(host.database, host.room, all_unused=False)
    assert lines[0] == Removed(deleted=old.image_id)
    assert await host.column("SELECT id FROM pushed") == []


async def test_one_platform_of_an_image_for_several_is_not_the_image(host: ImageHost) -> None:
    made = Made([A])
    root = several(made)
    await load_index(host, made, root, all_platforms=True)
    await push(host, platform="/".join(own(made).values()))
    assert await repo_digests(host) == [f"registry.example/app@{root.digest}"]
    pushed = await push(host)
    assert await repo_digests(host) == [f"registry.example/app@{pushed}"]
    pulled = await pull(host, f"registry.example/app@{pushed}")  # for this host's platform, whatever is here
    assert pulled.received.changed


async def removed(host: ImageHost, text: str, *, force: bool = False) -> list[Removed]:
    return await removing.remove(host.database, host.collector, text, force=force)


async def test_a_pull_by_its_digest_finds_it_here_and_asks_nobody(host: ImageHost) -> None:
    made = Made([A])
    await host.load(made, NAME)
    pushed = await push(host)
    registry = host.registries["registry.example"]
    registry.asked.clear()
    pulled = await pull(host, f"registry.example/app@{pushed}")
    received, there = pulled.received, registry.manifests["app:1"].descriptor
    assert (received.changed, received.sent, pulled.given, registry.asked) == (False, 0, {}, [])
    assert (received.target.root, received.image_id) == (there, made.image_id)
    assert (await host.images.find(NAME)).root == made.root.digest


async def test_one_that_is_not_whole_any_more_is_pulled(host: ImageHost) -> None:
    await host.load(Made([A]), NAME)
    pushed = await push(host)
    await asyncio.to_thread(host.content.blobs.delete, Digest.of(A))
    pulled = await pull(host, f"registry.example/app@{pushed}")
    assert pulled.received.changed
    assert pulled.given["registry.example"] > 0
    assert (await host.images.find(f"registry.example/app@{pushed}")).root == pushed


async def test_by_its_tag_the_registry_says_what_it_is(host: ImageHost) -> None:
    """What is attached to it there, such as a signature, comes with the registry's own copy."""
    await host.load(Made([A]), NAME)
    pushed = await push(host)
    pulled = await pull(host, NAME)
    assert pulled.received.target.root.digest == pushed
    assert (await host.images.find(NAME)).root == pushed
    assert await repo_digests(host) == [f"registry.example/app@{pushed}"]
    await host.whole()


async def pull(host: ImageHost, name: str) -> Pulled:
    nobody: Any = None
    return await host.puller.pull(name, nobody, host.steps.append)
