"""rmi and prune, by docker's rules."""

from __future__ import annotations

import pytest

from jackstay_agent.errors import InUse, NotFound
from jackstay_agent.images import removing
from jackstay_agent.images.listing import list_images
from jackstay_agent.images.removing import Removed
from jackstay_oci.digest import Digest
from jackstay_oci.identity import chain_ids
from tests.unit.agent.images.image_host import ImageHost, Made, tar

A, B = tar({"a": b"a" * 5000}), tar({"b": b"b"})
WEB1, WEB2, OTHER = "docker.io/library/web:1", "docker.io/library/web:2", "docker.io/library/other:1"


async def remove(host: ImageHost, text: str, force: bool = False) -> list[Removed]:
    return await removing.remove(host.database, host.collector, text, force=force)


async def shown(host: ImageHost) -> list[str]:
    return [f"{line.repository}:{line.tag}" for line in await list_images(host.database, [], "")]


def deleted(made: Made) -> list[Removed]:
    """The lines of an image that goes with all of its layers."""
    chain = chain_ids([Digest.of(layer) for layer in made.layers])
    return [Removed(deleted=made.image_id), *(Removed(deleted=str(layer)) for layer in reversed(chain))]


async def test_the_last_name_takes_the_image_with_it(host: ImageHost) -> None:
    await host.load(made := Made([A, B]), WEB1, OTHER)
    assert await remove(host, "other:1") == [Removed(untagged="other:1")]
    assert await remove(host, "web:1") == [Removed(untagged="web:1"), *deleted(made)]
    assert await host.column("SELECT digest FROM blobs") == []
    with pytest.raises(NotFound):
        await remove(host, "web:1")
    await host.whole()


async def test_layers_of_another_image_stay(host: ImageHost) -> None:
    await host.load(made := Made([A, B]), WEB1)
    await host.load(Made([A]), OTHER)
    assert await remove(host, "web:1") == [Removed(untagged="web:1"), *deleted(made)[:2]]
    assert await host.column("SELECT COUNT(*) FROM snapshots") == [1]
    await host.whole()


async def test_an_image_of_no_layers_leaves_no_blobs(host: ImageHost) -> None:
    await host.load(made := Made([]), WEB1)
    assert await remove(host, "web:1") == [Removed(untagged="web:1"), Removed(deleted=made.image_id)]
    assert await host.column("SELECT digest FROM blobs") == []


@pytest.mark.parametrize("second", [WEB2, OTHER])
async def test_an_id_with_several_names_must_be_forced(host: ImageHost, second: str) -> None:
    await host.load(made := Made([A]), WEB1, second)
    for text in (made.image_id, made.image_id[7:19], made.image_id[7:9]):
        with pytest.raises(InUse, match=r"\(must be forced\) - image is referenced in multiple repositories"):
            await remove(host, text)
    assert len(await shown(host)) == 2
    assert len(await remove(host, made.image_id[7:19], force=True)) == 4
    assert await shown(host) == []


async def test_an_id_with_one_name(host: ImageHost) -> None:
    await host.load(made := Made([A]), WEB1)
    assert await remove(host, made.image_id[7:19]) == [Removed(untagged="web:1"), *deleted(made)]


async def test_what_a_stopped_container_uses_must_be_forced_and_stays(host: ImageHost) -> None:
    await host.load(made := Made([A]), WEB1)
    await host.container("c", made.root.digest)
    for text in ("web:1", made.image_id):
        with pytest.raises(InUse, match=r"\(must be forced\) - container"):
            await remove(host, text)
    assert await remove(host, "web:1", force=True) == [Removed(untagged="web:1")]
    assert await shown(host) == ["<none>:<none>"]
    assert await host.column("SELECT COUNT(*) FROM snapshots") == [1]


async def test_what_a_running_container_uses_cannot_be_forced_by_id(host: ImageHost) -> None:
    await host.load(made := Made([A]), WEB1)
    await host.container("c", made.root.digest, "running")
    with pytest.raises(InUse, match=r"\(cannot be forced\) - image is being used by running container"):
        await remove(host, made.image_id, force=True)
    assert await remove(host, "web:1", force=True) == [Removed(untagged="web:1")]


async def test_a_name_that_moves_leaves_the_old_image_without_one(host: ImageHost) -> None:
    await host.load(old := Made([A]), WEB1)
    await host.load(Made([B]), WEB1)
    assert sorted(await shown(host)) == ["<none>:<none>", "web:1"]
    lines, reclaimed = await removing.prune(host.database, host.room, all_unused=False)
    assert lines == deleted(old)
    assert reclaimed >= len(A)
    assert await shown(host) == ["web:1"]
    await host.whole()


async def test_one_image_from_two_archives_is_one_image(host: ImageHost) -> None:
    plain, packed = Made([A]), Made([A], compress=True)
    assert plain.image_id == packed.image_id
    assert plain.root.digest != packed.root.digest
    await host.load(plain, WEB1)
    await host.load(packed, WEB1)
    assert await shown(host) == ["web:1"]
    assert await remove(host, plain.image_id) == [Removed(untagged="web:1"), *deleted(plain)]
    assert await host.column("SELECT digest FROM blobs") == []
    await host.whole()


async def test_one_image_from_two_archives_under_two_names(host: ImageHost) -> None:
    await host.load(made := Made([A]), WEB1)
    await host.load(Made([A], compress=True), OTHER)
    assert sorted(await shown(host)) == ["other:1", "web:1"]
    assert await remove(host, "web:1") == [Removed(untagged="web:1")]
    assert await shown(host) == ["other:1"]
    lines, reclaimed = await removing.prune(host.database, host.room, all_unused=False)
    assert lines == []  # the id is still here
    assert reclaimed > len(A)
    assert await shown(host) == ["other:1"]
    await host.load(Made([A]), WEB1)
    with pytest.raises(InUse, match="multiple repositories"):
        await remove(host, made.image_id)


async def test_prune_all_spares_what_has_a_container(host: ImageHost) -> None:
    await host.load(made := Made([A]), WEB1)
    await host.load(other := Made([B]), WEB2, OTHER)
    await host.container("c", made.root.digest)
    lines, _ = await removing.prune(host.database, host.room, all_unused=True)
    assert lines == [Removed(untagged="other:1"), Removed(untagged="web:2"), *deleted(other)]
    assert await shown(host) == ["web:1"]
    await host.whole()
