"""Snapshots of filesystems: the protocol and its values.

A snapshot's life: `prepare` makes an *active* one, writable, on top of a parent; `apply` unpacks a layer into it or a
container writes to its mount; `commit` makes it *committed* under its ChainID, immutable from then on and a parent for
others; `remove` ends it. A *view* is read-only. A *detached* one is unpacked before its parent is known and attached
later. What a snapshot is on disk is the driver's secret: nothing outside may assume that a layer is a folder.

Every method that makes or ends a row takes *along*: SQL that runs in the same transaction, so that a container and its
snapshot, or an image and its layers, appear and go together.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from jackstay_agent.kernel.id_maps import IdRange
from jackstay_agent.layers.changes import Change
from jackstay_oci.digest import Digest

Kind = Literal["committed", "active", "view", "detached"]
Along = Callable[[sqlite3.Connection], None]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot's row."""

    id: int
    key: str
    kind: Kind
    parent: str | None  # key
    diff_id: str | None
    size: int  # bytes of this layer alone
    inodes: int


@dataclass(frozen=True, slots=True)
class Applied:
    """What unpacking a layer found: the digest of its uncompressed tar, and what it takes on disk."""

    diff_id: Digest
    size: int
    inodes: int


@dataclass(frozen=True, slots=True)
class Audit:
    """Where rows and files do not agree: keys whose files are gone, and names of files that have no row."""

    missing: tuple[str, ...]
    orphaned: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Diffed:
    """What a diff wrote: the tar's digest and size in bytes; `empty` when nothing had changed."""

    diff_id: Digest
    size: int
    empty: bool


class Snapshotter(Protocol):
    """Keeps snapshots. Implementations stand beside this file, named after what they rest on: `overlay`, `btrfs`,
    `vfs`; `probing` chooses one. They differ in what docs/adr/0010 lists, and in nothing else."""

    name: str
    detaches: bool  # whether a layer can be unpacked before its parent is known

    async def prepare(self, key: str, parent: str | None, *, along: Along | None = None) -> Snapshot:
        """Make the active snapshot *key* on top of the committed *parent* (None: on nothing).

        Raises `AlreadyExists` for a key that is taken, `NotFound` for a parent that is not committed.
        """
        ...

    async def prepare_detached(self, diff_id: Digest, *, along: Along | None = None) -> Snapshot:
        """Make a snapshot for the layer *diff_id*, whose parent is not known yet; its key is ``detached-DIFFID``.

        `apply` fills it, `attach` gives it its parent. Raises `AlreadyExists`, and `Unsupported` where `detaches` is
        false.
        """
        ...

    async def attach(self, diff_id: Digest, key: str, parent: str | None, *, along: Along | None = None) -> Snapshot:
        """Make the detached snapshot of *diff_id* the active one *key* on top of *parent*; `commit` it as any other.

        What it was found to take is in its row. Raises `NotFound`, `WrongState` when it was not filled, `Unsupported`.
        """
        ...

    async def apply(self, key: str, blob: int, compression: str, *, growth: int | None = None) -> Applied:
        """Unpack the layer in descriptor *blob* (compression "none", "gzip", "zstd") into the active snapshot *key*.

        A blob that is still being written comes with *growth*, the reading end of a pipe that tells how far it is (see
        `apply`). A detached snapshot can be filled too; `Unsupported` when its layer needs a look at the tree below.

        All bytes are read, also those after the tar's end, so that the diffID is the whole blob's. Raises
        `InvalidArchive`, `LimitExceeded`, `DiskFull`; then the snapshot is to be removed.
        """
        ...

    async def commit(self, key: str, name: str, applied: Applied, *, along: Along | None = None) -> Snapshot:
        """Make the active snapshot *key* the committed one *name* (a ChainID).

        When *name* exists already, *key* is removed and the existing one returned: two loads of one layer both succeed.
        The files come to the disk some seconds after; see `doubtful`.
        """
        ...

    async def view(self, key: str, parent: str, *, along: Along | None = None) -> Snapshot:
        """Make the read-only snapshot *key* of *parent*."""
        ...

    async def mount(self, key: str, target: str, *, ids: IdRange | None = None) -> None:
        """Mount the active or view snapshot *key* at the folder *target*. No error when it is mounted there already.

        With *ids* an active one is mounted mapped (`kernel.id_maps`). Raises `Unsupported` where the kernel cannot.
        """
        ...

    async def unmount(self, target: str) -> None:
        """Undo `mount`. No error when nothing is mounted."""
        ...

    async def diff(self, key: str, out: int) -> Diffed:
        """Write what the active snapshot *key* changes over its parent as a layer tar to the descriptor *out*.

        Deterministic: the same tree gives the same bytes. Whiteouts as the OCI image specification has them.
        """
        ...

    async def changes(self, key: str) -> list[Change]:
        """Which paths the active snapshot *key* changes over its parent, by path. Raises `NotFound`, `WrongState`."""
        ...

    async def usage(self, key: str) -> tuple[int, int]:
        """Bytes and inodes that *key* alone takes now; for an active one, counted at the time of the call.

        Of a committed one, what unpacking counted. A driver that keeps whole trees counts of an active one the files
        that differ from its parent's, whole, also where the filesystem shares parts of them.
        """
        ...

    async def stat(self, key: str) -> Snapshot:
        """The row of *key*. Raises `NotFound`."""
        ...

    async def remove(self, key: str, *, along: Along | None = None) -> None:
        """End the snapshot *key*: its row, then its files. No error when it does not exist.

        Raises `InUse` when others rest on it.
        """
        ...

    async def clean(self) -> int:
        """Remove every file that has no row, as after a crash, and every extraction that was under way; how many."""
        ...

    async def audit(self) -> Audit:
        """Compare rows with what is on disk. Deletions under way are waited for, and are not told of."""
        ...

    async def compare(self, key: str, fresh: str) -> list[str]:
        """How the committed *key* differs from the active *fresh*, which the same layer was unpacked into on the same
        parent: a line for each file, few of them when there are many; none when they are the same.

        Raises `NotFound` for files that are gone.
        """
        ...

    async def replace(self, key: str, fresh: str, applied: Applied, *, along: Along | None = None) -> Snapshot:
        """Make the active *fresh* the committed *key*, in place of the one that is there, whose files are deleted.

        What rests on *key* rests on the new one from now on; who mounted the old one must be gone, which *along* can
        look for. Raises `NotFound`, `WrongState`.
        """
        ...

    async def write_out(self) -> None:
        """Bring every committed snapshot to the disk now, and wait for it."""
        ...

    async def doubtful(self) -> list[str]:
        """The keys of committed snapshots that the host may not have written out before it went down: their files may
        be missing, empty or cut. What their layers unpack to tells; `trust` ends the doubt."""
        ...

    async def trust(self, key: str) -> None:
        """The files of the committed *key* are on disk and right. Raises `NotFound`."""
        ...

    async def close(self) -> None:
        """End what goes on behind the calls. What is not written out yet is left to the kernel."""
        ...

    async def sweep(self) -> int:
        """Delete every file that has no row; how many. May run at any time."""
        ...
