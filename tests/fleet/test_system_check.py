"""``system check``: each kind of damage is done to a host, named, repaired as far as that goes without a source."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from jackstay_oci.digest import Digest
from jackstay_oci.identity import chain_ids
from jackstay_proto.v1 import system_pb2, system_pb2_grpc
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
        diff_ids = [Digest(f"sha256:{sha256(layer)}") for layer in self.base.layers]
        name = str(chain_ids(diff_ids)[number])
        ((snapshot,),) = self.sql("SELECT id FROM snapshots WHERE key = ?", name)
        return name, self.snapshots / str(snapshot) / "fs"

    def check(self, *, repair: bool = False) -> list[tuple[str, str, str, bool]]:
        """Kind, thing and name of every finding, and whether it was repaired; straight through the agent's socket."""
        return [(f.kind, f.thing, f.name, f.repaired) for f in self.findings(repair=repair)]

    def findings(self, *, repair: bool = False) -> list[system_pb2.CheckFinding]:
        """Every finding."""
        with grpc.insecure_channel(f"unix:{self.host.agent.socket}") as channel:
            request = system_pb2.CheckRequest(repair=repair)
            replies = list(system_pb2_grpc.SystemStub(channel).Check(request, timeout=30))
        assert replies[-1].WhichOneof("reply") == "done"
        findings = [reply.finding for reply in replies if reply.HasField("finding")]
        assert replies[-1].done.found == len(findings)
        assert replies[-1].done.repaired == sum(finding.repaired for finding in findings)
        return findings

    def repairs(self, *things: tuple[str, str, str]) -> None:
        """Exactly these are found, unchanged without ``--repair``, put right with it, and gone afterwards."""
        assert self.check() == [(*thing, False) for thing in things]
        assert self.check(repair=True) == [(*thing, True) for thing in things]
        assert self.check() == []

    def load(self, archive: Path) -> None:
        self.laptop.ok("-H", "web1", "load", "-i", archive)


@pytest.fixture
def damaged(lab: Lab, laptop: Laptop, base: Image, base_archive: Path) -> Iterator[Damaged]:
    laptop.ok("-H", "web1", "load", "-i", base_archive)
    host = Damaged(lab, laptop, base)
    yield host
    assert [f for f in host.findings(repair=True) if not f.repaired] == []


def replace(path: Path, text: str) -> None:
    """Put a file in the place of what is there."""
    path.unlink()
    path.write_text(text)


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
    damaged.laptop.ok(
        "-H", "web1", "run", "-d", "--name", "web", "-p", "8081:80", "-v", "data:/data", "base:1", "sleep", "1000"
    )
    damaged.laptop.ok("-H", "web1", "commit", "web", "made:1")
    told = damaged.laptop.ok("-H", "web1", "system", "check")
    blobs, layers, images = 5 + 3, 3 + 1, 2
    assert told.stdout.endswith(f"), {layers} layers, {images} images checked: nothing is wrong\n"), told
    assert told.stdout.startswith(f"{blobs} blobs ("), told
    assert data(damaged.laptop.ok("-H", "web1", "--json", "system", "check")) == []


def test_blobs_that_are_not_what_they_were(damaged: Damaged, base_archive: Path) -> None:
    flipped, cut, gone = (damaged.blob(number) for number in (0, 1, 2))
    flip(flipped)
    os.truncate(cut, 100)
    gone.unlink()
    kinds = {f"sha256:{blob.name}": kind for blob, kind in ((flipped, "wrong"), (cut, "wrong"), (gone, "missing"))}
    found = damaged.findings()
    assert {finding.name: finding.kind for finding in found} == kinds
    assert all("base:1 needs it" in f.detail and f.thing == "blob" and not f.repaired for f in found)
    assert flipped.exists(), "a check without --repair changes nothing"
    assert cut.exists()

    found = damaged.findings(repair=True)
    assert {finding.name: finding.kind for finding in found} == kinds
    assert {f.hint for f in found if not f.repaired} == {"load or copy base:1 again, which repairs it"}
    assert not flipped.exists()
    assert not cut.exists()
    text = damaged.laptop.run("-H", "web1", "system", "check").ended(1)
    assert "load or copy base:1 again" in text.stderr
    assert "web1" in text.stderr

    damaged.load(base_archive)
    assert damaged.check() == []
    damaged.laptop.ok("-H", "web1", "save", "-o", damaged.state / "saved.tar", "base:1")
    (damaged.state / "saved.tar").unlink()


