"""What is asked about and done to images by name, as people and programs see it; the agents are only remembered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def loaded(jackstay: Any, archive: Path) -> Any:
    """``app:1`` on every host."""
    assert jackstay("copy", f"docker-archive:{archive}", "@web::").code == 0
    return jackstay


def test_prune_tells_what_went(loaded: Any) -> None:
    assert loaded("-H", "web1", "image", "prune", "-f").out == (
        "Deleted Images:\ndeleted: sha256:1\n\nTotal reclaimed space: 1.235MB\n"
    )
    assert loaded("-H", "web1", "image", "prune", "-af").out.splitlines()[1] == "untagged: app:1"
    assert loaded("-H", "web1", "image", "prune", "-f", "--filter", "until=1h").out == "Total reclaimed space: 0B\n"
    assert loaded("-H", "web[1-2]", "image", "prune", "-f").out == (
        "Deleted Images:\nweb1: deleted: sha256:1\nweb2: deleted: sha256:1\n\nTotal reclaimed space: 2.469MB\n"
    )
    down = loaded("-H", "down", "image", "prune", "-f")
    assert (down.code, down.out) == (4, "")
    assert loaded("-H", "down", "volume", "prune", "-f").out == ""
    (element,) = loaded("-H", "web1", "--json", "image", "prune", "-af").json
    assert element["data"] == [{"Untagged": "app:1"}, {"Deleted": "sha256:1"}, {"SpaceReclaimed": 1234567}]


def test_removing_by_force_what_is_not_there_is_no_error(loaded: Any) -> None:
    result = loaded("-H", "web1", "rmi", "-f", "nothere", "app:1", "neither")
    assert (result.code, result.out.splitlines()[0]) == (0, "Untagged: app:1")
    assert result.err == "Error: web1: No such image: nothere\nError: web1: No such image: neither\n"
    result = loaded("-H", "web1", "rmi", "nothere", "neither")
    assert (result.code, result.out) == (1, "")
    lines = loaded("-H", "web2", "--jsonl", "rmi", "app:1", "nothere").out.splitlines()
    assert [json.loads(line).get("data", {}).get("Untagged") for line in lines] == ["app:1", None, None]
    (element,) = loaded("-H", "web1", "--json", "rmi", "-f", "nothere").json
    assert (element["ok"], element["data"]) == (True, [])


def test_one_platform_or_all_of_them(jackstay: Any, archive: Path) -> None:
    for line in (
        ["-H", "web1", "load", "-i", archive],
        ["copy", f"docker-archive:{archive}", "web1::"],
        ["pull", "a:1"],
    ):
        result = jackstay(*map(str, line), "--platform", "linux/arm64", "--all-platforms")
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith("Error: --platform and --all-platforms exclude each other\n")


def test_history_in_dates_and_bytes(loaded: Any) -> None:
    human = loaded("-H", "web1", "history", "app:1").out.splitlines()
    assert human[0].split("  ")[0] == "IMAGE"
    assert human[1].split()[-1] == "1.23kB"
    plain = loaded("-H", "web1", "history", "--human=false", "app:1").out.splitlines()
    assert plain[0].split() == ["IMAGE", "CREATED", "AT", "CREATED", "BY", "SIZE", "COMMENT"]
    assert plain[1].split() == ["aaaaaaaaaaaa", "2023-11-14T22:13:20Z", "COPY", ".", "/", "1234"]
    assert loaded("-H", "web1", "history", "--human=maybe", "app:1").code == 2
    assert loaded("-H", "web1", "history", "--human", "app:1").out.splitlines() == human
    # After the verb -H is docker's option, which takes no host.
    assert loaded("--host", "web1", "history", "--human=false", "-H", "app:1").out.splitlines() == human
    assert loaded("history", "-H", "--host", "web2", "app:1").out.splitlines() == human
    assert loaded("-H", "web1", "history", "-q", "--no-trunc", "app:1").out == "sha256:" + "a" * 64 + "\n"


def test_disk_usage_in_detail(loaded: Any) -> None:
    lines = [" ".join(line.split()) for line in loaded("-H", "web1", "system", "df", "-v").out.splitlines()]
    assert [line for line in lines if line.endswith("space usage:")] == [
        "Images space usage:", "Blobs space usage:", "Containers space usage:", "Local Volumes space usage:",
        "Partial ingests space usage:",
    ]  # fmt: skip
    assert any(line.startswith("app 1 aaaaaaaaaaaa") and line.endswith("4MB 1.235MB 2.765MB 1") for line in lines)
    assert any(line.startswith("<none> <none> aaaaaaaaaaaa") for line in lines)
    assert any(line.startswith("dddddddddddd") and line.endswith("12.35MB 2") for line in lines)
    assert any(line.startswith('cccccccccccc app:1 "serve all" 1 4.1kB') and line.endswith("srv") for line in lines)
    assert "data 1 12.35kB" in lines
    assert any(line.startswith("eeeeeeeeeeee") and line.endswith("300B ? false") for line in lines)
    assert "sha256:" + "d" * 64 in loaded("-H", "web1", "system", "df", "-v", "--no-trunc").out


def test_disk_usage_in_detail_for_programs(loaded: Any) -> None:
    (element,) = loaded("-H", "web1", "--json", "system", "df", "-v").json
    (everything,) = element["data"]
    assert list(everything) == ["Images", "Containers", "Volumes", "BuildCache", "Blobs", "Ingests"]
    first, second = everything["Images"]
    assert first["ID"] == "sha256:" + "a" * 64
    assert (first["Repository"], first["Tag"], first["SharedSize"], first["UniqueSize"]) == (
        "app", "1", "1.235MB", "2.765MB",
    )  # fmt: skip
    assert (second["Repository"], second["Tag"], second["Digest"]) == ("<none>", "<none>", "")
    assert everything["Volumes"][0]["Labels"] == "a=1"
    assert everything["Containers"][0]["Status"].startswith("Exited (3)")
    result = loaded("-H", "web1", "system", "df", "-v", "--format", "{{range .Blobs}}{{.Size}} {{.Images}}{{end}}")
    assert result.out == "12.35MB 2\n"
    (line,) = loaded("-H", "web1", "system", "df", "--format", "json").out.splitlines()
    assert json.loads(line)["Reclaimable"] == "1MB (25%)"


def test_disk_usage_in_detail_of_several_hosts(loaded: Any) -> None:
    lines = loaded("-H", "web[1-2]", "system", "df", "-v").out.splitlines()
    assert lines[2].split()[:2] == ["HOST", "REPOSITORY"]
    assert [line.split()[0] for line in lines[3:7]] == ["web1", "web1", "web2", "web2"]


def test_the_tree_of_images(loaded: Any) -> None:
    assert loaded("-H", "web1", "tag", "app:1", "other:2").code == 0
    lines = loaded("-H", "web1", "image", "tree").out.splitlines()
    assert lines[0].split() == ["LAYER", "SIZE", "USED", "BY", "CREATED", "BY", "IMAGES"]
    assert lines[1].split() == ["111111111111", "5B", "2", "ADD", "x", "app:1,", "other:2"]
    (element,) = loaded("-H", "web1", "--json", "image", "tree", "other:2").json
    (root,) = element["data"]
    assert (root["ChainID"], root["UsedBy"], root["Images"][0]["Names"]) == ("sha256:" + "1" * 64, 1, ["other:2"])
    text = loaded("-H", "web[1-2]", "image", "tree", "--no-trunc").out
    assert [line for line in text.splitlines() if line.endswith(":")] == ["web1:", "web2:"]
    assert "sha256:" + "1" * 64 in text


def test_images_have_their_labels_and_sizes_in_json(loaded: Any) -> None:
    (element,) = loaded("-H", "web1", "--json", "images").json
    (image,) = element["data"]
    assert {"ID", "Repository", "Tag", "Digest", "CreatedAt", "CreatedSince", "Size", "SharedSize", "UniqueSize",
            "Containers", "Labels"} <= image.keys()  # fmt: skip
    assert loaded("-H", "web1", "images", "--digests").out.splitlines()[0].split()[2] == "DIGEST"
