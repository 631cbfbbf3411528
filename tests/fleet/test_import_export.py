"""A container's file system out of one host and into others: export, import, commit on a set of hosts."""

from __future__ import annotations

import gzip
import http.server
import json
import os
import signal
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.interop.trees import Tree, tree_of_process
from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, data

pytestmark = pytest.mark.lab

CHANGE = r"""
mkdir -p /srv/deep/er; echo content > /srv/deep/file; ln /srv/deep/file /srv/again; ln -s ../nowhere /srv/link
chown 1000:3000000 /srv/deep/file; chmod 4711 /srv/deep/file; touch -d 2001-02-03 /srv/deep; mknod /srv/pipe p
touch "/srv/$(printf '\377\n')"; echo volume > /vol/file
"""


def tree(laptop: Laptop, host: Host, image: str) -> Tree:
    """What a container of an image sees; times without fractions, and of folders none: commit keeps neither."""
    container = laptop.ok("-H", host.name, "run", "-d", image, "/bin/sleep", "600").stdout.strip()
    (found,) = json.loads(laptop.ok("-H", host.name, "inspect", container).stdout)
    seen = tree_of_process(host, found["State"]["Pid"])
    laptop.ok("-H", host.name, "rm", "-f", container)
    return {
        path: replace(file, modified=0 if stat.S_ISDIR(file.mode) else file.modified // 10**9)
        for path, file in seen.items()
    }


@pytest.fixture
def exported(lab: Lab, laptop: Laptop, base_archive: Path, tmp_path: Path) -> Path:
    """The tar of a container of ``base:1`` that has changed things; ``made:1`` on web1 is a commit of it."""
    laptop.ok("-H", "web1", "load", "-q", "-i", base_archive)
    laptop.ok("-H", "web1", "run", "--name", "changed", "-v", "data:/vol", "base:1", "/bin/sh", "-ec", CHANGE)
    laptop.ok("-H", "web1", "commit", "-m", "changed", "changed", "made:1")
    laptop.ok("-H", "web1", "export", "-o", tmp_path / "root.tar", "changed")
    return tmp_path / "root.tar"


def test_what_is_exported_here_is_the_same_everywhere(lab: Lab, laptop: Laptop, exported: Path, tmp_path: Path) -> None:
    imported = laptop.ok("-H", "web[1-3]", "import", exported, "again:1", "-c", "CMD sleep 600")
    ids = {line.split(": ")[1] for line in imported.lines}
    assert (len(imported.lines), len(ids)) == (3, 1)
    expected = tree(laptop, lab.hosts["web1"], "made:1")
    assert expected["/srv/again"].links == 2
    for host in (lab.hosts["web1"], lab.hosts["web3"]):
        found = tree(laptop, host, "again:1")
        assert {path: found[path] for path in found if found.get(path) != expected.get(path)} == {}
        assert found.keys() == expected.keys()
    assert "/vol" in expected
    assert "/vol/file" not in expected
    (described,) = data(laptop.ok("-H", "web2", "--json", "image", "inspect", "again:1"))
    assert {described["Id"]} == ids
    assert described["Comment"] == "Imported from -"
    assert described["Config"]["Cmd"] == ["/bin/sh", "-c", "sleep 600"]
    laptop.ok("-H", "web1", "export", "-o", tmp_path / "again.tar", "changed")
    assert (tmp_path / "again.tar").read_bytes() == exported.read_bytes()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a web server that has the folder."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()
        thread.join()


def test_one_layer_however_it_comes(lab: Lab, laptop: Laptop, exported: Path, tmp_path: Path, server: str) -> None:
    packed = tmp_path / "root.tar.gz"
    packed.write_bytes(gzip.compress(exported.read_bytes(), 1))
    by_file = laptop.ok("-H", "web2", "import", packed, "file:1").stdout.strip()
    host = lab.hosts["web2"]
    before = host.link_bytes()
    by_url = laptop.ok("-H", "web2", "import", f"{server}/root.tar.gz?token=secret", "url:1").stdout.strip()
    by_pipe = laptop.run("-H", "web2", "import", "-", "pipe:1", input=packed.read_bytes()).ok().stdout.strip()
    moved = host.link_bytes().received - before.received
    assert moved < 200_000 < packed.stat().st_size, moved  # the layer was there already
    layers = [
        data(laptop.ok("-H", "web2", "--json", "image", "inspect", image))[0]["RootFS"]["Layers"]
        for image in (by_file, by_url, by_pipe)
    ]
    assert layers[0] == layers[1] == layers[2]
    history = laptop.ok("-H", "web2", "history", "url:1").stdout
    assert f"Imported from {server}/root.tar.gz" in history
    assert "secret" not in history
    spool = Path(laptop.environment["XDG_CACHE_HOME"]) / "jackstay" / "spool"
    assert list(spool.iterdir()) == []


def test_what_cannot_be_unpacked_is_refused_by_the_host(lab: Lab, laptop: Laptop, tmp_path: Path) -> None:
    tar = tmp_path / "cut.tar"
    tar.write_bytes(_header(b"file", 5000) + b"x" * 1000)
    refused = laptop.run("-H", "web1", "import", tar, "cut:1").ended(1)
    assert "truncated" in refused.stderr
    assert laptop.ok("-H", "web1", "images", "-q").stdout == ""


def test_commit_on_several_hosts(lab: Lab, laptop: Laptop, base_archive: Path) -> None:
    laptop.ok("-H", "web[1-2]", "load", "-q", "-i", base_archive)
    laptop.ok("-H", "web[1-2]", "run", "-d", "--name", "app", "base:1", "/bin/sh", "-c", "hostname > /made; sleep 600")
    laptop.ok("-H", "web1", "pause", "app")
    committed = laptop.run("-H", "web[1-3]", "commit", "-a", "me", "-c", "USER 7", "app", "made:1").ended(1)
    assert [line.split(": ")[0] for line in committed.lines] == ["web1", "web2"]
    assert "web3" in committed.stderr
    for host, state in (("web1", "paused"), ("web2", "running")):
        (row,) = data(laptop.ok("-H", host, "--json", "ps"))
        assert row["State"] == state
        (described,) = data(laptop.ok("-H", host, "--json", "image", "inspect", "made:1"))
        assert (described["Author"], described["Config"]["User"]) == ("me", "7")
        assert len(described["RootFS"]["Layers"]) == 4
    laptop.ok("-H", "web1", "unpause", "app")
    untagged = laptop.ok("-H", "web2", "commit", "app").stdout.strip()
    (described,) = data(laptop.ok("-H", "web2", "--json", "image", "inspect", untagged))
    assert (described["Id"], described["RepoTags"]) == (untagged, [])


def test_an_export_that_is_interrupted(lab: Lab, laptop: Laptop, base_archive: Path, tmp_path: Path) -> None:
    laptop.ok("-H", "web1", "load", "-q", "-i", base_archive)
    laptop.ok("-H", "web1", "create", "--name", "app", "base:1", "/bin/sh")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    exporting = laptop.start("-H", "web1", "export", "-o", pipe, "app")
    with pipe.open("rb") as reader:
        assert len(reader.read(512)) == 512
        exporting.send_signal(signal.SIGINT)
        exporting.communicate(timeout=20)
    assert exporting.returncode == 130
    laptop.ok("-H", "web1", "start", "app")  # nothing is mounted where it is to run


def _header(name: bytes, size: int) -> bytes:
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"%011o\0" % 0
    block[148:156] = b" " * 8
    block[156:157] = b"0"
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)
