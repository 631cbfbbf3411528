"""Checking layers: the unpacked files against the blob that they came from.

Each layer is unpacked once more, into an extraction of its own, and the two trees are compared: nothing else would
notice a disk that rots, or a hand that changes files, behind an unpacked layer. It costs the room of one layer at a
time, which is looked for first, and goes for every driver, since only the driver knows what its layers look like.

Guarantees: a lease keeps the layer while it is looked at, and one that is removed all the same is no finding; a layer
takes the place of a wrong one only when no container runs on it and none can be started at that moment.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from jackstay_agent.checking import needs
from jackstay_agent.checking.findings import Finding, Kind, Step
from jackstay_agent.checking.images import Layer
from jackstay_agent.checking.parts import Parts
from jackstay_agent.errors import DigestMismatch, DiskFull, Error, InUse
from jackstay_agent.kernel.threads import finish, to_end
from jackstay_agent.layers.snapshotter import Applied, Snapshot
from jackstay_agent.metadata import leases
from jackstay_agent.metadata import snapshots as rows
from jackstay_oci import media_types
from jackstay_oci.digest import Digest

_SPARE = 64 << 20
"""Bytes that must be left on the disk beside a layer that is unpacked for a comparison."""


class Blocked(Error):
    """A layer cannot be unpacked anew."""


@dataclass(frozen=True, slots=True)
class _Fresh:
    """A layer unpacked anew: the key of its extraction."""

    key: str
    applied: Applied


class LayerCheck:
    """One check of *layers*; `count` tells how many were looked at."""

    def __init__(self, parts: Parts, layers: Mapping[Digest, Layer], *, repair: bool) -> None:
        self._parts = parts
        self._layers = layers  # filled by the check of images, which comes before
        self._repair = repair
        self._missing: frozenset[str] = frozenset()
        self.count = 0

    async def run(self) -> AsyncGenerator[Finding | Step, None]:
        """Every layer of an image, those below first; then snapshots that are of no image and have no files.

        Raises `DiskFull` in the end when there was no room to compare some.
        """
        self._missing = frozenset((await self._parts.snapshotter.audit()).missing)
        skipped: list[Digest] = []
        for layer in self._layers.values():
            yield Step("layers", self.count, len(self._layers))
            self.count += 1
            try:
                finding = await self.check(layer)
            except DiskFull:
                skipped.append(layer.chain_id)
                continue
            except Blocked:  # of which there is a finding
                continue
            if finding is not None:
                yield finding
        yield Step("layers", len(self._layers), len(self._layers))
        async for other in self._others():
            yield other
        if skipped:
            raise DiskFull(
                f"{len(skipped)} layers could not be compared: no room to unpack {skipped[0]} once more",
                hint="free space on the host (jackstay system df), then check again",
            )

    async def check(self, layer: Layer) -> Finding | None:
        """Compare one layer with what its blob unpacks to; what is wrong with it.

        Raises `DiskFull`, and `Blocked` for one with files that cannot be compared, since its blob or the layer below
        is damaged.
        """
        name = str(layer.chain_id)
        async with self._parts.content.lease() as lease:

            def hold(connection: sqlite3.Connection) -> tuple[Snapshot | None, needs.Needs]:
                leases.keep_blob(connection, lease, layer.blob.digest)
                for each in filter(None, (layer.parent, layer.chain_id)):
                    leases.keep_snapshot(connection, lease, str(each))
                row = rows.find(connection, name)
                if row is None:  # then nothing in the database says what rests on it
                    return None, needs.of_layer(connection, name, *self._above(name))
                return Snapshot(**row), needs.of_layer(connection, name)

            snapshot, who = await self._parts.database.write("checking.lease", hold)
            if not who:  # its image was removed meanwhile
                return None
            kind: Kind = "missing" if snapshot is None or name in self._missing else "wrong"
            detail = "it is not unpacked" if snapshot is None else "its files are gone"
            try:
                await self._look_for_room(layer, snapshot)
                async with self._unpacked(layer, lease) as fresh:
                    if kind == "wrong":
                        differences = await self._parts.snapshotter.compare(name, fresh.key)
                        if not differences:
                            return None
                        more = f" and {len(differences) - 1} more" if len(differences) > 1 else ""
                        detail = f"file {differences[0]}{more}"
                    hint = await self._put_right(snapshot, name, fresh, who, lease)
            except Blocked:
                if kind == "wrong":
                    raise
                again = "run system check --repair"
                hint = f"{who.reload}, then {again}" if self._repair and who.reload else again
            if snapshot is not None and await self._parts.database.read(lambda c: rows.find(c, name)) is None:
                return None
            return Finding(kind, "layer", name, f"{detail}; {who}", not hint, hint)

    def _above(self, name: str) -> list[str]:
        """The layers that rest on *name*, whatever the database says."""
        found = [name]
        for below in found:
            found += [str(layer.chain_id) for layer in self._layers.values() if layer.parent == below]
        return found[1:]

    async def _put_right(
        self, snapshot: Snapshot | None, name: str, fresh: _Fresh, who: needs.Needs, lease: str
    ) -> str:
        """Give *fresh* the layer's place; what else is to be done, "" when it was."""
        if not self._repair:
            return "run system check --repair"

        def keep(connection: sqlite3.Connection) -> None:
            leases.keep_snapshot(connection, lease, name)
            _adopt(connection, name, [str(layer.chain_id) for layer in self._layers.values() if layer.parent == name])

        if snapshot is None:
            await self._parts.snapshotter.commit(fresh.key, name, fresh.applied, along=keep)
            return ""
        try:
            async with AsyncExitStack() as locks:
                for container in sorted(who.ids):
                    await locks.enter_async_context(self._parts.engine.entry(container).lock)
                await self._parts.snapshotter.replace(
                    name, fresh.key, fresh.applied, along=lambda c: _unused(c, name, who.ids)
                )
        except InUse as error:
            return error.hint
        return ""

    @asynccontextmanager
    async def _unpacked(self, layer: Layer, lease: str) -> AsyncIterator[_Fresh]:
        """The layer in an extraction of its own, which goes unless it was committed. Raises `Blocked`,
        `DiskFull`."""
        key = f"{rows.EXTRACTION}{secrets.token_hex(8)} {layer.chain_id}"
        try:
            try:
                applied = await self._unpack(layer, key, lease)
            except DiskFull:
                raise
            except Error as error:
                raise Blocked(error.message) from error
            yield _Fresh(key, applied)
        finally:
            await to_end(self._parts.snapshotter.remove(key))

    async def _unpack(self, layer: Layer, key: str, lease: str) -> Applied:
        parent = None if layer.parent is None else str(layer.parent)
        await self._parts.snapshotter.prepare(key, parent, along=lambda c: leases.keep_snapshot(c, lease, key))
        descriptor = await self._parts.content.open(layer.blob.digest)
        try:
            applied = await self._parts.snapshotter.apply(
                key, descriptor, media_types.layer_compression(layer.blob.media_type)
            )
        finally:
            os.close(descriptor)
        if applied.diff_id != layer.diff_id:
            raise DigestMismatch(f"blob {layer.blob.digest} is not layer {layer.diff_id}")
        return applied

    async def _look_for_room(self, layer: Layer, snapshot: Snapshot | None) -> None:
        """Raise `DiskFull` unless the layer can be unpacked once more without taking what others need."""
        wanted = (snapshot.size if snapshot is not None else layer.blob.size) + _SPARE
        free = await finish(os.statvfs, self._parts.content.blobs.root)
        if free.f_bavail * free.f_frsize < wanted:
            raise DiskFull(f"no room to unpack {layer.chain_id} once more")

    async def _others(self) -> AsyncGenerator[Finding, None]:
        """Snapshots without files that are no layer of an image: containers', and what fetches left."""
        layers = {str(layer.chain_id) for layer in self._layers.values()}
        for key in (await self._parts.snapshotter.audit()).missing:
            if key in layers:
                continue
            row, who = await self._parts.database.read(lambda c, key=key: (rows.find(c, key), needs.of_layer(c, key)))  # type: ignore[misc]
            if row is None:
                continue
            if who.containers:
                hint = f"its changes are lost: remove it with jackstay rm -f {who.containers[0]}"
                yield Finding("missing", "container", who.containers[0], f"the files of its {key} are gone", hint=hint)
                continue
            if self._repair:
                await self._parts.database.write("checking.snapshot", lambda c, key=key: rows.remove(c, key))  # type: ignore[misc]
            hint = "" if self._repair else "run system check --repair"
            yield Finding("missing", "layer", key, f"its files are gone; {who}", self._repair, hint)


