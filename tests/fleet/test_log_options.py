"""What is kept of containers' output, through the command line: rotation, its bounds, none at all, a full disk."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.conftest import settled
from tests.lab.emptying import empty
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.laptop import JACKSTAY, Laptop, data

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]

LOGS = "/var/lib/jackstay/containers"


@pytest.fixture(scope="module")
def web1(shared_lab: Lab, base_archive: Path) -> Iterator[Laptop]:
    """A laptop whose commands go to web1, which has ``base:1``."""
    laptop = Laptop(shared_lab)
    laptop.environment["JACKSTAY_HOST"] = "web1"
    laptop.ok("load", "-q", "-i", base_archive)
    yield laptop
    host = shared_lab.hosts["web1"]
    empty(host)
    assert settled(host) == []


@pytest.fixture
def host(shared_lab: Lab) -> Host:
    """The host itself."""
    return shared_lab.hosts["web1"]


def writer(chunks: int) -> str:
    """A script that prints the numbers from 1 on, 500 at a time; each takes some 50 bytes of a log."""
    return f"i=0; while [ $i -lt {chunks} ]; do seq $((i * 500 + 1)) $((i * 500 + 500)); i=$((i + 1)); sleep 0.05; done"


def numbers(first: int, last: int) -> list[str]:
    return [str(number) for number in range(first, last + 1)]


def files(host: Host, container: str) -> list[str]:
    """The names of a log's files."""
    names = host.exec(["ls", f"{LOGS}/{container}"]).stdout.split()
    return [name for name in names if name != "container.log.tmp"]


def test_readers_pass_from_file_to_file_and_outlast_the_agent(web1: Laptop, host: Host, tmp_path: Path) -> None:
    options = ("--log-driver", "json-file", "--log-opt", "max-size=20k", "--log-opt", "max-file=900")
    container = web1.ok("run", "-d", "--name", "writes", *options, "base:1", "sh", "-c", writer(40)).stdout.strip()
    seen = tmp_path / "seen"
    with seen.open("wb") as output:
        argv = [JACKSTAY, "logs", "-f", "writes"]
        follower = subprocess.Popen(argv, stdout=output, stderr=subprocess.PIPE, env=web1.environment)
    try:
        for lines in (2000,):  # while it rotates
            deadline = time.monotonic() + 30
            while seen.read_bytes().count(b"\n") < lines and time.monotonic() < deadline:
                time.sleep(0.01)
            host.agent.kill()
            host.agent.start()
        _, told = follower.communicate(timeout=60)
    finally:
        follower.kill()
        follower.wait()
    assert (follower.returncode, told) == (0, b"")
    followed = seen.read_text().split()
    assert followed == numbers(1, 20_000), (len(followed), web1.ok("inspect", "-f", "{{json .State}}", "writes").stdout)

    assert web1.ok("logs", "writes").lines == numbers(1, 20_000)
    assert web1.ok("logs", "--tail", "1234", "writes").lines == numbers(18_767, 20_000)
    stamped = web1.ok("logs", "-t", "writes").lines
    middle = stamped[12_345].split()[0]
    first = next(index for index, line in enumerate(stamped) if line >= middle)
    end = stamped[15_000].split()[0]
    last = sum(line.split()[0] <= end for line in stamped)
    assert web1.ok("logs", "--since", middle, "--until", end, "writes").lines == numbers(first + 1, last)
    assert len(files(host, container)) > 1
    document = data(web1.ok("--json", "inspect", "writes"))[0]
    assert document["HostConfig"]["LogConfig"] == {
        "Type": "json-file",
        "Config": {"max-size": "20k", "max-file": "900"},
    }
    web1.ok("rm", "writes")
    assert files(host, container) == []


def test_an_agent_that_dies_in_a_rotation_leaves_no_gap(web1: Laptop, host: Host) -> None:
    """With the file renamed, conmon goes on in it until it is told; told, it makes a new one without the agent."""
    script = "i=0; until [ -e /stop ]; do seq $((i * 100 + 1)) $((i * 100 + 100)); i=$((i + 1)); sleep 0.02; done"
    options = ("--log-opt", "max-size=20k", "--log-opt", "max-file=900")
    container = web1.ok("run", "-d", "--name", "cut", *options, "base:1", "sh", "-c", script).stdout.strip()
    for point in ("renamed", "told"):
        host.agent.stop()
        host.agent.start(env={"JACKSTAY_FAULT": f"containers.log_rotation.{point}"}, wait=None)
        assert host.agent.wait(30) in (-9, None)
        rotated = len(files(host, container))
        host.agent.start()
        deadline = time.monotonic() + 30
        while len(files(host, container)) < rotated + 3:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    web1.run("exec", "cut", "touch", "/stop")  # which may end the container, and so itself, before it is told of
    web1.ok("wait", "cut")
    lines = web1.ok("logs", "cut").lines
    assert len(lines) > 1000
    assert lines == numbers(1, len(lines))
    web1.ok("rm", "cut")


