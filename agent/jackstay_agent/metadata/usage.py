"""How much there is of everything, from the rows."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from jackstay_agent.metadata import leases


@dataclass(frozen=True, slots=True)
class Counts:
    """How many containers in each state, and how many images."""

    containers: dict[str, int]
    images: int


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """One line of `system df`; sizes in bytes."""

    type: str
    total: int
    active: int
    size: int
    reclaimable: int


@dataclass(frozen=True, slots=True)
class Ingest:
    """A blob that has not come in whole. It is *active* while somebody holds it by a lease that does not end."""

    ref: str
    digest: str | None
    total: int | None
    active: bool


def counts(connection: sqlite3.Connection) -> Counts:
    """For `info`."""
    states = connection.execute("SELECT state, COUNT(*) AS n FROM containers GROUP BY state")
    images = connection.execute("SELECT COUNT(DISTINCT image_id) FROM images WHERE NOT removed").fetchone()[0]
    return Counts({row["state"]: int(row["n"]) for row in states}, int(images))


def containers_run(connection: sqlite3.Connection) -> bool:
    """Whether a container runs, is being started or removed, or has a restart policy."""
    row = connection.execute(
        "SELECT 1 FROM containers WHERE state NOT IN ('created', 'exited', 'dead')"
        " OR COALESCE(json_extract(config, '$.restart.name'), 'no') != 'no' LIMIT 1"
    )
    return row.fetchone() is not None


# What stays when every image without a container is removed and every fetch that broke off is given up.
_USED = """
WITH RECURSIVE used AS (
    SELECT root, manifest, image_id, chain_id FROM images WHERE root IN (SELECT image_root FROM containers)
        OR (image_id IN (SELECT image_id FROM containers) AND root IN (SELECT root FROM names))
),
"""
_KEPT_BLOBS = f"""
{_USED} kept (digest) AS (
    SELECT root FROM used UNION SELECT manifest FROM used UNION SELECT image_id FROM used
    UNION SELECT key FROM lease_items JOIN leases ON leases.id = lease WHERE kind = 'blob' AND expires = :never
    UNION SELECT digest FROM artifact_names WHERE about = ''
    UNION SELECT child FROM (
        SELECT parent, child FROM blob_references
        UNION ALL SELECT subject, digest FROM artifacts
        UNION ALL SELECT about, digest FROM artifact_names
    ) JOIN kept ON parent = kept.digest
)
SELECT COUNT(*), COALESCE(SUM(size), 0) FROM blobs WHERE digest IN (SELECT digest FROM kept)
"""  # noqa: S608 - both parts are this file's
_KEPT_LAYERS = f"""
{_USED} kept (id) AS (
    SELECT id FROM snapshots WHERE kind != 'committed' OR key IN (SELECT chain_id FROM used)
        OR key IN (
            SELECT key FROM lease_items JOIN leases ON leases.id = lease WHERE kind = 'snapshot' AND expires = :never
        )
    UNION SELECT parent FROM snapshots JOIN kept USING (id) WHERE parent IS NOT NULL
)
SELECT COUNT(*), COALESCE(SUM(size), 0) FROM snapshots WHERE kind = 'committed' AND id IN (SELECT id FROM kept)
"""  # noqa: S608 - as above


def images(connection: sqlite3.Connection) -> list[DiskUsage]:
    """Images, which take blobs and unpacked layers, and these two apart.

    Reclaimable is what `image prune -a` frees; what is on its way for a fetch or a commit it does not.
    """
    total, active = connection.execute(
        "SELECT COUNT(DISTINCT image_id),"
        " COUNT(DISTINCT CASE WHEN image_id IN (SELECT image_id FROM containers) THEN image_id END)"
        " FROM images WHERE NOT removed"
    ).fetchone()
    blobs = _line(
        "Blobs",
        connection.execute("SELECT COUNT(*), COALESCE(SUM(size), 0) FROM blobs").fetchone(),
        connection.execute(_KEPT_BLOBS, {"never": leases.NEVER}).fetchone(),
    )
    layers = _line(
        "Layers",
        connection.execute(
            "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM snapshots WHERE kind = 'committed'"
        ).fetchone(),
        connection.execute(_KEPT_LAYERS, {"never": leases.NEVER}).fetchone(),
    )
    both = DiskUsage("Images", total, active, blobs.size + layers.size, blobs.reclaimable + layers.reclaimable)
    return [both, blobs, layers]


def ingests(connection: sqlite3.Connection) -> list[Ingest]:
    """Every ingest; of those without a digest yet, one that is made here is always active, one that is uploaded never:
    it can be given up between two requests."""
    rows = connection.execute(
        "SELECT ref, digest, total, (digest IS NULL AND ref NOT LIKE 'upload-%') OR digest IN ("
        " SELECT key FROM lease_items JOIN leases ON leases.id = lease WHERE kind = 'blob' AND expires = ?"
        ") AS active FROM ingests ORDER BY ref",
        (leases.NEVER,),
    )
    return [Ingest(row["ref"], row["digest"], row["total"], bool(row["active"])) for row in rows]


def blobs(connection: sqlite3.Connection) -> list[sqlite3.Row]:
    """Every blob, largest first: digest, size in bytes, created (nanoseconds since 1970), images (how many need it)."""
    return connection.execute(
        """
        WITH RECURSIVE needs (root, digest) AS (
            SELECT root, root FROM images UNION SELECT root, child FROM (
                SELECT parent, child FROM blob_references
                UNION ALL SELECT subject, digest FROM artifacts
                UNION ALL SELECT about, digest FROM artifact_names
            ) JOIN needs ON parent = needs.digest
        )
        SELECT digest, size, created, COUNT(root) AS images FROM blobs LEFT JOIN needs USING (digest)
        GROUP BY digest ORDER BY size DESC, digest
        """
    ).fetchall()


def _line(kind: str, found: tuple[int, int], kept: tuple[int, int]) -> DiskUsage:
    return DiskUsage(kind, int(found[0]), int(kept[0]), int(found[1]), int(found[1] - kept[1]))
