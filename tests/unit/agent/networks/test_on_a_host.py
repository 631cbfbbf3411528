"""The real thing: scenarios of `host.py`, each on a host that is two network namespaces, itself and the world."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.lab

SCENARIOS = [
    "reach",
    "loopback_is_closed",
    "others_reload",
    "the_namespace",
    "nothing_is_left",
    "taken",
    "failure_is_undone",
    "many_at_once",
    "flows_follow",
    "an_address_moves",
    "restart",
    "reboot",
]


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=20)


@pytest.fixture
def host() -> Iterator[str]:
    """The names of two network namespaces NAME (192.0.2.1) and NAME-world (192.0.2.2), with a wire between them."""
    name = f"jackstay-{secrets.token_hex(4)}"
    world = f"{name}-world"
    try:
        ip("netns", "add", name)
        ip("netns", "add", world)
        ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", world)
        for netns, address in ((name, "192.0.2.1/24"), (world, "192.0.2.2/24")):
            ip("-n", netns, "addr", "add", address, "dev", "eth0")
            ip("-n", netns, "link", "set", "eth0", "up")
            ip("-n", netns, "link", "set", "lo", "up")
        yield name
    finally:
        for netns in (name, world):
            subprocess.run(["ip", "netns", "del", netns], capture_output=True)


FAULTS = [
    "metadata.networks.connect",
    "metadata.networks.connect.committed",
    "networks.netns.mounted",
    "networks.netns.linked",
    "kernel.program.started",
    "metadata.networks.disconnect",
    "metadata.networks.disconnect.committed",
    "networks.netns.unmounted",
]


def play(host: str, script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the shell *script* on *host*, where ``play SCENARIO`` plays one."""
    program = Path(__file__).with_name("host.py")
    function = f"play() {{ {sys.executable} -W error {program} $1 {folder} {host}-world; }}\n"
    inside = ["ip", "netns", "exec", host, "unshare", "--mount", "--propagation", "private"]
    return subprocess.run([*inside, "sh", "-c", function + script], capture_output=True, text=True, timeout=55)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, host: str, tmp_path: Path) -> None:
    ended = play(host, f"play {scenario}", tmp_path)
    print(ended.stdout)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    assert "Warning" not in ended.stderr, ended.stderr


@pytest.mark.parametrize("fault", FAULTS)
def test_an_agent_that_dies_leaves_nothing_that_the_next_does_not_take_away(
    fault: str, host: str, tmp_path: Path
) -> None:
    script = f"(export JACKSTAY_FAULT={fault}; play start_and_stop); echo cut $?; "
    ended = play(host, script + "play after_the_cut", tmp_path)
    assert "cut 137" in ended.stdout, ended.stderr
    assert ended.returncode == 0, ended.stderr
