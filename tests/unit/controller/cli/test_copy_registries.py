"""``copy`` from and to registries: ``docker://NAME``."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.controller.cli.http_registry import HttpRegistry

LAYER = b"layer" * 10_000


@pytest.fixture
def registry() -> Iterator[HttpRegistry]:
    """``app:1``; ``multi:1`` for two platforms."""
    with HttpRegistry() as registry:
        registry.put("app", "1", [LAYER, b"top"])
        children = {name: registry.put("multi", "", [LAYER, name.encode()], name) for name in ("amd64", "arm64")}
        registry.put_index("multi", "1", children)
        yield registry


@pytest.fixture
def other() -> Iterator[HttpRegistry]:
    with HttpRegistry() as registry:
        yield registry


def size(registry: HttpRegistry, repository: str) -> int:
    documents = {name: data for name, (_, data) in registry.manifests[repository].items() if ":" in name}
    return sum(map(len, (registry.blobs[repository] | documents).values()))


def planned_and_done(jackstay: Any, *arguments: str) -> tuple[Any, Any]:
    """What a plan says and what then is done: the same."""
    (plan,) = jackstay("--json", "copy", "--plan", *arguments).json
    (done,) = jackstay("--json", "copy", *arguments).json
    assert plan["data"] == [item | {"seconds": None} for item in done["data"]]
    assert done["data"][0]["seconds"] >= 0
    return plan, done


def test_from_one_registry_to_another(jackstay: Any, home: Path, registry: HttpRegistry, other: HttpRegistry) -> None:
    ends = f"docker://{registry.name}/multi:1", f"docker://{other.name}/copies/multi:2"
    _, done = planned_and_done(jackstay, *ends)
    assert (done["host"], done["outcome"]) == (other.name, "ok")
    (item,) = done["data"]
    assert item["image"] == f"{other.name}/copies/multi:2"
    assert item["bytes_sent"] == size(registry, "multi")
    assert item["sources"] == [{"from": registry.name, "via": "relay", "bytes": item["bytes_sent"]}]
    assert other.manifests["copies/multi"]["2"] == registry.manifests["multi"]["1"]
    assert other.blobs["copies/multi"] == registry.blobs["multi"]

    other.asked.clear()
    assert jackstay("copy", *ends).out == f"{other.name}/copies/multi:2: 0B sent, 50.5kB already there\n"
    assert not other.counted("P", "")

    single = f"docker://{other.name}/arm:1"
    assert jackstay("copy", "--platform", "linux/arm64", ends[0], single).code == 0
    assert list(other.manifests["arm"]) == ["1", next(iter(set(other.manifests["arm"]) - {"1"}))]
    assert other.manifests["arm"]["1"][0].endswith("manifest.v1+json")


def test_within_a_registry_nothing_is_sent_that_can_be_mounted(
    jackstay: Any, home: Path, registry: HttpRegistry
) -> None:
    registry.asked.clear()
    _, done = planned_and_done(jackstay, f"docker://{registry.name}/app:1", f"docker://{registry.name}/twin")
    assert registry.blobs["twin"] == registry.blobs["app"]
    assert done["data"][0]["bytes_sent"] == len(registry.manifests["app"]["1"][1])
    assert registry.counted("POST", "mount=") == 3
    assert not registry.counted("GET", "/blobs/")


def test_into_files_and_out_of_them(
    jackstay: Any, home: Path, registry: HttpRegistry, other: HttpRegistry, tmp_path: Path
) -> None:
    source, file, folder = f"docker://{registry.name}/multi:1", tmp_path / "multi.tar", tmp_path / "images"
    _, done = planned_and_done(jackstay, source, f"docker-archive:{file}")
    assert (done["host"], done["data"][0]["bytes_sent"]) == ("local", size(registry, "multi"))
    with tarfile.open(file) as tar:
        assert "manifest.json" in tar.getnames()
        index = json.load(tar.extractfile("index.json"))  # type: ignore[arg-type]
    name = f"{registry.name}/multi:1"
    assert index["manifests"][0]["annotations"]["io.containerd.image.name"] == name
    planned_and_done(jackstay, source, f"oci:{folder}")
    again = jackstay("--json", "copy", source, f"oci:{folder}").json[0]["data"][0]
    assert (again["bytes_sent"], again["bytes_spared"]) == (0, size(registry, "multi"))
    assert jackstay("copy", source, f"oci-archive:{tmp_path}/arm.tar", "--platform", "arm64").code == 0

    for end, repository in ((f"docker-archive:{file}", "one"), (f"oci:{folder}", "two")):
        planned_and_done(jackstay, end, f"docker://{other.name}/{repository}:1")
        assert other.manifests[repository]["1"] == registry.manifests["multi"]["1"]
        assert other.blobs[repository] == registry.blobs["multi"]


def test_onto_hosts_through_this_machine(jackstay: Any, home: Path, registry: HttpRegistry) -> None:
    source = f"docker://{registry.name}/app:1"
    registry.asked.clear()
    plans = jackstay("--json", "copy", "--plan", "--via", "relay", source, "web[1-2]::").json
    elements = jackstay("--json", "copy", "--via", "relay", source, "web[1-2]::").json
    for plan, element in zip(plans, elements, strict=True):
        (foreseen,), (item,) = plan["data"], element["data"]
        assert foreseen["bytes_sent"] == item["bytes_sent"] == size(registry, "app")
        assert item["sources"] == [{"from": registry.name, "via": "relay", "bytes": item["bytes_sent"]}]
        assert item["image"] == f"{registry.name}/app:1"
    assert registry.counted("GET", "/blobs/") == 3  # each blob once, for both hosts
    assert jackstay("-H", "web2", "images", "-q").out
    # Another name is one that the registry does not know: this machine asks for it.
    assert jackstay("copy", source, "web3::mine:2").code == 0
    assert jackstay("-H", "web3", "images", "--format", "{{.Repository}}:{{.Tag}}").out == "mine:2\n"


def test_a_plan_of_hosts_that_ask_themselves(jackstay: Any, home: Path, registry: HttpRegistry) -> None:
    (plan,) = jackstay("--json", "copy", "--plan", f"docker://{registry.name}/app:1", "web1::").json
    (share,) = plan["data"][0]["sources"]
    assert share == {"from": registry.name, "via": "registry", "bytes": size(registry, "app")}


def test_from_a_host_through_this_machine(jackstay: Any, home: Path, registry: HttpRegistry, archive: Path) -> None:
    assert jackstay("copy", f"docker-archive:{archive}", "web1::").code == 0
    end = f"docker://{registry.name}/pushed:1"
    _, done = planned_and_done(jackstay, "--via", "relay", "web1::app:1", end)
    assert done["data"][0]["sources"][0] == {
        "from": "web1",
        "via": "relay",
        "bytes": size(registry, "pushed"),
    }
    assert jackstay("copy", "--via", "relay", "down::app:1", end).code == 4
    result = jackstay("copy", "--via", "relay", "web1::none", end)
    assert (result.code, result.err) == (1, f"Error: {registry.name}: web1: no image none\n")


def test_what_is_refused(jackstay: Any, home: Path, registry: HttpRegistry, archive: Path) -> None:
    source = f"docker://{registry.name}/app:1"
    for arguments, words in (
        ((source, "web1::", "--image", "x"), "named in the endpoint"),
        ((source, "web1::", "--all"), "named in the endpoint"),
        ((source, source, "web1::"), "only destination"),
        (("docker://UPPER", "web1::"), "must be lower case"),
        ((source, "web1::", "--via", "air"), "--via 'air'"),
        ((f"docker-archive:{archive}", "web1::", "--via", "registry"), "no end is a registry"),
        ((source, "web1::mine:1", "--via", "registry"), "cannot call it mine:1"),
    ):
        result = jackstay("copy", *arguments)
        assert result.code == 2, arguments
        assert words in result.err
    result = jackstay("copy", f"docker://{registry.name}/none:1", f"oci:{archive.parent}/none")
    assert result.code == 1
    assert f"{registry.name} has no manifest none:1" in result.err
    assert not (archive.parent / "none").exists()
    result = jackstay("copy", "--platform", "s390x", f"docker://{registry.name}/multi:1", f"docker://{registry.name}/x")
    assert "it is for linux/amd64, linux/arm64" in result.err
    digest = next(name for name in registry.manifests["app"] if ":" in name)
    result = jackstay("copy", f"docker://{registry.name}/multi:1", f"docker://{registry.name}/x@{digest}")
    assert "cannot be pushed" in result.err
