"""rmi and prune, by docker's rules."""

from __future__ import annotations

import pytest

from jackstay_agent.errors import Ambiguous, InUse, InvalidArgument, NotFound
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
    return [f"{line.repository}:{line.tag}" for line in await list_images(host.database, [])]


def untagged(made: Made, *names: str) -> list[Removed]:
    """The lines of familiar *names* that are each the last tag of their repository."""
    return [
        line
        for name in names
        for line in (
            Removed(untagged=name),
            Removed(untagged=f"{name.rpartition(':')[0]}@{made.root.digest}"),
        )
    ]


def deleted(made: Made) -> list[Removed]:
    """The lines of an image that goes with all of its layers."""
    chain = chain_ids([Digest.of(layer) for layer in made.layers])
    return [Removed(deleted=made.image_id), *(Removed(deleted=str(layer)) for layer in reversed(chain))]


async def test_the_last_name_takes_the_image_with_it(host: ImageHost) -> None:
    await host.load(made := Made([A, B]), WEB1, OTHER)
    assert await remove(host, "other:1") == untagged(made, "other:1")
    assert await remove(host, "web:1") == [*untagged(made, "web:1"), *deleted(made)]
    assert await host.column("SELECT digest FROM blobs") == []
    with pytest.raises(NotFound):
        await remove(host, "web:1")
    await host.whole()


async def test_layers_of_another_image_stay(host: ImageHost) -> None:
    await host.load(made := Made([A, B]), WEB1)
    await host.load(Made([A]), OTHER)
    assert await remove(host, "web:1") == [*untagged(made, "web:1"), *deleted(made)[:2]]
    assert await host.column("SELECT COUNT(*) FROM snapshots") == [1]
    await host.whole()


async def test_an_image_of_no_layers_leaves_no_blobs(host: ImageHost) -> None:
    await host.load(made := Made([]), WEB1)
    assert await remove(host, "web:1") == [*untagged(made, "web:1"), Removed(deleted=made.image_id)]
    assert await host.column("SELECT digest FROM blobs") == []


@pytest.mark.parametrize("second", [WEB2, OTHER])
async def test_an_id_with_several_names_must_be_forced(host: ImageHost, second: str) -> None:
    await host.load(made := Made([A]), WEB1, second)
    for text in (made.image_id, made.image_id[7:19], made.image_id[7:9]):
        with pytest.raises(InUse, match=r"\(must be forced\) - image is referenced in multiple repositories"):
            await remove(host, text)
    assert len(await shown(host)) == 2
    removed = await remove(host, made.image_id[7:19], force=True)
    assert removed[-2:] == deleted(made)
    assert {line.untagged for line in removed[:-2] if "@" not in line.untagged} == {"web:1", second.rpartition("/")[2]}
    assert await shown(host) == []


async def test_an_id_with_one_name(host: ImageHost) -> None:
    await host.load(made := Made([A]), WEB1)
    assert await remove(host, made.image_id[7:19]) == [*untagged(made, "web:1"), *deleted(made)]


async def test_the_start_of_several_ids_removes_none(host: ImageHost) -> None:
    made = [Made([], config={"author": str(number)}) for number in range(17)]
    for each in made:
        await host.load(each)
    starts = [each.image_id[7] for each in made]
    twice = next(digit for digit in starts if starts.count(digit) > 1)
    with pytest.raises(Ambiguous):
        await remove(host, twice, force=True)
    assert len(await shown(host)) == 17


async def test_the_digest_of_a_repository_goes_with_its_last_tag(host: ImageHost) -> None:
    await host.load(made := Made([A]), WEB1, WEB2, OTHER)
    assert await remove(host, "web:1") == [Removed(untagged="web:1")]
    assert await remove(host, "web:2") == untagged(made, "web:2")
    assert await remove(host, f"other@{made.root.digest}") == [*untagged(made, "other:1"), *deleted(made)]


async def test_a_digest_with_several_tags_must_be_forced(host: ImageHost) -> None:
    await host.load(made := Made([A]), WEB1, WEB2, OTHER)
    with pytest.raises(InUse, match=r"\(must be forced\) - it has several tags: 1, 2"):
        await remove(host, f"web@{made.root.digest}")
    with pytest.raises(NotFound):
        await remove(host, f"nobody@{made.root.digest}", force=True)
    assert await remove(host, f"web@{made.root.digest}", force=True) == [
        Removed(untagged="web:1"), *untagged(made, "web:2"),
    ]  # fmt: skip
    assert await shown(host) == ["other:1"]


async def test_what_a_stopped_container_uses_must_be_forced(host: ImageHost) -> None:
    await host.load(made := Made([A]), WEB1)
    await host.container("c", made.root.digest)
    with pytest.raises(InUse, match=r'"?.web:1.*\(must be forced\) - container .* is using its referenced image'):
        await remove(host, "web:1")
    with pytest.raises(InUse, match=r"\(must be forced\) - image is being used by stopped container"):
        await remove(host, made.image_id)
    assert await shown(host) == ["web:1"]


