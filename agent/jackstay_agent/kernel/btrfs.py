"""btrfs subvolumes by ioctl(2): making, snapshotting, deleting them. No program of btrfs-progs is needed.

Guarantees: deleting goes by the filesystem's own numbers, from the inside out, and resolves no name, so that nothing
that lies in a subvolume can lead it elsewhere. Each function raises `OSError` as `os` does. Needs CAP_SYS_ADMIN, and
Linux 5.7 for deleting by number. Source: include/uapi/linux/btrfs.h, btrfs_tree.h and fs/btrfs/ioctl.c.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

from jackstay_agent.kernel import syscalls

MAGIC = 0x9123683E  # of statfs(2)
ROOT_INODE = 256  # of every subvolume's top folder, and of no other one

_READ_ONLY = 1 << 1
_BY_NUMBER = 1 << 4

_ARGUMENT = 4096  # bytes of each of the large arguments
_NAMED = struct.Struct("=qQQ32s4040s")  # btrfs_ioctl_vol_args_v2: fd, transid, flags, unused, name
_NUMBERED = struct.Struct("=qQQ32sQ")  # the same with a subvolume's number in the place of the name
_LOOKUP = struct.Struct("=QQ")  # btrfs_ioctl_ino_lookup_args: tree, inode
_KEY = struct.Struct("=7Q4I4Q")  # btrfs_ioctl_search_key
_FOUND = struct.Struct("=QQQII")  # btrfs_ioctl_search_header: transid, objectid, offset, type, length
_COUNT_AT = 64  # of nr_items in the search key
_MAX = (1 << 64) - 1
_ROOT_TREE = 1
_ROOT_REF = 156  # an item (a subvolume, this type, one that lies in it)
_HANDLE = struct.Struct("=QQI")  # a file handle: inode, subvolume, generation (0: any)
_HANDLE_TYPE = 0x4D  # FILEID_BTRFS_WITHOUT_PARENT


def _number(direction: int, command: int, size: int) -> int:
    return direction << 30 | size << 16 | 0x94 << 8 | command


_SNAP_CREATE_V2 = _number(1, 23, _ARGUMENT)
_SUBVOL_CREATE_V2 = _number(1, 24, _ARGUMENT)
_SUBVOL_GETFLAGS = _number(2, 25, 8)
_SUBVOL_SETFLAGS = _number(1, 26, 8)
_SNAP_DESTROY_V2 = _number(1, 63, _ARGUMENT)
_TREE_SEARCH = _number(3, 17, _ARGUMENT)
_INO_LOOKUP = _number(3, 18, _ARGUMENT)


def create(folder: int, name: bytes) -> None:
    """Make the empty subvolume *name* in the open *folder*."""
    _call(folder, _SUBVOL_CREATE_V2, bytearray(_NAMED.pack(0, 0, 0, b"", _checked(name))), name)


def snapshot(source: int, folder: int, name: bytes) -> None:
    """Make the writable snapshot *name* of the open subvolume *source* in *folder*.

    It is on disk when this returns. Subvolumes inside *source* are empty folders in it.
    """
    _call(folder, _SNAP_CREATE_V2, bytearray(_NAMED.pack(source, 0, 0, b"", _checked(name))), name)


def is_subvolume(descriptor: int) -> bool:
    """Whether the open folder is the top of a subvolume."""
    return os.fstat(descriptor).st_ino == ROOT_INODE and syscalls.filesystem_of(descriptor) == MAGIC


def set_read_only(subvolume: int, read_only: bool) -> None:
    """Let nothing be changed in the open *subvolume*, or let it again. No error when it is so already."""
    flags = bytearray(8)
    _call(subvolume, _SUBVOL_GETFLAGS, flags)
    before = int.from_bytes(flags, "little")
    after = before | _READ_ONLY if read_only else before & ~_READ_ONLY
    if after != before:
        _call(subvolume, _SUBVOL_SETFLAGS, bytearray(after.to_bytes(8, "little")))


def number_of(descriptor: int) -> int:
    """The number of the subvolume that the open file lies in."""
    argument = bytearray(_LOOKUP.pack(0, ROOT_INODE).ljust(_ARGUMENT, b"\0"))
    _call(descriptor, _INO_LOOKUP, argument)
    tree: int = _LOOKUP.unpack_from(argument)[0]
    return tree


def inside(descriptor: int, number: int) -> list[int]:
    """The numbers of the subvolumes that lie in the subvolume *number* itself, not in one of those.

    *descriptor* is of any file of the filesystem, here and in what follows.
    """
    found: list[int] = []
    least = 0
    while True:
        key = _KEY.pack(
            _ROOT_TREE, number, number, least, _MAX, 0, _MAX, _ROOT_REF, _ROOT_REF, _ARGUMENT, 0, 0, 0, 0, 0
        )
        argument = bytearray(key.ljust(_ARGUMENT, b"\0"))
        _call(descriptor, _TREE_SEARCH, argument)
        count = struct.unpack_from("=I", argument, _COUNT_AT)[0]
        if not count:
            return found
        at = _KEY.size
        for _ in range(count):
            _transid, _objectid, inner, _type, length = _FOUND.unpack_from(argument, at)
            found.append(inner)
            at += _FOUND.size + length
        least = found[-1] + 1


def open_number(descriptor: int, number: int) -> int:
    """A descriptor of the top folder of the subvolume *number*, whatever its name is."""
    return syscalls.open_by_handle(
        descriptor, _HANDLE_TYPE, _HANDLE.pack(ROOT_INODE, number, 0), os.O_RDONLY | os.O_DIRECTORY
    )


def destroy(descriptor: int, number: int) -> None:
    """Delete the subvolume *number* and all that lie in it, those that are read-only too.

    Nothing may be adding others meanwhile. The filesystem frees the room some time later. *descriptor* must not lie in
    what is deleted.
    """
    all_of_them = [number]
    for each in all_of_them:  # which grows on the way: parents come before what lies in them
        all_of_them += inside(descriptor, each)
    for each in all_of_them[:-1]:  # nothing can be taken out of one that is read-only
        subvolume = open_number(descriptor, each)
        try:
            set_read_only(subvolume, False)
        finally:
            os.close(subvolume)
    for each in reversed(all_of_them):
        argument = bytearray(_NUMBERED.pack(0, 0, _BY_NUMBER, b"", each).ljust(_ARGUMENT, b"\0"))
        _call(descriptor, _SNAP_DESTROY_V2, argument)


def _call(descriptor: int, command: int, argument: bytearray, name: bytes | None = None) -> None:
    try:
        fcntl.ioctl(descriptor, command, argument, True)
    except OSError as error:
        number = error.errno or errno.EIO
        if number == errno.ENOTTY:  # what a filesystem says that does not know the call
            raise OSError(errno.EOPNOTSUPP, "not a btrfs, or an older kernel than Linux 5.7") from error
        raise OSError(number, os.strerror(number), None if name is None else os.fsdecode(name)) from error


def _checked(name: bytes) -> bytes:
    if not name or b"/" in name or b"\0" in name or len(name) > 255:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), os.fsdecode(name))
    return name
