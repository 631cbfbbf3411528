"""What a container shares with the host or with another container, seen from inside and from the host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.conftest import settled
from tests.lab.emptying import empty
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def web1(shared_lab: Lab, base_archive: Path) -> Iterator[Laptop]:
    """A laptop whose commands go to web1, which has ``base:1``."""
    laptop = Laptop(shared_lab)
    laptop.environment |= {"JACKSTAY_HOST": "web1"}
    laptop.ok("load", "-i", base_archive)
    yield laptop
    host = shared_lab.hosts["web1"]
    empty(host)
    assert settled(host) == []


@pytest.fixture
def host(shared_lab: Lab) -> Host:
    """The host itself."""
    return shared_lab.hosts["web1"]


def namespace(web1: Laptop, kind: str, *flags: str) -> str:
    return web1.ok("run", "--rm", *flags, "base:1", "readlink", f"/proc/self/ns/{kind}").stdout


def test_cgroup_namespace(web1: Laptop, host: Host) -> None:
    of_host = host.exec(["readlink", "/proc/self/ns/cgroup"]).stdout
    assert namespace(web1, "cgroup", "--cgroupns", "host") == of_host
    private = namespace(web1, "cgroup", "--cgroupns", "private")
    assert private.startswith("cgroup:[")
    assert private != of_host
    ran = web1.ok("run", "--rm", "--cgroupns", "private", "base:1", "cat", "/proc/self/cgroup").lines
    assert not any("jackstay" in line for line in ran)  # the path of its own cgroup is the root to it
    refused = web1.run("run", "--rm", "--cgroupns", "mine", "base:1", "true").ended(125)
    assert "--cgroupns: invalid mode 'mine'" in refused.stderr


def test_processes_of_another_container(web1: Laptop, host: Host) -> None:
    web1.ok("run", "-d", "--name", "seen", "base:1", "sleep", "45671")
    assert "sleep 45671" in web1.ok("run", "--rm", "--pid", "container:seen", "base:1", "ps").stdout
    web1.ok("run", "-d", "--name", "sees", "--pid", "container:seen", "base:1", "sh", "-c", "sleep 45672 & sleep 45673")
    seen = data(web1.ok("--json", "inspect", "seen"))[0]["Id"]
    assert data(web1.ok("--json", "inspect", "sees"))[0]["HostConfig"]["PidMode"] == f"container:{seen}"
    web1.ok("rm", "-f", "sees")
    assert host.exec(["pgrep", "-f", "^sleep 4567[23]"]).returncode == 1  # the other's first process took none along
    assert host.exec(["pgrep", "-f", "^sleep 45671"]).returncode == 0

    web1.ok("run", "-d", "--name", "sees", "--pid", "container:seen", "base:1", "sleep", "45674")
    web1.ok("rm", "-f", "seen")
    web1.run("wait", "sees").ended(137)  # the kernel ends all of a process namespace with its first process
    told = web1.run("start", "sees").ended(1).stderr
    assert f"cannot join PID of container {seen}: it is gone" in told
    web1.ok("rm", "sees")


def test_memory_of_another_container(web1: Laptop) -> None:
    keep = "echo shared >/dev/shm/told; sleep 60"
    web1.ok("run", "-d", "--name", "gives", "--ipc", "shareable", "--shm-size", "3m", "base:1", "sh", "-c", keep)
    look = (
        "until [ -e /dev/shm/told ]; do sleep 0.02; done; cat /dev/shm/told; df -k /dev/shm | awk 'NR == 2 {print $2}'"
    )
    web1.ok("create", "--name", "takes", "--ipc", "container:gives", "base:1", "sh", "-c", look)
    assert web1.ok("start", "-a", "takes").stdout == "shared\n3072\n"
    own = namespace(web1, "ipc")
    assert (
        namespace(web1, "ipc", "--ipc", "container:gives")
        == web1.ok("exec", "gives", "readlink", "/proc/1/ns/ipc").stdout
    )
    assert own != web1.ok("exec", "gives", "readlink", "/proc/1/ns/ipc").stdout

    web1.ok("run", "-d", "--name", "through", "--ipc", "container:gives", "base:1", "sleep", "60")
    web1.ok("stop", "-t", "0", "gives")
    assert web1.ok("exec", "through", "cat", "/dev/shm/told").stdout == "shared\n"  # it outlives who made it
    ran = web1.ok("run", "--rm", "--ipc", "container:through", "base:1", "cat", "/dev/shm/told")
    assert ran.stdout == "shared\n"
    told = web1.run("start", "-a", "takes").ended(125).stderr
    assert "cannot join IPC of a non running container" in told
    web1.ok("start", "gives")
    assert web1.ok("start", "-a", "takes").lines[0] == "shared"  # joined anew
    web1.ok("rm", "-f", "gives", "takes", "through")


def test_what_cannot_be_joined(web1: Laptop) -> None:
    web1.ok("run", "-d", "--name", "alone", "base:1", "sleep", "60")
    for flags, told in [
        ("--ipc container:alone", "non-shareable IPC"),
        ("--ipc container:nobody", "no such container: nobody"),
        ("--pid container:nobody", "no such container: nobody"),
        ("--pid container:", "--pid: invalid mode 'container:'"),
        ("--uts container:alone", "--uts: invalid mode 'container:alone'"),
    ]:
        assert told in web1.run("run", "--rm", *flags.split(), "base:1", "true").ended(125).stderr
    web1.ok("rm", "-f", "alone")
