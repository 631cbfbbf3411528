"""A rich container in Docker and in jackstay, made by the same flags: what both say of it, field by field.

What jackstay has not, has in another type or with another value is written down here, each with the reason.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.interop.jackstay import Jackstay
from tests.interop.originals import Original

NETWORK = ["network", "create", "--subnet", "10.91.0.0/24", "own"]
FLAGS = [
    *("--name", "rich", "--hostname", "box", "-e", "A=1", "-l", "k=v", "-it", "-u", "33:33", "-w", "/tmp"),
    *("-v", "data:/data", "-v", "/usr:/bound:ro", "-v", "/anonymous", "--tmpfs", "/t:size=1m", "--read-only"),
    *("--mount", "type=volume,source=other,target=/other,volume-nocopy", "--mount", "type=tmpfs,target=/m"),
    *("-m", "64m", "--memory-reservation", "32m", "--memory-swap", "96m", "--cpu-shares", "512", "--pids-limit", "50"),
    *("--cpu-period", "50000", "--cpu-quota", "20000", "--cpuset-cpus", "0", "--cpuset-mems", "0"),
    *("--cap-add", "NET_ADMIN", "--cap-drop", "MKNOD", "--security-opt", "no-new-privileges", "--group-add", "5"),
    *("--sysctl", "net.ipv4.ip_forward=1", "--ulimit", "nofile=100:200", "--oom-score-adj", "100", "--shm-size", "5m"),
    *("--restart", "on-failure:3", "--stop-signal", "QUIT", "--stop-timeout", "3", "--ipc", "shareable"),
    *("--health-cmd", "true", "--health-interval", "9s", "--health-retries", "2", "--health-timeout", "3s"),
    *("--dns", "192.0.2.1", "--dns-search", "example.org", "--add-host", "db:192.0.2.7"),
    *("--device", "/dev/full:/dev/brim:r", "--log-opt", "max-size=1m", "--log-opt", "max-file=2"),
    *("--network", "own", "--ip", "10.91.0.7", "--network-alias", "alias", "-p", "18080:80", "-p", "127.0.0.1::53/udp"),
]


LACKING = {
    "GraphDriver.Data": "where layers lie is the storage driver's own affair; null, as of drivers that say nothing",
}
"""Fields that jackstay has not, or has in another type, and why."""

OLD = {
    "HostConfig.KernelMemory": "neither newer Dockers nor kernels have it",
    "HostConfig.KernelMemoryTCP": "neither newer Dockers nor kernels have it",
}
"""The same, of Docker 20."""

OTHER = {
    "HostConfig.Binds": "what -v and --mount ask for is the same to jackstay: what Binds can say is there",
    "HostConfig.Mounts": "as above; and options that nobody gave are an empty object",
    "HostConfig.LogConfig.Type": "conmon writes the log, in a form of its own",
    "HostConfig.MaskedPaths": "of the newest Docker",
    "HostConfig.Runtime": "crun comes before runc",
    "Mounts./data.Mode": "z, which Docker notes of every volume, means nothing without SELinux",
    "Mounts./other.Mode": "z, which Docker notes of every volume, means nothing without SELinux",
}
"""Fields of settings that have another value, and why."""

OLD_OTHER = {
    "HostConfig.CapAdd": "Docker 20 writes capabilities with their prefix",
    "HostConfig.CapDrop": "Docker 20 writes capabilities with their prefix",
}
"""The same, of Docker 20."""

OWN = {"Name", "Source"}
"""Fields of a mount that are of the machine and of the one volume."""


@pytest.fixture
def documents(original: Original, jackstay: Jackstay) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """What Docker says, and what jackstay says, while it runs in both."""
    docker = original.docker
    docker.load(original.archives["made:1"])
    jackstay.load(original.archives["made:1"])
    docker.ask(*NETWORK)
    docker.ask("run", "-d", *FLAGS, "made:1", "sleep", "600")
    jackstay.run(*NETWORK)
    jackstay.run("run", "-d", *FLAGS, "made:1", "sleep", "600")
    (theirs,) = json.loads(docker.ask("inspect", "rich"))
    (ours,) = json.loads(jackstay.run("inspect", "rich"))
    yield theirs, ours
    docker.ask("rm", "-fv", "rich")
    docker.ask("network", "rm", "own")
    docker.ask("volume", "rm", "data", "other")
    docker.empty()
    jackstay.run("rm", "-fv", "rich")
    jackstay.run("network", "rm", "own")


def lacking(theirs: Any, ours: Any, path: str = "") -> set[str]:
    """Where in a document of Docker's jackstay's has nothing, or something of another type."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        missing = {f"{path}{key}" for key in theirs if key not in ours}
        return missing.union(*(lacking(theirs[key], ours[key], f"{path}{key}.") for key in theirs if key in ours))
    if isinstance(theirs, list) and isinstance(ours, list) and theirs and len(theirs) == len(ours):
        return lacking(theirs[0], ours[0], f"{path}0.")
    return set() if kind(theirs) is kind(ours) else {path.rstrip(".")}


def kind(value: Any) -> type:
    """The type in Go: a slice that was never made is null, too."""
    return list if value is None or value == [] else type(value)


def other(theirs: Any, ours: Any, path: str) -> set[str]:
    """Where both say something, but not the same; an empty list is as good as null."""
    if isinstance(theirs, dict) and isinstance(ours, dict) and theirs and ours:
        both = theirs.keys() & ours.keys()
        return set().union(*(other(theirs[key], ours[key], f"{path}.{key}") for key in both))
    return set() if (theirs or None) == (ours or None) else {path}


def by_destination(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The mounts, without what is this machine's or this volume's own."""
    return {
        mount["Destination"]: {key: value for key, value in mount.items() if key not in OWN or mount["Type"] == "bind"}
        for mount in document["Mounts"]
    }


def test_nothing_of_dockers_document_is_lacking(
    documents: tuple[dict[str, Any], dict[str, Any]], original: Original
) -> None:
    theirs, ours = documents
    old = original.docker.version.startswith("20.")
    assert lacking(theirs, ours) == {*LACKING, *(OLD if old else ())}
    for document in documents:
        document["Config"]["Env"].sort()  # Docker has the user's first
    found = other(theirs["HostConfig"], ours["HostConfig"], "HostConfig")
    found |= other(theirs["Config"], ours["Config"], "Config")
    found |= other(by_destination(theirs), by_destination(ours), "Mounts")
    assert found == {*OTHER, *(OLD_OTHER if old else ())}
    assert by_destination(ours).keys() == by_destination(theirs).keys()
    for name in ("Path", "Args", "Name", "RestartCount", "Platform"):
        assert ours[name] == theirs[name]
    states = [
        {key: document["State"][key] for key in ("Status", "Running", "ExitCode", "Error")} for document in documents
    ]
    assert states[0] == states[1]
    place, own = (document["NetworkSettings"]["Networks"]["own"] for document in documents)
    for name in ("IPAMConfig", "IPAddress", "IPPrefixLen", "Gateway", "MacAddress", "Links"):
        assert own[name] == place[name]
