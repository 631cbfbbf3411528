"""``system check``: each kind of damage is done to a host, named, repaired as far as that goes without a source."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.host import Host
from tests.lab.images import Image, sha256
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data

pytestmark = pytest.mark.lab


class Damaged:
    """web1 with ``base:1`` on it, what lies where, and the check."""

    def __init__(self, lab: Lab, laptop: Laptop, base: Image) -> None:
        self.host: Host = lab.hosts["web1"]
        self.laptop = laptop
        self.base = base
        self.state = self.host.state_dir
        self.blobs = self.state / "content" / "blobs" / "sha256"
        self.snapshots = self.state / "layers" / "snapshots"

    def blob(self, layer: int) -> Path:
        """The file of the blob of that layer."""
        return self.blobs / sha256(self.base.layers[layer])

    def sql(self, query: str, *values: Any) -> list[Any]:
        """Read or change the database by hand, inside the host's own folder, without the agent's rules."""
        connection = sqlite3.connect(self.state / "jackstay.db", timeout=20, isolation_level=None)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def layer(self, number: int) -> tuple[str, Path]:
        """ChainID and folder of the layer of that number, the lowest 0."""
        rows = self.sql("SELECT key, id FROM snapshots WHERE kind = 'committed' ORDER BY id")
        return rows[number][0], self.snapshots / str(rows[number][1]) / "fs"

    def check(self, *flags: str, code: int = 1) -> list[tuple[str, str, str]]:
        """Kind, thing and name of every finding."""
        return [(f["Kind"], f["Thing"], f["Name"]) for f in self.findings(*flags, code=code)]

    def findings(self, *flags: str, code: int = 1) -> list[dict[str, Any]]:
        """Every finding."""
        return data(self.laptop.run("-H", "web1", "--json", "system", "check", *flags).ended(code))

    def load(self, archive: Path) -> None:
        self.laptop.ok("-H", "web1", "load", "-i", archive)


@pytest.fixture
def damaged(lab: Lab, laptop: Laptop, base: Image, base_archive: Path) -> Iterator[Damaged]:
    laptop.ok("-H", "web1", "load", "-i", base_archive)
    host = Damaged(lab, laptop, base)
    yield host
    host.check("--repair", code=0)


def flip(path: Path, at: int = -1) -> None:
    """Turn one bit over, in place, and leave the size and the time as they were."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    path.chmod(status.st_mode & 0o7777)


def test_nothing_is_wrong_with_what_was_loaded(damaged: Damaged) -> None:
    damaged.laptop.ok("-H", "web1", "run", "-d", "--name", "web", "-v", "data:/data", "base:1", "sleep", "1000")
    damaged.laptop.ok("-H", "web1", "commit", "web", "made:1")
    told = damaged.laptop.ok("-H", "web1", "system", "check")
    blobs, layers, images = 5 + 3, 3 + 1, 2
    assert told.stdout.endswith(f"), {layers} layers, {images} images checked: nothing is wrong\n"), told
    assert told.stdout.startswith(f"{blobs} blobs ("), told
    assert damaged.check(code=0) == []


@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_a_blob_that_is_not_what_it_was(damaged: Damaged, how: str, base_archive: Path) -> None:
    blob = damaged.blob(1)
    digest = f"sha256:{blob.name}"
    if how == "flipped":
        flip(blob)
    elif how == "cut":
        os.truncate(blob, 100)
    else:
        blob.unlink()
    kind = "missing" if how == "gone" else "wrong"
    (finding,) = damaged.findings()
    assert (finding["Kind"], finding["Thing"], finding["Name"], finding["Repaired"]) == (kind, "blob", digest, False)
    assert "base:1 needs it" in finding["Detail"]
    assert blob.exists() is (how != "gone"), "a check without --repair changes nothing"

    (finding,) = damaged.findings("--repair")
    assert not blob.exists()
    assert (finding["Name"], finding["Repaired"]) == (digest, False)
    assert finding["Hint"] == "load or copy base:1 again, which repairs it"
    text = damaged.laptop.run("-H", "web1", "system", "check").ended(1)
    assert "load or copy base:1 again" in text.stderr
    assert "web1" in text.stderr

    damaged.load(base_archive)
    assert damaged.check(code=0) == []
    damaged.laptop.ok("-H", "web1", "save", "-o", damaged.state / "saved.tar", "base:1")
    (damaged.state / "saved.tar").unlink()


