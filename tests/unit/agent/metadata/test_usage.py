"""system df: what is on disk, not what somebody said."""

from __future__ import annotations

import asyncio
from pathlib import Path

from jackstay_agent.content.store import ContentStore
from jackstay_agent.metadata import usage
from jackstay_agent.metadata.database import Database


async def test_partial_ingests_count_by_what_has_come(database: Database, tmp_path: Path) -> None:
    content = await asyncio.to_thread(ContentStore, str(tmp_path / "content"), database)
    for number in range(3):
        ingest = await content.ingest(f"blob-{number}", total=(1 << 63) - 1)
        await asyncio.to_thread(ingest.write, b"x" * 100)
        await asyncio.to_thread(ingest.close)
    partial = await content.ingest_bytes()
    lines = {line.type: line for line in await database.read(lambda c: usage.disk(c, partial))}
    assert lines["Partial Ingests"] == usage.DiskUsage("Partial Ingests", 3, 0, 300, 300)


async def test_blobs_and_layers_of_a_container_are_in_use(database: Database) -> None:
    def fill(connection: object) -> None:
        connection.executescript(  # type: ignore[attr-defined]
            """
            INSERT INTO blobs VALUES ('m', 10, 0), ('c', 20, 0), ('l', 300, 0), ('other', 4000, 0);
            INSERT INTO blob_references VALUES ('m', 'c'), ('m', 'l');
            INSERT INTO images VALUES ('m', 't', 'm', 'c', 'chain', 0, 0, '{}', 0, 0);
            INSERT INTO snapshots (id, key, kind, parent, size, created) VALUES
                (1, 'chain', 'committed', NULL, 5, 0), (2, 'unused', 'committed', NULL, 7, 0),
                (3, 'container-x', 'active', 1, 0, 0);
            INSERT INTO containers (id, name, image, image_root, image_id, snapshot, config, state, created)
                VALUES ('x', 'x', 'i', 'm', 'c', 'container-x', '{}', 'running', 0);
            """
        )

    await asyncio.to_thread(lambda: database._writer.submit(fill, database._write_connection).result())
    lines = {line.type: line for line in await database.read(lambda c: usage.disk(c, 0))}
    assert lines["Images"] == usage.DiskUsage("Images", 1, 1, 4330, 4000)
    assert lines["Layers"] == usage.DiskUsage("Layers", 2, 1, 12, 7)
    assert lines["Containers"] == usage.DiskUsage("Containers", 1, 1, 0, 0)
