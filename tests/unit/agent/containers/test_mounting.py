"""A part of a volume is found inside it, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jackstay_agent.containers import mounting
from jackstay_agent.containers.settings import Mount
from jackstay_agent.errors import InvalidArgument


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """With folders, a file, and links that stay in it and that do not."""
    made = tmp_path / "volume"
    (made / "in/side").mkdir(parents=True)
    (made / "in/side/file").touch()
    (tmp_path / "secret").mkdir()
    for name, target in [
        ("inner", "in"),
        ("in/back", "../in"),
        ("absolute", "/etc"),
        ("up", "../secret"),
        ("in/up", "../../secret"),
        ("whole", str(made / "in")),
        ("loop", "loop"),
    ]:
        (made / name).symlink_to(target)
    return made


def part(volume: Path, subpath: str) -> os.stat_result:
    descriptor = mounting._open_part(str(volume), Mount(type="volume", source="v", target="/t", subpath=subpath))
    try:
        return os.fstat(descriptor)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("subpath", ["in/side", "inner/side", "in/back/side", "in/../in/side", "./in//side/"])
def test_a_folder_in_it(volume: Path, subpath: str) -> None:
    assert os.path.samestat(part(volume, subpath), (volume / "in/side").stat())


def test_a_file_in_it(volume: Path) -> None:
    assert os.path.samestat(part(volume, "inner/side/file"), (volume / "in/side/file").stat())


@pytest.mark.parametrize(
    "subpath", ["..", "../secret", "in/../../secret", "absolute", "up", "in/up", "whole", "loop", "absolute/passwd"]
)
def test_what_leads_out_is_refused(volume: Path, subpath: str) -> None:
    with pytest.raises(InvalidArgument, match="of the volume v leads out of the volume"):
        part(volume, subpath)


@pytest.mark.parametrize("subpath", ["none", "in/none", "in/side/file/x"])
def test_what_does_not_exist(volume: Path, subpath: str) -> None:
    with pytest.raises(InvalidArgument, match="does not exist"):
        part(volume, subpath)
