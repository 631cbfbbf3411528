"""Who a container runs as: ``--user`` text, resolved against the image's own ``/etc/passwd`` and ``/etc/group``.

Guarantees: the files are opened inside the root filesystem by the kernel (openat2, RESOLVE_IN_ROOT), must be regular
and at most 10 MiB; a text of digits alone is a number between 0 and 2^31-1 or an error, and never falls back to being a
name (CVE-2024-40635, CVE-2026-46680). Files of more than `SMALL` bytes, which only a hostile image has, are read in a
child of the spawner, whose memory and time are its own; `lookup` is pure. The rules are those of runc's
``GetExecUser``, but for digits, which it tries as a name first.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jackstay_agent.containers import mount_points, working_folder
from jackstay_agent.errors import InvalidArgument, LimitExceeded, from_os_error
from jackstay_agent.kernel import syscalls
from jackstay_agent.kernel.jobs import Jobs
from jackstay_agent.kernel.threads import finish

JOB = "jackstay_agent.containers.users:resolve_user"
MAX_ID = (1 << 31) - 1
MAX_FILE = 10 << 20
"""Bytes read of a passwd or group file at most."""
SMALL = 64 << 10
"""Bytes of one that the agent reads by itself, in a thread: a child takes ten times as long to come as the reading."""


@dataclass(frozen=True, slots=True)
class ResolvedUser:
    """A user as numbers. `groups` are the additional ones, the primary one first (CVE-2022-36109)."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


ROOT = ResolvedUser(0, 0, (0,), "/root")


async def resolve(jobs: Jobs, rootfs: str, user: str, groups: Sequence[str] = (), *, folder: str = "/") -> ResolvedUser:
    """Who *user* ("", name, uid, name:group, uid:gid) with the additional *groups* is in the mounted folder *rootfs*.

    Along with it the working *folder* is made, if the image has none of the name, and what the runtime mounts its own
    at.

    Raises:
        InvalidArgument: there is no such user or group, a number is out of bounds, a file is not regular.
        LimitExceeded: a file is larger than `MAX_FILE`.
    """
    try:
        return await finish(_resolve, rootfs, user, groups, folder, SMALL)
    except OSError as error:
        raise from_os_error(error, "looking for the container's user") from error
    except LimitExceeded:
        uid, gid, additional, home = await jobs.run(JOB, [rootfs, user, list(groups), folder])
        return ResolvedUser(uid, gid, tuple(additional), home)


def resolve_user(argument: Any, _descriptors: list[int]) -> list[Any]:
    """The job behind `resolve`: ``[rootfs, user, groups, folder]`` to ``[uid, gid, additional groups, home]``."""
    rootfs, user, groups, folder = argument
    found = _resolve(rootfs, user, groups, folder, MAX_FILE)
    return [found.uid, found.gid, list(found.groups), found.home]


def _resolve(rootfs: str, user: str, groups: Sequence[str], folder: str, largest: int) -> ResolvedUser:
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = lookup(_read(root, "etc/passwd", largest), _read(root, "etc/group", largest), user, groups)
        mount_points.make(root)
        working_folder.make(root, folder)
    finally:
        os.close(root)
    return found


def lookup(passwd: bytes, group: bytes, user: str, groups: Sequence[str] = ()) -> ResolvedUser:
    """`resolve` with the two files' content at hand; malformed lines are passed over."""
    user_text, colon, group_text = user.partition(":")
    if ":" in group_text:
        raise InvalidArgument(f"invalid user {user[:60]!r}", hint="write USER[:GROUP], names or numbers")
    number = _number(user_text or "0", "user")
    uid, gid, home, name = -1, 0, "/", ""
    for fields in _entries(passwd, 7):
        numbers = _small(fields[2]), _small(fields[3])
        if None in numbers or (fields[0] != user_text if number is None else numbers[0] != number):
            continue
        uid, gid, home, name = numbers[0] or 0, numbers[1] or 0, _text(fields[5]) or "/", fields[0]
        break
    if uid < 0:
        if number is None:
            raise InvalidArgument(f"unable to find user {user_text[:60]}: no matching entries in passwd file")
        uid = number
    known = [
        (fields[0], _small(fields[2]), fields[3].split(",") if len(fields) > 3 else []) for fields in _entries(group, 3)
    ]
    additional: list[int] = []
    if colon and group_text:
        gid = _group(group_text, known)
    elif name:
        additional = [found for _name, found, members in known if found is not None and name in members]
    additional = [gid, *additional, *(_group(text, known) for text in groups)]
    return ResolvedUser(uid, gid, tuple(dict.fromkeys(additional)), home)


def _group(text: str, known: Sequence[tuple[str, int | None, list[str]]]) -> int:
    number = _number(text, "group")
    if number is not None:
        return number
    for name, found, _members in known:
        if name == text and found is not None:
            return found
    raise InvalidArgument(f"unable to find group {text[:60]}: no matching entries in group file")


def _number(text: str, what: str) -> int | None:
    """The number that *text* is, None for a name. Unicode digits and signs make no number, and no such name exists."""
    if not (text.isascii() and text.isdigit()):
        return None
    if len(text.lstrip("0")) > 10 or int(text) > MAX_ID:
        raise InvalidArgument(f"{what} {text[:40]} is out of bounds: ids must be in range 0-{MAX_ID}")
    return int(text)


def _small(text: str) -> int | None:
    """An id in a file; None, which hides the line, when it is malformed or out of bounds."""
    if not (text.isascii() and text.isdigit()) or len(text) > 10 or int(text) > MAX_ID:
        return None
    return int(text)


def _text(field: str) -> str:
    """*field* as the specification can hold it: no NUL, and what is not UTF-8 replaced."""
    return field.replace("\0", "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _entries(content: bytes, least: int) -> Iterator[list[str]]:
    for line in content.split(b"\n"):
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        fields = text.decode("utf-8", "surrogateescape").split(":")
        if len(fields) >= least and fields[0]:
            yield fields


def _read(root: int, path: str, largest: int) -> bytes:
    """The file *path* of at most *largest* bytes inside the folder *root*; nothing when it does not exist."""
    resolve = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS
    try:
        # O_PATH first: opening a device or a pipe for reading could do things before it is known for what it is.
        found = syscalls.openat2(path, os.O_PATH, dir_fd=root, resolve=resolve)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        raise InvalidArgument(f"/{path} of the image cannot be read: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(found).st_mode):
            raise InvalidArgument(f"/{path} of the image is not a regular file")
        file = os.open(f"/proc/self/fd/{found}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    finally:
        os.close(found)
    content = bytearray()
    with open(file, "rb", buffering=0) as reader:
        while piece := reader.read(SMALL):
            content += piece
            if len(content) > largest:
                raise LimitExceeded(f"/{path} of the image is larger than {largest} bytes")
    return bytes(content)
