"""OCI folders that images are added to: what is there stays, what is missing is written, nothing half-made shows."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jackstay_oci.archives.archive import open_layout
from jackstay_oci.archives.naming import annotations_of
from jackstay_oci.archives.oci_folder import OciFolder
from jackstay_oci.archives.writing import ImageToSave, write_layout
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.errors import DigestMismatch, DiskFull, InvalidArchive, InvalidDocument
from jackstay_oci.store.blobs import BlobStore

MakeImage = Callable[..., Any]
MakeTar = Callable[..., bytes]

APP = "docker.io/library/app:1"
B = "docker.io/library/b:1"


def stored(store: BlobStore, image: Any, *names: str) -> ImageToSave:
    for blob in (image.config, image.manifest, *image.stored):
        store.put(blob)
    return ImageToSave(names, descriptor(image))


def descriptor(image: Any, name: str = "") -> Descriptor:
    annotations = annotations_of(name, whole=True) if name else {}
    digest, size = Digest.of(image.manifest), len(image.manifest)
    return Descriptor(media_type=image.media_type, digest=digest, size=size, annotations=annotations)


def names(folder: Path) -> list[tuple[tuple[str, ...], str]]:
    with open_layout(folder) as archive:
        return [(image.names, image.config_digest) for image in archive.images]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "layout"


def test_it_keeps_its_images_and_replaces_those_of_the_same_name(
    store: BlobStore, folder: Path, make_image: MakeImage, make_tar: MakeTar
) -> None:
    one, two, three = (make_image([make_tar({str(at): b""})]) for at in range(3))
    write_layout(folder, [stored(store, one, APP), stored(store, two, B)], store)
    write_layout(folder, [stored(store, three, APP)], store)
    assert names(folder) == [((B,), two.image_id), ((APP,), three.image_id)]
    assert sorted(path.name for path in folder.iterdir()) == ["blobs", "index.json", "oci-layout"]
    assert {entry["annotations"]["org.opencontainers.image.ref.name"] for entry in index(folder)} == {APP, B}


def index(folder: Path) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((folder / "index.json").read_text())["manifests"]
    return entries


def test_an_image_has_an_entry_without_a_name_only_while_it_has_none(
    store: BlobStore, folder: Path, make_image: MakeImage
) -> None:
    image = make_image()
    write_layout(folder, [stored(store, image)], store)
    assert names(folder) == [((), image.image_id)]
    write_layout(folder, [stored(store, image, APP)], store)
    assert names(folder) == [((APP,), image.image_id)]
    write_layout(folder, [stored(store, image)], store)
    write_layout(folder, [stored(store, image, B)], store)
    assert names(folder) == [((APP, B), image.image_id)]
    assert len(index(folder)) == 2


def test_names_that_others_wrote_count(
    store: BlobStore, folder: Path, make_image: MakeImage, make_tar: MakeTar
) -> None:
    one, two = make_image([make_tar({"1": b""})]), make_image([make_tar({"2": b""})])
    write_layout(folder, [stored(store, one, APP)], store)
    document = json.loads((folder / "index.json").read_text())
    document["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": APP}  # as skopeo has it
    document["manifests"].append(document["manifests"][0] | {"annotations": {"org.opencontainers.image.ref.name": "x"}})
    (folder / "index.json").write_text(json.dumps(document))
    write_layout(folder, [stored(store, two, APP)], store)
    assert [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in index(folder)] == ["x", APP]


def test_what_is_there_is_written_no_second_time(store: BlobStore, folder: Path, make_image: MakeImage) -> None:
    image = make_image()
    wanted = stored(store, image, APP)
    write_layout(folder, [wanted], store)
    layer = folder / "blobs" / "sha256" / Digest.of(image.layers[1]).hex
    before = {path: path.stat().st_ino for path in folder.rglob("*") if path.is_file()}
    layer.unlink()
    write_layout(folder, [wanted], store)
    after = {path: path.stat().st_ino for path in folder.rglob("*") if path.is_file()}
    assert before.keys() == after.keys()
    assert {path for path in before if before[path] != after[path]} <= {layer}
    layer.write_bytes(b"short")
    write_layout(folder, [wanted], store)
    assert layer.read_bytes() == image.layers[1]


def test_a_blob_is_durable_and_whole_before_it_has_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename
    monkeypatch.setattr(os, "fsync", lambda fd: (steps.append("fsync"), fsync(fd)))
    monkeypatch.setattr(Path, "rename", lambda self, to: (steps.append(Path(to).name), rename(self, to)))
    target, data = OciFolder.at(folder), b"x" * 5000
    digest = Digest.of(data)
    with target.blob(digest, len(data)) as blob:
        blob.write(data[:100])
        blob.write(memoryview(data)[100:])
        assert not target.has(digest, len(data))
        steps.clear()
        blob.commit()
    assert steps == ["fsync", digest.hex]
    assert target.has(digest, len(data))
    assert not target.has(digest, len(data) - 1)
    steps.clear()
    target.add([Descriptor(media_type="m", digest=digest, size=len(data))])
    assert steps == ["fsync", "fsync", "fsync", "index.json", "fsync"]


@pytest.mark.parametrize(("data", "message"), [(b"x" * 10, "longer"), (b"x" * 3, "short"), (b"12345", "is damaged")])
def test_what_comes_wrong_leaves_nothing(folder: Path, data: bytes, message: str) -> None:
    def write() -> None:
        with OciFolder.at(folder).blob(Digest.of(b"right"), 5) as blob:
            blob.write(data)
            blob.commit()

    with pytest.raises(DigestMismatch, match=message):
        write()
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["oci-layout"]
    OciFolder.at(folder)  # and it can be tried again


def test_a_full_disk_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    target = OciFolder.at(folder)
    with target.blob(Digest.of(b"right"), 5) as blob:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(DiskFull, match="the OCI folder"):
            blob.write(b"right")


def test_two_who_add_at_the_same_time_lose_nothing(folder: Path, make_image: MakeImage) -> None:
    image = make_image()
    wanted = [f"docker.io/library/a{at}:1" for at in range(24)]
    start = threading.Barrier(8)

    def work(some: list[str]) -> None:
        start.wait()
        for name in some:
            OciFolder.at(folder).add([descriptor(image, name)])

    threads = [threading.Thread(target=work, args=(wanted[at::8],)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(entry["annotations"]["io.containerd.image.name"] for entry in index(folder)) == sorted(wanted)


def test_what_is_no_oci_folder_is_left_alone(store: BlobStore, tmp_path: Path, make_image: MakeImage) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidArchive, match="Not a directory"):
        OciFolder.at(tmp_path / "file")
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter").write_text("x")
    with pytest.raises(InvalidArchive, match="is no OCI folder, and not empty"):
        write_layout(home, [stored(store, make_image(), APP)], store)
    assert os.listdir(home) == ["letter"]
    for layout, message in (('{"imageLayoutVersion":"2.0.0"}', "of version '2.0.0'"), ("{}", "malformed")):
        other = tmp_path / "other"
        other.mkdir(exist_ok=True)
        (other / "oci-layout").write_text(layout)
        with pytest.raises(InvalidArchive, match=message):
            OciFolder.at(other)


def test_a_folder_with_another_index_json_is_left_alone(
    store: BlobStore, tmp_path: Path, make_image: MakeImage
) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (tmp_path / "x" / "index.json").write_text("{}")
    with pytest.raises(InvalidDocument, match=r"index\.json"):
        write_layout(tmp_path / "x", [stored(store, make_image(), APP)], store)
    assert (tmp_path / "x" / "index.json").read_text() == "{}"
