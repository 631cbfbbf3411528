"""The rows of what images were pushed as: functions of a connection, for one transaction of several.

A *repository* is canonical and without tag ("registry.example/team/app").
"""

from __future__ import annotations

import sqlite3

from jackstay_oci.digest import Digest


def remember(connection: sqlite3.Connection, root: Digest, repository: str, digest: Digest) -> None:
    """The image under *root* is in the *repository* as *digest*; an image that was removed meanwhile is not noted."""
    connection.execute(
        "INSERT OR REPLACE INTO pushed (root, repository, digest) SELECT root, ?, ? FROM images WHERE root = ?",
        (repository, str(digest), str(root)),
    )


def forget(connection: sqlite3.Connection, root: Digest, repository: str) -> None:
    """The image under *root* is known by no digest of the *repository* any more."""
    connection.execute("DELETE FROM pushed WHERE root = ? AND repository = ?", (str(root), repository))


def root_of(connection: sqlite3.Connection, repository: str, digest: Digest) -> str | None:
    """The root of the image here that the *repository* has as *digest*."""
    row = connection.execute(
        "SELECT root FROM pushed JOIN images USING (root) WHERE repository = ? AND digest = ? AND NOT removed",
        (repository, str(digest)),
    ).fetchone()
    return None if row is None else str(row["root"])


def of_root(connection: sqlite3.Connection, root: str) -> tuple[str, ...]:
    """As what the image under *root* was pushed, ``repository@digest`` each, the latest first."""
    rows = connection.execute("SELECT repository, digest FROM pushed WHERE root = ? ORDER BY id DESC", (root,))
    return tuple(f"{row['repository']}@{row['digest']}" for row in rows)


def latest(connection: sqlite3.Connection) -> dict[tuple[str, str], str]:
    """By root and repository, the digest that was pushed last."""
    rows = connection.execute("SELECT root, repository, digest FROM pushed ORDER BY id")
    return {(row["root"], row["repository"]): row["digest"] for row in rows}
