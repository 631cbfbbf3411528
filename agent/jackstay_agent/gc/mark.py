"""What is still needed, found in SQL: functions of a connection, for one transaction with the deletion.

Roots are images, names of artifacts, containers, leases that have not ended, ingests (what they bring may be here
already), and snapshots that somebody writes to. Everything that a root names, or rests on, is kept, and every artifact
about what is kept.
"""

from __future__ import annotations

import sqlite3

GRACE = 3600 * 10**9
"""Nanoseconds for which a snapshot that is not committed is kept with nobody naming it: its maker may be at work."""

_BLOBS = """
WITH RECURSIVE kept (digest) AS (
    SELECT root FROM images UNION SELECT manifest FROM images UNION SELECT image_id FROM images
    UNION SELECT image_root FROM containers UNION SELECT image_id FROM containers
    UNION SELECT key FROM lease_items JOIN leases ON leases.id = lease WHERE kind = 'blob' AND expires > :now
    UNION SELECT digest FROM ingests WHERE digest IS NOT NULL
    UNION SELECT digest FROM artifact_names WHERE about = ''
    UNION SELECT child FROM (
        SELECT parent, child FROM blob_references
        UNION ALL SELECT subject, digest FROM artifacts
        UNION ALL SELECT about, digest FROM artifact_names
    ) JOIN kept ON parent = kept.digest
)
DELETE FROM blobs WHERE digest NOT IN (SELECT digest FROM kept) RETURNING digest, size
"""

# An extraction is kept for as long as it has a row: it ends with a commit, a removal, or the agent's next start.
_SNAPSHOTS = """
WITH RECURSIVE kept (id) AS (
    SELECT id FROM snapshots WHERE
        key IN (SELECT chain_id FROM images)
        OR key IN (SELECT snapshot FROM containers)
        OR key IN (
            SELECT key FROM lease_items JOIN leases ON leases.id = lease WHERE kind = 'snapshot' AND expires > :now
        )
        OR (kind != 'committed' AND (created > :young OR key LIKE 'extract-%'))
    UNION SELECT parent FROM snapshots JOIN kept USING (id) WHERE parent IS NOT NULL
)
DELETE FROM snapshots WHERE id NOT IN (SELECT id FROM kept) RETURNING id, size
"""


def delete_blobs(connection: sqlite3.Connection, now: int) -> list[tuple[str, int]]:
    """Delete the rows of the blobs that nothing needs at *now*: their digests and sizes in bytes."""
    return [(row["digest"], row["size"]) for row in connection.execute(_BLOBS, {"now": now})]


def delete_snapshots(connection: sqlite3.Connection, now: int) -> list[int]:
    """Delete the rows of the snapshots that nothing needs at *now*: their sizes in bytes."""
    return [row["size"] for row in connection.execute(_SNAPSHOTS, {"now": now, "young": now - GRACE})]


def delete_leases(connection: sqlite3.Connection, now: int) -> None:
    """Delete the leases that ended before *now*."""
    connection.execute("DELETE FROM leases WHERE expires <= ?", (now,))


def leases(connection: sqlite3.Connection) -> set[str]:
    """The ids of all leases."""
    return {row["id"] for row in connection.execute("SELECT id FROM leases")}


def has_row(connection: sqlite3.Connection, digest: str) -> bool:
    """Whether the blob has a row."""
    return connection.execute("SELECT 1 FROM blobs WHERE digest = ?", (digest,)).fetchone() is not None


def wanted(connection: sqlite3.Connection, digest: str) -> bool:
    """Whether a blob without a needer got one since: its row is here again, or a lease or an ingest names it."""
    return (
        connection.execute(
            "SELECT 1 FROM blobs WHERE digest = :d UNION ALL SELECT 1 FROM ingests WHERE digest = :d"
            " UNION ALL SELECT 1 FROM lease_items WHERE kind = 'blob' AND key = :d LIMIT 1",
            {"d": digest},
        ).fetchone()
        is not None
    )
