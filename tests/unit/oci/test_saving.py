from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jackstay_oci import media_types, platforms
from jackstay_oci.archives.archive import open_archive
from jackstay_oci.archives.writing import ImageToSave, write_archive, write_layout
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.errors import DigestMismatch, NotFound
from jackstay_oci.store.blobs import BlobStore

MakeImage = Callable[..., Any]
MakeTar = Callable[..., bytes]

APP = "docker.io/library/app:1"


def _stored(store: BlobStore, image: Any, *names: str) -> ImageToSave:
    for blob in (image.config, image.manifest, *image.stored):
        store.put(blob)
    descriptor = Descriptor(
        media_type=image.media_type, digest=Digest.of(image.manifest), size=len(image.manifest)
    )  # fmt: skip
    return ImageToSave(names, descriptor)


def _saved(images: list[ImageToSave], content: Any, form: Any = "docker", **options: Any) -> bytes:
    out = io.BytesIO()
    write_archive(out, images, content, form, **options)
    return out.getvalue()


def _files(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar if info.isfile()}  # type: ignore[union-attr]


@pytest.mark.parametrize("form", ["docker", "oci"])
@pytest.mark.parametrize("media_type", [media_types.OCI_MANIFEST, media_types.DOCKER_MANIFEST])
def test_what_is_saved_opens_with_the_same_digests(
    store: BlobStore, make_image: MakeImage, form: str, media_type: str
) -> None:
    image = make_image(media_type=media_type)
    wanted = _stored(store, image, APP, "reg.example.com/x/y:2")
    data = _saved([wanted], store, form)
    with open_archive(io.BytesIO(data)) as archive:
        [found] = archive.images
        assert found.manifest == wanted.manifest
        assert found.names == wanted.names
        assert found.config_digest == image.image_id
        assert archive.read(found.manifest.digest, 0, 1 << 20) == image.manifest
        again = _saved([ImageToSave(found.names, found.manifest)], archive, form)
    assert again == data


def test_the_same_images_give_the_same_bytes(store: BlobStore, tmp_path: Path, make_image: MakeImage) -> None:
    wanted = [_stored(store, make_image(), APP)]
    first = _saved(wanted, store)
    other = BlobStore(tmp_path / "other")
    for digest, _ in store.walk():
        other.put(store.read(digest))
    assert _saved(wanted, other) == first


def test_the_docker_form_is_what_docker_writes(store: BlobStore, make_image: MakeImage) -> None:
    image = make_image()
    unnamed = make_image(architecture="arm64")
    data = _saved([_stored(store, image, APP, "docker.io/org/x:y"), _stored(store, unnamed)], store)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = tar.getmembers()
    names = [info.name for info in members]
    assert names[:2] == ["blobs", "blobs/sha256"]
    assert names[2:] == sorted(names[2:])
    assert len(set(names)) == len(names)
    assert names[-4:] == ["index.json", "manifest.json", "oci-layout", "repositories"]
    assert {(info.mtime, info.uid, info.gid, info.uname) for info in members} == {(0, 0, 0, "")}
    files = _files(data)
    layers = [f"blobs/sha256/{Digest.of(layer).hex}" for layer in image.layers]
    first, second = json.loads(files["manifest.json"])
    assert list(first) == ["Config", "RepoTags", "Layers", "LayerSources"]
    assert first["Config"] == f"blobs/sha256/{image.image_id.hex}"
    assert first["RepoTags"] == ["app:1", "org/x:y"]
    assert first["Layers"] == layers
    assert first["LayerSources"][Digest.of(image.layers[0])]["size"] == len(image.layers[0])
    assert second["RepoTags"] is None
    index = json.loads(files["index.json"])
    assert [item.get("annotations") for item in index["manifests"]] == [
        {"io.containerd.image.name": APP, "org.opencontainers.image.ref.name": "1"},
        {"io.containerd.image.name": "docker.io/org/x:y", "org.opencontainers.image.ref.name": "y"},
        None,
    ]
    top = Digest.of(image.layers[-1]).hex
    assert json.loads(files["repositories"]) == {"app": {"1": top}, "org/x": {"y": top}}
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}


