"""Mounting in the agent's mount namespace."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Sequence
from typing import Any, Protocol

from jackstay_agent import faults
from jackstay_agent.kernel import id_maps, syscalls
from jackstay_agent.kernel.id_maps import IdRange
from jackstay_agent.kernel.jobs import Jobs
from jackstay_agent.kernel.threads import finish

_WHOLE_PATHS = 3800
"""Bytes of paths, with a separator each, that leave room for the other options in a page."""

_SPECIAL = set(":,\\")
"""What overlayfs takes for more than a part of a name."""


class Mounts(Protocol):
    """Mounts and unmounts. Implementations: `LinuxMounts` and, for tests, `fakes.RecordingMounts`."""

    async def overlay(
        self,
        folder: str,
        target: str,
        lower: Sequence[str],
        upper: str,
        work: str,
        *,
        read_only: bool = False,
        ids: IdRange | None = None,
    ) -> None:
        """Mount an overlay at *target*. *lower* (newest first), *upper* and *work* are relative to *folder*, since the
        kernel takes one page of options; without *upper* it is read-only. With *ids* it is of mapped layers (see
        `id_maps`), which only one with *upper* can be."""
        ...

    async def bind(self, source: str, target: str, *, read_only: bool = False, ids: IdRange | None = None) -> None:
        """Show the folder *source* at *target* too, without what is mounted below it; nobody sees it half done. What is
        mounted below one of them later is not below the other. With *ids* it is mapped, and can be written to."""
        ...

    async def tmpfs(self, target: str, size: int) -> None:
        """Mount an empty file system in memory of *size* bytes at *target* that everybody may write to, as /dev/shm."""
        ...

    async def unmount(self, target: str) -> None:
        """Unmount *target*, at once for everyone who does not use it still; no error when nothing is mounted there."""
        ...

    async def mounted(self, below: str) -> list[str]:
        """Every mount point at or below *below*, deepest first."""
        ...


class LinuxMounts:
    """Implements `Mounts`."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def overlay(
        self,
        folder: str,
        target: str,
        lower: Sequence[str],
        upper: str,
        work: str,
        *,
        read_only: bool = False,
        ids: IdRange | None = None,
    ) -> None:
        """See `Mounts.overlay`. Where whole paths do not fit, a child does it, whose working folder is *folder*."""
        if ids is not None:
            argument = [folder, target, list(lower), upper, work, ids.first, ids.size]
            await self._jobs.run(id_maps.OVERLAY, argument)
            return
        paths = [os.path.join(folder, name) for name in (*lower, upper, work) if name]
        if sum(len(os.fsencode(path)) + 1 for path in paths) <= _WHOLE_PATHS and not _SPECIAL & set("".join(paths)):
            above = (os.path.join(folder, upper), os.path.join(folder, work)) if upper else ("", "")
            await finish(_mount_overlay, target, [os.path.join(folder, name) for name in lower], *above, read_only)
        else:
            argument = [folder, target, list(lower), upper, work, read_only]
            await self._jobs.run("jackstay_agent.kernel.mounts:mount_overlay", argument)

    async def bind(self, source: str, target: str, *, read_only: bool = False, ids: IdRange | None = None) -> None:
        """See `Mounts.bind`."""
        if ids is not None:
            await self._jobs.run(id_maps.BIND, [source, target, False, ids.first, ids.size])
            return
        await asyncio.to_thread(_bind, source, target, read_only)

    async def tmpfs(self, target: str, size: int) -> None:
        """See `Mounts.tmpfs`."""
        await asyncio.to_thread(_tmpfs, target, size)

    async def unmount(self, target: str) -> None:
        """See `Mounts.unmount`."""
        await asyncio.to_thread(_unmount, target)

    async def mounted(self, below: str) -> list[str]:
        """See `Mounts.mounted`."""
        return await asyncio.to_thread(_mounted, below)


def mount_overlay(argument: Any, _descriptors: list[int]) -> None:
    """The job behind `LinuxMounts.overlay`."""
    folder, *rest = argument
    os.chdir(folder)
    _mount_overlay(*rest)


def _mount_overlay(target: str, lower: Sequence[str], upper: str, work: str, read_only: bool) -> None:
    # No redirect_dir and no metacopy: a commit reads the upper folder and must find whole files at their own names.
    options = f"lowerdir={':'.join(lower)},index=off,redirect_dir=off,metacopy=off"
    if upper:
        options += f",upperdir={upper},workdir={work}"
    syscalls.mount("overlay", target, "overlay", syscalls.MS_RDONLY if read_only or not upper else 0, options)
    faults.point("kernel.mount.overlay")


def _bind(source: str, target: str, read_only: bool) -> None:
    # Finished before it can be seen, so that a cut leaves no mount that could be written to, and nothing to undo.
    mount = syscalls.copy_mount(source)
    try:
        syscalls.change_mount(mount, syscalls.MOUNT_ATTR_RDONLY if read_only else 0, syscalls.MS_PRIVATE)
        faults.point("kernel.mount.bind.made")
        syscalls.move_mount(mount, target)
        faults.point("kernel.mount.bind")
    finally:
        os.close(mount)


def _tmpfs(target: str, size: int) -> None:
    flags = syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC
    syscalls.mount("shm", target, "tmpfs", flags, f"mode=1777,size={size}")
    faults.point("kernel.mount.tmpfs")


def _unmount(target: str) -> None:
    try:
        syscalls.umount(target, syscalls.MNT_DETACH)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT):
            raise
    faults.point("kernel.unmount")


def _mounted(below: str) -> list[str]:
    found = []
    with open("/proc/self/mountinfo", "rb") as table:
        for line in table:
            point = os.fsdecode(line.split(b" ")[4].decode("unicode_escape").encode("latin-1"))
            if point == below or point.startswith(below.rstrip("/") + "/"):
                found.append(point)
    return sorted(found, key=len, reverse=True)
