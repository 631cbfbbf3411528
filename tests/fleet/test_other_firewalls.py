"""Beside other firewalls that drop what is forwarded, containers reach others and are reached.

Each test sees first that they are not when the agent has not let their packets pass.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.foreign_rules import FIREWALLD, FIREWALLD_IPTABLES, UFW, UFW6, RuleSet
from tests.fleet.two_hosts import FD2, WORKS, at_web1, eventually, page, two_hosts
from tests.lab.host import Host
from tests.lab.lab import PROGRAMS, Lab
from tests.lab.laptop import Laptop, data

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def lab(base_archive: Path, web_archive: Path) -> Iterator[Lab]:
    """Hosts of this file's own."""
    with two_hosts(base_archive, web_archive) as lab:
        yield lab


@pytest.fixture
def laptop(lab: Lab) -> Iterator[Laptop]:
    """A laptop whose commands go to web1."""
    with at_web1(lab) as laptop:
        yield laptop


@pytest.fixture
def web1(lab: Lab) -> Host:
    """Where the containers run."""
    return lab.hosts["web1"]


@pytest.fixture
def web2(lab: Lab) -> Host:
    """Another host of the same network."""
    return lab.hosts["web2"]


class Ways:
    """A container's way out, and another host's way in to its published port."""

    def __init__(self, laptop: Laptop, web1: Host, web2: Host) -> None:
        self.container = laptop.ok("run", "-d", "--name", "app", "-p", "8200:80", "httpd:1.1").stdout.strip()
        self._web1 = web1
        self._web2 = web2
        eventually((True, True), self.open)

    def open(self, patience: float = 0.4) -> tuple[bool, bool]:
        """Whether they are open: in, out."""
        return page(self._web2, self._web1.address, 8200, patience) == WORKS, self.out(self._web2.address, 22, patience)

    def out(self, address: str, port: int, patience: float = 0.4) -> bool:
        """Whether the container can connect to somewhere. Asked without the agent, which may be stopped."""
        ask = f"import socket; socket.create_connection(({address!r}, {port}), {patience})"
        inside = ["nsenter", f"--net=/run/jackstay/netns/{self.container}", sys.executable, "-c", ask]
        return self._web1.exec(inside).returncode == 0


def marks(host: Host) -> list[str]:
    """The rules anywhere that are known as the agent's by their comment."""
    lines = host.exec(["iptables-save", "-t", "filter"]).stdout.splitlines()
    lines += host.exec(["nft", "list", "table", "inet", "firewalld"]).stdout.splitlines()
    return [line.strip() for line in lines if "--comment jackstay" in line or 'comment "jackstay"' in line]


def seen(laptop: Laptop) -> list[tuple[str, str, bool]]:
    """The other firewalls that the host tells of."""
    return [(each["Tool"], each["Chain"], each["Opened"]) for each in data(laptop.ok("--json", "info"))[0]["Firewalls"]]


@pytest.mark.parametrize("rules", [UFW, FIREWALLD, FIREWALLD_IPTABLES], ids=["ufw", "firewalld", "firewalld-iptables"])
def test_through_another_firewall(laptop: Laptop, web1: Host, web2: Host, rules: RuleSet) -> None:
    ways = Ways(laptop, web1, web2)
    assert (seen(laptop), marks(web1)) == ([], [])
    web1.agent.stop()
    try:
        rules.load(web1)
        assert ways.open() == (not rules.closes_published, False), "it must drop, else this test says nothing"
        web1.agent.start()
        eventually((True, True), ways.open)
        assert seen(laptop) == [(rules.tool, rules.place, True)]
        assert f" {rules.tool}: accepts in {rules.place}" in laptop.ok("info").lines
        assert rules.tool in laptop.ok("host", "check", "web1").stdout
        first = marks(web1)
        assert len(first) == 2
        rules.reload(web1)
        eventually(first, marks, web1)
        assert ways.open() == (True, True)
        laptop.ok("restart", "-t", "0", "app")
        assert marks(web1) == first
        web1.agent.stop()
        removed = web1.exec([str(PROGRAMS / "jackstayd"), "remove-rules"])
        assert (removed.returncode, removed.stderr, marks(web1)) == (0, "", [])
        assert ways.open() == (False, False)
        assert web1.exec(["nft", "list", "table", "ip", "jackstay"]).returncode == 1
    finally:
        web1.exec(["nft", "flush", "ruleset"])
        if web1.agent.find() is None:
            web1.agent.start()


