"""A full disk: one clear error, nothing half done, images can still be removed, and a retry resumes."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jackstay.client import AgentClient, connect
from jackstay.client import messages as m
from jackstay.copying.archive_source import ArchiveSource
from jackstay.copying.serve import Fetched, serve
from jackstay.errors import AgentError
from jackstay.inventory.host import Host as Address
from tests.lab.archives import write_archive
from tests.lab.images import synthetic
from tests.lab.lab import Lab

pytestmark = [pytest.mark.lab, pytest.mark.timeout(120)]

MIB = 1 << 20


@contextlib.asynccontextmanager
async def agent_of(lab: Lab) -> AsyncIterator[AgentClient]:
    socket = str(lab.hosts["web1"].agent.socket)
    async with await connect(Address(name="web1", address="", socket=socket, kind="local")) as agent:
        yield agent


async def load(lab: Lab, archive: Path) -> Fetched:
    source = await ArchiveSource.open(str(archive), archive.name, {"XDG_CACHE_HOME": str(archive.parent)})
    try:
        async with agent_of(lab) as agent:
            return await serve(agent, source, await source.images(all=True))
    finally:
        await source.close()


async def fails(lab: Lab, archive: Path) -> None:
    with pytest.raises(AgentError, match="no space left") as caught:
        await load(lab, archive)
    assert (caught.value.reason, bool(caught.value.hint)) == ("DISK_FULL", True)


async def usage(lab: Lab) -> dict[str, int]:
    """How many there are of each kind, and bytes of partial ingests."""
    async with agent_of(lab) as agent:
        told = (await agent.system.disk_usage(m.DiskUsageRequest())).usage
    return {line.type: line.total for line in told} | {"partial": next(u.size for u in told if "Partial" in u.type)}


def fill(folder: Path) -> Path:
    """Take every byte that is left."""
    with contextlib.suppress(OSError), (folder / "filler").open("ab", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return folder / "filler"


def test_full_while_loading_and_while_removing(tmp_path: Path) -> None:
    small = write_archive(tmp_path / "small.archive", [synthetic(tmp_path, 4 * MIB, name="small:1")])
    big = write_archive(tmp_path / "big.archive", [synthetic(tmp_path, 24 * MIB, name="big:1")])

    async def story(lab: Lab) -> None:
        state = lab.hosts["web1"].path("/var/lib/jackstay")
        await load(lab, small)
        ballast = state / "ballast"
        ballast.write_bytes(bytes(58 * MIB))
        for _ in range(2):
            await fails(lab, big)
            told = await usage(lab)
            assert (told["Images"], told["Partial Ingests"]) == (1, 1)
            assert told["partial"] > 0

        ballast.unlink()
        # All of it goes over the wire but what had come: the ingest was kept and was resumed.
        sent = (await load(lab, big)).done.bytes_sent
        assert sent < 25 * MIB - told["partial"]
        assert (await usage(lab))["Partial Ingests"] == 0

        filler = fill(state)
        async with agent_of(lab) as agent:
            for image in ("small:1", "big:1"):
                await agent.images.tag(m.TagRequest(source=image, target="other:1"))
                await agent.images.remove(m.RemoveImageRequest(image=image))
                removed = await agent.images.remove(m.RemoveImageRequest(image="other:1"))
                assert any(line.deleted for line in removed.removed)
                fill(state)  # what was freed is taken by somebody else at once
        await fails(lab, small)
        assert (await usage(lab))["Images"] == 0
        os.unlink(filler)
        await load(lab, small)

        for boot in (None, "another boot of the same length, almost"[:36]):
            if boot is not None:
                (state / "boot_id").write_text(boot)
            fill(state)
            lab.hosts["web1"].agent.kill()
            lab.hosts["web1"].agent.start()
            assert (await usage(lab))["Images"] == 1

    with Lab(1, state_size="96m") as lab:  # a tmpfs
        asyncio.run(story(lab))
        assert "level=error" not in lab.hosts["web1"].log_text()