def test_rows_that_were_changed_behind_the_agent(damaged: Damaged) -> None:
    blob = damaged.blob(0)
    digest, size = f"sha256:{blob.name}", blob.stat().st_size
    damaged.sql("DELETE FROM blobs WHERE digest = ?", digest)
    damaged.repairs(("missing", "blob", digest))
    assert damaged.sql("SELECT size FROM blobs WHERE digest = ?", digest) == [(size,)]

    ((root,),) = damaged.sql("SELECT root FROM images")
    damaged.sql("DELETE FROM blobs WHERE digest = ?", root)
    assert ("missing", "blob", root, False) in damaged.check()
    assert all(repaired for *_, repaired in damaged.check(repair=True))
    assert damaged.check() == []

    damaged.sql("UPDATE blobs SET size = 7 WHERE digest = ?", digest)
    damaged.repairs(("wrong", "blob", digest))
    assert damaged.sql("SELECT size FROM blobs WHERE digest = ?", digest) == [(size,)]

    damaged.sql("UPDATE images SET chain_id = 'sha256:0'")
    damaged.repairs(("wrong", "image", "base:1"))

    damaged.sql("INSERT INTO names (name, root) VALUES ('docker.io/library/ghost:1', 'sha256:0')")
    damaged.repairs(("wrong", "image", "ghost:1"))

    # Whatever collection may take now is a finding, and comes back to its manifest before one comes.
    damaged.sql("DELETE FROM blob_references WHERE child = ?", digest)
    damaged.repairs(("missing", "blob", digest))
    damaged.laptop.ok("-H", "web1", "image", "prune", "-f")
    assert blob.exists()

    # A damaged blob that nothing needs goes.
    name = "ab" * 32
    (damaged.blobs / name).write_bytes(b"not its content")
    damaged.sql("INSERT INTO blobs (digest, size, created) VALUES (?, 15, 0)", f"sha256:{name}")
    damaged.repairs(("wrong", "blob", f"sha256:{name}"))
    assert damaged.sql("SELECT 1 FROM blobs WHERE digest = ?", f"sha256:{name}") == []


def test_unpacked_layers_that_are_not_their_blobs(damaged: Damaged) -> None:
    damaged.laptop.ok("-H", "web1", "create", "--name", "resting", "base:1", "cat", "/etc/passwd")
    acts: list[tuple[str, int, Callable[[Path, str], object]]] = [
        ("'etc/passwd': its content differs", 0, lambda fs, _: flip(fs / "etc" / "passwd", 0)),
        ("'etc/passwd': it is missing", 0, lambda fs, _: (fs / "etc" / "passwd").unlink()),
        ("'bin/backdoor': the layer has no such file", 0, lambda fs, _: (fs / "bin" / "backdoor").write_text("#!")),
        ("'etc/motd': it is of another kind", 1, lambda fs, _: replace(fs / "etc" / "motd", "a whiteout no more")),
        ("its files are gone", 0, lambda fs, _: shutil.rmtree(fs.parent)),
        ("it is not unpacked", 1, lambda _, key: damaged.sql("DELETE FROM snapshots WHERE key = ?", key)),
        ("it is not unpacked", 2, lambda _, key: damaged.sql("DELETE FROM snapshots WHERE key = ?", key)),
    ]
    for told, number, act in acts:
        name, folder = damaged.layer(number)
        act(folder, name)
        before = sorted(path.name for path in damaged.snapshots.iterdir())
        detail = damaged.findings()[-1].detail
        assert sorted(path.name for path in damaged.snapshots.iterdir()) == before
        assert told in detail
        assert "; image base:1" in detail
        kind = "missing" if told.startswith("it") else "wrong"
        orphan = [("orphaned", "layer", folder.parent.name)] if "not unpacked" in told else []
        damaged.repairs(*orphan, (kind, "layer", name))
    assert damaged.laptop.ok("-H", "web1", "start", "-a", "resting").stdout.startswith("root:x:0")


