"""Unpacking a layer: tar to tree in one pass, in a child whose root is the target.

Guarantees: nothing outside the target is touched, since the child has no way to name it; the digest is that of the
whole uncompressed stream; bounds hold; memory is that of the decompressor's window (128 MiB at most, 8 in honest zstd),
ten buffers of 256 KiB and 64 open folders, whatever the layer. Every module is imported before the root changes, so
no code comes out of the layer. Leaves to `overlay`: that the bytes are on disk, and removing a target that failed.
"""

from __future__ import annotations

import errno
import os
import re
from typing import Any

from jackstay_agent.config import Limits
from jackstay_agent.errors import Error, InvalidArchive, LimitExceeded, from_os_error
from jackstay_agent.kernel import syscalls
from jackstay_agent.layers.layer_source import LayerSource, source_of
from jackstay_agent.layers.lower import mount_lower
from jackstay_agent.layers.names import Meaning, parse, shown
from jackstay_agent.layers.tree import Tree
from jackstay_oci import limits
from jackstay_oci.digest import Digest
from jackstay_oci.tar.entries import MAX_ID, Entry
from jackstay_oci.tar.reader import TarReader

_CONFIGURED = {
    "entries": "layer_entries",
    "name_bytes": "name_bytes",
    "header_bytes": "header_bytes",
    "total_bytes": "layer_bytes",
    "ratio": "compression_ratio",
}
"""The bounds of a layer as the reader calls them, and as the agent's configuration does."""
_ARCHIVES_FAULT = frozenset(
    getattr(errno, name)
    for name in (
        "E2BIG",
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

    A third descriptor, where there is one, is the pipe that tells how far the blob is that is still being written
    (`jackstay_oci.growing`). The job then waits for what is not there yet, and fails when the blob breaks off.

    The argument has ``compression``, ``limits`` (the five of them that bound a layer), and of the stack below
    ``folder``, ``target`` and ``lower`` as `lower.mount_lower` takes them; ``lower`` is empty when there is none. With
    ``whole`` the folder holds that tree already, in a copy of its own (see `Tree`). The result is the diffID, bytes,
    inodes, and whether something of the tree below was needed and could not be seen.
    """
    target, blob, *growth = descriptors
    bounds = limits.Limits(**argument["limits"])
    lower = None
    if argument["lower"]:
        lower = mount_lower(argument["folder"], argument["target"], argument["lower"])
    os.umask(0)
    syscalls.enter_root(target)
    os.close(target)  # it belongs to the mounts that were left
    root = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    tree = Tree(root, lower, whole=argument["whole"])
    try:
        diff_id = apply(tree, source_of(blob, argument["compression"], bounds, *growth), bounds)
    except LimitExceeded as error:
        raise _as_configured(error) from error
    return [str(diff_id), tree.size, tree.inodes, tree.incomplete]


def bounds_of(configured: Limits) -> dict[str, int]:
    """The limits of a layer as the job's argument has them."""
    return {name: getattr(configured, field) for name, field in _CONFIGURED.items()}


def apply(tree: Tree, source: LayerSource, bounds: limits.Limits) -> Digest:
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
    if source.drained:
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


def _as_configured(error: LimitExceeded) -> LimitExceeded:
    """The same error with the bound named as in the agent's configuration."""
    message = re.sub(r"limit (\w+)", lambda found: f"limit {_CONFIGURED.get(found[1], found[1])}", error.message)
    return LimitExceeded(
        message, hint="an honest image passes no bound; they are [limits] in the host's jackstayd.toml"
    )


def _meaning(error: OSError, entry: Entry) -> Error:
    if error.errno in _ARCHIVES_FAULT:
        return InvalidArchive(f"layer entry {shown(entry.name)} cannot be made: {error.strerror}")
    return from_os_error(error, f"unpacking {shown(entry.name)}")
