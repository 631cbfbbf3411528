"""Removing images, by docker's rules: a name is untagged; the last one takes the image with it, and with the image go
the layers that nothing else uses.

Guarantees: an image that a container uses goes only by force, and then only from sight: what the container needs stays
until the last container of the image is removed. What a running container uses does not go by its id at all, and by its
name only that goes.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from jackstay_agent.errors import InUse, InvalidReference
from jackstay_agent.events.event import Record
from jackstay_agent.gc.collect import Collector
from jackstay_agent.images import filters as filtering
from jackstay_agent.images.room import Room
from jackstay_agent.images.service import find, name_meant, stored
from jackstay_agent.images.sizes import LayerSizes
from jackstay_agent.images.stored import StoredImage
from jackstay_agent.metadata import images as rows
from jackstay_agent.metadata import pushed as pushed_rows
from jackstay_agent.metadata.database import Database
from jackstay_oci.reference import Reference

_ACTIVE = ("running", "paused", "starting")


@dataclass(frozen=True, slots=True)
class Removed:
    """One line of what `rmi` did: a familiar name, with tag or digest, that was taken off, or an image id or ChainID
    that is gone."""

    untagged: str = ""
    deleted: str = ""
    image: StoredImage | None = field(default=None, compare=False)  # whose name or id it is


def tell(record: Record, removed: Iterable[Removed]) -> None:
    """Record what was done to images: docker's ``untag`` and ``delete``."""
    for line in removed:
        if line.image is None or "@" in line.untagged:  # a layer, or the digest that goes with the last tag
            continue
        image_id = str(line.image.image_id)
        action = "untag" if line.untagged else "delete"
        record("image", action, image_id, {"name": line.untagged or image_id}, line.image.labels)


async def remove(database: Database, collector: Collector, text: str, *, force: bool) -> list[Removed]:
    """Remove the image or name that *text* means. A ``repository@digest`` means the tag of the repository that has it.

    Raises what `Images.find` raises; `InUse` when a container needs it, or when *text* is an id or a digest of several
    names and *force* is false.
    """
    lines, layers = await database.write("images.remove", lambda c: _remove(c, text, force))
    if layers is None:
        return lines
    await collector.collect()
    return [*lines, *await _unlisted(database, layers)]


async def prune(
    database: Database, room: Room, *, all_unused: bool, filters: Sequence[str] = ()
) -> tuple[list[Removed], int]:
    """Remove images without a name, or with *all_unused* every image without a container; what went, and bytes.

    What broken-off fetches left for a later try goes too, unless *filters* (see `filters`) choose among the images.
    Raises `InvalidArgument` for a bad filter.
    """
    wanted = filtering.parse(filters, filtering.PRUNE, now=time.time_ns())

    def work(connection: sqlite3.Connection) -> tuple[list[list[Removed]], list[list[str]]]:
        lines: list[list[Removed]] = []
        layers: list[list[str]] = []
        used = {row["image_id"] for row in connection.execute("SELECT image_id FROM containers")}
        for row in rows.all_rows(connection):
            image = stored(connection, row)
            # Of an image in use a further manifest that nobody would know by a name goes, as it would be seen nowhere.
            if rows.users(connection, str(image.root)) or (image.names and (not all_unused or image.image_id in used)):
                continue
            if not wanted.labels_fit(image.labels) or (wanted.until is not None and image.created > wanted.until):
                continue
            untagged = _untag(connection, image, image.names)
            deleted, chain = _delete(connection, [image])
            lines.append([*untagged, *deleted])
            layers.append(chain)
        return lines, layers

    lines, layers = await database.write("images.prune", work)
    freed = await (room.collect() if filters else room.make())
    left = await database.read(LayerSizes.read)
    told: set[str] = set()
    result = []
    for removed, chain in zip(lines, layers, strict=True):
        result += [*removed, *_gone(left, chain, told)]
    return result, freed