def test_the_number_of_files_is_bounded(web1: Laptop, host: Host) -> None:
    options = ("--log-opt", "max-size=10k", "--log-opt", "max-file=3")
    script = "i=0; until [ -e /stop ]; do seq $((i * 100 + 1)) $((i * 100 + 100)); i=$((i + 1)); sleep 0.02; done"
    container = web1.ok("run", "-d", "--name", "bounded", *options, "base:1", "sh", "-c", f"{script}; sleep 60").stdout
    most, newest, deadline = 0, 0, time.monotonic() + 60
    while newest < 6:  # the sixth that was put aside
        names = files(host, container.strip())
        most, newest = max(most, len(names)), max(newest, *(int(f"0{name[14:]}") for name in names))
        assert time.monotonic() < deadline, names
        time.sleep(0.02)
    web1.ok("exec", "bounded", "touch", "/stop")
    while len(found := files(host, container.strip())) != 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (len(found), "container.log" in found) == (3, True)
    assert most <= 4  # one more in the moment of a rotation
    kept = web1.ok("logs", "bounded").lines
    last = int(kept[-1])
    assert 0 < len(kept) < last
    assert kept == numbers(last + 1 - len(kept), last)
    assert last % 100 == 0
    assert web1.ok("logs", "--tail", "3", "bounded").lines == numbers(last - 2, last)
    web1.ok("restart", "-t", "0", "bounded")  # goes on in the same files
    web1.ok("rm", "-f", "bounded")


def test_no_log(web1: Laptop, host: Host) -> None:
    assert web1.ok("run", "--name", "silent", "--log-driver", "none", "base:1", "echo", "said").stdout == "said\n"
    refused = web1.run("logs", "silent").ended(1)
    assert "configured logging driver does not support reading" in refused.stderr
    document = data(web1.ok("--json", "inspect", "silent"))[0]
    assert (document["HostConfig"]["LogConfig"], document["LogPath"]) == ({"Type": "none", "Config": {}}, "")
    assert files(host, document["Id"]) == []
    web1.ok("rm", "silent")


def test_refused(web1: Laptop) -> None:
    for flags, told in [
        ("--log-driver journald", "no log driver named 'journald' is registered"),
        ("--log-driver none --log-opt max-size=1m", "unknown log opt 'max-size' for none"),
    ]:
        assert told in web1.run("run", *flags.split(), "base:1", "true").ended(125).stderr


def test_a_full_disk_neither_stops_nor_ends_a_container(web1: Laptop, host: Host) -> None:
    script = "seq 1 50000; echo done >/done; seq 50001 60000; sleep 60"
    options = ("--log-opt", "max-size=100k", "--log-opt", "max-file=10")
    container = web1.ok("create", "--name", "full", *options, "base:1", "sh", "-c", script).stdout.strip()
    folder = f"{LOGS}/{container}"
    mounting = host.exec(["sh", "-c", f"mkdir -m 700 {folder} && mount -t tmpfs -o size=256k none {folder}"])
    assert mounting.returncode == 0, mounting
    try:
        web1.ok("start", "full")
        deadline = time.monotonic() + 30
        while web1.run("exec", "full", "cat", "/done").stdout != "done\n" and time.monotonic() < deadline:
            time.sleep(0.05)
        assert data(web1.ok("--json", "inspect", "full"))[0]["State"]["Running"]
        kept = web1.ok("logs", "full").lines
        assert kept[:3] == ["1", "2", "3"]
        assert 1000 < len(kept) < 60_000
        web1.ok("stop", "-t", "0", "full")
        assert data(web1.ok("--json", "inspect", "full"))[0]["State"]["ExitCode"] == 137
    finally:
        host.exec(["umount", folder])
    web1.ok("rm", "-f", "full")
