"""network connect and disconnect: a container's places in networks change, at once when it runs. Errors as docker's."""

from __future__ import annotations

from jackstay_agent.containers import state
from jackstay_agent.containers.engine import Engine, settings_of
from jackstay_agent.containers.settings import NetworkAttachment
from jackstay_agent.containers.starting import published
from jackstay_agent.errors import InvalidArgument, WrongState
from jackstay_agent.metadata.containers import ContainerRow


async def connect(engine: Engine, text: str, wanted: NetworkAttachment) -> None:
    """Give the container that *text* means a place in *wanted*'s network.

    Raises `NotFound`, `AlreadyExists`, `AddressTaken`, `InvalidArgument`, `PortTaken`, `WrongState`.
    """
    found = await engine.find(text)
    async with engine.entry(found.id).lock:
        row = await engine.get(found.id)
        settings = settings_of(row)
        _check(row, settings.network)
        publish = published(settings, await engine.plan(row))
        await engine.networks.membership.join(row.id, wanted.network, wanted, publish)


async def disconnect(engine: Engine, text: str, network: str, *, force: bool = False) -> None:
    """Take the place of the container that *text* means in *network* away; *force*: it need not have one.

    Raises `NotFound`, `InvalidArgument`, `WrongState`.
    """
    found = await engine.find(text)
    async with engine.entry(found.id).lock:
        row = await engine.get(found.id)
        _check(row, settings_of(row).network)
        await engine.networks.membership.leave(row.id, network, force=force)


def _check(row: ContainerRow, mode: str) -> None:
    if state.of(row) in ("removing", "dead"):
        raise WrongState(f"container {row.name} is marked for removal and cannot be connected or disconnected")
    if mode in ("host", "none") or mode.startswith("container:"):
        raise InvalidArgument(
            f"container {row.name} was created with --network {mode}, which stands alone",
            hint="create it in a network of its own",
        )
