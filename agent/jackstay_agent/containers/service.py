"""Containers on this host: the service that the rest of the agent calls. Each verb has a file of its own beside this.

Containers outlive the agent: `close` leaves them running and `recover` finds them again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Any

from jackstay_agent.config import Config
from jackstay_agent.containers import (
    attaching,
    changes,
    copies,
    creating,
    ending,
    exporting,
    health_action,
    health_status,
    listing,
    log_options,
    logs,
    networking,
    probe,
    pruning,
    recovery,
    removing,
    restarter,
    starting,
    state,
    stats,
    stopping,
    top,
    updating,
    waiting,
)
from jackstay_agent.containers.engine import Engine, settings_of
from jackstay_agent.containers.exec import Execs, Session
from jackstay_agent.containers.exec_process import ExecRequest
from jackstay_agent.containers.exits import Exit, Exits
from jackstay_agent.containers.health import Result
from jackstay_agent.containers.health_checks import HealthChecks
from jackstay_agent.containers.layout import Layout
from jackstay_agent.containers.log_rotation import LogRotation
from jackstay_agent.containers.monitor import Monitors
from jackstay_agent.containers.process_table import ProcessTable
from jackstay_agent.containers.restarts import Restarts
from jackstay_agent.containers.runtime import PREFERRED, Runtime, choose
from jackstay_agent.containers.sampler import Sampler
from jackstay_agent.containers.settings import NetworkAttachment, Resources, RestartPolicy, Settings
from jackstay_agent.containers.telling import tell
from jackstay_agent.content.store import ContentStore
from jackstay_agent.errors import InvalidArgument, NotFound, Unsupported
from jackstay_agent.images.service import Images
from jackstay_agent.kernel.jobs import Jobs
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.kernel.programs import Programs
from jackstay_agent.layers.changes import Change
from jackstay_agent.layers.snapshotter import Snapshotter
from jackstay_agent.metadata import containers as rows
from jackstay_agent.metadata.containers import ContainerRow
from jackstay_agent.metadata.database import Database
from jackstay_agent.networks.service import Networks
from jackstay_agent.secrets.service import Secrets
from jackstay_agent.volumes.service import Volumes


class Containers:
    """The containers of one agent. Call `recover` once before anything else."""

    def __init__(
        self,
        config: Config,
        database: Database,
        jobs: Jobs,
        programs: Programs,
        mounts: Mounts,
        snapshotter: Snapshotter,
        images: Images,
        content: ContentStore,
        networks: Networks,
        volumes: Volumes,
        secrets: Secrets,
    ) -> None:
        layout = Layout(state=config.state, run=config.run)
        runtime = Runtime(programs, config.runtime or PREFERRED[0], layout.runtime)
        monitors = Monitors(config.conmon, runtime, layout)
        self._content = content
        self._programs = programs
        self._sampler = Sampler(database)
        self.engine = Engine(
            config=config,
            database=database,
            jobs=jobs,
            mounts=mounts,
            snapshotter=snapshotter,
            images=images,
            networks=networks,
            volumes=volumes,
            secrets=secrets,
            layout=layout,
            runtime=runtime,
            monitors=monitors,
            execs=Execs(monitors, layout),
            exits=Exits(layout, self._ended),
            restarts=Restarts(self._again),
            log_rotation=LogRotation(layout),
            health_checks=HealthChecks(layout, self._probe, self._health_changed, self._unhealthy),
        )

    async def recover(self) -> None:
        """Find the containers that run, and clean up after an agent or a host that died."""
        try:
            self.engine.runtime.path = await asyncio.to_thread(choose, self.engine.config.runtime)
        except Unsupported:
            pass  # images can be served without one; a start says what is missing
        await recovery.recover(self.engine)

    async def resume(self) -> None:
        """Start what is to run: the containers whose restart policy says so. After `recover`."""
        await restarter.plan_all(self.engine)

    async def close(self) -> None:
        """Let go of the containers, which go on; verbs under way are finished first, for at most 30 s."""
        self.engine.restarts.close()
        await self.engine.health_checks.close()
        if self.engine.work:
            await asyncio.wait(tuple(self.engine.work), timeout=30)
        hubs = [entry.hub for entry in self.engine.entries.values() if entry.hub is not None]
        for hub in (*hubs, *self.engine.draining):
            await hub.close()
        await self.engine.execs.close()
        await self.engine.exits.close()
        await self.engine.retries.close()
        await self.engine.log_rotation.close()

    async def network_connect(self, text: str, wanted: NetworkAttachment) -> None:
        """See `networking.connect`."""
        await self.engine.finish(networking.connect(self.engine, text, wanted))

    async def network_disconnect(self, text: str, network: str, *, force: bool = False) -> None:
        """See `networking.disconnect`."""
        await self.engine.finish(networking.disconnect(self.engine, text, network, force=force))

    async def runtime_version(self) -> str:
        """The OCI runtime's name and version; "" when none is installed."""
        try:
            return await self.engine.runtime.version()
        except Unsupported:
            return ""

    async def find(self, text: str) -> ContainerRow:
        """The container that *text* means: a name, an id, the start of one. Raises `NotFound`, `Ambiguous`."""
        return await self.engine.find(text)

    async def create(self, settings: Settings, *, replace: bool = False) -> tuple[str, list[str]]:
        """See `creating.create`. *replace* removes a container of that name first."""
        return await self.engine.finish(self._create(settings, replace))

    async def start(self, text: str) -> str:
        """See `starting.start`."""
        return await self.engine.finish(starting.start(self.engine, text))

    async def stop(self, text: str, timeout: int | None = None, signal: str = "") -> str:
        """See `stopping.stop`."""
        return await self.engine.finish(stopping.stop(self.engine, text, timeout, signal))

    async def restart(self, text: str, timeout: int | None = None, signal: str = "") -> str:
        """See `stopping.restart`."""
        return await self.engine.finish(stopping.restart(self.engine, text, timeout, signal))

    async def kill(self, text: str, signal: str = "") -> str:
        """See `stopping.kill`."""
        return await self.engine.finish(stopping.kill(self.engine, text, signal))

    async def pause(self, text: str) -> None:
        """See `stopping.pause`."""
        await self.engine.finish(stopping.pause(self.engine, text))

    async def unpause(self, text: str) -> None:
        """See `stopping.unpause`."""
        await self.engine.finish(stopping.unpause(self.engine, text))

    async def remove(self, text: str, *, force: bool = False, volumes: bool = False) -> str:
        """See `removing.remove`."""
        return await self.engine.finish(removing.remove(self.engine, text, force=force, volumes=volumes))

    async def prune(self, filters: Iterable[str] = ()) -> pruning.Pruned:
        """See `pruning.prune`."""
        return await self.engine.finish(pruning.prune(self.engine, filters))

    async def rename(self, text: str, name: str) -> None:
        """Give a container another name. Raises `NotFound`, `NameTaken`, `InvalidArgument`, `WrongState`."""
        await self.engine.finish(self._rename(text, name))

    async def update(
        self, text: str, resources: Resources, restart: RestartPolicy | None = None
    ) -> tuple[str, list[str]]:
        """See `updating.update`."""
        return await self.engine.finish(updating.update(self.engine, text, resources, restart))

    async def wait(self, text: str, condition: str = "") -> int:
        """See `waiting.wait`."""
        return await waiting.wait(self.engine, text, condition)

    async def list_all(
        self, *, every: bool = False, filters: Iterable[str] = (), last: int = 0, size: bool = False
    ) -> list[listing.Listed]:
        """See `listing.list_containers`."""
        return await listing.list_containers(self.engine, every=every, texts=filters, last=last, size=size)

    async def changes(self, text: str) -> list[Change]:
        """See `changes.changes`."""
        return await changes.changes(self.engine, text)

    async def top(self, text: str, options: Sequence[str] = ()) -> ProcessTable:
        """See `top.top`."""
        return await top.top(self.engine, self._programs, text, options)

    async def stats(
        self, texts: Sequence[str] = (), *, every: bool = False, follow: bool = False
    ) -> AsyncGenerator[list[stats.Line], None]:
        """See `stats.stats`."""
        async with aclosing(stats.stats(self.engine, self._sampler, texts, every=every, follow=follow)) as samples:
            async for lines in samples:
                yield lines

    async def inspect(self, text: str, *, size: bool = False) -> dict[str, Any]:
        """See `listing.inspect`."""
        return await listing.inspect(self.engine, text, size=size)

    async def logs(
        self, text: str, wanted: logs.Wanted, *, follow: bool = False
    ) -> AsyncGenerator[list[logs.Entry], None]:
        """The container's output so far in batches; with *follow* until it stops, if it runs. Raises `NotFound`."""
        found = await self.engine.find(text)
        row, over = await self.engine.run_of(found.id)
        settings = settings_of(row)
        if not log_options.parse(settings.log_driver, settings.log_opts).kept:
            raise Unsupported(
                "configured logging driver does not support reading",
                hint=f"{row.name} was created with --log-driver none",
            )
        ended = over if follow and state.is_live(row.state) else None
        async with aclosing(logs.read(self.engine.layout.log(row.id), wanted, ended=ended)) as batches:
            async for batch in batches:
                yield batch

    async def export(self, text: str) -> AsyncGenerator[bytes, None]:
        """See `exporting.export`."""
        async with aclosing(exporting.export(self.engine, text)) as pieces:
            async for piece in pieces:
                yield piece

    async def stat_path(self, text: str, path: bytes, *, follow: bool = False) -> copies.PathStat | None:
        """See `copies.stat_path`."""
        return await copies.stat_path(self.engine, text, path, follow=follow)

    async def copy_from(
        self, text: str, path: bytes, *, follow: bool = False
    ) -> AsyncGenerator[copies.PathStat | bytes, None]:
        """See `copies.copy_from`."""
        async with aclosing(copies.copy_from(self.engine, text, path, follow=follow)) as pieces:
            async for piece in pieces:
                yield piece

    async def copy_to(
        self,
        text: str,
        path: bytes,
        pieces: AsyncIterator[bytes],
        begun: Callable[[], None],
        *,
        keep_owner: bool = False,
    ) -> None:
        """See `copies.copy_to`."""
        await copies.copy_to(self.engine, text, path, pieces, begun, keep_owner=keep_owner)

    async def attach(
        self, text: str, *, stdout: bool = True, stderr: bool = True, size: tuple[int, int] | None = None
    ) -> attaching.Attached:
        """See `attaching.attach`."""
        return await attaching.attach(self.engine, text, stdout=stdout, stderr=stderr, size=size)

    async def execute(self, text: str, request: ExecRequest) -> Session:
        """See `attaching.execute`."""
        return await attaching.execute(self.engine, text, request)

    async def _create(self, settings: Settings, replace: bool) -> tuple[str, list[str]]:
        if replace and settings.name:
            name = creating.check_name(settings.name)
            try:
                # By name alone: the text must not mean the start of another container's id.
                found = await self.engine.database.read(lambda c: rows.by_name(c, name))
                await removing.remove(self.engine, found.id, force=True, volumes=True)
            except NotFound:
                pass
        return await creating.create(self.engine, settings)

    async def _rename(self, text: str, name: str) -> None:
        name = creating.check_name(name)
        found = await self.engine.find(text)
        async with self.engine.entry(found.id).lock:
            row = await self.engine.get(found.id)
            state.check_can_rename(row.state, row.id)
            if name == row.name:
                raise InvalidArgument(
                    "Renaming a container with the same name as its current name", hint="give another name"
                )
            config = creating.with_name(settings_of(row), name)
            await self.engine.database.write("containers.renamed", lambda c: rows.rename(c, row.id, name, config))
            renamed = await self.engine.get(row.id)
            await self.engine.networks.names.follow()
            await tell(self.engine, self.engine.entry(row.id), renamed, "rename", {"oldName": row.name})

    def _again(self, container: str) -> None:
        self.engine.carry_out(restarter.again(self.engine, container))

    async def _probe(self, container: str, command: tuple[str, ...], limit: int) -> Result:
        return await probe.probe(self.engine, container, command, limit)

    async def _health_changed(self, container: str, status: str) -> None:
        await health_status.changed(self.engine, container, status)

    async def _unhealthy(self, container: str) -> None:
        await self.engine.finish(health_action.act(self.engine, container))

    async def _ended(self, container: str, how: Exit) -> None:
        await ending.ended(self.engine, container, how)
