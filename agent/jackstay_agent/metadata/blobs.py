"""The rows of blobs, what they name, and ingests. Functions of a connection, for one transaction made of several."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence

from jackstay_oci.digest import Digest


def insert(connection: sqlite3.Connection, digest: Digest, size: int) -> None:
    """The blob is here, whole and on disk. Saying it twice is no error."""
    connection.execute(
        "INSERT INTO blobs (digest, size, created) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (str(digest), size, time.time_ns()),
    )


def refer(connection: sqlite3.Connection, parent: Digest, children: Iterable[Digest]) -> None:
    """The manifest or index *parent* names *children*, so collection keeps them with it."""
    connection.executemany(
        "INSERT INTO blob_references (parent, child) VALUES (?, ?) ON CONFLICT DO NOTHING",
        [(str(parent), str(child)) for child in children],
    )


def size_of(connection: sqlite3.Connection, digest: Digest) -> int | None:
    """Bytes of the blob, None when it has no row."""
    row = connection.execute("SELECT size FROM blobs WHERE digest = ?", (str(digest),)).fetchone()
    return None if row is None else int(row["size"])


def missing(connection: sqlite3.Connection, digests: Sequence[Digest]) -> list[Digest]:
    """Those of *digests* that have no row, in their order."""
    return [digest for digest in digests if size_of(connection, digest) is None]


def closure(connection: sqlite3.Connection, root: Digest) -> list[tuple[Digest, int]]:
    """*root* and every blob below it that is here, with sizes; the root first."""
    rows = connection.execute(
        """
        WITH RECURSIVE below (digest) AS (
            SELECT ? UNION SELECT child FROM blob_references JOIN below ON parent = digest
        )
        SELECT blobs.digest, blobs.size FROM below JOIN blobs USING (digest) ORDER BY below.digest != ?, blobs.digest
        """,
        (str(root), str(root)),
    )
    return [(Digest(row["digest"]), int(row["size"])) for row in rows]


def all_digests(connection: sqlite3.Connection) -> set[str]:
    """Every blob that has a row."""
    return {row["digest"] for row in connection.execute("SELECT digest FROM blobs")}


def begin_ingest(connection: sqlite3.Connection, ref: str, digest: Digest | None, total: int | None) -> None:
    """An ingest called *ref* is on its way, or goes on."""
    connection.execute(
        "INSERT INTO ingests (ref, digest, total, updated) VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET updated = excluded.updated",
        (ref, None if digest is None else str(digest), total, time.time_ns()),
    )


def end_ingest(connection: sqlite3.Connection, ref: str) -> None:
    """The ingest is a blob now, or is given up."""
    connection.execute("DELETE FROM ingests WHERE ref = ?", (ref,))


def has_ingest(connection: sqlite3.Connection, ref: str) -> bool:
    """Whether the ingest was begun and has not ended."""
    return connection.execute("SELECT 1 FROM ingests WHERE ref = ?", (ref,)).fetchone() is not None


def ingest_refs(connection: sqlite3.Connection) -> dict[str, int]:
    """Every ingest's name with the time of its last beginning."""
    return {row["ref"]: int(row["updated"]) for row in connection.execute("SELECT ref, updated FROM ingests")}
