"""Checking for what lies on disk and belongs to nothing: files without rows, in every folder that the agent keeps.

Guarantees: what is on its way in or out is no finding. Everything that looks left over is looked at again after a
moment, and must have been so both times; a blob is deleted inside a transaction that sees whether somebody wants it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sqlite3
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from functools import partial

from jackstay_agent.checking import blobs
from jackstay_agent.checking.findings import Finding, Thing
from jackstay_agent.checking.parts import Parts
from jackstay_agent.containers.releasing import delete_bundle, release
from jackstay_agent.errors import Error
from jackstay_agent.gc import mark
from jackstay_agent.kernel.threads import finish
from jackstay_agent.metadata import blobs as blob_rows
from jackstay_agent.metadata import volumes as volume_rows
from jackstay_oci.digest import Digest
from jackstay_oci.errors import InvalidDigest

SETTLE = 1.0
"""Seconds between the two looks, for what is on its way."""


@dataclass(frozen=True, slots=True)
class _Leftover:
    """Something that belongs to nothing: its kind of thing, the folder it lies in, its name there."""

    thing: Thing
    folder: str
    name: str

    @property
    def path(self) -> str:
        """Where it is."""
        return os.path.join(self.folder, self.name)


class LeftoverCheck:
    """One check for files that have no row, and for small rows that have no files."""

    def __init__(self, parts: Parts, *, repair: bool) -> None:
        self._parts = parts
        self._repair = repair
        root = str(parts.content.blobs.root)
        self._blobs = os.path.join(root, "blobs", "sha256")
        self._ingests = os.path.join(root, "ingest")

    async def run(self) -> AsyncGenerator[Finding, None]:
        """Everything that was left over at two looks."""
        found, lost, volumes = await self._find(), await self._lost_ingests(), await self._lost_volumes()
        if not (found or lost or volumes):
            return
        await asyncio.sleep(SETTLE)
        async with self._parts.collector.still():  # or a blob that went twice would be seen going twice
            again = set(await self._find())
        for leftover in found:
            if leftover in again:
                yield await self._judge(leftover)
        for ref, begun in sorted(lost & await self._lost_ingests()):
            if self._repair:
                await self._parts.database.write("checking.ingest", partial(_end_lost_ingest, ref=ref, begun=begun))
            hint = "" if self._repair else "run system check --repair"
            yield Finding("missing", "ingest", ref, "its row says that a fetch broke off, its files are gone",
                          self._repair, hint)  # fmt: skip
        for name, _made in sorted(volumes & await self._lost_volumes()):
            hint = f"restore it from a backup, or remove it with jackstay volume rm {name}"
            yield Finding("missing", "volume", name, "its files are gone", hint=hint)

    async def _find(self) -> list[_Leftover]:
        layout = self._parts.engine.layout
        files, ingests = await finish(_listed, self._blobs), await finish(_listed, self._ingests)
        logs, bundles, exits = [await finish(_listed, folder) for folder in (layout.logs, layout.bundles, layout.exits)]
        # The rows are read after the files: what came in between has a row by now.
        wanted = await self._parts.database.read(_wanted)
        containers = await self._parts.database.read(_containers)
        newest = await self._parts.database.read(_oldest_made)
        strange = [name for name in files if not _is_hex(name) or f"sha256:{name}" not in wanted.blobs]
        if newest is not None:  # a blob that is made here has no row for a moment, and nobody knew its digest
            strange = await finish(_older, self._blobs, strange, newest)
        found = [_Leftover("blob", self._blobs, name) for name in strange]
        found += [_Leftover("ingest", self._ingests, name) for name in ingests if name not in wanted.ingests]
        for folder, names in ((layout.logs, logs), (layout.bundles, bundles), (layout.exits, exits)):
            found += [_Leftover("container", folder, name) for name in names if name not in containers]
        found += [_Leftover("volume", self._parts.volumes.root, name) for name in await self._parts.volumes.leftovers()]
        audit = await self._parts.snapshotter.audit()
        return found + [_Leftover("layer", "", name) for name in audit.orphaned]

    async def _judge(self, leftover: _Leftover) -> Finding:
        where = f" of the storage driver {self._parts.snapshotter.name}" if leftover.thing == "layer" else ""
        detail = f"{leftover.path}{where} belongs to nothing"
        if not self._repair:
            return Finding("orphaned", leftover.thing, leftover.name, detail, hint="run system check --repair")
        try:
            await self._remove(leftover)
        except (Error, OSError) as error:
            return Finding("orphaned", leftover.thing, leftover.name, f"{detail}, and cannot be removed: {error}",
                           hint=f"look at {leftover.path} on the host")  # fmt: skip
        return Finding("orphaned", leftover.thing, leftover.name, detail, repaired=True)

    async def _remove(self, leftover: _Leftover) -> None:
        parts, layout = self._parts, self._parts.engine.layout
        if leftover.thing == "layer":
            await parts.snapshotter.sweep()
        elif leftover.thing == "volume":
            await parts.volumes.discard(leftover.name)
        elif leftover.thing == "blob" and _is_hex(leftover.name):
            digest = Digest.parse(f"sha256:{leftover.name}")
            await parts.database.write("checking.blob", lambda c: _delete_unwanted(c, parts, digest))
        elif leftover.folder == layout.bundles:
            await release(parts.engine, leftover.name)
            await finish(delete_bundle, leftover.path)
        else:
            folder = await finish(os.open, leftover.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                await parts.engine.jobs.run("jackstay_agent.layers.deleting:delete_tree", leftover.name, [folder])
            finally:
                os.close(folder)

    async def _lost_ingests(self) -> set[tuple[str, int]]:
        """Ingests without a folder, and when they were begun: the next one of that name is another."""
        refs = await self._parts.database.read(blob_rows.ingest_refs)
        names = set(await finish(_listed, self._ingests))
        return {(ref, begun) for ref, begun in refs.items() if _folder_of(ref) not in names}

    async def _lost_volumes(self) -> set[tuple[str, int]]:
        """Volumes without a folder, and when they were made; the start of the first container that mounts one makes
        it."""
        rows = await self._parts.database.read(volume_rows.volumes)
        started = await self._parts.database.read(_started)
        names = set(await finish(_listed, self._parts.volumes.root))
        return {
            (row.name, row.created)
            for row in rows
            if row.name not in names and (not row.users or not started.isdisjoint(row.users))
        }


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Digests that somebody has or waits for, and names of ingests' folders."""

    blobs: frozenset[str]
    ingests: frozenset[str]


