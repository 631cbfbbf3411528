from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import stat
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jackstay_oci import media_types
from jackstay_oci.archives.archive import Archive, open_archive, open_layout
from jackstay_oci.compression import zstd
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Manifest, parse_manifest
from jackstay_oci.errors import (
    NotFound,
)
from jackstay_oci.reading import Region
from jackstay_oci.tar.reader import TarReader

MakeImage = Callable[..., Any]
MakeTar = Callable[..., bytes]
LayOut = Callable[[Path, dict[str, Any]], None]

PACK: dict[str, Callable[[bytes], bytes]] = {
    "none": bytes,
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
}


IMAGE_NAME = {"io.containerd.image.name": "docker.io/library/app:1"}


def _open(tmp_path: Path, data: bytes, **options: Any) -> Archive:
    path = tmp_path / "image.tar"
    path.write_bytes(data)
    return open_archive(path, spool_dir=tmp_path, **options)


def _manifest(archive: Archive, at: int = 0) -> Manifest:
    descriptor = archive.images[at].manifest
    raw = archive.read(descriptor.digest, 0, descriptor.size + 1)
    assert Digest.of(raw) == descriptor.digest
    document = parse_manifest(raw, descriptor.media_type)
    assert isinstance(document, Manifest)
    return document


def _layers(archive: Archive, at: int = 0) -> list[bytes]:
    found = []
    for layer in _manifest(archive, at).layers:
        data = archive.read(layer.digest, 0, layer.size)
        assert Digest.of(data) == layer.digest
        found.append(data)
    return found


# Every form.


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize("form", ["classic", "docker25", "oci"])
def test_every_form_in_every_compression(
    tmp_path: Path, make_image: MakeImage, make_tar: MakeTar, form: str, packed: str
) -> None:
    image = make_image()
    files = (
        image.oci([{"io.containerd.image.name": "docker.io/library/app:1"}])
        if form == "oci"
        else getattr(image, form)()
    )
    with _open(tmp_path, PACK[packed](make_tar(files))) as archive:
        [found] = archive.images
        assert found.names == ("docker.io/library/app:1",)
        assert found.config_digest == image.image_id
        assert str(found.platform) == "linux/amd64"
        assert _layers(archive) == image.layers
        if form != "classic":
            assert found.manifest.digest == Digest.of(image.manifest)
            assert archive.read(found.manifest.digest, 0, 1 << 20) == image.manifest
        assert archive.blob(image.image_id).size == len(image.config)
        assert archive.read(image.image_id, 5, 7) == image.config[5:12]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image.tar"]


def test_a_classic_archive_gets_the_same_manifest_every_time(
    tmp_path: Path, make_image: MakeImage, make_tar: MakeTar
) -> None:
    image = make_image()
    with _open(tmp_path, make_tar(image.classic())) as archive:
        first = archive.images
        manifest = _manifest(archive)
    with _open(tmp_path, gzip.compress(make_tar(dict(reversed(image.classic().items()))))) as archive:
        assert archive.images == first
    assert manifest.media_type == media_types.OCI_MANIFEST
    assert [layer.media_type for layer in manifest.layers] == [media_types.OCI_LAYER] * 2
    assert [layer.digest for layer in manifest.layers] == [Digest.of(layer) for layer in image.layers]


@pytest.mark.parametrize(
    ("kind", "media_type"), [("gzip", media_types.OCI_LAYER_GZIP), ("zstd", media_types.OCI_LAYER_ZSTD)]
)
def test_classic_layers_may_be_compressed(
    tmp_path: Path, make_image: MakeImage, make_tar: MakeTar, kind: str, media_type: str
) -> None:
    image = make_image()
    image.packed = [PACK[kind](layer) for layer in image.layers]
    with _open(tmp_path, make_tar(image.classic())) as archive:
        assert [layer.media_type for layer in _manifest(archive).layers] == [media_type] * 2
        assert _layers(archive) == image.packed


def test_classic_layers_may_be_links_to_each_other(tmp_path: Path, make_image: MakeImage, make_tar: MakeTar) -> None:
    layer = make_tar({"x": b"y" * 1000})
    image = make_image([layer, layer, layer])
    files = image.classic()
    path = f"{2:064x}/layer.tar"
    assert files[path] == (tarfile.SYMTYPE, f"../{0:064x}/layer.tar")
    files[path] = (tarfile.LNKTYPE, f"./{1:064x}/layer.tar")
    with _open(tmp_path, make_tar(files)) as archive:
        assert _layers(archive) == [layer] * 3


