"""Which extended attributes may travel with a layer, both ways.

An allow-list, not a list of bad ones: a layer that carried ``trusted.overlay.redirect`` would steer the kernel to files
that the image does not have, and ``security.selinux`` belongs to the host.
"""

from __future__ import annotations

import errno
import os

_NAMED = frozenset({b"security.capability", b"security.ima"})
OPAQUE = b"trusted.overlay.opaque"
BARE = b"trusted.jackstay.bare"
"""On the top folder of a layer that was unpacked before its parent was known, while nothing has said how it looks."""
_STEERING = (b"trusted.overlay.redirect", b"trusted.overlay.metacopy")


def allowed(name: bytes) -> bool:
    """Whether the attribute *name* is part of an image."""
    if name.startswith(b"user."):
        return not name.startswith(b"user.overlay.") and b"\0" not in name
    return name in _NAMED


def write(descriptor: int, attributes: dict[bytes, bytes]) -> None:
    """Set those of *attributes* that are allowed; a filesystem without ``user.*`` goes without them.

    Raises `OSError`; of E2BIG also where the filesystem says that it is full and means the file's own room for them.
    """
    for name, value in attributes.items():
        if not allowed(name):
            continue
        try:
            os.setxattr(descriptor, name, value)
        except OSError as error:
            if error.errno == errno.ENOSPC and os.fstatvfs(descriptor).f_bfree:
                raise OSError(errno.E2BIG, "more attributes than the host's filesystem takes for one file") from error
            if error.errno != errno.EOPNOTSUPP or not name.startswith(b"user."):
                raise


def remove_others(descriptor: int, attributes: dict[bytes, bytes]) -> None:
    """Take away the allowed ones that are not in *attributes*."""
    for name in _listed(descriptor, True):
        if allowed(name) and name not in attributes:
            os.removexattr(descriptor, name)


def read(file: int | bytes, *, follow_symlinks: bool = True) -> dict[bytes, bytes]:
    """The allowed attributes of *file*."""
    found = {}
    for name in _listed(file, follow_symlinks):
        if allowed(name):
            try:
                found[name] = os.getxattr(file, name, follow_symlinks=follow_symlinks)
            except OSError as error:
                if error.errno != errno.ENODATA:
                    raise
    return found


def is_opaque(descriptor: int) -> bool:
    """Whether the folder hides what lies below it."""
    try:
        return os.getxattr(descriptor, OPAQUE) == b"y"
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.EOPNOTSUPP):
            return False
        raise


def take_bare(descriptor: int) -> bool:
    """Take the mark `BARE` off the folder; whether it was there."""
    if BARE not in _listed(descriptor, True):
        return False
    os.removexattr(descriptor, BARE)
    return True


def steering(descriptor: int) -> bytes | None:
    """The attribute by which overlay would look elsewhere for this file's name or content, or None."""
    return next((name for name in _listed(descriptor, True) if name in _STEERING), None)


def _listed(file: int | bytes, follow_symlinks: bool) -> list[bytes]:
    try:
        return [os.fsencode(name) for name in os.listxattr(file, follow_symlinks=follow_symlinks)]
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return []
        raise
