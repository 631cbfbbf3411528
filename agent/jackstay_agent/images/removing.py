"""Removing images, by docker's rules: a name is untagged; the last one takes the image with it, and with the image go
the layers that nothing else uses. What a container uses stays.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from jackstay_agent.errors import InUse
from jackstay_agent.gc.collect import Collector
from jackstay_agent.images.room import Room
from jackstay_agent.images.service import find, name_meant, stored
from jackstay_agent.images.sizes import LayerSizes
from jackstay_agent.images.stored import StoredImage
from jackstay_agent.metadata import images as rows
from jackstay_agent.metadata.database import Database
from jackstay_oci.reference import Reference

_ACTIVE = ("running", "paused", "starting")


@dataclass(frozen=True, slots=True)
class Removed:
    """One line of what `rmi` did: a familiar name that was taken off, or an image id or ChainID that is gone."""

    untagged: str = ""
    deleted: str = ""


async def remove(database: Database, collector: Collector, text: str, *, force: bool) -> list[Removed]:
    """Remove the image or name that *text* means.

    Raises what `Images.find` raises; `InUse` when a container needs it, or when *text* is an id with several names and
    *force* is false.
    """
    lines, layers = await database.write("images.remove", lambda c: _remove(c, text, force))
    if layers is None:
        return lines
    await collector.collect()
    return [*lines, *await _unlisted(database, layers)]


async def prune(database: Database, room: Room, *, all_unused: bool) -> tuple[list[Removed], int]:
    """Remove images without a name, or with *all_unused* every image without a container; what went, and bytes.

    What broken-off fetches left for a later try goes too.
    """

    def work(connection: sqlite3.Connection) -> tuple[list[Removed], list[str]]:
        lines: list[Removed] = []
        layers: list[str] = []
        for row in rows.all_rows(connection):
            image = stored(connection, row)
            if (image.names and not all_unused) or rows.users(connection, str(image.root)):
                continue
            removed, chain = _delete(connection, [image])
            lines += [*_untag(connection, image.names, image), *removed] if image.names else removed
            layers += chain
        return lines, layers

    lines, layers = await database.write("images.prune", work)
    freed = await room.make()
    return [*lines, *await _unlisted(database, layers)], freed


def _remove(connection: sqlite3.Connection, text: str, force: bool) -> tuple[list[Removed], list[str] | None]:
    """Do it; what was done, and the ChainIDs that may go with it, None when only a name was taken off."""
    image = find(connection, text)
    roots = [
        stored(connection, row)
        for row in rows.by_id_prefix(connection, image.image_id.hex)
        if row["image_id"] == str(image.image_id)
    ]
    users = [user for root in roots for user in rows.users(connection, str(root.root))]
    name = name_meant(text, image.names)
    every_name = [each for root in roots for each in root.names]
    if name is not None and len(every_name) > 1:
        return _untag(connection, (name,), image), None
    running = [user for user in users if user["state"] in _ACTIVE]
    shown = image.image_id.hex[:12]
    if name is None and running:
        raise InUse(
            f"conflict: unable to delete {shown} (cannot be forced) - image is being used by running container "
            f"{running[0]['id'][:12]}",
            hint=f"stop and remove the container {running[0]['name']} first",
        )
    if name is None and len(every_name) > 1 and not force:
        raise InUse(
            f"conflict: unable to delete {shown} (must be forced) - image is referenced in multiple repositories",
            hint="remove the names one by one, or use -f",
        )
    if users and not force:
        what = f"remove repository reference {Reference.parse(name).familiar!r}" if name else f"delete {shown}"
        raise InUse(
            f"conflict: unable to {what} (must be forced) - container {users[0]['id'][:12]} is using its referenced "
            f"image {shown}",
            hint=f"remove the container {users[0]['name']} first, or use -f",
        )
    lines = [line for root in roots for line in _untag(connection, root.names, root)]
    unused = [root for root in roots if not rows.users(connection, str(root.root))]
    removed, layers = _delete(connection, unused)
    return [*lines, *removed], layers


def _untag(connection: sqlite3.Connection, names: Sequence[str], image: StoredImage) -> list[Removed]:
    for name in names:
        rows.unname(connection, name)
    return [Removed(untagged=Reference.parse(name).familiar) for name in names]


def _delete(connection: sqlite3.Connection, images: Sequence[StoredImage]) -> tuple[list[Removed], list[str]]:
    """Delete the rows of *images*, one image id under one or more roots; the ChainIDs that may go with them.

    No line tells of an id that stays under a further root.
    """
    if not images:
        return [], []
    layers = LayerSizes.read(connection).chain(images[0].chain_id)
    for image in images:
        for name in image.names:
            rows.unname(connection, name)
        rows.delete(connection, image.root)
    image_id = str(images[0].image_id)
    return [] if rows.is_here(connection, image_id) else [Removed(deleted=image_id)], layers


async def _unlisted(database: Database, layers: Sequence[str]) -> list[Removed]:
    """Those of *layers* that are not here any more."""
    left = await database.read(LayerSizes.read)
    return [Removed(deleted=layer) for layer in dict.fromkeys(layers) if not left.chain(layer)]
