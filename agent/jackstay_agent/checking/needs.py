"""Who needs a thing, in words for a finding: functions of a connection, by names that the user knows."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from jackstay_oci.reference import Reference

_TOLD = 3

_ABOVE_BLOB = """
WITH RECURSIVE above (digest) AS (
    SELECT ? UNION SELECT parent FROM (
        SELECT parent, child FROM blob_references
        UNION ALL SELECT subject, digest FROM artifacts
        UNION ALL SELECT about, digest FROM artifact_names
    ) JOIN above ON child = above.digest
)
SELECT root, image_id FROM images WHERE root IN (SELECT digest FROM above)
    OR manifest IN (SELECT digest FROM above) OR image_id IN (SELECT digest FROM above)
"""
_ABOVE_LAYER = """
WITH RECURSIVE above (id) AS (
    SELECT id FROM snapshots WHERE key = ? UNION SELECT s.id FROM snapshots s JOIN above ON s.parent = above.id
)
SELECT key FROM snapshots JOIN above USING (id)
"""


@dataclass(frozen=True, slots=True)
class Needs:
    """Who needs something: images by name (short id for one without), containers by name."""

    images: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    active: tuple[str, ...] = ()  # those of the containers that run, are paused or being started
    ids: tuple[str, ...] = ()  # of all of the containers

    def __bool__(self) -> bool:
        return bool(self.images or self.containers)

    def __str__(self) -> str:
        """As the end of a sentence."""
        parts = [_listed("image", self.images), _listed("container", self.containers)]
        verb = "needs" if len(self.images) + len(self.containers) == 1 else "need"
        return f"{' and '.join(filter(None, parts))} {verb} it" if self else "nothing needs it"

    @property
    def reload(self) -> str:
        """What puts right a blob that these need."""
        return f"load or copy {self.images[0]} again, which repairs it" if self.images else ""


def of_blob(connection: sqlite3.Connection, digest: str) -> Needs:
    """The images that the blob is part of."""
    return Needs(images=_names(connection, connection.execute(_ABOVE_BLOB, (digest,)).fetchall()))


def of_layer(connection: sqlite3.Connection, *layers: str) -> Needs:
    """The images and containers that rest on one of the snapshots *layers*; an image also when it has no row."""
    keys = {*layers, *(row["key"] for key in layers for row in connection.execute(_ABOVE_LAYER, (key,)))}
    images, containers = [], []
    for each in sorted(keys):
        images += connection.execute("SELECT root, image_id FROM images WHERE chain_id = ?", (each,)).fetchall()
        containers += connection.execute(
            "SELECT id, name, state FROM containers WHERE snapshot = ?", (each,)
        ).fetchall()
    return Needs(
        _names(connection, images),
        tuple(row["name"] for row in containers),
        tuple(row["name"] for row in containers if row["state"] in ("running", "paused", "starting")),
        tuple(row["id"] for row in containers),
    )


def image_name(connection: sqlite3.Connection, root: str, image_id: str) -> str:
    """What the user calls the image: its first name, else its short id."""
    row = connection.execute("SELECT name FROM names WHERE root = ? ORDER BY name LIMIT 1", (root,)).fetchone()
    return image_id.removeprefix("sha256:")[:12] if row is None else Reference.parse(row["name"]).familiar


def _names(connection: sqlite3.Connection, images: Sequence[sqlite3.Row]) -> tuple[str, ...]:
    return tuple(sorted({image_name(connection, row["root"], row["image_id"]) for row in images}))


def _listed(what: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return f"{what} {', '.join(names[:_TOLD])}{more}"