def _remove(connection: sqlite3.Connection, text: str, force: bool) -> tuple[list[Removed], list[str] | None]:
    """Do it; what was done, and the ChainIDs that may go with it, None when only names were taken off."""
    image = find(connection, text)
    roots = [
        stored(connection, row)
        for row in rows.by_id_prefix(connection, image.image_id.hex)
        if row["image_id"] == str(image.image_id)
    ]
    users = [user for root in roots for user in rows.users(connection, str(root.root))]
    every_name = [each for root in roots for each in root.names]
    asked = _names_asked(text, image)
    shown = image.image_id.hex[:12]
    if asked is not None:
        tags = [tag for name in asked if (tag := Reference.parse(name).tag)]
        if len(tags) > 1 and not force:
            raise InUse(
                f"conflict: unable to remove repository reference {text!r} (must be forced) - "
                f"it has several tags: {', '.join(tags)}",
                hint="remove the tags one by one, or use -f",
            )
        if len(every_name) == len(asked) and users and not force:
            raise InUse(
                f"conflict: unable to remove repository reference {text!r} (must be forced) - container "
                f"{users[0]['id'][:12]} is using its referenced image {shown}",
                hint=f"remove the container {users[0]['name']} first, or use -f",
            )
        lines = _untag(connection, image, asked) if asked else _forget_digests(connection, image, Reference.parse(text))
        if len(every_name) > len(asked) or any(user["state"] in _ACTIVE for user in users):
            return lines, None
        removed, layers = _delete(connection, roots)
        return [*lines, *removed], layers
    running = [user for user in users if user["state"] in _ACTIVE]
    if running:
        raise InUse(
            f"conflict: unable to delete {shown} (cannot be forced) - image is being used by running container "
            f"{running[0]['id'][:12]}",
            hint=f"stop and remove the container {running[0]['name']} first",
        )
    if len(every_name) > 1 and not force:
        raise InUse(
            f"conflict: unable to delete {shown} (must be forced) - image is referenced in multiple repositories",
            hint="remove the names one by one, or use -f",
        )
    if users and not force:
        raise InUse(
            f"conflict: unable to delete {shown} (must be forced) - image is being used by stopped container "
            f"{users[0]['id'][:12]}",
            hint=f"remove the container {users[0]['name']} first, or use -f",
        )
    lines = [line for root in roots for line in _untag(connection, root, root.names)]
    removed, layers = _delete(connection, roots)
    return [*lines, *removed], layers


def _names_asked(text: str, image: StoredImage) -> tuple[str, ...] | None:
    """The names of *image* that the reference *text* stands for; None when it is an id. With the last tag of a
    repository goes its name with the digest."""
    name = name_meant(text, image.names)
    if name is not None:
        repository = Reference.parse(name).name
        others = [each for each in image.names if each != name and Reference.parse(each).name == repository]
        return (name, *(others if not any(Reference.parse(each).tag for each in others) else ()))
    try:
        reference = Reference.parse(text)
    except InvalidReference:
        return None
    if reference.digest is None:
        return None
    return tuple(each for each in image.names if Reference.parse(each).name == reference.name)


def _untag(connection: sqlite3.Connection, image: StoredImage, names: Sequence[str]) -> list[Removed]:
    """Take *names* off *image*; with the last tag of a repository go its digests, as docker tells it."""
    lines = []
    left = list(image.names)
    for name in names:
        rows.unname(connection, name)
        left.remove(name)
        reference = Reference.parse(name)
        if reference.tag:
            lines.append(Removed(untagged=reference.familiar, image=image))
        if not any(Reference.parse(other).name == reference.name for other in left):
            lines += _forget_digests(connection, image, reference)
    return lines


def _forget_digests(connection: sqlite3.Connection, image: StoredImage, repository: Reference) -> list[Removed]:
    pushed_rows.forget(connection, image.root, repository.name)
    return [
        Removed(untagged=repository.with_digest(digest).familiar, image=image)
        for digest in image.digests_in(repository.name)
    ]


def _delete(connection: sqlite3.Connection, images: Sequence[StoredImage]) -> tuple[list[Removed], list[str]]:
    """Delete *images*, one image id under one or more roots, whose names are taken off; the ChainIDs that may go too.

    No line tells of an id that stays under a further root.
    """
    layers = LayerSizes.read(connection).chain(images[0].chain_id)
    for image in images:
        if rows.users(connection, str(image.root)):
            rows.set_aside(connection, image.root)
        else:
            rows.delete(connection, image.root)
    image_id = str(images[0].image_id)
    return [] if rows.is_here(connection, image_id) else [Removed(deleted=image_id, image=images[0])], layers


async def _unlisted(database: Database, layers: Sequence[str]) -> list[Removed]:
    return _gone(await database.read(LayerSizes.read), layers, set())


def _gone(left: LayerSizes, layers: Iterable[str], told: set[str]) -> list[Removed]:
    """Those of *layers* that are not here any more, and that nobody was *told* of yet."""
    gone = [layer for layer in layers if not left.chain(layer) and layer not in told]
    told.update(gone)
    return [Removed(deleted=layer) for layer in gone]
