"""Who waits for cp. What it copies is in `contract/test_copied_trees.py` and `fleet/test_copying_files.py`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from jackstay_agent.containers import copies, identity

STARTED = identity.started(os.getpid())


class Hanging:
    """A container that runs, and in which a file system hangs: an engine of which only cp's part is there."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.jobs = self
        self._row = SimpleNamespace(id="c", state="running", pid=os.getpid(), pid_start=STARTED)
        self._entry = SimpleNamespace(lock=asyncio.Lock(), over=asyncio.Event())

    async def find(self, _text: str) -> Any:
        return self._row

    get = find

    def entry(self, _container: str) -> Any:
        return self._entry

    async def run(self, _job: str, _argument: object, descriptors: list[int]) -> None:
        for descriptor in descriptors:
            os.fstat(descriptor)  # they are good
        self.asked.set()
        await asyncio.Event().wait()


async def stat(engine: Any) -> None:
    await copies.stat_path(engine, "c", b"/x", follow=False)


async def copy_from(engine: Any) -> None:
    async for _piece in copies.copy_from(engine, "c", b"/x", follow=False):
        pass


async def copy_to(engine: Any) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b""

    await copies.copy_to(engine, "c", b"/x", pieces(), lambda: None)


@pytest.mark.parametrize("copy", [stat, copy_from, copy_to])
async def test_a_container_whose_files_hang_can_be_stopped(copy: Any) -> None:
    engine = Hanging()
    work: Coroutine[Any, Any, None] = copy(engine)
    copying = asyncio.ensure_future(work)
    await engine.asked.wait()
    assert not engine.entry("c").lock.locked()
    copying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await copying
