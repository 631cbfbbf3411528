"""``--volumes-from``: the mounts of another container, as they are when this one is created.

As docker has it: what the new container is given itself takes the place of one inherited at the same path, a later
container's that of an earlier one's; with ``:ro`` all are read-only, and nothing that is read-only there can be written
here; an inherited volume is not filled from this container's image. Its anonymous volumes are shared, and go with the
last container that mounts them.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from jackstay_agent.containers.engine import Engine, settings_of
from jackstay_agent.containers.settings import Mount, Settings
from jackstay_agent.errors import InvalidArgument
from jackstay_oci.config_values import absolute


async def with_inherited(engine: Engine, settings: Settings) -> Settings:
    """*settings* with the mounts of containers that they name. Raises `NotFound`, `Ambiguous`, `InvalidArgument`."""
    inherited: list[Mount] = []
    for text in settings.volumes_from:
        container, read_only = parse(text)
        other = settings_of(await engine.find(container))
        inherited += take(other.mounts, read_only=read_only)
    if not inherited:
        return settings
    return msgspec.structs.replace(settings, mounts=merged(inherited, settings))


def parse(text: str) -> tuple[str, bool]:
    """The container that ``CONTAINER[:ro|rw]`` names, and whether its mounts become read-only."""
    container, colon, mode = text.partition(":")
    if not container or (colon and mode not in ("ro", "rw")):
        raise InvalidArgument(f"invalid --volumes-from {text[:100]!r}", hint="write CONTAINER, CONTAINER:ro or :rw")
    return container, mode == "ro"


def take(mounts: Iterable[Mount], *, read_only: bool) -> list[Mount]:
    """*mounts* as who inherits them has them."""
    return [
        msgspec.structs.replace(
            mount, read_only=mount.read_only or read_only, no_copy=True, create_source=False, inherited=True
        )
        for mount in mounts
    ]


def merged(inherited: Iterable[Mount], settings: Settings) -> tuple[Mount, ...]:
    """*inherited* mounts that nothing takes the place of, and those of *settings*."""
    own = {absolute(mount.target, "the mount path") for mount in settings.mounts}
    own |= {absolute(text.partition(":")[0], "the tmpfs path") for text in settings.tmpfs}
    last = {mount.target: mount for mount in inherited if mount.target not in own}
    return (*last.values(), *settings.mounts)
