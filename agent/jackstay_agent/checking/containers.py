"""Checking containers: that what their rows name is there. One that lost it can only be removed."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator

from jackstay_agent.checking.findings import Finding
from jackstay_agent.checking.parts import Parts

_LOST = """
SELECT name, snapshot NOT IN (SELECT key FROM snapshots) AS files, image_root NOT IN (SELECT root FROM images) AS image
FROM containers WHERE files OR image ORDER BY name
"""


class ContainerCheck:
    """One check of all containers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def run(self) -> AsyncGenerator[Finding, None]:
        """Every container that lacks something."""
        for name, detail in await self._parts.database.read(_lost):
            yield Finding("missing", "container", name, detail, hint=f"remove it with jackstay rm -f {name}")


def _lost(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return [
        (row["name"], "its writable layer has no row" if row["files"] else "its image is not here")
        for row in connection.execute(_LOST)
    ]
