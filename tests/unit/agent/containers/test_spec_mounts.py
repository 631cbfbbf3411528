from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_agent.containers import spec_mounts
from jackstay_agent.containers.spec_mounts import MemoryMount, ResolvedMount
from jackstay_agent.errors import InvalidArgument

FILES = {"/etc/hosts": "/run/c1/hosts"}


def build(*mounts: ResolvedMount | MemoryMount, tmpfs: tuple[str, ...] = (), **values: Any) -> list[dict[str, Any]]:
    given = {"shm_size": 0, "writable_system": False, "read_only_root": False, "own_cgroup": True, **values}
    return spec_mounts.build(mounts, tmpfs, FILES, **given)


def at(target: str, mounts: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [mount for mount in mounts if mount["destination"] == target]
    return found


def test_defaults_are_dockers() -> None:
    mounts = build()
    assert [(mount["destination"], mount["type"]) for mount in mounts] == [
        ("/proc", "proc"), ("/dev", "tmpfs"), ("/sys", "sysfs"), ("/dev/pts", "devpts"), ("/dev/mqueue", "mqueue"),
        ("/dev/shm", "tmpfs"), ("/etc/hosts", "bind"), ("/sys/fs/cgroup", "cgroup"),
    ]  # fmt: skip
    assert "size=65536k" in at("/dev", mounts)["options"]
    assert "gid=5" in at("/dev/pts", mounts)["options"]
    assert f"size={64 << 20}" in at("/dev/shm", mounts)["options"]
    assert "ro" in at("/sys", mounts)["options"]
    assert "ro" in at("/sys/fs/cgroup", mounts)["options"]
    assert "size=1024" in at("/dev/shm", build(shm_size=1024))["options"]


def test_deeper_comes_later() -> None:
    asked = [ResolvedMount(source="/s", target=target) for target in ("/a/b", "/a", "/etc")]
    mounts = [mount["destination"] for mount in build(*asked, tmpfs=("/a/b/c",))]
    assert mounts.index("/a") < mounts.index("/a/b") < mounts.index("/a/b/c")
    assert mounts.index("/etc") < mounts.index("/etc/hosts")


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join), unique=True, max_size=6))
def test_no_mount_ever_covers_an_earlier_one(paths: list[str]) -> None:
    order = [mount["destination"] for mount in build(*(ResolvedMount(source="/s", target=f"/{p}") for p in paths))]
    for index, path in enumerate(order):
        assert not any(earlier.startswith(f"{path}/") for earlier in order[:index])


def test_the_users_mounts_take_the_place_of_defaults() -> None:
    assert at("/dev/shm", build(ResolvedMount(source="/s", target="/dev/shm/")))["type"] == "bind"
    assert at("/etc/hosts", build(ResolvedMount(source="/mine", target="/etc/hosts")))["source"] == "/mine"
    assert at("/dev/shm", build(tmpfs=("/dev/shm:size=9m",)))["options"] == ["nosuid", "nodev", "noexec", "size=9m"]
    own_dev = [mount["destination"] for mount in build(ResolvedMount(source="/dev", target="/dev"))]
    assert [path for path in own_dev if path.startswith("/dev/")] == []


def test_read_only_means_all_below_too() -> None:
    assert at("/d", build(ResolvedMount(source="/s", target="/d", read_only=True)))["options"] == [
        "rbind", "rprivate", "ro", "rro",
    ]  # fmt: skip
    file = ResolvedMount(source="/s", target="/f", read_only=True, folder=False)
    assert at("/f", build(file))["options"] == ["rbind", "rprivate", "ro"]  # crun refuses "rro" on a file
    assert "rw" in at("/d", build(ResolvedMount(source="/s", target="/d")))["options"]
    assert "ro" in at("/etc/hosts", build(read_only_root=True))["options"]


def test_without_what_is_mounted_below() -> None:
    mount = ResolvedMount(source="/s", target="/d", read_only=True, recursive=False)
    assert at("/d", build(mount))["options"] == ["bind", "private", "ro"]


def test_in_memory() -> None:
    plain = at("/t", build(MemoryMount(target="/t")))
    assert (plain["type"], plain["options"]) == ("tmpfs", ["nosuid", "nodev", "noexec"])
    given = at("/t", build(MemoryMount(target="/t/", size=4096, mode=0, read_only=True)))
    assert given["options"] == ["nosuid", "nodev", "noexec", "size=4096", "mode=0", "ro"]
    assert spec_mounts.root_propagation([MemoryMount(target="/t")]) == ""
    with pytest.raises(InvalidArgument, match="Duplicate mount point: /t"):
        build(MemoryMount(target="/t"), tmpfs=("/t",))


def test_propagation() -> None:
    slave = ResolvedMount(source="/s", target="/d", propagation="rslave")
    shared = ResolvedMount(source="/s", target="/e", propagation="shared")
    assert at("/d", build(slave))["options"][1] == "rslave"
    assert spec_mounts.root_propagation([slave]) == "rslave"
    assert spec_mounts.root_propagation([slave, shared]) == "shared"
    assert spec_mounts.root_propagation([ResolvedMount(source="/s", target="/d")]) == ""


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("/t", ["nosuid", "nodev", "noexec"]),
        ("/t:exec,suid", ["nodev", "exec", "suid"]),
        ("/t:size=64m,mode=1770,uid=5,gid=6", ["nosuid", "nodev", "noexec", "size=64m", "mode=1770", "uid=5", "gid=6"]),
        ("/t:size=1m,size=2m,ro,rw", ["nosuid", "nodev", "noexec", "size=2m", "rw"]),
        ("/t:", ["nosuid", "nodev", "noexec"]),
    ],
)
def test_tmpfs(text: str, options: list[str]) -> None:
    assert at("/t", build(tmpfs=(text,)))["options"] == options


@pytest.mark.parametrize(
    "text", ["/t:size", "/t:size=x", "/t:bind", "/t:mode=9", "/t:huge=always", "t", "/", "/..", ""]
)
def test_impossible_tmpfs(text: str) -> None:
    with pytest.raises(InvalidArgument):
        build(tmpfs=(text,))


@pytest.mark.parametrize(
    "mounts",
    [
        [ResolvedMount(source="/s", target="/")],
        [ResolvedMount(source="/s", target="/a/..")],
        [ResolvedMount(source="/s", target="relative")],
        [ResolvedMount(source="relative", target="/a")],
        [ResolvedMount(source="/s", target="/a"), ResolvedMount(source="/t", target="//a/")],
        [ResolvedMount(source="/s", target="/a", propagation="everywhere")],
        [ResolvedMount(source="/s", target="/a\0b")],
    ],
)
def test_impossible_mounts(mounts: list[ResolvedMount]) -> None:
    with pytest.raises(InvalidArgument):
        build(*mounts)
