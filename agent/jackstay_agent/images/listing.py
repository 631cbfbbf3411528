"""Listing images as `docker images` does: one line a name, `<none>` for an image id without one."""

from __future__ import annotations

import fnmatch
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from jackstay_agent.errors import InvalidArgument
from jackstay_agent.images.service import find, stored
from jackstay_agent.images.sizes import ImageSize, LayerSizes
from jackstay_agent.images.stored import StoredImage
from jackstay_agent.metadata import images as rows
from jackstay_agent.metadata.database import Database
from jackstay_oci.reference import Reference

_NONE = "<none>"


@dataclass(frozen=True, slots=True)
class ListedImage:
    """One line of the list; `repository` is familiar, sizes are bytes unpacked."""

    image: StoredImage
    repository: str
    tag: str
    size: ImageSize
    containers: int


async def list_images(database: Database, filters: Sequence[str], reference: str) -> list[ListedImage]:
    """The images that pass every filter and fit *reference* (a repository, with or without tag), newest first.

    Filters: ``dangling=true|false``, ``label=KEY[=VALUE]``, ``reference=PATTERN``, ``before=IMAGE``, ``since=IMAGE``.
    Raises `InvalidArgument` for another one, and what `find` raises.
    """

    def work(connection: sqlite3.Connection) -> list[ListedImage]:
        images = [stored(connection, row) for row in rows.all_rows(connection)]
        named = {image.image_id for image in images if image.names}
        images = [image for image in images if image.names or image.image_id not in named]
        sizes = LayerSizes.read(connection).of_images(image.chain_id for image in images)
        users = Counter(row["image_id"] for row in connection.execute("SELECT image_id FROM containers"))
        kept = images
        for text in filters:
            kept = _filter(connection, kept, text)
        lines = [
            ListedImage(image, repository, tag, sizes[image.chain_id], users[str(image.image_id)])
            for image in kept
            for repository, tag in _lines(image)
        ]
        patterns = [text.partition("=")[2] for text in filters if text.startswith("reference=")]
        return [line for line in lines if _named(line, patterns, reference)]

    return await database.read(work)


def _lines(image: StoredImage) -> list[tuple[str, str]]:
    if not image.names:
        return [(_NONE, _NONE)]
    parsed = [Reference.parse(name) for name in image.names]
    return [(name.familiar_name, name.tag or _NONE) for name in parsed]


def _filter(connection: sqlite3.Connection, images: list[StoredImage], text: str) -> list[StoredImage]:
    key, equals, value = text.partition("=")
    if not equals:
        raise InvalidArgument(f"bad filter {text!r}", hint="a filter is KEY=VALUE, e.g. dangling=true")
    if key == "dangling":
        if value.lower() not in ("true", "false", "1", "0"):
            raise InvalidArgument(f"bad filter {text!r}", hint="dangling is true or false")
        wanted = value.lower() in ("true", "1")
        return [image for image in images if (not image.names) == wanted]
    if key == "label":
        label, has_value, expected = value.partition("=")
        return [
            image for image in images if label in image.labels and (not has_value or image.labels[label] == expected)
        ]
    if key == "before":
        bound = find(connection, value)
        return [image for image in images if image.created < bound.created]
    if key == "since":
        bound = find(connection, value)
        return [image for image in images if image.created > bound.created]
    if key == "reference":
        return images
    raise InvalidArgument(f"invalid filter {key!r}", hint="filters: dangling, label, reference, before, since")


def _named(line: ListedImage, patterns: Sequence[str], reference: str) -> bool:
    full = f"{line.repository}:{line.tag}"
    if patterns and not any(
        fnmatch.fnmatchcase(full, pattern) or fnmatch.fnmatchcase(line.repository, pattern) for pattern in patterns
    ):
        return False
    if not reference:
        return True
    wanted = Reference.parse(reference)
    return line.repository == wanted.familiar_name and wanted.tag in (None, line.tag)
