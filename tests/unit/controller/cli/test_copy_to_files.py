"""``copy`` into files and folders of this machine, from a host and from other files."""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

APP = "docker.io/library/app:1"


@pytest.fixture
def loaded(jackstay: Any, archive: Path) -> Any:
    """The hosts, with app:1 on web1."""
    assert jackstay("copy", f"docker-archive:{archive}", "web1::").code == 0
    return jackstay


def names(folder: Path) -> list[str]:
    document = json.loads((folder / "index.json").read_text())
    return [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in document["manifests"]]


def blobs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "blobs" / "sha256").iterdir()}


def test_a_folder_gets_what_it_lacks_and_the_plan_foresees_it(loaded: Any, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    (planned,) = loaded("--json", "copy", "--plan", "web1::app:1", f"oci:{folder}").json
    assert not folder.exists()
    (done,) = loaded("--json", "copy", "web1::app:1", f"oci:{folder}").json
    assert (planned["host"], done["host"]) == ("local", "local")
    (foreseen,), (copied,) = planned["data"], done["data"]
    assert copied["seconds"] >= 0
    assert foreseen == copied | {"seconds": None}
    assert copied["bytes_sent"] == sum(map(len, blobs(folder).values())) > 1000
    assert copied["sources"] == [{"from": "web1", "via": "relay", "bytes": copied["bytes_sent"]}]
    assert copied["image"] == APP
    assert names(folder) == [APP]

    lines = loaded("--jsonl", "copy", "web1::app:1", f"oci:{tmp_path}/lines").out.splitlines()
    item, end = (json.loads(line) for line in lines)
    assert (item["host"], item["data"]["image"]) == ("local", APP)
    assert end == {"host": "local", "ok": True, "outcome": "ok", "error": None}

    (again,) = loaded("--json", "copy", "web1::app:1", f"oci:{folder}").json
    assert (again["data"][0]["bytes_sent"], again["data"][0]["bytes_spared"]) == (0, copied["bytes_sent"])
    assert loaded("-H", "web1", "tag", "app:1", "other:2").code == 0
    result = loaded("copy", "--image", "app:1", "--image", "other:2", "web1::", f"oci:{folder}")
    assert (result.code, result.out.count("0B sent")) == (0, 2)
    assert sorted(names(folder)) == [APP, "docker.io/library/other:2"]


def test_from_files_to_files_without_a_host(jackstay: Any, archive: Path, tmp_path: Path) -> None:
    folder, packed, again = tmp_path / "images", tmp_path / "packed.tar", tmp_path / "again"
    assert jackstay("copy", f"docker-archive:{archive}", f"oci:{folder}").code == 0
    (element,) = jackstay("--json", "copy", f"oci:{folder}", f"oci-archive:{packed}").json
    assert element["data"][0]["bytes_sent"] == sum(map(len, blobs(folder).values()))
    with tarfile.open(packed) as tar:
        assert "manifest.json" not in tar.getnames()
    assert jackstay("copy", f"oci-archive:{packed}", f"oci:{again}").code == 0
    assert blobs(again) == blobs(folder)
    assert (again / "index.json").read_bytes() == (folder / "index.json").read_bytes()
    assert jackstay("copy", f"oci:{again}", f"docker-archive:{packed}").code == 0
    with tarfile.open(packed) as tar:
        assert "manifest.json" in tar.getnames()
    assert jackstay("copy", f"docker-archive:{packed}", "web2::").code == 0
    assert jackstay("-H", "web2", "images", "--format", "{{.Repository}}:{{.Tag}}").out == "app:1\n"


def test_what_fails_leaves_no_file_and_the_folder_as_it_was(loaded: Any, archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for end in (f"oci:{folder}", f"docker-archive:{tmp_path}/none.tar"):
        result = loaded("copy", "web1::nothere", end)
        assert (result.code, result.err) == (1, "Error: web1: no image nothere\n")
        assert loaded("copy", "down::app:1", end).code == 4
    assert not list(tmp_path.glob("none.tar*"))
    assert not folder.exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("x")
    result = loaded("copy", "web1::app:1", f"oci:{tmp_path}/full")
    assert result.code == 1
    assert "is no OCI folder, and not empty" in result.err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["letter"]


def test_plans_of_archives_and_what_cannot_be_printed(loaded: Any, tmp_path: Path) -> None:
    end = f"docker-archive:{tmp_path}/x.tar"
    (planned,) = loaded("--json", "copy", "--plan", "web1::app:1", end).json
    assert not list(tmp_path.glob("x.tar*"))
    (done,) = loaded("--json", "copy", "web1::app:1", end).json
    assert planned["data"][0]["bytes_sent"] == done["data"][0]["bytes_sent"]
    table = [line.split()[:2] for line in loaded("copy", "--plan", "web1::app:1", "-").out.splitlines()]
    assert table == [["IMAGE", "SENT"], ["app:1", table[1][1]]]
    result = loaded("--json", "copy", "web1::app:1", "-")
    assert result.code == 2
    assert "cannot both go to standard output" in result.err
    assert "only destination" in loaded("copy", "web1::app:1", f"oci:{tmp_path}/y", end).err


def test_a_reader_that_stands_still_is_no_reason_to_wait(home: Path, tmp_path: Path) -> None:
    make = runpy.run_path(str(Path(__file__).parent.parent / "oci_archive.py"))["make_archive"]
    archive = make(tmp_path / "large.tar", {"large:1": bytes(8 << 20)})  # more than pipes hold
    argv = [sys.executable, "-m", "jackstay.cli.main", "copy", f"docker-archive:{archive}", "-"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as copying:
        assert copying.stdout is not None
        assert os.read(copying.stdout.fileno(), 1)
        copying.send_signal(signal.SIGINT)
        try:
            assert copying.wait(20) == 130
        finally:
            copying.kill()


def test_load_tells_every_name_or_the_id(jackstay: Any, archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    assert jackstay("copy", f"docker-archive:{archive}", f"oci:{folder}").code == 0
    index = folder / "index.json"
    document = json.loads(index.read_text())
    (entry,) = document["manifests"]
    renamed = {"org.opencontainers.image.ref.name": "reg.example/team/app:2"}
    document["manifests"] = [entry, entry | {"annotations": renamed}]
    index.write_text(json.dumps(document))
    assert jackstay("-H", "web1", "load", "-i", str(folder)).out == (
        "Loaded image: app:1\nLoaded image: reg.example/team/app:2\n"
    )
    del entry["annotations"]
    index.write_text(json.dumps(document | {"manifests": [entry]}))
    image_id = jackstay("-H", "web1", "load", "-i", str(folder)).out.removeprefix("Loaded image ID: ").strip()
    assert image_id.removeprefix("sha256:") in blobs(folder)
    assert jackstay("-H", "web[1-2]", "load", "-i", str(folder)).out == "".join(
        f"{host}: Loaded image ID: {image_id}\n" for host in ("web1", "web2")
    )
    for text in (image_id, image_id[7:15], entry["digest"]):
        (element,) = jackstay("--json", "copy", "--image", text, f"oci:{folder}", "web3::").json
        assert element["data"][0]["image"] == image_id
    result = jackstay("copy", f"oci:{folder}:app:1", "web3::")
    assert result.err.endswith(f"Hint: an image of {folder} is chosen with --image app:1\n")
    result = jackstay("copy", "--image", "other:1", f"oci:{folder}", "web3::")
    assert result.code == 1
    assert result.err == f"Error: {folder} has no image 'other:1'\nHint: it has: {image_id} (without a name)\n"
