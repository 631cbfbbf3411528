"""Pushes from an agent in memory: what it was asked, who it was told we are, what came of it."""

from __future__ import annotations

import json
import runpy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jackstay.client import connect
from jackstay.copying.progress import CopyProgress
from jackstay.errors import InvalidReference, UsageError
from jackstay.fleet import FleetResult
from jackstay.inventory import Host, Inventory
from jackstay.library import Fleet
from jackstay.library.pushing import destination_of
from jackstay_oci.digest import Digest
from tests.unit.controller.library.test_pulling import Known, descriptor

UNIT = Path(__file__).parent.parent
NAME = "registry.example/app:1"


class Pushes:
    """One agent that has an image under two tags, and its registry."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fake = runpy.run_path(str(UNIT / "fake_agent.py"), run_name="fake_agent")
        self.registry = self.fake["FakeRegistry"]()
        self.known = Known()
        self.progress = CopyProgress()
        layer, config = b"layer" * 100_000, b'{"architecture":"amd64","os":"linux"}'
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("config.v1+json", config),
            "layers": [descriptor("layer.v1.tar", layer)],
        }
        root = json.dumps(manifest).encode()
        self.root = str(Digest.of(root))
        self.host = self.fake["FakeHost"]("web1", registry=self.registry)
        self.host.blobs = {str(Digest.of(data)): data for data in (layer, config, root)}
        self.host.images = {
            NAME: self.root,
            "registry.example/app:2": self.root,
            "registry.example/application:1": self.root,
        }
        self.size = sum(map(len, self.host.blobs.values()))

    async def push(self, name: str, destination: str = "", **options: Any) -> FleetResult[list[dict[str, Any]]]:
        async def connector(host: Host) -> Any:
            return await connect(Host("web1", "localhost", socket=str(self.folder / "web1.sock"), kind="local"))

        fleet = Fleet(Inventory({"web1": Host("web1", "192.0.2.1")}, {}), connector=connector)
        images = fleet.select("web1").images
        return await images.push(name, destination, authorizer=self.known, progress=self.progress, **options)


@pytest.fixture
async def pushes(tmp_path: Path) -> AsyncIterator[Pushes]:
    made = Pushes(tmp_path)
    server = made.fake["server_of"](made.host)
    server.add_insecure_port(f"unix:{tmp_path / 'web1.sock'}")
    await server.start()
    yield made
    await server.stop(0)


async def test_an_image_is_pushed_under_its_name_and_nothing_the_second_time(pushes: Pushes) -> None:
    (first,) = (await pushes.push(NAME)).outcomes
    assert first.ok, first.error
    (item,) = first.value or ()
    seconds = item.pop("seconds")
    assert seconds >= 0
    assert item.pop("warnings") == []
    assert item == {"image": NAME, "digest": pushes.root, "bytes_sent": pushes.size, "bytes_spared": 7}
    assert pushes.registry.pushes == [(NAME, NAME, "", "gzip")]
    assert pushes.registry.asked == [("web1", "Bearer t0ken")]
    assert (pushes.progress.current, pushes.progress.total) == (pushes.size, pushes.size)
    (again,) = (await pushes.push(NAME)).outcomes
    assert again.value is not None
    assert again.value[0]["bytes_sent"] == 0


async def test_a_destination_and_the_options_reach_the_agent(pushes: Pushes) -> None:
    await pushes.push(NAME, "registry.example/team/app", platform="linux/arm64", compression="zstd")
    assert pushes.registry.pushes == [(NAME, "registry.example/team/app:latest", "linux/arm64", "zstd")]


async def test_all_tags_of_a_repository_and_of_no_other(pushes: Pushes) -> None:
    (outcome,) = (await pushes.push("registry.example/app", all_tags=True)).outcomes
    assert [item["image"] for item in outcome.value or ()] == [NAME, "registry.example/app:2"]
    assert [destination for _, destination, _, _ in pushes.registry.pushes] == [NAME, "registry.example/app:2"]


async def test_a_repository_that_is_not_there_is_told(pushes: Pushes) -> None:
    (outcome,) = (await pushes.push("registry.example/none", all_tags=True)).outcomes
    assert outcome.error is not None
    assert outcome.error.message == "No such image: registry.example/none"


async def test_other_repositories_may_be_read_for_mounts_but_not_written(pushes: Pushes) -> None:
    pushes.registry.wanted = ["repository:app:pull,push repository:base:pull"]
    (outcome,) = (await pushes.push(NAME)).outcomes
    assert outcome.ok, outcome.error
    pushes.registry.wanted = ["repository:app:pull,push repository:base:pull,push"]
    (outcome,) = (await pushes.push(NAME)).outcomes
    assert outcome.error is not None
    assert "asked for more than it needs" in outcome.error.message
    assert len(pushes.known.wanted) == 1


@pytest.mark.parametrize(
    ("name", "destination", "means"),
    [
        ("app", "", "docker.io/library/app:latest"),
        ("app:1", "registry.example:5000/x", "registry.example:5000/x:latest"),
        ("0123abcd", "registry.example/app:2", "registry.example/app:2"),
        (f"r.example/app:1@sha256:{'0' * 64}", "", f"r.example/app@sha256:{'0' * 64}"),
    ],
)
def test_where_a_push_goes(name: str, destination: str, means: str) -> None:
    assert str(destination_of(name, destination)) == means


def test_what_is_no_destination_is_refused() -> None:
    with pytest.raises(InvalidReference, match="reads as a digest"):
        destination_of("sha256:0123")
    for name, destination in (("app:1", ""), ("app", "other"), (f"app@sha256:{'0' * 64}", "")):
        with pytest.raises(UsageError, match="--all-tags"):
            destination_of(name, destination, all_tags=True)
