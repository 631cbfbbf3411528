"""The volumes of this host: folders that outlive containers, below ``STATE/volumes``.

Guarantees: the row comes before the folder and goes before it, so a folder without a row is rubbish that `clean` takes
away; a volume that a container mounts is not removed. Files of an old volume never appear in a new one of its name.
Leaves to others: mounting, and copying an image's files into an empty volume (`containers`).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from jackstay_agent.errors import Error, InUse, NotFound
from jackstay_agent.events.event import Record, unrecorded
from jackstay_agent.kernel.jobs import Jobs
from jackstay_agent.kernel.threads import to_end
from jackstay_agent.metadata import volumes as rows
from jackstay_agent.metadata.database import Database
from jackstay_agent.metadata.volumes import VolumeRow
from jackstay_agent.volumes import folders, names

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume."""

    name: str
    mountpoint: str
    created: int  # nanoseconds since 1970
    labels: dict[str, str]
    anonymous: bool
    users: tuple[str, ...]  # ids of the containers that mount it


class Volumes:
    """Keeps volumes. One object an agent; `clean` comes first."""

    def __init__(self, state_dir: str, database: Database, jobs: Jobs) -> None:
        self.root = self._root = os.path.join(state_dir, "volumes")
        self._database = database
        self._jobs = jobs
        # Rows and folders change together only for who holds it, so that no folder is made while its old one goes.
        self._lock = asyncio.Lock()
        self._going: set[str] = set()  # entries of the folder that are being deleted
        self.record: Record = unrecorded

    async def create(self, name: str | None, labels: Mapping[str, str], anonymous: bool = False) -> Volume:
        """Make a volume, with a name of its own when *name* is None or ""; the existing one when it is there already.

        Raises `InvalidArgument` for a malformed name, `DiskFull`.
        """
        chosen = names.checked(name) if name else names.anonymous()
        return await to_end(self._create(chosen, labels, anonymous or not name))

    async def _create(self, name: str, labels: Mapping[str, str], anonymous: bool) -> Volume:
        def work(connection: sqlite3.Connection) -> bool:
            new = name not in rows.names(connection)
            rows.add(connection, name, time.time_ns(), anonymous, labels)
            return new

        async with self._lock:
            if await self._database.write("volumes.create", work):
                self.record("volume", "create", name, {"driver": "local"}, labels)
            await asyncio.to_thread(folders.make, self._root, name)
            return await self.inspect(name)

    async def inspect(self, name: str) -> Volume:
        """The volume *name*. Raises `NotFound`."""
        row = await self._database.read(lambda c: rows.volume(c, name))
        if row is None:
            raise _not_found(name)
        return self._volume(row)

    async def remove(self, name: str, force: bool = False) -> None:
        """Remove *name* and its files. Raises `InUse` naming the containers, `NotFound` unless *force*.

        A cancelled caller waits for the end, as that of `prune` does: the row is gone, and the next volume of that name
        would have the files.
        """
        await to_end(self._remove(name, force))

    async def _remove(self, name: str, force: bool) -> None:
        async with self._lock:
            found = await self._database.write("volumes.remove", lambda c: _delete(c, name))
            if not found and not force:
                raise _not_found(name)
            aside = await asyncio.to_thread(folders.put_aside, self._root, name) if found else None
        if found:
            self.record("volume", "destroy", name, {"driver": "local"})
        if aside is not None:
            await self._discard(aside)

    async def prune(self, all: bool = False, filters: Iterable[str] = ()) -> tuple[list[str], int]:
        """Remove the anonymous volumes that nothing mounts (*all*: named ones too): their names, the bytes freed.

        *filters* ("label=key", "label!=key=value") spare others. Raises `InvalidArgument` for an unknown one.
        """
        wanted = list(filters)
        names.prunable((), wanted)  # refused before anything is written
        return await to_end(self._prune(all, wanted))

    async def _prune(self, all: bool, wanted: Sequence[str]) -> tuple[list[str], int]:
        async with self._lock:
            removed = await self._database.write("volumes.prune", lambda c: _delete_unused(c, all, wanted))
            aside = [await asyncio.to_thread(folders.put_aside, self._root, name) for name in removed]
        freed = 0
        for entry in aside:
            if entry is not None:
                freed += await self._discard(entry)
        for name in removed:
            self.record("volume", "destroy", name, {"driver": "local"})
        self.record("volume", "prune", "", {"reclaimed": str(freed)})
        return removed, freed

    def ensure(self, connection: sqlite3.Connection, name: str | None, labels: Mapping[str, str]) -> str:
        """The row of *name*, made when it is missing (None or "": a new anonymous one); its name. SQL only.

        One that is made gets *labels*.

        Raises `InvalidArgument` for a malformed name.
        """
        chosen = names.checked(name) if name else names.anonymous()
        rows.add(connection, chosen, time.time_ns(), not name, labels)
        return chosen

    def names(self, connection: sqlite3.Connection) -> set[str]:
        """The names of all volumes. SQL only."""
        return rows.names(connection)

    def require(self, connection: sqlite3.Connection, name: str) -> str:
        """*name*, whose row is there. SQL only. Raises `NotFound`."""
        if rows.volume(connection, name) is None:
            raise _not_found(name)
        return name

    def add_use(self, connection: sqlite3.Connection, container: str, name: str) -> None:
        """Note that *container* mounts *name*, until its row goes. SQL only, after the container's row is there."""
        rows.add_use(connection, container, name)

    async def anonymous_of(self, container: str) -> list[str]:
        """The anonymous volumes that only *container* mounts: what ``rm -v`` removes once its row is gone."""
        return await self._database.read(lambda c: rows.anonymous_of(c, container))

    async def materialize(self, name: str) -> str:
        """The folder of *name* to mount, durably made when missing. Raises `NotFound` without a row, `DiskFull`."""
        async with self._lock:
            if await self._database.read(lambda c: rows.volume(c, name)) is None:
                raise _not_found(name)
            return await asyncio.to_thread(folders.make, self._root, name)

    def path(self, name: str) -> str:
        """Where *name*'s files are. Raises `InvalidArgument` for a malformed name."""
        return os.path.join(self._root, names.checked(name), folders.DATA)

    async def clean(self) -> int:
        """Remove every folder that has no row, as after a crash; how many. What cannot be removed is logged."""
        async with self._lock:
            known = {row.name for row in await self._database.read(rows.volumes)}
            rubbish = [entry for entry in await asyncio.to_thread(folders.entries, self._root) if entry not in known]
            removed = 0
            for entry in rubbish:
                try:
                    await self._discard(entry)
                    removed += 1
                except Error as error:
                    log.warning("a volume's files cannot be removed", error=error.message)
        return removed

    async def leftovers(self) -> list[str]:
        """What lies in the folder of volumes, has no row, and is not being deleted."""
        async with self._lock:
            known = {row.name for row in await self._database.read(rows.volumes)} | self._going
            return [entry for entry in await asyncio.to_thread(folders.entries, self._root) if entry not in known]

    async def discard(self, entry: str) -> None:
        """Delete one of the `leftovers`. Raises `Error` when the kernel refuses."""
        async with self._lock:
            if await self._database.read(lambda c: rows.volume(c, entry)) is None:
                await self._discard(entry)

    async def _discard(self, entry: str) -> int:
        self._going.add(entry)
        try:
            freed: int = await self._jobs.run("jackstay_agent.volumes.folders:remove_job", [self._root, entry])
        finally:
            self._going.discard(entry)
        return freed

    def _volume(self, row: VolumeRow) -> Volume:
        return Volume(row.name, self.path(row.name), row.created, row.labels, row.anonymous, row.users)

    async def list(self, filters: Iterable[str] = ()) -> list[Volume]:
        """The volumes that fit *filters*, by name. Raises `InvalidArgument` for an unknown filter."""
        found = await self._database.read(rows.volumes)
        return [self._volume(row) for row in names.matching(found, filters)]


def _delete(connection: sqlite3.Connection, name: str) -> bool:
    row = rows.volume(connection, name)
    if row is not None and row.users:
        users = ", ".join(rows.names_of(connection, row.users))
        raise InUse(f"volume {name} is in use by {users}", hint="remove these containers first")
    return rows.delete(connection, name)


def _delete_unused(connection: sqlite3.Connection, named: bool, filters: Iterable[str]) -> list[str]:
    unused = [row for row in rows.volumes(connection) if not row.users and (named or row.anonymous)]
    going = [row.name for row in names.prunable(unused, filters)]
    for name in going:
        rows.delete(connection, name)
    return going


def _not_found(name: str) -> NotFound:
    return NotFound(f"volume {name} not found", hint="`jackstay volume ls` shows what there is")
