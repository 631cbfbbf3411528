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
    "the_namespace",
    "nothing_is_left",
    "taken",
    "failure_is_undone",
    "many_at_once",
    "flows_follow",
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


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, host: str, tmp_path: Path) -> None:
    script = Path(__file__).with_name("host.py")
    inside = ["ip", "netns", "exec", host, "unshare", "--mount", "--propagation", "private"]
    ended = subprocess.run(
        [*inside, sys.executable, "-W", "error", str(script), scenario, str(tmp_path), f"{host}-world"],
        capture_output=True,
        text=True,
        timeout=55,
    )
    print(ended.stdout)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    assert "Warning" not in ended.stderr, ended.stderr
