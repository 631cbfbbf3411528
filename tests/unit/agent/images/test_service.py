"""Finding and naming images."""

from __future__ import annotations

import time

import pytest

from jackstay_agent.errors import Ambiguous, InvalidReference, NotFound
from jackstay_agent.images import document_times
from jackstay_agent.images.service import find
from jackstay_agent.metadata import images as rows
from jackstay_oci.digest import Digest
from tests.unit.agent.images.image_host import ImageHost, Made, descriptor, platform, tar

WEB = "docker.io/library/web:1"


async def test_every_way_to_mean_an_image(host: ImageHost) -> None:
    await host.load(made := Made([tar({"a": b"a"})]), WEB, "docker.io/library/web:latest")
    digits = made.image_id.removeprefix("sha256:")
    for text in (
        *("web:1", "web", "docker.io/web:1", "docker.io/library/web:1", f"web@{made.root.digest}"),
        *(made.image_id, digits, digits[:12], digits[:2], f"sha256:{digits[:5]}", made.root.digest.hex[:12]),
    ):
        assert str((await host.images.find(text)).image_id) == made.image_id, text
    for text in ("web:2", "elsewhere.io/web:1", f"other@{made.root.digest}", "f" * 64, f"web@sha256:{'0' * 64}"):
        with pytest.raises(NotFound, match="No such image"):
            await host.images.find(text)
    for text in ("", "We:b", "web:", "a b", "../x", "web@sha256:12"):
        with pytest.raises(InvalidReference):
            await host.images.find(text)


async def test_a_name_wins_over_an_id(host: ImageHost) -> None:
    await host.load(first := Made([tar({"a": b"a"})]))
    digits = first.image_id.removeprefix("sha256:")[:12]
    await host.load(second := Made([tar({"b": b"b"})]), f"docker.io/library/{digits}:latest")
    assert str((await host.images.find(digits)).image_id) == second.image_id


async def test_the_start_of_several_ids_means_none(host: ImageHost) -> None:
    made = [Made([], config={"author": str(number)}) for number in range(17)]
    for each in made:
        await host.load(each)
    starts = [each.image_id[7] for each in made]
    twice = next(digit for digit in starts if starts.count(digit) > 1)
    with pytest.raises(Ambiguous, match="fits several images"):
        await host.images.find(twice)
    # Two manifests of one config are one image, by whatever start of its id.
    await host.load(one := Made([tar({"a": b"a"})], config={"author": "one"}))
    await host.load(Made([tar({"a": b"a"})], compress=True, config={"author": "one"}))
    assert str((await host.images.find(one.image_id[7:40])).image_id) == one.image_id


async def test_tagging_moves_a_name(host: ImageHost) -> None:
    await host.load(first := Made([tar({"a": b"a"})]), WEB)
    await host.load(second := Made([tar({"b": b"b"})]), "docker.io/library/db:1")
    await host.images.tag("db:1", "web:1")
    assert str((await host.images.find("web:1")).image_id) == second.image_id
    assert (await host.images.find(first.image_id)).names == ()
    for target in (
        *("web@" + str(first.root.digest), "W", "a:b:c", "sha256:1", "sha256", "", "x" * 300, "web:" + "1" * 129),
        *("0" * 64, "-x", "a//b", "web:.x"),
    ):
        with pytest.raises(InvalidReference):
            await host.images.tag("db:1", target)
    with pytest.raises(NotFound):
        await host.images.tag("none", "x")


async def test_every_form_of_a_target(host: ImageHost) -> None:
    await host.load(made := Made([]), WEB)
    for source in ("web:1", made.image_id, made.image_id[7:19], f"web@{made.root.digest}"):
        for target, name in (
            ("other", "docker.io/library/other:latest"),
            ("me/other:2", "docker.io/me/other:2"),
            ("localhost:5000/a/b:c", "localhost:5000/a/b:c"),
            ("[::1]:5000/x", "[::1]:5000/x:latest"),
        ):
            await host.images.tag(source, target)
            assert name in (await host.images.find("web:1")).names
            await host.database.write("test", lambda c, name=name: rows.unname(c, name))  # type: ignore[misc]