def _wanted(connection: sqlite3.Connection) -> _Wanted:
    digests = connection.execute(
        "SELECT digest FROM blobs UNION SELECT digest FROM ingests WHERE digest IS NOT NULL"
        " UNION SELECT key FROM lease_items WHERE kind = 'blob'"
    )
    return _Wanted(
        frozenset(row["digest"] for row in digests) | frozenset(blobs.without_row(connection)),
        frozenset(_folder_of(ref) for ref in blob_rows.ingest_refs(connection)),
    )


def _containers(connection: sqlite3.Connection) -> frozenset[str]:
    return frozenset(row["id"] for row in connection.execute("SELECT id FROM containers"))


def _started(connection: sqlite3.Connection) -> frozenset[str]:
    return frozenset(row["id"] for row in connection.execute("SELECT id FROM containers WHERE started > 0"))


def _oldest_made(connection: sqlite3.Connection) -> int | None:
    """When the oldest ingest began whose digest nobody knows yet, nanoseconds since 1970."""
    found: int | None = connection.execute("SELECT MIN(updated) FROM ingests WHERE digest IS NULL").fetchone()[0]
    return found


def _delete_unwanted(connection: sqlite3.Connection, parts: Parts, digest: Digest) -> None:
    if not mark.wanted(connection, digest):
        parts.content.blobs.delete(digest)


def _end_lost_ingest(connection: sqlite3.Connection, *, ref: str, begun: int) -> None:
    if blob_rows.ingest_refs(connection).get(ref) == begun:
        blob_rows.end_ingest(connection, ref)


def _older(folder: str, names: list[str], when: int) -> list[str]:
    """Those of *names* that got their name before *when*."""
    found = []
    for name in names:
        try:
            if os.lstat(os.path.join(folder, name)).st_ctime_ns < when:
                found.append(name)
        except FileNotFoundError:
            continue
    return found


def _is_hex(name: str) -> bool:
    try:
        Digest.parse(f"sha256:{name}")
    except InvalidDigest:
        return False
    return True


def _folder_of(ref: str) -> str:
    return hashlib.sha256(ref.encode("utf-8", "surrogateescape")).hexdigest()


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
