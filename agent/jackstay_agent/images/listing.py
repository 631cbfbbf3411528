"""Listing images as `docker images` does: one line a name, `<none>` for an image id without one.

A few queries and no file, however many images there are. No image makes the list so long that it fits no message: of
labels a list tells as many as `LABELS` bytes hold, and those of lines beyond `ALL_LABELS` not at all; `inspect` tells
them all.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from jackstay_agent.errors import InvalidArgument, InvalidReference
from jackstay_agent.images import filters as filtering
from jackstay_agent.images.filters import Filters
from jackstay_agent.images.service import find
from jackstay_agent.images.sizes import ImageSize, LayerSizes
from jackstay_agent.metadata import images as rows
from jackstay_agent.metadata import pushed as pushed_rows
from jackstay_agent.metadata.database import Database
from jackstay_oci.reference import Reference

NONE = "<none>"
LABELS = 16 << 10
"""Bytes of an image's labels, as JSON, that a list tells."""
ALL_LABELS = 8 << 20
"""Bytes of the labels of all lines."""


@dataclass(frozen=True, slots=True)
class ListedImage:
    """One line of the list; `repository` is familiar, sizes are bytes unpacked."""

    id: str
    root: str
    digest: str  # by which the registry of that repository knows it, or the root
    repository: str
    tag: str
    created: int  # nanoseconds since 1970
    size: ImageSize
    containers: int
    labels: dict[str, str]  # as many as `LABELS` bytes hold


async def list_images(
    database: Database, filters: Sequence[str], reference: str = "", *, every: bool = False
) -> list[ListedImage]:
    """The images that pass the *filters* (see `filters`) and fit *reference* (a name, with or without tag, or a
    pattern), newest first; *every* adds those that were removed while containers use them.

    Raises `InvalidArgument` for a bad filter, and what `find` raises of an image that one names.
    """
    wanted = filtering.parse(filters, filtering.LIST, now=time.time_ns())
    if reference:
        wanted = replace(wanted, reference=(*wanted.reference, *_patterns(reference)))

    def work(connection: sqlite3.Connection) -> list[ListedImage]:
        return lines(connection, wanted, every=every)

    return await database.read(work)


def lines(connection: sqlite3.Connection, wanted: Filters, *, every: bool = False) -> list[ListedImage]:
    """See `list_images`; here within a transaction."""
    found = rows.all_rows(connection, removed=every)
    names = rows.all_names(connection)
    pushed = pushed_rows.latest(connection)
    sizes = LayerSizes.read(connection).of_images((row["image_id"], row["chain_id"]) for row in found)
    users = Counter(row[0] for row in connection.execute("SELECT image_id FROM containers"))
    named = {row["image_id"] for row in found if row["root"] in names}
    before, since = _bounds(connection, wanted)
    listed = []
    for row in found:
        root, image_id, created = row["root"], row["image_id"], row["created"]
        if root not in names and (image_id in named or wanted.reference or wanted.dangling is False):
            continue
        if root in names and wanted.dangling:
            continue
        if (before is not None and created >= before) or (since is not None and created <= since):
            continue
        labels = json.loads(row["labels"])
        if not wanted.labels_fit(labels):
            continue
        if len(row["labels"]) > LABELS:
            labels = _short(labels)
        size, containers = sizes[row["chain_id"]], users[image_id]
        if root not in names:
            listed.append(ListedImage(image_id, root, root, NONE, NONE, created, size, containers, labels))
            continue
        for each in _shown(names[root]):
            repository, tag = each.familiar_name, each.tag or NONE
            digest = str(each.digest) if each.digest else pushed.get((root, each.name), root)
            if wanted.named(repository, tag):
                listed.append(ListedImage(image_id, root, digest, repository, tag, created, size, containers, labels))
    return list(_fitting(listed))


def _fitting(listed: Iterable[ListedImage]) -> Iterable[ListedImage]:
    """The lines, those without labels for whose there is no room."""
    room = ALL_LABELS
    for line in listed:
        room -= sum(len(key.encode()) + len(value.encode()) for key, value in line.labels.items())
        yield line if room >= 0 else replace(line, labels={})


def _bounds(connection: sqlite3.Connection, wanted: Filters) -> tuple[int | None, int | None]:
    """Made before the first and since the second, in nanoseconds."""
    before = [find(connection, text).created for text in wanted.before]
    before += [] if wanted.until is None else [wanted.until]
    return min(before, default=None), max((find(connection, text).created for text in wanted.since), default=None)


def _short(labels: dict[str, str]) -> dict[str, str]:
    room = LABELS
    kept = {}
    for key, value in labels.items():
        size = len(json.dumps([key, value]))
        if size <= room:
            kept[key] = value
            room -= size
    return kept


def _patterns(reference: str) -> Iterable[re.Pattern[str]]:
    """What a name or pattern given as an argument fits: as docker has it, and also when it is written in full."""
    try:
        parsed = Reference.parse(reference)
    except InvalidReference:
        return [filtering.pattern(reference)]
    try:
        return [re.compile(re.escape(parsed.familiar)), filtering.pattern(reference)]
    except InvalidArgument:  # a registry in brackets
        return [re.compile(re.escape(parsed.familiar))]


def _shown(names: Sequence[str]) -> Iterable[Reference]:
    """Which names of an image have a line; one with a digest does where its repository has none with a tag."""
    references = [Reference.parse(name) for name in names]
    tagged = {each.name for each in references if each.tag}
    return (each for each in references if each.tag or each.name not in tagged)