def test_a_blob_without_its_row_gets_it_back(damaged: Damaged, base_archive: Path) -> None:
    digest = f"sha256:{damaged.blob(0).name}"
    damaged.sql("DELETE FROM blobs WHERE digest = ?", digest)
    assert damaged.check() == [("missing", "blob", digest)]
    assert damaged.check("--repair", code=0) == [("missing", "blob", digest)]
    assert damaged.check(code=0) == []
    assert damaged.sql("SELECT size FROM blobs WHERE digest = ?", digest) == [(damaged.blob(0).stat().st_size,)]


def test_a_row_with_another_size_is_put_right(damaged: Damaged) -> None:
    digest = f"sha256:{damaged.blob(0).name}"
    damaged.sql("UPDATE blobs SET size = 7 WHERE digest = ?", digest)
    assert damaged.check() == [("wrong", "blob", digest)]
    assert damaged.check("--repair", code=0) == [("wrong", "blob", digest)]
    assert damaged.check(code=0) == []


def test_a_reference_that_is_gone_comes_back_before_collection_takes_the_blob(damaged: Damaged) -> None:
    digest = f"sha256:{damaged.blob(2).name}"
    damaged.sql("DELETE FROM blob_references WHERE child = ?", digest)
    assert damaged.check() == [("missing", "blob", digest)]
    assert damaged.check("--repair", code=0) == [("missing", "blob", digest)]
    damaged.laptop.ok("-H", "web1", "image", "prune")
    assert damaged.blob(2).exists()


def test_names_that_mean_nothing_go(damaged: Damaged) -> None:
    damaged.sql("INSERT INTO names (name, root) VALUES ('docker.io/library/ghost:1', 'sha256:0')")
    assert damaged.check() == [("wrong", "image", "ghost:1")]
    assert damaged.check("--repair", code=0) == [("wrong", "image", "ghost:1")]
    assert damaged.check(code=0) == []


@pytest.mark.parametrize("how", ["changed", "removed", "added", "folder gone", "row gone"])
def test_an_unpacked_layer_that_is_not_its_blob(damaged: Damaged, how: str) -> None:
    name, folder = damaged.layer(0)
    if how == "changed":
        flip(folder / "etc" / "passwd", 0)
    elif how == "removed":
        (folder / "etc" / "passwd").unlink()
    elif how == "added":
        (folder / "bin" / "backdoor").write_text("#!/bin/sh\n")
    elif how == "folder gone":
        shutil.rmtree(folder.parent)
    else:
        name, folder = damaged.layer(2)
        damaged.sql("DELETE FROM snapshots WHERE key = ?", name)
    kind = "missing" if "gone" in how else "wrong"
    found = [("orphaned", "layer", folder.parent.name)] if how == "row gone" else []
    before = sorted(path.name for path in damaged.snapshots.iterdir())
    findings = damaged.findings()
    assert [(f["Kind"], f["Thing"], f["Name"]) for f in findings] == [*found, (kind, "layer", name)]
    assert sorted(path.name for path in damaged.snapshots.iterdir()) == before
    words = {"changed": "'etc/passwd': its content differs", "removed": "'etc/passwd'", "added": "'bin/backdoor'"}
    assert words.get(how, "") in findings[-1]["Detail"]
    assert "base:1 needs it" in findings[-1]["Detail"]

    assert damaged.check("--repair", code=0) == [*found, (kind, "layer", name)]
    assert damaged.check(code=0) == []
    assert damaged.laptop.ok("-H", "web1", "run", "--rm", "base:1", "cat", "/etc/passwd").stdout.startswith("root:x:0")


def test_a_layer_that_a_container_runs_on_is_repaired_once_it_has_stopped(damaged: Damaged) -> None:
    damaged.laptop.ok("-H", "web1", "run", "-d", "--name", "busy", "base:1", "sleep", "1000")
    name, folder = damaged.layer(0)
    flip(folder / "etc" / "passwd", 0)
    (finding,) = damaged.findings("--repair")
    assert (finding["Kind"], finding["Name"], finding["Repaired"]) == ("wrong", name, False)
    assert "stop busy" in finding["Hint"]
    assert "container busy" in finding["Detail"]
    damaged.laptop.ok("-H", "web1", "kill", "busy")
    damaged.laptop.run("-H", "web1", "wait", "busy")
    assert damaged.check("--repair", code=0) == [("wrong", "layer", name)]
    damaged.laptop.ok("-H", "web1", "start", "busy")
    shown = damaged.laptop.ok("-H", "web1", "exec", "busy", "head", "-c", "4", "/etc/passwd").stdout
    assert shown == "root"


