"""The library against remembered agents: what a program sees that imports ``Fleet``."""

from __future__ import annotations

import runpy
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import jackstay
from jackstay.client import connect, messages
from jackstay.errors import AgentError, UsageError
from jackstay.fleet import FleetOptions
from jackstay.inventory import Host, Inventory
from jackstay.library import Fleet

UNIT = Path(__file__).parent.parent


@pytest.fixture
async def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    """A fleet of two hosts that live in this event loop."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    fake = runpy.run_path(str(UNIT / "fake_agent.py"), run_name="fake_agent")
    servers = []
    for name in ("web1", "web2"):
        server = fake["server_of"](fake["FakeHost"](name))
        server.add_insecure_port(f"unix:{tmp_path / name}.sock")
        await server.start()
        servers.append(server)

    def connector(host: Host) -> Any:
        return connect(Host(host.name, "localhost", socket=str(tmp_path / f"{host.name}.sock"), kind="local"))

    hosts = {name: Host(name, "192.0.2.1") for name in ("web1", "web2", "down")}
    yield Fleet(Inventory(hosts, {"web": "web[1-2]"}), connector=connector)
    for server in servers:
        await server.stop(0)


@pytest.fixture
def archive(tmp_path: Path) -> str:
    made = runpy.run_path(str(UNIT / "oci_archive.py"))["make_archive"](
        tmp_path / "a.tar", {"app:1": b"layer" * 50_000}
    )
    return f"oci-archive:{made}"


async def test_copy_run_list_and_logs(fleet: Fleet, archive: str) -> None:
    hosts = fleet.select("@web")
    assert hosts.names == ("web1", "web2")
    copied = await hosts.images.copy(archive)
    assert [outcome.value.done.bytes_sent > 250_000 for outcome in copied.outcomes if outcome.value] == [True, True]
    request = messages.CreateContainerRequest(image="app:1", name="srv", command=["serve"])
    started = await hosts.containers.run(request)
    assert all(outcome.ok for outcome in started.outcomes)
    listed = await hosts.containers.list()
    assert [[item.name for item in outcome.value or ()] for outcome in listed.outcomes] == [["srv"], ["srv"]]
    lines = [(host, entry.text) async for host, entry in hosts.containers.logs("srv")]
    assert sorted(line for line in lines if line[1].startswith(b"from")) == [
        ("web1", b"from web1\n"),
        ("web2", b"from web2\n"),
    ]


async def test_events_of_several_hosts_as_one_stream(fleet: Fleet) -> None:
    hosts = fleet.select("@web")
    past = [item async for item in hosts.system.events(since_ns=1, until_ns=2)]
    assert sorted((host, event.action) for host, event in past) == [
        (host, action) for host in ("web1", "web2") for action in ("prune", "start")
    ]
    fleet.options = FleetOptions(fanout=1, serial="1")  # which keep no host waiting for one that never ends
    live = hosts.system.events(since_ns=1, filters=["type=container"])
    told = [await anext(live) for _ in range(4)]
    assert {host for host, _event in told} == {"web1", "web2"}
    await live.aclose()


async def test_copy_between_hosts_takes_the_same_way(fleet: Fleet, archive: str) -> None:
    await fleet.select("web1").images.copy(archive)
    first, again = [await fleet.select("web2").images.copy("web1::app:1") for _ in range(2)]
    assert first.outcomes[0].value
    assert again.outcomes[0].value
    assert first.outcomes[0].value.done.bytes_sent > 250_000
    assert sum(first.outcomes[0].value.wire.values()) > 250_000
    assert (again.outcomes[0].value.done.bytes_sent, again.outcomes[0].value.wire) == (0, {})


async def test_a_source_is_one_host_and_closed_when_it_fails(fleet: Fleet) -> None:
    with pytest.raises(UsageError, match="one host"):
        await fleet.select("web1").images.copy("@web::app:1")
    with pytest.raises(AgentError, match="no image"):
        await fleet.select("web1").images.copy("web2::app:1")


async def test_going_on_after_one_name_failed(fleet: Fleet, archive: str) -> None:
    hosts = fleet.select("web1")
    await hosts.images.copy(archive)
    await hosts.containers.create(messages.CreateContainerRequest(image="app:1", name="a"))
    (outcome,) = (await hosts.containers.remove(["x", "a", "y"])).outcomes
    assert outcome.outcome == "failed"
    assert outcome.value == ["a"]
    assert outcome.error is not None
    assert outcome.error.message == "no container x; no container y"
    (outcome,) = (await hosts.containers.remove([f"x{number}" for number in range(25)])).outcomes
    assert outcome.error is not None
    assert outcome.error.message.endswith("; no container x9; and 15 more failed")


async def test_logs_end_with_the_error_of_a_host(fleet: Fleet) -> None:
    with pytest.raises(AgentError, match="web1: no container nothing"):
        _ = [entry async for entry in fleet.select("web1").containers.logs("nothing")]


async def test_logs_can_be_left_early(fleet: Fleet, archive: str) -> None:
    hosts = fleet.select("@web")
    await hosts.images.copy(archive)
    await hosts.containers.run(messages.CreateContainerRequest(image="app:1", name="srv"))
    logs = hosts.containers.logs("srv")
    await anext(logs)
    await logs.aclose()  # type: ignore[attr-defined]  # it is a generator


async def test_an_unreachable_host_is_an_outcome(fleet: Fleet) -> None:
    result = await fleet.select("web1", "down").system.version()
    outcomes = {outcome.host: outcome.outcome for outcome in result.outcomes}
    assert outcomes == {"web1": "ok", "down": "unreachable"}


async def test_another_hosts_images_stay_private(fleet: Fleet, archive: str) -> None:
    """A destination may only read blobs of the images that are copied, whatever it asks for."""
    from jackstay.errors import NotFound

    await fleet.select("web1").images.copy(archive)
    async with fleet.source("web1::app:1") as (source, named):
        with pytest.raises(NotFound, match="belongs to no image"):
            _ = [piece async for piece in source.read("sha256:" + "0" * 64, 0, 10)]
        (image,) = await source.images(named)
        pieces = [piece async for piece in source.read(image.root.digest, 0, image.root.size)]
        assert len(b"".join(pieces)) == image.root.size


def test_an_inventory_that_is_named_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("JACKSTAY_INVENTORY", raising=False)
    assert Fleet.open().inventory.hosts == {}
    with pytest.raises(UsageError, match="mistyped"):
        Fleet.open(tmp_path / "mistyped.toml")
    monkeypatch.setenv("JACKSTAY_INVENTORY", "mistyped.toml")
    with pytest.raises(UsageError, match="mistyped"):
        Fleet.open()


def test_the_package_imports_nothing_until_it_is_asked() -> None:
    assert jackstay.Fleet is Fleet
    with pytest.raises(AttributeError):
        _ = jackstay.Nothing  # type: ignore[attr-defined]
    assert "jackstay.library" in sys.modules
