from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from jackstay_agent.errors import Error
from jackstay_agent.volumes import folders


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_is_made_once_with_dockers_modes_whatever_the_umask_is(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        made = folders.make(str(tmp_path / "volumes"), "data")
    finally:
        os.umask(old)
    assert made == str(tmp_path / "volumes/data/_data")
    assert mode(tmp_path / "volumes/data") == 0o701
    assert mode(tmp_path / "volumes/data/_data") == 0o755
    (tmp_path / "volumes/data/_data/file").write_text("kept")
    assert folders.make(str(tmp_path / "volumes"), "data") == made
    assert (tmp_path / "volumes/data/_data/file").read_text() == "kept"
    assert os.listdir(tmp_path / "volumes") == ["data"]


def test_nothing_is_left_when_a_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/other").touch()  # in the way: the rename must fail
    with pytest.raises(Error, match="making the volume data"):
        folders.make(str(tmp_path), "data")
    assert os.listdir(tmp_path) == ["data"]


def test_removal_follows_no_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    root = tmp_path / "volumes"
    data = Path(folders.make(str(root), "data"))
    (data / "link").symlink_to(outside)
    (data / "up").symlink_to("../../..")
    (data / "folder").mkdir(mode=0)
    (data / "folder/link").symlink_to(outside)
    os.mkfifo(data / "pipe")
    (root / "link").symlink_to(outside)
    folders.remove(str(root), "data")
    folders.remove(str(root), "link")
    assert os.listdir(root) == []
    assert os.listdir(outside) == ["precious"]


def test_removal_of_a_tree_deeper_than_any_path_stack_or_descriptor_limit(tmp_path: Path) -> None:
    data = folders.make(str(tmp_path), "data")
    deep = 2500
    script = "import os\nfor i in range(%d): os.mkdir('d'); open('f', 'w').close(); os.chdir('d')" % deep  # noqa: UP031
    subprocess.run(["python3", "-c", script], cwd=data, check=True)
    limited = "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32)); "
    limited += "from jackstay_agent.volumes import folders; folders.remove(sys.argv[1], 'data')"
    subprocess.run([sys.executable, "-c", limited, str(tmp_path)], check=True)
    assert os.listdir(tmp_path) == []


def test_removal_counts_what_it_frees(tmp_path: Path) -> None:
    data = Path(folders.make(str(tmp_path), "data"))
    (data / "file").write_bytes(b"x" * 1_000_000)
    os.link(data / "file", data / "again")
    (data / "folder").mkdir()
    os.link(data / "file", tmp_path / "elsewhere")
    assert folders.remove(str(tmp_path), "data") < 1_000_000
    data = Path(folders.make(str(tmp_path), "data"))
    (data / "folder").mkdir()
    (data / "folder/file").write_bytes(b"x" * 1_000_000)
    os.link(data / "folder/file", data / "again")
    assert 1_000_000 <= folders.remove(str(tmp_path), "data") < 1_100_000


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    assert folders.remove(str(tmp_path), "nothing") == 0
    assert folders.put_aside(str(tmp_path), "nothing") is None
    assert folders.entries(str(tmp_path / "nothing")) == []


@pytest.mark.lab
def test_something_mounted_in_a_volume_is_not_removed_and_is_named(tmp_path: Path) -> None:
    data = folders.make(str(tmp_path), "data")
    mounted = (
        "import os, sys\nfrom jackstay_agent.kernel import syscalls\nfrom jackstay_agent.volumes import folders\n"
        "from jackstay_agent.errors import Error\n"
        "os.mkdir(sys.argv[2] + '/mounted')\nsyscalls.mount('none', sys.argv[2] + '/mounted', 'tmpfs')\n"
        "open(sys.argv[2] + '/mounted/precious', 'w').close()\n"
        "try: folders.remove(sys.argv[1], 'data')\n"
        "except Error as error: print(error.message, error.hint)\n"
        "assert os.path.exists(sys.argv[2] + '/mounted/precious') or sys.exit('lost')\n"
    )
    argv = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c", mounted]
    ended = subprocess.run([*argv, str(tmp_path), data], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "is something mounted in it?" in ended.stdout
