"""ps: who is shown, and what of them, through the command line, on a real agent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.conftest import settled
from tests.lab.emptying import empty
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data

pytestmark = pytest.mark.lab

LONG = "/srv/a/long/way/to/it"


@pytest.fixture(scope="module")
def web1(shared_lab: Lab, base_archive: Path, web_archive: Path) -> Iterator[Laptop]:
    """A laptop whose commands go to web1, where ``first``, ``second``, ``third`` were started, and ``last`` ended."""
    laptop = Laptop(shared_lab)
    laptop.environment["JACKSTAY_HOST"] = "web1"
    laptop.ok("load", "-q", "-i", base_archive)
    laptop.ok("load", "-q", "-i", web_archive)
    laptop.ok("run", "-d", "--name", "first", "-l", "tier=front", "-v", "data:/data", "base:1", "sleep", "86400")
    mounts = ["-v", f"{LONG}:/bound", "-v", "data:/again"]
    laptop.ok("run", "-d", "--name", "second", "-p", "18081:80", "-p", "18053:53/udp", *mounts, "httpd:1.1")
    laptop.ok("run", "-d", "--name", "third", "--network", "none", "-l", "tier=back", "httpd:1.1")
    laptop.run("run", "--name", "last", "base:1", "sh", "-c", "head -c 50000 /dev/zero > /fill; exit 3").ended(3)
    yield laptop
    host = shared_lab.hosts["web1"]
    empty(host)
    assert settled(host) == []


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("", "third second first"),
        ("-a", "last third second first"),
        ("-n 2", "last third"),
        ("-l", "last"),
        ("-n 1 -f label=tier", "third"),
        ("-n 1 -f name=first", "first"),
        ("-l -f status=running", "third"),
        ("-a -f exited=3", "last"),
        ("-f status=exited", "last"),
        ("-f expose=80", "third second"),
        ("-f publish=18081", "second"),
        ("-f publish=18050-18060/udp", "second"),
        ("-f publish=80", ""),
        ("-f is-task=false -f label=tier=front", "first"),
        ("-f is-task=1", ""),
        ("-f volume=data", "second first"),
        ("-f volume=/bound", "second"),
        ("-f network=none", "third"),
        ("-f ancestor=httpd:1.1", "third second"),
        ("-f before=second", "first"),
        ("-a -f since=second", "last third"),
        ("-f health=none -f id=.", "third second first"),
    ],
)
def test_who_is_shown(web1: Laptop, words: str, names: str) -> None:
    assert " ".join(web1.ok("ps", *words.split(), "--format", "{{.Names}}").lines) == names


@pytest.mark.parametrize(
    "word", ["publish=http", "publish=80:80", "expose=9-8", "expose=70000", "is-task=maybe", "task=true"]
)
def test_filters_that_are_refused(web1: Laptop, word: str) -> None:
    assert "invalid filter" in web1.run("ps", "-f", word).ended(1).stderr


def test_what_is_shown(web1: Laptop) -> None:
    rows = {row["Names"]: row for row in data(web1.ok("--json", "ps", "-a", "-s"))}
    mapped = ("18053->53/udp", "18081->80/tcp")
    assert rows["second"]["Ports"] == ", ".join(f"{at}:{port}" for port in mapped for at in ("0.0.0.0", "[::]"))
    assert (rows["third"]["Ports"], rows["last"]["Ports"]) == ("80/tcp", "")
    assert set(rows["second"]["Mounts"].split(",")) == {f"{LONG[:14]}…", "data"}
    assert (rows["second"]["LocalVolumes"], rows["first"]["LocalVolumes"]) == ("1", "1")
    assert [rows[name]["Networks"] for name in ("first", "third")] == ["bridge", "none"]
    assert (rows["last"]["State"], rows["last"]["Status"].partition(" ago")[0][:10]) == ("exited", "Exited (3)")
    assert float(rows["last"]["Size"].partition("kB (virtual ")[0]) >= 50
    assert web1.ok("ps", "-l", "--no-trunc", "--format", "{{.Mounts}}", "-f", "name=second").stdout.count(LONG) == 1
    template = '{{.Names}} {{.Label "tier"}} {{.Labels}} {{.RunningFor}} {{.State}}'
    assert web1.ok("ps", "-f", "name=first", "--format", template).stdout.startswith("first front tier=front ")
    header = "table {{.ID}}\t{{.LocalVolumes}}\t{{.Mounts}}\t{{.Size}}\t{{.CreatedAt}}"
    assert web1.ok("ps", "--format", header).lines[0].split("   ")[0] == "CONTAINER ID"


def test_everything_about_anything(web1: Laptop) -> None:
    ended, image, network, volume = data(web1.ok("--json", "inspect", "--size", "last", "base:1", "bridge", "data"))
    assert ended["SizeRootFs"] > ended["SizeRw"] >= 50_000
    assert (image["RepoTags"], network["Driver"], volume["Name"]) == (["base:1"], "bridge", "data")
    told = web1.run("inspect", "nothing").ended(1).stderr
    assert "no container, image, network or volume is called 'nothing'" in told
    assert web1.run("inspect", "--type", "volume", "last").ended(1).stdout == "[]\n"
