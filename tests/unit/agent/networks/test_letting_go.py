"""What a container that has ended lets go of when a step of that fails."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent import config
from jackstay_agent.containers.settings import NetworkAttachment, Port, Settings
from jackstay_agent.errors import DiskFull, Error, RuntimeFailed
from jackstay_agent.kernel.programs import Completed
from jackstay_agent.metadata import networks as rows
from jackstay_agent.metadata.database import Database
from jackstay_agent.networks import observation, service
from jackstay_agent.networks.plan import Actual
from jackstay_agent.networks.registry import Wanted
from jackstay_agent.networks.service import Networks

ID = "a" * 64


class Jobs:
    """Notes the jobs."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.failing = ""

    async def run(self, job: str, argument: Any, descriptors: Any = ()) -> Any:
        name = job.rpartition(":")[2]
        if name == self.failing:
            raise Error("the kernel refuses")
        self.done.append(name)
        return observation.encode(Actual()) if name == "observe" else None


class Nft:
    """Keeps the last table that it was given; refuses it as often as *failures* says."""

    def __init__(self) -> None:
        self.table = ""
        self.failures = 0

    async def run(self, argv: list[str], *, stdin: bytes = b"", timeout: float = 60.0, cwd: str | None = None) -> Any:
        if argv == ["nft", "-j", "-f", "-"]:
            if self.failures:
                self.failures -= 1
                return Completed(1, b"", b"no buffer space available")
            self.table = stdin.decode()
        return Completed(0, b"", b"")


class Full:
    """A database that has no room for the transactions called `failing`, as often as *failures* says."""

    def __init__(self, real: Database) -> None:
        self._real = real
        self.read = real.read
        self.failures = 0
        self.failing = "networks.disconnect"

    async def write(self, label: str, work: Callable[..., Any]) -> Any:
        if label == self.failing and self.failures:
            self.failures -= 1
            raise DiskFull("no space left")
        return await self._real.write(label, work)


class Host:
    """Networks over a real database, with one container that has published a port."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.jobs, self.nft = Full(database), Jobs(), Nft()
        self.networks = Networks(config.Network(), str(folder), self.database, self.jobs, self.nft)  # type: ignore[arg-type]

    async def start(self) -> None:
        await self.networks.registry.ensure()
        await self.database.write("test", self._create)
        publish = [Port(container_port=80, host_port=0, host_ip="127.0.0.1")]
        attachment = await self.networks.connect(ID, Settings(image="i", name="n", hostname="n"), publish)
        self.port = attachment.ports[0].host_port

    def _create(self, connection: Any) -> None:
        connection.execute("INSERT INTO blobs VALUES ('sha256:1', 1, 1)")
        connection.execute(
            "INSERT INTO images (root, media_type, manifest, image_id, chain_id, created, stored)"
            " VALUES ('sha256:1', '', 'sha256:1', 'sha256:1', '', 0, 0)"
        )
        connection.execute(
            "INSERT INTO containers (id, name, image, image_root, image_id, snapshot, config, state, created)"
            " VALUES (?, 'n', '', 'sha256:1', '', '', '{}', 'running', 0)",
            (ID,),
        )
        settings = Settings(image="i", name="n", hostname="n", networks=(NetworkAttachment(network="bridge"),))
        self.networks.allocate(connection, ID, settings)

    def published(self) -> bool:
        return str(self.port) in self.nft.table

    def held(self) -> bool:
        with socket.socket() as other, contextlib.suppress(OSError):
            other.bind(("127.0.0.1", self.port))
            return False
        return True


@pytest.fixture
async def host(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    monkeypatch.setattr(service, "LINGER", 60)
    made = Host(database, tmp_path)
    await made.start()
    assert made.published()
    assert made.held()
    yield made
    made.networks.close()


async def test_a_full_disk_keeps_neither_the_port_nor_the_rules(host: Host) -> None:
    host.database.failures = 1
    with pytest.raises(DiskFull):
        await host.networks.disconnect(ID)
    assert (host.published(), host.held()) == (False, False)
    assert host.jobs.done[-1] == "disconnect"
    assert len(await host.database.read(lambda c: rows.ports(c, ID))) == 1
    await host.networks.disconnect(ID)
    assert await host.database.read(lambda c: rows.ports(c, ID)) == []
    # Its next run has its rules again.
    publish = [Port(container_port=80, host_port=host.port)]
    await host.networks.connect(ID, Settings(image="i", name="n", hostname="n"), publish)
    assert host.published()


async def test_rules_that_could_not_be_taken_away_go_with_the_next_try(host: Host) -> None:
    host.nft.failures = 1
    with pytest.raises(RuntimeFailed, match="no buffer space"):
        await host.networks.disconnect(ID)
    assert (host.published(), host.held()) == (True, False)
    assert json.loads(host.nft.table)
    await host.networks.disconnect(ID)
    assert not host.published()


async def test_a_place_whose_link_stays_keeps_its_address(host: Host) -> None:
    """Else the next container gets the address of one that still answers for it."""
    host.jobs.failing = "detach"
    with pytest.raises(Error, match="the kernel refuses"):
        await host.networks.membership.leave(ID, "bridge")
    (place,) = await host.database.read(rows.endpoints)
    assert (place.container, place.active) == (ID, True)
    host.jobs.failing = ""
    await host.networks.membership.leave(ID, "bridge")
    assert await host.database.read(rows.endpoints) == []


async def test_a_join_that_fails_leaves_no_place_though_it_cannot_be_undone(host: Host) -> None:
    await host.networks.registry.create(Wanted(name="red"))
    host.database.failing = "networks.joined"
    host.database.failures, host.jobs.failing = 1, "detach"
    with pytest.raises(DiskFull):
        await host.networks.membership.join(ID, "red", NetworkAttachment(network="red"))
    assert len(await host.database.read(rows.endpoints)) == 1


async def test_the_bridge_of_a_removed_network_goes_though_the_rules_cannot(host: Host) -> None:
    await host.networks.registry.create(Wanted(name="red"))
    host.jobs.done.clear()
    host.nft.failures = 1
    with pytest.raises(RuntimeFailed):
        await host.networks.registry.remove("red")
    assert host.jobs.done == ["apply"]
