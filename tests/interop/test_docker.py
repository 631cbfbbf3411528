"""``docker save`` → ``jackstay load`` → ``jackstay save`` → every reader: the same image everywhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.interop.contents import contents, skopeo_folder_id
from tests.interop.engines import DEBIANS, Engines
from tests.interop.jackstay import Jackstay
from tests.interop.originals import IMAGES, Original, Passed
from tests.interop.trees import tree_of_tar


def test_each_docker_writes_the_form_that_it_is_here_for(original: Original) -> None:
    for archive in (*original.archives.values(), original.together):
        found = contents(archive)
        forms = (found.is_classic, found.is_docker_layout)
        assert forms == {"debian12": (True, False), "debian13": (False, True)}[original.docker.peer.name]
        assert found.ids.items() <= original.ids.items()


def test_the_ids_are_kept(passed: Passed) -> None:
    assert passed.described["Id"] == passed.id
    saved = contents(passed.docker)
    assert saved.ids == {"made:2": passed.id}
    assert saved.configs == (passed.id,)
    assert contents(passed.oci).configs == (passed.id,)
    if passed.original.manifests:
        assert saved.manifests == passed.original.manifests
        assert contents(passed.oci).manifests == passed.original.manifests
        assert passed.described["Descriptor"]["digest"] == passed.original.manifests[0]


@pytest.mark.parametrize("reader", DEBIANS)
def test_docker_load(passed: Passed, engines: dict[str, Engines], reader: str) -> None:
    docker = engines[reader].docker
    newer = [passed.zstd] if reader == "debian13" else []  # the older knows no zstd
    for archive in (passed.docker, passed.gzipped, *newer):
        docker.empty()
        docker.load(archive)
        assert docker.id("made:2") == passed.id


@pytest.mark.parametrize("reader", DEBIANS)
def test_podman_load(passed: Passed, engines: dict[str, Engines], reader: str) -> None:
    podman = engines[reader].podman
    for archive in (passed.docker, passed.gzipped, passed.zstd):
        podman.empty()
        (name,) = podman.load(archive)
        assert (name, podman.id(name)) == ("docker.io/library/made:2", passed.id)
    podman.empty()
    (name,) = podman.load(passed.oci)
    assert (name, podman.id(name)) == ("docker.io/library/made:2", passed.id)
    assert podman.digest(name) == contents(passed.oci).manifests[0]


@pytest.mark.parametrize("reader", DEBIANS)
def test_skopeo_copy(passed: Passed, engines: dict[str, Engines], reader: str, exchange: Path, tmp_path: Path) -> None:
    target = exchange / f"skopeo-{tmp_path.name}"
    skopeo = engines[reader].skopeo
    skopeo.copy(f"docker-archive:{passed.docker}", f"dir:{target}-docker")
    assert skopeo_folder_id(Path(f"{target}-docker")) == passed.id
    skopeo.copy(f"oci-archive:{passed.oci}", f"oci:{target}-oci", "--preserve-digests")
    copied = contents(Path(f"{target}-oci"))
    assert (copied.configs, copied.manifests) == ((passed.id,), contents(passed.oci).manifests)


@pytest.mark.parametrize("reader", DEBIANS)
@pytest.mark.parametrize("original", ["debian13"], indirect=True)
def test_skopeo_chooses_an_image_by_its_name(
    original: Original, jackstay: Jackstay, engines: dict[str, Engines], reader: str, exchange: Path, tmp_path: Path
) -> None:
    jackstay.load(original.together)
    archive = jackstay.save(exchange / f"{tmp_path.name}.tar", "--format", "oci", *IMAGES)
    for name in IMAGES:  # two of them have the same tag
        target = exchange / f"{tmp_path.name}-{name.replace(':', '-')}"
        engines[reader].skopeo.copy(f"oci-archive:{archive}:docker.io/library/{name}", f"dir:{target}")
        assert skopeo_folder_id(target) == original.ids[name]


def test_a_container_sees_the_files_that_docker_shows(original: Original, jackstay: Jackstay) -> None:
    jackstay.load(original.together)
    for name in IMAGES:
        assert jackstay.tree(name) == original.trees[name]


def test_a_container_sees_the_files_of_the_tar(original: Original, jackstay: Jackstay, root_tar: Path) -> None:
    jackstay.load(original.archives["imported:1"])
    assert jackstay.tree("imported:1") == tree_of_tar(root_tar)


def test_an_image_committed_here_is_the_same_in_docker(
    original: Original, jackstay: Jackstay, engines: dict[str, Engines], exchange: Path, tmp_path: Path
) -> None:
    jackstay.load(original.archives["made:2"])
    script = (
        "rm -r /etc/committed /var/www; mkdir /var/www; ln /usr/bin/server /usr/bin/server.too; mv /usr/share/docs /d"
    )
    jackstay.run("run", "--name", "changing", "made:2", "/bin/sh", "-ec", script)
    image_id = jackstay.run("commit", "changing", "made:3").strip()
    archive = jackstay.save(exchange / f"{tmp_path.name}.tar", "made:3")
    tree = jackstay.tree("made:3")
    assert tree["/usr/bin/server.too"].links == 2
    assert tree["/usr/bin/server.too"].capability
    for each in engines.values():
        each.docker.empty()
        each.docker.load(archive)
        assert each.docker.id("made:3") == image_id
        assert each.docker.tree("made:3") == tree


def test_images_of_one_archive_share_their_layers(
    original: Original, jackstay: Jackstay, engines: dict[str, Engines], exchange: Path, tmp_path: Path
) -> None:
    assert sorted(jackstay.load(original.together)) == sorted(IMAGES)
    layers = {layer for name in IMAGES for layer in jackstay.inspect(name)["RootFS"]["Layers"]}
    assert len(layers) == len(jackstay.inspect("made:2")["RootFS"]["Layers"])
    blobs = {path.name for path in (jackstay.host.path("/var/lib/jackstay") / "content/blobs/sha256").iterdir()}
    assert {layer.removeprefix("sha256:") for layer in layers} <= blobs
    assert len(blobs) == len(layers) + 2 * len(IMAGES)  # and of each a manifest and a config

    saved = contents(jackstay.save(exchange / f"{tmp_path.name}.tar", *IMAGES))
    assert saved.ids == original.ids
    assert sorted(name for name in saved.entries if name.startswith("blobs/")) == sorted(
        f"blobs/sha256/{name}" for name in blobs
    )
    for each in engines.values():
        each.docker.empty()
        each.docker.load(exchange / f"{tmp_path.name}.tar")
        assert {name: each.docker.id(name) for name in IMAGES} == original.ids


@pytest.mark.parametrize("original", ["debian12"], indirect=True)
@pytest.mark.parametrize("compressor", ["cat", "gzip -1", "zstd -q", "xz -0", "bzip2 -1"])
def test_docker_save_through_a_pipe(
    original: Original, jackstay: Jackstay, engines: dict[str, Engines], compressor: str
) -> None:
    docker = engines[original.docker.peer.name].docker
    docker.empty()
    docker.load(original.archives["made:2"])
    saving = subprocess.Popen(docker.save_command("made:2"), stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    packing = subprocess.Popen(compressor.split(), stdin=saving.stdout, stdout=subprocess.PIPE)
    loaded = subprocess.run(
        ["jackstay", "-H", "web1", "load"],
        stdin=packing.stdout,
        capture_output=True,
        text=True,
        env=jackstay.laptop.environment,
        timeout=60,
    )
    for process in (saving, packing):
        assert process.stdout is not None
        process.stdout.close()
    assert (saving.wait(10), packing.wait(10), loaded.returncode) == (0, 0, 0), loaded.stderr
    assert loaded.stdout == "Loaded image: made:2\n"
    assert jackstay.inspect("made:2")["Id"] == original.ids["made:2"]


def test_saving_again_gives_the_same_bytes(
    original: Original, jackstay: Jackstay, passed: Passed, exchange: Path
) -> None:
    jackstay.load(original.together)
    again = exchange / "again.tar"
    assert jackstay.save(again, "made:2").read_bytes() == passed.docker.read_bytes()
    assert jackstay.save(again, "--format", "oci", "made:2").read_bytes() == passed.oci.read_bytes()
    assert jackstay.save(again, "--compress", "gzip", "made:2").read_bytes() == passed.gzipped.read_bytes()
    assert jackstay.save(again, "--compress", "zstd", "made:2").read_bytes() == passed.zstd.read_bytes()
