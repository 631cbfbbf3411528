"""cp between the laptop and containers, through the command line, on real agents; what hostile containers try, too."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.conftest import settled
from tests.lab.emptying import empty
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.laptop import JACKSTAY, Laptop

pytestmark = pytest.mark.lab

FLIP = """
mkdir -p /real /away
while :; do ln -sfn /real /flip; ln -sfn / /flip; ln -sfn ../../../../../.. /flip; done
"""


@pytest.fixture(scope="module")
def web1(shared_lab: Lab, base_archive: Path) -> Iterator[Laptop]:
    """A laptop whose commands go to web1; there runs ``app``, with a volume, memory, and a read-only bind; ``idle`` is
    one that never ran, ``locked`` has a read-only root."""
    laptop = Laptop(shared_lab)
    laptop.environment |= {"JACKSTAY_HOST": "web1"}
    laptop.ok("-H", "web[1-2]", "load", "-i", base_archive)
    mounts = ["-v", "data:/data", "--tmpfs", "/memory", "-v", "/etc/ssh:/bound:ro"]
    laptop.ok("-H", "web[1-2]", "run", "-d", "--name", "app", *mounts, "base:1", "sleep", "600")
    laptop.ok("create", "--name", "idle", "-v", "idle:/data", "-v", "/etc/ssh:/bound:ro", "base:1")
    laptop.ok("run", "-d", "--name", "locked", "--read-only", "-v", "/data", "base:1", "sleep", "600")
    yield laptop
    for name in ("web1", "web2"):
        empty(shared_lab.hosts[name])
        assert settled(shared_lab.hosts[name]) == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with everything that a file can be."""
    top = tmp_path / "tree"
    (top / "inner").mkdir(parents=True)
    (top / "file").write_bytes(b"content\n")
    (top / "inner/linked").write_bytes(b"x" * 300_000)
    os.link(top / "inner/linked", top / "inner/other")
    (top / "link").symlink_to("/etc/passwd")
    (top / "empty").mkdir(mode=0o700)
    os.mkfifo(top / "pipe")
    (top / "file").chmod(0o640)
    os.chown(top / "file", 1234, 4321)
    os.setxattr(top / "file", "user.note", b"kept")
    (top / os.fsdecode(b"odd\xff")).write_bytes(b"odd")
    os.utime(top / "file", (1_600_000_000, 1_600_000_000))
    return top


