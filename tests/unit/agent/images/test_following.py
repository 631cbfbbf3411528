"""Layers that are unpacked while they come: that they are, and that nothing of it stays when they turn out wrong."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.errors import DigestMismatch, InvalidArchive, SourceFailed
from jackstay_agent.images import unpacking
from jackstay_agent.images.documents import Target
from jackstay_agent.layers.snapshotter import Applied
from jackstay_oci.digest import Digest
from jackstay_oci.growing import Growth
from tests.unit.agent.images.image_host import ImageHost, Made, Memory, tar

NAME = "docker.io/library/web:1"
SIZE = 600_000
FIRST = tar({"first": b"1" * 1000, "middle": os.urandom(SIZE), "last": b"3"})
SECOND = tar({"second/": b"", "second/x": os.urandom(SIZE)})


class Gated(Memory):
    """Gives the layers up to the byte *until* and waits there for `open`."""

    def __init__(self, blobs: dict[Digest, bytes], until: int, only: Digest | None = None) -> None:
        super().__init__(blobs)
        self.open = asyncio.Event()
        self.waiting = asyncio.Event()
        self._until = until
        self._only = only

    async def read(self, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        at = offset
        async for piece in super().read(digest, offset, length):
            if at >= self._until and self._only in (None, digest):
                self.waiting.set()
                await self.open.wait()
            at += len(piece)
            yield piece


class Breaking(Memory):
    """Gives the layer *broken* up to the byte *until*, and fails there."""

    def __init__(self, blobs: dict[Digest, bytes], broken: Digest, until: int) -> None:
        super().__init__(blobs)
        self._broken, self._until = broken, until

    async def read(self, digest: Digest, offset: int, length: int) -> AsyncGenerator[bytes, None]:
        at = offset
        async for piece in super().read(digest, offset, length):
            if digest == self._broken and at >= self._until:
                raise SourceFailed("it broke")
            at += len(piece)
            yield piece


async def eventually(found: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not await asyncio.to_thread(found):
            await asyncio.sleep(0.01)


def unpacked(host: ImageHost, name: str) -> Callable[[], bool]:
    return lambda: any((host.root / "layers" / "snapshots").glob(f"*/fs/{name}"))


@pytest.fixture
def applied(host: ImageHost, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The key of every unpacking, with a plus when it was along with the blob."""
    keys: list[str] = []
    apply = host.layers.apply

    async def noted(key: str, blob: int, compression: str, *, growth: int | None = None) -> Applied:
        keys.append(key.split("-")[0] + "+" * (growth is not None))
        return await apply(key, blob, compression, growth=growth)

    monkeypatch.setattr(host.layers, "apply", noted)
    return keys


async def receive(host: ImageHost, made: Made, *sources: Memory) -> None:
    await host.receiver.receive(Target(made.root, (NAME,)), sources, host.steps.append)


