"""Where an archive goes: into a file at once, or straight into what is no file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jackstay.cli.output_file import OutputFile


def test_a_file_has_its_name_only_when_it_is_whole(tmp_path: Path) -> None:
    target, link = tmp_path / "archive.tar", tmp_path / "link"
    target.write_bytes(b"before")
    link.symlink_to(target)
    with OutputFile.open(str(link), "save") as out:
        os.write(out.fd, b"after")
        assert target.read_bytes() == b"before"
        out.commit()
    assert target.read_bytes() == b"after"
    assert link.is_symlink()
    with OutputFile.open(str(link), "save") as out:
        os.write(out.fd, b"half")
    assert target.read_bytes() == b"after"
    assert sorted(os.listdir(tmp_path)) == ["archive.tar", "link"]


@pytest.mark.parametrize("through", ["/dev/fd", "/proc/self/fd"])
def test_a_pipe_is_written_to_also_by_a_link_whose_target_is_no_path(through: str) -> None:
    reading, writing = os.pipe()
    try:
        with OutputFile.open(f"{through}/{writing}", "save") as out:
            os.write(out.fd, b"archive")
            out.commit()
        assert os.read(reading, 100) == b"archive"
    finally:
        os.close(reading)
        os.close(writing)
