"""The ``Volumes`` and ``Networks`` services turn messages into calls and values into messages."""

from __future__ import annotations

import json
from typing import Any

from jackstay_agent.metadata.networks import NetworkRow
from jackstay_agent.rpc.networks import NetworksService
from jackstay_agent.rpc.volumes import VolumesService
from jackstay_agent.volumes.service import Volume
from jackstay_proto.v1 import networks_pb2, volumes_pb2

CONTEXT: Any = None
VOLUME = Volume("data", "/state/volumes/data/_data", 2_500_000_000, {"tier": "db"}, False, ("c1",))


class FakeVolumes:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    async def create(self, name: str | None, labels: Any) -> Volume:
        self.calls.append(("create", name, dict(labels)))
        return VOLUME

    async def inspect(self, name: str) -> Volume:
        self.calls.append(("inspect", name))
        return VOLUME

    async def remove(self, name: str, force: bool) -> None:
        self.calls.append(("remove", name, force))

    async def prune(self, all: bool, filters: Any) -> tuple[list[str], int]:
        self.calls.append(("prune", all, list(filters)))
        return ["old"], 4096

    async def list(self, filters: Any) -> list[Volume]:
        self.calls.append(("list", list(filters)))
        return [VOLUME]


async def test_volumes() -> None:
    volumes = FakeVolumes()
    service = VolumesService(volumes)  # type: ignore[arg-type]
    reply = await service.Create(volumes_pb2.CreateVolumeRequest(labels={"tier": "db"}), CONTEXT)
    assert reply.volume == volumes_pb2.Volume(
        name="data", mountpoint="/state/volumes/data/_data", created=2, labels={"tier": "db"}, in_use=True
    )
    assert (await service.Inspect(volumes_pb2.InspectVolumeRequest(name="data"), CONTEXT)).volume == reply.volume
    listed = await service.List(volumes_pb2.ListVolumesRequest(filters=["name=d"]), CONTEXT)
    assert list(listed.volumes) == [reply.volume]
    await service.Remove(volumes_pb2.RemoveVolumeRequest(name="data", force=True), CONTEXT)
    pruned = await service.Prune(volumes_pb2.PruneVolumesRequest(all=True, filters=["label=a"]), CONTEXT)
    assert (list(pruned.removed), pruned.reclaimed) == (["old"], 4096)
    assert volumes.calls == [
        ("create", None, {"tier": "db"}),
        ("inspect", "data"),
        ("list", ["name=d"]),
        ("remove", "data", True),
        ("prune", True, ["label=a"]),
    ]


class FakeNetworks:
    @property
    def registry(self) -> FakeNetworks:
        return self

    async def inspect(self, name: str) -> dict[str, Any]:
        return {"Name": name, "Containers": {}}

    async def list(self, filters: Any) -> list[NetworkRow]:
        assert list(filters) == ["driver=bridge"]
        return [NetworkRow("i" * 64, "bridge", "bridge", "jackstay0", "10.88.0.0/16", "10.88.0.1", 7_900_000_000)]


async def test_networks() -> None:
    service = NetworksService(FakeNetworks(), None)  # type: ignore[arg-type]
    listed = await service.List(networks_pb2.ListNetworksRequest(filters=["driver=bridge"]), CONTEXT)
    assert list(listed.networks) == [
        networks_pb2.NetworkSummary(
            id="i" * 64, name="bridge", driver="bridge", subnet="10.88.0.0/16", gateway="10.88.0.1", created=7
        )
    ]
    inspected = await service.Inspect(networks_pb2.InspectNetworkRequest(network="bridge"), CONTEXT)
    assert json.loads(inspected.document) == {"Name": "bridge", "Containers": {}}
