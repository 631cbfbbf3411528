"""The networks of this host: who has which address, and the way packets take to a container."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from jackstay_agent import config
from jackstay_agent.containers.settings import Port, Settings
from jackstay_agent.kernel.jobs import Jobs
from jackstay_agent.kernel.programs import Programs
from jackstay_agent.metadata.database import Database
from jackstay_agent.networks.attachment import Attachment


class Networks:
    """Connects containers to networks."""

    def __init__(
        self, settings: config.Network, run_dir: str, database: Database, jobs: Jobs, programs: Programs
    ) -> None:
        raise NotImplementedError

    async def recover(self) -> None:
        """Bring the host's state to the database's, as at the agent's start: before `Containers.recover`. Idempotent."""
        raise NotImplementedError

    def allocate(self, connection: sqlite3.Connection, container: str, settings: Settings) -> None:
        """Give *container* its place in the network that *settings* name; SQL, for the transaction that creates it.

        Raises `NotFound` for an unknown network, `AddressTaken`, `InvalidArgument` for a malformed address.
        """
        raise NotImplementedError

    async def connect(self, container: str, settings: Settings, publish: Sequence[Port]) -> Attachment:
        """Make *container*'s network namespace and publish *publish*; undone as a whole when any of it fails.

        Raises `PortTaken`, `InvalidArgument`, `Unsupported`.
        """
        raise NotImplementedError

    async def disconnect(self, container: str) -> None:
        """Undo `connect`. No error when there is nothing to undo."""
        raise NotImplementedError

    async def describe(self, container: str, settings: Settings) -> dict[str, Any]:
        """Docker's ``NetworkSettings`` object of *container*."""
        raise NotImplementedError