def facts(top: Path) -> dict[str, tuple[object, ...]]:
    """What is below *top*, path by path."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(top.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        target = os.readlink(path) if path.is_symlink() else ""
        found[os.fspath(path.relative_to(top))] = (status.st_mode, status.st_nlink, status.st_mtime_ns, content, target)
    return found


@pytest.mark.parametrize("container", ["app", "idle"])
def test_a_tree_there_and_back(web1: Laptop, tree: Path, tmp_path: Path, container: str) -> None:
    for place in ("/there", "/data/there"):
        ran = web1.ok("cp", tree, f"{container}:{place}")
        assert ran.stdout == ""
        assert f"to {container}:{place}" in ran.stderr
        assert ran.stderr.startswith("Successfully copied ")
        back = tmp_path / f"back{place.replace('/', '-')}"
        assert web1.ok("cp", "-q", f"{container}:{place}", back).stderr == ""
        assert facts(back) == facts(tree)


def test_owners(web1: Laptop, tree: Path, tmp_path: Path) -> None:
    web1.ok("cp", tree / "file", "app:/owned")
    web1.ok("cp", "-a", tree / "file", "app:/owned-as-here")
    told = web1.ok("exec", "app", "stat", "-c", "%u:%g %a %Y", "/owned", "/owned-as-here").lines
    assert told == ["0:0 640 1600000000", "1234:4321 640 1600000000"]
    web1.ok("cp", "app:/owned-as-here", tmp_path / "mine")
    web1.ok("cp", "-a", "app:/owned-as-here", tmp_path)
    assert [(tmp_path / name).stat().st_uid for name in ("mine", "owned-as-here")] == [os.geteuid(), 1234]
    assert os.getxattr(tmp_path / "mine", "user.note") == b"kept"


def test_the_four_cases(web1: Laptop, tree: Path, tmp_path: Path) -> None:
    web1.ok(
        "exec",
        "app",
        "sh",
        "-c",
        "mkdir -p /case/dir && echo old > /case/file && ln -s dir /case/to-dir && ln -s new /case/to-new",
    )
    file = tree / "file"
    web1.ok("cp", file, "app:/case/dir")
    web1.ok("cp", file, "app:/case/file")
    web1.ok("cp", file, "app:/case/called")
    web1.ok("cp", file, "app:case/to-new")
    web1.ok("cp", tree / "inner", "app:/case/dir/")
    web1.ok("cp", tree / "inner", "app:/case/fresh")
    web1.ok("cp", f"{tree / 'inner'}/.", "app:/case/to-dir")
    script = "cat /case/dir/file /case/file /case/called /case/new; ls /case/dir /case/dir/inner /case/fresh"
    told = web1.ok("exec", "app", "sh", "-c", script).lines
    assert told[:4] == ["content"] * 4
    assert " ".join(told[4:]) == (
        "/case/dir: file inner linked other  /case/dir/inner: linked other  /case/fresh: linked other"
    )


def test_what_has_nowhere_to_go(web1: Laptop, tree: Path, tmp_path: Path) -> None:
    file = tree / "file"
    web1.ok("exec", "app", "sh", "-c", "mkdir -p /refuse/dir && echo > /refuse/file")
    for arguments, told in (
        ((tree, "app:/refuse/file"), "cannot copy directory"),
        ((file, "app:/refuse/none/"), "no such directory"),
        ((file, "app:/none/at/all"), "Could not find the file /none/at"),
        ((tmp_path / "none", "app:/"), "no such file or directory"),
        ((file, "none:/x"), "no such container: none"),
        ((file, "app:/dev/null"), "must be a directory or a regular file"),
        (("app:/refuse/none", tmp_path), "Could not find the file /refuse/none"),
        (("app:/refuse/dir", file), "cannot copy directory"),
        (("app:/refuse/file", f"{tmp_path}/no/where"), "no such file or directory"),
        (("app:/refuse/file/", tmp_path), "not a directory"),
    ):
        assert told in web1.run("cp", *arguments).ended(1).stderr
    assert "must specify at least one container" in web1.run("cp", "a", "./b:c").ended(2).stderr
    assert "between containers is not supported" in web1.run("cp", "app:/a", "idle:/b").ended(2).stderr


def test_folders_and_files_do_not_replace_each_other(web1: Laptop, tree: Path, tmp_path: Path) -> None:
    file = tree / "file"
    web1.ok("exec", "app", "sh", "-c", "mkdir -p /kinds/file /kinds/inner2; echo > /kinds/inner")
    assert "cannot overwrite directory" in web1.run("cp", file, "app:/kinds").ended(1).stderr
    clash = tmp_path / "clash"
    clash.mkdir()
    (clash / "a").write_bytes(b"x")
    with open(clash / "large", "wb") as large:  # the error comes while much is still to be sent
        large.truncate(64 << 20)
    web1.ok("exec", "app", "mkdir", "-p", "/kinds/clash/a")
    assert "cannot overwrite directory" in web1.run("cp", clash, "app:/kinds").ended(1).stderr
    assert "cannot overwrite non-directory" in web1.run("cp", tree / "inner", "app:/kinds").ended(1).stderr


def test_out_of_a_container(web1: Laptop, tmp_path: Path) -> None:
    web1.ok(
        "exec",
        "app",
        "sh",
        "-c",
        "mkdir -p /out/dir && echo 1 > /out/dir/a && ln -s dir/a /out/link && echo m > /memory/m",
    )
    web1.ok("cp", "app:/out/dir", tmp_path)
    web1.ok("cp", "app:/out/dir/.", tmp_path / "fresh")
    web1.ok("cp", "app:/out/link", tmp_path)
    web1.ok("cp", "-L", "app:/out/link", tmp_path / "followed")
    web1.ok("container", "cp", "app:/memory/m", tmp_path)
    web1.ok("cp", "app:/bound/sshd_config", tmp_path)
    web1.ok("cp", "idle:/bound/sshd_config", tmp_path / "idle")
    assert (tmp_path / "dir/a").read_bytes() == (tmp_path / "fresh/a").read_bytes() == b"1\n"
    assert os.readlink(tmp_path / "link") == "dir/a"
    assert (tmp_path / "followed").read_bytes() == b"1\n"
    assert (tmp_path / "m").read_bytes() == b"m\n"
    assert (tmp_path / "idle").read_bytes() == (tmp_path / "sshd_config").read_bytes()
    assert "works on one host" in web1.run("-H", "web[1-2]", "cp", "app:/out/dir", tmp_path).ended(2).stderr


def test_archives_on_standard_streams(web1: Laptop, tree: Path) -> None:
    out = subprocess.run(
        [JACKSTAY, "cp", "app:/etc/passwd", "-"], capture_output=True, env=web1.environment, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(out.stdout)) as tar:
        assert tar.getnames() == ["passwd"]
    for compression in ("", "gz"):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode=f"w:{compression}") as tar:
            tar.add(tree / "file", f"streamed{compression}/deep/file")
        web1.run("-H", "web[1-2]", "cp", "-", "app:/", input=packed.getvalue()).ok()
        for host in ("web1", "web2"):
            assert web1.ok("-H", host, "exec", "app", "cat", f"/streamed{compression}/deep/file").stdout == "content\n"
    assert "must be a directory" in web1.run("cp", "-", "app:/etc/passwd", input=packed.getvalue()).ended(1).stderr
    cut = packed.getvalue()[:100]
    assert web1.run("cp", "-", "app:/", input=cut).code == 1


def test_several_hosts_at_once(web1: Laptop, tree: Path) -> None:
    ran = web1.ok("-H", "web[1-2]", "cp", tree, "app:/everywhere")
    assert [line.partition(":")[0] for line in ran.stderr.splitlines()] == ["web1", "web2"]
    listed = web1.ok("-H", "web[1-2]", "--json", "cp", tree / "file", "app:/everywhere/again")
    assert [(each["host"], each["data"][0]["Path"]) for each in listed.json] == [
        ("web1", "app:/everywhere/again"),
        ("web2", "app:/everywhere/again"),
    ]
    for host in ("web1", "web2"):
        assert web1.ok("-H", host, "exec", "app", "cat", "/everywhere/again").stdout == "content\n"


def test_what_is_read_only_refuses(web1: Laptop, tree: Path) -> None:
    for destination in ("locked:/etc", "app:/bound", "idle:/bound"):
        assert "is read-only in the container" in web1.run("cp", tree / "file", destination).ended(1).stderr
    web1.ok("cp", tree / "file", "locked:/data")
    assert web1.ok("exec", "locked", "cat", "/data/file").stdout == "content\n"
    web1.ok("create", "--name", "locked-too", "--read-only", "base:1")
    assert "is read-only in the container" in web1.run("cp", tree / "file", "locked-too:/etc").ended(1).stderr


def test_progress_on_a_terminal_and_events(web1: Laptop, tmp_path: Path) -> None:
    with open(tmp_path / "large", "wb") as file:
        file.truncate(64 << 20)
    with web1.terminal("cp", tmp_path / "large", "app:/memory") as terminal:
        terminal.expect(r"all hosts.*MB")
        terminal.expect("Successfully copied 67.1MB to app:/memory")
        assert terminal.wait() == 0
    web1.ok("cp", "-q", "app:/memory/large", tmp_path / "back")
    assert (tmp_path / "back").stat().st_size == 64 << 20
    told = web1.ok("events", "--since", "10m", "--until", "0s", "--format", "{{.Action}}").lines
    assert told[-2:] == ["extract-to-dir", "archive-path"]


def test_a_paused_container(web1: Laptop, tree: Path, tmp_path: Path) -> None:
    web1.ok("pause", "app")
    try:
        web1.ok("cp", tree / "file", "app:/data/paused")
        web1.ok("cp", "app:/data/paused", tmp_path)
    finally:
        web1.ok("unpause", "app")
    assert (tmp_path / "paused").read_bytes() == b"content\n"


def test_a_container_whose_root_is_nobody_on_the_host(web1: Laptop, tree: Path, tmp_path: Path) -> None:
    web1.ok("run", "-d", "--name", "own", "--userns", "auto", "-v", "own:/data", "base:1", "sleep", "600")
    for place in ("/there", "/data/there"):
        web1.ok("cp", "-a", tree, f"own:{place}")
        web1.ok("cp", tree / "inner/linked", f"own:{place}/file-of-root")
        told = web1.ok("exec", "own", "stat", "-c", "%u:%g", f"{place}/file", f"{place}/file-of-root").lines
        assert told == ["1234:4321", "0:0"]
    web1.ok("cp", "own:/there/.", tmp_path / "back")
    (tmp_path / "back/file-of-root").unlink()
    assert set(facts(tmp_path / "back")) == set(facts(tree))
    web1.ok("stop", "-t", "0", "own")
    web1.ok("cp", "-a", "own:/data/there/file", tmp_path / "stopped")
    assert (tmp_path / "stopped").stat().st_uid == 1234
    web1.ok("cp", tree / "file", "own:/there/stopped")
    web1.ok("start", "own")
    assert web1.ok("exec", "own", "stat", "-c", "%u:%g", "/there/stopped").lines == ["0:0"]


def test_links_lead_around_inside_only(web1: Laptop, tree: Path, tmp_path: Path, shared_lab: Lab) -> None:
    """Absolute links and such that climb, to files that the host has, too."""
    script = "mkdir -p /links/etc && cd /links && ln -s /etc/passwd absolute && ln -s ../../../../etc up"
    script += " && ln -s /links/etc dir"
    web1.ok("exec", "app", "sh", "-c", script)
    inside = web1.ok("exec", "app", "cat", "/etc/passwd").stdout
    for path in ("/links/absolute", "/links/up/passwd", "/links/up/../../../../etc/passwd"):
        web1.ok("cp", "-L", f"app:{path}", tmp_path / "read")
        assert (tmp_path / "read").read_text() == inside
    for name in ("up", "dir"):
        web1.ok("cp", tree / "file", f"app:/links/{name}/written")
    web1.ok("exec", "app", "sh", "-c", "test -f /etc/written && test -f /links/etc/written")
    host = shared_lab.hosts["web1"]
    assert host.exec(["sh", "-c", "test ! -e /etc/written && test ! -e /links"]).returncode == 0
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(tree / "file", "../../etc/climbed")
    assert "leads out of the folder" in web1.run("cp", "-", "app:/links", input=packed.getvalue()).ended(1).stderr


def test_a_link_that_flips_meanwhile(web1: Laptop, tree: Path, tmp_path: Path, shared_lab: Lab) -> None:
    """CVE-2018-15664: what is a folder when it is looked at leads to the host's root when it is opened."""
    web1.ok("run", "-d", "--name", "flips", "base:1", "sh", "-c", FLIP)
    host = shared_lab.hosts["web1"]
    for _ in range(3):
        web1.run("cp", tree / "file", "flips:/flip/escaped")
        ran = web1.run("cp", "flips:/flip/etc/hostname", tmp_path / "hostname")
        if ran.code == 0:
            assert (tmp_path / "hostname").read_text() != host.exec(["cat", "/etc/hostname"]).stdout
    assert host.exec(["test", "-e", "/escaped"]).returncode == 1
    web1.ok("rm", "-f", "flips")


