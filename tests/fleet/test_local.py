"""`local`: without an agent on the machine, root's command starts one, which stops by itself when nothing needs it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.host import Host
from tests.lab.lab import PROGRAMS, Lab

pytestmark = pytest.mark.lab

JACKSTAY = str(PROGRAMS / "jackstay")
ENVIRONMENT = {"PATH": f"{PROGRAMS}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}


@pytest.fixture
def host() -> Iterator[Host]:
    """A machine on which no agent runs."""
    with Lab(1, agent=None) as lab:
        yield lab.hosts["web1"]


def agents(host: Host) -> int:
    """How many processes of agents there are, once those that found another agent have ended."""
    for _ in range(50):
        found = len(host.exec(["pgrep", "-f", "jackstayd --stop-when-idle"]).stdout.split())
        if found <= 2:
            break
        time.sleep(0.1)
    return found


def test_a_command_starts_the_agent_and_the_next_one_finds_it(host: Host, base_archive: Path) -> None:
    inside = "/run/base.tar"
    host.path(inside).write_bytes(base_archive.read_bytes())
    for command in (["load", "-i", inside], ["run", "--rm", "base:1", "echo", "here"]):
        ran = host.exec([JACKSTAY, *command], env=ENVIRONMENT)
        assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "here\n"
    assert agents(host) == 2  # the agent and its spawner


def test_several_commands_at_once_start_one_agent(host: Host) -> None:
    script = f"for n in 1 2 3 4; do {JACKSTAY} ps -q || echo failed & done; wait"
    ran = host.exec(["sh", "-c", script], env=ENVIRONMENT)
    assert (ran.stdout, ran.stderr) == ("", "")
    assert agents(host) == 2


def test_an_agent_that_cannot_start_says_why(host: Host) -> None:
    host.path("/etc/jackstay/jackstayd.toml").write_text("nonsense = 1\n")
    ran = host.exec([JACKSTAY, "ps"], env=ENVIRONMENT)
    assert ran.returncode == 4
    assert "nonsense" in ran.stderr


def test_it_stops_when_idle_and_not_while_a_container_runs(host: Host, base_archive: Path) -> None:
    host.agent.command = [str(PROGRAMS / "jackstayd"), "--stop-when-idle", "2"]
    host.agent.start()
    inside = "/run/base.tar"
    host.path(inside).write_bytes(base_archive.read_bytes())
    environment = ENVIRONMENT | {"JACKSTAY_SOCKET": "/run/jackstay/../jackstay/jackstayd.sock"}  # starts none itself

    def jackstay(*argv: str) -> None:
        ran = host.exec([JACKSTAY, *argv], env=environment)
        assert ran.returncode == 0, ran.stderr

    jackstay("load", "-i", inside)
    host.agent.wait(10)
    host.agent.start()
    jackstay("run", "-d", "--name", "web", "base:1", "sleep", "1000")
    time.sleep(4.5)
    assert host.agent.find() is not None
    jackstay("rm", "-f", "web")
    host.agent.wait(10)
