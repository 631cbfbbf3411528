"""What is asked about and done to images by name, through the command line, on real agents."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.archives import write_archive
from tests.lab.emptying import leftovers
from tests.lab.images import Image
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, Ran, data

pytestmark = pytest.mark.lab

Command = Callable[..., Ran]


@pytest.fixture(scope="module")
def archive(base: Image, web: Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``base:1`` and, above it, ``httpd:1.1``."""
    return write_archive(tmp_path_factory.mktemp("archive") / "both.tar", [base, web])


@pytest.fixture
def on(laptop: Laptop, archive: Path) -> Command:
    """``jackstay -H web1 ARGV``, with ``base:1`` and ``httpd:1.1`` there."""
    laptop.ok("-H", "web1", "load", "-q", "-i", archive)
    return lambda *argv: laptop.run("-H", "web1", *argv)


def rows(ran: Ran) -> list[list[str]]:
    """The cells of a table, without its header."""
    return [re.split(r" {3,}", line) for line in ran.ok().lines[1:]]


def names(ran: Ran) -> list[str]:
    return [f"{row[0]}:{row[1]}" for row in rows(ran)]


def test_listing(on: Command, base: Image, web: Image) -> None:
    on("tag", "base:1", "team/tools:2").ok()
    short = base.id[7:19]
    assert on("images").ok().lines[0].split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert [row[:3] for row in rows(on("images", "base"))] == [["base", "1", short]]
    assert sorted(names(on("images", "--filter", "reference=*:1"))) == ["base:1"]
    assert sorted(names(on("images", "*/tools", "--filter", "dangling=false"))) == ["team/tools:2"]
    assert names(on("images", "--filter", "before=base:1")) == []  # both were made at the same time
    assert len(names(on("images", "--filter", "until=1h"))) == 3
    assert on("images", "-q", "--no-trunc", "httpd:1.1").ok().stdout == f"{web.id}\n"
    (digest,) = {row["Digest"] for row in data(on("--json", "images", "--digests", "base").ok())}
    assert digest == data(on("--json", "image", "inspect", "base:1").ok())[0]["Descriptor"]["digest"]
    ran = on("images", "--filter", "colour=red").ended(1)
    assert ran.stderr == (
        "Error: web1: invalid filter 'colour'\nHint: known are before, dangling, label, reference, since, until\n"
    )
    assert "syntax error in pattern" in on("images", "[").ended(1).stderr


def test_a_name_that_is_given_away(on: Command, base: Image) -> None:
    digest = data(on("--json", "images", "base").ok())[0]["Digest"]
    on("tag", "httpd:1.1", "base:1").ok()
    (row,) = rows(on("images", "--digests", "--filter", "dangling=true"))
    assert row[:4] == ["<none>", "<none>", digest, base.id[7:19]]
    ran = on("image", "prune", "-f").ok()
    assert ran.lines[:2] == ["Deleted Images:", f"deleted: {base.id}"]
    assert ran.lines[2] == ""  # its layers are those of the other
    assert ran.lines[3].startswith("Total reclaimed space: ")
    assert on("image", "prune", "-af", "--filter", "label=none").ok().stdout == "Total reclaimed space: 0B\n"


def test_history(on: Command, web: Image) -> None:
    table = rows(on("history", "httpd:1.1"))
    assert [row[0] for row in table] == [web.id[7:19], "<missing>", "<missing>", "<missing>"]
    assert [row[2] for row in table] == [
        "a web server", "an issue added", "drafts and motd removed", "a system of busybox",
    ]  # fmt: skip
    plain = rows(on("history", "--human=false", "httpd:1.1"))
    assert {row[1] for row in plain} == {"2024-01-02T03:04:05Z"}
    sizes = [int(row[3]) for row in plain]
    assert sum(sizes) == data(on("--json", "image", "inspect", "httpd:1.1").ok())[0]["Size"]


def test_removing(on: Command, base: Image, web: Image) -> None:
    on("tag", "base:1", "base:2").ok()
    digest = data(on("--json", "images", "base:1").ok())[0]["Digest"]
    ran = on("rmi", "base:2", "none:1", "base:2", base.id[7:19]).ended(1)
    assert ran.lines == ["Untagged: base:2", "Untagged: base:1", f"Untagged: base@{digest}", f"Deleted: {base.id}"]
    assert ran.stderr.startswith("Error: web1: No such image: none:1; No such image: base:2\n")
    layers = data(on("--json", "image", "inspect", "httpd:1.1").ok())[0]["RootFS"]["Layers"]
    removed = on("rmi", "httpd:1.1").ok().lines
    assert removed[0] == "Untagged: httpd:1.1"
    assert removed[2] == f"Deleted: {web.id}"
    assert len(removed) == 3 + len(layers)
    assert removed[-1] == f"Deleted: {layers[0]}"
    assert on("rmi", "-f", "httpd:1.1").ok().stderr == "Error: web1: No such image: httpd:1.1\n"


