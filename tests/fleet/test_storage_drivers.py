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
    with Lab(3) as lab:
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
    """Bytes of the layers' files, by the filesystem for a btrfs, which frees what is deleted some time later."""
    if DRIVERS[host.name] == "btrfs":
        on(host, "btrfs", "filesystem", "sync", STATE)
        on(host, "btrfs", "subvolume", "sync", STATE)
        return int(
            re.search(
                r"^Data, \w+: total=\S+, used=(\d+)", on(host, "btrfs", "filesystem", "df", "--raw", STATE), re.M
            )[1]
        )  # type: ignore[index]
    return int(on(host, "du", "-s", "-B1", f"{STATE}/layers").split()[0])


@pytest.mark.parametrize("name", DRIVERS)
def test_a_life_of_an_image(lab: Lab, laptop: Laptop, archive: Path, name: str, tmp_path: Path) -> None:
    host = lab.hosts[name]
    begin = used(host)
    laptop.ok("-H", name, "load", "-i", archive)
    shown = laptop.ok(
        "-H", name, "run", "--rm", "turned:1", "sh", "-c", "ls /etc /etc/drafts; cat /turn/file/in /turn/folder"
    )
    assert shown.lines == [
        "/etc:", "drafts", "group", "hostname", "hosts", "issue", "issue.net", "passwd", "resolv.conf",
        "", "/etc/drafts:", "new", "in what was a file", "what was a folder",
    ]  # fmt: skip
    change = "echo new >/etc/new; rm /etc/issue; rm -r /turn/file; echo file >/turn/file; mkdir /sub; chmod 700 /sub"
    laptop.ok("-H", name, "run", "--name", "changes", "turned:1", "sh", "-c", change)
    laptop.ok("-H", name, "commit", "changes", "changed:1")
    look = "cat /etc/new /turn/file; ls -ld /sub; ls /etc/issue* 2>/dev/null"
    shown = laptop.ok("-H", name, "run", "--rm", "changed:1", "sh", "-c", look)
    assert [line.split()[0] for line in shown.lines] == ["new", "file", "drwx------", "/etc/issue.net"]
    laptop.ok("-H", name, "save", "-o", tmp_path / "saved.tar", "changed:1")
    laptop.ok("-H", name, "rm", "changes")
    laptop.ok("-H", name, "rmi", "changed:1", "turned:1")
    deadline = time.monotonic() + 20
    while (left := used(host) - begin) > 64 << 10 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left <= 64 << 10
    other = next(each for each in DRIVERS if each != name)
    laptop.ok("-H", other, "load", "-i", tmp_path / "saved.tar")
    assert laptop.ok("-H", other, "run", "--rm", "changed:1", "cat", "/turn/file").stdout == "file\n"


@pytest.mark.parametrize("name", DRIVERS)
def test_a_container_outlives_its_agent(lab: Lab, laptop: Laptop, archive: Path, name: str) -> None:
    laptop.ok("-H", name, "load", "-i", archive)
    laptop.ok("-H", name, "run", "-d", "--name", "sleeps", "turned:1", "sleep", "100")
    lab.hosts[name].agent.kill()
    lab.hosts[name].agent.start()
    assert laptop.ok("-H", name, "exec", "sleeps", "cat", "/turn/folder").stdout == "what was a folder\n"
    laptop.ok("-H", name, "rm", "-f", "sleeps")


def test_as_many_layers_as_an_image_may_have(lab: Lab, laptop: Laptop, tmp_path: Path) -> None:
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
    laptop.ok("-H", "@web", "load", "-i", archive)
    laptop.ok("-H", "@web", "run", "--name", "many", "many:1", "sh", "-c", "ls /many | wc -l")
    assert [laptop.ok("-H", name, "logs", "many").stdout for name in DRIVERS] == ["62\n"] * 3


def test_info_says_which_driver_and_why(lab: Lab, laptop: Laptop, archive: Path) -> None:
    for name, driver in DRIVERS.items():
        configure(lab.hosts[name], driver)
        told = data(laptop.ok("-H", name, "--json", "info"))[0]
        assert told["Driver"] == driver
        assert dict(told["DriverStatus"])["Chosen because"] == f"storage_driver = {driver!r} is configured"
    lines = laptop.ok("-H", "web2", "info").lines
    at = lines.index("Storage Driver: btrfs")
    assert lines[at + 1] == " Backing Filesystem: btrfs"
    laptop.ok("-H", "web3", "load", "-i", archive)
    configure(lab.hosts["web3"], "")
    told = data(laptop.ok("-H", "web3", "--json", "info"))[0]
    assert (told["Driver"], dict(told["DriverStatus"])["Chosen because"]) == (
        "vfs", "the layers that are here were made with it",
    )  # fmt: skip
    empty(lab.hosts["web3"])
    configure(lab.hosts["web3"], "")
    told = data(laptop.ok("-H", "web3", "--json", "info"))[0]
    assert (told["Driver"], dict(told["DriverStatus"])["Chosen because"]) == (
        "overlay", "it works here and is the first choice",
    )  # fmt: skip
    configure(lab.hosts["web3"], "vfs")


def test_another_driver_than_that_of_the_layers_is_refused(lab: Lab, laptop: Laptop, archive: Path) -> None:
    laptop.ok("-H", "web1", "load", "-i", archive)
    host = lab.hosts["web1"]
    host.agent.stop()
    config = host.path("/etc/jackstay/jackstayd.toml")
    config.write_text('storage_driver = "vfs"\n')
    host.agent.start(wait=None)
    assert host.agent.wait(20) == 1
    assert "layers of this host were made with overlay" in host.log_text()
    config.write_text('storage_driver = "overlay"\n')
    host.agent.start()
    assert laptop.ok("-H", "web1", "run", "--rm", "turned:1", "true").stdout == ""
