"""Filling an empty volume from an image's folder."""

from __future__ import annotations

import fcntl
import os
import resource
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jackstay_agent.containers import copy_up


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    (tmp_path / "root/data").mkdir(parents=True)
    return tmp_path / "root"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "volumes/v").mkdir(parents=True)
    return tmp_path / "volumes/v"


def fill(rootfs: Path, volume: Path, target: str = "/data") -> bool:
    return copy_up.fill([str(rootfs), target, str(volume)], [])


def test_everything_is_kept(rootfs: Path, volume: Path) -> None:
    data = rootfs / "data"
    (data / "sub").mkdir(mode=0o750)
    (data / "sub/file").write_bytes(b"text")
    os.chmod(data / "sub/file", 0o4755)
    os.setxattr(data / "sub/file", "user.note", b"x")
    os.link(data / "sub/file", data / "twin")
    (data / "link").symlink_to("/etc/passwd")
    os.mkfifo(data / "pipe", 0o622)
    os.utime(data / "sub/file", ns=(1, 10**9))
    os.utime(data / "sub", ns=(1, 2 * 10**9))
    os.chmod(data, 0o2770)
    if os.geteuid() == 0:
        os.chown(data / "sub", 12, 34)
    assert fill(rootfs, volume)
    assert (volume / "sub/file").read_bytes() == b"text"
    assert stat.S_IMODE((volume / "sub/file").stat().st_mode) == 0o4755
    assert os.getxattr(volume / "sub/file", "user.note") == b"x"
    assert (volume / "twin").samefile(volume / "sub/file")
    assert not (volume / "twin").samefile(data / "twin")
    assert os.readlink(volume / "link") == "/etc/passwd"
    assert stat.S_ISFIFO((volume / "pipe").stat().st_mode)
    assert (volume / "sub/file").stat().st_mtime_ns == 10**9
    assert (volume / "sub").stat().st_mtime_ns == 2 * 10**9
    assert (volume / "sub").stat().st_uid == (data / "sub").stat().st_uid
    assert stat.S_IMODE(volume.stat().st_mode) == 0o2770
    assert os.listdir(volume.parent) == ["v"]


def test_a_volume_with_files_is_left_alone(rootfs: Path, volume: Path) -> None:
    (rootfs / "data/new").write_bytes(b"")
    (volume / "mine").write_bytes(b"")
    assert not fill(rootfs, volume)
    assert os.listdir(volume) == ["mine"]


@pytest.mark.parametrize("target", ["/gone", "/data/file", "/loop"])
def test_nothing_to_copy(rootfs: Path, volume: Path, target: str) -> None:
    (rootfs / "data/file").write_bytes(b"")
    (rootfs / "loop").symlink_to("loop")
    assert not fill(rootfs, volume, target)
    assert os.listdir(volume) == []


@pytest.mark.parametrize("link", ["{secret}", "../../../../../../../..{secret}"])
def test_a_link_in_the_image_never_leads_out(rootfs: Path, volume: Path, tmp_path: Path, link: str) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_bytes(b"")
    (rootfs / "evil").symlink_to(link.format(secret=secret))
    assert os.listdir(rootfs / "evil") == ["key"]  # where the kernel is not told the root, it does
    assert not fill(rootfs, volume, "/evil")
    assert os.listdir(volume) == []


def test_a_link_inside_the_image_is_followed(rootfs: Path, volume: Path) -> None:
    (rootfs / "data/file").write_bytes(b"")
    (rootfs / "alias").symlink_to("/data")
    assert fill(rootfs, volume, "/alias")
    assert os.listdir(volume) == ["file"]


def test_a_copy_that_was_cut_is_made_anew(rootfs: Path, volume: Path) -> None:
    (rootfs / "data/whole").write_bytes(b"")
    (volume / "half").mkdir()
    (volume / "half/file").write_bytes(b"")
    (volume.parent / "v.copying").write_bytes(b"")
    assert fill(rootfs, volume)
    assert os.listdir(volume) == ["whole"]
    assert os.listdir(volume.parent) == ["v"]


def test_two_at_once_wait_for_each_other(rootfs: Path, volume: Path) -> None:
    (rootfs / "data/file").write_bytes(b"")
    held = os.open(volume, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(held, fcntl.LOCK_EX)
    (volume.parent / "v.copying").write_bytes(b"")
    (volume / "half").write_bytes(b"")
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(fill, rootfs, volume)
        time.sleep(0.2)
        assert os.listdir(volume) == ["half"]
        (volume.parent / "v.copying").unlink()
        os.close(held)
        assert not other.result(timeout=10)
    assert os.listdir(volume) == ["half"]


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 40, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_many_files_with_two_names_take_no_descriptors(rootfs: Path, volume: Path, few_descriptors: None) -> None:
    for number in range(100):
        (rootfs / f"data/{number}").write_bytes(b"")
        os.link(rootfs / f"data/{number}", rootfs / f"data/{number}-too")
    assert fill(rootfs, volume)
    assert (volume / "99").samefile(volume / "99-too")


def test_no_link_in_the_volume_is_followed_to_a_first_name(rootfs: Path, volume: Path, tmp_path: Path) -> None:
    """A container that mounts the volume already may change it under the copy."""
    (rootfs / "data/file").write_bytes(b"")
    os.link(rootfs / "data/file", rootfs / "data/twin")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"secret")
    (volume / "folder").symlink_to(outside)
    into = os.open(volume, os.O_RDONLY | os.O_DIRECTORY)
    try:
        links = copy_up._Links(into)
        status = (rootfs / "data/file").stat()
        links.remember(status, "folder", "file")
        with pytest.raises(OSError, match="symbolic links"):
            links.link(status, into, "stolen")
    finally:
        os.close(into)
    assert os.listdir(volume) == ["folder"]


def test_no_link_in_the_volume_is_followed_to_change_a_mode(
    rootfs: Path, volume: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a container does that mounts the volume already and is quick."""
    os.mkfifo(rootfs / "data/pipe")
    os.chmod(rootfs / "data/pipe", 0o666)
    secret = tmp_path / "secret"
    secret.touch(0o600)
    make = os.mkfifo

    def make_and_replace(name: str, mode: int, *, dir_fd: int) -> None:
        make(name, mode, dir_fd=dir_fd)
        os.unlink(name, dir_fd=dir_fd)
        os.symlink(secret, name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkfifo", make_and_replace)
    assert fill(rootfs, volume)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    os.chmod(volume / "pipe", 0o666)  # what the attack hoped for
    assert stat.S_IMODE(secret.stat().st_mode) == 0o666
