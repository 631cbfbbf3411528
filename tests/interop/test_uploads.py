"""Uploads to the real registry, also over connections that break."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest

from jackstay_oci.digest import Digest
from jackstay_oci.registry import uploading
from jackstay_oci.registry.client import RegistryClient, connect
from jackstay_oci.registry.retrying import Patience
from jackstay_oci.registry.tokens import AnonymousAuthorizer
from tests.registries.distribution import Distribution
from tests.unit.oci.registry.uploads import FromBytes

MIB = 1 << 20


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distribution]:
    with Distribution(tmp_path_factory.mktemp("registry")) as running:
        yield running


@asynccontextmanager
async def client_of(name: str) -> AsyncIterator[RegistryClient]:
    client = await connect(name, AnonymousAuthorizer(), patience=Patience(first_pause=0.01))
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def breaking(registry: Distribution, every: int, times: int) -> AsyncIterator[str]:
    """The address of a way to *registry* whose connection breaks after *every* bytes, so many *times*."""
    left, broken = every, 0
    tasks: set[asyncio.Task[None]] = set()

    async def pump(source: asyncio.StreamReader, to: asyncio.StreamWriter, *, counted: bool) -> None:
        nonlocal left, broken
        with suppress(OSError):
            while data := await source.read(1 << 16):
                if counted and broken < times:
                    left -= len(data)
                    if left < 0:
                        left, broken = every, broken + 1
                        to.transport.abort()
                        return
                to.write(data)
                await to.drain()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_registry, from_us = await asyncio.open_connection("127.0.0.1", registry.port)
        both = [
            asyncio.ensure_future(pump(reader, from_us, counted=True)),
            asyncio.ensure_future(pump(to_registry, writer, counted=False)),
        ]
        tasks.update(both)
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in both:
                each.cancel()
            for end in (writer, from_us):
                end.transport.abort()

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert broken == times
    finally:
        server.close()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("size", [0, MIB, 10 * MIB], ids=["nothing", "one request", "chunks"])
async def test_a_blob_comes_to_be_there(registry: Distribution, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(uploading, "CHUNK", 3 * MIB)
    reader = FromBytes(os.urandom(size))
    async with client_of(registry.name) as client:
        await client.upload("team/app", reader.descriptor, reader)
        assert await client.has_blob("team/app", reader.descriptor.digest)
    assert await asyncio.to_thread(registry.blobs()[reader.descriptor.digest].read_bytes) == reader.data


async def test_a_blob_comes_to_be_there_over_connections_that_break(
    registry: Distribution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "CHUNK", 3 * MIB)
    reader = FromBytes(os.urandom(20 * MIB))
    async with breaking(registry, 4 * MIB, 3) as way, client_of(way) as client:
        await client.upload("team/app", reader.descriptor, reader)
    assert await asyncio.to_thread(registry.blobs()[reader.descriptor.digest].read_bytes) == reader.data


async def test_a_blob_of_another_repository_is_mounted_and_one_that_is_not_there_is_not(registry: Distribution) -> None:
    reader = FromBytes(os.urandom(1000))
    async with client_of(registry.name) as client:
        await client.upload("team/base", reader.descriptor, reader)
        assert await client.mount("team/other", reader.descriptor.digest, "team/base")
        assert await client.has_blob("team/other", reader.descriptor.digest)
        assert not await client.mount("team/other", Digest.of(b"not there"), "team/base")
    asked = await asyncio.to_thread(registry.requests)
    assert (asked[-1].method, asked[-1].status) == ("DELETE", 204)  # of the upload that stood for the mount
