"""The folder of a tunnel's socket: private, short, and removed by the next one when its process has died."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from jackstay.tunnel import private_folder
from jackstay.tunnel.private_folder import PrivateFolder

OWNER = (
    "from jackstay.tunnel.private_folder import PrivateFolder\nprint(PrivateFolder.make().path, flush=True)\ninput()\n"
)


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


def age(folder: Path) -> None:
    """Make it look as old as one that nobody is about to lock."""
    os.utime(folder, (0, 0))


def test_it_is_private_and_goes_with_what_is_in_it(base: Path) -> None:
    folder = PrivateFolder.make()
    assert stat.S_IMODE(os.stat(folder.path).st_mode) == 0o700
    (Path(folder.path) / "agent").touch()
    folder.remove()
    assert list(base.iterdir()) == []


def test_what_a_dead_process_left_is_removed_and_what_a_living_one_has_is_not(base: Path) -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with owner:
        assert owner.stdout is not None
        left = Path(owner.stdout.readline().strip())
        age(left)
        PrivateFolder.make().remove()
        assert left.exists()
        owner.kill()
    age(left)
    PrivateFolder.make().remove()
    assert not left.exists()


def test_others_folders_and_new_ones_stay(base: Path) -> None:
    kept = [base / name for name in ("jackstay-lab-12345678", "jackstay-12345678", "other")]
    for folder in kept:
        folder.mkdir(0o700)
    age(kept[0])
    age(kept[2])
    PrivateFolder.make().remove()
    assert sorted(base.iterdir()) == sorted(kept)


def test_a_path_that_is_too_long_for_a_socket_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    folder = PrivateFolder.make()
    assert not folder.path.startswith(str(long))
    assert len(folder.path) + len("/agent") <= private_folder.MAX_PATH
    folder.remove()