def test_indexing_reads_no_layer(
    tmp_path: Path, make_image: MakeImage, make_tar: MakeTar, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = make_image([make_tar({f"f{at}": os.urandom(3_000_000)}) for at in range(3)])
    for form in (image.classic(), image.docker25()):
        count = 0
        pread = os.pread

        def counting(fd: int, size: int, offset: int, pread: Callable[..., bytes] = pread) -> bytes:
            nonlocal count
            data = pread(fd, size, offset)
            count += len(data)
            return data

        data = make_tar(form)
        with monkeypatch.context() as patch:
            patch.setattr(os, "pread", counting)
            _open(tmp_path, data).close()
        assert 0 < count < 1_000_000 < len(data)


def test_docker_25_manifests_keep_their_digest_and_both_files_give_names(
    tmp_path: Path, make_image: MakeImage, make_tar: MakeTar
) -> None:
    image = make_image(names=["app:1", "app:2"], media_type=media_types.DOCKER_MANIFEST)
    files = image.docker25()
    entry = json.loads(bytes(files["manifest.json"]))  # type: ignore[arg-type]
    entry[0]["RepoTags"] += ["reg.example.com/more:x"]
    files["manifest.json"] = json.dumps(entry).encode()
    with _open(tmp_path, make_tar(files)) as archive:
        [found] = archive.images
        assert found.manifest.digest == Digest.of(image.manifest)
        assert found.manifest.media_type == media_types.DOCKER_MANIFEST
        assert found.names == ("docker.io/library/app:1", "docker.io/library/app:2", "reg.example.com/more:x")


def test_a_name_by_digest_is_no_name(tmp_path: Path, make_image: MakeImage, make_tar: MakeTar) -> None:
    image = make_image(names=[f"app@sha256:{'0' * 64}", "app:1"])
    with _open(tmp_path, make_tar(image.classic())) as archive:
        assert archive.images[0].names == ("docker.io/library/app:1",)


def test_an_image_that_only_manifest_json_lists_is_found(
    tmp_path: Path, make_image: MakeImage, make_tar: MakeTar
) -> None:
    one, two = make_image(), make_image([make_tar({"z": b"z"})], names=[])
    files = two.docker25() | one.docker25()
    files["manifest.json"] = json.dumps(
        [json.loads(bytes(image.docker25()["manifest.json"]))[0] for image in (one, two)]  # type: ignore[arg-type]
    ).encode()
    with _open(tmp_path, make_tar(files)) as archive:
        assert [image.config_digest for image in archive.images] == [one.image_id, two.image_id]
        assert archive.images[1].names == ()
        assert archive.images[1].manifest.digest != Digest.of(two.manifest)
        assert _layers(archive, 1) == two.layers


@pytest.mark.parametrize(
    ("annotations", "names"),
    [
        ({"org.opencontainers.image.ref.name": "latest"}, ()),
        ({"org.opencontainers.image.ref.name": "localhost/app:3"}, ("localhost/app:3",)),
        ({"org.opencontainers.image.ref.name": "app:3"}, ("docker.io/library/app:3",)),
        ({"org.opencontainers.image.ref.name": "3", "io.containerd.image.name": "q.io/app:3"}, ("q.io/app:3",)),
        ({"io.containerd.image.name": "app"}, ("docker.io/library/app:latest",)),
        ({"io.containerd.image.name": f"q.io/app@sha256:{'0' * 64}"}, ()),
        ({"org.opencontainers.image.ref.name": f"q.io/app:1@sha256:{'0' * 64}"}, ()),
        (  # renamed by umoci, which knows the first alone
            {"org.opencontainers.image.ref.name": "q.io/new:1", "io.containerd.image.name": "q.io/old:1"},
            ("q.io/new:1",),
        ),
        ({"org.opencontainers.image.ref.name": "a:b:c", "io.containerd.image.name": "q.io/old:1"}, ("q.io/old:1",)),
    ],
)
def test_names_from_annotations(
    tmp_path: Path, make_image: MakeImage, make_tar: MakeTar, annotations: dict[str, str], names: tuple[str, ...]
) -> None:
    with _open(tmp_path, make_tar(make_image().oci([annotations]))) as archive:
        assert archive.images[0].names == names


def test_an_index_for_several_platforms_is_one_image(tmp_path: Path, make_image: MakeImage, make_tar: MakeTar) -> None:
    arm, amd = make_image([make_tar({"arm": b""})], architecture="arm64"), make_image(architecture="amd64")
    children = [
        {"mediaType": media_types.OCI_MANIFEST, "digest": Digest.of(image.manifest), "size": len(image.manifest),
         "platform": {"os": "linux", "architecture": architecture}}
        for image, architecture in ((arm, "arm64"), (amd, "amd64"))
    ]  # fmt: skip
    absent = dict(children[0], digest=Digest.of(b"absent"), platform={"os": "linux", "architecture": "s390x"})
    attestation = dict(children[0], digest=Digest.of(b"att"), platform={"os": "unknown", "architecture": "unknown"})
    index = json.dumps(
        {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [*children, absent, attestation]}
    ).encode()
    files = arm.oci() | amd.oci()
    files[f"blobs/sha256/{Digest.of(index).hex}"] = index
    top = {
        "mediaType": media_types.OCI_INDEX,
        "digest": Digest.of(index),
        "size": len(index),
        "annotations": {"io.containerd.image.name": "a:1"},
    }
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [top]}).encode()
    with _open(tmp_path, make_tar(files)) as archive:
        [image] = archive.images
        assert image.manifest.digest == Digest.of(index)
        assert image.manifest.media_type == media_types.OCI_INDEX
        assert image.config_digest in (arm.image_id, amd.image_id)
        assert archive.has(Digest.of(arm.manifest))
        assert not archive.has(Digest.of(b"absent"))


