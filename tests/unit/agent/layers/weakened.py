"""Unpacking with defences switched off one by one, as a job, so that tests can see the attacks that they stop."""

from __future__ import annotations

import os
import stat
from typing import Any

from jackstay_agent.kernel import syscalls
from jackstay_agent.layers import apply as applying
from jackstay_agent.layers import names, tree, xattrs
from jackstay_agent.layers.layer_source import source_of
from jackstay_oci import limits
from jackstay_oci.tar import reader


def apply_weakened(argument: Any, descriptors: list[int]) -> list[Any]:
    """`apply.apply_layer` without the defences that ``off`` names."""
    off = argument["off"]
    if "resolve" in off:
        syscalls.RESOLVE_IN_ROOT = 0
    if "names" in off:
        names.split = tree.split = lambda name: (os.path.dirname(name), os.path.basename(name))
    if "whiteouts" in off:
        strict = applying.parse
        applying.parse = lambda name: (
            names.Name(names.Meaning.WHITEOUT, b"", name[4:]) if name[:4] == b".wh." else strict(name)
        )
    if "attributes" in off:
        xattrs.allowed = lambda _name: True
    if "owners" in off:
        applying.MAX_ID = reader.MAX_ID = 1 << 33
    if "devices" in off:
        checked = tree.Tree._add_node

        def unchecked(self: tree.Tree, folder: int, base: bytes, entry: Any) -> None:
            if entry.kind is tree.Kind.CHARACTER and entry.devmajor == entry.devminor == 0:
                os.mknod(base, stat.S_IFCHR, 0, dir_fd=folder)
            else:
                checked(self, folder, base, entry)

        tree.Tree._add_node = unchecked
    if "stale" in off:
        tree.Tree._clear = lambda _self, folder, base: tree.delete(base, folder)
    if "root" not in off:
        return applying.apply_layer(argument, descriptors)
    target, blob = descriptors
    bounds = limits.Limits(**argument["limits"])
    os.umask(0)
    unpacked = tree.Tree(target, whole=argument["whole"])
    diff_id = applying.apply(unpacked, source_of(blob, argument["compression"], bounds), bounds)
    return [str(diff_id), unpacked.size, unpacked.inodes, unpacked.incomplete]