def test_the_oci_form_has_the_layout_alone(store: BlobStore, make_image: MakeImage) -> None:
    files = _files(_saved([_stored(store, make_image(), APP)], store, "oci"))
    assert {name for name in files if "/" not in name} == {"index.json", "oci-layout"}
    [descriptor] = json.loads(files["index.json"])["manifests"]
    assert descriptor["annotations"] == {"io.containerd.image.name": APP, "org.opencontainers.image.ref.name": APP}


@pytest.mark.parametrize("form", ["docker", "oci"])
def test_compressed_layers_are_written_as_they_are(store: BlobStore, make_image: MakeImage, form: str) -> None:
    image = make_image(layer_type=media_types.OCI_LAYER_GZIP)
    image.packed = [gzip.compress(layer) for layer in image.layers]
    data = _saved([_stored(store, image, APP)], store, form)
    files = _files(data)
    for layer in image.packed:
        assert files[f"blobs/sha256/{Digest.of(layer).hex}"] == layer
    if form == "docker":
        [entry] = json.loads(files["manifest.json"])
        assert entry["Layers"] == [f"blobs/sha256/{Digest.of(layer).hex}" for layer in image.packed]
        assert "LayerSources" not in entry
        # As one of the layers alone would be found by a reader that knows manifest.json only:
        del files["index.json"]
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
        with open_archive(io.BytesIO(out.getvalue())) as archive:
            assert archive.images[0].config_digest == image.image_id
            assert archive.images[0].names == (APP,)


def test_an_image_with_two_names_and_a_shared_layer_is_written_once(
    store: BlobStore, make_image: MakeImage, make_tar: MakeTar
) -> None:
    base = make_tar({"base": b"x" * 10_000})
    one, two = make_image([base, make_tar({"1": b""})]), make_image([base])
    data = _saved([_stored(store, one, APP), _stored(store, two, "docker.io/library/b:1")], store)
    assert data.count(base.rstrip(b"\0")) == 1
    with open_archive(io.BytesIO(data)) as archive:
        assert [image.names for image in archive.images] == [(APP,), ("docker.io/library/b:1",)]


