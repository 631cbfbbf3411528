"""cp: what a path of a container is, and files out of a container and into it, as streams of tar.

Guarantees: the container may run, be paused, or not run; volumes, binds and, of a running one, file systems in memory
are where its processes see them. Nobody waits for a slow reader or writer, nor for a file system of a running container
that hangs; only who wants to start a stopped container that is copied into, while something comes. Memory is a pipe and
one piece, whatever the size. A caller who goes away ends the child that reads or writes, and nothing stays mounted;
what was written until then stays, as with Docker.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from jackstay_agent.containers import copy_in, copy_out, identity, mounting, state
from jackstay_agent.containers.engine import Engine, Entry, settings_of
from jackstay_agent.containers.exporting import PIECE, mounted_root, read_piece
from jackstay_agent.containers.spec_mounts import MemoryMount, ResolvedMount
from jackstay_agent.containers.telling import tell
from jackstay_agent.errors import Busy, WrongState
from jackstay_agent.kernel.readiness import writable
from jackstay_agent.kernel.threads import acquire, to_end
from jackstay_agent.metadata.containers import ContainerRow

PATIENCE = 30.0
"""Seconds that a sender may send nothing for a container that does not run while others wait for it."""

PathStat = dict[str, Any]
"""The fields of the protocol's message of that name."""


@dataclass(frozen=True, slots=True)
class _View:
    """What `container_root.enter` takes."""

    argument: dict[str, Any]
    descriptors: list[int]


async def stat_path(engine: Engine, text: str, path: bytes, *, follow: bool) -> PathStat | None:
    """What *path* is in the container that *text* means; None when nothing is there.

    Raises `NotFound`, `Ambiguous` for the container, `WrongState` for one that is being removed, `InvalidArgument`.
    """
    found = await engine.find(text)
    async with _held(engine, found.id) as view:
        told: PathStat | None = await engine.jobs.run(
            copy_out.STAT, {**view.argument, "path": path, "follow": follow}, view.descriptors
        )
    return told


async def copy_from(engine: Engine, text: str, path: bytes, *, follow: bool) -> AsyncGenerator[PathStat | bytes, None]:
    """What *path* is, then a tar of it in pieces of at most 1 MiB.

    Raises as `stat_path`, and `NotFound` for the path, `Busy` when a file became shorter while it was read.
    """
    found = await engine.find(text)
    entry = engine.entry(found.id)
    reading, writing = _pipe()
    os.set_blocking(reading, False)
    job: asyncio.Future[Any] | None = None
    try:
        async with _held(engine, found.id) as view:
            argument = {**view.argument, "path": path, "follow": follow}
            job = asyncio.ensure_future(engine.jobs.run(copy_out.WRITE, argument, [writing, *view.descriptors]))
            job.add_done_callback(lambda _job: os.close(writing))
            piece = await read_piece(reading)  # when it has come, the child has the files for its own
        await tell(engine, entry, found, "archive-path")
        while piece and (len(piece) < 4 or len(piece) < 4 + int.from_bytes(piece[:4], "big")):
            more = await read_piece(reading)
            if not more:
                break
            piece += more
        if piece:
            end = 4 + int.from_bytes(piece[:4], "big")
            yield msgspec.msgpack.decode(piece[4:end])
            piece = piece[end:] or await read_piece(reading)
        while piece:
            yield piece
            piece = await read_piece(reading)
        await asyncio.shield(job)
    finally:
        os.close(reading)
        if job is None:
            os.close(writing)
        else:
            await _end(job)