def test_networks_with_ipv6_get_through_too(laptop: Laptop, web1: Host) -> None:
    """Others' rules for IPv6 are opened for the bridges that have it, from the network's beginning to its end."""
    UFW6.load(web1)
    try:
        assert seen(laptop) == []
        laptop.ok("network", "create", "--ipv6", "six")
        assert seen(laptop) == [("ufw", "ip6 filter ufw6-user-forward", True)]
        container = laptop.ok("run", "-d", "--name", "app", "--network", "six", "base:1", "sleep", "600").stdout.strip()
        ask = f"import socket; socket.create_connection(({FD2!r}, 9), 1)"
        way = ["nsenter", f"--net=/run/jackstay/netns/{container}", sys.executable, "-c", ask]
        assert "ConnectionRefused" in web1.exec(way).stderr  # by web2: nobody is at that port
        web1.agent.stop()
        UFW6.reload(web1)
        assert "TimeoutError" in web1.exec(way).stderr, "it must drop, else this test says nothing"
        web1.agent.start()
        eventually(True, lambda: "ConnectionRefused" in web1.exec(way).stderr)
        laptop.ok("rm", "-f", "app")
        laptop.ok("network", "rm", "six")
        assert "jackstay" not in web1.exec(["ip6tables-save"]).stdout
        assert seen(laptop) == []
    finally:
        web1.exec(["nft", "delete", "table", "ip6", "filter"])
        if web1.agent.find() is None:
            web1.agent.start()


def test_a_firewall_that_nobody_knows_is_told_of(laptop: Laptop, web1: Host) -> None:
    assert laptop.ok("info").lines.count("Firewalls: none drops") == 1
    mine = "table inet mine { chain forward { type filter hook forward priority 0; policy drop; }; }"
    web1.exec(["nft", "-f", "-"], input=mine)
    web1.agent.stop()
    web1.agent.start()
    assert seen(laptop) == [("", "inet mine forward", False)]
    assert " unknown: inet mine forward drops, and has no accept" in laptop.ok("info").lines
    assert "!inet mine forward" in laptop.ok("host", "check", "web1").stdout
    web1.exec(["nft", "delete", "table", "inet", "mine"])


def test_beside_docker(laptop: Laptop, web1: Host, web2: Host, web_archive: Path) -> None:
    """Docker drops what is forwarded if it was there first; its containers stay its own."""
    ways = Ways(laptop, web1, web2)
    web1.agent.stop()
    web1.namespace.sysctl("/proc/sys/net/ipv4/ip_forward", "0")
    socket = "unix:///run/docker.sock"
    folder = web1.namespace.folder
    command = ["dockerd", "--data-root", str(folder / "docker"), "--exec-root", "/run/docker", "-H", socket]
    with (folder / "dockerd.log").open("wb") as log:
        daemon = subprocess.Popen(
            web1.command([*command, "--pidfile", "/run/docker.pid"]), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:

        def docker(*argv: str) -> str:
            return web1.exec(["docker", "-H", socket, *argv]).stdout.strip()

        eventually("up", lambda: docker("version", "--format", "{{if .Server}}up{{end}}"))
        assert ways.open() == (False, False), "Docker must drop, else this test says nothing"
        web1.agent.start()
        eventually((True, True), ways.open)
        assert seen(laptop) == [("Docker", "ip filter DOCKER-USER", True)]
        # Not to Docker's containers by their address: only by what they publish.
        docker("load", "-i", str(web_archive))
        theirs = docker("run", "-d", "httpd:1.1")
        published = docker("run", "-d", "-p", "8201:80", "httpd:1.1")
        address = docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", theirs)
        eventually(WORKS, page, web1, address, 80)
        assert not ways.out(address, 80)
        assert ways.out(web1.address, 8201)
        web1.exec(["iptables", "-I", "DOCKER-USER", "-i", "jackstay0", "-j", "ACCEPT"])
        assert ways.out(address, 80), "an accept before Docker's rules must open it, else this test says nothing"
        # Docker makes its chain again.
        web1.exec(
            ["iptables-restore", "--noflush"], input="*filter\n-F DOCKER-USER\n-A DOCKER-USER -j RETURN\nCOMMIT\n"
        )
        eventually((True, True), ways.open)
        assert not ways.out(address, 80)
        assert len(marks(web1)) == 3
        docker("rm", "-f", theirs, published)
    finally:
        web1.exec(["sh", "-c", "kill $(cat /run/docker.pid)"])
        daemon.wait(30)
        web1.exec(["ip", "link", "del", "docker0"])
        web1.exec(["nft", "flush", "ruleset"])
        if web1.agent.find() is None:
            web1.agent.start()
