"""network connect and disconnect: a container's places in networks change, at once when it runs. Errors as docker's."""

from __future__ import annotations

import structlog

from jackstay_agent.containers import own_files, state
from jackstay_agent.containers.engine import Engine, settings_of
from jackstay_agent.containers.settings import NetworkAttachment, Settings
from jackstay_agent.containers.starting import published
from jackstay_agent.errors import InvalidArgument, WrongState
from jackstay_agent.kernel.threads import finish
from jackstay_agent.metadata.containers import ContainerRow

_log = structlog.get_logger("containers")


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
        await _ask_anew(engine, row, settings)


async def disconnect(engine: Engine, text: str, network: str, *, force: bool = False) -> None:
    """Take the place of the container that *text* means in *network* away; *force*: it need not have one.

    Raises `NotFound`, `InvalidArgument`, `WrongState`.
    """
    found = await engine.find(text)
    async with engine.entry(found.id).lock:
        row = await engine.get(found.id)
        settings = settings_of(row)
        _check(row, settings.network)
        await engine.networks.membership.leave(row.id, network, force=force)
        await _ask_anew(engine, row, settings)


async def _ask_anew(engine: Engine, row: ContainerRow, settings: Settings) -> None:
    """Let *row*'s container, if it runs, ask those for names who know them in its networks by now."""
    if not state.is_live(row.state):
        return
    try:
        servers = await engine.networks.nameservers(row.id)
        await finish(own_files.ask, engine.layout.bundle(row.id), settings, servers)
    except OSError as error:  # no room, say: it is connected, and asks those whom it asked before
        _log.warning("a container's resolv.conf stays as it was", container=row.id, error=str(error))


def _check(row: ContainerRow, mode: str) -> None:
    if state.of(row) in ("removing", "dead"):
        raise WrongState(f"container {row.name} is marked for removal and cannot be connected or disconnected")
    if mode in ("host", "none") or mode.startswith("container:"):
        raise InvalidArgument(
            f"container {row.name} was created with --network {mode}, which stands alone",
            hint="create it in a network of its own",
        )
