"""The rows of images and their names."""

from __future__ import annotations

import json
import sqlite3

from jackstay_oci.digest import Digest

_SELECT = "SELECT root, media_type, manifest, image_id, chain_id, created, stored, labels FROM images"


def insert(
    connection: sqlite3.Connection,
    *,
    root: Digest,
    media_type: str,
    manifest: Digest,
    image_id: Digest,
    chain_id: str,
    created: int,
    stored: int,
    labels: dict[str, str],
) -> None:
    """The image under *root* is here in whole and unpacked. Saying it twice is no error.

    Of an index, the *manifest* of another platform takes the place of the one before: the last that was asked for runs.
    """
    connection.execute(
        "INSERT INTO images (root, media_type, manifest, image_id, chain_id, created, stored, labels) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET manifest = excluded.manifest,"
        " image_id = excluded.image_id, chain_id = excluded.chain_id, created = excluded.created,"
        " labels = excluded.labels, removed = 0 WHERE manifest != excluded.manifest OR removed",
        (str(root), media_type, str(manifest), str(image_id), chain_id, created, stored, json.dumps(labels)),
    )


def name(connection: sqlite3.Connection, canonical: str, root: Digest) -> bool:
    """*canonical* means *root* from now on; whether that changed anything."""
    row = connection.execute("SELECT root FROM names WHERE name = ?", (canonical,)).fetchone()
    if row is not None and row["root"] == str(root):
        return False
    connection.execute(
        "INSERT INTO names (name, root) VALUES (?, ?) ON CONFLICT DO UPDATE SET root = excluded.root",
        (canonical, str(root)),
    )
    return True


def unname(connection: sqlite3.Connection, canonical: str) -> None:
    """*canonical* means nothing any more."""
    connection.execute("DELETE FROM names WHERE name = ?", (canonical,))


def delete(connection: sqlite3.Connection, root: Digest) -> None:
    """The image under *root*, which has no names and no containers, is gone; its blobs await collection."""
    connection.execute("DELETE FROM images WHERE root = ?", (str(root),))


def set_aside(connection: sqlite3.Connection, root: Digest) -> None:
    """The image under *root* is removed, but containers use it: it has no names, is found no more, and goes with the
    last of them (a trigger of the schema)."""
    connection.execute("UPDATE images SET removed = 1 WHERE root = ?", (str(root),))


def tagged(connection: sqlite3.Connection, root: Digest, when: int) -> None:
    """Somebody gave the image under *root* a name at *when*."""
    connection.execute("UPDATE images SET tagged = ? WHERE root = ?", (when, str(root)))


def tagged_at(connection: sqlite3.Connection, image_id: str) -> int:
    """When somebody last gave the image with that id a name, 0 for never."""
    return int(connection.execute("SELECT MAX(tagged) FROM images WHERE image_id = ?", (image_id,)).fetchone()[0] or 0)


def drop_twins(connection: sqlite3.Connection, root: Digest) -> int:
    """Delete the images with the id of *root*'s that have no name and no container; how many. *root*'s stands for
    them."""
    dropped = connection.execute(
        "DELETE FROM images WHERE image_id = (SELECT image_id FROM images WHERE root = ?1) AND root != ?1"
        " AND root NOT IN (SELECT root FROM names) AND root NOT IN (SELECT image_root FROM containers)",
        (str(root),),
    )
    return dropped.rowcount


def is_here(connection: sqlite3.Connection, image_id: str) -> bool:
    """Whether any image has that id and is not removed."""
    found = connection.execute("SELECT 1 FROM images WHERE image_id = ? AND NOT removed", (image_id,)).fetchone()
    return found is not None


def by_root(connection: sqlite3.Connection, root: str) -> sqlite3.Row | None:
    """The row of the image under *root*, also of a removed one: containers need theirs."""
    row: sqlite3.Row | None = connection.execute(f"{_SELECT} WHERE root = ?", (root,)).fetchone()
    return row


def by_name(connection: sqlite3.Connection, canonical: str) -> sqlite3.Row | None:
    """The row of the image that *canonical* means."""
    row: sqlite3.Row | None = connection.execute(
        f"{_SELECT} JOIN names USING (root) WHERE name = ?", (canonical,)
    ).fetchone()
    return row


def by_id_prefix(connection: sqlite3.Connection, digits: str) -> list[sqlite3.Row]:
    """The rows whose image id, or root, begins with the hex *digits*, newest first; without removed ones."""
    low, high = f"sha256:{digits}", f"sha256:{digits}g"
    return connection.execute(
        f"{_SELECT} WHERE (image_id BETWEEN ? AND ? OR root BETWEEN ? AND ?) AND NOT removed ORDER BY stored DESC",
        (low, high, low, high),
    ).fetchall()


def all_rows(connection: sqlite3.Connection, *, removed: bool = False) -> list[sqlite3.Row]:
    """Every image, newest first by the time it was made; with *removed* also those that only containers keep."""
    return connection.execute(
        f"{_SELECT} WHERE ? OR NOT removed ORDER BY created DESC, stored DESC, root", (removed,)
    ).fetchall()


def all_names(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """The names of every image by its root, sorted."""
    found: dict[str, list[str]] = {}
    for name, root in connection.execute("SELECT name, root FROM names ORDER BY name"):
        found.setdefault(root, []).append(name)
    return found


def names_of(connection: sqlite3.Connection, root: str) -> tuple[str, ...]:
    """The names of the image under *root*, sorted."""
    rows = connection.execute("SELECT name FROM names WHERE root = ? ORDER BY name", (root,))
    return tuple(row["name"] for row in rows)


def names_in(connection: sqlite3.Connection, repository: str) -> list[str]:
    """The names of the canonical *repository*, sorted."""
    rows = connection.execute(  # ";" comes next after ":"
        "SELECT name FROM names WHERE name >= ?1 || ':' AND name < ?1 || ';' ORDER BY name", (repository,)
    )
    return [row["name"] for row in rows]


def names_at(connection: sqlite3.Connection, registry: str) -> list[tuple[str, Digest]]:
    """The names of the *registry* with their roots, of the images that came last first."""
    rows = connection.execute(  # "0" comes next after "/"
        "SELECT name, root FROM names JOIN images USING (root) WHERE name >= ?1 || '/' AND name < ?1 || '0'"
        " ORDER BY stored DESC, name",
        (registry,),
    )
    return [(row["name"], Digest(row["root"])) for row in rows]


def users(connection: sqlite3.Connection, root: str) -> list[sqlite3.Row]:
    """The containers made from the image under *root*: id, name and state."""
    return connection.execute("SELECT id, name, state FROM containers WHERE image_root = ?", (root,)).fetchall()
