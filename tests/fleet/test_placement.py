"""``run --on N``: of several hosts only those with most room."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data

pytestmark = pytest.mark.lab

ALL = ("-H", "web[1-3]")


def test_hosts_with_most_room(lab: Lab, laptop: Laptop, base_archive: Path, tmp_path: Path) -> None:
    laptop.ok(*ALL, "load", "-i", base_archive)
    for host, count in (("web1", 2), ("web2", 1)):
        for _ in range(count):
            laptop.ok("-H", host, "run", "-d", "base:1", "sleep", "60")
    infos = {element["host"]: element["data"][0] for element in laptop.ok(*ALL, "--json", "info").json}
    assert [infos[name]["ContainersRunning"] for name in ("web1", "web2", "web3")] == [2, 1, 0]
    assert all(info["MemAvailable"] > 0 and info["DiskAvailable"] > 0 for info in infos.values())

    def hosts(*argv: str | Path) -> list[str]:
        return [element["host"] for element in laptop.ok(*ALL, "--json", *argv).json]

    assert hosts("run", "--on", "1", "--rm", "base:1", "true") == ["web3"]
    assert hosts("create", "--on", "2", "base:1") == ["web2", "web3"]
    assert hosts("run", "-d", "--on", "3", "base:1", "true") == ["web1", "web2", "web3"]
    laptop.ok(*ALL, "run", "-d", "--on", "1", "--cidfile", tmp_path / "cid", "base:1", "sleep", "60")
    on_web3 = [item["ID"] for item in data(laptop.ok("-H", "web3", "--json", "ps", "--no-trunc"))]
    assert on_web3 == [(tmp_path / "cid").read_text()]

    told = laptop.run(*ALL, "run", "--on", "4", "base:1", "true")
    assert (told.code, "only 3 hosts were chosen" in told.stderr) == (2, True), told
    lab.hosts["web3"].switch_off()
    ran = laptop.run(*ALL, "--connect-timeout", "2", "run", "--on", "1", "--rm", "base:1", "echo", "here").ok()
    assert (ran.stdout, "left out, since its room is not known: web3" in ran.stderr) == ("here\n", True)
    laptop.run("-H", "web[2-3]", "--connect-timeout", "2", "run", "--on", "1", "--rm", "base:1", "true").ok()
