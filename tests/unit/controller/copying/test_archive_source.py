"""An archive as a source."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import runpy
import stat
from pathlib import Path
from typing import Any

import pytest

from jackstay.copying.archive_source import ArchiveSource, spool_folder
from jackstay.copying.serve import start_request
from jackstay.errors import NotFound, UsageError
from jackstay_oci.media_types import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST


def make_archive(path: Path, images: dict[str, bytes]) -> Path:
    made: Path = runpy.run_path(str(Path(__file__).parent.parent / "oci_archive.py"))["make_archive"](path, images)
    return made


async def everything(source: ArchiveSource, digest: str, offset: int, length: int) -> bytes:
    return b"".join([piece async for piece in source.read(digest, offset, length)])


async def test_ranges_of_an_archive(tmp_path: Path) -> None:
    layer = os.urandom(3 << 20)
    path = make_archive(tmp_path / "a.tar", {"app:1": layer})
    source = await ArchiveSource.open(str(path), "a.tar", {"HOME": str(tmp_path)})
    (image,) = await source.images()
    assert image.names == ("docker.io/library/app:1",)
    assert len(image.blobs) == 3
    digest = next(blob.digest for blob in image.blobs if blob.size == len(layer))
    assert await everything(source, digest, 0, len(layer)) == layer
    assert await everything(source, digest, 12345, 1 << 20) == layer[12345 : 12345 + (1 << 20)]
    assert await everything(source, digest, len(layer) - 3, 10) == layer[-3:]
    with pytest.raises(NotFound):
        await everything(source, "sha256:" + "0" * 64, 0, 1)
    await source.close()


async def test_of_an_index_the_manifests_that_are_there_are_told_and_the_wish_travels_with_them(tmp_path: Path) -> None:
    def put(document: dict[str, Any]) -> dict[str, Any]:
        data = json.dumps(document).encode()
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": document.get("mediaType", OCI_CONFIG), "digest": f"sha256:{digest}", "size": len(data)}

    blobs = tmp_path / "image" / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (tmp_path / "image" / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    entries = []
    for architecture in ("amd64", "arm64", "s390x"):
        config = put({"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": []}})
        manifest = put({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": []})
        entries.append(manifest | {"platform": {"os": "linux", "architecture": architecture}})
    index = put({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
    (tmp_path / "image" / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [index]}))
    (blobs / entries[2]["digest"].removeprefix("sha256:")).unlink()
    source = await ArchiveSource.open(str(tmp_path / "image"), "image", {"HOME": str(tmp_path)})
    (image,) = await source.images()
    assert image.manifests == (entries[0]["digest"], entries[1]["digest"])
    (target,) = start_request("image", [image.wanting("linux/arm64", all_platforms=True)]).images
    assert (target.platform, target.all_platforms, tuple(target.manifests)) == ("linux/arm64", True, image.manifests)
    (plain,) = start_request("image", [image]).images
    assert (plain.platform, plain.all_platforms) == ("", False)
    await source.close()


async def test_choosing_among_several(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "a.tar", {"app:1": b"one", "app:2": b"two"})
    source = await ArchiveSource.open(str(path), "a.tar", {"HOME": str(tmp_path)})
    with pytest.raises(UsageError, match="2 images"):
        await source.images()
    assert [image.names for image in await source.images(["app:2"])] == [("docker.io/library/app:2",)]
    assert len(await source.images(all=True)) == 2
    with pytest.raises(NotFound, match="app:3") as error:
        await source.images(["app:3"])
    assert "docker.io/library/app:1" in error.value.hint
    await source.close()


async def test_blobs_of_other_images_are_refused(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "a.tar", {"app:1": b"one", "app:2": b"two"})
    other = await ArchiveSource.open(str(path), "a.tar", {"HOME": str(tmp_path)})
    (secret,) = await other.images(["app:2"])
    layer = next(blob for blob in secret.blobs if blob.size == 3)
    assert await everything(other, layer.digest, 0, 3) == b"two"
    await other.close()
    source = await ArchiveSource.open(str(path), "a.tar", {"HOME": str(tmp_path)})
    await source.images(["app:1"])
    with pytest.raises(NotFound, match="being copied"):
        await everything(source, layer.digest, 0, 3)
    await source.close()


async def test_a_compressed_stream_is_written_out_privately(tmp_path: Path) -> None:
    plain = make_archive(tmp_path / "a.tar", {"app:1": b"layer"})
    read, write = os.pipe()
    os.write(write, gzip.compress(plain.read_bytes()))
    os.close(write)
    source = await ArchiveSource.open(read, "standard input", {"HOME": str(tmp_path)})
    assert len(await source.images()) == 1
    folder = tmp_path / ".cache" / "jackstay" / "spool"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.iterdir()) == []  # the copy has no name
    await source.close()
    os.close(read)


def test_the_spool_is_made_private_again(tmp_path: Path) -> None:
    folder = spool_folder({"XDG_CACHE_HOME": str(tmp_path)})
    folder.chmod(0o755)
    assert stat.S_IMODE(spool_folder({"XDG_CACHE_HOME": str(tmp_path)}).stat().st_mode) == 0o700
