"""Hosts that cannot be worked with: one clear line naming the host and what to do, and the documented exit code."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, Ran

pytestmark = pytest.mark.lab

OTHER_VERSION = Path(__file__).with_name("agent_of_another_version.py")


def one_line_and_a_hint(ran: Ran, host: str) -> str:
    """The error line, after checking that it is one, names the host, and has a hint below it."""
    lines = ran.stderr.splitlines()
    errors = [line for line in lines if line.startswith("Error: ")]
    assert len(errors) == 1, ran
    assert host in errors[0], ran
    assert len(lines) > lines.index(errors[0]) + 1, ran  # the hint
    assert "Traceback" not in ran.stderr, ran
    return errors[0]


def inventory(lab: Lab, folder: Path, change: Callable[[str], str]) -> str:
    """A copy of the lab's inventory, changed."""
    path = folder / "hosts.toml"
    path.write_text(change(lab.inventory.read_text()))
    return str(path)


def test_a_host_that_does_not_answer(lab: Lab, laptop: Laptop, tmp_path: Path) -> None:
    address = lab.hosts["web1"].address
    hosts = inventory(lab, tmp_path, lambda text: text.replace(f'"{address}"', f'"{lab.subnet}.99"'))
    started = time.monotonic()
    ran = laptop.run("--connect-timeout", "2", "-H", "web1", "ps", JACKSTAY_INVENTORY=hosts)
    assert time.monotonic() - started < 8
    one_line_and_a_hint(ran.ended(4), "web1")


def test_a_host_that_is_switched_off_does_not_stop_the_others(lab: Lab, laptop: Laptop) -> None:
    lab.hosts["web2"].switch_off()
    ran = laptop.run("--connect-timeout", "2", "-H", "@web", "--json", "images")
    assert ran.ended(4)
    assert {element["host"]: element["outcome"] for element in ran.json} == {
        "web1": "ok",
        "web2": "unreachable",
        "web3": "ok",
    }
    (error,) = (element["error"] for element in ran.json if element["host"] == "web2")
    assert error["message"]
    assert error["hint"]
    ignored = laptop.run("--connect-timeout", "2", "-H", "@web", "--ignore-unreachable", "images")
    assert ignored.code == 0


def test_no_ssh_server(lab: Lab, laptop: Laptop) -> None:
    host = lab.hosts["web1"]
    host.sshd.stop()
    try:
        ran = laptop.run("-H", "web1", "ps")
    finally:
        host.sshd.start()
    one_line_and_a_hint(ran.ended(4), "web1")


def test_a_refused_key(lab: Lab, laptop: Laptop, tmp_path: Path) -> None:
    key = tmp_path / "other_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    hosts = inventory(lab, tmp_path, lambda text: text.replace(str(lab.keys.identity), str(key)))
    ran = laptop.run("-H", "web1", "ps", JACKSTAY_INVENTORY=hosts)
    one_line_and_a_hint(ran.ended(4), "web1")


def test_another_host_key(lab: Lab, laptop: Laptop, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    lines = lab.keys.known_hosts.read_text().splitlines()
    keys = [line.split(maxsplit=1)[1] for line in lines]
    addresses = [line.split()[0] for line in lines]
    known.write_text("".join(f"{address} {key}\n" for address, key in zip(addresses, keys[1:] + keys[:1], strict=True)))
    hosts = inventory(lab, tmp_path, lambda text: text.replace(str(lab.keys.known_hosts), str(known)))
    ran = laptop.run("-H", "web1", "ps", JACKSTAY_INVENTORY=hosts)
    assert "key" in one_line_and_a_hint(ran.ended(4), "web1")


def test_an_unknown_host_key(lab: Lab, laptop: Laptop, tmp_path: Path) -> None:
    empty = tmp_path / "known_hosts"
    empty.touch()
    hosts = inventory(lab, tmp_path, lambda text: text.replace(str(lab.keys.known_hosts), str(empty)))
    ran = laptop.run("-H", "web1", "ps", JACKSTAY_INVENTORY=hosts)
    assert "key" in one_line_and_a_hint(ran.ended(4), "web1")


def test_no_agent(lab: Lab, laptop: Laptop) -> None:
    lab.hosts["web1"].agent.stop()
    ran = laptop.run("-H", "web1", "ps")
    assert "jackstayd" in one_line_and_a_hint(ran.ended(4), "web1")
    assert laptop.run("-H", "web1", "run", "-d", "base:1").code == 125


def test_an_agent_of_another_version(lab: Lab, laptop: Laptop) -> None:
    agent = lab.hosts["web1"].agent
    agent.stop()
    real, agent.command = agent.command, [sys.executable, str(OTHER_VERSION)]
    try:
        agent.start()
        ran = laptop.run("-H", "web1", "ps")
        agent.stop()
    finally:
        agent.command = real
    line = one_line_and_a_hint(ran, "web1")
    assert ran.code == 1
    assert "9.9.9" in line or "protocol" in line, ran


def test_no_forwarding_of_sockets_falls_back_to_dial_stdio(lab: Lab, laptop: Laptop) -> None:
    host = lab.hosts["web1"]
    host.sshd.stop()
    config = "DisableForwarding yes\n"
    try:
        host.sshd.start(config)
        ran = laptop.run("-H", "web1", "ps")
    finally:
        host.sshd.stop()
        host.sshd.start()
    ran.ok()


def test_an_unknown_name_near_a_known_one(laptop: Laptop) -> None:
    ran = laptop.run("-H", "wbe1", "ps").ended(2)
    assert "web1" in ran.stderr
