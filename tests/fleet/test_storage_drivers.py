"""An agent on each storage driver, with containers: on btrfs from a file, on copies, on overlay.

The hosts are this file's own, since a host keeps its driver as long as it has layers.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.archives import write_archive
from tests.lab.emptying import empty, leftovers
from tests.lab.host import Host
from tests.lab.images import Image, busybox_base
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data
from tests.lab.layer import Layer

pytestmark = pytest.mark.lab

DRIVERS = {"web1": "overlay", "web2": "btrfs", "web3": "vfs"}
STATE = "/var/lib/jackstay"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three hosts, each with another driver."""
    image = tmp_path_factory.mktemp("btrfs") / "image"
    with Lab(3, forked=True) as lab:
        for name, driver in DRIVERS.items():
            host = lab.hosts[name]
            if driver == "btrfs":
                host.agent.stop()
                with image.open("wb") as file:
                    file.truncate(512 << 20)
                subprocess.run(["mkfs.btrfs", "-q", image], check=True, stdout=subprocess.DEVNULL)
                on(host, "mount", "-o", "loop", str(image), STATE)
            configure(host, driver)
        yield lab


@pytest.fixture
def laptop(lab: Lab) -> Iterator[Laptop]:
    """Where the commands are typed; the hosts are empty before and after."""
    yield Laptop(lab)
    for host in lab.hosts.values():
        empty(host)
        assert leftovers(host) == []


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base with a layer that replaces files by folders and back, and takes away what is below."""
    folder = tmp_path_factory.mktemp("image")
    base = busybox_base(folder)
    with Layer(folder / "turn.tar") as layer:
        layer.folder("turn")
        layer.file("turn/file", "a file\n")
        layer.folder("turn/folder")
        layer.file("turn/folder/in", "in a folder\n")
    with Layer(folder / "turned.tar") as layer:
        layer.folder("turn")
        layer.folder("turn/file")
        layer.file("turn/file/in", "in what was a file\n")
        layer.file("turn/folder", "what was a folder\n")
    image = Image("turned:1", (*base.layers, folder / "turn.tar", folder / "turned.tar"), base.config)
    return write_archive(folder / "turned.archive", [image])


def on(host: Host, *argv: str) -> str:
    """Run it on the host; its output."""
    ran = host.exec(argv)
    assert ran.returncode == 0, ran
    return ran.stdout


def configure(host: Host, driver: str) -> None:
    """Let the host's agent run on *driver*; "" lets it choose."""
    host.agent.stop()
    host.path("/etc/jackstay/jackstayd.toml").write_text(f'storage_driver = "{driver}"\n')
    host.agent.start()


def used(host: Host) -> int:
    """Bytes that the layers take, by the filesystem for a btrfs, which frees what is deleted some time later."""
    if DRIVERS[host.name] != "btrfs":
        return int(on(host, "du", "-s", "-B1", f"{STATE}/layers").split()[0])
    on(host, "btrfs", "filesystem", "sync", STATE)
    on(host, "btrfs", "subvolume", "sync", STATE)
    told = on(host, "btrfs", "filesystem", "df", "--raw", STATE)
    return sum(int(number) for number in re.findall(r"^Data, \w+: total=\d+, used=(\d+)", told, re.MULTILINE))


def on_all(laptop: Laptop, *argv: str) -> list[str]:
    """What a command prints, which must be the same on all hosts, and so is shown once."""
    lines = laptop.ok("-H", "@web", *argv).lines
    assert "web[1-3] (3)" in lines[1], lines
    return lines[3:]


