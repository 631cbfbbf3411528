"""Random trees: steps as values that hypothesis draws and shrinks, and `perform`, which does them below a folder.

A step names what it works on by a number, taken modulo what is there, so that any list of steps does something to any
tree. Everything that a layer can carry comes about: hard links in groups, holes, devices, pipes, attributes, file
capabilities, long names and names that are no UTF-8, the largest owners, times in nanoseconds before and after 32 bits,
folders replaced by files and back, folders removed and made again (opaque), and moves.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

NAMES = [
    b"a", b"b", b"-c", b"d e", b"\xff\xfe", "é".encode(), b"new\nline", b"back\\slash", b"n" * 101, b"l" * 255,
    b"opaque", b".wh", b"trailing.",
]  # fmt: skip
TARGETS = [b"a", b"/b", b"../c", b"nowhere", b"\xff/x", b"t" * 300, b"d e/" * 30]
OWNERS = [0, 1, 1000, 65534, 2_097_151, 2_097_152, 2**31 - 1]
MODES = [0, 0o644, 0o755, 0o600, 0o1777, 0o2755, 0o4755, 0o6711, 0o7777]
TIMES = [0, 1, 999_999_999, 1_600_000_000_123_456_789, -1_500_000_000, 2**31 * 10**9, 2**33 * 10**9 + 7]
DEVICES = [os.makedev(1, 3), os.makedev(8, 1), os.makedev(240, 77), os.makedev(4095, 65_535)]
_CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
_ROOTED = bytes.fromhex("0100000300040000000000000000000000000000e8030000")  # of a user namespace: version 3
ATTRIBUTES = [
    (b"user.note", b"hello"), (b"user.empty", b""), (b"user.\xc3\xa9", b"\0\xff=\n"), (b"user.large", b"v" * 900),
    (b"security.capability", _CAPABILITY), (b"security.capability", _ROOTED),
]  # fmt: skip
CONTENTS = [(b"", 0), (b"x", 0), (b"y" * 511, 0), (b"z" * 512, 0), (b"w" * 70_001, 0), (b"end", 1 << 20)]
"""What a file holds, and how large a hole stands before it."""
NODES = {"character": stat.S_IFCHR, "block": stat.S_IFBLK, "fifo": stat.S_IFIFO, "socket": stat.S_IFSOCK}


@dataclass(frozen=True)
class Make:
    """Make something in a folder, in place of what is there."""

    kind: str
    folder: int
    name: bytes
    content: tuple[bytes, int] = (b"", 0)
    target: bytes = b"a"
    device: int = DEVICES[0]


@dataclass(frozen=True)
class Dress:
    """Change mode, owner, time or an attribute."""

    what: int
    mode: int | None
    owner: tuple[int, int] | None
    mtime_ns: int | None
    attribute: tuple[bytes, bytes] | None


@dataclass(frozen=True)
class Remove:
    what: int


@dataclass(frozen=True)
class Again:
    """Remove a folder with all that is in it, and make an empty one of that name: opaque, to overlay."""

    folder: int


@dataclass(frozen=True)
class Move:
    what: int
    folder: int
    name: bytes


@dataclass(frozen=True)
class Link:
    what: int
    folder: int
    name: bytes


@dataclass(frozen=True)
class Write:
    """Change a file in place, in all its names."""

    what: int
    content: tuple[bytes, int]


_pick = st.integers(0, 30)
_name = st.sampled_from(NAMES)
_kind = st.sampled_from(["folder", "folder", "file", "file", "symlink", "character", "block", "fifo", "socket"])
_make = st.builds(
    Make, _kind, _pick, _name, st.sampled_from(CONTENTS), st.sampled_from(TARGETS), st.sampled_from(DEVICES)
)
_owner = st.tuples(st.sampled_from(OWNERS), st.sampled_from(OWNERS))
_dress = st.builds(
    Dress, _pick, st.none() | st.sampled_from(MODES), st.none() | _owner, st.none() | st.sampled_from(TIMES),
    st.none() | st.sampled_from(ATTRIBUTES),
)  # fmt: skip
_step = st.one_of(
    _make,
    _make,
    _dress,
    st.builds(Remove, _pick),
    st.builds(Again, _pick),
    st.builds(Move, _pick, _pick, _name),
    st.builds(Link, _pick, _pick, _name),
    st.builds(Write, _pick, st.sampled_from(CONTENTS)),
)
trees = st.lists(st.one_of(_make, _make, _make, _dress, st.builds(Link, _pick, _pick, _name)), max_size=25)
changes = st.lists(_step, max_size=15)
"""Steps that change a tree, whatever it is."""


def perform(root: bytes, steps: list[Any]) -> None:
    """Do *steps* to the tree below *root*. What the kernel refuses (a move between layers) is left undone."""
    for step in steps:
        _DO[type(step)](root, step)


def _make_it(root: bytes, step: Make) -> None:
    path = _folder(root, step.folder) + b"/" + step.name
    if len(path) > 4000:
        return
    _take_away(path)
    if step.kind == "folder":
        os.mkdir(path)
    elif step.kind == "symlink":
        os.symlink(step.target, path)
    elif step.kind == "file":
        _fill(path, step.content)
    else:
        device = step.device if step.kind in ("character", "block") else 0
        os.mknod(path, NODES[step.kind] | 0o640, device)


def _dress_it(root: bytes, step: Dress) -> None:
    path = _any(root, step.what)
    status = os.lstat(path)
    if step.owner is not None:
        os.lchown(path, *step.owner)
    # The kernel takes user.* of files and folders only, and a capability of files only.
    mode = status.st_mode
    if step.attribute is not None and (
        stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and step.attribute[0].startswith(b"user."))
    ):
        os.setxattr(path, *step.attribute)
    if step.mode is not None and not stat.S_ISLNK(mode):
        os.chmod(path, step.mode)
    if step.mtime_ns is not None:
        os.utime(path, ns=(0, step.mtime_ns), follow_symlinks=False)


def _remove_it(root: bytes, step: Remove) -> None:
    path = _any(root, step.what)
    if path != root:
        _take_away(path)


def _make_again(root: bytes, step: Again) -> None:
    path = _folder(root, step.folder)
    if path != root:
        shutil.rmtree(path)
        os.mkdir(path)


def _move_it(root: bytes, step: Move) -> None:
    source, target = _any(root, step.what), _folder(root, step.folder) + b"/" + step.name
    if source == root or target == source or target.startswith(source + b"/") or source.startswith(target + b"/"):
        return
    try:
        if os.path.lexists(target) and _any(root, step.what) != target:
            _take_away(target)
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:  # of a folder that a lower layer has: mv copies it, and so do other steps
            raise


def _link_it(root: bytes, step: Link) -> None:
    source, target = _any(root, step.what), _folder(root, step.folder) + b"/" + step.name
    if not stat.S_ISDIR(os.lstat(source).st_mode):
        with contextlib.suppress(FileExistsError):
            os.link(source, target, follow_symlinks=False)


def _write_it(root: bytes, step: Write) -> None:
    path = _any(root, step.what)
    if stat.S_ISREG(os.lstat(path).st_mode):
        _fill(path, step.content)


_DO: dict[type, Callable[[bytes, Any], None]] = {
    Make: _make_it, Dress: _dress_it, Remove: _remove_it, Again: _make_again, Move: _move_it, Link: _link_it,
    Write: _write_it,
}  # fmt: skip


def _fill(path: bytes, content: tuple[bytes, int]) -> None:
    data, hole = content
    with open(path, "wb") as file:
        file.seek(hole)
        file.write(data)
        file.truncate()


def _take_away(path: bytes) -> None:
    if not os.path.lexists(path):
        return
    if stat.S_ISDIR(os.lstat(path).st_mode):
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _paths(root: bytes) -> list[bytes]:
    found = [root]
    for at, folders, files in os.walk(root):
        folders.sort()
        found += [at + b"/" + name for name in sorted([*folders, *files])]
    return found


def _any(root: bytes, number: int) -> bytes:
    paths = _paths(root)
    return paths[number % len(paths)]


def _folder(root: bytes, number: int) -> bytes:
    folders = [path for path in _paths(root) if stat.S_ISDIR(os.lstat(path).st_mode)]
    return folders[number % len(folders)]
