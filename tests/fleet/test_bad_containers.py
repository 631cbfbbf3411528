"""Containers that cannot be made, cannot start or do not end well: what is said, the exit code, and nothing is left.

Other cases stand where their subject does: images, names, ports that are taken (`test_refused_commands.py`,
`test_published_ports.py`), users and folders that there are not (`test_security_flags.py`, `test_volumes.py`), full
disks (`test_log_options.py`, `test_refused_commands.py`), a conmon that was killed (`test_restarts_and_health.py`).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fleet.conftest import settled
from tests.lab.archives import write_archive
from tests.lab.emptying import empty
from tests.lab.host import Host
from tests.lab.images import Image
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, Ran, data

pytestmark = pytest.mark.lab

HOSTS = ("web1", "web3")
"""With crun and with runc."""


@pytest.fixture(scope="module")
def laptop(shared_lab: Lab, base_archive: Path) -> Iterator[Laptop]:
    """A laptop whose commands go to web3; it and web1 have ``base:1`` and a container called "holder"."""
    laptop = Laptop(shared_lab)
    laptop.environment |= {"JACKSTAY_HOST": "web3"}
    laptop.ok("-H", "web1,web3", "load", "-i", base_archive)
    laptop.ok("-H", "web1,web3", "run", "-d", "--name", "holder", "--ip", "10.88.7.9", "base:1", "sleep", "1000")
    yield laptop
    for name in HOSTS:
        host = shared_lab.hosts[name]
        empty(host)
        assert settled(host) == []


@pytest.fixture
def host(shared_lab: Lab) -> Host:
    """The host with runc."""
    return shared_lab.hosts["web3"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a folder and a file; the lab's hosts see it at the same place."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "given").touch()
    return tmp_path


def errors(ran: Ran) -> list[str]:
    """The error lines, without their "Error: "."""
    assert "Traceback" not in ran.stderr, ran
    return [line.removeprefix("Error: ") for line in ran.stderr.splitlines() if line.startswith("Error: ")]


def only_holder(laptop: Laptop, *names: str) -> None:
    """Only the holder is there, also on the host *names*."""
    for name in names:
        assert laptop.ok("-H", name, "ps", "-a", "--format", "{{.Names}}").lines == ["holder"]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--ip 10.88.7.9", "the address 10.88.7.9 is taken"),
        ("--ip 10.99.0.1", "10.99.0.1 is not an address of the network's subnet 10.88.0.0/16"),
        ("--name a/b", "Invalid container name (a/b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        ("--stop-signal NOSUCH", "invalid signal: NOSUCH"),
        ("-w relative", "the working directory 'relative' is invalid, it needs to be an absolute path"),
        ("-m 64m --memory-swap 32m", "Minimum memoryswap limit should be larger than memory limit"),
        ("--cpuset-cpus 4000", "requested CPUs are not available - requested 4000"),
        ("--pids-limit -7", "invalid pids limit -7"),
        ("--tmpfs /t:odd=1", "invalid tmpfs option 'odd=1'"),
    ],
)
def test_refused_before_there_is_one(laptop: Laptop, flags: str, told: str) -> None:
    (line,) = errors(laptop.run("run", *flags.split(), "base:1", "true").ended(125))
    assert line.startswith(f"web3: {told}")


@pytest.mark.parametrize(
    ("flags", "told", "hint"),
    [
        ("-v FOLDER/given:/etc", "FOLDER/given", "a file onto a folder"),
        ("-v FOLDER/inner:/etc/passwd", "/passwd", "a folder mounted onto a file"),
        ("-v FOLDER/given/below:/x", "bind source path cannot be made: FOLDER/given/below", "is a file on the host"),
        ("-w /etc/passwd/below", "/etc/passwd", "a part of the working directory is a file"),
        ("--sysctl net.no_such=1", "/proc/sys/net/no_such: no such file", ""),
    ],
)
def test_refused_at_the_start(laptop: Laptop, folder: Path, flags: str, told: str, hint: str) -> None:
    words = [word.replace("FOLDER", str(folder)) for word in flags.split()]
    ran = laptop.run("-H", "web1,web3", "run", "-d", "--rm", *words, "base:1", "true")
    lines = errors(ran)
    assert sorted(line.partition(": ")[0] for line in lines) == ["web1", "web3"], ran
    for line in lines:
        assert told.replace("FOLDER", str(folder)).lower() in line.lower(), ran
    assert hint in ran.stderr, ran


def test_nothing_is_left_of_those(laptop: Laptop) -> None:
    only_holder(laptop, *HOSTS)
    assert laptop.ok("volume", "ls", "-q").lines == []


@contextmanager
def odd_runc(host: Host, command: str, act: str) -> Iterator[None]:
    """A runc that does *act* when it is to do *command*."""
    path = host.exec(["sh", "-c", "command -v runc"]).stdout.strip()
    script = f'#!/bin/sh\ncase " $* " in *" {command} "*) {act} ;; esac\nexec /run/real-runc "$@"\n'
    host.exec(["sh", "-c", f"cp {path} /run/real-runc; cat >/run/odd-runc; chmod 755 /run/odd-runc"], input=script)
    mounting = host.exec(["mount", "--bind", "/run/odd-runc", path])
    assert mounting.returncode == 0, mounting
    try:
        yield
    finally:
        host.exec(["umount", path])
        host.exec(["rm", "/run/real-runc", "/run/odd-runc"])


def test_a_runtime_that_fails(laptop: Laptop, host: Host) -> None:
    laptop.ok("create", "--name", "odd", "base:1", "true")
    for command in ("create", "start"):
        with odd_runc(host, command, "echo it is broken >&2; exit 3"):
            (line,) = errors(laptop.run("start", "odd").ended(1))
            assert line.startswith("web3: the OCI runtime failed: ")
            assert "it is broken" in line
            state = data(laptop.ok("--json", "inspect", "odd"))[0]["State"]
            assert (state["Status"], state["ExitCode"], state["Pid"]) == ("created", 128, 0)
            assert f"web3: {state['Error']}" == line
            laptop.run("run", "base:1", "true").ended(125)
    laptop.ok("start", "-a", "odd")
    laptop.ok("rm", "odd")
    with odd_runc(host, "exec", "echo it is broken >&2; exit 3"):
        (line,) = errors(laptop.run("exec", "holder", "true").ended(125))
        assert "it is broken" in line
    only_holder(laptop, "web3")


def test_a_runtime_that_hangs_does_not_hold_who_gives_up(laptop: Laptop, host: Host) -> None:
    """How long the agent waits for it is shown with a shorter time in tests/unit/agent/containers."""
    with odd_runc(host, "create", "echo $$ >/run/hanging; exec sleep 97531"):
        waiting = laptop.start("run", "--name", "hangs", "base:1", "true")
        deadline = time.monotonic() + 20
        while not host.path("/run/hanging").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert "holder" in laptop.ok("ps", "-a").stdout  # nobody else waits for it
        waiting.send_signal(signal.SIGINT)
        waiting.communicate(timeout=30)
        assert waiting.returncode == 130
        host.exec(["sh", "-c", "kill $(cat /run/hanging); rm /run/hanging"])
        while laptop.ok("ps", "-aq", "-f", "name=hangs").lines:
            assert time.monotonic() < deadline + 20
    only_holder(laptop, "web3")


def test_ends(laptop: Laptop) -> None:
    """Of commands that cannot run, of signals, of one that ignores SIGTERM, for want of memory."""
    for command, code in [("no-such-program", 127), ("/no/such/program", 127), ("/etc/passwd", 126), ("/etc", 126)]:
        (line,) = errors(laptop.run("run", "--rm", "base:1", command).ended(code))
        assert line.startswith("web3: ")
        assert command in line
        assert laptop.run("exec", "holder", command).code == code
    laptop.run("exec", "holder", "sh", "-c", "kill -SEGV $$").ended(139)
    laptop.run("run", "--rm", "base:1", "sh", "-c", "exit 125").ended(125)

    ending = laptop.start("run", "--name", "killed", "base:1", "sh", "-c", "trap '' TERM; echo ready; sleep 1000")
    assert ending.stdout is not None
    assert ending.stdout.readline() == b"ready\n"
    begin = time.monotonic()
    laptop.ok("stop", "-t", "1", "killed")
    assert time.monotonic() - begin > 1
    ending.communicate(timeout=30)
    assert ending.returncode == 137

    limits = ("-m", "16m", "--memory-swap", "16m")
    laptop.run("run", "--name", "hungry", *limits, "base:1", "sh", "-c", "exec tail -c 200m /dev/zero").ended(137)
    killed, hungry = (item["State"] for item in data(laptop.ok("--json", "inspect", "killed", "hungry")))
    assert (killed["ExitCode"], killed["OOMKilled"]) == (137, False)
    assert (hungry["ExitCode"], hungry["OOMKilled"]) == (137, True)
    laptop.ok("rm", "killed", "hungry")
    only_holder(laptop, "web3")


def test_an_image_with_a_stop_signal_that_there_is_not(laptop: Laptop, base: Image, tmp_path: Path) -> None:
    odd = Image("odd:1", base.layers, {**base.config, "StopSignal": "NOSUCH"}, base.created_by)
    laptop.ok("load", "-i", write_archive(tmp_path / "odd.tar", [odd]))
    laptop.ok("run", "-d", "--rm", "--name", "odd", "odd:1", "sleep", "1000")
    laptop.ok("stop", "-t", "1", "odd")
    laptop.ok("run", "-d", "--rm", "--name", "odd", "odd:1", "sleep", "1000")
    laptop.ok("kill", "odd")
    only_holder(laptop, "web3")
