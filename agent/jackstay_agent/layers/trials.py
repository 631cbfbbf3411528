"""Whether a storage driver works in a folder: found out by doing what it does, not by asking for versions.

Each job works in the folder ``trial`` below the one that it is given, in a mount namespace of its own, and leaves
nothing; what a cut left of it is removed by the next one. The answer is a reason why not, empty when the driver works.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

from jackstay_agent import faults
from jackstay_agent.kernel import btrfs, syscalls
from jackstay_agent.kernel.mounts import mount_overlay
from jackstay_agent.layers import xattrs
from jackstay_agent.layers.deleting import delete
from jackstay_agent.layers.whiteouts import is_whiteout

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_TRIAL = b"trial"

# As docker info has them. Source: include/uapi/linux/magic.h and statfs(2).
_FILESYSTEMS = {
    0xEF53: "extfs",
    0x58465342: "xfs",
    btrfs.MAGIC: "btrfs",
    0x01021994: "tmpfs",
    0x794C7630: "overlayfs",
    0x2FC12FC1: "zfs",
    0xF2F52010: "f2fs",
    0xCA451A4E: "bcachefs",
    0x65735546: "fuse",
    0x6969: "nfs",
}


def backing(argument: Any, _descriptors: list[int]) -> str:
    """The job: the name of the filesystem that the folder *argument* lies on."""
    folder = os.open(argument, _FOLDER)
    try:
        magic = syscalls.filesystem_of(folder)
    finally:
        os.close(folder)
    return _FILESYSTEMS.get(magic, f"0x{magic:x}")


def try_overlay(argument: Any, _descriptors: list[int]) -> str:
    """The job: why overlay does not work on the filesystem of the folder *argument*."""
    return _try(argument, _overlay)


def try_btrfs(argument: Any, _descriptors: list[int]) -> str:
    """The job: why subvolumes cannot be used in the folder *argument*."""
    if (name := backing(argument, [])) != "btrfs":
        return f"{argument} is on {name}"
    return _try(argument, _btrfs)


def try_vfs(_argument: Any, _descriptors: list[int]) -> str:
    """The job: copies can be made wherever files can."""
    return ""


def _try(root: str, work: Callable[[str, int], str]) -> str:
    above = os.open(root, _FOLDER)
    try:
        delete(_TRIAL, above)
        os.mkdir(_TRIAL, 0o700, dir_fd=above)
        try:
            return work(os.path.join(root, os.fsdecode(_TRIAL)), above)
        except OSError as error:
            return error.strerror or str(error)
        finally:
            faults.point("layers.trial.done")
            delete(_TRIAL, above)
    finally:
        os.close(above)


def _overlay(trial: str, _above: int) -> str:
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_SLAVE)
    for name in ("lower", "lower/moved", "lower/hidden", "lower/hidden/in", "empty", "upper", "work", "merged"):
        os.mkdir(f"{trial}/{name}", 0o755)
    os.close(os.open(f"{trial}/lower/file", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    os.mkdir(f"{trial}/upper/hidden", 0o755)
    os.setxattr(f"{trial}/upper/hidden", xattrs.OPAQUE, b"y")
    merged = f"{trial}/merged"
    mount_overlay([trial, merged, ["lower", "empty"], "upper", "work", False], [])
    try:
        os.unlink(f"{merged}/file")
        if os.path.lexists(f"{merged}/file") or not is_whiteout(os.lstat(f"{trial}/upper/file")):
            return "a removed file leaves no whiteout"
        if os.listdir(f"{merged}/hidden"):
            return "an opaque folder shows what is below it"
        try:
            os.rename(f"{merged}/moved", f"{merged}/elsewhere")
        except OSError as error:
            return "" if error.errno == errno.EXDEV else f"moving a folder: {error.strerror}"
        return "redirect_dir cannot be switched off"
    finally:
        os.chdir("/")
        syscalls.umount(merged, syscalls.MNT_DETACH)
        faults.point("layers.trial.unmounted")


def _btrfs(trial: str, _above: int) -> str:
    folder = os.open(trial, _FOLDER)
    try:
        btrfs.create(folder, b"one")
        one = os.open("one", _FOLDER, dir_fd=folder)
        try:
            btrfs.set_read_only(one, True)
            btrfs.snapshot(one, folder, b"two")
            btrfs.destroy(folder, btrfs.number_of(one))
        finally:
            os.close(one)
        two = os.open("two", _FOLDER, dir_fd=folder)
        try:
            btrfs.destroy(folder, btrfs.number_of(two))
        finally:
            os.close(two)
        faults.point("layers.trial.destroyed")
    finally:
        os.close(folder)
    return ""
