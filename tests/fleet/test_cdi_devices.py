"""``--device vendor.com/class=name`` and ``--gpus``, with descriptions that the test writes on the host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data

pytestmark = pytest.mark.lab


def description(kind: str, hook: Path) -> dict[str, object]:
    def node(path: str) -> dict[str, object]:
        return {"deviceNodes": [{"path": path, "hostPath": "/dev/full", "permissions": "rw"}]}

    return {
        "cdiVersion": "0.6.0",
        "kind": kind,
        "devices": [
            {"name": "0", "containerEdits": node("/dev/brim0")},
            {"name": "1", "containerEdits": node("/dev/brim1")},
            {"name": "all", "containerEdits": node("/dev/brims")},
        ],
        "containerEdits": {
            "env": ["VENDOR=seen"],
            "mounts": [{"hostPath": str(hook.parent), "containerPath": "/vendor", "options": ["ro"]}],
            "hooks": [{"hookName": "createRuntime", "path": str(hook), "args": ["hook", "called"]}],
        },
    }


@pytest.fixture
def host(lab: Lab, tmp_path: Path) -> Iterator[Host]:
    """web1, where things are described; a hook writes down that it ran."""
    host = lab.hosts["web1"]
    hook = tmp_path / "hook"
    # It reads what it is told, or crun may find nobody to tell.
    hook.write_text(f"#!/bin/sh\ncat >/dev/null\necho $1 >>{tmp_path}/ran\n")
    hook.chmod(0o755)
    folder = host.path("/run/cdi")
    folder.mkdir(mode=0o755)
    for name, kind in (("vendor", "example.org/thing"), ("nvidia", "nvidia.com/gpu")):
        (folder / f"{name}.json").write_text(json.dumps(description(kind, hook)))
    yield host
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def test_devices_that_the_host_describes(host: Host, laptop: Laptop, base_archive: Path, tmp_path: Path) -> None:
    laptop.environment |= {"JACKSTAY_HOST": "web1"}
    laptop.ok("load", "-i", base_archive)

    def inside(*flags: str) -> list[str]:
        script = "cd /dev; for at in brim*; do echo x 2>&- >$at || echo $at is full; done; echo $VENDOR; ls /vendor"
        return laptop.ok("run", "--rm", *flags, "base:1", "sh", "-c", script).lines

    both = ["--device", "example.org/thing=1", "--device", "example.org/thing=0"]
    assert inside(*both) == ["brim0 is full", "brim1 is full", "seen", "hook", "ran"]
    assert (tmp_path / "ran").read_text() == "called\n"
    assert inside("--gpus", "1") == ["brim0 is full", "seen", "hook", "ran"]
    assert inside("--gpus", "device=1")[0] == "brim1 is full"
    assert inside("--gpus", "all", "--device", "/dev/full:/dev/brimful")[:2] == ["brimful is full", "brims is full"]

    laptop.ok("create", "--name", "has", *both, "base:1")
    (request,) = data(laptop.ok("--json", "inspect", "has"))[0]["HostConfig"]["DeviceRequests"]
    assert (request["Driver"], request["DeviceIDs"]) == ("cdi", ["example.org/thing=1", "example.org/thing=0"])

    told = laptop.run("run", "--rm", "--gpus", "3", "base:1", "true").ended(125).stderr
    assert "unresolvable CDI devices nvidia.com/gpu=2" in told
    (host.path("/run/cdi") / "vendor.json").chmod(0o666)
    told = laptop.run("start", "has").ended(1).stderr
    assert "unresolvable CDI devices example.org/thing=1, example.org/thing=0" in told
    assert "others may write to it" in told