def test_removing_what_containers_use(lab: Lab, on: Command, base: Image) -> None:
    on("rmi", "httpd:1.1").ok()
    on("run", "-d", "--name", "running", "base:1", "sleep", "60").ok()
    assert "(cannot be forced) - image is being used by running container" in on("rmi", "-f", base.id).ended(1).stderr
    assert "(must be forced)" in on("rmi", "base:1").ended(1).stderr
    on("kill", "running").ok()
    assert on("rmi", "-f", "base:1").ok().lines[-1] == f"Deleted: {base.id}"
    assert on("images", "-q").ok().stdout == ""
    assert on("images", "-a", "-q").ok().stdout == f"{base.id[7:19]}\n"  # what the container keeps
    assert "No such image" in on("run", "--rm", "--pull", "never", "base:1", "true").ended(125).stderr
    on("rm", "-f", "running").ok()
    assert on("images", "-a", "-q").ok().stdout == ""
    deadline = time.monotonic() + 10
    while (left := leftovers(lab.hosts["web1"])) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def test_prune_asks_on_a_terminal(on: Command, laptop: Laptop) -> None:
    with laptop.terminal("-H", "web1", "image", "prune", "-a") as terminal:
        terminal.expect("This will remove all images without at least one container associated to them.")
        terminal.expect(r"\[y/N\]")
        terminal.type("n\n")
        assert terminal.wait() == 130
    assert len(names(on("images"))) == 2
    with laptop.terminal("-H", "web1", "image", "prune", "-a") as terminal:
        terminal.expect(r"\[y/N\]")
        terminal.type("y\n")
        terminal.expect("Total reclaimed space: ")
        assert terminal.wait() == 0
    assert names(on("images")) == []


def test_inspecting_several(on: Command) -> None:
    ran = on("image", "inspect", "base:1", "none:1", "httpd:1.1").ended(1)
    assert [document["RepoTags"] for document in ran.json] == [["base:1"], ["httpd:1.1"]]
    assert ran.stderr.startswith("Error: web1: No such image: none:1")


def test_the_tree(on: Command, laptop: Laptop, web_archive: Path) -> None:
    lines = on("image", "tree").ok().lines
    assert [len(line.split()[0]) for line in lines[1:]] == [12] * 4
    assert [re.split(r" {3,}", line)[2] for line in lines[1:]] == ["2", "2", "2", "1"]
    assert lines[3].endswith("base:1")
    assert lines[4].endswith("httpd:1.1")
    laptop.ok("-H", "web2", "load", "-q", "-i", web_archive)
    both = laptop.run("-H", "web[1-2]", "image", "tree", "--no-trunc", LC_ALL="C").ok()
    assert [line for line in both.lines if line.endswith(":")] == ["web1:", "web2:"]
    assert both.stdout.isascii()


def test_disk_usage_is_what_pruning_frees(on: Command) -> None:
    fill = "dd if=/dev/zero of=/fill bs=1M count=3; dd if=/dev/zero of=/v/fill bs=1M count=2"
    on("run", "--name", "writer", "-v", "kept:/v", "base:1", "/bin/sh", "-c", fill).ok()
    on("volume", "create", "unused").ok()
    usage = {row["Type"]: row for row in data(on("--json", "system", "df").ok())}
    assert list(usage) == ["Images", "Blobs", "Layers", "Containers", "Local Volumes", "Partial Ingests"]
    assert [usage[kind]["TotalCount"] for kind in ("Images", "Layers", "Containers", "Local Volumes")] == [
        "2", "4", "1", "2",
    ]  # fmt: skip
    assert [usage[kind]["Active"] for kind in ("Images", "Layers", "Containers", "Local Volumes")] == [
        "1", "3", "0", "1",
    ]  # fmt: skip
    assert usage["Containers"]["Reclaimable"].startswith("3.15")
    assert usage["Local Volumes"]["Size"].startswith("2.1")
    details = data(on("--json", "system", "df", "-v").ok())[0]
    assert details["Containers"][0]["Size"].startswith("3.1")
    assert {volume["Name"]: volume["Links"] for volume in details["Volumes"]} == {"kept": "1", "unused": "0"}

    reclaimable = usage["Images"]["Reclaimable"].split()[0]
    assert on("image", "prune", "-af").ok().lines[-1] == f"Total reclaimed space: {reclaimable}"
    on("rm", "writer").ok()
    usage = {row["Type"]: row for row in data(on("--json", "system", "df").ok())}
    assert usage["Containers"]["Size"] == "0B"
    for kind, prune in (("Images", "image"), ("Local Volumes", "volume")):
        said = usage[kind]["Reclaimable"].split()[0]
        freed = on("--json", prune, "prune", "-af").ok()
        assert f"{data(freed)[-1]['SpaceReclaimed'] / 1e6:.2f}" == f"{float(said[:-2]):.2f}", (kind, said)
    assert {row["Size"] for row in data(on("--json", "system", "df").ok())} == {"0B"}
