"""Pulls over hosts with agents in memory: who was asked, who was given what, and how each host ended."""

from __future__ import annotations

import json
import runpy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jackstay.client import connect, messages
from jackstay.errors import InvalidReference, Unreachable, UsageError
from jackstay.fleet import FleetOptions, FleetResult
from jackstay.inventory import Host, Inventory
from jackstay.library import Fleet, Hosts, pulling
from jackstay_oci.digest import Digest
from jackstay_oci.errors import Unauthorized
from jackstay_oci.registry.authorizing import Authorization, AuthorizationWanted

UNIT = Path(__file__).parent.parent
NAME = "registry.example/app:1"


class Known:
    """An authorizer; notes what it was asked."""

    def __init__(self) -> None:
        self.wanted: list[AuthorizationWanted] = []
        self.refusal: Unauthorized | None = None

    async def authorize(self, wanted: AuthorizationWanted) -> Authorization:
        self.wanted.append(wanted)
        if self.refusal is not None:
            raise self.refusal
        return Authorization("Bearer t0ken", 60)


class Agents:
    """Three agents and the registry that they reach; "down" is nobody."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fake = runpy.run_path(str(UNIT / "fake_agent.py"), run_name="fake_agent")
        self.registry = self.fake["FakeRegistry"]()
        self.hosts = {name: self.fake["FakeHost"](name, registry=self.registry) for name in ("web1", "web2", "web3")}
        self.known = Known()
        layer, config = b"layer" * 100_000, b'{"architecture":"amd64","os":"linux"}'
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("config.v1+json", config),
            "layers": [descriptor("layer.v1.tar", layer)],
        }
        self.root = json.dumps(manifest).encode()
        self.registry.blobs = {str(Digest.of(data)): data for data in (layer, config, self.root)}
        self.registry.images = {NAME: str(Digest.of(self.root))}
        self.size = sum(map(len, self.registry.blobs.values()))

    def connect(self, host: Host) -> Any:
        if host.name == "down":
            raise Unreachable("down cannot be reached", kind="refused")
        return connect(Host(host.name, "localhost", socket=str(self.folder / f"{host.name}.sock"), kind="local"))

    async def pull(self, *sets: str, names: tuple[str, ...] = (NAME,), **options: Any) -> FleetResult[list[Any]]:
        return await self.select(*sets, **options).images.pull(names, authorizer=self.known)

    def select(self, *sets: str, **options: Any) -> Hosts:
        async def connector(host: Host) -> Any:
            return await self.connect(host)

        inventory = Inventory({name: Host(name, "192.0.2.1") for name in (*self.hosts, "down")}, {})
        fleet = Fleet(inventory, FleetOptions(**options), connector=connector)
        return fleet.select(*(sets or ("web[1-3]",)))

    @property
    def asked(self) -> list[str]:
        return [host for host, _ in self.registry.asked]


def descriptor(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": str(Digest.of(data)), "size": len(data)}


@pytest.fixture
async def agents(tmp_path: Path) -> AsyncIterator[Agents]:
    made = Agents(tmp_path)
    servers = []
    for name, host in made.hosts.items():
        server = made.fake["server_of"](host)
        server.add_insecure_port(f"unix:{tmp_path / name}.sock")
        await server.start()
        servers.append(server)
    yield made
    for server in servers:
        await server.stop(0)


def outcomes(result: FleetResult[Any]) -> dict[str, str]:
    return {one.host: one.error.kind if one.error else one.outcome for one in result.outcomes}


async def test_one_host_asks_and_the_others_copy_from_it(agents: Agents) -> None:
    result = await agents.pull()
    assert outcomes(result) == {"web1": "ok", "web2": "ok", "web3": "ok"}
    (first,) = agents.asked
    assert agents.registry.asked == [(first, "Bearer t0ken")]
    assert [wanted.challenge.scopes for wanted in agents.known.wanted] == [("repository:app:pull",)]
    for outcome in result.outcomes:
        (item,) = outcome.value or ()
        source = (
            {"from": "registry.example", "via": "registry"}
            if outcome.host == first
            else {"from": first, "via": "relay"}
        )
        assert item["sources"] == [{**source, "bytes": agents.size}]
        assert (item["image"], item["digest"], item["changed"]) == (NAME, str(Digest.of(agents.root)), True)
        assert (item["bytes_sent"], item["bytes_spared"]) == (agents.size, 0)
        assert agents.hosts[outcome.host].images == {NAME: str(Digest.of(agents.root))}
    again = await agents.pull()
    assert len(agents.asked) == 2
    items = [item for outcome in again.outcomes for item in outcome.value or ()]
    assert [(item["bytes_sent"], item["sources"], item["changed"]) for item in items] == [(0, [], False)] * 3


async def test_nobody_copies_from_a_host_that_has_it_as_it_was_before_it_was_pushed(agents: Agents) -> None:
    """Its layers are not compressed, and its digest is not the registry's."""
    before = agents.root.replace(b"{", b'{"annotations":{"a":"b"},', 1)
    first, digest = agents.hosts["web1"], str(Digest.of(agents.root))
    first.blobs[str(Digest.of(before))] = before
    first.images[f"registry.example/app@{digest}"] = str(Digest.of(before))
    result = await agents.pull(fanout=1)
    assert set(outcomes(result).values()) == {"ok"}
    assert agents.asked == ["web1", "web2"]
    assert {host.images[NAME] for host in agents.hosts.values()} == {digest}


@pytest.mark.parametrize("options", [{"fanout": 1}, {"serial": "1"}, {"fanout": 2}])
async def test_in_turns_too_the_registry_is_asked_once(agents: Agents, options: dict[str, Any]) -> None:
    assert set(outcomes(await agents.pull(**options)).values()) == {"ok"}
    assert len(agents.asked) == 1


