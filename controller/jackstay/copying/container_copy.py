"""``cp`` with one agent: files out of a container and into it, as a tar that nothing keeps.

The rules of where things go are in `container_paths`; here are the looks that they need, and the streams.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from jackstay.client import messages
from jackstay.copying import local_extract, local_tar
from jackstay.copying.container_paths import STREAM, Ends, Facts, asserts_folder, plan, split_entry
from jackstay.copying.piping import PipeWriter, consumed, produced
from jackstay.errors import InvalidArgument
from jackstay_oci.archives.spool import unnamed
from jackstay_oci.compression import Peeked, decompressing, detect
from jackstay_oci.reading import DescriptorReader
from jackstay_oci.store.disk_errors import full_disk_named

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from jackstay.client import AgentClient
    from jackstay.copying.pouring import Write
    from jackstay.copying.progress import HostProgress

Produce = Callable[[PipeWriter], None]


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied. ``path``: where to. ``size``: bytes of the tar."""

    path: str
    size: int


async def to_container(
    agent: AgentClient, ends: Ends, stream: Produce | None, progress: HostProgress, *, follow: bool, keep_owner: bool
) -> Copied:
    """Copy the local side into the container.

    Args:
        stream: writes the tar, when the local side is one (``STREAM``).
        follow: a link at the end of the local path.

    Raises:
        NotFound, InvalidArgument: see `container_paths.plan`; the container, or a folder in it, is not there.
        Error: what the agent raises, or reading the local side.
    """
    target = await _destination(agent, ends)
    if stream is not None:
        if not target.is_folder:
            raise InvalidArgument(f'destination "{ends.container}:{ends.path}" must be a directory')
        folder, produce = target.path, stream
    else:
        real, is_folder = local_tar.look(ends.local, follow=follow)
        planned = plan(Facts(ends.local, True, is_folder), target)
        folder, produce = planned.folder, partial(local_tar.write_tar, real, planned.name)
    size = 0
    start = messages.CopyToStart(container=ends.container, path=os.fsencode(folder), keep_owner=keep_owner)
    async with agent.containers.copy_to() as call:
        await call.write(messages.CopyToRequest(start=start))
        replies = aiter(call)
        await anext(replies)
        stop = asyncio.Event()
        ended = asyncio.create_task(_end(replies, stop))
        try:
            async with aclosing(produced(produce)) as pieces:
                async for piece in pieces:
                    if stop.is_set():
                        break
                    await call.write(messages.CopyToRequest(data=piece))
                    size += len(piece)
                    progress.current = size
            await call.done_writing()
            await ended
        finally:
            ended.cancel()
            await asyncio.gather(ended, return_exceptions=True)
    return Copied(f"{ends.container}:{ends.path}", size)


async def from_container(
    agent: AgentClient, ends: Ends, write: Write | None, progress: HostProgress, *, follow: bool, keep_owner: bool
) -> Copied:
    """Copy the container's side to the local one, or to *write*.

    Raises:
        NotFound, InvalidArgument: see `container_paths.plan` and `local_extract.look`.
        Error: what the agent raises, or writing the local side.
    """
    request = messages.CopyFromRequest(container=ends.container, path=os.fsencode(ends.path), follow_link=follow)
    size = 0
    async with aclosing(agent.containers.copy_from(request)) as replies:
        found = (await anext(replies)).stat

        async def feed(put: Write) -> None:
            nonlocal size
            async for reply in replies:
                await put(memoryview(reply.data))
                size += len(reply.data)
                progress.current = size

        if write is not None:
            await feed(write)
            return Copied(STREAM, size)
        path = "/" + ends.path.lstrip("/")  # which is how the agent takes a relative one
        planned = plan(Facts(path, True, stat.S_ISDIR(found.mode)), local_extract.look(ends.local))
        rebase = (split_entry(path)[1], planned.name)
        await consumed(partial(_extract, planned.folder, rebase, keep_owner=keep_owner), feed)
    return Copied(ends.local, size)


async def _end(replies: AsyncIterator[messages.CopyToReply], stop: asyncio.Event) -> None:
    """Wait until the agent ends the call; set *stop* when it wants no more. Raises its error."""
    async for reply in replies:
        if reply.stop:
            stop.set()


def _extract(folder: str, rebase: tuple[str, str], source: int, *, keep_owner: bool) -> None:
    local_extract.extract(source, folder, rebase, keep_owner=keep_owner)


async def _destination(agent: AgentClient, ends: Ends) -> Facts:
    """The destination in the container; a link at its end is followed."""
    path = ends.path
    found = await _stat(agent, ends.container, path)
    if found is not None and stat.S_ISLNK(found.mode):
        path = os.fsdecode(found.link_target) + ("/" if asserts_folder(path) else "")
        found = await _stat(agent, ends.container, path)
    if found is None:
        return Facts(path, False)
    if not (stat.S_ISDIR(found.mode) or stat.S_ISREG(found.mode)):
        raise InvalidArgument(f'destination "{ends.container}:{ends.path}" must be a directory or a regular file')
    return Facts(path, True, stat.S_ISDIR(found.mode))


async def _stat(agent: AgentClient, container: str, path: str) -> messages.PathStat | None:
    reply = await agent.containers.stat_path(messages.StatPathRequest(container=container, path=os.fsencode(path)))
    return reply.stat if reply.HasField("stat") else None


def standard_input(out: PipeWriter) -> None:
    """Write the tar that standard input is, which may be compressed, to *out*."""
    _plain(0, out)


@contextmanager
def for_many(folder: Callable[[], Path]) -> Iterator[Produce | None]:
    """Standard input for several hosts: each reads a copy of its own pace, in a file without a name in *folder*."""
    fd = unnamed(folder())
    try:
        with full_disk_named("a copy of the tar on this machine"):
            kept = PipeWriter(fd)
            _plain(0, kept)
            kept.flush()

        def again(out: PipeWriter) -> None:
            offset = 0
            while piece := os.pread(fd, 1 << 20, offset):
                out.write(piece)
                offset += len(piece)

        yield again
    finally:
        os.close(fd)


def _plain(fd: int, out: PipeWriter) -> None:
    peeked = Peeked(DescriptorReader(fd))
    kind = detect(peeked.head)
    source = peeked if kind == "none" else decompressing(peeked, kind=kind)
    while piece := source.read(1 << 18):
        out.write(piece)