def test_a_layer_that_a_container_runs_on_is_repaired_once_it_has_stopped(damaged: Damaged) -> None:
    damaged.laptop.ok("-H", "web1", "run", "-d", "--name", "busy", "base:1", "sleep", "1000")
    name, folder = damaged.layer(0)
    flip(folder / "etc" / "passwd", 0)
    (finding,) = damaged.findings(repair=True)
    assert (finding.kind, finding.name, finding.repaired) == ("wrong", name, False)
    assert "stop busy" in finding.hint
    assert "container busy" in finding.detail
    damaged.laptop.ok("-H", "web1", "kill", "busy")
    damaged.laptop.run("-H", "web1", "wait", "busy")
    damaged.repairs(("wrong", "layer", name))
    damaged.laptop.ok("-H", "web1", "start", "busy")
    shown = damaged.laptop.ok("-H", "web1", "exec", "busy", "head", "-c", "4", "/etc/passwd").stdout
    assert shown == "root"


def test_an_image_that_only_a_container_keeps_is_checked(damaged: Damaged) -> None:
    damaged.laptop.ok("-H", "web1", "create", "--name", "keeper", "base:1")
    damaged.laptop.ok("-H", "web1", "rmi", "-f", "base:1")
    name, folder = damaged.layer(0)
    flip(folder / "etc" / "passwd", 0)
    assert "container keeper" in damaged.findings()[0].detail
    damaged.repairs(("wrong", "layer", name))
    blob = damaged.blob(0)
    flip(blob)
    assert [(f.kind, f.thing, f.name) for f in damaged.findings()] == [("wrong", "blob", f"sha256:{blob.name}")]
    damaged.laptop.ok("-H", "web1", "rm", "keeper")
    for _ in range(200):  # the last container takes the image with it, a moment later
        if not damaged.sql("SELECT 1 FROM blobs") and not sorted(damaged.blobs.iterdir()):
            break
        time.sleep(0.05)
    assert sorted(damaged.blobs.iterdir()) == []


def test_a_layer_whose_blob_is_damaged_too_needs_a_load_first(damaged: Damaged, base_archive: Path) -> None:
    name, folder = damaged.layer(1)
    shutil.rmtree(folder.parent)
    flip(damaged.blob(1))
    findings = damaged.findings(repair=True)
    assert [(f.kind, f.thing, f.repaired) for f in findings] == [("wrong", "blob", False), ("missing", "layer", False)]
    assert findings[1].hint == "load or copy base:1 again, which repairs it, then run system check --repair"
    damaged.load(base_archive)
    damaged.repairs(("missing", "layer", name))


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
    assert sorted(damaged.check()) == [(*thing, False) for thing in wanted]
    assert all(path.exists() for paths in stray.values() for path in paths)
    assert sorted(damaged.check(repair=True)) == [(*thing, True) for thing in wanted]
    assert not any(path.exists() for paths in stray.values() for path in paths)
    assert damaged.check() == []
    damaged.laptop.ok("-H", "web1", "run", "--rm", "base:1", "true")


def test_rows_whose_files_are_gone(damaged: Damaged) -> None:
    damaged.laptop.ok("-H", "web1", "run", "-d", "--name", "ended", "-v", "data:/data", "base:1", "true")
    damaged.laptop.run("-H", "web1", "wait", "ended")
    ((snapshot,),) = damaged.sql("SELECT id FROM snapshots WHERE key LIKE 'container-%'")
    shutil.rmtree(damaged.snapshots / str(snapshot))
    shutil.rmtree(damaged.state / "volumes" / "data")
    damaged.sql("INSERT INTO ingests (ref, updated) VALUES ('lost', 0)")
    assert damaged.check(repair=True) == [
        ("missing", "ingest", "lost", True),
        ("missing", "volume", "data", False),
        ("missing", "container", "ended", False),
    ]
    damaged.laptop.ok("-H", "web1", "rm", "ended")
    damaged.laptop.ok("-H", "web1", "volume", "rm", "data")
    assert damaged.check() == []


def test_a_check_ends_with_its_caller(damaged: Damaged) -> None:
    with grpc.insecure_channel(f"unix:{damaged.host.agent.socket}") as channel:
        call = system_pb2_grpc.SystemStub(channel).Check(system_pb2.CheckRequest())
        assert next(call).progress.doing == "blobs"
        call.cancel()
    assert damaged.check() == [], "the next one does not wait for it"
    assert damaged.sql("SELECT 1 FROM leases") == []
    assert damaged.sql("SELECT 1 FROM snapshots WHERE key LIKE 'extract-%'") == []


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
