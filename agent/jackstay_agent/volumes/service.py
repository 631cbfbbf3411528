"""The volumes of this host."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from jackstay_agent.kernel.jobs import Jobs
from jackstay_agent.metadata.database import Database


@dataclass(frozen=True, slots=True)
class Volume:
    """One volume."""

    name: str
    mountpoint: str
    created: int  # nanoseconds since 1970
    labels: dict[str, str]
    anonymous: bool
    users: tuple[str, ...]  # ids of the containers that mount it


class Volumes:
    """Keeps volumes under ``STATE/volumes``."""

    def __init__(self, state_dir: str, database: Database, jobs: Jobs) -> None:
        raise NotImplementedError

    async def create(self, name: str | None, labels: Mapping[str, str], anonymous: bool = False) -> Volume:
        """Make a volume; the existing one when *name* is there already, as docker does. Raises `InvalidArgument`."""
        raise NotImplementedError

    async def list(self, filters: Iterable[str] = ()) -> list[Volume]:
        """The volumes by name. Raises `InvalidArgument` for an unknown filter."""
        raise NotImplementedError

    async def inspect(self, name: str) -> Volume:
        """The volume *name*. Raises `NotFound`."""
        raise NotImplementedError

    async def remove(self, name: str, force: bool = False) -> None:
        """Remove *name*. Raises `InUse` naming the containers, `NotFound` unless *force*."""
        raise NotImplementedError

    async def prune(self, all: bool = False) -> tuple[list[str], int]:
        """Remove unused anonymous volumes (*all*: named ones too): their names and the bytes freed."""
        raise NotImplementedError

    def ensure(self, connection: sqlite3.Connection, name: str | None) -> str:
        """The row of *name*, made when it is missing (None: a new anonymous one); its name. SQL only.

        Raises `InvalidArgument` for a malformed name.
        """
        raise NotImplementedError

    def add_use(self, connection: sqlite3.Connection, container: str, name: str) -> None:
        """Note that *container* mounts *name*, until its row goes. SQL only."""
        raise NotImplementedError

    async def anonymous_of(self, container: str) -> list[str]:
        """Names of the anonymous volumes that only *container* mounts: what ``rm -v`` removes after its row is gone."""
        raise NotImplementedError

    async def materialize(self, name: str) -> str:
        """The folder of *name* to mount, made durably when it is missing. Raises `NotFound` without a row."""
        raise NotImplementedError

    def path(self, name: str) -> str:
        """Where *name*'s files are. Raises `InvalidArgument` for a malformed name."""
        raise NotImplementedError

    async def clean(self) -> int:
        """Remove every folder that has no row, as after a crash; how many."""
        raise NotImplementedError