def test_pipes_and_what_the_kernel_makes_up(web1: Laptop, tmp_path: Path) -> None:
    web1.ok("exec", "app", "mkfifo", "/pipe")
    web1.ok("cp", "app:/pipe", tmp_path)
    assert stat.S_ISFIFO((tmp_path / "pipe").lstat().st_mode)
    web1.ok("cp", "app:/proc/1/cmdline", tmp_path)
    assert (tmp_path / "cmdline").read_bytes() == b"sleep\x00600\x00"
    web1.ok("cp", "app:/sys/kernel/mm/transparent_hugepage", tmp_path / "sys")
    assert (tmp_path / "sys/enabled").read_text()
    web1.ok("cp", "app:/dev/null", tmp_path)
    assert (tmp_path / "null").lstat().st_rdev == os.makedev(1, 3)


def test_a_copy_that_is_cut_leaves_nothing(web1: Laptop, tmp_path: Path, shared_lab: Lab) -> None:
    host = shared_lab.hosts["web1"]
    before = mounts_and_children(host)
    with open(tmp_path / "large", "wb") as file:
        file.truncate(8 << 30)
    for container in ("app", "idle"):
        for ends in (
            (str(tmp_path / "large"), f"{container}:/data"),
            (f"{container}:/data/large", str(tmp_path / "out")),
        ):
            copying = web1.start("cp", *ends)
            time.sleep(0.7)
            copying.terminate()
            copying.communicate(timeout=30)
    deadline = time.monotonic() + 10
    while (now := mounts_and_children(host)) != before and time.monotonic() < deadline:
        time.sleep(0.1)
    assert now == before
    web1.ok("exec", "app", "rm", "-f", "/data/large")
    web1.ok("start", "idle")


def mounts_and_children(host: Host) -> tuple[str, str]:
    """The mounts on the host, and how many children the agent has."""
    mounts = host.exec(["sh", "-c", "cut -d' ' -f5 /proc/self/mountinfo | sort"]).stdout
    return mounts, host.exec(["sh", "-c", "ps -e -o args | grep -c '[j]ackstayd'"]).stdout