def test_an_index_is_saved_with_the_images_that_are_here(
    store: BlobStore, make_image: MakeImage, make_tar: MakeTar
) -> None:
    images = {name: make_image([make_tar({name: b""})], architecture=name) for name in ("amd64", "arm64", "s390x")}
    children = []
    for name, image in images.items():
        if name != "s390x":
            _stored(store, image)
        children.append(
            {"mediaType": image.media_type, "digest": Digest.of(image.manifest), "size": len(image.manifest),
             "platform": {"os": "linux", "architecture": name}}
        )  # fmt: skip
    index = json.dumps({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": children}).encode()
    descriptor = Descriptor(media_type=media_types.OCI_INDEX, digest=store.put(index), size=len(index))
    wanted = ImageToSave((APP,), descriptor)
    data = _saved([wanted], store)
    [entry] = json.loads(_files(data)["manifest.json"])
    here = platforms.this_host().architecture
    assert entry["Config"] == f"blobs/sha256/{images[here].image_id.hex}"
    with open_archive(io.BytesIO(data)) as archive:
        [found] = archive.images
        assert (found.manifest, found.names) == (descriptor, (APP,))
        assert archive.has(images["amd64"].image_id)
        assert archive.has(images["arm64"].image_id)
        assert not archive.has(images["s390x"].image_id)
    for name in ("amd64", "arm64"):
        store.delete(Digest.of(images[name].layers[0]))
    with pytest.raises(NotFound, match="no image of index"):
        _saved([wanted], store)


@pytest.mark.parametrize("form", ["docker", "oci"])
def test_one_platform_of_an_index_is_saved_as_an_image_of_its_own(
    store: BlobStore, make_image: MakeImage, make_tar: MakeTar, form: str
) -> None:
    images = {name: make_image([make_tar({name: b""})], architecture=name) for name in ("amd64", "arm64")}
    children = [
        {"mediaType": image.media_type, "digest": Digest.of(image.manifest), "size": len(image.manifest),
         "platform": {"os": "linux", "architecture": name}}
        for name, image in images.items()
    ]  # fmt: skip
    index = json.dumps({"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": children}).encode()
    alone = {name: _stored(store, image, APP) for name, image in images.items()}
    wanted = ImageToSave((APP,), Descriptor(media_type=media_types.OCI_INDEX, digest=store.put(index), size=len(index)))
    for name in images:
        platform = platforms.parse(f"linux/{name}")
        data = _saved([wanted], store, form, platform=platform)
        assert data == _saved([alone[name]], store, form)
        assert data == _saved([alone[name]], store, form, platform=platform)
    with pytest.raises(NotFound, match="image app:1 is not here for linux/riscv64") as caught:
        _saved([wanted], store, form, platform=platforms.parse("linux/riscv64"))
    assert caught.value.hint == "it is for linux/amd64, linux/arm64"
    with pytest.raises(NotFound, match="image app:1 is not here for linux/amd64") as caught:
        _saved([alone["arm64"]], store, form, platform=platforms.parse("linux/amd64"))
    assert caught.value.hint == "it is for linux/arm64"


@pytest.mark.parametrize("form", ["docker", "oci"])
def test_neither_order_nor_repetition_changes_the_bytes(
    store: BlobStore, make_image: MakeImage, make_tar: MakeTar, form: str
) -> None:
    one, two, three = (make_image([make_tar({str(at): b""})]) for at in range(3))
    b = "docker.io/library/b:1"
    images = [_stored(store, one, APP, b), _stored(store, two, "reg.example.com/a:1"), _stored(store, three)]
    data = _saved(images, store, form)
    assert _saved(images[::-1], store, form) == data
    again = [images[2], _stored(store, one, b), images[1], _stored(store, one, APP), _stored(store, one, b)]
    assert _saved(again, store, form) == data
    with open_archive(io.BytesIO(data)) as archive:
        assert [image.names for image in archive.images] == [(APP, b), ("reg.example.com/a:1",), ()]


# What is wrong with the content.


def test_a_missing_blob_is_noticed_before_anything_is_written(store: BlobStore, make_image: MakeImage) -> None:
    image = make_image()
    wanted = _stored(store, image, APP)
    store.delete(Digest.of(image.layers[1]))
    out = io.BytesIO()
    with pytest.raises(NotFound, match=Digest.of(image.layers[1])):
        write_archive(out, [wanted], store)
    assert out.getvalue() == b""


@pytest.mark.parametrize("which", ["layer", "config", "size"])
def test_a_damaged_blob_ends_the_writing(store: BlobStore, make_image: MakeImage, tmp_path: Path, which: str) -> None:
    image = make_image()
    wanted = _stored(store, image, APP)
    path = store.path(image.image_id if which == "config" else Digest.of(image.layers[1]))
    os.chmod(path, 0o600)
    data = path.read_bytes()
    path.write_bytes(data[:-1] if which == "size" else b"!" + data[1:])
    with pytest.raises(DigestMismatch):
        _saved([wanted], store)
    with pytest.raises(DigestMismatch):
        write_layout(tmp_path / "layout", [wanted], store)
    assert not (tmp_path / "layout" / "index.json").exists()
    assert not list(tmp_path.rglob(".jackstay-*"))


def test_saving_a_large_layer_keeps_memory_small(store: BlobStore, make_image: MakeImage, make_tar: MakeTar) -> None:
    wanted = _stored(store, make_image([make_tar({"big": bytes(64 << 20)})]), APP)

    class Sink:
        size = 0

        def write(self, data: bytes, /) -> None:
            self.size += len(data)

    sink = Sink()
    tracemalloc.start()
    write_archive(sink, [wanted], store)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sink.size > 64 << 20
    assert peak < 4 << 20
