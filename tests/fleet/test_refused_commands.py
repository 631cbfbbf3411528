"""What a host must refuse: names and ports taken, images and commands that are not there, a full disk."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.archives import write_archive
from tests.lab.emptying import leftovers
from tests.lab.images import synthetic
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, Ran, data

pytestmark = pytest.mark.lab


def error(ran: Ran, host: str = "web1") -> str:
    """The one error line, which names the host."""
    (line,) = [line for line in ran.stderr.splitlines() if line.startswith("Error: ")]
    assert host in line, ran
    assert "Traceback" not in ran.stderr, ran
    return line


def containers(laptop: Laptop) -> list[str]:
    return [row["Names"] for row in data(laptop.ok("-H", "web1", "--json", "ps", "-a"))]


@pytest.fixture
def loaded(lab: Lab, laptop: Laptop, base_archive: Path) -> Laptop:
    """The laptop, with ``base:1`` on web1."""
    laptop.ok("-H", "web1", "load", "-i", base_archive)
    return laptop


def test_an_image_that_is_not_there(loaded: Laptop) -> None:
    ran = loaded.run("-H", "web1", "run", "-d", "none:1").ended(125)
    assert "none:1" in error(ran)
    assert "none:1" in error(loaded.run("-H", "web1", "rmi", "none:1").ended(1))
    assert "none:1" in error(loaded.run("-H", "web1", "save", "-o", "/dev/null", "none:1").ended(1))
    assert "none:1" in error(loaded.run("copy", "web1::none:1", "web2::").ended(1))
    assert containers(loaded) == []


def test_a_name_that_is_taken(loaded: Laptop) -> None:
    loaded.ok("-H", "web1", "run", "-d", "--name", "taken", "base:1", "sleep", "60")
    line = error(loaded.run("-H", "web1", "run", "-d", "--name", "taken", "base:1", "sleep", "60").ended(125))
    assert "taken" in line
    assert containers(loaded) == ["taken"]


def test_a_port_that_is_taken_by_a_container(loaded: Laptop) -> None:
    loaded.ok("-H", "web1", "run", "-d", "--name", "first", "-p", "8080:80", "base:1", "sleep", "60")
    ran = loaded.run("-H", "web1", "run", "-d", "--name", "second", "-p", "8080:80", "base:1", "sleep", "60")
    assert "8080" in error(ran.ended(125))
    states = {row["Names"]: row["State"] for row in data(loaded.ok("-H", "web1", "--json", "ps", "-a"))}
    assert states.pop("first") == "running"
    assert set(states.values()) <= {"created"}  # docker keeps it too, to be started once the port is free


def test_a_port_that_is_taken_by_a_program_of_the_host(lab: Lab, loaded: Laptop) -> None:
    host = lab.hosts["web1"]
    listen = "import socket, time; s = socket.socket(); s.bind(('0.0.0.0', 8081)); s.listen(); time.sleep(60)"
    begin = 'exec >/dev/null 2>&1 </dev/null; echo $$ >/run/listener.pid; exec "$@"'
    host.exec(["setsid", "--fork", "sh", "-c", begin, "sh", sys.executable, "-c", listen])
    while ":8081" not in host.exec(["ss", "-ltn"]).stdout:
        time.sleep(0.02)
    try:
        ran = loaded.run("-H", "web1", "run", "-d", "-p", "8081:80", "base:1", "sleep", "60")
        assert "8081" in error(ran.ended(125))
    finally:
        host.exec(["sh", "-c", "kill $(cat /run/listener.pid)"])


@pytest.mark.parametrize(
    ("command", "code"), [("/no/such/program", 127), ("no-such-program", 127), ("/etc/passwd", 126), ("/etc", 126)]
)
def test_a_command_that_cannot_run(loaded: Laptop, command: str, code: int) -> None:
    ran = loaded.run("-H", "web1", "run", "--rm", "base:1", command).ended(code)
    assert command in error(ran)
    assert containers(loaded) == []
    loaded.ok("-H", "web1", "run", "-d", "--name", "main", "base:1", "sleep", "60")
    assert loaded.run("-H", "web1", "exec", "main", command).code == code


def test_a_container_that_is_not_there(loaded: Laptop) -> None:
    for verb in ("start", "stop", "kill", "rm", "logs", "wait"):
        assert "nobody" in error(loaded.run("-H", "web1", verb, "nobody").ended(125 if verb == "wait" else 1)), verb


@pytest.fixture(scope="module")
def small_lab() -> Iterator[Lab]:
    """A host whose state is on a disk of 48 MB, and another one."""
    with Lab(2, state_size="48m") as lab:
        yield lab


def test_a_full_disk(small_lab: Lab, base_archive: Path, tmp_path: Path) -> None:
    laptop = Laptop(small_lab)
    archive = write_archive(tmp_path / "big.tar", [synthetic(tmp_path, 60_000_000)])
    line = error(laptop.run("-H", "web1", "load", "-i", archive).ended(1))
    assert "space" in line or "full" in line
    assert laptop.ok("-H", "web1", "images", "-a", "-q").stdout == ""

    # What was half received gives way to the next one, and everything works again.
    laptop.ok("-H", "web1", "load", "-i", base_archive)
    assert laptop.ok("-H", "web1", "run", "--rm", "base:1", "echo", "alive").stdout == "alive\n"


def test_a_disk_that_fills_while_unpacking(small_lab: Lab, tmp_path: Path) -> None:
    """The blob fits, the layer beside it does not."""
    laptop = Laptop(small_lab)
    host = small_lab.hosts["web2"]
    archive = write_archive(tmp_path / "big.tar", [synthetic(tmp_path, 30_000_000)])
    line = error(laptop.run("-H", "web2", "load", "-i", archive).ended(1), "web2")
    assert "space" in line or "full" in line
    assert laptop.ok("-H", "web2", "images", "-a", "-q").stdout == ""
    assert [left for left in leftovers(host) if "/blobs/" not in left] == []


def test_a_container_that_fills_the_disk_harms_nobody_else(small_lab: Lab, base_archive: Path) -> None:
    laptop = Laptop(small_lab)
    laptop.ok("-H", "web1", "load", "-i", base_archive)
    fill = laptop.run("-H", "web1", "run", "--name", "greedy", "base:1", "dd", "if=/dev/zero", "of=/fill", "bs=1M")
    assert fill.code == 1
    assert "No space left" in fill.stderr
    assert data(laptop.ok("-H", "web1", "--json", "ps", "-a"))[0]["Names"] == "greedy"
    laptop.ok("-H", "web1", "rm", "greedy")
    assert laptop.ok("-H", "web1", "run", "--rm", "base:1", "echo", "alive").stdout == "alive\n"
