"""Volumes and mounts through the command line: what a container sees of them, and what is left when it goes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.conftest import settled
from tests.lab.archives import write_archive
from tests.lab.emptying import empty
from tests.lab.host import Host
from tests.lab.images import Image
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data
from tests.lab.layer import Layer

pytestmark = [pytest.mark.lab, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def web1(shared_lab: Lab, base: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """A laptop whose commands go to web1, which has ``base:1``, and ``keeps:1`` with two volumes of its own."""
    folder = tmp_path_factory.mktemp("keeps")
    with Layer(folder / "kept.tar") as layer:
        layer.folder("kept", 0o750)
        layer.file("kept/from-image", "image\n", 0o640)
        layer.folder("logs")
    config = {**base.config, "Volumes": {"/kept": {}, "/logs": {}}}
    keeps = Image("keeps:1", (*base.layers, folder / "kept.tar"), config)
    archive = write_archive(folder / "both.tar", [base, keeps])
    laptop = Laptop(shared_lab)
    laptop.environment["JACKSTAY_HOST"] = "web1"
    laptop.ok("load", "-q", "-i", archive)
    yield laptop
    host = shared_lab.hosts["web1"]
    empty(host)
    assert settled(host) == []


@pytest.fixture
def host(shared_lab: Lab) -> Host:
    """The host itself."""
    return shared_lab.hosts["web1"]


@pytest.fixture(autouse=True)
def nothing_left(web1: Laptop, host: Host) -> Iterator[None]:
    """What a test that failed has left is no business of the next one."""
    yield
    state = host.path("/var/lib/jackstay")
    if [*state.glob("containers/*"), *state.glob("volumes/*")]:
        if left := web1.ok("ps", "-aq").lines:
            web1.ok("rm", "-f", *left)
        web1.ok("volume", "prune", "-af")


def names(web1: Laptop, *filters: str) -> list[str]:
    """The volumes that fit."""
    return web1.ok("volume", "ls", "-q", *(word for each in filters for word in ("-f", each))).lines


def said(web1: Laptop, mount: str, script: str, *more: str) -> str:
    """What *script* prints in a container with *mount*."""
    return web1.ok("run", "--rm", "--mount", mount, *more, "base:1", "sh", "-c", script).stdout


def test_in_memory(web1: Laptop) -> None:
    script = "df -k /t | awk 'NR == 2 { print $1, $2 }'; stat -c %a /t; echo x >/t/x && cat /t/x"
    assert said(web1, "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=0750", script) == "tmpfs 1024\n750\nx\n"
    assert said(web1, "type=tmpfs,dst=/t,readonly", "touch /t/x 2>/dev/null || echo refused") == "refused\n"
    web1.ok("create", "--name", "light", "--mount", "type=tmpfs,dst=/t,tmpfs-size=1m", "base:1")
    document = data(web1.ok("--json", "inspect", "light"))[0]
    assert document["HostConfig"]["Mounts"] == [
        {"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1 << 20}}
    ]
    assert document["Mounts"][0]["Type"] == "tmpfs"
    web1.ok("rm", "light")


def test_a_part_of_a_volume(web1: Laptop, host: Host) -> None:
    said(
        web1,
        "src=parted,dst=/d",
        "mkdir -p /d/in/side; echo seen >/d/in/side/file; ln -s in /d/inner; ln -s /etc /d/out",
    )
    parts = [("/p", "in/side"), ("/q", "inner/side,ro"), ("/f", "in/side/file")]
    mounts = [word for at, part in parts for word in ("--mount", f"src=parted,dst={at},volume-subpath={part}")]
    script = "ls /p; cat /f; echo more >/f; cat /q/file; touch /q/x 2>/dev/null || echo refused"
    ran = web1.ok("run", "--rm", *mounts, "base:1", "sh", "-c", script)
    assert ran.lines == ["file", "seen", "more", "refused"]
    for subpath, told in [
        ("none", "'none' of the volume parted does not exist"),
        ("out", "'out' of the volume parted leads out of the volume"),
        ("in/../../../etc", "leads out"),
    ]:
        mount = f"src=parted,dst=/p,volume-subpath={subpath}"
        assert told in web1.run("run", "--rm", "--mount", mount, "base:1", "true").ended(125).stderr
    assert "/parts/" not in host.exec(["cat", "/proc/self/mountinfo"]).stdout

    # A container that runs on does not lose its part when the agent is killed, and it is no longer in the agent's way.
    web1.ok(
        "run", "-d", "--name", "stays", "--mount", "src=parted,dst=/p,volume-subpath=in/side", "base:1", "sleep", "60"
    )
    host.agent.kill()
    host.agent.start()
    assert web1.ok("exec", "stays", "cat", "/p/file").stdout == "more\n"
    web1.ok("rm", "-f", "stays")
    assert said(web1, "src=parted,dst=/d", "cat /d/in/side/file") == "more\n"
    web1.ok("volume", "rm", "parted")


def test_binds_and_what_is_mounted_below_them(web1: Laptop, host: Host, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    mounting = host.exec(["mount", "-t", "tmpfs", "below", str(tmp_path / "below")])
    assert mounting.returncode == 0, mounting
    host.exec(["touch", str(tmp_path / "below/seen")])
    try:
        look = "ls /b/below"
        bind = f"type=bind,src={tmp_path},dst=/b"
        assert said(web1, bind, look) == "seen\n"
        assert said(web1, f"{bind},bind-recursive=disabled", look) == ""
        refused = "touch /b/below/x 2>/dev/null || echo refused"
        assert said(web1, f"{bind},ro,bind-recursive=readonly,bind-propagation=rprivate", refused) == "refused\n"
        spread = "awk '$5 == \"/b\" { print $7 }' /proc/self/mountinfo | cut -d: -f1"
        host.exec(["mount", "--bind", "--make-shared", str(tmp_path), str(tmp_path)])
        assert said(web1, f"{bind},bind-propagation=rshared", spread) == "shared\n"
        assert said(web1, f"{bind},bind-propagation=rslave", spread) == "master\n"
        assert said(web1, bind, spread) == "-\n"
    finally:
        host.exec(["umount", "-R", str(tmp_path)])
        host.exec(["umount", str(tmp_path / "below")])
    nothing = web1.run("run", "--rm", "--mount", f"type=bind,src={tmp_path}/none,dst=/b", "base:1", "true").ended(125)
    assert f"bind source path does not exist: {tmp_path}/none" in nothing.stderr


def test_labels_filters_and_prune(web1: Laptop) -> None:
    web1.ok("volume", "create", "--label", "tier=db", "--label", "keep", "data")
    web1.ok("volume", "create", "-d", "local", "cache")
    assert "no volume driver 'nfs'" in web1.run("volume", "create", "--driver", "nfs", "far").ended(2).stderr
    (anonymous,) = web1.ok("volume", "create").lines
    web1.ok("create", "--name", "uses", "--mount", "src=made,dst=/m,volume-label=tier=web", "base:1")
    assert names(web1) == sorted(["data", "cache", "made", anonymous])
    assert names(web1, "label=tier") == ["data", "made"]
    assert names(web1, "label=tier=web", "name=ad") == ["made"]
    assert names(web1, "dangling=false") == ["made"]
    assert names(web1, "dangling=1", "name=dat", "driver=local") == ["data"]
    document = data(web1.ok("--json", "volume", "inspect", "data"))[0]
    created = document.pop("CreatedAt")
    assert (created[10], created[-1]) == ("T", "Z")
    assert document == {
        "Driver": "local",
        "Labels": {"keep": "", "tier": "db"},
        "Mountpoint": "/var/lib/jackstay/volumes/data/_data",
        "Name": "data",
        "Options": None,
        "Scope": "local",
    }
    in_use = web1.run("volume", "rm", "-f", "made").ended(1)
    assert "volume made is in use by uses" in in_use.stderr
    assert "invalid filter 'name=x'" in web1.run("volume", "prune", "-f", "--filter", "name=x").ended(1).stderr
    assert web1.ok("volume", "prune", "-f", "--filter", "label=tier").lines == ["Total reclaimed space: 0B"]
    assert web1.ok("volume", "prune", "-f").lines[:2] == ["Deleted Volumes:", anonymous]
    assert web1.ok("volume", "prune", "-af", "--filter", "label!=keep").lines[1] == "cache"
    assert web1.ok("volume", "prune", "-af", "--filter", "label=tier=db", "--filter", "label=keep").lines[1] == "data"
    web1.ok("rm", "uses")
    web1.ok("volume", "rm", "made")


def test_volumes_of_another_container(web1: Laptop, tmp_path: Path) -> None:
    mounts = ["-v", "named:/named", "-v", f"{tmp_path}:/host:ro", "-v", "/anonymous", "--mount", "type=tmpfs,dst=/t"]
    fill = "echo 1 >/named/a; echo 2 >/anonymous/b; echo 3 >/kept/c"
    web1.ok("run", "--name", "first", *mounts, "keeps:1", "sh", "-c", fill)

    def inherit(*flags: str, script: str) -> str:
        return web1.ok("run", "--rm", *flags, "base:1", "sh", "-c", script).stdout

    everything = (
        "cat /named/a /anonymous/b /kept/from-image /kept/c; touch /host/x 2>/dev/null || echo refused; df /t | wc -l"
    )
    assert inherit("--volumes-from", "first", script=everything) == "1\n2\nimage\n3\nrefused\n2\n"
    refused = "for at in /named /anonymous; do touch $at/x 2>/dev/null || echo refused; done"
    assert inherit("--volumes-from", "first:ro", script=refused) == "refused\n" * 2
    web1.ok("create", "--name", "other", "-v", "second:/named", "base:1")
    replaced = ("--volumes-from", "first", "--volumes-from", "other:rw", "-v", "mine:/anonymous")
    assert inherit(*replaced, script="ls /named /anonymous") == "/anonymous:\n\n/named:\n"

    web1.ok("create", "--name", "heir", "--volumes-from", "first:ro", "keeps:1")
    document = data(web1.ok("--json", "inspect", "heir"))[0]
    assert (document["HostConfig"]["VolumesFrom"], document["HostConfig"]["Binds"]) == (["first:ro"], None)
    own = {mount["Destination"]: mount for mount in data(web1.ok("--json", "inspect", "first"))[0]["Mounts"]}
    here = {mount["Destination"]: mount for mount in document["Mounts"]}
    assert {at: mount["Source"] for at, mount in here.items()} == {at: mount["Source"] for at, mount in own.items()}
    assert not any(mount["RW"] for mount in here.values())

    # What is anonymous goes with the last one that mounts it, and only when that is asked for.
    anonymous = {mount["Name"] for mount in own.values() if mount["Type"] == "volume"} - {"named"}
    assert len(anonymous) == 3
    web1.ok("rm", "-v", "first")
    assert anonymous < set(names(web1))
    web1.ok("rm", "-v", "heir")
    assert set(names(web1)) == {"named", "second", "mine"}
    web1.ok("rm", "-v", "other")
    web1.ok("volume", "prune", "-af")
    assert "no such container: none" in web1.run("run", "--volumes-from", "none", "base:1").ended(125).stderr
    assert "--volumes-from" in web1.run("run", "--volumes-from", "first:rx", "base:1").ended(125).stderr


def test_volumes_of_an_image(web1: Laptop) -> None:
    """An anonymous volume gets the image's files, owner and mode; it goes with ``--rm`` and ``rm -v``, not with rm."""

    def point(name: str) -> dict[str, Any]:
        return {mount["Destination"]: mount for mount in data(web1.ok("--json", "inspect", name))[0]["Mounts"]}

    look = "stat -c %a /kept /kept/from-image; cat /kept/from-image; ls /logs"
    assert web1.ok("run", "--rm", "keeps:1", "sh", "-c", look).stdout == "750\n640\nimage\n"
    assert names(web1) == []
    assert (
        said(web1, "src=empty,dst=/etc,volume-nocopy", "ls /etc/issue 2>/dev/null || echo not filled") == "not filled\n"
    )
    assert said(web1, "src=filled,dst=/etc", "ls /etc/issue") == "/etc/issue\n"
    web1.ok("create", "--name", "kept", "-v", "named:/logs", "keeps:1")
    assert (point("kept")["/logs"]["Name"], len(point("kept")["/kept"]["Name"])) == ("named", 64)
    web1.ok("rm", "kept")
    assert len(names(web1, "dangling=true")) == 4
    web1.ok("volume", "prune", "-f")
    web1.ok("create", "--name", "kept", "-v", "named:/logs", "keeps:1")
    web1.ok("rm", "-v", "kept")
    assert names(web1) == ["empty", "filled", "named"]
    web1.run("run", "--rm", "keeps:1", "no-such-program").ended(127)
    assert names(web1) == ["empty", "filled", "named"]
    web1.ok("volume", "rm", "empty", "filled", "named")
