"""export: the whole file system of a container as a stream of tar.

Guarantees: the container may run and start and stop meanwhile, nobody waits for a slow reader; memory is a pipe and one
piece, whatever the size; a caller who goes away ends the child that writes, and nothing stays mounted. What is mounted
into a container (volumes, ``/proc``, ``/dev``) is not part of its file system, the folders they lie on are. The files
of a running container are read while it writes: pause it for a moment in time.

A container that does not run has no mount. It gets one, at the place that it runs from, until the child has made the
tree its root: so a start finds the place free, and an agent that dies here leaves what its next start clears away.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from jackstay_agent import faults
from jackstay_agent.containers import state
from jackstay_agent.containers.engine import Engine
from jackstay_agent.containers.releasing import delete_bundle
from jackstay_agent.containers.telling import tell
from jackstay_agent.errors import WrongState
from jackstay_agent.kernel.readiness import readable
from jackstay_agent.kernel.threads import acquire, finish, to_end
from jackstay_agent.metadata.containers import ContainerRow

JOB = "jackstay_agent.containers.export_tree:write_tree"
PIECE = 1 << 20


async def export(engine: Engine, text: str) -> AsyncGenerator[bytes, None]:
    """The file system of the container that *text* means (id, start of one, name), in pieces of at most 1 MiB.

    Raises `NotFound`, `Ambiguous`, `WrongState` for one that is being removed, `Busy` when a file became shorter while
    it was read, `InvalidArgument` for an owner that no layer can have.
    """
    found = await engine.find(text)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # a lower limit for pipes only makes smaller pieces
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIECE)
    os.set_blocking(reading, False)
    writer: asyncio.Future[None] | None = None
    try:
        async with engine.entry(found.id).lock, mounted_root(engine, await engine.get(found.id)) as root:
            writer = asyncio.ensure_future(_write(engine, root, found.id, writing))
            writer.add_done_callback(lambda _writer: os.close(writing))
            piece = await read_piece(reading)  # when it has come, the child has the tree for its own
        await tell(engine, engine.entry(found.id), found, "export")
        while piece:
            yield piece
            piece = await read_piece(reading)
        await asyncio.shield(writer)
    finally:
        os.close(reading)
        if writer is None:
            os.close(writing)
        else:
            writer.cancel()
            await to_end(asyncio.wait([writer]))
            if not writer.cancelled():
                writer.exception()  # taken, when the caller has gone


@asynccontextmanager
async def mounted_root(engine: Engine, row: ContainerRow) -> AsyncIterator[str]:
    """Where the container's root is mounted, for the block; for a caller that holds the container's lock.

    Raises `WrongState` when it is being removed.
    """
    if row.state in ("removing", "dead"):
        raise WrongState(f"you cannot read container {row.id} which is being removed")
    root = engine.layout.rootfs(row.id)
    if state.is_live(row.state):
        yield root
        return
    there = await finish(_make_folders, root)
    try:
        await engine.snapshotter.mount(row.snapshot, root)
        faults.point("containers.export.mounted")
        yield root
    finally:
        await to_end(_unmount(engine, row.id, root, there))


async def _unmount(engine: Engine, container: str, root: str, there: bool) -> None:
    await engine.snapshotter.unmount(root)
    if not there:
        await finish(delete_bundle, engine.layout.bundle(container))


def _make_folders(root: str) -> bool:
    """Make the folder *root* in its bundle; whether the bundle was there, as it is of a container that has run."""
    bundle = os.path.dirname(root)
    there = os.path.exists(bundle)
    if not there:
        os.makedirs(bundle, mode=0o700)
    with contextlib.suppress(FileExistsError):
        os.mkdir(root, 0o755)
    return there


async def _write(engine: Engine, root: str, container: str, writing: int) -> None:
    """Have a child write the tree to *writing*; with the owners that the container sees."""
    opened = [await acquire(os.open, os.close, root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)]
    try:
        with contextlib.suppress(FileNotFoundError):
            path = engine.layout.userns(container)
            opened.append(await acquire(os.open, os.close, path, os.O_RDONLY | os.O_CLOEXEC))
        folder, *users = opened
        await engine.jobs.run(JOB, None, [folder, writing, *users])
    finally:
        for descriptor in opened:
            os.close(descriptor)


async def read_piece(descriptor: int) -> bytes:
    """The next piece that comes from the pipe *descriptor*, which does not block; empty at its end."""
    while True:
        try:
            return os.read(descriptor, PIECE)
        except BlockingIOError:
            await readable(descriptor)
