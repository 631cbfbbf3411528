"""What containers use, and what they may use: top, stats, update, through the command line, on real agents."""

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
