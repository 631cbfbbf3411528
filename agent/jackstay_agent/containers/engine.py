"""What the verbs on containers share: the agent's services, and what is known of each container beyond its row.

One lock a container orders the verbs on it. Whoever changes a container's state tells its `Entry`, which wakes those
who wait for an end. Verbs run to their end even when the one who asked goes away (`Engine.finish`), so that no
container is left half started by a closed laptop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from jackstay_agent.config import Config
from jackstay_agent.containers.attach import Hub
from jackstay_agent.containers.exec import Execs
from jackstay_agent.containers.exits import Exits
from jackstay_agent.containers.health_checks import HealthChecks
from jackstay_agent.containers.layout import Layout
from jackstay_agent.containers.log_rotation import LogRotation
from jackstay_agent.containers.monitor import Monitors
from jackstay_agent.containers.process import ProcessPlan, merge
from jackstay_agent.containers.restarts import Restarts
from jackstay_agent.containers.retries import Retries
from jackstay_agent.containers.runtime import Runtime
from jackstay_agent.containers.settings import Settings, decode
from jackstay_agent.errors import NotFound
from jackstay_agent.events.event import Record, unrecorded
from jackstay_agent.images.service import Images
from jackstay_agent.kernel.jobs import Jobs
from jackstay_agent.kernel.mounts import Mounts
from jackstay_agent.layers.snapshotter import Snapshotter
from jackstay_agent.metadata import containers as rows
from jackstay_agent.metadata.containers import ContainerRow
from jackstay_agent.metadata.database import Database
from jackstay_agent.networks.service import Networks
from jackstay_agent.secrets.service import Secrets
from jackstay_agent.volumes.service import Volumes

T = TypeVar("T")


class Lock(asyncio.Lock):
    """A lock that knows whether somebody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = 0

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for it."""
        return self._waiting > 0

    async def acquire(self) -> Literal[True]:
        """See `asyncio.Lock.acquire`."""
        self._waiting += 1
        try:
            return await super().acquire()
        finally:
            self._waiting -= 1


class Entry:
    """What is known of a container in this agent's life."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.hub: Hub | None = None
        self.console: tuple[int, int] | None = None  # rows and columns of the terminal of who attached last
        self.ends = 0  # how often it ended
        self.code = 0  # of the last end
        self.gone = False  # its row is removed
        self.labels: dict[str, str] | None = None  # its own and its image's, once an event has told them
        self.stopped = False  # a user ended the run under way, or is about to
        self.kept = False  # its end is not followed by its removal, as it is started again at once
        self.over = asyncio.Event()  # set when the run under way ends; a new one for each run
        self._changed = asyncio.Event()

    def begin(self) -> None:
        """A run begins."""
        self.stopped = False
        self.over = asyncio.Event()

    def end(self, code: int) -> None:
        """The run has ended with *code*."""
        self.ends += 1
        self.code = code
        self.over.set()
        self._wake()

    def fail(self, code: int) -> None:
        """A start has failed, which gave *code*."""
        self.code = code
        self._wake()

    def remove(self) -> None:
        """The container is gone."""
        self.gone = True
        self.over.set()
        self._wake()

    async def changed(self) -> None:
        """Wait for the next `end`, `fail` or `remove`."""
        await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


@dataclass(slots=True)
class Engine:
    """The services."""

    config: Config
    database: Database
    jobs: Jobs
    mounts: Mounts
    snapshotter: Snapshotter
    images: Images
    networks: Networks
    volumes: Volumes
    secrets: Secrets
    layout: Layout
    runtime: Runtime
    monitors: Monitors
    execs: Execs
    exits: Exits
    restarts: Restarts
    log_rotation: LogRotation
    health_checks: HealthChecks
    retries: Retries = field(default_factory=Retries)
    entries: dict[str, Entry] = field(default_factory=dict)
    work: set[asyncio.Task[Any]] = field(default_factory=set)
    draining: set[Hub] = field(default_factory=set)
    image_gone: Callable[[], None] = lambda: None  # called when an image went with its last container
    record: Record = unrecorded
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def entry(self, container: str) -> Entry:
        """The entry of the container with that id."""
        return self.entries.setdefault(container, Entry())

    async def find(self, text: str) -> ContainerRow:
        """The container that *text* means: a name, an id, the start of one. Raises `NotFound`, `Ambiguous`."""
        return await self.database.read(lambda c: rows.find(c, text))

    async def get(self, container: str) -> ContainerRow:
        """The row of the id *container*, as it is now. Raises `NotFound`."""
        try:
            return await self.database.read(lambda c: rows.get(c, container))
        except NotFound:
            self.entries.pop(container, None)
            raise

    async def run_of(self, container: str) -> tuple[ContainerRow, asyncio.Event]:
        """The row of *container*, and what is set when the run ends that the row tells of. Raises `NotFound`."""
        while True:
            entry = self.entry(container)
            over = entry.over
            row = await self.get(container)
            if over is entry.over:  # else it may be of the run before, and set
                return row, over

    async def plan(self, row: ContainerRow) -> ProcessPlan:
        """What *row*'s container runs."""
        image = await self.images.by_root(row.image_root)
        return merge(settings_of(row), await self.images.config(image))

    async def change(self, label: str, container: str, **values: Any) -> None:
        """Set columns of the container in a transaction of their own."""
        await self.database.write(f"containers.{label}", lambda c: rows.change(c, container, **values))

    def let_drain(self, entry: Entry) -> None:
        """The run whose streams *entry* has is over: what is under way still reaches who is attached, however slow."""
        if entry.hub is None:
            return
        hub, entry.hub = entry.hub, None
        self.draining.add(hub)
        task = asyncio.create_task(hub.finish())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _task: self.draining.discard(hub))

    async def finish(self, verb: Coroutine[Any, Any, T]) -> T:
        """Await *verb*; when the caller is cancelled, it goes on to its end."""
        return await asyncio.shield(self.carry_out(verb))

    def carry_out(self, verb: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin *verb*, which goes on to its end; `work` has it until then."""
        task = asyncio.ensure_future(verb)
        self.work.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self.work.discard(task)
        if not task.cancelled():
            task.exception()  # taken: a caller that went away is told nothing


def settings_of(row: ContainerRow) -> Settings:
    """The settings of *row*'s container."""
    return decode(row.config)
