"""A file tree as a value to compare: of a running container, seen from outside, and of the tar that it was made of."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.lab.host import Host

CAPABILITY = "security.capability"
NOT_OF_THE_IMAGE = {"/.dockerenv", "/etc/mtab", "/dev", "/proc", "/sys"}
FOLDERS_CHANGED_BY_MOUNTS = {"/", "/etc"}  # an engine makes the files there that it mounts its own on


@dataclass(frozen=True, slots=True)
class File:
    """All that an image says about a file."""

    mode: int
    owner: tuple[int, int]
    modified: int  # ns
    links: int = 0  # of folders, 0
    device: int = 0
    target: str = ""
    content: str = ""
    capability: bytes = b""


Tree = dict[str, File]


def tree_of_process(host: Host, pid: int) -> Tree:
    """What a container's process sees, without what is mounted into it; ``pid`` is its number on the host."""
    root = str(host.path(f"/proc/{pid}/root"))
    mounts = {line.split()[4] for line in host.path(f"/proc/{pid}/mountinfo").read_text().splitlines()} - {"/"}
    tree: Tree = {}
    for path in _walk(root, mounts):
        tree[path] = _file(root + path)
    return _without_noise(tree)


def tree_of_folder(folder: Path) -> Tree:
    """What lies in a folder on this machine."""
    root = str(folder)
    return _without_noise({path: _file(root + path) for path in _walk(root, set())})


def _walk(root: str, mounts: set[str]) -> Iterator[str]:
    for folder, folders, files in os.walk(root + "/"):
        inside = folder.removeprefix(root).rstrip("/")
        folders[:] = [name for name in folders if f"{inside}/{name}" not in mounts]
        yield from (f"{inside}/{name}" for name in [*folders, *files] if f"{inside}/{name}" not in mounts)


def _file(path: str) -> File:
    status = os.lstat(path)
    file = File(status.st_mode, (status.st_uid, status.st_gid), status.st_mtime_ns)
    if stat.S_ISDIR(status.st_mode):
        return file
    file = replace(file, links=status.st_nlink)
    if stat.S_ISLNK(status.st_mode):
        return replace(file, target=os.readlink(path))
    if stat.S_ISREG(status.st_mode):
        capability = os.getxattr(path, CAPABILITY) if CAPABILITY in os.listxattr(path) else b""
        return replace(file, content=hashlib.sha256(Path(path).read_bytes()).hexdigest(), capability=capability)
    return replace(file, device=status.st_rdev)


def tree_of_tar(path: Path) -> Tree:
    """What a layer's tar holds."""
    kinds = {
        tarfile.REGTYPE: stat.S_IFREG,
        tarfile.DIRTYPE: stat.S_IFDIR,
        tarfile.SYMTYPE: stat.S_IFLNK,
        tarfile.FIFOTYPE: stat.S_IFIFO,
        tarfile.CHRTYPE: stat.S_IFCHR,
    }
    tree: Tree = {}
    first: dict[str, str] = {}  # of each name, the name that its file came with
    with tarfile.open(path) as tar:
        for member in tar:
            name = "/" + member.name
            first[name] = first["/" + member.linkname] if member.islnk() else name
            if member.islnk():
                original = tree[first[name]]  # which takes the mode of each of its links
                tree[first[name]] = replace(original, mode=stat.S_IFMT(original.mode) | member.mode)
                continue
            content = ""
            if member.isfile():
                stream = tar.extractfile(member)
                assert stream is not None
                content = hashlib.sha256(stream.read()).hexdigest()
            tree[name] = File(
                mode=kinds[member.type] | member.mode,
                owner=(member.uid, member.gid),
                modified=round(float(member.mtime) * 1_000_000) * 1000,  # a float holds no more
                device=os.makedev(member.devmajor, member.devminor) if member.ischr() else 0,
                target=member.linkname if member.issym() else "",
                content=content,
                capability=member.pax_headers.get(f"SCHILY.xattr.{CAPABILITY}", "").encode(),
            )
    links = Counter(first.values())
    for name, source in first.items():
        if not stat.S_ISDIR(tree[source].mode):
            tree[name] = replace(tree[source], links=links[source])
    return _without_noise(tree)


def _without_noise(tree: Tree) -> Tree:
    kept = {path: file for path, file in tree.items() if path not in NOT_OF_THE_IMAGE}
    for path in FOLDERS_CHANGED_BY_MOUNTS & kept.keys():
        kept[path] = replace(kept[path], modified=0)
    return kept
