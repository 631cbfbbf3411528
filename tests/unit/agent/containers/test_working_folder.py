"""A working folder that the image does not have."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from jackstay_agent.containers import working_folder


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "outside").mkdir()
    (tmp_path / "root").mkdir()
    descriptor = os.open(tmp_path / "root", os.O_PATH | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_it_and_those_above_are_made(root: int, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        working_folder.make(root, "/a/b/c")
    finally:
        os.umask(before)
    for path in ("a", "a/b", "a/b/c"):
        assert stat.S_IMODE((tmp_path / "root" / path).stat().st_mode) == 0o755


def test_what_is_there_stays_as_it_is(root: int, tmp_path: Path) -> None:
    (tmp_path / "root" / "a").mkdir(0o700)
    working_folder.make(root, "/a/b")
    assert stat.S_IMODE((tmp_path / "root" / "a").stat().st_mode) == 0o700
    working_folder.make(root, "/")
    assert sorted(os.listdir(tmp_path / "root")) == ["a"]


def test_links_stay_inside(root: int, tmp_path: Path) -> None:
    inside = tmp_path / "root"
    (inside / "real").mkdir()
    (inside / "link").symlink_to("/real")
    (inside / "out").symlink_to(tmp_path / "outside")
    (inside / "up").symlink_to("../outside")
    for path in ("/link/made", "/out/made", "/up/made"):
        working_folder.make(root, path)
    assert (inside / "real" / "made").is_dir()
    assert os.listdir(tmp_path / "outside") == []


def test_what_is_in_the_way_is_left(root: int, tmp_path: Path) -> None:
    (tmp_path / "root" / "file").write_text("kept")
    working_folder.make(root, "/file/made")
    working_folder.make(root, "/file")
    assert (tmp_path / "root" / "file").read_text() == "kept"
