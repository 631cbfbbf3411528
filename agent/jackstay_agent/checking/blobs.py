"""Checking blobs: every byte is read from the disk again and hashed.

Guarantees: a blob that is removed or repaired meanwhile is no finding; no file is deleted but one whose bytes are not
those of its digest, and its row stays for the fetch that repairs it. Memory: one piece of 4 MiB.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import Enum, auto

from jackstay_agent.checking import needs
from jackstay_agent.checking.findings import Finding, Step
from jackstay_agent.checking.parts import Parts
from jackstay_agent.errors import NotFound
from jackstay_agent.kernel.threads import finish
from jackstay_agent.metadata import blobs as rows
from jackstay_oci.digest import Digest, hasher

_PIECE = 4 << 20
_STEP_EVERY = 0.2

_REFERRED = """
WITH RECURSIVE referred (digest) AS (
    SELECT root FROM images UNION SELECT manifest FROM images UNION SELECT image_id FROM images
    UNION SELECT child FROM (
        SELECT parent, child FROM blob_references
        UNION ALL SELECT subject, digest FROM artifacts
        UNION ALL SELECT about, digest FROM artifact_names
    ) JOIN referred ON parent = referred.digest
)
SELECT digest FROM referred WHERE digest NOT IN (SELECT digest FROM blobs)
"""


class _State(Enum):
    GOOD = auto()
    MISSING = auto()
    UNREADABLE = auto()
    DAMAGED = auto()
    MISCOUNTED = auto()  # the file is good, its row says another size


@dataclass(frozen=True, slots=True)
class _Look:
    """What a blob's file was found to be."""

    state: _State
    detail: str = ""
    size: int = 0


