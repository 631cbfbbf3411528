"""The secrets of this host: values that containers get as files or variables, below ``STATE/secrets``.

Guarantees: a value is only in its file, which root alone may read; neither rows, events, the log nor errors have it.
The file comes before the row and goes after it, so a file without a row is rubbish that `clean` takes away; a new value
has a new file, so that a secret that is replaced has the old or the new one. A secret that a container gets is not
removed. Leaves to others: what the container sees of it (`containers`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping

import structlog

from jackstay_agent.errors import Error, InUse, NameTaken, NotFound
from jackstay_agent.events.event import Record, unrecorded
from jackstay_agent.kernel.threads import finish, to_end
from jackstay_agent.metadata import secrets as rows
from jackstay_agent.metadata.database import Database
from jackstay_agent.metadata.secrets import SecretRow
from jackstay_agent.secrets import files, names
from jackstay_agent.secrets.audit import Audit, compare

log = structlog.get_logger()


class Secrets:
    """Keeps secrets. One object an agent; `clean` comes first."""

    def __init__(self, state_dir: str, database: Database) -> None:
        self._root = os.path.join(state_dir, "secrets")
        self._database = database
        self._lock = asyncio.Lock()  # rows and files change together only for who holds it
        self.record: Record = unrecorded

    async def create(self, name: str, value: bytes, labels: Mapping[str, str], *, replace: bool = False) -> SecretRow:
        """Keep *value* as the secret *name*; with *replace* instead of the value and labels that it has.

        Containers that run keep what they have. Raises `InvalidArgument`, `NameTaken`, `DiskFull`.
        """
        names.check_value(names.checked(name), value)
        return await to_end(self._create(name, value, labels, replace))

    async def _create(self, name: str, value: bytes, labels: Mapping[str, str], replace: bool) -> SecretRow:
        async with self._lock:
            old = await self._database.read(lambda c: rows.secret(c, name))
            if old is not None and not replace:
                raise NameTaken(f"a secret {name} exists already", hint="give it a new value with --replace")
            new = names.new_id()
            await asyncio.to_thread(files.write, self._root, new, value)
            try:
                made = await self._database.write(
                    "secrets.create", lambda c: rows.put(c, name, new, time.time_ns(), labels)
                )
            except Exception:  # when the agent stops, the row may come all the same
                with contextlib.suppress(Error):
                    await asyncio.to_thread(files.remove, self._root, new)
                raise
            if old is not None:
                await asyncio.to_thread(files.remove, self._root, old.id)
        self.record("secret", "create" if old is None else "update", new, {"name": name}, labels)
        return made

    async def list(self, filters: Iterable[str] = ()) -> list[SecretRow]:
        """The secrets that fit *filters*, by name. Raises `InvalidArgument` for an unknown filter."""
        return names.matching(await self._database.read(rows.secrets), filters)

    async def inspect(self, text: str) -> SecretRow:
        """The secret that *text* means: a name, an id, the start of one. Raises `NotFound`, `Ambiguous`."""
        found = names.meant(await self._database.read(rows.secrets), text)
        if found is None:
            raise _not_found(text)
        return found

    async def remove(self, text: str, *, force: bool = False) -> None:
        """Remove the secret that *text* means. Raises `InUse` naming containers, `NotFound` unless *force*."""
        await to_end(self._remove(text, force))

    async def _remove(self, text: str, force: bool) -> None:
        async with self._lock:
            removed = await self._database.write("secrets.remove", lambda c: _delete(c, text))
            if removed is not None:
                await asyncio.to_thread(files.remove, self._root, removed.id)
        if removed is not None:
            self.record("secret", "remove", removed.id, {"name": removed.name})
        elif not force:
            raise _not_found(text)

    def add_use(self, connection: sqlite3.Connection, container: str, name: str) -> None:
        """Note that *container* gets *name*, until its row goes. SQL only. Raises `NotFound`."""
        if rows.secret(connection, name) is None:
            raise _not_found(name)
        rows.add_use(connection, container, name)

    async def value(self, name: str) -> bytes:
        """The value of *name*. Raises `NotFound`, `Error` when its file is gone."""
        async with self._lock:
            row = await self._database.read(lambda c: rows.secret(c, name))
            if row is None:
                raise _not_found(name)
            return await finish(files.read, self._root, row.id, name)

    async def clean(self) -> int:
        """Remove every file that has no row, as after a crash; how many. What cannot be removed is logged."""
        async with self._lock:
            known = {row.id for row in await self._database.read(rows.secrets)}
            removed = 0
            for entry in await asyncio.to_thread(files.entries, self._root):
                if entry in known:
                    continue
                try:
                    await asyncio.to_thread(files.remove, self._root, entry)
                    removed += 1
                except Error as error:
                    log.warning("a secret's file cannot be removed", error=error.message)
        return removed

    async def audit(self) -> Audit:
        """What is wrong with rows and files, at a moment when nothing of them is on its way."""
        async with self._lock:
            known = await self._database.read(rows.secrets)
            found = await finish(files.looks, self._root)
        return compare(known, found, os.geteuid(), os.getegid())

    def path(self, entry: str) -> str:
        """Where *entry* is."""
        return os.path.normpath(os.path.join(self._root, entry))

    async def discard(self, entry: str) -> None:
        """Delete what `audit` found to be no secret's, unless it is one's. Raises `Error`."""
        async with self._lock:
            if entry not in {row.id for row in await self._database.read(rows.secrets)}:
                await finish(files.remove, self._root, entry)

    async def put_right(self, entry: str) -> None:
        """Give what `audit` found to be wrong its mode and owner. Raises `Error`."""
        async with self._lock:
            await finish(files.put_right, self._root, entry)


def _delete(connection: sqlite3.Connection, text: str) -> SecretRow | None:
    row = names.meant(rows.secrets(connection), text)
    if row is None:
        return None
    if users := rows.users(connection, row.name):
        raise InUse(f"secret {row.name} is in use by {', '.join(users)}", hint="remove these containers first")
    rows.delete(connection, row.name)
    return row


def _not_found(text: str) -> NotFound:
    return NotFound(
        f"secret {text} not found", hint="`jackstay secret ls` shows what there is, `secret create` makes it"
    )
