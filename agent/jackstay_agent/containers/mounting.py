"""The sources of a container's mounts at its start: volumes are made and filled, folders of the host looked for.

Guarantees: a part of a volume (``volume-subpath``) is found by the kernel inside the volume (openat2 RESOLVE_BENEATH),
so that no link that a container has put there leads out of it, and what was found is what is mounted: the agent mounts
it by its descriptor at `Layout.parts`, and the runtime takes it from there.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from jackstay_agent import faults
from jackstay_agent.containers.copy_up import copy_up
from jackstay_agent.containers.engine import Engine
from jackstay_agent.containers.settings import Mount, Settings
from jackstay_agent.containers.spec_mounts import MemoryMount, ResolvedMount
from jackstay_agent.errors import Error, InvalidArgument, from_os_error
from jackstay_agent.kernel import syscalls
from jackstay_agent.kernel.threads import acquire, finish


@asynccontextmanager
async def mounted(
    engine: Engine, container: str, settings: Settings, rootfs: str
) -> AsyncIterator[tuple[ResolvedMount | MemoryMount, ...]]:
    """The mounts of *settings* for the runtime, good for the block.

    Raises:
        InvalidArgument: a folder of the host or a part of a volume does not exist, or leads out of the volume.
    """
    found: list[ResolvedMount | MemoryMount] = []
    try:
        for mount in settings.mounts:
            if mount.type == "tmpfs":
                found.append(in_memory(mount))
            else:
                found.append(await _resolve(engine, container, mount, rootfs))
        yield tuple(found)
    finally:
        await unmount_parts(engine, container)


def in_memory(mount: Mount) -> MemoryMount:
    """What *mount* of type tmpfs asks for."""
    return MemoryMount(target=mount.target, size=mount.tmpfs_size, mode=mount.tmpfs_mode, read_only=mount.read_only)


async def unmount_parts(engine: Engine, container: str) -> None:
    """Unmount the parts of volumes that a start of *container* has mounted; a runtime's own mounts stay."""
    folder = engine.layout.parts(container)
    for name in await asyncio.to_thread(listed, folder):
        await engine.mounts.unmount(os.path.join(folder, name))


async def _resolve(engine: Engine, container: str, mount: Mount, rootfs: str) -> ResolvedMount:
    source, folder = mount.source, True
    if mount.type == "volume":
        source = await engine.volumes.materialize(mount.source)
        if mount.subpath:
            source, folder = await _mount_part(engine, container, mount, source)
        elif not mount.no_copy:
            await copy_up(engine.jobs, rootfs, mount.target, source)
    else:
        folder = await finish(_bind_source, source, mount.create_source)
    return ResolvedMount(
        source=source,
        target=mount.target,
        read_only=mount.read_only,
        propagation=mount.propagation,
        folder=folder,
        recursive=not mount.non_recursive,
    )


async def _mount_part(engine: Engine, container: str, mount: Mount, volume: str) -> tuple[str, bool]:
    descriptor = await acquire(_open_part, os.close, volume, mount)
    try:
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        target = await finish(_make_place, engine.layout.parts(container), folder)
        await engine.mounts.bind(f"/proc/{os.getpid()}/fd/{descriptor}", target)
    finally:
        os.close(descriptor)
    return target, folder


def _open_part(volume: str, mount: Mount) -> int:
    """A descriptor of *mount*'s part of the folder *volume*."""
    root = os.open(volume, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        resolve = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_MAGICLINKS
        return syscalls.openat2(mount.subpath, os.O_PATH, dir_fd=root, resolve=resolve)
    except OSError as error:
        what = f"the path {mount.subpath[:200]!r} of the volume {mount.source}"
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise InvalidArgument(f"{what} does not exist", hint="make it in the volume first") from error
        if error.errno in (errno.EXDEV, errno.ELOOP):
            raise InvalidArgument(f"{what} leads out of the volume", hint="look at the links in it") from error
        raise Error(f"{what} cannot be opened: {error.strerror}") from error
    finally:
        os.close(root)


def _make_place(parts: str, folder: bool) -> str:
    """A new place in *parts* to mount a folder or a file at."""
    os.makedirs(parts, mode=0o700, exist_ok=True)
    place = os.path.join(parts, str(len(os.listdir(parts))))
    if folder:
        os.mkdir(place, 0o755)
    else:
        os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
    faults.point("containers.mounting.place")
    return place


def _bind_source(source: str, create: bool) -> bool:
    """Whether *source*, which exists or is made, is a folder."""
    if os.path.exists(source):
        return os.path.isdir(source)
    if not create:
        raise InvalidArgument(
            f"bind source path does not exist: {source}", hint="make it on the host, or use -v which does"
        )
    try:
        os.makedirs(source, exist_ok=True)
    except (NotADirectoryError, FileExistsError) as error:
        raise InvalidArgument(
            f"bind source path cannot be made: {source}: {error.strerror}",
            hint="a part of it is a file on the host, or a link to nothing",
        ) from error
    except OSError as error:
        raise from_os_error(error, f"making the bind source path {source}") from error
    return True


def listed(folder: str) -> list[str]:
    """What is in *folder*; nothing when it does not exist. Blocking."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
