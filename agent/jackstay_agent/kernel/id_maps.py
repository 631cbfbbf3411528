"""Ranges of the host's ids that a container has as its own, and mounts that show files with them.

A *mapped* mount shows what is 0's on disk as the first id's of the range, and writes the other way round (idmapped
mounts, mount_setattr(2)): so a container whose root is nobody on the host still finds and leaves files of root. The
kernel maps what an overlay is made of, its layers, since 5.19, and overlays themselves never. The functions are jobs,
or for them: they fork, and enter namespaces.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from jackstay_agent import faults
from jackstay_agent.errors import Unsupported
from jackstay_agent.kernel import syscalls

KEEP = "jackstay_agent.kernel.id_maps:keep_user_namespace"
OVERLAY = "jackstay_agent.kernel.id_maps:mount_overlay"
BIND = "jackstay_agent.kernel.id_maps:mount_bind"


@dataclass(frozen=True, slots=True)
class IdRange:
    """The ids of the host from `first` on, which are 0 to `size` - 1 inside."""

    first: int
    size: int


@contextmanager
def child_after(step: Callable[[], None]) -> Iterator[int]:
    """The id of a child that has done *step* and does nothing more; it ends with the block. For jobs.

    Raises what went wrong in *step* as `OSError`.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        try:
            syscalls.set_death_signal(signal.SIGKILL)
            step()
            os.write(writing, b"\0")
            signal.pause()
        except OSError as error:
            os.write(writing, bytes([error.errno or errno.EIO]))
        finally:
            os._exit(1)  # never back into what is the parent's to do
    faults.point("kernel.id_maps.forked")
    os.close(writing)
    try:
        told = os.read(reading, 1)
        if told != b"\0":
            number = told[0] if told else errno.ECHILD
            raise OSError(number, os.strerror(number))
        yield child
    finally:
        os.close(reading)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def user_namespace(ids: IdRange) -> int:
    """A descriptor of a new user namespace with *ids*."""
    with child_after(lambda: syscalls.unshare(syscalls.CLONE_NEWUSER)) as child:
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{child}/{name}", "w", encoding="ascii") as file:
                file.write(f"0 {ids.first} {ids.size}\n")
        return os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)


def keep_user_namespace(argument: Any, _descriptors: list[int]) -> None:
    """Job: make a user namespace that the new file *path* keeps; *argument* is ``[path, first, size]``."""
    path, first, size = argument
    namespace = _made(IdRange(first, size))
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC, 0o400))
        syscalls.mount(f"/proc/self/fd/{namespace}", path, None, syscalls.MS_BIND)
        faults.point("kernel.id_maps.kept")
    finally:
        os.close(namespace)


def mount_bind(argument: Any, _descriptors: list[int]) -> None:
    """Job: show *source* mapped at *target*; *argument* is ``[source, target, recursive, first, size]``."""
    source, target, recursive, first, size = argument
    namespace = _made(IdRange(first, size))
    try:
        mount = _mapped(source, namespace, recursive=recursive)
        try:
            syscalls.change_mount(mount, 0, syscalls.MS_PRIVATE)
            faults.point("kernel.id_maps.bind.made")
            syscalls.move_mount(mount, target)
            faults.point("kernel.id_maps.bind")
        finally:
            os.close(mount)
    finally:
        os.close(namespace)


def mount_overlay(argument: Any, _descriptors: list[int]) -> None:
    """Job: `Mounts.overlay` of mapped layers; *argument* is ``[folder, target, lower, upper, work, first, size]``.

    The layers are mounted in a mount namespace of the job's own, on a file system in memory over *target*, and vanish
    with it: the overlay holds on to them, and alone goes to *target*.
    """
    folder, target, lower, upper, work, first, size = argument
    namespace = _made(IdRange(first, size))
    home = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    layers = [_mapped(os.path.join(folder, name), namespace) for name in lower]
    above = _mapped(os.path.join(folder, os.path.dirname(upper)), namespace)
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    syscalls.mount("layers", target, "tmpfs", 0, "mode=711")
    os.chdir(target)
    names = [str(number) for number in range(len(layers))]
    for name, mount in zip([*names, "above"], [*layers, above], strict=True):
        os.mkdir(name, 0o711)
        syscalls.move_mount(mount, name)
    os.mkdir("whole")
    options = f"lowerdir={':'.join(names)},index=off,redirect_dir=off,metacopy=off"
    options += f",upperdir=above/{os.path.basename(upper)},workdir=above/{os.path.basename(work)}"
    # Who mounts is who writes in the layers: on a mapped mount only an id of the range can.
    syscalls.act_on_files_as(first)
    try:
        syscalls.mount("overlay", "whole", "overlay", 0, options)
        faults.point("kernel.id_maps.overlay.made")
    except OSError as error:
        raise _unsupported("mount an overlay of them", error) from error
    finally:
        syscalls.act_on_files_as(0)
    whole = syscalls.copy_mount("whole")
    syscalls.change_mount(whole, 0, syscalls.MS_PRIVATE)
    syscalls.setns(home, syscalls.CLONE_NEWNS)
    syscalls.move_mount(whole, target)
    faults.point("kernel.id_maps.overlay")


def _made(ids: IdRange) -> int:
    try:
        return user_namespace(ids)
    except OSError as error:
        raise Unsupported(
            f"--userns: the kernel makes no user namespace: {error.strerror}",
            hint="see user.max_user_namespaces and CONFIG_USER_NS on the host, or leave out --userns",
        ) from error


def _mapped(path: str, namespace: int, *, recursive: bool = False) -> int:
    mount = syscalls.copy_mount(path, recursive=recursive)
    try:
        syscalls.map_mount(mount, namespace, recursive=recursive)
    except OSError as error:
        os.close(mount)
        raise _unsupported(f"show {path} with other owners", error) from error
    return mount


def _unsupported(what: str, error: OSError) -> Unsupported:
    return Unsupported(
        f"--userns: the kernel cannot {what}: {error.strerror}",
        hint="idmapped mounts need Linux 5.19 and a file system that has them (ext4, xfs, btrfs, tmpfs since 6.3)",
    )