async def test_when_an_image_was_tagged(host: ImageHost) -> None:
    await host.load(Made([tar({"a": b"a"})]), WEB)
    never = (await host.images.inspect("web:1", "overlay"))["Metadata"]["LastTagTime"]
    assert never == "0001-01-01T00:00:00Z"  # loading tags nothing, as docker has it
    await host.images.tag("web:1", "web:2")
    told = (await host.images.inspect("web:1", "overlay"))["Metadata"]["LastTagTime"]
    assert abs(document_times.parse(told) - time.time_ns()) < 60 * 10**9


async def test_inspecting_an_image_of_an_index(host: ImageHost) -> None:
    made = Made([tar({"a": b"a"})])
    mine = descriptor(made.root.media_type, made.blobs[made.root.digest], platform=platform())
    other = descriptor(made.root.media_type, b"{}", platform={"os": "plan9", "architecture": "mips"})
    await host.load(made, WEB, root=(root := made.index(other, mine)))
    told = await host.images.inspect("web:1", "overlay")
    assert told["Descriptor"] == {"mediaType": root.media_type, "digest": str(root.digest), "size": root.size}
    assert [(each["ID"], each["Available"]) for each in told["Manifests"]] == [
        (other["digest"], False), (mine["digest"], True),
    ]  # fmt: skip
    assert told["Manifests"][0]["ImageData"]["Platform"] == {"os": "plan9", "architecture": "mips"}
    await host.load(made, "docker.io/library/plain:1")
    assert "Manifests" not in await host.images.inspect("plain:1", "overlay")


async def test_layers_of_images(host: ImageHost) -> None:
    base, above = tar({"a": b"a"}), tar({"b": b"b"})
    await host.load(one := Made([base], config={"author": "1"}), WEB)
    await host.load(Made([base], compress=True, config={"author": "1"}), "docker.io/library/packed:1")
    await host.load(two := Made([base, above]), "docker.io/library/two:1")
    told = {str(image.image_id): (image.names, layers) for image, layers in await host.images.layers()}
    assert told[one.image_id][0] == ("docker.io/library/packed:1", WEB)
    assert [len(layers) for _, layers in told.values()].count(1) == 1
    assert told[two.image_id][1][0] == told[one.image_id][1][0]
    assert [layer.size > 0 for layer in told[two.image_id][1]] == [True, True]
    ((image, _),) = await host.images.layers(["two:1", two.image_id[7:19]])
    assert str(image.image_id) == two.image_id
    with pytest.raises(NotFound):
        await host.images.layers(["two:1", "none"])


async def test_resolving_holds_all_that_it_names_for_as_long_as_it_is_needed(host: ImageHost) -> None:
    await host.load(made := Made([tar({"a": b"a"}), tar({"b": b"b"})]), WEB)
    async with host.images.resolve("web:1") as (image, closure):
        assert str(image.image_id) == made.image_id
        assert closure[0] == (made.root.digest, made.root.size)
        assert dict(closure) == {digest: len(data) for digest, data in made.blobs.items()}
        await host.forget()
        await host.collector.collect()
        assert len(await host.column("SELECT digest FROM blobs")) == 4
    await host.collector.collect()
    assert await host.column("SELECT digest FROM blobs") == []
    with pytest.raises(NotFound):
        async with host.images.resolve("web:1"):
            pass
    await host.whole()


async def test_ids_are_told_apart_from_roots(host: ImageHost) -> None:
    await host.load(made := Made([]), WEB)
    found = await host.database.read(lambda c: rows.by_id_prefix(c, made.root.digest.hex[:10]))
    assert [row["image_id"] for row in found] == [made.image_id]
    stored = await host.database.read(lambda c: find(c, "web:1"))
    assert (stored.root, stored.manifest, stored.labels) == (Digest(made.root.digest), made.root.digest, {})
