"""The switch that joins the hosts and the laptop (this machine): a bridge in a network namespace of its own.

In a namespace of its own no firewall of the machine, such as Docker's, sees the packets.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.namespace import Namespace

LAPTOP_PORT = "laptop"


@dataclass(frozen=True, slots=True)
class LinkBytes:
    """What one host's link has carried since it was made, in bytes with Ethernet headers."""

    received: int
    sent: int

    def since(self, earlier: LinkBytes) -> LinkBytes:
        """What it has carried since ``earlier``."""
        return LinkBytes(self.received - earlier.received, self.sent - earlier.sent)


class Switch:
    """A bridge with one port a host, named like the host."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace
        # Ports that are known to be on, and those known to have no limit: after every test all are set so.
        self._on: set[str] = set()
        self._unlimited: set[str] = set()

    @classmethod
    def create(cls, folder: Path, token: str, subnet: str, lifeline: int | None) -> Switch:
        """Make it, with this machine's own address ``subnet``.254 on the interface ``jsl-<token>``."""
        namespace = Namespace.create(folder, {"kind": "switch", "name": "switch"}, lifeline)
        switch = cls(namespace)
        namespace.ip(
            "link set lo up",
            "link add bridge type bridge forward_delay 0",
            "link set bridge up",
            f"link add {LAPTOP_PORT} type veth peer name jsl-{token}",
            f"link set {LAPTOP_PORT} master bridge up",
            f"link set jsl-{token} netns {os.getpid()}",
        )
        for family in ("iptables", "ip6tables", "arptables"):
            namespace.sysctl(f"/proc/sys/net/bridge/bridge-nf-call-{family}", "0")
        for command in (
            ["addr", "add", f"{subnet}.254/24", "dev", f"jsl-{token}"],
            ["link", "set", f"jsl-{token}", "up"],
        ):
            subprocess.run(["ip", *command], check=True)
        return switch

    def plug(self, host: Namespace, name: str, address: str, mac: str) -> None:
        """Join a host: its ``eth0`` gets the address."""
        self.namespace.ip(
            f"link add {name} type veth peer name eth0 address {mac} netns {host.process.pid}",
            f"link set {name} master bridge up",
        )
        host.ip("link set lo up", f"addr add {address}/24 dev eth0", "link set eth0 up")
        self._on.add(name)
        self._unlimited.add(name)

    def power(self, name: str, on: bool) -> None:
        """Switch one port on or off, as a pulled cable does."""
        if on and name in self._on:
            return
        self._on.discard(name)
        self.namespace.ip(f"link set {name} {'up' if on else 'down'}")
        if on:
            self._on.add(name)

    def limit(self, name: str, host: Namespace, rate: str | None, delay: str | None) -> None:
        """Give both directions of one host's link a ``rate`` (as tc writes it, ``100mbit``) and a ``delay`` (``20ms``).

        Raises :class:`LabError` when a delay is asked for and this kernel has no netem.
        """
        unlimited = rate is None and delay is None
        if unlimited and name in self._unlimited:
            return
        self._unlimited.discard(name)
        for side, device in ((self.namespace, name), (host, "eth0")):
            subprocess.run(
                ["nsenter", "--target", str(side.process.pid), "--net", "tc", "qdisc", "del", "dev", device, "root"],
                capture_output=True,
            )
            if delay is not None:
                discipline = ["netem", "limit", "20000", "delay", delay, *(["rate", rate] if rate else [])]
            elif rate is not None:
                discipline = ["tbf", "rate", rate, "burst", "64kb", "latency", "50ms"]
            else:
                continue
            try:
                side.net("tc", "qdisc", "add", "dev", device, "root", *discipline)
            except subprocess.CalledProcessError as error:
                raise LabError(
                    f"{name}: this kernel cannot limit the link ({' '.join(discipline)}): {error.stderr}"
                ) from error
        if unlimited:
            self._unlimited.add(name)

    def link_bytes(self, name: str) -> LinkBytes:
        """The counters of a host's link, from the host's point of view."""
        (link,) = json.loads(self.namespace.net("ip", "-json", "-statistics", "link", "show", "dev", name))
        stats = link["stats64"]
        return LinkBytes(received=stats["tx"]["bytes"], sent=stats["rx"]["bytes"])


def remove_laptop_interface(token: str) -> None:
    """Remove this machine's interface to the switch, when it is there."""
    subprocess.run(["ip", "link", "delete", f"jsl-{token}"], capture_output=True)


def free_subnet(candidates: list[str]) -> str:
    """The first of ``candidates`` ("10.201.7") that no route of this machine touches. Raises :class:`LabError`."""
    taken = subprocess.run(
        ["ip", "-4", "route", "show", "table", "all"], check=True, capture_output=True, text=True
    ).stdout
    networks = set(re.findall(r"\b(\d+\.\d+\.\d+)\.\d+", taken))
    for candidate in candidates:
        if candidate not in networks:
            return candidate
    raise LabError("no free network in 10.200.0.0 to 10.254.255.0")
