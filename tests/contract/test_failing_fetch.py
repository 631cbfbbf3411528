"""A fetch that fails in the middle is told as what it is, by a real agent's service to the real controller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from jackstay.client.calls import Calls
from jackstay.copying.serve import serve
from jackstay.copying.sources import Blob, SourceImage
from jackstay.errors import AgentError
from jackstay_agent.errors import DiskFull
from jackstay_agent.fetch.source import Source
from jackstay_agent.rpc.images import ImagesService
from jackstay_oci.digest import Digest
from jackstay_proto.v1 import images_pb2_grpc
from tests.unit.agent.rpc.served import served

DIGESTS = [Digest.of(bytes([number])) for number in range(3)]
MIB = 1 << 20


class Full:
    """A receiver whose disk is full after three pieces of each of three layers."""

    async def receive(self, target: Any, sources: Sequence[Source], report: Any) -> Any:
        async def one(digest: Digest) -> None:
            async with aclosing(sources[0].read(digest, 0, 200 * MIB)) as pieces:
                for _ in range(3):
                    await anext(pieces)
            raise DiskFull("no space left for layer x", hint="free some")

        await asyncio.gather(*map(one, DIGESTS))


class Zeros:
    name, via = "zeros", "archive"

    async def read(self, digest: str, offset: int, length: int) -> AsyncIterator[bytes]:
        for _ in range(0, length, MIB):
            await asyncio.sleep(0)
            yield bytes(MIB)


async def test_a_full_disk_is_told_however_much_is_under_way(tmp_path: Path) -> None:
    nothing: Any = None
    service = ImagesService(nothing, nothing, Full(), nothing, nothing, nothing, "", nothing)  # type: ignore[arg-type]
    root = Blob(str(Digest.of(b"root")), 9, "m")
    image = SourceImage(root, (), tuple(Blob(str(digest), 200 * MIB) for digest in DIGESTS))
    async with served(tmp_path, images=service) as address, grpc.aio.insecure_channel(address) as channel:
        stub = images_pb2_grpc.ImagesStub(channel)

        class Agent:
            host = type("Host", (), {"name": "web1"})()
            images = type("Images", (), {"fetch": lambda self: Calls("web1").bidi(stub.Fetch)})()

        for _ in range(25):
            with pytest.raises(AgentError, match="no space left for layer x") as caught:
                await asyncio.wait_for(serve(Agent(), Zeros(), [image]), 10)  # type: ignore[arg-type]
            assert (caught.value.reason, caught.value.hint) == ("DISK_FULL", "free some")