def _adopt(connection: sqlite3.Connection, key: str, layers: Sequence[str]) -> None:
    """Let what has lost its parent's row rest on the snapshot *key*: those of *layers*, containers of its images."""
    containers = connection.execute(
        "SELECT snapshot FROM containers JOIN images ON root = image_root WHERE chain_id = ?", (key,)
    ).fetchall()
    for child in (*layers, *(row["snapshot"] for row in containers)):
        connection.execute(
            "UPDATE snapshots SET parent = (SELECT id FROM snapshots WHERE key = ?)"
            " WHERE key = ? AND parent NOT IN (SELECT id FROM snapshots)",
            (key, child),
        )


def _unused(connection: sqlite3.Connection, key: str, locked: tuple[str, ...]) -> None:
    """Raise `InUse`, with what must stop as its hint, when something has the snapshot *key* mounted or may mount it."""
    who = needs.of_layer(connection, key)
    if who.active:
        raise InUse(f"layer {key} is in use", hint=f"stop {', '.join(who.active)}, then run system check --repair")
    if not set(who.ids) <= set(locked):
        raise InUse(f"layer {key} is in use", hint="run system check --repair again: a container was just created")
    mine = connection.execute("SELECT id FROM snapshots WHERE key = ?", (key,)).fetchone()["id"]
    above = connection.execute(
        "WITH RECURSIVE above (id) AS (SELECT id FROM snapshots WHERE id = ?"
        " UNION SELECT s.id FROM snapshots s JOIN above ON s.parent = above.id)"
        " SELECT 1 FROM snapshots JOIN above USING (id) WHERE kind != 'committed' AND substr(key, 1, ?) = ?",
        (mine, len(rows.EXTRACTION), rows.EXTRACTION),
    ).fetchone()
    if above is not None:
        raise InUse(f"layer {key} is in use", hint="run system check --repair again: a layer is unpacked on it now")
