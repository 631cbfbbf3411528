"""What a container with a user namespace of its own is started from: everything where its root may reach it.

The runtime makes the mounts as the container's root, whom the agent's own folders are closed to. So for the time of the
start each of them lies in a folder of that user's beside the agent's (`Layout.mapped`). Guarantees: root filesystem and
volumes are shown mapped (`kernel.id_maps`), so that on disk files are owned as those of any other container. Once the
runtime has what it needs only the root filesystem stays there, which runc changes into for every exec.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from jackstay_agent.containers.engine import Engine
from jackstay_agent.containers.spec_mounts import MemoryMount, ResolvedMount
from jackstay_agent.kernel import id_maps
from jackstay_agent.kernel.id_maps import IdRange
from jackstay_agent.kernel.threads import finish
from jackstay_agent.metadata import id_ranges
from jackstay_agent.metadata.containers import ContainerRow

_ROOTFS = "rootfs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What a container is made of, as paths on the host."""

    rootfs: str
    mounts: tuple[ResolvedMount | MemoryMount, ...]
    files: dict[str, str]
    shm: str = ""


async def ids_of(engine: Engine, container: str) -> IdRange | None:
    """The ids that *container* has of its own; None when they are the host's."""
    found = await engine.database.read(lambda c: id_ranges.of(c, container))
    return None if found is None else IdRange(*found)


async def make_namespace(engine: Engine, container: str, ids: IdRange) -> str:
    """The path of a new user namespace with *ids*; it is there until `clear`. Raises `Unsupported`."""
    path = engine.layout.userns(container)
    await engine.jobs.run(id_maps.KEEP, [path, ids.first, ids.size])
    return path


@asynccontextmanager
async def shown(engine: Engine, row: ContainerRow, ids: IdRange | None, plain: Sources) -> AsyncIterator[Sources]:
    """*plain* for a runtime that runs as the first of *ids*, good for the block; without *ids* as it is.

    From then on the root filesystem is mounted mapped at its place, too. Raises `Unsupported`.
    """
    if ids is None:
        yield plain
        return
    place = engine.layout.mapped(row.id)
    await engine.snapshotter.unmount(plain.rootfs)
    await engine.snapshotter.mount(row.snapshot, plain.rootfs, ids=ids)
    try:
        await finish(_make_place, place, ids, [*plain.files.values(), *([plain.shm] if plain.shm else [])])
        rootfs = await _at(engine, plain.rootfs, place, _ROOTFS, folder=True)
        mounts: list[ResolvedMount | MemoryMount] = []
        for number, mount in enumerate(plain.mounts):
            if isinstance(mount, MemoryMount):
                mounts.append(mount)
                continue
            target = await finish(_make_target, place, str(number), mount.folder)
            if mount.as_is:
                await engine.mounts.bind(mount.source, target)
            else:
                await engine.jobs.run(id_maps.BIND, [mount.source, target, mount.recursive, ids.first, ids.size])
            mounts.append(replace(mount, source=target))
        files = {
            target: await _at(engine, source, place, os.path.basename(source), folder=False)
            for target, source in plain.files.items()
        }
        shm = await _at(engine, plain.shm, place, "shm", folder=True) if plain.shm else ""
        yield Sources(rootfs=rootfs, mounts=tuple(mounts), files=files, shm=shm)
    finally:
        await _clear_place(engine, place, keep=os.path.join(place, _ROOTFS))


async def clear(engine: Engine, container: str) -> None:
    """Take away what a start of *container* has made for it, the user namespace too. Safe to do again."""
    await _clear_place(engine, engine.layout.mapped(container))
    await engine.mounts.unmount(engine.layout.userns(container))


async def _clear_place(engine: Engine, place: str, *, keep: str = "") -> None:
    """End what `shown` shows, but for *keep*."""
    for point in await engine.mounts.mounted(place):
        if point != keep:
            await engine.mounts.unmount(point)
    await finish(_remove_targets, place, keep)


async def _at(engine: Engine, source: str, place: str, name: str, *, folder: bool) -> str:
    target = await finish(_make_target, place, name, folder)
    await engine.mounts.bind(source, target)
    return target


def _make_place(place: str, ids: IdRange, own: list[str]) -> None:
    """Make *place*; it and *own*, which are in memory, are the container's root's."""
    os.makedirs(os.path.dirname(place), mode=0o711, exist_ok=True)
    os.chmod(os.path.dirname(place), 0o711)  # noqa: S103 - each folder in it is closed to all but its owner
    os.mkdir(place, 0o700)
    os.chown(place, ids.first, ids.first)
    for path in own:
        os.chown(path, ids.first, ids.first)


def _make_target(place: str, name: str, folder: bool) -> str:
    target = os.path.join(place, name)
    if folder:
        os.mkdir(target, 0o755)
    else:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC, 0o644))
    return target


def _remove_targets(place: str, keep: str) -> None:
    """The kernel refuses to remove what is mounted on, and what a folder shows that way is never removed."""
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(place):
            if entry.path != keep:
                (os.rmdir if entry.is_dir(follow_symlinks=False) else os.unlink)(entry.path)
        if not keep:
            os.rmdir(place)
