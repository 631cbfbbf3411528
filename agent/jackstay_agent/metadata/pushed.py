"""The rows of what images were pushed as: functions of a connection, for one transaction of several.

A *repository* is canonical and without tag ("registry.example/team/app").
"""

from __future__ import annotations

import sqlite3

from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor


def remember(connection: sqlite3.Connection, root: Digest, repository: str, pushed: Descriptor) -> None:
    """The image under *root* is in the *repository* as *pushed*; an image that was removed meanwhile is not noted."""
    connection.execute(
        "INSERT OR REPLACE INTO pushed (root, repository, digest, media_type, size)"
        " SELECT root, ?, ?, ?, ? FROM images WHERE root = ?",
        (repository, str(pushed.digest), pushed.media_type, pushed.size, str(root)),
    )


def forget(connection: sqlite3.Connection, root: Digest, repository: str) -> None:
    """The image under *root* is known by no digest of the *repository* any more."""
    connection.execute("DELETE FROM pushed WHERE root = ? AND repository = ?", (str(root), repository))


def find(connection: sqlite3.Connection, repository: str, digest: Digest) -> tuple[Digest, Descriptor] | None:
    """The root of the image here that the *repository* has as *digest*, and what it has."""
    row = connection.execute(
        "SELECT root, pushed.media_type, size FROM pushed JOIN images USING (root)"
        " WHERE repository = ? AND digest = ? AND NOT removed",
        (repository, str(digest)),
    ).fetchone()
    if row is None:
        return None
    return Digest(row["root"]), Descriptor(media_type=row["media_type"], digest=digest, size=row["size"])


def of_root(connection: sqlite3.Connection, root: str) -> tuple[str, ...]:
    """As what the image under *root* was pushed, ``repository@digest`` each, the latest first."""
    rows = connection.execute("SELECT repository, digest FROM pushed WHERE root = ? ORDER BY id DESC", (root,))
    return tuple(f"{row['repository']}@{row['digest']}" for row in rows)


def latest(connection: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """By root and repository, the digest that was pushed last."""
    rows = connection.execute("SELECT root, repository, digest FROM pushed ORDER BY id")
    return {(row["root"], row["repository"]): row["digest"] for row in rows}
