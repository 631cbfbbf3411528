"""Two hosts of a file's own, with IPv6 addresses, and how to ask from them what is reached."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fleet.conftest import settled
from tests.lab.emptying import empty
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop

FD1, FD2 = "fd07::1", "fd07::2"

WORKS = "It works!\n"
"""What the web server of ``httpd:1.1`` says."""


@contextmanager
def two_hosts(*archives: Path) -> Iterator[Lab]:
    """web1 and web2; web1 has the images of *archives*, and in the end nothing of the tests."""
    with Lab(2, forked=True) as lab:
        for name, address in (("web1", FD1), ("web2", FD2)):
            lab.hosts[name].namespace.ip(f"addr add {address}/64 dev eth0 nodad")
        for archive in archives:
            Laptop(lab).ok("-H", "web1", "load", "-i", archive)
        yield lab
        empty(lab.hosts["web1"])
        assert settled(lab.hosts["web1"]) == []


@contextmanager
def at_web1(lab: Lab) -> Iterator[Laptop]:
    """A laptop whose commands go to web1; the containers that a test leaves are removed."""
    laptop = Laptop(lab)
    laptop.environment["JACKSTAY_HOST"] = "web1"
    yield laptop
    if names := laptop.ok("ps", "-aq").lines:
        laptop.ok("rm", "-f", *names)


def page(host: Host, address: str, port: int, patience: float = 5) -> str:
    """What a web server says to *host*."""
    place = f"[{address}]" if ":" in address else address
    return host.exec(["curl", "-gs", "--noproxy", "*", "-m", str(patience), f"http://{place}:{port}/"]).stdout


def python(host: Host, program: str) -> str:
    """What a program prints on *host*, where it must succeed."""
    ran = host.exec([sys.executable, "-c", "import socket\n" + program])
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def eventually(said: object, ask: object, *arguments: object) -> None:
    """Ask until the answer is *said*."""
    deadline = time.monotonic() + 10
    assert callable(ask)
    while (answer := ask(*arguments)) != said:
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)