@pytest.mark.parametrize("by_id", [False, True])
async def test_a_forced_removal_keeps_what_the_container_needs_until_it_goes(host: ImageHost, by_id: bool) -> None:
    await host.load(made := Made([A]), WEB1)
    await host.container("c", made.root.digest)
    await host.container("d", made.root.digest)
    text = made.image_id[7:19] if by_id else "web:1"
    assert await remove(host, text, force=True) == [*untagged(made, "web:1"), Removed(deleted=made.image_id)]
    for gone in ("web:1", made.image_id, f"web@{made.root.digest}"):
        with pytest.raises(NotFound):
            await host.images.find(gone)
    assert await shown(host) == []
    (kept,) = await list_images(host.database, [], every=True)
    assert (kept.id, kept.repository, kept.containers) == (made.image_id, "<none>", 2)
    assert (await host.images.config(await host.images.by_root(made.root.digest))).rootfs.diff_ids
    assert await host.column("SELECT COUNT(*) FROM snapshots") == [1]
    await host.end("c")
    assert len(await host.column("SELECT root FROM images")) == 1
    await host.end("d")
    assert await host.column("SELECT root FROM images") == []
    await host.collector.collect()
    assert await host.column("SELECT digest FROM blobs") == []
    await host.whole()


async def test_an_image_that_is_loaded_again_while_a_container_kept_it_is_back(host: ImageHost) -> None:
    await host.load(made := Made([A]), WEB1)
    await host.container("c", made.root.digest)
    await remove(host, "web:1", force=True)
    await host.load(made, WEB2)
    assert await shown(host) == ["web:2"]
    await host.end("c")
    assert await shown(host) == ["web:2"]
    assert await remove(host, "web:2") == [*untagged(made, "web:2"), *deleted(made)]


async def test_what_a_running_container_uses_cannot_be_forced_by_id(host: ImageHost) -> None:
    await host.load(made := Made([A]), WEB1)
    await host.container("c", made.root.digest, "running")
    with pytest.raises(InUse, match=r"\(cannot be forced\) - image is being used by running container"):
        await remove(host, made.image_id, force=True)
    assert await remove(host, "web:1", force=True) == untagged(made, "web:1")
    assert await shown(host) == ["<none>:<none>"]
    assert await removing.prune(host.database, host.room, all_unused=True) == ([], 0)


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
    assert await remove(host, plain.image_id) == [*untagged(packed, "web:1"), *deleted(plain)]
    assert await host.column("SELECT digest FROM blobs") == []
    await host.whole()


async def test_one_image_from_two_archives_under_two_names(host: ImageHost) -> None:
    await host.load(made := Made([A]), WEB1)
    await host.load(Made([A], compress=True), OTHER)
    assert sorted(await shown(host)) == ["other:1", "web:1"]
    assert await remove(host, "web:1") == untagged(made, "web:1")
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
    assert lines == [*untagged(other, "other:1", "web:2"), *deleted(other)]
    assert await shown(host) == ["web:1"]
    await host.whole()


async def test_prune_all_spares_every_name_of_an_image_that_has_a_container(host: ImageHost) -> None:
    await host.load(made := Made([A]), WEB1)
    await host.load(Made([A], compress=True), OTHER)
    await host.container("c", made.root.digest)
    assert await removing.prune(host.database, host.room, all_unused=True) == ([], 0)
    assert sorted(await shown(host)) == ["other:1", "web:1"]


@pytest.mark.parametrize(
    ("filters", "gone"),
    [
        (["label=tier"], ["web:1"]),
        (["label=tier=db"], []),
        (["label!=tier"], ["other:1", "web:2"]),
        (["label!=tier=db"], ["web:1", "other:1", "web:2"]),
        (["until=2001-06-01T00:00:00Z"], ["web:1"]),
        (["until=1h", "label=tier=web"], ["web:1"]),
        (["until=2001-01-01T00:00:00Z"], ["web:1"]),  # docker takes what was made at that very time
        (["until=2000-12-31T23:59:59Z"], []),
    ],
)
async def test_prune_filters(host: ImageHost, filters: list[str], gone: list[str]) -> None:
    old = {"created": "2001-01-01T00:00:00Z", "config": {"Labels": {"tier": "web"}}}
    await host.load(Made([A], config=old), WEB1)
    await host.load(Made([B], config={"created": "2002-01-01T00:00:00Z"}), WEB2, OTHER)
    lines, _ = await removing.prune(host.database, host.room, all_unused=True, filters=filters)
    assert sorted(line.untagged for line in lines if ":1" in line.untagged or ":2" in line.untagged) == sorted(gone)
    assert sorted(await shown(host)) == sorted({"web:1", "other:1", "web:2"} - set(gone))


async def test_a_bad_prune_filter(host: ImageHost) -> None:
    await host.load(Made([A]))
    for bad in ("dangling=true", "reference=x", "until=soon", "label"):
        with pytest.raises(InvalidArgument):
            await removing.prune(host.database, host.room, all_unused=True, filters=[bad])
    assert await shown(host) == ["<none>:<none>"]


async def test_a_layer_of_two_images_that_go_is_told_once(host: ImageHost) -> None:
    await host.load(Made([A, B]), WEB1)
    await host.load(Made([A], config={"author": "x"}), OTHER)
    lines, _ = await removing.prune(host.database, host.room, all_unused=True)
    told = [line.deleted for line in lines if line.deleted]
    assert len(told) == len(set(told)) == 4
