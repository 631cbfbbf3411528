"""A commit whose container, and its image with it, are removed while it begins. Needs root."""

from __future__ import annotations

import sqlite3
import time

import pytest

from jackstay_agent.errors import NotFound
from jackstay_agent.gc import mark
from jackstay_agent.images.stored import StoredImage
from jackstay_agent.metadata import images as image_rows
from jackstay_agent.metadata import snapshots as snapshot_rows
from jackstay_oci.documents import Manifest
from tests.unit.agent.containers.test_commit import ID, World, world

__all__ = ["world"]


async def test_the_image_is_held_or_the_commit_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between reading the manifest and holding what it names, container and image go, and a collection begins: it has
    deleted the rows, and is about to delete the files. Whoever looked for the files alone would still find them."""
    read = world.images.manifest

    async def removed_meanwhile(image: StoredImage) -> Manifest:
        found = await read(image)

        def remove(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM containers WHERE id = ?", (ID,))
            snapshot_rows.remove(connection, "container-web")
            image_rows.delete(connection, image.root)
            mark.delete_blobs(connection, time.time_ns())

        await world.database.write("test", remove)
        return found

    monkeypatch.setattr(world.images, "manifest", removed_meanwhile)
    with pytest.raises(NotFound, match="No such image"):
        await world.commit(name="made:1")
    assert await world.count("images") == 0
