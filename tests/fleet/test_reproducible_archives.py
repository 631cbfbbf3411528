"""The same images give the same archive, byte for byte: on any host, whatever archive brought them, in any order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.archives import write_archive
from tests.lab.images import Image
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop

pytestmark = pytest.mark.lab


def test_the_same_images_give_the_same_bytes(lab: Lab, laptop: Laptop, base: Image, web: Image, tmp_path: Path) -> None:
    def saved(host: str, *argv: str) -> bytes:
        laptop.ok("-H", host, "save", "-o", tmp_path / f"{host}.saved", *argv)
        return (tmp_path / f"{host}.saved").read_bytes()

    first = write_archive(tmp_path / "first.tar", [web, base], "docker-classic")
    laptop.ok("-H", "web1", "load", "-i", first)
    expected = saved("web1", "httpd:1.1", "base:1")
    # What was saved, loaded elsewhere; and the same in another form, the images one by one, through a copy.
    laptop.ok("-H", "web2", "load", "-i", tmp_path / "web1.saved")
    laptop.ok("-H", "web1", "save", "--format", "oci", "--compress", "zstd", "-o", tmp_path / "base.oci", "base:1")
    laptop.ok("-H", "web3", "load", "-i", tmp_path / "base.oci")
    laptop.ok("copy", "web2::httpd:1.1", "web3::")
    for host in ("web2", "web3"):
        assert saved(host, "base", "httpd") == expected
    flags = ("--format", "oci", "--compress", "gzip")
    assert saved("web3", *flags, "httpd:1.1", "base:1") == saved("web1", *flags, "base:1", "httpd:1.1", "base:1")
    streamed = laptop.start("-H", "web2", "save", "httpd:1.1", "base:1")
    assert streamed.communicate(timeout=60)[0] == expected
