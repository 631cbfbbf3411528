"""What happens to containers, told as docker's events: with name, image, and the labels of both."""

from __future__ import annotations

from collections.abc import Mapping

from jackstay_agent.containers.engine import Engine, Entry, settings_of
from jackstay_agent.containers.exec import Session
from jackstay_agent.errors import Error
from jackstay_agent.metadata.containers import ContainerRow


async def tell(
    engine: Engine, entry: Entry, row: ContainerRow, action: str, attributes: Mapping[str, str] | None = None
) -> None:
    """Record that *action* happened to *row*'s container, whose entry is *entry*. Never raises an `Error`."""
    labels = await _labels(engine, entry, row)
    told = {"image": row.image, "name": row.name, **(attributes or {})}
    engine.record("container", action, row.id, told, labels)


async def tell_exec(engine: Engine, row: ContainerRow, session: Session, command: str) -> None:
    """Record that *session* was started, and see to it that its end is."""
    labels = await _labels(engine, engine.entries.get(row.id) or Entry(), row)
    told = {"image": row.image, "name": row.name, "execID": session.id}
    for action in ("exec_create", "exec_start"):
        engine.record("container", f"{action}: {command}", row.id, told, labels)

    def ended(code: int) -> None:
        engine.record("container", "exec_die", row.id, {**told, "exitCode": str(code)}, labels)

    session.on_end(ended)


def tell_mounted(engine: Engine, row: ContainerRow) -> None:
    """Record that the volumes of *row*'s container are mounted in it."""
    for mount in settings_of(row).mounts:
        if mount.type == "volume":
            told = {
                "container": row.id,
                "destination": mount.target,
                "driver": "local",
                "propagation": mount.propagation,
                "read/write": "false" if mount.read_only else "true",
            }
            engine.record("volume", "mount", mount.source, told)


def tell_unmounted(engine: Engine, row: ContainerRow) -> None:
    """Record that the volumes of *row*'s container are mounted in it no more."""
    for mount in settings_of(row).mounts:
        if mount.type == "volume":
            engine.record("volume", "unmount", mount.source, {"container": row.id, "driver": "local"})


async def _labels(engine: Engine, entry: Entry, row: ContainerRow) -> dict[str, str]:
    """The container's labels and its image's, read once in this agent's life."""
    if entry.labels is None:
        try:
            entry.labels = (await engine.plan(row)).labels
        except Error:  # its image is gone, and with it the labels of that
            entry.labels = dict(settings_of(row).labels)
    return entry.labels
