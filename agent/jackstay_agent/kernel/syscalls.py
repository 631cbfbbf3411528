"""System calls that Python 3.11's standard library lacks, as plain functions. Each raises `OSError` as `os` does.

Guarantees: the GIL is released during a call; descriptors that are made are close-on-exec. Decides nothing.
"""

from __future__ import annotations

import ctypes
import errno
import linecache
import os
import struct
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter
from typing import Any

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MNT_DETACH = 0x2
MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}[os.uname().machine]
_SYS_OPENAT2 = 437
_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_MOUNT_SETATTR = 442
_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_IDMAP = 0x00100000

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str | bytes | None = None) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fsdecode(what) if what is not None else None)
    return result


def mount(source: str, target: str, fstype: str | None, flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    _check(
        _libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            os.fsencode(fstype) if fstype else None,
            ctypes.c_ulong(flags),
            os.fsencode(data) if data else None,
        ),
        target,
    )


def umount(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    _check(_libc.umount2(os.fsencode(target), flags), target)


def copy_mount(source: str | bytes, *, dir_fd: int | None = None, recursive: bool = False) -> int:
    """open_tree(2): a descriptor of a new mount that shows the folder *source* and lies nowhere yet.

    *recursive*: with what is mounted below it.
    """
    clone_and_close_on_exec = 1 | os.O_CLOEXEC | (_AT_RECURSIVE if recursive else 0)
    raw = os.fsencode(source)
    return _check(
        _libc.syscall(_SYS_OPEN_TREE, _AT_FDCWD if dir_fd is None else dir_fd, raw, clone_and_close_on_exec), raw
    )


def map_mount(mount: int, namespace: int, *, recursive: bool = False) -> None:
    """mount_setattr(2): show and write the files of the open *mount* with the ids of the user *namespace*."""
    wanted = struct.pack("QQQQ", _MOUNT_ATTR_IDMAP, 0, 0, namespace)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    _check(_libc.syscall(_SYS_MOUNT_SETATTR, mount, b"", flags, wanted, ctypes.c_size_t(len(wanted))))


def act_on_files_as(number: int) -> None:
    """setfsuid(2), setfsgid(2): be user and group *number* to file systems, with every capability. For children."""
    keep_capabilities = 1 << 2  # SECBIT_NO_SETUID_FIXUP, capabilities(7)
    _check(_libc.prctl(28, keep_capabilities, 0, 0, 0))
    _libc.setfsgid(ctypes.c_uint32(number))
    _libc.setfsuid(ctypes.c_uint32(number))


def change_mount(mount: int, attributes: int, propagation: int, *, recursive: bool = False) -> None:
    """mount_setattr(2): set *attributes* (MOUNT_ATTR_…) and *propagation* (MS_PRIVATE, …; 0: as it is) of the open
    *mount*, with *recursive* also of every mount below it."""
    wanted = struct.pack("QQQQ", attributes, 0, propagation, 0)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    _check(_libc.syscall(_SYS_MOUNT_SETATTR, mount, b"", flags, wanted, ctypes.c_size_t(len(wanted))))


def move_mount(mount: int, target: str) -> None:
    """move_mount(2): let the open *mount* lie at the folder *target*."""
    from_empty_path = 0x4
    raw = os.fsencode(target)
    _check(_libc.syscall(_SYS_MOVE_MOUNT, mount, b"", _AT_FDCWD, raw, from_empty_path), raw)


def unshare(flags: int) -> None:
    """unshare(2)."""
    _check(_libc.unshare(flags))


def setns(descriptor: int, nstype: int = 0) -> None:
    """setns(2)."""
    _check(_libc.setns(descriptor, nstype))


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2)."""
    _check(_libc.syscall(_SYS_PIVOT_ROOT, os.fsencode(new_root), os.fsencode(put_old)), new_root)


def openat2(path: str | bytes, flags: int, *, dir_fd: int | None = None, mode: int = 0, resolve: int = 0) -> int:
    """openat2(2): a new close-on-exec descriptor of *path*, resolved by the kernel as *resolve* says."""
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, mode, resolve)
    raw: Any = os.fsencode(path)
    return _check(
        _libc.syscall(_SYS_OPENAT2, _AT_FDCWD if dir_fd is None else dir_fd, raw, how, ctypes.c_size_t(len(how))), raw
    )


def open_by_handle(descriptor: int, kind: int, handle: bytes, flags: int) -> int:
    """open_by_handle_at(2): a new close-on-exec descriptor of the file *handle* of *descriptor*'s filesystem."""
    raw = struct.pack("Ii", len(handle), kind) + handle
    return _check(_libc.open_by_handle_at(descriptor, raw, flags | os.O_CLOEXEC))


