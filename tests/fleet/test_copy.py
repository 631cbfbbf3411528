"""Copies move what is missing and nothing else: counted at the hosts' links, not only believed from what is printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.archives import write_archive
from tests.lab.images import synthetic
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop

pytestmark = pytest.mark.lab

TALK = 96 * 1024  # SSH handshakes, gRPC and the manifests of a copy that has nothing to move


def copy(laptop: Laptop, *argv: str) -> dict[str, dict[str, int]]:
    """Copy, and give what ``--json`` says by host."""
    ran = laptop.ok("--json", "copy", *argv, timeout=120)
    return {element["host"]: element["data"][0] for element in ran.json}


def test_the_plan_foresees_what_the_copy_sends(lab: Lab, laptop: Laptop, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "images.tar", [synthetic(tmp_path, 3_000_000)])
    laptop.ok("-H", "web1", "load", "-i", archive)
    planned = copy(laptop, "--plan", "web1::big:1", "web[2-3]::")
    assert laptop.ok("-H", "web2", "images", "-q").stdout == ""
    done = copy(laptop, "web1::big:1", "web[2-3]::")
    for host in ("web2", "web3"):
        assert planned[host]["bytes_sent"] == done[host]["bytes_sent"]


def test_an_archive_goes_to_all_hosts_and_what_they_have_is_not_sent(
    lab: Lab, laptop: Laptop, base_archive: Path, web_archive: Path
) -> None:
    copy(laptop, f"docker-archive:{base_archive}", "@web::")
    before = {name: host.link_bytes() for name, host in lab.hosts.items()}
    sent = copy(laptop, f"docker-archive:{web_archive}", "@web::")
    for name, host in lab.hosts.items():
        assert sent[name]["bytes_sent"] < 20_000  # one layer, a config, a manifest
        assert host.link_bytes().since(before[name]).received < TALK
    ids = {tuple(element["data"][0]["ID"] for _ in "x") for element in laptop.ok("-H", "@web", "--json", "images").json}
    assert len(ids) == 1


def test_a_source_lets_the_image_go_when_the_copy_has_ended(lab: Lab, laptop: Laptop, base_archive: Path) -> None:
    laptop.ok("-H", "web1", "load", "-i", base_archive)
    copy(laptop, "web1::base:1", "web2::")
    laptop.ok("-H", "web1", "rmi", "base:1")
    sizes = {line["Type"]: line["Size"] for line in laptop.ok("-H", "web1", "--json", "system", "df").json[0]["data"]}
    assert sizes["Images"] == sizes["Layers"] == "0B"


def test_an_image_of_several_names_arrives_under_the_one_asked_for(
    lab: Lab, laptop: Laptop, base_archive: Path
) -> None:
    laptop.ok("-H", "web1", "load", "-i", base_archive)
    laptop.ok("-H", "web1", "tag", "base:1", "zebra:7")
    copy(laptop, "web1::zebra:7", "web2::")
    listed = laptop.ok("-H", "web2", "images", "--format", "{{.Repository}}:{{.Tag}}").lines
    assert listed == ["zebra:7"]
