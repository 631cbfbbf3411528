"""What the files and the config of an image may try when a container of it is made.

Each attack is seen to succeed when the test switches the defence against it off.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from jackstay_agent.containers import copy_up, users
from jackstay_agent.containers.process import merge
from jackstay_agent.containers.settings import Settings
from jackstay_agent.errors import InvalidArgument, LimitExceeded
from jackstay_agent.kernel import syscalls
from jackstay_oci.image_config import ContainerConfig, ImageConfig

TRAP = b"4294967296:x:0:0::/root:/bin/sh\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root filesystem of an image."""
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/passwd").write_bytes(b"app:x:1000:1000::/:/bin/sh\n")
    return tmp_path / "root"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A folder of the host's, with what nobody in a container may see."""
    (tmp_path / "host").mkdir()
    (tmp_path / "host/passwd").write_bytes(b"app:x:0:0::/:/bin/sh\n")
    (tmp_path / "host/key").write_bytes(b"secret")
    return tmp_path / "host"


def kernel_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are resolved as on the host."""
    monkeypatch.setattr(syscalls, "RESOLVE_IN_ROOT", 0)
    monkeypatch.setattr(syscalls, "RESOLVE_NO_MAGICLINKS", 0)


def user(root: Path, text: str) -> list[object]:
    return users.resolve_user([str(root), text, [], "/"], [])


@pytest.mark.parametrize("link", ["{host}/passwd", "../../host/passwd", "/proc/self/root{host}/passwd"])
def test_the_passwd_file_of_the_host(root: Path, host: Path, monkeypatch: pytest.MonkeyPatch, link: str) -> None:
    (root / "etc/passwd").unlink()
    (root / "etc/passwd").symlink_to(link.format(host=host))
    with pytest.raises(InvalidArgument, match="unable to find user app"):
        user(root, "app")
    kernel_not_told(monkeypatch)
    assert user(root, "app")[0] == 0


def test_a_pipe_for_a_passwd_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2026-47262 and its kin: whoever opens it waits for ever."""
    (root / "etc/passwd").unlink()
    os.mkfifo(root / "etc/passwd")
    with pytest.raises(InvalidArgument, match="not a regular file"):
        user(root, "app")
    monkeypatch.setattr(stat, "S_ISREG", lambda _mode: True)
    with pytest.raises(InvalidArgument, match="unable to find"):
        user(root, "app")  # it is still not waited on
    monkeypatch.setattr(os, "O_NONBLOCK", 0)

    def wait() -> None:
        with pytest.raises(InvalidArgument):
            user(root, "app")

    waiting = threading.Thread(target=wait)
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    os.close(os.open(root / "etc/passwd", os.O_RDWR))
    waiting.join(10)
    assert not waiting.is_alive()


def test_a_passwd_file_that_fills_the_memory(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(root / "etc/passwd", "ab") as file:
        file.truncate(users.MAX_FILE + 5)
    with pytest.raises(LimitExceeded, match="larger than 10485760 bytes"):
        user(root, "app")
    monkeypatch.setattr(users, "MAX_FILE", 1 << 40)
    assert user(root, "app")[0] == 1000  # all of it was read


def test_a_number_that_a_line_of_the_image_names(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2026-46680: who forbids root by number must not get it by a name."""
    (root / "etc/passwd").write_bytes(TRAP)
    with pytest.raises(InvalidArgument, match="out of bounds"):
        user(root, "4294967296")
    strict = users._number

    def lax(text: str, what: str) -> int | None:
        try:
            return strict(text, what)
        except InvalidArgument:
            return None

    monkeypatch.setattr(users, "_number", lax)
    assert user(root, "4294967296")[0] == 0


def test_a_number_that_overflows(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CVE-2024-40635: in 32 bits it is root's."""
    with pytest.raises(InvalidArgument, match="out of bounds"):
        user(root, "4294967296")
    monkeypatch.setattr(users, "MAX_ID", 1 << 40)
    uid = user(root, "4294967296")[0]
    assert isinstance(uid, int)
    assert uid & 0xFFFFFFFF == 0


def _filled(root: Path, target: str) -> list[str]:
    volume = root.parent / f"volume-{len(os.listdir(root.parent))}"
    volume.mkdir()
    copy_up.fill([str(root), target, str(volume)], [])
    return sorted(os.listdir(volume))


@pytest.mark.parametrize("link", ["{host}", "../host", "/proc/self/root{host}", "etc/../../host"])
def test_a_volume_at_a_link_out_of_the_image(
    root: Path, host: Path, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    """CVE-2022-23648: VOLUME in a config, and a link there in a layer, copied the host's files into a container."""
    (root / "way").symlink_to(link.format(host=host))
    assert _filled(root, "/way") == []
    kernel_not_told(monkeypatch)
    assert _filled(root, "/way") == ["key", "passwd"]


@pytest.mark.parametrize("volume", ["/../host", "/etc/../../host", "/etc/./../../host/"])
def test_a_volume_whose_path_climbs(root: Path, host: Path, monkeypatch: pytest.MonkeyPatch, volume: str) -> None:
    planned = merge(
        Settings(image="x", name="", hostname=""), ImageConfig(config=ContainerConfig(cmd=("a",), volumes={volume: {}}))
    )
    assert planned.volumes == ("/host",)  # as a path in the container
    assert _filled(root, volume) == []
    kernel_not_told(monkeypatch)
    assert _filled(root, volume) == ["key", "passwd"]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_that_takes_a_files_place_while_it_is_copied(
    root: Path, host: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """CVE-2018-15664: what was a file when it was looked at is a link when it is opened."""
    (root / "data").mkdir()
    victim = root / "data/victim"
    swap: Callable[[], object] = victim.unlink
    if what == "file":
        victim.write_bytes(b"own")
    else:
        victim.mkdir()
        swap = victim.rmdir
    plain, secret = os.stat, host / "key" if what == "file" else host

    def stat_and_swap(path: str, **options: object) -> os.stat_result:
        status = plain(path, **options)  # type: ignore[arg-type]
        if path == "victim" and not victim.is_symlink():
            swap()
            victim.symlink_to(secret)
        return status

    monkeypatch.setattr(os, "stat", stat_and_swap)
    with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
        _filled(root, "/data")
    monkeypatch.setattr(os, "O_NOFOLLOW", 0)
    monkeypatch.setattr(copy_up, "_FOLDER", os.O_RDONLY | os.O_DIRECTORY)
    victim.unlink()
    victim.write_bytes(b"own") if what == "file" else victim.mkdir()
    assert _filled(root, "/data") == ["victim"]
    stolen = next(root.parent.glob("volume-*/victim/key" if what == "folder" else "volume-*/victim"))
    assert stolen.read_bytes() == b"secret"