def filesystem_of(descriptor: int) -> int:
    """The magic number of the filesystem that the open file lies on: ``f_type`` of fstatfs(2)."""
    told = ctypes.create_string_buffer(256)
    _check(_libc.fstatfs(descriptor, told))
    return int(struct.unpack_from("l", told)[0]) & 0xFFFFFFFF


def syncfs(descriptor: int) -> None:
    """syncfs(2): the whole filesystem of *descriptor* is on disk."""
    _check(_libc.syncfs(descriptor))


def reserve(descriptor: int, size: int) -> None:
    """fallocate(2) with FALLOC_FL_KEEP_SIZE: *size* bytes behind the file's end can be written whatever else fills the
    disk. The file looks no larger."""
    end = os.fstat(descriptor).st_size
    _check(_libc.fallocate(descriptor, 1, ctypes.c_int64(end), ctypes.c_int64(size)))


def set_death_signal(signal: int) -> None:
    """prctl(PR_SET_PDEATHSIG): get *signal* when the parent thread ends."""
    _check(_libc.prctl(1, signal, 0, 0, 0))


def enter_root(descriptor: int) -> None:
    """Make the folder *descriptor* this process's root and working folder, in a mount namespace of its own.

    For single-threaded children only. Afterwards nothing outside the folder can be named: the old root is gone from
    the namespace, not merely out of sight as after chroot(2). Nothing of the folder becomes code of this process,
    neither a library nor a module (CVE-2019-14271), and none of its device nodes can be opened.
    """
    pivot(without_devices(descriptor))


def pivot(inner: int) -> None:
    """`enter_root` for a folder that `without_devices` gave, and on which more may be mounted since."""
    _forbid_imports()
    os.fchdir(inner)
    os.close(inner)
    pivot_root(".", ".")
    umount(".", MNT_DETACH)
    os.chdir("/")


def enter_mounts(namespace: int, root: int) -> None:
    """See what processes in the mount *namespace* see whose root is the folder *root*, in a copy of their mounts.

    For single-threaded children only. Afterwards nothing else can be named. The copy lasts as long as the child, and
    is not changed by what is mounted or unmounted in the namespace. As with `enter_root` no code comes out of the
    folder, and no device opens.
    """
    _forbid_imports()
    setns(namespace, CLONE_NEWNS)
    os.fchdir(root)
    os.chroot(".")
    unshare(CLONE_NEWNS)
    os.chdir("/")
    top = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    change_mount(top, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, MS_PRIVATE, recursive=True)
    os.close(top)


def without_devices(descriptor: int) -> int:
    """A descriptor of the folder *descriptor* on a mount of its own, on which no device opens and nothing is executed.

    For single-threaded children only, which get a mount namespace of their own by it. It ends with the next one they
    get; the descriptor stays good, but has no path any more.
    """
    folder = os.readlink(f"/proc/self/fd/{descriptor}")
    unshare(CLONE_NEWNS)
    mount("none", "/", None, MS_REC | MS_SLAVE)
    mount(folder, folder, None, MS_BIND)
    mount("none", folder, None, MS_BIND | MS_REMOUNT | MS_NODEV | MS_NOSUID | MS_NOEXEC)
    # The descriptor belongs to the namespace that was left, so the folder is named again, and must be the same one.
    inner = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    if not os.path.samestat(os.fstat(inner), os.fstat(descriptor)):
        os.close(inner)
        raise FileNotFoundError(errno.ESTALE, os.strerror(errno.ESTALE), folder)
    return inner


def _forbid_imports() -> None:
    """Let a module that is not loaded yet be found nowhere: Python would look for it in the new root.

    Nor the source that a traceback shows, which may be a pipe there that nobody ever writes to.
    """
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter]
    linecache.updatecache = lambda *_: []
