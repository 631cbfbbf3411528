"""prune: every container without a process goes, as docker's ``container prune`` has it (moby ``daemon/prune.go``).

Guarantees: a container that is started meanwhile stays; one that cannot be removed is logged and stops no other.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from jackstay_agent.containers import listing, state
from jackstay_agent.containers.engine import Engine
from jackstay_agent.containers.removing import remove_locked
from jackstay_agent.errors import Error, NotFound
from jackstay_agent.images import filters

PRUNED = ("created", "exited", "dead")
"""States that prune takes away; "starting" and "removing" are somebody's work under way."""

_log = structlog.get_logger("containers")


@dataclass(slots=True)
class Pruned:
    """The ids of what went, newest first, and the bytes of their writable layers."""

    removed: list[str] = field(default_factory=list)
    reclaimed: int = 0


async def prune(engine: Engine, texts: Iterable[str]) -> Pruned:
    """Remove the containers without a process that fit the filters *texts* ("until=", "label=", "label!=").

    Volumes stay. Raises `InvalidArgument` for other filters.
    """
    wanted = filters.parse(texts, filters.PRUNE, now=time.time_ns())
    pruned = Pruned()
    for item in await listing.list_containers(engine, every=True, texts=(), last=0, size=True):
        found = item.row
        if state.of(found) not in PRUNED or not wanted.labels_fit(item.plan.labels):
            continue
        if wanted.until is not None and found.created >= wanted.until:
            continue
        entry = engine.entry(found.id)
        try:
            async with entry.lock:
                row = await engine.get(found.id)
                if state.of(row) not in PRUNED:
                    continue
                await remove_locked(engine, entry, row, volumes=False)
        except NotFound:
            continue
        except (Error, OSError) as error:
            _log.error("cannot prune", container=found.id, error=str(error))
            continue
        pruned.removed.append(found.id)
        pruned.reclaimed += item.size_rw
    engine.record("container", "prune", "", {"reclaimed": str(pruned.reclaimed)})
    return pruned
