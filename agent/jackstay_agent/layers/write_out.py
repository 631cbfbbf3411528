"""Brings committed snapshots to the disk, behind those who had them unpacked.

A layer's files can be had again from its blob, which is on the disk before the layer has a row. So nobody waits for
them: the row says in which boot they were unpacked until they are written out. When the host went down before that, the
next start finds rows of another boot, and looks at those layers again (`checking.doubtful`).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3

import structlog

from jackstay_agent import faults
from jackstay_agent.errors import Error
from jackstay_agent.kernel import syscalls
from jackstay_agent.kernel.boot import boot_id
from jackstay_agent.kernel.threads import begin, finish
from jackstay_agent.metadata import snapshots as rows
from jackstay_agent.metadata.database import Database

AFTER = 2.0
"""Seconds from a commit to the writing out: it is done once for all layers of an image, and not in their way."""

_log = structlog.get_logger("layers")


class WriteOut:
    """Writes out the filesystem of the folder *root*, and the rows in *database* that say so."""

    def __init__(self, root: str, database: Database) -> None:
        self._root = root
        self._database = database
        self._due = False
        self._later: asyncio.Task[None] | None = None

    def soon(self) -> None:
        """Something was committed."""
        self._due = True
        if self._later is None or self._later.done():
            self._later = asyncio.create_task(self._catch_up())

    async def now(self) -> None:
        """Write out what was committed in this boot. What cannot be written is doubtful from the next start on."""
        boot = await finish(boot_id)
        ids = await self._database.read(lambda c: rows.unsynced(c, boot))
        if not ids:
            return
        try:
            await begin(_sync, self._root)  # a thread of its own: it may take as long as the disk wants
        except OSError as error:
            _log.error("layers cannot be written to the disk", folder=self._root, error=str(error))
            await self._database.write("layers.write_out.failed", lambda c: rows.mark_unsynced(c, ids, "failed"))
            return
        await self._database.write("layers.write_out", lambda c: rows.mark_unsynced(c, ids, ""))

    async def close(self) -> None:
        """Leave what is due to the kernel, and to the next start."""
        if self._later is not None:
            self._later.cancel()
            await asyncio.wait([self._later])

    async def _catch_up(self) -> None:
        while self._due:
            await asyncio.sleep(AFTER)
            self._due = False
            try:
                await self.now()
            except (Error, OSError, sqlite3.Error) as error:  # a full disk: the next commit tries again
                _log.warning("cannot note that layers are on the disk", error=str(error))


def _sync(root: str) -> None:
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syscalls.syncfs(folder)
        faults.point("layers.write_out.synced")
    finally:
        os.close(folder)