async def test_an_unreachable_host_holds_nobody_up(agents: Agents) -> None:
    result = await agents.pull("web[1-3]", "down")
    assert outcomes(result) == {"web1": "ok", "web2": "ok", "web3": "ok", "down": "REFUSED"}


async def test_after_a_full_disk_the_next_asks(agents: Agents) -> None:
    for name in ("web1", "web2"):
        agents.hosts[name].full = True
    result = await agents.pull(fanout=1)
    assert outcomes(result) == {"web1": "DISK_FULL", "web2": "DISK_FULL", "web3": "ok"}
    assert agents.asked == ["web1", "web2", "web3"]


async def test_hosts_without_a_way_out_get_it_from_the_one_that_has(agents: Agents) -> None:
    for name in ("web1", "web2"):
        agents.hosts[name].registry = None
    result = await agents.pull()
    assert set(outcomes(result).values()) == {"ok"}
    assert agents.asked == ["web3"]
    assert [item["sources"][0]["from"] for one in result.outcomes[:2] for item in one.value or ()] == ["web3"] * 2


@pytest.mark.parametrize("reason", ["UNAUTHORIZED", "NOT_FOUND", "RATE_LIMITED"])
async def test_what_the_registry_says_is_told_of_all_and_nobody_asks_again(agents: Agents, reason: str) -> None:
    agents.registry.refusal = (reason, "registry.example says no")
    result = await agents.pull()
    assert set(outcomes(result).values()) == {reason}
    assert {one.error.message for one in result.outcomes if one.error} == {"registry.example says no"}
    assert len(agents.asked) == 1


async def test_a_refused_password_reaches_the_agent_as_what_it_is(agents: Agents) -> None:
    agents.known.refusal = Unauthorized("registry.example refuses the password")
    await agents.pull("web1")
    assert agents.registry.asked == [("web1", "")]


async def test_several_names_go_on_after_one_fails(agents: Agents) -> None:
    agents.registry.images["registry.example/app:2"] = agents.registry.images[NAME]
    result = await agents.pull(names=(NAME, "registry.example/app:2"))
    assert set(outcomes(result).values()) == {"ok"}
    assert len(agents.asked) == 2
    with pytest.raises(InvalidReference):
        await agents.pull(names=(NAME, "Bad Name"))
    assert len(agents.asked) == 2


class HereSource:
    """What this machine gives of the registry."""

    name, via = "registry.example", "relay"

    def __init__(self, agents: Agents) -> None:
        self.agents = agents
        self.reads: list[str] = []
        self.closed = 0

    async def images(self, wanted: Any = (), *, all: bool = False) -> Any:
        from jackstay.copying.sources import Blob, SourceImage

        blobs = tuple(Blob(digest, len(data)) for digest, data in self.agents.registry.blobs.items())
        media_type = "application/vnd.oci.image.manifest.v1+json"
        root = Blob(str(Digest.of(self.agents.root)), len(self.agents.root), media_type)
        return [SourceImage(root, (), blobs, event="pull")]

    async def read(self, digest: str, offset: int, length: int) -> AsyncIterator[bytes]:
        self.reads.append(digest)
        yield self.agents.registry.blobs[digest][offset : offset + length]

    async def close(self) -> None:
        self.closed += 1


async def test_when_no_host_has_a_way_out_this_machine_asks_once_for_all(
    agents: Agents, monkeypatch: pytest.MonkeyPatch
) -> None:
    for host in agents.hosts.values():
        host.registry = None
    opened: list[HereSource] = []

    async def here(self: pulling.Pulling, key: Any) -> Any:
        opened.append(HereSource(agents))
        return await self._first(opened[-1], key[0], key)

    monkeypatch.setattr(pulling.Pulling, "_here", here)
    result = await agents.pull()
    assert set(outcomes(result).values()) == {"ok"}
    (source,) = opened
    assert len(source.reads) == len(set(source.reads)) == 3
    assert source.closed == 1
    assert [item["sources"][0] for one in result.outcomes for item in one.value or ()] == [
        {"from": "registry.example", "via": "relay", "bytes": agents.size}
    ] * 3


async def test_when_nobody_reaches_it_each_says_so(agents: Agents, monkeypatch: pytest.MonkeyPatch) -> None:
    for host in agents.hosts.values():
        host.registry = None

    async def here(self: pulling.Pulling, key: Any) -> Any:
        raise Unreachable("not from here", kind="name")

    monkeypatch.setattr(pulling.Pulling, "_here", here)
    result = await agents.pull()
    assert set(outcomes(result).values()) == {"REGISTRY_FAILED"}


async def test_containers_are_made_of_images_that_are_pulled(agents: Agents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(agents.folder))
    request = messages.CreateContainerRequest(image=NAME)
    never = await agents.select("web1").containers.create(request, pull="never")
    assert [outcome.error.kind for outcome in never.outcomes if outcome.error] == ["NOT_FOUND"]
    assert agents.asked == []
    ran = await agents.select().containers.run(request)
    assert [outcome.outcome for outcome in ran.outcomes] == ["ok"] * 3
    assert len(agents.asked) == 1
    made = await agents.select().containers.create(request)
    assert [outcome.outcome for outcome in made.outcomes] == ["ok"] * 3
    assert len(agents.asked) == 1
    await agents.select("web1").containers.create(request, pull="always")
    assert len(agents.asked) == 2
    with pytest.raises(UsageError, match="no such policy"):
        await agents.select().containers.create(request, pull="sometimes")
