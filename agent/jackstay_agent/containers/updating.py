"""update: other limits for a container, at once if it runs, and another restart policy.

Guarantees: the row follows the running container, in one transaction. An agent that dies between the two leaves a
container with its new limits until its next start, which gives it the row's; a caller who is told of success has both.
"""

from __future__ import annotations

import asyncio
import json
import os
from functools import partial
from typing import Any

import msgspec

from jackstay_agent import faults
from jackstay_agent.containers import accounts, host_facts, resources, restarting, state
from jackstay_agent.containers.cgroups import Cgroups
from jackstay_agent.containers.engine import Engine, settings_of
from jackstay_agent.containers.settings import Resources, RestartPolicy
from jackstay_agent.containers.telling import tell
from jackstay_agent.errors import InvalidArgument
from jackstay_agent.kernel.threads import finish

_MOST_PIDS = 1 << 22
"""As many as a kernel can have (PID_MAX_LIMIT, ``include/linux/threads.h``)."""


async def update(engine: Engine, text: str, given: Resources, restart: RestartPolicy | None) -> tuple[str, list[str]]:
    """Change the container that *text* means; its id, and warnings for the user.

    What is 0 or "" in *given* stays, as does the policy when *restart* is None.

    Raises:
        NotFound: there is none.
        InvalidArgument: a limit is out of bounds, below what is in use, or contradicts another.
        WrongState: it is being removed.
        RuntimeFailed: the kernel refuses it; the row stays as it is.
    """
    found = await engine.find(text)
    entry = engine.entry(found.id)
    warnings: list[str] = []
    async with entry.lock:
        row = await engine.get(found.id)
        state.check_can_update(row.state, row.id)
        settings = settings_of(row)
        limits = resources.merge(settings.resources, given)
        changed = msgspec.structs.replace(settings, resources=limits)
        if restart is not None:
            changed = restarting.with_policy(changed, restart)
        built = resources.linux(limits, await asyncio.to_thread(host_facts.read), warnings)
        if state.is_live(row.state) and given != Resources():
            if given.memory:
                await _check_used(row.id, given.memory)
            if given.pids_limit == -1:
                built["pids"] = {"limit": _MOST_PIDS}  # crun takes no word for "none"
            file = engine.layout.limits(row.id)
            await finish(_write, file, built)
            await engine.runtime.update(row.id, file)
            faults.point("containers.update.applied")
        await engine.change("updated", row.id, config=msgspec.json.encode(changed).decode())
        await tell(engine, entry, row, "update")
    return row.id, warnings


async def _check_used(container: str, limit: int) -> None:
    """Version 2 of cgroups would kill processes until the rest is below *limit*; version 1 says that it is busy."""
    used = await asyncio.to_thread(_memory_used, container)
    if limit < used:
        raise InvalidArgument(
            f"unable to set memory limit to {limit} (current usage: {used})",
            hint="give it more, or stop the container first",
        )


def _memory_used(container: str) -> int:
    cgroups = Cgroups.of_host()
    counters = accounts.of_v2 if cgroups.v2 else accounts.of_v1
    return counters(partial(cgroups.read, container)).memory


def _write(path: str, built: dict[str, Any]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(built, file)
