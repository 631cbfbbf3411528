"""Who waits for cp. What it copies is in `contract/test_copied_trees.py` and `fleet/test_copying_files.py`."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from jackstay_agent.containers import copies, identity
from jackstay_agent.containers.engine import Lock
from jackstay_agent.errors import Busy

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


class Stopped(Hanging):
    """A container that does not run; the child that unpacks reads nothing and never ends."""

    def __init__(self) -> None:
        super().__init__()
        self._row.state = "exited"
        self._entry.lock = Lock()

    async def run(self, _job: str, _argument: object, descriptors: list[int]) -> None:
        os.write(descriptors[1], b"1")  # it has begun
        await asyncio.Event().wait()


@asynccontextmanager
async def seen(*_of: object) -> AsyncIterator[Any]:
    yield copies._View({}, [])


async def test_a_sender_who_has_stalled_keeps_nobody_from_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_seen", seen)
    monkeypatch.setattr(copies, "PATIENCE", 0.01)
    engine, begun = Stopped(), asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield b"the beginning"
        await asyncio.Event().wait()

    copying = asyncio.ensure_future(copies.copy_to(engine, "c", b"/x", pieces(), begun.set))  # type: ignore[arg-type]
    await begun.wait()
    await asyncio.sleep(0.1)
    assert not copying.done()  # while nobody waits, it may take its time
    lock = engine.entry("c").lock
    async with asyncio.timeout(5), lock:
        pass
    with pytest.raises(Busy, match="nothing came for"):
        await copying


async def test_without_a_descriptor_for_the_second_pipe_the_first_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "_seen", seen)
    pipes = [os.pipe2(os.O_CLOEXEC)]

    def pipe2(_flags: int) -> tuple[int, int]:
        if not pipes:
            raise OSError(errno.EMFILE, "Too many open files")
        return pipes.pop()

    (first,) = pipes
    monkeypatch.setattr(os, "pipe2", pipe2)
    with pytest.raises(OSError, match="Too many"):
        await copy_to(Stopped())
    for descriptor in first:
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(descriptor)
