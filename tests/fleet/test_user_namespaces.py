"""``--userns auto``: a container whose root is nobody on the host, seen from inside and from the host."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.conftest import settled
from tests.lab.emptying import empty
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data

pytestmark = pytest.mark.lab

FIRST = 1 << 31
RUNTIMES = ("crun", "runc")


def restart(host: Host) -> None:
    host.agent.stop()
    host.agent.start()


@pytest.fixture(scope="module", params=RUNTIMES)
def web1(request: pytest.FixtureRequest, shared_lab: Lab, base_archive: Path) -> Iterator[Laptop]:
    """A laptop whose commands go to web1, which has ``base:1`` and one of the runtimes."""
    host = shared_lab.hosts["web1"]
    config = host.path("/etc/jackstay/jackstayd.toml")
    config.write_text(f'runtime = "{request.param}"\n')
    restart(host)
    laptop = Laptop(shared_lab)
    laptop.environment |= {"JACKSTAY_HOST": "web1"}
    laptop.ok("load", "-i", base_archive)
    yield laptop
    empty(host)
    config.write_text("")
    restart(host)
    assert settled(host) == []
    assert not list(host.path("/run/jackstay-mapped").iterdir())
    assert "-mapped" not in Path(f"/proc/{host.namespace.process.pid}/mounts").read_text()


@pytest.fixture
def host(shared_lab: Lab) -> Host:
    """The host itself."""
    return shared_lab.hosts["web1"]


def test_its_root_is_nobody_on_the_host(web1: Laptop, host: Host, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("given\n")
    mounts = ["-v", "kept:/kept", "-v", f"{tmp_path}:/bound", "-v", f"{tmp_path}/given:/file:ro", "--tmpfs", "/t"]
    web1.ok("run", "-d", "--name", "own", "--userns", "auto", *mounts, "--hostname", "box", "base:1", "sleep", "60")

    def inside(*argv: str) -> list[str]:
        return web1.ok("exec", "own", *argv).lines

    assert inside("cat", "/proc/self/uid_map")[0].split() == ["0", str(FIRST), "65536"]
    assert inside("cat", "/proc/self/gid_map")[0].split() == ["0", str(FIRST), "65536"]
    pid = data(web1.ok("--json", "inspect", "own"))[0]["State"]["Pid"]
    status = host.exec(["awk", "/^(Uid|Gid):/ { print $2, $5 }", f"/proc/{pid}/status"]).stdout
    assert status == f"{FIRST} {FIRST}\n" * 2

    script = "for at in / /kept /bound /t; do touch $at/made; chown 33:33 $at/made; stat -c '%u:%g' $at $at/made; done"
    owners = inside("sh", "-c", script)
    assert owners == ["0:0", "33:33"] * 4
    assert inside("stat", "-c", "%u", "/bin/busybox", "/etc/hosts", "/proc/1", "/dev") == ["0"] * 4
    assert inside("cat", "/file", "/etc/hostname") == ["given", "box"]
    assert inside("sh", "-c", "echo x >/file || echo no") == ["no"]
    volume = data(web1.ok("--json", "volume", "inspect", "kept"))[0]["Mountpoint"]
    made = host.exec(["stat", "-c", "%u", f"{volume}/made", str(tmp_path / "made")]).stdout.split()
    assert made == ["33", "33"]  # on disk as in any other container

    assert inside("sh", "-c", "mount -t tmpfs x /mnt 2>/dev/null || echo no") == ["no"]
    assert inside("cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start") == ["0"]
    assert "eth0" in inside("ls", "/sys/class/net")
    assert inside("ping", "-c", "1", "-W", "5", "10.88.0.1")[-2].startswith("1 packets transmitted, 1 packets received")
    web1.ok("rm", "-f", "own")


def test_what_it_leaves_is_roots(web1: Laptop, tmp_path: Path) -> None:
    make = "mkdir /made; touch /made/root /made/www; chown 33:33 /made/www; rm /etc/issue; sleep 60"
    web1.ok("run", "-d", "--name", "leaves", "--userns", "auto", "base:1", "sh", "-c", make)
    web1.ok("exec", "leaves", "sh", "-c", "until [ ! -e /etc/issue ]; do sleep 0.05; done")
    for _ in range(2):  # while it runs, and after
        web1.ok("export", "leaves", "-o", tmp_path / "tree.tar")
        with tarfile.open(fileobj=io.BytesIO((tmp_path / "tree.tar").read_bytes())) as tar:
            owners = {name: tar.getmember(name).uid for name in ("made/root", "made/www", "bin/busybox", "etc")}
        assert owners == {"made/root": 0, "made/www": 33, "bin/busybox": 0, "etc": 0}
        web1.ok("commit", "leaves", "left:1")
        look = "stat -c %u /made/root /made/www; test ! -e /etc/issue"
        assert web1.ok("run", "--rm", "left:1", "sh", "-c", look).lines == ["0", "33"]
        web1.ok("stop", "-t", "0", "leaves")
    web1.ok("start", "leaves")  # with the same ids
    assert web1.ok("exec", "leaves", "stat", "-c", "%u", "/made/www").lines == ["33"]
    web1.ok("rm", "-f", "leaves")


def test_other_flags_go_with_it(web1: Laptop) -> None:
    flags = "--userns auto:size=3000 --read-only --tmpfs /t --shm-size 5m --ipc shareable --device /dev/full:/dev/brim"
    flags += " -u www -w /made/for/it --ulimit nofile=100:200 --security-opt no-new-privileges --cap-add net_admin"
    script = (
        "touch /t/x && pwd; id -u; (echo x 2>&- >/dev/brim) || echo full; touch /x 2>&- || echo closed; ulimit -n; "
    )
    script += "df -k /dev/shm | awk 'NR == 2 { print $2 }'; stat -c %u . /dev/shm"
    lines = web1.ok("run", "--rm", *flags.split(), "base:1", "sh", "-c", script).lines
    assert lines == ["/made/for/it", "33", "full", "closed", "100", "5120", "0", "0"]

    with web1.terminal("run", "-it", "--rm", "--userns", "auto", "base:1") as terminal:
        terminal.expect("/ # ")
        terminal.type("tty; stat -c %u $(tty)\n")
        terminal.expect(r"/dev/pts/0\r\n0\r\n")
        terminal.type("exit\n")
        assert terminal.wait() == 0


def test_what_is_copied_is_roots(web1: Laptop, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("given\n")
    web1.ok("run", "-d", "--name", "copied", "--userns", "auto", "-v", "/kept", "base:1", "sleep", "60")
    web1.ok("cp", tmp_path / "given", "copied:/kept/given")
    web1.ok("cp", tmp_path / "given", "copied:/given")
    assert web1.ok("exec", "copied", "stat", "-c", "%u", "/given", "/kept/given").lines == ["0", "0"]
    web1.ok("cp", "copied:/kept/given", tmp_path / "back")
    assert (tmp_path / "back").read_text() == "given\n"
    web1.ok("rm", "-f", "-v", "copied")


def test_ranges_do_not_meet(web1: Laptop, host: Host) -> None:
    def first(*flags: str) -> list[int]:
        ran = web1.ok("exec", flags[0], "cat", "/proc/self/uid_map").stdout.split()
        return [int(ran[1]), int(ran[2])]

    for name, mode in (("low", "auto:size=1000"), ("mid", "auto"), ("top", "auto:size=1000")):
        web1.ok("run", "-d", "--name", name, "--userns", mode, "base:1", "sleep", "60")
    assert [first("low"), first("mid"), first("top")] == [[FIRST, 1000], [FIRST + 1000, 65536], [FIRST + 66536, 1000]]
    web1.ok("rm", "-f", "low")
    web1.ok("run", "-d", "--name", "low", "--userns", "auto:size=999", "base:1", "sleep", "60")
    assert first("low") == [FIRST, 999]
    restart(host)
    assert first("mid") == [FIRST + 1000, 65536]
    assert data(web1.ok("--json", "inspect", "mid"))[0]["HostConfig"]["UsernsMode"] == "auto"
    web1.ok("rm", "-f", "low", "mid", "top")


def test_what_does_not_go_with_it(web1: Laptop) -> None:
    for flags, told in [
        ("--userns mine", "--userns: invalid mode 'mine'"),
        ("--userns auto:size=0", "out of bounds"),
        ("--userns auto --privileged", "--privileged is incompatible with a user namespace"),
        ("--userns auto --network host", "the host's network namespace is incompatible"),
        ("--userns auto --pid host", "the host's process namespace is incompatible"),
        ("--userns auto:size=30 -u www", "id 33 is not among the 30 of the container's user namespace"),
    ]:
        assert told in web1.run("run", "--rm", *flags.split(), "base:1", "true").ended(125).stderr
    assert web1.ok("run", "--rm", "--userns", "host", "--privileged", "base:1", "cat", "/proc/self/uid_map").lines[
        0
    ].split() == ["0", "0", str(2**32 - 1)]
