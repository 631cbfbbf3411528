"""``import`` and ``export``, beside Docker's own and through them."""

from __future__ import annotations

import gzip
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.interop.engines import DEBIANS, Engines
from tests.interop.jackstay import Jackstay
from tests.interop.originals import Original
from tests.interop.test_commit_changes import flags, run_config
from tests.interop.trees import Tree, tree_of_tar

CHANGES = (
    *('CMD ["a", "b"]', "ENTRYPOINT exec  x", "ENV A=1 B='x y'", "EXPOSE 80 90-91/udp", "LABEL a=b", "USER $A"),
    *("HEALTHCHECK --interval=5s CMD true", "ONBUILD RUN x", 'VOLUME ["/v"]', "WORKDIR b"),
)


def comparable(tree: Tree) -> Tree:
    """Without fractions of times, which Docker cuts, times of folders, which alone are no change for commit, and
    counts of links, of which overlay counts hidden ones."""
    return {
        path: replace(file, modified=0 if stat.S_ISDIR(file.mode) else file.modified // 10**9, links=0)
        for path, file in tree.items()
    }


@pytest.mark.parametrize("reader", DEBIANS)
def test_the_same_tar_is_the_same_layer(
    engines: dict[str, Engines], jackstay: Jackstay, reader: str, root_tar: Path, exchange: Path
) -> None:
    docker = engines[reader].docker
    docker.empty()
    docker.import_tar(root_tar, "theirs:1")
    theirs = docker.inspect("theirs:1")
    packed = exchange / "root.tar.gz"
    packed.write_bytes(gzip.compress(root_tar.read_bytes(), 1))
    for tar in (root_tar, packed):
        image_id = jackstay.run("import", tar, "ours:1").strip()
        ours = jackstay.inspect("ours:1")
        assert ours["Id"] == image_id
        for field in ("RootFS", "Comment", "Architecture", "Os", "Author"):
            assert ours[field] == theirs[field]
    assert jackstay.tree("ours:1") == tree_of_tar(root_tar)
    docker.load(jackstay.save(exchange / "ours.tar", "ours:1"))
    assert docker.id("ours:1") == image_id


@pytest.mark.parametrize("reader", DEBIANS)
def test_changes_message_and_platform(
    engines: dict[str, Engines], jackstay: Jackstay, reader: str, root_tar: Path
) -> None:
    docker = engines[reader].docker
    docker.empty()
    # Docker 20 takes the flag and does nothing with it.
    options = [*flags(CHANGES), "-m", "why", *(["--platform", "linux/arm64"] if reader == "debian13" else [])]
    docker.import_tar(root_tar, "theirs:1", *options)
    jackstay.run("import", *options, root_tar, "ours:1")
    theirs, ours = docker.inspect("theirs:1"), jackstay.inspect("ours:1")
    assert run_config(ours) == run_config(theirs)
    for field in ("Comment", "Architecture", "Os"):
        assert ours[field] == theirs[field]


@pytest.mark.parametrize("original", ["debian13"], indirect=True)
def test_a_container_of_docker_becomes_an_image_here(original: Original, jackstay: Jackstay) -> None:
    docker = original.docker
    docker.empty()
    docker.load(original.archives["made:2"])
    container = docker.create("made:2")
    exporting = subprocess.Popen(
        docker.peer.command(["docker", "-H", "unix:///run/docker.sock", "export", container]), stdout=subprocess.PIPE
    )
    imported = subprocess.run(
        ["jackstay", "-H", "web1", "import", "-", "moved:1"],
        stdin=exporting.stdout,
        capture_output=True,
        env=jackstay.laptop.environment,
        timeout=60,
    )
    assert exporting.stdout is not None
    exporting.stdout.close()
    assert (exporting.wait(10), imported.returncode) == (0, 0), imported.stderr
    assert comparable(jackstay.tree("moved:1")) == comparable(original.trees["made:2"])


@pytest.mark.parametrize("original", ["debian12"], indirect=True)
def test_a_container_here_becomes_an_image_there_and_here(
    original: Original, engines: dict[str, Engines], jackstay: Jackstay, exchange: Path
) -> None:
    jackstay.load(original.archives["made:2"])
    script = "rm -r /var/empty; mkdir /var/empty; ln /usr/bin/server /server; ln -s x /l; chown 7:8 /etc/issue"
    jackstay.run("run", "--name", "changing", "made:2", "/bin/sh", "-ec", script)
    jackstay.run("commit", "changing", "made:3")
    tree = jackstay.tree("made:3")
    tar = exchange / "exported.tar"
    jackstay.run("export", "-o", tar, "changing")
    assert tree["/server"].capability
    jackstay.run("import", tar, "again:1")
    again = jackstay.tree("again:1")
    assert again["/server"].links == 2
    assert comparable(again) == comparable(tree)
    for each in engines.values():
        each.docker.empty()
        each.docker.import_tar(tar, "again:1")
        assert each.docker.inspect("again:1")["RootFS"] == jackstay.inspect("again:1")["RootFS"]
        assert comparable(each.docker.tree("again:1")) == comparable(tree)


@pytest.mark.parametrize("original", ["debian12"], indirect=True)
@pytest.mark.parametrize("through", DEBIANS)
def test_a_tar_goes_to_podman_and_comes_back(
    original: Original, engines: dict[str, Engines], jackstay: Jackstay, through: str, exchange: Path
) -> None:
    jackstay.load(original.archives["made:2"])
    jackstay.run("create", "--name", "idle", "made:2")
    jackstay.run("export", "-o", exchange / "there.tar", "idle")
    jackstay.run("rm", "idle")
    podman = engines[through].podman
    podman.empty()
    podman.import_tar(exchange / "there.tar", "again:1")
    (exchange / "back.tar").unlink(missing_ok=True)
    jackstay.run("import", podman.export("again:1", exchange / "back.tar"), "again:1")
    assert comparable(jackstay.tree("again:1")) == comparable(original.trees["made:2"])
