"""What containers use, and what they may use: top, stats, update, through the command line, on real agents."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from tests.fleet.conftest import settled
from tests.lab.emptying import empty
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data

pytestmark = pytest.mark.lab

HOSTS = ("web1", "web2")


@pytest.fixture(scope="module")
def web1(shared_lab: Lab, base_archive: Path) -> Iterator[Laptop]:
    """A laptop whose commands go to web1; on web[1-2] ``runs`` runs, and ``ended`` has ended."""
    laptop = Laptop(shared_lab)
    laptop.ok("-H", "web[1-2]", "load", "-q", "-i", base_archive)
    script = "sleep 86400 & exec sleep 86399"
    laptop.ok("-H", "web[1-2]", "run", "-d", "--name", "runs", "-m", "64m", "base:1", "sh", "-c", script)
    laptop.ok("-H", "web[1-2]", "run", "--name", "ended", "base:1", "true")
    laptop.environment["JACKSTAY_HOST"] = "web1"
    yield laptop
    for name in HOSTS:
        empty(shared_lab.hosts[name])
        assert settled(shared_lab.hosts[name]) == []


@pytest.fixture
def host(shared_lab: Lab) -> Host:
    """web1 itself."""
    return shared_lab.hosts["web1"]


def test_top(web1: Laptop) -> None:
    header, *processes = web1.ok("top", "runs").lines
    assert header.split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert sorted(line.split()[-2:] for line in processes) == [["sleep", "86399"], ["sleep", "86400"]]
    pid = data(web1.ok("--json", "inspect", "runs"))[0]["State"]["Pid"]
    assert str(pid) in {line.split()[1] for line in processes}
    document = {"Titles": ["COMMAND", "PID"], "Processes": [["sleep", str(pid)]]}
    both = data(web1.ok("--json", "top", "runs", "-o", "comm,pid"))[0]
    assert both["Titles"] == document["Titles"]
    assert document["Processes"][0] in both["Processes"]
    assert [line.split()[-1] for line in web1.ok("top", "runs", "axf", "-o", "pid,args").lines[1:]] == [
        "86399",
        "86400",
    ]


def test_top_on_several_hosts(web1: Laptop) -> None:
    header, *processes = web1.ok("-H", "web[1-2]", "top", "runs", "-o", "pid,args").lines
    assert header.split() == ["HOST", "PID", "COMMAND"]
    assert [line.split()[0] for line in processes] == ["web1", "web1", "web2", "web2"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["ended"], "is not running"),
        (["none"], "no such container: none"),
        (["runs", "-o", "comm"], "Couldn't find PID field in ps output"),
        (["runs", "-o", "comm=PID"], 'specifying "comm=PID" is not allowed'),
        (["runs", "-o", "nonsense"], "unknown user-defined format specifier"),
    ],
)
def test_what_top_refuses(web1: Laptop, words: list[str], told: str) -> None:
    ran = web1.run("top", *words).ended(1)
    assert told in ran.stderr
    assert ran.stdout == ""


def test_top_without_a_ps(web1: Laptop, host: Host) -> None:
    """Without the host's ps what it prints by default is read from /proc; options are refused."""
    program = host.exec(["which", "ps"]).stdout.strip()
    of_ps = web1.ok("top", "runs").lines
    host.exec(["mount", "--bind", "/dev/null", program])
    try:
        assert sorted(map(str.split, web1.ok("top", "runs").lines)) == sorted(map(str.split, of_ps))
        assert "ps cannot be executed" in web1.run("top", "runs", "aux").ended(1).stderr
    finally:
        host.exec(["umount", program])


def test_stats_once(web1: Laptop) -> None:
    header, line = web1.ok("stats", "--no-stream").lines
    assert re.split(r"  +", header) == [
        *("CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS")
    ]
    values = re.split(r"  +", line)
    assert values[1] == "runs"
    assert re.fullmatch(r"\d+(\.\d+)?[KM]iB / 64MiB", values[3])
    assert values[7] == "2"
    rows = data(web1.ok("--json", "stats", "-a", "--no-trunc"))
    assert [row["Name"] for row in rows] == ["ended", "runs"]
    assert (rows[0]["MemUsage"], rows[0]["PIDs"], len(rows[0]["ID"])) == ("0B / 0B", "0", 64)
    text = web1.ok(
        *("-H", "web[1-2]", "stats", "--no-stream", "--format", "{{.Host}} {{.Name}} {{.PIDs}}", "runs", "ended")
    )
    assert text.lines == ["web1 runs 2", "web1 ended 0", "web2 runs 2", "web2 ended 0"]
    assert "no such container: none" in web1.run("stats", "--no-stream", "runs", "none").ended(1).stderr


def test_stats_tell_what_is_used(web1: Laptop) -> None:
    """Half a CPU, memory in use and not the cache, bytes over the network, counted as the kernel does."""
    script = (
        "wget -qO /dev/null http://$GATEWAY:1/ 2>/dev/null & head -c 20000000 /dev/zero > /dev/shm/used; "
        "touch /ready; while :; do :; done"
    )
    gateway = data(web1.ok("--json", "network", "inspect", "bridge"))[0]["IPAM"]["Config"][0]["Gateway"]
    limits = ["-m", "200m", "--cpus", "0.5", "-e", f"GATEWAY={gateway}"]
    web1.ok("run", "-d", "--name", "busy", *limits, "base:1", "sh", "-c", script)
    try:
        web1.ok("exec", "busy", "sh", "-c", "until [ -e /ready ]; do sleep 0.02; done")
        row = data(web1.ok("--json", "stats", "busy"))[0]
    finally:
        web1.ok("rm", "-f", "busy")
    assert 1 < float(row["CPUPerc"].removesuffix("%")) < 75
    used, _, limit = row["MemUsage"].partition(" / ")
    assert limit == "200MiB"
    assert 19 < float(used.removesuffix("MiB")) < 40
    assert row["NetIO"].split(" / ")[1] != "0B"


