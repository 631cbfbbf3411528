"""The rows of what layers become by being compressed: functions of a connection, for one transaction of several."""

from __future__ import annotations

import sqlite3

from jackstay_oci.digest import Digest


def remember(connection: sqlite3.Connection, layer: Digest, algorithm: str, digest: Digest, size: int) -> None:
    """*layer*, which is here, has become the blob *digest* of *size* bytes. The last time counts."""
    connection.execute(
        "INSERT INTO compressed (layer, algorithm, digest, size) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET digest = excluded.digest, size = excluded.size",
        (str(layer), algorithm, str(digest), size),
    )


def find(connection: sqlite3.Connection, layer: Digest, algorithm: str) -> tuple[Digest, int] | None:
    """What *layer* has become, with its size in bytes; None when that is not known."""
    row = connection.execute(
        "SELECT digest, size FROM compressed WHERE layer = ? AND algorithm = ?", (str(layer), algorithm)
    ).fetchone()
    return None if row is None else (Digest(row["digest"]), int(row["size"]))