def test_a_life_of_an_image(lab: Lab, laptop: Laptop, archive: Path, tmp_path: Path) -> None:
    begin = {name: used(lab.hosts[name]) for name in DRIVERS}
    laptop.ok("-H", "@web", "load", "-i", archive)
    look = "ls /etc /etc/drafts; cat /turn/file/in /turn/folder"
    assert on_all(laptop, "run", "--rm", "turned:1", "sh", "-c", look) == [
        "/etc:", "drafts", "group", "hostname", "hosts", "issue", "issue.net", "passwd", "resolv.conf",
        "", "/etc/drafts:", "new", "in what was a file", "what was a folder",
    ]  # fmt: skip
    change = "echo new >/etc/new; rm /etc/issue; rm -r /turn/file; echo file >/turn/file; mkdir /sub; chmod 700 /sub"
    laptop.ok("-H", "@web", "run", "--name", "changes", "turned:1", "sh", "-c", change)
    laptop.ok("-H", "@web", "commit", "changes", "changed:1")
    look = "cat /etc/new /turn/file; stat -c %a /sub; ls /etc/issue* 2>/dev/null"
    assert on_all(laptop, "run", "--rm", "changed:1", "sh", "-c", look) == ["new", "file", "700", "/etc/issue.net"]
    laptop.ok("-H", "@web", "system", "check")
    for name in DRIVERS:
        laptop.ok("-H", name, "save", "-o", tmp_path / f"{name}.tar", "changed:1")
    laptop.ok("-H", "@web", "rm", "--yes", "changes")
    laptop.ok("-H", "@web", "rmi", "--yes", "changed:1", "turned:1")
    deadline = time.monotonic() + 20
    for name, before in begin.items():
        # One copy of the image's program is 2 MB. The database is on the btrfs, too, and leaves old extents there.
        bound = 1 << 20 if DRIVERS[name] == "btrfs" else 64 << 10
        while (left := used(lab.hosts[name]) - before) > bound and time.monotonic() < deadline:
            time.sleep(0.2)
        assert left <= bound, name
        assert on(lab.hosts[name], "ls", f"{STATE}/layers/snapshots") == ""
    assert on(lab.hosts["web2"], "btrfs", "subvolume", "list", STATE) == ""
    for name, other in (("web1", "web2"), ("web2", "web3"), ("web3", "web1")):
        laptop.ok("-H", other, "load", "-i", tmp_path / f"{name}.tar")
    assert on_all(laptop, "run", "--rm", "changed:1", "cat", "/turn/file") == ["file"]


def test_a_container_outlives_its_agent(lab: Lab, laptop: Laptop, archive: Path) -> None:
    laptop.ok("-H", "@web", "load", "-i", archive)
    laptop.ok("-H", "@web", "run", "-d", "--name", "sleeps", "turned:1", "sleep", "100")
    for host in lab.hosts.values():
        host.agent.kill()
        host.agent.start()
    assert on_all(laptop, "exec", "sleeps", "cat", "/turn/folder") == ["what was a folder"]
    laptop.ok("-H", "@web", "rm", "--yes", "-f", "sleeps")


def test_as_many_layers_as_an_image_may_have(lab: Lab, laptop: Laptop, tmp_path: Path) -> None:
    """On overlay, which takes one page of options; the contract suite mounts as many on each."""
    base = busybox_base(tmp_path)
    layers = list(base.layers)
    for number in range(127 - len(layers)):
        with Layer(tmp_path / f"{number}.tar") as layer:
            layer.folder("many")
            layer.file(f"many/{number}", str(number))
            if number % 2:
                layer.whiteout(f"many/{number - 1}")
        layers.append(layer.path)
    archive = write_archive(tmp_path / "many.archive", [Image("many:1", tuple(layers), base.config)])
    laptop.ok("-H", "web1", "load", "-i", archive)
    assert laptop.ok("-H", "web1", "run", "--rm", "many:1", "sh", "-c", "ls /many | wc -l").stdout == "62\n"


def test_info_says_which_driver_and_why(lab: Lab, laptop: Laptop, archive: Path) -> None:
    for name, driver in DRIVERS.items():
        told = data(laptop.ok("-H", "@web", "--json", "info"), name)[0]
        assert told["Driver"] == driver
        assert dict(told["DriverStatus"])["Chosen because"]
    lines = laptop.ok("-H", "web2", "info").lines
    at = lines.index("Storage Driver: btrfs")
    assert lines[at + 1] == " Backing Filesystem: btrfs"
    assert lines[at + 2].startswith(" Chosen because: ")


def test_another_driver_than_that_of_the_layers_is_refused(lab: Lab, laptop: Laptop, archive: Path) -> None:
    laptop.ok("-H", "web3", "load", "-i", archive)
    host = lab.hosts["web3"]
    host.agent.stop()
    config = host.path("/etc/jackstay/jackstayd.toml")
    config.write_text('storage_driver = "overlay"\n')
    host.agent.start(wait=None)
    assert host.agent.wait(20) == 1
    assert "layers of this host were made with vfs" in host.log_text()
    config.write_text("")
    host.agent.start()
    told = data(laptop.ok("-H", "web3", "--json", "info"))[0]
    assert (told["Driver"], dict(told["DriverStatus"])["Chosen because"]) == (
        "vfs", "the layers that are here were made with it",
    )  # fmt: skip
    assert laptop.ok("-H", "web3", "run", "--rm", "turned:1", "true").stdout == ""
