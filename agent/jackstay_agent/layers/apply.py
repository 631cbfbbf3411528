"""Unpacking a layer: tar to tree in one pass, in a child whose root is the target.

Guarantees: nothing outside the target is touched, since the child has no way to name it; the digest is that of the
whole uncompressed stream; bounds hold; memory is that of the decompressor's window (128 MiB at most, 8 in honest zstd),
a few buffers of 256 KiB and 64 open folders, whatever the layer. Every module is imported before the root changes, so
no code comes out of the layer. Leaves to `overlay`: that the bytes are on disk, and removing a target that failed.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from typing import Any

from jackstay_agent.config import Limits
from jackstay_agent.errors import Error, InvalidArchive, from_os_error
from jackstay_agent.kernel import syscalls
from jackstay_agent.layers.lower import mount_lower
from jackstay_agent.layers.names import Meaning, parse, shown
from jackstay_agent.layers.tree import Tree
from jackstay_oci import compression, limits
from jackstay_oci.digest import Digest, hasher
from jackstay_oci.reading import BinaryReader, DescriptorReader, Region
from jackstay_oci.tar.entries import MAX_ID, Entry
from jackstay_oci.tar.reader import TarReader

_PIECE = 1 << 20
_ARCHIVES_FAULT = frozenset(
    getattr(errno, name)
    for name in (
        "EEXIST",
        "EINVAL",
        "EISDIR",
        "ELOOP",
        "EMLINK",
        "ENAMETOOLONG",
        "ENOENT",
        "ENOTDIR",
        "EPERM",
        "ERANGE",
    )
)


def apply_layer(argument: Any, descriptors: list[int]) -> list[Any]:
    """The job: unpack the blob (second descriptor) into the folder (first descriptor), which becomes the root.

    The argument has ``compression``, ``limits`` (the five of them that bound a layer), and of the stack below
    ``folder``, ``target`` and ``lower`` as `lower.mount_lower` takes them; ``lower`` is empty when there is none. With
    ``whole`` the folder holds that tree already, in a copy of its own (see `Tree`). The result is the diffID, bytes,
    inodes, and whether something of the tree below was needed and could not be seen.
    """
    target, blob, *_growth = descriptors
    bounds = limits.Limits(**argument["limits"])
    lower = None
    if argument["lower"]:
        lower = mount_lower(argument["folder"], argument["target"], argument["lower"])
    os.umask(0)
    syscalls.enter_root(target)
    os.close(target)  # it belongs to the mounts that were left
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    tree = Tree(root, lower, whole=argument["whole"])
    diff_id = apply(tree, source_of(blob, argument["compression"], bounds), bounds)
    return [str(diff_id), tree.size, tree.inodes, tree.incomplete]


def bounds_of(configured: Limits) -> dict[str, int]:
    """The limits of a layer as the job's argument has them."""
    return {
        "entries": configured.layer_entries,
        "name_bytes": configured.name_bytes,
        "header_bytes": configured.header_bytes,
        "total_bytes": configured.layer_bytes,
        "ratio": configured.compression_ratio,
    }


def apply(tree: Tree, source: _Stream | _File, bounds: limits.Limits) -> Digest:
    """Unpack the tar that *source* gives into *tree*; its diffID.

    Raises `InvalidArchive`, `LimitExceeded`, `DiskFull`.
    """
    reader = TarReader(source.tar, bounds, name="the layer")
    for entry in reader:
        try:
            _put(tree, reader, entry)
        except OSError as error:
            raise _meaning(error, entry) from error
        except InvalidArchive as error:
            raise InvalidArchive(f"layer entry {shown(entry.name)}: {error.message}", hint=error.hint) from error
    if isinstance(source, _Stream):
        reader.drain()
    tree.finish()
    return source.digest()


def _put(tree: Tree, reader: TarReader, entry: Entry) -> None:
    if not (0 <= entry.uid <= MAX_ID and 0 <= entry.gid <= MAX_ID):
        raise InvalidArchive(f"it belongs to {entry.uid}:{entry.gid}, ids go from 0 to {MAX_ID}")
    name = parse(entry.name)
    if name.meaning is Meaning.ENTRY:
        tree.add(name.parent, name.base, entry, reader.copy_to_fd)
    elif name.meaning is Meaning.WHITEOUT:
        tree.hide(name.parent, name.base)
    elif name.meaning is Meaning.OPAQUE:
        tree.hide_all(name.parent)


def _meaning(error: OSError, entry: Entry) -> Error:
    if error.errno in _ARCHIVES_FAULT:
        return InvalidArchive(f"layer entry {shown(entry.name)} cannot be made: {error.strerror}")
    return from_os_error(error, f"unpacking {shown(entry.name)}")


class _Stream:
    """A layer that is decompressed, hashed and unpacked in one go."""

    def __init__(self, source: BinaryReader) -> None:
        self._source = source
        self._hash = hasher()
        self.tar: BinaryReader | Region = self

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._hash.update(data)
        return data

    def digest(self) -> Digest:
        """Of what was read."""
        return Digest.finish(self._hash)


class _File:
    """A layer in a file as it is: the kernel copies from it, while a thread, whose calls leave Python, hashes it."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.tar: BinaryReader | Region = Region(descriptor, 0, size)
        self._descriptor = descriptor
        self._hash = hasher()
        self._failed: OSError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def digest(self) -> Digest:
        """Of the whole file."""
        self._thread.join()
        if self._failed is not None:
            raise from_os_error(self._failed, "reading the layer") from self._failed
        return Digest.finish(self._hash)

    def _run(self) -> None:
        offset = 0
        try:
            while data := os.pread(self._descriptor, _PIECE, offset):
                self._hash.update(data)
                offset += len(data)
        except OSError as error:
            self._failed = error


def source_of(blob: int, kind: compression.Kind, bounds: limits.Limits) -> _Stream | _File:
    """The layer in the descriptor *blob*."""
    status = os.fstat(blob)
    if not stat.S_ISREG(status.st_mode):
        return _Stream(compression.decompressing(DescriptorReader(blob), kind=kind, limits=bounds))
    if kind == "none":
        return _File(blob, status.st_size)
    return _Stream(compression.decompressing(Region(blob, 0, status.st_size), kind=kind, limits=bounds))
