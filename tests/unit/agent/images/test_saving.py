"""Saving: what comes out can be loaded, slow readers hold up nobody, damage is told and repaired."""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import tarfile
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from jackstay_agent.errors import DigestMismatch, InvalidArgument, NotFound
from jackstay_agent.fetch.archive import ArchiveSource
from jackstay_agent.images.documents import Target
from jackstay_oci import platforms
from jackstay_oci.archives.archive import open_archive
from jackstay_oci.digest import Digest
from tests.unit.agent.images.image_host import ImageHost, Made, tar
from tests.unit.agent.images.test_receiving import damage

NAME = "docker.io/library/web:1"


async def whole(saving: AsyncGenerator[bytes, None]) -> bytes:
    pieces = [piece async for piece in saving]
    assert max(map(len, pieces)) <= 1 << 20
    return b"".join(pieces)


@pytest.mark.parametrize("form", ["docker", "oci"])
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
async def test_what_is_saved_can_be_loaded(host: ImageHost, tmp_path: Path, form: str, compression: str) -> None:
    made = Made([tar({"a": os.urandom(3 << 20)}), tar({"b": b"b"})])
    await host.load(made, NAME)
    data = await whole(host.saver.save(["web:1"], form, compression))
    assert await whole(host.saver.save(["web:1"], form, compression)) == data
    (path := tmp_path / "saved").write_bytes(data)
    archive = await asyncio.to_thread(open_archive, path)
    try:
        (image,) = archive.images
        assert [str(name) for name in image.names] == [NAME]
        await host.forget()
        await host.collector.collect()
        assert await host.column("SELECT digest FROM blobs") == []
        received = await host.receiver.receive(
            Target(image.manifest, (NAME,)), [ArchiveSource(archive, "saved")], host.steps.append
        )
        assert str(received.image_id) == made.image_id
    finally:
        await asyncio.to_thread(archive.close)
    await host.whole()


async def test_an_id_gives_no_name_and_an_image_comes_once(host: ImageHost) -> None:
    made = Made([tar({"a": b"a"})])
    await host.load(made, NAME, "docker.io/library/web:2")
    assert b"web" not in tar_json(await whole(host.saver.save([made.image_id[7:19]], "docker", "none")))
    both = tar_json(await whole(host.saver.save(["web:2", "web:1", made.image_id], "docker", "none")))
    assert both.count(b'"Config"') == 1
    assert both.count(b"web:") == 2


async def test_a_repository_alone_means_all_its_tags(host: ImageHost) -> None:
    one, two, other = Made([tar({"a": b"1"})]), Made([tar({"a": b"2"})]), Made([tar({"a": b"3"})])
    await host.load(one, NAME, "docker.io/library/web:2")
    await host.load(two, "docker.io/library/web:latest")
    await host.load(other, "docker.io/library/web-2:1", "docker.io/org/web:1", "reg:5000/web:1")
    saved = json.loads(tar_json(await whole(host.saver.save(["web"], "docker", "none"))))
    assert [image["RepoTags"] for image in saved] == [["web:1", "web:2"], ["web:latest"]]
    saved = json.loads(tar_json(await whole(host.saver.save(["reg:5000/web"], "docker", "none"))))
    assert [image["RepoTags"] for image in saved] == [["reg:5000/web:1"]]
    with pytest.raises(NotFound, match="web-3"):
        await anext(host.saver.save(["web-3"], "docker", "none"))


async def test_a_digest_chooses_an_image_and_gives_no_name(host: ImageHost) -> None:
    made = Made([tar({"a": b"a"})])
    await host.load(made, NAME)
    by_id = await whole(host.saver.save([made.image_id], "oci", "none"))
    for text in (f"web@{made.root.digest}", f"web:1@{made.root.digest}", made.image_id[7:14], str(made.root.digest)):
        assert await whole(host.saver.save([text], "oci", "none")) == by_id
    assert b"web" not in by_id
    for text in (f"other@{made.root.digest}", f"web@{made.image_id}"):
        with pytest.raises(NotFound):
            await anext(host.saver.save([text], "oci", "none"))


async def test_how_images_are_named_in_the_request_changes_no_byte(host: ImageHost) -> None:
    one, two = Made([tar({"a": b"1"})]), Made([tar({"a": b"2"})])
    await host.load(one, NAME)
    await host.load(two, "docker.io/library/web:2")
    data = await whole(host.saver.save(["web:1", "web:2"], "docker", "gzip"))
    assert (data[3], data[4:8]) == (0, bytes(4))  # gzip's header has no name and no time
    for names in (["web:2", "web:1"], ["web"], ["web:2", "docker.io/library/web:1", "web", one.image_id]):
        assert await whole(host.saver.save(names, "docker", "gzip")) == data


async def test_a_platform_that_an_image_is_not_for_is_told(host: ImageHost) -> None:
    await host.load(Made([tar({"a": b"1"})]), NAME)
    here = platforms.this_host()
    whole_image = await whole(host.saver.save(["web:1"], "docker", "none"))
    assert await whole(host.saver.save(["web:1"], "docker", "none", str(here))) == whole_image
    with pytest.raises(NotFound, match="image web:1 is not here for linux/riscv64") as caught:
        await whole(host.saver.save(["web:1"], "docker", "none", "linux/riscv64"))
    assert caught.value.hint == f"it is for {here}"
    with pytest.raises(InvalidArgument, match="invalid platform"):
        await anext(host.saver.save(["web:1"], "docker", "none", "a/b/c/d"))


def tar_json(data: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        file = archive.extractfile("manifest.json")
        assert file is not None
        return file.read()


async def test_what_cannot_be_saved_is_said_before_the_first_byte(host: ImageHost) -> None:
    for names, form, compression, kind in (
        ([], "docker", "none", InvalidArgument),
        (["web:1"], "rar", "none", InvalidArgument),
        (["web:1"], "docker", "lzw", InvalidArgument),
        (["web:1"], "docker", "none", NotFound),
    ):
        with pytest.raises(kind):
            await anext(host.saver.save(names, form, compression))
    await host.whole()


async def test_readers_who_do_not_read_hold_up_nobody(host: ImageHost) -> None:
    made = Made([tar({"a": os.urandom(4 << 20)})])
    await host.load(made, NAME)
    slow = [host.saver.save(["web:1"], "docker", "none") for _ in range(50)]
    await asyncio.gather(*map(anext, slow))
    assert len(await asyncio.wait_for(whole(host.saver.save(["web:1"], "docker", "none")), 20)) > 4 << 20
    for saving in slow:
        await saving.aclose()
    await host.whole()


async def test_cut_at_random_it_leaves_no_lease_no_thread_and_no_descriptor(host: ImageHost) -> None:
    made = Made([tar({"a": os.urandom(2 << 20)}), tar({"b": b"b"})])
    await host.load(made, NAME)

    async def one() -> None:
        await whole(host.saver.save(["web:1"], "docker", random.choice(["none", "zstd"])))

    await one()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(40):
        task = asyncio.create_task(one())
        await asyncio.sleep(random.random() * 0.03)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() or task.exception() is None
    await host.whole()
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_damaged_blob_is_told_and_the_next_load_repairs_it(host: ImageHost) -> None:
    made = Made([tar({"a": b"a" * 100_000})])
    await host.load(made, NAME)
    damage(host, Digest.of(made.layers[0]))
    with pytest.raises(DigestMismatch, match="damaged"):
        await whole(host.saver.save(["web:1"], "docker", "none"))
    assert (await host.load(made, NAME)).sent == len(made.layers[0])
    await whole(host.saver.save(["web:1"], "docker", "none"))
    await host.whole()
