"""What every part of the check works with."""

from __future__ import annotations

from dataclasses import dataclass

from jackstay_agent.containers.engine import Engine
from jackstay_agent.content.store import ContentStore
from jackstay_agent.gc.collect import Collector
from jackstay_agent.layers.snapshotter import Snapshotter
from jackstay_agent.metadata.database import Database
from jackstay_agent.volumes.service import Volumes


@dataclass(frozen=True, slots=True)
class Parts:
    """The services of one agent."""

    database: Database
    content: ContentStore
    snapshotter: Snapshotter
    collector: Collector
    volumes: Volumes
    engine: Engine
