"""Archives that are broken or mean harm: one clear line naming the host, exit code 1, and nothing of them is left."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab.archives import Form, write_archive
from tests.lab.images import Image, busybox_base
from tests.lab.lab import Lab
from tests.lab.laptop import Laptop, Ran
from tests.lab.layer import Layer

pytestmark = pytest.mark.lab


def refused(laptop: Laptop, archive: Path) -> Ran:
    """Load it on web1, which must fail with one line and leave no image; the line names the host, or the file."""
    ran = laptop.run("-H", "web1", "load", "-i", archive).ended(1)
    errors = [line for line in ran.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1, ran
    assert "web1" in errors[0] or archive.name in errors[0], ran
    assert any(line.startswith("Hint: ") for line in ran.stderr.splitlines()), ran
    assert "Traceback" not in ran.stderr, ran
    assert laptop.ok("-H", "web1", "images", "-a", "-q").stdout == ""
    return ran


def image_of(folder: Path, fill: Callable[[Layer], None]) -> Image:
    """An image whose one layer is filled by ``fill``."""
    with Layer(folder / "layer.tar") as layer:
        layer.file("first", "an honest file\n")
        fill(layer)
    return Image("evil:1", (folder / "layer.tar",), {"Cmd": ["/first"]})


def rewritten(archive: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """The archive with every member's content passed through ``change``."""
    target = archive.with_name("changed.tar")
    with tarfile.open(archive) as old, tarfile.open(target, "w") as new:
        for entry in old:
            stream = old.extractfile(entry)
            content = change(entry.name, stream.read() if stream else b"")
            entry.size = len(content)
            new.addfile(entry, io.BytesIO(content))
    return target


@pytest.mark.parametrize("form", ["docker", "docker-classic", "oci"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.97])
def test_truncated(lab: Lab, laptop: Laptop, tmp_path: Path, form: Form, part: float) -> None:
    archive = write_archive(tmp_path / "whole.tar", [busybox_base(tmp_path)], form)
    content = archive.read_bytes().rstrip(b"\0")
    archive.write_bytes(content[: int(len(content) * part)])
    refused(laptop, archive)