def test_what_is_no_image_is_passed_over(tmp_path: Path, make_image: MakeImage, make_tar: MakeTar) -> None:
    image = make_image()
    files = image.oci([{}])
    empty = b"{}"
    artifact = json.dumps(
        {
            "schemaVersion": 2,
            "config": {"mediaType": media_types.OCI_EMPTY, "digest": Digest.of(empty), "size": 2},
            "layers": [],
        }
    ).encode()
    index = json.loads(bytes(files["index.json"]))  # type: ignore[arg-type]
    index["manifests"].insert(
        0, {"mediaType": media_types.OCI_MANIFEST, "digest": Digest.of(artifact), "size": len(artifact)}
    )
    index["manifests"].insert(0, {"mediaType": "application/x-other", "digest": Digest.of(b"?"), "size": 1})
    files |= {"index.json": json.dumps(index).encode(), f"blobs/sha256/{Digest.of(artifact).hex}": artifact}
    with _open(tmp_path, make_tar(files)) as archive:
        assert [found.config_digest for found in archive.images] == [image.image_id]


# Every way in.


def test_from_a_pipe_a_descriptor_a_reader_and_a_folder(
    tmp_path: Path, make_image: MakeImage, make_tar: MakeTar, lay_out: LayOut
) -> None:
    image = make_image()
    data = make_tar(image.docker25())
    read, write = os.pipe()

    def feed() -> None:
        with open(write, "wb") as pipe:
            pipe.write(data)

    thread = threading.Thread(target=feed)
    thread.start()
    with open_archive(read, spool_dir=tmp_path) as archive:
        assert _layers(archive) == image.layers
    thread.join()
    os.close(read)

    (tmp_path / "t").write_bytes(b"skipped" + data)
    fd = os.open(tmp_path / "t", os.O_RDONLY)
    os.lseek(fd, 7, os.SEEK_SET)
    with open_archive(fd) as archive:
        os.close(fd)
        assert _layers(archive) == image.layers
    with open_archive(io.BytesIO(gzip.compress(data)), spool_dir=tmp_path) as archive:
        assert _layers(archive) == image.layers

    lay_out(tmp_path / "layout", image.docker25())
    for opened in (open_layout(tmp_path / "layout"), open_archive(str(tmp_path / "layout"))):
        with opened as archive:
            assert archive.images[0].manifest.digest == Digest.of(image.manifest)
            assert _layers(archive) == image.layers


def test_a_blob_of_a_plain_archive_is_a_region_of_its_file(
    tmp_path: Path, make_image: MakeImage, make_tar: MakeTar
) -> None:
    image = make_image()
    with _open(tmp_path, make_tar(image.docker25())) as archive:
        blob = archive.open_blob(Digest.of(image.layers[0]))
        assert isinstance(blob, Region)
        assert not os.get_inheritable(blob.fd)
        assert [entry.name for entry in TarReader(blob)] == [b"a"]
        with pytest.raises(NotFound, match=r"image\.tar: no blob"):
            archive.open_blob(Digest.of(b"?"))


def test_the_spooled_copy_has_no_name_and_is_private(tmp_path: Path, make_image: MakeImage, make_tar: MakeTar) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    with open_archive(io.BytesIO(make_tar(make_image().docker25())), spool_dir=spool) as archive:
        assert list(spool.iterdir()) == []
        blob = archive.open_blob(archive.images[0].config_digest)
        assert isinstance(blob, Region)
        status = os.fstat(blob.fd)
        assert (status.st_dev, status.st_nlink, stat.S_IMODE(status.st_mode)) == (spool.stat().st_dev, 0, 0o600)