@pytest.mark.parametrize("compress", [False, True])
async def test_files_are_there_before_the_blob_is_whole(host: ImageHost, compress: bool, applied: list[str]) -> None:
    made = Made([FIRST], compress)
    source = Gated(made.blobs, SIZE // 2)
    receiving = asyncio.create_task(receive(host, made, source))
    await source.waiting.wait()
    await eventually(unpacked(host, "first"))
    assert not await asyncio.to_thread(unpacked(host, "last"))
    assert await host.column("SELECT key FROM snapshots WHERE kind = 'committed'") == []
    source.open.set()
    await receiving
    assert applied == ["extract+"]
    assert await asyncio.to_thread(unpacked(host, "last"))
    await host.whole()


async def test_a_layer_does_not_wait_for_the_one_below(host: ImageHost, applied: list[str]) -> None:
    made = Made([FIRST, SECOND])
    source = Gated(made.blobs, SIZE // 2, only=Digest.of(FIRST))
    receiving = asyncio.create_task(receive(host, made, source))
    await eventually(unpacked(host, "second/x"))
    await source.waiting.wait()
    assert await host.column("SELECT kind FROM snapshots WHERE kind = 'committed'") == []
    source.open.set()
    await receiving
    assert sorted(applied) == ["detached+", "extract+"]
    chain = (await host.images.find("web:1")).chain_id
    assert (await host.layers.stat(chain)).parent == str(Digest.of(FIRST))
    await host.whole()


async def test_what_needs_a_look_below_and_what_comes_twice_is_unpacked_from_the_blob(
    host: ImageHost, applied: list[str]
) -> None:
    implied = tar({"no/folder/entry": b"x" * 1000})
    made = Made([FIRST, implied, SECOND, SECOND])
    source = Gated(made.blobs, SIZE // 2, only=Digest.of(FIRST))
    receiving = asyncio.create_task(receive(host, made, source))
    await source.waiting.wait()
    await eventually(lambda: len(applied) == 3)
    source.open.set()
    await receiving
    assert sorted(applied) == ["detached+", "detached+", "extract", "extract", "extract+"]
    await host.whole()


async def test_a_driver_that_does_not_detach_unpacks_from_the_blob(
    host: ImageHost, applied: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host.layers, "detaches", False, raising=False)
    made = Made([FIRST, SECOND])
    source = Gated(made.blobs, SIZE // 2, only=Digest.of(FIRST))
    receiving = asyncio.create_task(receive(host, made, source))
    await source.waiting.wait()
    await eventually(lambda: host.content.blobs.has(Digest.of(SECOND)))
    source.open.set()
    await receiving
    assert applied == ["extract+", "extract"]
    await host.whole()


@pytest.mark.parametrize("compress", [False, True])
async def test_wrong_bytes_at_the_end_leave_nothing(host: ImageHost, compress: bool, applied: list[str]) -> None:
    made = Made([FIRST], compress)
    made.root  # noqa: B018 - the config and the manifest are made
    (digest,) = [Digest.parse(layer["digest"]) for layer in made.manifest["layers"]]
    right = made.blobs[digest]
    wrong = right[:-1] + bytes([right[-1] ^ 1]) if not compress else right[:-4] + bytes(4)
    source = Gated(made.blobs | {digest: wrong}, SIZE // 2)
    receiving = asyncio.create_task(receive(host, made, source))
    await source.waiting.wait()
    await eventually(unpacked(host, "first"))
    source.open.set()
    with pytest.raises(DigestMismatch, match="gave wrong bytes"):
        await receiving
    assert applied == ["extract+"]
    assert await host.column("SELECT key FROM snapshots") == []
    assert await host.column("SELECT root FROM images") == []
    await host.room.make()
    await host.whole()


async def test_a_hostile_layer_is_told_only_when_its_digest_is_right(host: ImageHost, applied: list[str]) -> None:
    """Bytes that are no tar may come from a source that is wrong; the next one may be right."""
    made = Made([FIRST])
    junk = Memory(made.blobs | {Digest.of(FIRST): b"j" * len(FIRST)})
    made.root  # noqa: B018
    junk.blobs |= {digest: data for digest, data in made.blobs.items() if digest != Digest.of(FIRST)}
    await receive(host, made, junk, Memory(made.blobs))
    assert applied == ["extract+", "extract"]
    await host.whole()
    with pytest.raises(InvalidArchive, match="layer sha256:"):
        await host.load(Made([b"k" * 100_000]), NAME)


@pytest.mark.parametrize("compress", [False, True])
async def test_a_source_that_breaks_hands_over_and_the_unpacking_goes_on(
    host: ImageHost, compress: bool, applied: list[str]
) -> None:
    made = Made([FIRST], compress)
    made.root  # noqa: B018
    (digest,) = [Digest.parse(layer["digest"]) for layer in made.manifest["layers"]]
    await receive(host, made, Breaking(made.blobs, digest, SIZE // 2), Memory(made.blobs))
    assert applied == ["extract+"]
    await host.whole()


async def test_what_broke_off_leaves_an_ingest_and_no_snapshot_and_is_unpacked_from_its_beginning(
    host: ImageHost, applied: list[str]
) -> None:
    made = Made([FIRST])
    made.root  # noqa: B018
    with pytest.raises(SourceFailed):
        await receive(host, made, Breaking(made.blobs, Digest.of(FIRST), SIZE // 2))
    assert await host.column("SELECT key FROM snapshots WHERE kind != 'committed'") == []
    assert await host.column("SELECT ref FROM ingests") == [f"blob-{Digest.of(FIRST)}"]
    source = Memory(made.blobs)
    received = await host.receiver.receive(Target(made.root, (NAME,)), [source], host.steps.append)
    assert received.sent < len(FIRST) - SIZE // 2 + 1
    assert applied[-1].endswith("+")
    await host.whole()


async def test_a_cut_while_it_is_unpacked_leaves_no_snapshot_and_no_descriptor(host: ImageHost) -> None:
    made = Made([FIRST, SECOND])
    descriptors = len(os.listdir("/proc/self/fd"))
    for until in (0, SIZE // 3):
        source = Gated(made.blobs, until)
        receiving = asyncio.create_task(receive(host, made, source))
        await source.waiting.wait()
        if until:
            await eventually(unpacked(host, "first"))
        receiving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await receiving
        assert await host.column("SELECT key FROM snapshots") == []
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 2
    await receive(host, made, Memory(made.blobs))
    await host.whole()


async def test_images_that_share_layers_in_other_orders_come_at_once(host: ImageHost) -> None:
    third = tar({"third/": b"", "third/x": os.urandom(100_000)})
    layers = [FIRST, SECOND, third]
    orders = [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1], [0, 1, 2]]
    images = [Made([layers[number] for number in order]) for order in orders]
    blobs: dict[Digest, bytes] = {}
    for made in images:
        made.root  # noqa: B018
        blobs |= made.blobs
    source = Memory(blobs)
    async with asyncio.timeout(40):
        await asyncio.gather(*(receive(host, made, source) for made in images))
    for layer in layers:
        assert source.asked.count(Digest.of(layer)) == 1
    chains = 3 + 2 + 2 + 2  # the first and the last are one image; the fourth shares its lowest layer with them
    assert await host.column("SELECT COUNT(*) FROM snapshots WHERE kind = 'committed'") == [chains + 2]
    await host.whole()


async def test_no_more_than_a_bound_are_unpacked_at_once(host: ImageHost, monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = most = 0
    apply = host.layers.apply

    async def counted(*arguments: Any, **named: Any) -> Applied:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        try:
            return await apply(*arguments, **named)
        finally:
            at_once -= 1

    monkeypatch.setattr(host.layers, "apply", counted)
    images = [Made([tar({f"{one}-{number}": os.urandom(300_000)}) for number in range(3)]) for one in range(6)]
    await asyncio.gather(*(receive(host, made, Memory(made.blobs)) for made in images))
    assert 1 < most <= unpacking.FOLLOWERS + unpacking.STORED
    await host.whole()


async def test_a_follower_that_comes_too_late_gives_up_at_once(host: ImageHost, tmp_path: Path) -> None:
    """Two at work on one ChainID: the second waits for nothing, since it would keep descriptors open."""
    made = Made([FIRST])
    source = Gated(made.blobs, SIZE // 2)
    receiving = asyncio.create_task(receive(host, made, source))
    await source.waiting.wait()
    await eventually(unpacked(host, "first"))
    growth = Growth(os.open(os.devnull, os.O_RDONLY), 1)
    try:
        layer = made.root
        followed = await host.unpacker.follow(
            [Digest.of(FIRST)], Digest.of(FIRST), layer, "none", growth, asyncio.Event()
        )
    finally:
        growth.stop()
        growth.close_reader()
    assert not followed
    source.open.set()
    await receiving
