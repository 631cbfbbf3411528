"""The facts of the host that the tests run on, against other ways to ask for them."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
from pathlib import Path

import pytest

from jackstay_agent.containers import capabilities, host_facts, rlimits


def test_this_host() -> None:
    facts = host_facts.read()
    assert facts.machine == os.uname().machine
    assert facts.cpus >= os.sched_getaffinity(0)
    assert facts.cgroup_v2 == (subprocess.check_output(["stat", "-fc", "%T", "/sys/fs/cgroup"]) == b"cgroup2fs\n")
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    assert facts.capabilities == capabilities.from_mask(int(status["CapBnd"], 16))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert facts.rlimits["RLIMIT_NOFILE"] == hard
    assert set(facts.rlimits) == {f"RLIMIT_{name.upper()}" for name in rlimits.NUMBERS}
    assert facts.init == "" or os.access(facts.init, os.X_OK)


@pytest.mark.parametrize("name", ["nofile", "core", "stack", "memlock", "rtprio"])
def test_numbers_of_rlimits_are_the_kernels(name: str) -> None:
    assert rlimits.NUMBERS[name] == getattr(resource, f"RLIMIT_{name.upper()}")


def test_devices_are_what_the_nodes_say_and_leave_out_what_a_container_has_of_its_own() -> None:
    devices = {device.path: device for device in host_facts.read().devices}
    null = devices["/dev/null"]
    assert (null.type, null.major, null.minor) == ("c", 1, 3)
    assert not {"/dev/ptmx", "/dev/console"} & devices.keys()
    assert not [path for path in devices if path.startswith(("/dev/pts/", "/dev/shm/"))]
    for path, device in devices.items():
        status = os.stat(path)
        assert device.mode == stat.S_IMODE(status.st_mode)


def test_what_cannot_be_read_is_absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert host_facts._text(str(tmp_path / "gone")) == ""
    assert list(host_facts._devices(str(tmp_path / "gone"))) == []
