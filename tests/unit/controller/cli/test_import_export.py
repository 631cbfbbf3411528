"""``import`` and ``export`` of the command line, against remembered agents."""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def root_tar(tmp_path: Path) -> Path:
    path = tmp_path / "root.tar"
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("file")
        entry.size = 200_000
        archive.addfile(entry, io.BytesIO(bytes(200_000)))
    return path


def standard_input(monkeypatch: pytest.MonkeyPatch, path: Path) -> int:
    """Let descriptor 0 read *path*; the descriptor to put back."""
    saved = os.dup(0)
    fd = os.open(path, os.O_RDONLY)
    os.dup2(fd, 0)
    os.close(fd)
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    return saved


def test_import_prints_the_id(jackstay: Any, root_tar: Path) -> None:
    result = jackstay("-H", "web1", "import", str(root_tar), "base:1", "-c", "USER app", "-m", "why")
    assert (result.code, len(result.out)) == (0, len("sha256:") + 64 + 1)
    assert jackstay("-H", "web1", "images", "-q", "--no-trunc").out == result.out


def test_import_on_several_hosts_is_one_image(jackstay: Any, root_tar: Path) -> None:
    result = jackstay("-H", "web1,web2,down", "image", "import", str(root_tar), "base")
    assert result.code == 4
    first, second = (line.split(": ") for line in result.out.splitlines())
    assert (first[0], second[0], first[1]) == ("web1", "web2", second[1])
    assert "down refused the connection" in result.err


def test_import_as_json(jackstay: Any, root_tar: Path) -> None:
    (element,) = jackstay("-H", "web1", "--json", "import", str(root_tar), "base").json
    (item,) = element["data"]
    assert item["Name"] == "base"
    assert item["Id"].startswith("sha256:")


def test_import_of_standard_input(jackstay: Any, root_tar: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    saved = standard_input(monkeypatch, root_tar)
    try:
        result = jackstay("-H", "web1", "import", "-")
    finally:
        os.dup2(saved, 0)
        os.close(saved)
    assert (result.code, result.out[:7]) == (0, "sha256:"), result.err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["missing.tar"], 1, "missing.tar: no such file"),
        (["{folder}"], 2, "is a folder"),
        (["{text}"], 1, "this is no tar archive"),
        (["{tar}", "UPPER"], 2, "UPPER"),
        (["{tar}", "name@sha256:" + "0" * 64], 2, "cannot name an image"),
        (["{tar}", "-c", "RUN x"], 2, "RUN is not a valid change command"),
        (["{tar}", "--platform", "a/b/c/d"], 2, "invalid platform"),
        (["{tar}", "--platform", "nonsense"], 2, "unknown architecture 'nonsense'"),
        (["http://"], 2, "the URL is malformed"),
        (["http://u:pw@127.0.0.1:9/x?t=pw"], 1, "http://127.0.0.1:9/x cannot be downloaded: Connection refused"),
    ],
)
def test_what_import_refuses(
    jackstay: Any, root_tar: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    (text := tmp_path / "text").write_text("not a tar\n" * 100)
    filled = [word.format(folder=tmp_path, text=text, tar=root_tar) for word in arguments]
    result = jackstay("-H", "web1", "import", *filled)
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert "pw" not in result.err
    assert jackstay("-H", "web1", "images", "-q").out == ""


@pytest.fixture
def container(jackstay: Any, archive: Path) -> Any:
    """A container ``srv`` on every host."""
    assert jackstay("copy", f"docker-archive:{archive}", "@web::").code == 0
    assert jackstay("-H", "@web", "run", "-d", "--name", "srv", "app:1", "serve").code == 0
    return jackstay


def test_export_to_standard_output_and_to_a_file(container: Any, tmp_path: Path) -> None:
    assert container("-H", "web1", "export", "srv").out == "the tar of srv\n"
    file = tmp_path / "srv.tar"
    assert container("-H", "web1", "container", "export", "-o", str(file), "srv").out == ""
    assert file.read_text() == "the tar of srv\n"
    assert container("-H", "web1", "export", "-o", "/dev/null", "srv").code == 0
    (element,) = container("-H", "web1", "--json", "export", "-o", str(file), "srv").json
    assert element["data"] == [{"File": str(file), "Size": 15}]


def test_an_export_that_fails_leaves_the_file_that_was_there(container: Any, tmp_path: Path) -> None:
    file = tmp_path / "srv.tar"
    file.write_text("old")
    result = container("-H", "web1", "export", "-o", str(file), "nothing")
    assert result.code == 1
    assert "no container nothing" in result.err
    assert file.read_text() == "old"
    assert list(tmp_path.glob("srv.tar.*")) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-H", "@web", "export", "srv"], "export works on one host, 3 were chosen"),
        (["-H", "web1", "--json", "export", "srv"], "cannot both go to standard output"),
        (["-H", "web1", "export", "-o", "/nowhere/file", "srv"], "No such file or directory"),
    ],
)
def test_what_export_refuses(container: Any, arguments: list[str], message: str) -> None:
    result = container(*arguments)
    assert result.code == 2
    assert [one["ok"] for one in result.json] == [False] if "--json" in arguments else not result.out
    assert message in result.err


def test_export_does_not_write_to_a_terminal(container: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    result = container("-H", "web1", "export", "srv")
    assert (result.code, result.out) == (2, "")
    assert "will not write an archive to a terminal" in result.err


def test_commit_has_id_and_name(container: Any) -> None:
    refused = container("-H", "@web", "commit", "-c", "RUN x", "srv", "app:2")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("Error: RUN is not a valid change command\n")
    (element,) = container("-H", "web1", "--json", "commit", "srv", "app:2").json
    assert element["data"] == [{"Id": "sha256:" + "c" * 64, "Name": "app:2"}]
    assert json.loads(container("-H", "@web", "--json", "commit", "srv").out)[2]["data"][0]["Name"] == ""