def test_a_layer_whose_blob_is_damaged_too_needs_a_load_first(damaged: Damaged, base_archive: Path) -> None:
    name, folder = damaged.layer(1)
    shutil.rmtree(folder.parent)
    flip(damaged.blob(1))
    findings = damaged.findings("--repair")
    assert [(f["Kind"], f["Thing"]) for f in findings] == [("wrong", "blob"), ("missing", "layer")]
    assert findings[1]["Hint"] == "load or copy base:1 again, which repairs it, then run system check --repair"
    damaged.load(base_archive)
    assert damaged.check("--repair", code=0) == [("missing", "layer", name)]


def test_what_belongs_to_nothing_is_named_and_goes(damaged: Damaged) -> None:
    run = damaged.host.path("/run/jackstay")
    stray = {
        "blob": [damaged.blobs / ("0" * 64), damaged.blobs / "core"],
        "ingest": [damaged.state / "content" / "ingest" / ("1" * 64)],
        "container": [damaged.state / "containers" / "dead", run / "containers" / "dead", run / "exits" / "dead"],
        "volume": [damaged.state / "volumes" / "lost"],
        "layer": [damaged.snapshots / "999"],
    }
    for paths in stray.values():
        for path in paths:
            if path.parent.name in ("ingest", "containers", "volumes", "snapshots"):
                (path / "inner").mkdir(parents=True)
            else:
                path.write_bytes(b"stray")
    wanted = sorted(("orphaned", thing, path.name) for thing, paths in stray.items() for path in paths)
    assert sorted(damaged.check()) == wanted
    assert all(path.exists() for paths in stray.values() for path in paths)
    assert sorted(damaged.check("--repair", code=0)) == wanted
    assert not any(path.exists() for paths in stray.values() for path in paths)
    assert damaged.check(code=0) == []
    damaged.laptop.ok("-H", "web1", "run", "--rm", "base:1", "true")


def test_rows_whose_files_are_gone(damaged: Damaged) -> None:
    damaged.laptop.ok("-H", "web1", "run", "-d", "--name", "ended", "-v", "data:/data", "base:1", "true")
    damaged.laptop.run("-H", "web1", "wait", "ended")
    ((snapshot,),) = damaged.sql("SELECT id FROM snapshots WHERE key LIKE 'container-%'")
    shutil.rmtree(damaged.snapshots / str(snapshot))
    shutil.rmtree(damaged.state / "volumes" / "data")
    damaged.sql("INSERT INTO ingests (ref, updated) VALUES ('lost', 0)")
    findings = damaged.findings("--repair")
    assert [(f["Kind"], f["Thing"], f["Name"], f["Repaired"]) for f in findings] == [
        ("missing", "ingest", "lost", True),
        ("missing", "volume", "data", False),
        ("missing", "container", "ended", False),
    ]
    damaged.laptop.ok("-H", "web1", "rm", "ended")
    damaged.laptop.ok("-H", "web1", "volume", "rm", "data")
    assert damaged.check(code=0) == []


def test_a_damaged_blob_that_nothing_needs_goes(damaged: Damaged) -> None:
    name = "ab" * 32
    (damaged.blobs / name).write_bytes(b"not its content")
    damaged.sql("INSERT INTO blobs (digest, size, created) VALUES (?, 15, 0)", f"sha256:{name}")
    assert damaged.check() == [("wrong", "blob", f"sha256:{name}")]
    assert damaged.check("--repair", code=0) == [("wrong", "blob", f"sha256:{name}")]
    assert damaged.sql("SELECT 1 FROM blobs WHERE digest = ?", f"sha256:{name}") == []


def test_several_hosts_and_the_table(damaged: Damaged) -> None:
    flip(damaged.blob(0))
    shown = damaged.laptop.run("-H", "web[1-2]", "system", "check").ended(1)
    assert shown.lines[0].split() == ["HOST", "KIND", "THING", "NAME", "DETAIL", "TO", "DO"]
    assert shown.lines[1].split()[:4] == ["web1", "wrong", "blob", f"sha256:{damaged.blob(0).name}"]
    assert shown.lines[-1] == "web2: 0 blobs (0B), 0 layers, 0 images checked: nothing is wrong"
    refused = damaged.laptop.run("-H", "web[1-2]", "system", "check", "--repair").ended(2)
    assert "--yes" in refused.stderr
    elements = damaged.laptop.run("-H", "web[1-2]", "--json", "system", "check").ended(1).json
    assert [(each["host"], each["outcome"], len(each["data"])) for each in elements] == [
        ("web1", "failed", 1),
        ("web2", "ok", 0),
    ]
    assert elements[0]["error"]["kind"] == "DAMAGED"
    damaged.blob(0).unlink()
    damaged.laptop.ok("-H", "web1", "rmi", "base:1")
