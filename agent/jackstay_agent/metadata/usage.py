"""How much there is of everything, from the rows."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass


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


def counts(connection: sqlite3.Connection) -> Counts:
    """For `info`."""
    states = connection.execute("SELECT state, COUNT(*) AS n FROM containers GROUP BY state")
    images = connection.execute("SELECT COUNT(DISTINCT image_id) FROM images").fetchone()[0]
    return Counts({row["state"]: int(row["n"]) for row in states}, int(images))


def containers_run(connection: sqlite3.Connection) -> bool:
    """Whether a container runs, or is being started or removed."""
    row = connection.execute("SELECT 1 FROM containers WHERE state NOT IN ('created', 'exited', 'dead') LIMIT 1")
    return row.fetchone() is not None


def disk(connection: sqlite3.Connection, ingest_bytes: int) -> list[DiskUsage]:
    """For `system df`: blobs of images, unpacked layers apart from them, and partial ingests, which have
    *ingest_bytes* on disk; what they are to have in the end is only what somebody said."""
    images = int(connection.execute("SELECT COUNT(DISTINCT image_id) FROM images").fetchone()[0])
    active = int(
        connection.execute(
            "SELECT COUNT(DISTINCT image_id) FROM images WHERE root IN (SELECT image_root FROM containers)"
        ).fetchone()[0]
    )
    blob_bytes = int(connection.execute("SELECT COALESCE(SUM(size), 0) FROM blobs").fetchone()[0])
    in_use = int(
        connection.execute(
            """
            WITH RECURSIVE below (digest) AS (
                SELECT image_root FROM containers UNION SELECT child FROM blob_references JOIN below ON parent = digest
            )
            SELECT COALESCE(SUM(size), 0) FROM blobs WHERE digest IN (SELECT digest FROM below)
            """
        ).fetchone()[0]
    )
    layers, layer_bytes = connection.execute(
        "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM snapshots WHERE kind = 'committed'"
    ).fetchone()
    layers_used, layer_bytes_used = connection.execute(
        """
        WITH RECURSIVE under (id, parent) AS (
            SELECT id, parent FROM snapshots WHERE kind != 'committed'
            UNION SELECT s.id, s.parent FROM snapshots s JOIN under ON s.id = under.parent
        )
        SELECT COUNT(*), COALESCE(SUM(size), 0) FROM snapshots
        WHERE kind = 'committed' AND id IN (SELECT id FROM under)
        """
    ).fetchone()
    ingests = int(connection.execute("SELECT COUNT(*) FROM ingests").fetchone()[0])
    containers = int(connection.execute("SELECT COUNT(*) FROM containers").fetchone()[0])
    running = int(
        connection.execute("SELECT COUNT(*) FROM containers WHERE state IN ('running', 'paused')").fetchone()[0]
    )
    volumes = int(connection.execute("SELECT COUNT(*) FROM volumes").fetchone()[0])
    mounted = int(connection.execute("SELECT COUNT(DISTINCT volume) FROM volume_uses").fetchone()[0])
    return [
        DiskUsage("Images", images, active, blob_bytes, blob_bytes - in_use),
        DiskUsage("Layers", int(layers), int(layers_used), int(layer_bytes), int(layer_bytes - layer_bytes_used)),
        DiskUsage("Containers", containers, running, 0, 0),
        DiskUsage("Local Volumes", volumes, mounted, 0, 0),
        DiskUsage("Partial Ingests", ingests, 0, ingest_bytes, ingest_bytes),
    ]
