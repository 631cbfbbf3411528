"""system df: what is on disk, not what somebody said."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import SourceFailed
from jackstay_agent.metadata import containers as rows
from jackstay_agent.metadata import usage
from jackstay_agent.metadata.database import Database
from jackstay_oci.digest import Digest


async def test_partial_ingests_are_active_while_somebody_holds_them(database: Database, tmp_path: Path) -> None:
    content = await asyncio.to_thread(ContentStore, str(tmp_path / "content"), database)
    digests = [Digest.of(text) for text in (b"1", b"2", b"3")]
    refs = [f"blob-{digest}" for digest in digests]
    for ref, digest in zip(refs, digests, strict=True):
        ingest = await content.ingest(ref, expected=digest, total=1000)
        await asyncio.to_thread(ingest.write, b"x" * 100)
        await asyncio.to_thread(ingest.close)
    assert {status.ref: status.offset for status in await content.ingests()} == dict.fromkeys(refs, 100)

    async def break_off() -> None:
        async with content.lease(fetch=digests[0]) as lease:
            await content.keep(lease, digests[0])
            raise SourceFailed("gone")

    with pytest.raises(SourceFailed):
        await break_off()
    async with content.lease(fetch=digests[1]) as lease, content.new_ingest() as made:
        await content.keep(lease, digests[1])
        told = {ingest.ref: ingest.active for ingest in await database.read(usage.ingests)}
        assert told == {refs[0]: False, refs[1]: True, refs[2]: False, made.ref: True}
    assert not any(ingest.active for ingest in await database.read(usage.ingests))


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
    both, blobs, layers = await database.read(usage.images)
    assert blobs == usage.DiskUsage("Blobs", 4, 3, 4330, 4000)
    assert layers == usage.DiskUsage("Layers", 2, 1, 12, 7)
    assert both == usage.DiskUsage("Images", 1, 1, 4342, 4007)
    told = [tuple(row) for row in await database.read(usage.blobs)]
    assert told == [("other", 4000, 0, 0), ("l", 300, 0, 1), ("c", 20, 0, 1), ("m", 10, 0, 1)]

    for state, config, needed in [
        ("running", "{}", True),
        ("exited", "{}", False),
        ("exited", '{"restart": {"name": "no"}}', False),
        ("exited", '{"restart": {"name": "always"}}', True),
        ("starting", "{}", True),
    ]:
        await database.write(
            "test", lambda c, state=state, config=config: rows.change(c, "x", state=state, config=config)
        )  # type: ignore[misc]
        assert await database.read(usage.containers_run) is needed, (state, config)
