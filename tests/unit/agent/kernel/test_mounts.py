"""Bind mounts: whole at once, and nobody else's. Root needed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from jackstay_agent.kernel import syscalls
from jackstay_agent.kernel.fakes import RecordingJobs
from jackstay_agent.kernel.mounts import LinuxMounts


@pytest.fixture
async def mounts(tmp_path: Path) -> AsyncIterator[LinuxMounts]:
    """Folders ``source``, on a filesystem of its own whose mounts are shared with copies of it, and ``target``."""
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    syscalls.mount("tmpfs", str(tmp_path / "source"), "tmpfs")
    syscalls.mount("none", str(tmp_path / "source"), None, 1 << 20)  # MS_SHARED
    (tmp_path / "source/inner").mkdir()
    real = LinuxMounts(RecordingJobs())
    yield real
    for target in await real.mounted(str(tmp_path)):
        await real.unmount(target)


async def test_it_shows_the_folder_alone(mounts: LinuxMounts, tmp_path: Path) -> None:
    (tmp_path / "source/file").write_text("f")
    syscalls.mount("tmpfs", str(tmp_path / "source/inner"), "tmpfs")
    (tmp_path / "source/inner/hidden").touch()
    await mounts.bind(str(tmp_path / "source"), str(tmp_path / "target"))
    assert (tmp_path / "target/file").read_text() == "f"
    assert os.listdir(tmp_path / "target/inner") == []
    (tmp_path / "target/written").touch()
    await mounts.unmount(str(tmp_path / "target"))
    assert os.listdir(tmp_path / "target") == []
    assert (tmp_path / "source/written").exists()


@pytest.mark.parametrize("private", [True, False])
async def test_what_is_mounted_in_it_later_stays_in_it(
    mounts: LinuxMounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private: bool
) -> None:
    if not private:
        monkeypatch.setattr(syscalls, "MS_PRIVATE", 0)
    await mounts.bind(str(tmp_path / "source"), str(tmp_path / "target"))
    syscalls.mount("tmpfs", str(tmp_path / "target/inner"), "tmpfs")
    (tmp_path / "target/inner/x").touch()
    assert os.listdir(tmp_path / "source/inner") == ([] if private else ["x"])


async def test_a_read_only_one_is_read_only_while_the_source_is_not(mounts: LinuxMounts, tmp_path: Path) -> None:
    await mounts.bind(str(tmp_path / "source"), str(tmp_path / "target"), read_only=True)
    with pytest.raises(OSError, match="Read-only"):
        (tmp_path / "target/new").touch()
    (tmp_path / "source/new").touch()
    assert (tmp_path / "target/new").exists()


BIND = """
import sys
from jackstay_agent.kernel import mounts
mounts._bind(*sys.argv[1:], True)
"""


@pytest.mark.parametrize(("point", "left"), [("kernel.mount.bind.made", False), ("kernel.mount.bind", True)])
async def test_a_cut_leaves_nothing_or_all_of_it(mounts: LinuxMounts, tmp_path: Path, point: str, left: bool) -> None:
    at = str(tmp_path / "target")
    argv = [sys.executable, "-c", BIND, str(tmp_path / "source"), at]
    assert subprocess.run(argv, env={**os.environ, "JACKSTAY_FAULT": point}).returncode == -signal.SIGKILL
    assert await mounts.mounted(at) == ([at] if left else [])
    if left:
        with pytest.raises(OSError, match="Read-only"):
            (tmp_path / "target/new").touch()