def test_stats_follow_who_comes_and_goes(web1: Laptop) -> None:
    with web1.start("-H", "web[1-2]", "--jsonl", "stats") as followed:
        assert followed.stdout is not None
        try:
            hosts = {json.loads(followed.stdout.readline())["host"] for _ in range(6)}
            assert hosts == {"web1", "web2"}
            web1.ok("run", "-d", "--name", "comes", "base:1", "sleep", "86398")
            until(followed.stdout, "comes", there=True)
            web1.ok("kill", "comes")
            until(followed.stdout, "comes", there=False)
        finally:
            followed.send_signal(signal.SIGINT)
        followed.stdout.read()
        assert followed.wait(20) == 130
    web1.ok("rm", "comes")


def until(lines: IO[bytes], name: str, *, there: bool) -> None:
    """Read until a sample of web1 has the container, or has it not."""
    names: set[str] = set()
    for line in lines:
        told = json.loads(line)
        if told["host"] != "web1":
            continue
        if told["data"]["Name"] in names:  # the next sample begins
            if (name in names) == there:
                return
            names = set()
        names.add(told["data"]["Name"])
    raise AssertionError("the stream ended")


def test_stats_of_one_that_is_removed_end(web1: Laptop) -> None:
    web1.ok("run", "-d", "--name", "named", "base:1", "sleep", "86397")
    with web1.start("stats", "--format", "{{.Name}} {{.PIDs}}", "named") as followed:
        assert followed.stdout is not None
        assert followed.stdout.readline() == b"named 1\n"
        web1.ok("rm", "-f", "named")
        assert set(followed.stdout.read().split(b"\n")) <= {b"named 1", b"named 0", b""}
        assert followed.wait(20) == 0


def test_stats_on_a_terminal(web1: Laptop) -> None:
    with web1.terminal("-H", "web[1-2],nobody@127.0.0.1:1", "stats") as terminal:
        terminal.expect(r"HOST +CONTAINER ID +NAME +CPU %")
        terminal.expect(r"(?s)web1 +\w+ +runs +[\d.]+%.*web2 +\w+ +runs ")
        terminal.expect("Error: nobody@127.0.0.1:1: ")
        terminal.expect(r"\x1b\[HHOST")  # drawn again, over it
        terminal.type("\x03")
        assert terminal.wait() == 130


MEMORY = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"


def test_update(web1: Laptop) -> None:
    pair = ("-H", "web[1-2]", "update")
    assert web1.ok(*pair, "--memory", "96m", "--restart", "on-failure:3", "runs", "ended").lines == [
        *("web1: runs", "web1: ended", "web2: runs", "web2: ended")
    ]
    assert web1.ok("exec", "runs", "sh", "-c", MEMORY).stdout == f"{96 << 20}\n"
    assert web1.ok("stats", "--no-stream", "--format", "{{.MemUsage}}", "runs").stdout.endswith("/ 96MiB\n")
    for document in data(web1.ok("--json", "inspect", "runs", "ended")):
        config = document["HostConfig"]
        assert (config["Memory"], config["RestartPolicy"]["MaximumRetryCount"]) == (96 << 20, 3)
    web1.ok(*pair, "--restart", "no", "runs", "ended")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["runs"], 2, "nothing to update"),
        (["-m", "5m", "runs"], 1, "Minimum memory limit allowed is 6MB"),
        (["-m", "1g", "runs"], 1, "update the memoryswap at the same time"),
        (["--memory-swap", "32m", "runs"], 1, "Minimum memoryswap limit should be larger than memory limit"),
        (["--cpuset-cpus", "4000", "runs"], 1, "requested CPUs are not available"),
        (["--cpu-period", "5", "runs"], 1, "CPU cfs period"),
        (["-m", "64m", "none"], 1, "no such container: none"),
        (["--restart", "often", "runs"], 2, "unknown policy"),
    ],
)
def test_what_update_refuses(web1: Laptop, words: list[str], code: int, told: str) -> None:
    ran = web1.run("update", *words).ended(code)
    assert told in ran.stderr
    assert ran.stdout == ""


def test_an_agent_that_dies_before_it_notes_an_update(web1: Laptop, host: Host) -> None:
    """The container has its new limits until the next start, which gives it the row's; a second try is whole."""
    host.agent.stop()
    host.agent.start({"JACKSTAY_FAULT": "containers.update.applied"})
    try:
        web1.run("update", "-m", "80m", "runs").ended(4)
        host.agent.wait(20)
    finally:
        host.agent.stop()
        host.agent.start()
    before = data(web1.ok("--json", "inspect", "runs"))[0]
    assert (before["HostConfig"]["Memory"], before["State"]["Status"]) == (96 << 20, "running")
    assert web1.ok("exec", "runs", "sh", "-c", MEMORY).stdout == f"{80 << 20}\n"
    web1.ok("update", "-m", "80m", "runs")
    assert data(web1.ok("--json", "inspect", "runs"))[0]["HostConfig"]["Memory"] == 80 << 20
