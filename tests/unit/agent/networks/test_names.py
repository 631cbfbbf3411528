"""What the agent does when the nameserver of containers cannot be had."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jackstay_agent.kernel.programs import Completed
from jackstay_agent.networks import names
from jackstay_agent.networks.names import Names


class Rows:
    """A database with one network where somebody is."""

    async def read(self, _work: object) -> dict[str, str]:
        return {"a" * 64: "192.0.2.1\n"}


class Refused:
    """An aardvark-dns that does not start."""

    def __init__(self) -> None:
        self.ran: asyncio.Queue[list[str]] = asyncio.Queue()

    async def run(self, argv, *, stdin: bytes = b"", timeout: float = 60.0, cwd: str | None = None) -> Completed:
        await self.ran.put(list(argv))
        return Completed(1, b"", b"Address in use\n")


async def test_files_that_cannot_be_written_stop_nobody(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("no folder")
    server = Names(Rows(), Refused(), str(tmp_path))  # type: ignore[arg-type]
    await server.follow()
    assert not server.serves


async def test_one_that_ended_is_started_until_it_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_PAUSE", 0.001)
    refused = Refused()
    server = Names(Rows(), refused, str(tmp_path))  # type: ignore[arg-type]
    server._ended()
    async with asyncio.timeout(10):
        for _ in range(3):
            assert "--config" in await refused.ran.get()
    server.close()
    assert server._again is not None
    await asyncio.wait([server._again])
