"""Jobs that try what a hostile tree hopes for, with the defences on, or off as named."""

from __future__ import annotations

import ctypes
import importlib
import os
import stat
from collections.abc import Callable
from typing import Any

from jackstay_agent.errors import Busy
from jackstay_agent.kernel import syscalls
from jackstay_agent.layers import diff as diffing
from jackstay_oci.tar.entries import Kind


def try_everything(off: Any, descriptors: list[int]) -> list[str]:
    """Enter the folder and use what lies in it: its device, its library, its module. What succeeded."""
    if "mount" in off:
        syscalls.MS_NODEV = syscalls.MS_NOEXEC = 0
    if "imports" in off:
        syscalls._forbid_imports = lambda: None
    syscalls.enter_root(descriptors[0])
    attempts: dict[str, Callable[[], object]] = {
        "device": lambda: os.open("/zero", os.O_RDONLY),
        "library": lambda: ctypes.CDLL("/library.so"),
        "module": lambda: importlib.import_module("strange_module"),
    }
    succeeded = []
    for name, attempt in attempts.items():
        try:
            attempt()
        except (OSError, ImportError):
            continue
        succeeded.append(name)
    return succeeded


def diff_a_device_taken_for_a_file(argument: Any, descriptors: list[int]) -> list[str]:
    """`diff.diff_layer` of a folder whose file was replaced by a device just before it is opened: what was opened."""
    if argument["off"]:
        syscalls.MS_NODEV = 0
    diffing._KINDS[stat.S_IFCHR] = Kind.FILE
    opened = []
    plain = os.open

    def noting(name: Any, *arguments: Any, **more: Any) -> int:
        descriptor = plain(name, *arguments, **more)
        if stat.S_ISCHR(os.fstat(descriptor).st_mode):
            opened.append(os.fsdecode(name))
        return descriptor

    setattr(os, "open", noting)  # noqa: B010 - a type checker minds the plain way
    try:
        diffing.diff_layer(argument, descriptors)
    except Busy:
        return opened
    raise AssertionError("a device went into the layer as a file")
