"""Receiving images: whole, resumed, hostile, damaged, many at once, cut at random."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.config import Limits
from jackstay_agent.errors import (
    DigestMismatch,
    DiskFull,
    Error,
    InvalidDocument,
    LimitExceeded,
    SourceFailed,
    Unsupported,
)
from jackstay_agent.fetch.progress import Phase
from jackstay_agent.images.documents import Target
from jackstay_agent.images.receiving import Receiver
from jackstay_agent.kernel.threads import finish
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.store.ingest import Ingest
from tests.unit.agent.images.image_host import ImageHost, Made, Memory, descriptor, platform, tar

A, B = tar({"a": b"a" * 200_000}), tar({"b": b"b"})
NAME = "docker.io/library/web:1"
ACTIVE_LEASES = "SELECT id FROM leases WHERE expires = 9223372036854775807"  # the others wait for a next try


async def test_an_image_comes_and_a_second_time_nothing_moves(host: ImageHost) -> None:
    made = Made([A, B], compress=True)
    size = sum(map(len, made.blobs.values())) + len(made.config_bytes)
    first = await host.load(made, NAME)
    assert (str(first.image_id), first.changed) == (made.image_id, True)
    assert first.sent == size + made.root.size
    again = await host.load(made, NAME)
    assert (again.changed, again.sent, again.spared) == (False, 0, first.sent)
    assert host.phases(made)[Phase.UNPACKED] == 4
    assert (await host.load(made, "docker.io/library/other:1")).changed
    await host.whole()


async def test_ten_at_once_store_it_once_and_all_succeed(host: ImageHost) -> None:
    made = Made([A, B])
    root, source = made.root, Memory(made.blobs)
    results = await asyncio.gather(
        *(host.receiver.receive(Target(root, (NAME,)), [source], host.steps.append) for _ in range(10))
    )
    assert sorted(result.changed for result in results) == [False] * 9 + [True]
    assert len(source.asked) == len(set(source.asked)) == 4
    assert await host.column("SELECT COUNT(*) FROM snapshots") == [2]
    await host.whole()


async def test_an_image_of_no_layers(host: ImageHost) -> None:
    await host.load(Made([]), NAME)
    assert (await host.images.find("web:1")).chain_id == ""
    await host.whole()


async def test_the_same_layer_twice_in_one_image(host: ImageHost) -> None:
    received = await host.load(made := Made([A, A, B, A]), NAME)
    assert received.spared == 2 * len(A)
    assert host.phases(made)[Phase.UNPACKED] == 4
    assert await host.column("SELECT COUNT(*) FROM snapshots") == [4]


async def test_of_an_index_this_hosts_image_comes(host: ImageHost) -> None:
    made = Made([A])
    manifest = descriptor(media_types.OCI_MANIFEST, b"") | {"digest": str(made.root.digest), "size": made.root.size}
    other = descriptor(media_types.OCI_MANIFEST, b"elsewhere", platform={"os": "plan9", "architecture": "mips"})
    root = made.index(other, manifest | {"platform": platform()})
    await host.load(made, NAME, root=root)
    image = await host.images.find("web:1")
    assert (image.root, image.manifest) == (root.digest, made.root.digest)
    assert await host.images.manifest(image)
    with pytest.raises(Unsupported, match="no manifest for"):
        await host.load(made, NAME, root=made.index(other))
    nested = descriptor(media_types.OCI_INDEX, b"", platform=platform()) | {
        "digest": str(root.digest), "size": root.size,
    }  # fmt: skip
    with pytest.raises(InvalidDocument, match="another index"):
        await host.load(made, NAME, root=made.index(nested))


def layer(**values: Any) -> Callable[[Made], None]:
    return lambda made: made.manifest["layers"][0].update(values)


HOSTILE: dict[str, tuple[Callable[[Made], Any], type[Error], str]] = {
    "a size below nothing": (layer(size=-1), InvalidDocument, "malformed"),
    "a size beyond the bound": (layer(size=1 << 62), LimitExceeded, "layer_bytes"),
    "a size beyond any number": (layer(size=1 << 64), InvalidDocument, "malformed"),
    "a layer of another type": (layer(mediaType="text/html"), Unsupported, "text/html"),
    "no digest": (layer(digest="sha256:../../etc"), InvalidDocument, "malformed"),
    "another size than it has": (layer(size=len(A) + 5), SourceFailed, "ended|bytes"),
    "more layers than diffIDs": (
        lambda made: made.config["rootfs"]["diff_ids"].pop(), InvalidDocument, "has 2 layers, its config names 1",
    ),
    "a wrong diffID": (
        lambda made: made.config["rootfs"].update(diff_ids=[str(Digest.of(B))] * 2), DigestMismatch, "unpacks to",
    ),
    "a layer for a config": (
        lambda made: made.manifest.update(config=made.manifest["layers"][0]), InvalidDocument, "malformed",
    ),
    "an index for a config": (
        lambda made: made.manifest.update(manifests=[]), InvalidDocument, "must not carry",
    ),
    "a config that is huge": (
        lambda made: made.manifest.update(config=descriptor(media_types.OCI_CONFIG, B"") | {"size": 1 << 40}),
        LimitExceeded, "document_bytes",
    ),
    "another type inside": (
        lambda made: made.manifest.update(mediaType=media_types.DOCKER_MANIFEST), InvalidDocument, "descriptor says",
    ),
    "too many layers": (
        lambda made: made.manifest.update(layers=made.manifest["layers"] * 64), LimitExceeded, "bound layers",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
async def test_hostile_documents_get_no_name_and_leave_nothing(host: ImageHost, case: str) -> None:
    change, kind, message = HOSTILE[case]
    made = Made([A, B])
    change(made)
    with pytest.raises(kind, match=message):
        await host.load(made, NAME)
    assert await host.column("SELECT root FROM images") == []
    assert await host.column(ACTIVE_LEASES) == []
    await host.database.write("test", lambda c: c.execute("DELETE FROM ingests").rowcount)  # what can be resumed
    await host.room.make()
    assert await host.column("SELECT digest FROM blobs") == []
    assert await host.column("SELECT key FROM snapshots") == []


async def test_a_size_that_a_blob_here_does_not_have_is_refused(host: ImageHost) -> None:
    await host.load(Made([A]), NAME)
    lying = Made([A])
    lying.manifest["layers"][0]["size"] = 7
    with pytest.raises(InvalidDocument, match=f"has {len(A)} bytes, its descriptor says 7"):
        await host.load(lying, NAME)


async def test_a_time_that_no_database_counts_to(host: ImageHost) -> None:
    await host.load(Made([A], config={"created": "9999-12-31T23:59:59Z"}), NAME)
    assert (await host.images.find("web:1")).created == (1 << 63) - 1


@pytest.mark.parametrize("compress", [False, True])
async def test_a_layer_that_the_disk_damaged_is_repaired_by_the_load_that_finds_it(
    host: ImageHost, compress: bool
) -> None:
    made = Made([A, B], compress)
    await host.load(made, NAME)
    await host.forget()
    async with host.content.lease() as lease:  # the blobs stay, the layers must be unpacked anew
        for digest in made.blobs:
            await host.content.keep(lease, digest)
        await host.collector.collect()
        digest = Digest.parse(made.manifest["layers"][0]["digest"])
        damage(host, digest)
        received = await host.load(made, NAME)
    assert received.sent == len(made.blobs[digest])
    assert host.content.blobs.path(digest).read_bytes() == made.blobs[digest]
    await host.whole()


async def test_a_document_that_the_disk_damaged_is_told_and_repaired(host: ImageHost) -> None:
    made = Made([A])
    await host.load(made, NAME)
    for digest in (made.root.digest, Digest.parse(made.image_id)):
        damage(host, digest)
    image = await host.images.find("web:1")
    with pytest.raises(DigestMismatch, match="damaged on this host's disk"):
        await host.images.config(image)
    received = await host.load(made, NAME)
    assert received.sent == len(made.config_bytes) + made.root.size
    assert await host.images.config(image)
    await host.whole()


def damage(host: ImageHost, digest: Digest) -> None:
    path = host.content.blobs.path(digest)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


async def test_a_failing_layer_ends_the_others_with_its_error(host: ImageHost) -> None:
    made = Made([A, B])
    del made.blobs[Digest.of(B)]
    with pytest.raises(SourceFailed, match="memory has no"):
        await host.load(made, NAME)
    made.blobs[Digest.of(B)] = B
    await host.load(made, NAME)
    await host.whole()


class Hesitant(Memory):
    async def read(self, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        async for piece in super().read(digest, offset, length):
            await asyncio.sleep(random.random() / 1000)
            yield piece


async def test_cut_at_random_it_holds_nothing_and_the_next_try_succeeds(host: ImageHost) -> None:
    images = [Made([tar({"x": os.urandom(200_000)}), A, tar({"y": os.urandom(90_000)})]) for _ in range(2)]
    descriptors = len(os.listdir("/proc/self/fd"))

    async def one(made: Made) -> None:
        await host.receiver.receive(Target(made.root, (NAME,)), [Hesitant(made.blobs)], host.steps.append)

    whole = 0
    for turn in range(60):
        tasks = [asyncio.create_task(one(random.choice(images))) for _ in range(3)]
        await asyncio.sleep(random.random() * 0.08)
        for task in tasks[turn % 2 :]:
            task.cancel()
            if turn % 3 == 0:
                await asyncio.sleep(0)
                task.cancel()  # and again, as an agent does that is told to stop
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert result is None or isinstance(result, asyncio.CancelledError), result
            whole += result is None
        assert await host.column(ACTIVE_LEASES) == []
        assert await host.column("SELECT key FROM snapshots WHERE key LIKE 'extract-%'") == []
        if turn % 10 == 9:
            await host.forget()
            await host.collector.collect()
    assert whole
    for made in images:
        await one(made)
    await host.whole()
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 2


async def test_a_prepare_that_is_cut_leaves_no_snapshot_behind(
    host: ImageHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Made([A])
    prepare = host.layers.prepare

    async def cut(*args: Any, **kwargs: Any) -> Any:
        await prepare(*args, **kwargs)
        raise asyncio.CancelledError

    monkeypatch.setattr(host.layers, "prepare", cut)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(host.load(made, NAME))
    assert await host.column("SELECT key FROM snapshots") == []


async def test_removed_while_it_loads_the_load_still_succeeds(host: ImageHost) -> None:
    made = Made([A, B])
    ending = asyncio.Event()

    async def remove() -> None:
        while not ending.is_set():
            await host.forget()
            await host.collector.collect()

    removing = asyncio.create_task(remove())
    for _ in range(10):
        await host.load(made, NAME)
    ending.set()
    await removing
    await host.load(made, NAME)
    await host.whole()
    assert b"".join([piece async for piece in host.content.read(Digest.of(A))]) == A


async def test_bounds_are_those_of_the_configuration(host: ImageHost, tmp_path: Path) -> None:
    strict = Receiver(host.content, host.unpacker, host.room, Limits(layers=1, document_bytes=1000))
    made = Made([A, B])
    with pytest.raises(LimitExceeded, match="has 2 layers, the bound layers is 1"):
        await strict.receive(Target(made.root, ()), [Memory(made.blobs)], host.steps.append)
    large = Made([A], config={"author": "x" * 1000})
    with pytest.raises(LimitExceeded, match="document_bytes is 1000"):
        await strict.receive(Target(large.root, ()), [Memory(large.blobs)], host.steps.append)


async def test_what_came_whole_waits_for_the_next_try_also_after_a_restart(host: ImageHost) -> None:
    made = Made([A, B])
    root = made.root
    partly = {digest: data for digest, data in made.blobs.items() if data != B}

    class Late(Memory):
        async def read(self, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
            while digest == Digest.of(B) and not await host.content.has(Digest.of(A)):
                await asyncio.sleep(0.01)
            async for piece in super().read(digest, offset, length):
                yield piece

    with pytest.raises(SourceFailed):
        await host.receiver.receive(Target(root, ()), [Late(partly)], host.steps.append)
    await host.collector.collect()
    await host.content.clean()  # as a new agent does
    await host.collector.collect()
    source = Memory(made.blobs)
    await host.receiver.receive(Target(made.root, ()), [source], host.steps.append)
    assert source.asked == [Digest.of(B)]
    assert await host.database.read(lambda c: c.execute("SELECT count(*) FROM leases").fetchone()[0]) == 0


async def test_a_full_disk_gives_up_what_waits_for_a_later_try_first(
    host: ImageHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full for as long as the other image's half is on it."""
    other, made = Made([A]), Made([B])
    root = other.root
    half = {digest: data for digest, data in other.blobs.items() if data != A}
    with pytest.raises(SourceFailed):
        await host.receiver.receive(Target(root, ()), [Memory(half)], host.steps.append)
    stale = await host.content.ingest("blob-stale")
    await finish(stale.write, b"x" * 1000)
    await finish(stale.close)
    held = await host.content.ingest("blob-held")
    await finish(held.write, b"y")
    write = Ingest.write

    def full(self: Ingest, buffer: bytes) -> int:
        if any(status.ref == "blob-stale" for status in host.content.blobs.ingests()):
            raise DiskFull("no space left")
        return write(self, buffer)

    monkeypatch.setattr(Ingest, "write", full)
    await host.receiver.receive(Target(made.root, ()), [Memory(made.blobs)], host.steps.append)
    left = await finish(lambda: [status.ref for status in host.content.blobs.ingests()])
    assert left == ["blob-held"]  # somebody writes to it
    assert not await host.content.has(root.digest)
    await finish(held.abort)
