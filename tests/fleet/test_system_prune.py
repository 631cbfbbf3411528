"""``jackstay system prune`` on real agents: what goes, what stays, and what is asked before."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.laptop import Laptop, data

pytestmark = pytest.mark.lab


@pytest.fixture
def web1(laptop: Laptop, base_archive: Path) -> Laptop:
    """A laptop whose commands go to web1, which has ``base:1``."""
    laptop.ok("-H", "web1", "load", "-q", "-i", base_archive)
    laptop.environment["JACKSTAY_HOST"] = "web1"
    return laptop


def test_what_goes(web1: Laptop) -> None:
    web1.ok("run", "-d", "--name", "runs", "-v", "/data", "base:1", "sleep", "60")
    ended = web1.ok("run", "--name", "ended", "-v", "/data", "base:1", "sh", "-c", "head -c 100000 /dev/zero > /fill")
    assert ended.stdout == ""
    (container,) = (row["Id"] for row in data(web1.ok("--json", "inspect", "ended")))
    dangling = web1.ok("commit", "ended").stdout.strip()
    web1.ok("volume", "create", "named")
    web1.ok("network", "create", "unused")

    ran = web1.ok("system", "prune", "-f")
    assert ran.lines[:2] == ["Deleted Containers:", container]
    assert ran.lines[3:5] == ["Deleted Networks:", "unused"]
    assert ran.lines[6:8] == ["Deleted Images:", f"deleted: {dangling}"]
    assert ran.lines[-1].startswith("Total reclaimed space: ")
    assert len(data(web1.ok("--json", "volume", "ls"))) == 3

    objects = data(web1.ok("--json", "system", "prune", "-a", "--volumes", "--yes"))
    assert [item["Type"] for item in objects[:-1]] == ["volume"]
    assert objects[-1].keys() == {"SpaceReclaimed"}
    assert [row["Names"] for row in data(web1.ok("--json", "ps", "-a"))] == ["runs"]
    assert len(data(web1.ok("--json", "volume", "ls"))) == 2

    web1.ok("rm", "-f", "runs")
    assert "untagged: base:1" in web1.ok("system", "prune", "-a", "-f").lines
    assert web1.ok("images", "-q").stdout == ""


def test_it_asks(web1: Laptop) -> None:
    web1.ok("create", "--name", "made", "base:1")
    with web1.terminal("system", "prune", "-a", "--volumes") as terminal:
        terminal.expect("WARNING! This will remove:")
        for what in ("stopped containers", "custom networks", "anonymous volumes", "images without"):
            terminal.expect(f"- all {what}")
        terminal.expect(r"\[y/N\]")
        terminal.type("n\n")
        assert terminal.wait() == 130
    refused = web1.run("-H", "web[1-2]", "system", "prune").ended(2)
    assert "remove all stopped containers, all custom networks not used" in refused.stderr
    assert "on 2 hosts (web[1-2])" in refused.stderr
    assert "until" in web1.run("system", "prune", "--volumes", "--filter", "until=1h").ended(2).stderr
    assert "invalid filter" in web1.run("system", "prune", "-f", "--filter", "name=x").ended(1).stderr
    ran = web1.ok("-H", "web[1-2]", "--json", "system", "prune", "--yes", "--filter", "label!=keep")
    assert [[item.get("Type") for item in each["data"]] for each in ran.json] == [["container", None], [None]]
