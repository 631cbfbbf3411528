"""rm: a container goes, with its snapshot, log and, if wished, its anonymous volumes.

Guarantees: the row says ``removing`` before anything is taken away, so that an agent that dies here finishes it at its
next start, with the volumes if they were to go; row and snapshot go in one transaction. When something cannot be
removed the row says ``dead`` and why.
"""

from __future__ import annotations

import asyncio
import shutil

import msgspec

from jackstay_agent.containers import state
from jackstay_agent.containers.engine import Engine, Entry, settings_of
from jackstay_agent.containers.releasing import forget, release
from jackstay_agent.containers.telling import tell, tell_unmounted
from jackstay_agent.errors import Error, InUse, NotFound
from jackstay_agent.metadata import containers as rows
from jackstay_agent.metadata import images
from jackstay_agent.metadata.containers import ContainerRow

_KILLED = 137


async def remove(engine: Engine, text: str, *, force: bool, volumes: bool) -> str:
    """Remove the container that *text* means; its id. *force* kills it first.

    Raises `NotFound`, `Ambiguous`, `WrongState` for a running one without *force*, `Error` when something resists.
    """
    found = await engine.find(text)
    entry = engine.entry(found.id)
    async with entry.lock:
        row = await engine.get(found.id)
        state.check_can_remove(state.of(row), row.id, force=force)
        await remove_locked(engine, entry, row, volumes=volumes)
    return found.id


async def remove_locked(
    engine: Engine, entry: Entry, row: ContainerRow, *, volumes: bool, released: bool = False
) -> None:
    """`remove` for a caller that holds the lock and has decided that *row* may go; *released* what its run held."""
    container = row.id
    engine.exits.forget(container)
    engine.restarts.cancel(container)
    engine.health_checks.forget(container)
    anonymous = await engine.volumes.anonymous_of(container) if volumes else []
    # An agent that finishes this knows by that whether its volumes go, too.
    noted = {"config": _with_volumes(row)} if volumes else {}
    await engine.change("removing", container, state="removing", **noted)
    try:
        wrong = "" if released else await release(engine, container)
        if wrong:
            raise Error(f"cannot remove container {container}: {wrong}")
        engine.let_drain(entry)
        await forget(engine, container)
        await engine.snapshotter.remove(row.snapshot, along=lambda connection: rows.delete(connection, container))
    except (Error, OSError) as error:
        await engine.change("dead", container, state="dead", error=str(error))
        raise
    if await engine.database.read(lambda connection: images.by_root(connection, row.image_root)) is None:
        engine.image_gone()
    await asyncio.to_thread(shutil.rmtree, engine.layout.lasting(container), ignore_errors=True)
    for volume in anonymous:
        try:
            await engine.volumes.remove(volume)
        except (InUse, NotFound):
            continue
    if state.is_live(row.state):
        tell_unmounted(engine, row)
        await tell(engine, entry, row, "kill", {"signal": "9"})
        await tell(engine, entry, row, "die", {"exitCode": str(_KILLED)})
        entry.end(_KILLED)
    await tell(engine, entry, row, "destroy")
    entry.remove()
    engine.entries.pop(container, None)


def _with_volumes(row: ContainerRow) -> str:
    """The settings of *row*'s container as those of one that is removed with its anonymous volumes."""
    return msgspec.json.encode(msgspec.structs.replace(settings_of(row), auto_remove=True)).decode()
