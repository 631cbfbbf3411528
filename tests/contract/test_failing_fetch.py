"""A fetch that fails in the middle is told as what it is, by a real agent's service to the real controller."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from jackstay.client.agent import AgentClient
from jackstay.client.calls import Calls
from jackstay.client.messages import VersionReply
from jackstay.copying.serve import serve
from jackstay.copying.sources import Blob, SourceImage
from jackstay.errors import AgentError
from jackstay.inventory.host import local_host
from jackstay.tunnel.local import LocalTunnel
from jackstay_agent.errors import DiskFull
from jackstay_agent.fetch.source import Source
from jackstay_agent.rpc.images import ImagesService
from jackstay_agent.rpc.lanes import SUFFIX, Lanes
from jackstay_oci.digest import Digest
from tests.unit.agent.rpc.served import served

DIGESTS = [Digest.of(bytes([number])) for number in range(3)]
MIB = 1 << 20


class Full:
    """A receiver, and what says what may come to it, whose disk is full after three pieces of each of three layers."""

    def accept_relayed(self, target: Any) -> None:
        """Everything may come."""

    async def receive(self, target: Any, sources: Sequence[Source], report: Any, ask: Any = None) -> Any:
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


@pytest.mark.parametrize("way", ["stream", "lane"])
async def test_a_full_disk_is_told_however_much_is_under_way(tmp_path: Path, way: str) -> None:
    nothing: Any = None
    lanes = Lanes()
    full: Any = Full()
    service = ImagesService(nothing, nothing, full, full, nothing, nothing, nothing, nothing, "", nothing, lanes)
    root = Blob(str(Digest.of(b"root")), 9, "m")
    image = SourceImage(root, (), tuple(Blob(str(digest), 200 * MIB) for digest in DIGESTS))
    async with (
        served(tmp_path, lanes=lanes, images=service) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        tunnel = LocalTunnel(address.removeprefix("unix:"))
        agent = AgentClient(local_host(tunnel.socket_path), VersionReply(), tunnel, channel, Calls("web1"))
        if way == "stream":
            await asyncio.to_thread(os.unlink, tunnel.socket_path + SUFFIX)
        for _ in range(25):
            async with agent.lane() as lane:
                assert (lane is not None) == (way == "lane")
                with pytest.raises(AgentError, match="no space left for layer x") as caught:
                    await asyncio.wait_for(serve(agent, Zeros(), [image], lane=lane), 10)  # type: ignore[arg-type]
                assert (caught.value.reason, caught.value.hint) == ("DISK_FULL", "free some")
        assert lanes._joined == {}