async def copy_to(
    engine: Engine,
    text: str,
    path: bytes,
    pieces: AsyncIterator[bytes],
    begun: Callable[[], None],
    *,
    keep_owner: bool = False,
) -> None:
    """Unpack the tar that *pieces* are in the folder *path*; the files are root's, or with *keep_owner* the tar's.

    *begun* is called when the folder is there and can be written to.

    Raises as `stat_path`, and `NotFound` for the path, `InvalidArchive`, `DiskFull`; `WrongState` when it is read-only,
    or the container ended meanwhile; `Busy` when a sender who has stalled keeps others from a container.
    """
    found = await engine.find(text)
    entry = engine.entry(found.id)
    async with AsyncExitStack() as lock, AsyncExitStack() as held:
        await lock.enter_async_context(entry.lock)
        over = entry.over
        row = await engine.get(found.id)
        view = await held.enter_async_context(_seen(engine, row))
        if state.is_live(row.state):
            await lock.aclose()
        reading, writing, told, telling = _pipes()
        os.set_blocking(writing, False)
        os.set_blocking(told, False)
        argument = {**view.argument, "path": path, "keep_owner": keep_owner}
        job = asyncio.ensure_future(engine.jobs.run(copy_in.EXTRACT, argument, [reading, telling, *view.descriptors]))
        job.add_done_callback(lambda _job: _close([reading, telling]))
        ended = asyncio.ensure_future(over.wait() if state.is_live(row.state) else asyncio.Event().wait())
        feeding: asyncio.Future[None] | None = None
        try:
            if not await _begun(job, told):
                await job
            if state.is_live(row.state):
                await held.aclose()
            begun()
            if not state.is_live(row.state):
                pieces = _while_none_waits(pieces, entry, row)
            feeding = asyncio.ensure_future(_feed(pieces, writing))
            await asyncio.wait({job, ended, feeding}, return_when=asyncio.FIRST_COMPLETED)
            if feeding.done():
                feeding.result()
                os.close(writing)
                writing = -1
                await asyncio.wait({job, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not job.done():
                raise WrongState(f"container {row.id} ended while files were copied to it", hint="copy again")
            job.result()
            await tell(engine, entry, found, "extract-to-dir")
        finally:
            await to_end(_stop(job, ended, feeding))
            os.close(told)
            if writing >= 0:
                os.close(writing)


async def _begun(job: asyncio.Future[Any], told: int) -> bool:
    """Wait until the child tells that it has begun; False when it ended instead."""
    telling = asyncio.ensure_future(read_piece(told))
    try:
        await asyncio.wait({job, telling}, return_when=asyncio.FIRST_COMPLETED)
        return telling.done() and bool(telling.result())
    finally:
        await _end(telling)


async def _while_none_waits(pieces: AsyncIterator[bytes], entry: Entry, row: ContainerRow) -> AsyncIterator[bytes]:
    """*pieces*, until none comes for `PATIENCE` seconds and somebody waits to do something with *row*'s container.

    Raises `Busy` then.
    """
    while True:
        coming = asyncio.ensure_future(anext(pieces, None))
        try:
            while not (await asyncio.wait([coming], timeout=PATIENCE))[0]:
                if entry.lock.wanted:
                    raise Busy(
                        f"the copy to container {row.id} was broken off: nothing came for {PATIENCE:.0f} s,"
                        " and others wait for the container",
                        hint="copy again",
                    )
        finally:
            await _end(coming)
        if (piece := coming.result()) is None:
            return
        yield piece


async def _feed(pieces: AsyncIterator[bytes], writing: int) -> None:
    """Write *pieces* to the pipe as fast as it is emptied. No error when nobody reads any more: the child tells why."""
    async for piece in pieces:
        with memoryview(piece) as view:
            done = 0
            while done < len(view):
                try:
                    done += os.write(writing, view[done:])
                except BlockingIOError:
                    await writable(writing)
                except BrokenPipeError:
                    return


async def _stop(*work: asyncio.Future[Any] | None) -> None:
    for each in work:
        if each is not None:
            await _end(each)


async def _end(work: asyncio.Future[Any]) -> None:
    """Cancel *work* and wait for its end."""
    work.cancel()
    await to_end(asyncio.wait([work]))
    if not work.cancelled():
        work.exception()  # taken, when the caller has gone


@asynccontextmanager
async def _held(engine: Engine, container: str) -> AsyncIterator[_View]:
    """`_seen` of *container*, under its lock; but nobody waits for a file system of one that runs, which may hang."""
    async with AsyncExitStack() as lock:
        await lock.enter_async_context(engine.entry(container).lock)
        row = await engine.get(container)
        async with _seen(engine, row) as view:
            if state.is_live(row.state):
                await lock.aclose()
            yield view


@asynccontextmanager
async def _seen(engine: Engine, row: ContainerRow) -> AsyncIterator[_View]:
    """What the child needs to see *row*'s files as the container does; for a caller that holds its lock."""
    async with AsyncExitStack() as held:
        if state.is_live(row.state):
            argument: dict[str, Any] = {"live": True}
            descriptors = await acquire(_open_live, _close, row)
        else:
            settings = settings_of(row)
            root = await held.enter_async_context(mounted_root(engine, row))
            mounts = await held.enter_async_context(mounting.mounted(engine, row.id, settings, root))
            argument = {"live": False, "read_only": settings.read_only, "mounts": _bound(mounts)}
            descriptors = [await acquire(os.open, os.close, root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)]
        try:
            yield _View(argument, descriptors)
        finally:
            _close(descriptors)


def _bound(mounts: Sequence[ResolvedMount | MemoryMount]) -> list[list[Any]]:
    """Volumes and binds, outer ones first. Memory has nothing in it while the container does not run."""
    found = [mount for mount in mounts if isinstance(mount, ResolvedMount)]
    found.sort(key=lambda mount: mount.target.count("/"))
    return [[mount.source, mount.target, mount.read_only, mount.recursive, mount.folder] for mount in found]


def _open_live(row: ContainerRow) -> list[int]:
    """Descriptors of the mount namespace and root of *row*'s first process, and of its user namespace if not ours."""
    process = f"/proc/{row.pid}"
    opened: list[int] = []
    try:
        opened.append(os.open(f"{process}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC))
        opened.append(os.open(f"{process}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        if not os.path.samestat(os.stat(f"{process}/ns/user"), os.stat("/proc/self/ns/user")):
            opened.append(os.open(f"{process}/ns/user", os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        _close(opened)
        raise WrongState(f"container {row.id} has just ended", hint="copy again") from error
    if not identity.is_alive(row.pid, row.pid_start):  # what was opened may be another process's
        _close(opened)
        raise WrongState(f"container {row.id} has just ended", hint="copy again")
    return opened


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _pipes() -> tuple[int, int, int, int]:
    """A pipe for pieces and one for a word, each the end to read from and the one to write to."""
    pieces = _pipe()
    try:
        return *pieces, *os.pipe2(os.O_CLOEXEC)
    except OSError:
        _close(pieces)
        raise


def _pipe() -> tuple[int, int]:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # a lower limit for pipes only makes smaller pieces
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIECE)
    return reading, writing