class BlobCheck:
    """One check of all blobs; `count` and `bytes` tell how much was looked at."""

    def __init__(self, parts: Parts, *, repair: bool) -> None:
        self._parts = parts
        self._repair = repair
        self._total = 0
        self._told = 0.0
        self.count = 0
        self.bytes = 0

    async def run(self) -> AsyncGenerator[Finding | Step, None]:
        """Every blob that has a row, then those that an image names and that have none."""
        sizes = await self._parts.database.read(_sizes)
        self._total = sum(sizes.values())
        yield Step("blobs", 0, self._total)
        for digest, size in sizes.items():
            before = self.bytes
            look = _Look(_State.GOOD)
            async for told in self._look(digest):
                if isinstance(told, Step):
                    yield told
                else:
                    look = told
            self.count += 1
            self.bytes = before + size
            if look.state is not _State.GOOD and (finding := await self._judge(digest)) is not None:
                yield finding
        yield Step("blobs", self._total, self._total)
        for digest in await self._parts.database.read(without_row):
            if (finding := await self._without_row(digest)) is not None:
                yield finding

    async def _look(self, digest: Digest) -> AsyncGenerator[Step | _Look, None]:
        """Hash the file; steps on the way, in the end what it is."""
        hashing = hasher()
        offset = 0
        try:
            descriptor = await self._parts.content.open(digest)
        except NotFound:
            yield _Look(_State.MISSING, "its file is gone")
            return
        except OSError as error:
            yield _Look(_State.UNREADABLE, f"it cannot be opened: {error.strerror}")
            return
        try:
            # What is clean in the page cache goes, so that it is the disk that is read.
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            while piece := await finish(os.pread, descriptor, _PIECE, offset):
                await finish(hashing.update, piece)
                offset += len(piece)
                self.bytes += len(piece)
                if time.monotonic() - self._told > _STEP_EVERY:
                    self._told = time.monotonic()
                    yield Step("blobs", min(self.bytes, self._total), self._total)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError as error:
            yield _Look(_State.UNREADABLE, f"it cannot be read: {error.strerror}")
            return
        finally:
            os.close(descriptor)
        known = await self._parts.database.read(lambda c: rows.size_of(c, digest))
        counted = f"{offset} bytes" if known in (None, offset) else f"{offset} bytes, not {known}"
        if Digest.finish(hashing) != digest:
            yield _Look(_State.DAMAGED, f"its bytes are not those of its digest ({counted})")
        elif known not in (None, offset):
            yield _Look(_State.MISCOUNTED, f"its row says {known} bytes, it has {offset}", offset)
        else:
            yield _Look(_State.GOOD, size=offset)

    async def _look_again(self, digest: Digest) -> _Look:
        before = self.bytes
        async for told in self._look(digest):
            if isinstance(told, _Look):
                look = told
        self.bytes = before
        return look

    async def _judge(self, digest: Digest) -> Finding | None:
        """Look again at a blob that was wrong: it may have been removed, or repaired, by somebody else meanwhile."""
        look = await self._look_again(digest)
        if look.state is _State.GOOD or await self._parts.database.read(lambda c: rows.size_of(c, digest)) is None:
            return None
        who = await self._parts.database.read(lambda c: needs.of_blob(c, digest))
        repaired = self._repair and await self._put_right(digest, look, needed=bool(who))
        steps = []
        if not self._repair and (look.state is not _State.MISSING or not who):
            steps.append("run system check --repair")
        if look.state is not _State.MISCOUNTED and who:
            steps.append(who.reload)
        return Finding(
            "missing" if look.state is _State.MISSING else "wrong",
            "blob",
            digest,
            f"{look.detail}; {who}",
            repaired,
            "" if repaired else ", then ".join(steps),
        )

    async def _put_right(self, digest: Digest, look: _Look, *, needed: bool) -> bool:
        """Take a damaged file away, so that the next fetch brings it anew; whether nothing more is to be done."""
        if look.state is _State.MISCOUNTED:
            await self._parts.database.write("checking.size", lambda c: _resize(c, digest, look.size))
            return True
        await self._drop(digest, look)
        if needed:
            return False
        await self._parts.collector.collect()
        return await self._parts.database.read(lambda c: rows.size_of(c, digest)) is None

    async def _drop(self, digest: Digest, look: _Look) -> None:
        if look.state is _State.DAMAGED:
            await self._parts.content.drop_if_damaged(digest)
        elif look.state is _State.UNREADABLE:
            await finish(self._parts.content.blobs.delete, digest)

    async def _without_row(self, digest: Digest) -> Finding | None:
        """A blob that an image names, and that has no row: its file may be here all the same."""
        look = await self._look_again(digest)
        if digest not in await self._parts.database.read(without_row):
            return None
        who = await self._parts.database.read(lambda c: needs.of_blob(c, digest))
        if look.state is _State.GOOD:
            if self._repair:
                await self._parts.database.write("checking.row", lambda c: _insert(c, digest, look.size))
            hint = "" if self._repair else "run system check --repair"
            return Finding("missing", "blob", digest, f"its row is gone, its file is good; {who}", self._repair, hint)
        if self._repair:
            await self._drop(digest, look)
        return Finding("missing", "blob", digest, f"its row is gone, and {look.detail}; {who}", hint=who.reload)


def without_row(connection: sqlite3.Connection) -> list[Digest]:
    """The blobs that images name and that have no row."""
    return [Digest(row["digest"]) for row in connection.execute(_REFERRED)]


def _sizes(connection: sqlite3.Connection) -> dict[Digest, int]:
    return {Digest(row["digest"]): row["size"] for row in connection.execute("SELECT digest, size FROM blobs")}


def _insert(connection: sqlite3.Connection, digest: Digest, size: int) -> None:
    if digest in without_row(connection):  # its images may have been removed meanwhile
        rows.insert(connection, digest, size)


def _resize(connection: sqlite3.Connection, digest: Digest, size: int) -> None:
    connection.execute("UPDATE blobs SET size = ? WHERE digest = ?", (size, str(digest)))
