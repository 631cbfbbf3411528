"""Three hosts for all tests of this folder, and images. A test finds the hosts empty, up and joined."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.archives import write_archive
from tests.lab.emptying import empty, leftovers
from tests.lab.host import Host
from tests.lab.images import Image, busybox_base, busybox_web
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop


@pytest.fixture(scope="session")
def shared_lab() -> Iterator[Lab]:
    """The hosts, as the last test has left them: use ``lab``. web1 and web2 run crun, web3 runs runc."""
    with Lab(3, runtimes={"web3": "runc"}, forked=True) as lab:
        yield lab


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    """Three hosts with nothing on them; what a test leaves on them is removed."""
    yield shared_lab
    for host in shared_lab.hosts.values():
        host.switch_on()
        host.limit()
        if host.agent.find() is None:
            host.agent.start()
        empty(host)
    left = [f"{host.name}: {line}" for host in shared_lab.hosts.values() for line in settled(host)]
    assert not left, "left behind:\n" + "\n".join(left)


@pytest.fixture
def laptop(lab: Lab) -> Laptop:
    """Where ``jackstay`` is typed."""
    return Laptop(lab)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """``base:1``: a shell and its tools, three layers."""
    return busybox_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """``httpd:1.1``: the base and a web server on port 80."""
    return busybox_web(tmp_path_factory.mktemp("web"))


@pytest.fixture(scope="session")
def base_archive(base: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``base:1`` as docker saves it."""
    return write_archive(tmp_path_factory.mktemp("archive") / "base.tar", [base])


@pytest.fixture(scope="session")
def web_archive(web: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``httpd:1.1`` as docker saves it."""
    return write_archive(tmp_path_factory.mktemp("archive") / "web.tar", [web])


def settled(host: Host) -> list[str]:
    """What is left on a host once processes that are ending have ended."""
    deadline = time.monotonic() + 10
    while (left := leftovers(host)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