def test_truncated_gzip(lab: Lab, laptop: Laptop, base_archive: Path, tmp_path: Path) -> None:
    packed = gzip.compress(base_archive.read_bytes(), 1)
    (tmp_path / "cut.tar.gz").write_bytes(packed[: len(packed) // 2])
    refused(laptop, tmp_path / "cut.tar.gz")


@pytest.mark.parametrize("form", ["docker", "docker-classic", "oci"])
def test_one_flipped_bit_in_a_layer(lab: Lab, laptop: Laptop, tmp_path: Path, form: Form) -> None:
    archive = write_archive(tmp_path / "whole.tar", [busybox_base(tmp_path)], form)
    content = bytearray(archive.read_bytes())
    marker = content.index(b"\x7fELF")  # inside the program, far from any header
    content[marker + 100_000] ^= 1
    archive.write_bytes(content)
    assert "sha256" in refused(laptop, archive).stderr


@pytest.mark.parametrize(
    "content", [b"", b"no archive\n", bytes(10240), b"\x1f\x8b broken", b"\x28\xb5\x2f\xfd broken"]
)
def test_no_archive_at_all(lab: Lab, laptop: Laptop, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.tar").write_bytes(content)
    refused(laptop, tmp_path / "file.tar")


def test_a_file_that_is_not_there(lab: Lab, laptop: Laptop, tmp_path: Path) -> None:
    refused(laptop, tmp_path / "none.tar")


class Lying(Image):
    """An image whose config names another layer."""

    def config_bytes(self) -> bytes:
        config = json.loads(Image.config_bytes(self))
        config["rootfs"]["diff_ids"][0] = "sha256:" + hashlib.sha256(b"another").hexdigest()
        return json.dumps(config).encode()


@pytest.mark.parametrize("form", ["docker", "docker-classic", "oci"])
def test_a_config_that_names_another_layer(lab: Lab, laptop: Laptop, tmp_path: Path, form: Form) -> None:
    """Every blob is what its own digest says, and the layer is still not the one that the config names."""
    honest = busybox_base(tmp_path)
    lying = Lying(honest.name, honest.layers, honest.config)
    ran = refused(laptop, write_archive(tmp_path / "lying.tar", [lying], form))
    assert "sha256" in ran.stderr, ran


def test_a_manifest_that_names_more_than_there_is(lab: Lab, laptop: Laptop, tmp_path: Path) -> None:
    archive = write_archive(tmp_path / "whole.tar", [busybox_base(tmp_path)], "docker-classic")

    def change(name: str, content: bytes) -> bytes:
        if name != "manifest.json":
            return content
        manifest = json.loads(content)
        manifest[0]["Layers"].append("../../../../etc/passwd")
        return json.dumps(manifest).encode()

    refused(laptop, rewritten(archive, change))


def dots(layer: Layer) -> None:
    layer.file("../../../../../../../../../../tmp/jackstay-escaped", "out\n")


def dots_in_the_middle(layer: Layer) -> None:
    layer.folder("a")
    layer.file("a/../../../../../../../../tmp/jackstay-escaped", "out\n")


def through_an_absolute_link(layer: Layer) -> None:
    layer.link("out", "/tmp")
    layer.file("out/jackstay-escaped", "out\n")


def through_a_relative_link(layer: Layer) -> None:
    layer.link("out", "../../../../../../../../tmp")
    layer.file("out/jackstay-escaped", "out\n")


def hard_link_to_the_outside(layer: Layer) -> None:
    layer.link("passwd", "../../../../../../../../etc/passwd", hard=True)


def hard_link_to_an_absolute_path(layer: Layer) -> None:
    layer.link("passwd", "/etc/passwd", hard=True)


def hard_link_through_a_link(layer: Layer) -> None:
    layer.link("etc", "/etc")
    layer.link("passwd", "etc/passwd", hard=True)


@pytest.mark.parametrize(
    "harm",
    [
        dots,
        dots_in_the_middle,
        through_an_absolute_link,
        through_a_relative_link,
        hard_link_to_the_outside,
        hard_link_to_an_absolute_path,
        hard_link_through_a_link,
    ],
)
def test_no_entry_gets_out(lab: Lab, laptop: Laptop, tmp_path: Path, harm: Callable[[Layer], None]) -> None:
    """Refused, or taken as meant below the image's root, as the kernel resolves it; outside nothing changes."""
    archive = write_archive(tmp_path / "evil.tar", [image_of(tmp_path, harm)])
    links = Path("/etc/passwd").stat().st_nlink
    ran = laptop.run("-H", "web1", "load", "-i", archive)
    assert not Path("/tmp/jackstay-escaped").exists()
    assert Path("/etc/passwd").stat().st_nlink == links
    if harm in (dots, dots_in_the_middle, hard_link_to_the_outside, hard_link_to_an_absolute_path):
        assert ran.code == 1, ran
    if ran.code == 0:
        snapshots = lab.hosts["web1"].state_dir / "layers"
        assert [path.read_text() for path in snapshots.rglob("jackstay-escaped")] == ["out\n"]
    else:
        assert "web1" in ran.ended(1).stderr
        assert laptop.ok("-H", "web1", "images", "-a", "-q").stdout == ""


def test_a_device_of_the_host_cannot_be_used(lab: Lab, laptop: Laptop, tmp_path: Path) -> None:
    """The memory and the root disk: a container whose image has their nodes may not open them."""
    base = busybox_base(tmp_path)
    with Layer(tmp_path / "devices.tar") as layer:
        disk = Path("/").stat().st_dev
        for name, kind, device in (("memory", tarfile.CHRTYPE, 0x101), ("disk", tarfile.BLKTYPE, disk)):
            entry = layer.entry(name, kind, 0o666)
            entry.devmajor, entry.devminor = os.major(device), os.minor(device)
            layer.add(entry)
    image = Image("evil:1", (*base.layers, tmp_path / "devices.tar"), base.config)
    if laptop.run("-H", "web1", "load", "-i", write_archive(tmp_path / "evil.tar", [image])).code == 0:
        for name in ("memory", "disk"):
            read = laptop.run("-H", "web1", "run", "--rm", "evil:1", "dd", f"if=/{name}", "of=/dev/null", "count=1")
            assert read.code == 1, read
            assert "not permitted" in read.stderr, read


def test_attributes_that_steer_the_kernel_are_not_taken(lab: Lab, laptop: Laptop, tmp_path: Path) -> None:
    def harm(layer: Layer) -> None:
        entry = layer.entry("redirected", tarfile.DIRTYPE, 0o755)
        entry.pax_headers = {"SCHILY.xattr.trusted.overlay.redirect": "/etc"}
        layer.add(entry)

    archive = write_archive(tmp_path / "evil.tar", [image_of(tmp_path, harm)])
    ran = laptop.run("-H", "web1", "load", "-i", archive)
    if ran.code == 0:
        (folder,) = (lab.hosts["web1"].state_dir / "layers").rglob("redirected")
        assert "trusted.overlay.redirect" not in os.listxattr(folder)


def test_a_bomb_is_stopped_by_its_ratio(lab: Lab, laptop: Laptop, tmp_path: Path) -> None:
    """A gigabyte of zeros is 32 KB as zstd; an honest layer is never as small."""
    from backports import zstd

    layer = tmp_path / "bomb.tar"
    with Layer(layer) as bomb:
        entry = bomb.entry("zeros", tarfile.REGTYPE, 0o644)
        entry.size = 1 << 30
        bomb.add(entry, _Zeros(entry.size))
    with layer.open("rb") as stream:
        diff_id = hashlib.file_digest(stream, "sha256").hexdigest()
    with layer.open("rb") as stream, zstd.open(tmp_path / "bomb.zst", "wb") as packed:
        while data := stream.read(1 << 20):
            packed.write(data)
    layer.unlink()
    content = (tmp_path / "bomb.zst").read_bytes()
    assert len(content) < (1 << 20)
    ran = refused(laptop, _layout(tmp_path, content, diff_id))
    assert "ratio" in ran.stderr or "bomb" in ran.stderr or "times" in ran.stderr, ran


def _layout(folder: Path, layer: bytes, diff_id: str) -> Path:
    """An OCI archive with one layer, which is packed already."""

    def descriptor(kind: str, data: bytes) -> dict[str, object]:
        return {
            "mediaType": f"application/vnd.oci.image.{kind}",
            "digest": "sha256:" + hashlib.sha256(data).hexdigest(),
            "size": len(data),
        }

    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff_id}"]},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("config.v1+json", config),
            "layers": [descriptor("layer.v1.tar+zstd", layer)],
        }
    ).encode()
    index = descriptor("manifest.v1+json", manifest) | {
        "annotations": {"org.opencontainers.image.ref.name": "docker.io/library/bomb:1"}
    }
    path = folder / "bomb.oci.tar"
    with tarfile.open(path, "w") as archive:
        members = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
        for blob in (layer, config, manifest):
            members["blobs/sha256/" + hashlib.sha256(blob).hexdigest()] = blob
        members["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [index]}).encode()
        for name, data in members.items():
            entry = Layer.entry(name, tarfile.REGTYPE, 0o644)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


class _Zeros:
    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, wanted: int) -> bytes:
        count = min(wanted, self._left)
        self._left -= count
        return bytes(count)
