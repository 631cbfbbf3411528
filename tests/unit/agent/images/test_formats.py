"""Every form of archive with layers in every compression, received and unpacked: kept as it came, the same tree."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jackstay_agent.fetch.archive import ArchiveSource
from jackstay_agent.images.receiving import Target
from jackstay_oci import media_types, platforms
from jackstay_oci.archives.archive import open_archive
from jackstay_oci.compression import zstd
from jackstay_oci.digest import Digest
from jackstay_oci.identity import chain_ids
from tests.unit.agent.images.image_host import ImageHost, tar
from tests.zstd_chunked import zstd_chunked

NAME = "docker.io/library/web:1"
LAYERS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "plain": (bytes, media_types.OCI_LAYER),
    "gzip": (lambda data: gzip.compress(data, mtime=0), media_types.OCI_LAYER_GZIP),
    "zstd": (zstd.compress, media_types.OCI_LAYER_ZSTD),
    "zstd:chunked": (zstd_chunked, media_types.OCI_LAYER_ZSTD),
    "plain, said to be gzip": (bytes, media_types.DOCKER_LAYER_GZIP),
    "zstd, said to be gzip": (zstd.compress, media_types.OCI_LAYER_GZIP),
}


def blob(data: bytes) -> str:
    return f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"


def descriptor(kind: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}


def files_of(form: str, layers: list[bytes], kind: str, config: bytes) -> dict[str, bytes]:
    """The archive's files."""
    if form == "classic":
        paths = [f"{at}/layer.tar" for at in range(len(layers))]
        entry = {"Config": "config.json", "RepoTags": ["web:1"], "Layers": paths}
        return {**dict(zip(paths, layers, strict=True)), "config.json": config,
                "manifest.json": json.dumps([entry]).encode()}  # fmt: skip
    manifest = json.dumps(
        {"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST,
         "config": descriptor(media_types.OCI_CONFIG, config), "layers": [descriptor(kind, layer) for layer in layers]}
    ).encode()  # fmt: skip
    top = descriptor(media_types.OCI_MANIFEST, manifest) | {"annotations": {"io.containerd.image.name": NAME}}
    files = {blob(data): data for data in (*layers, config, manifest)}
    files |= {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    files |= {"index.json": json.dumps({"schemaVersion": 2, "manifests": [top]}).encode()}
    if form == "docker25":
        entry = {"Config": blob(config), "RepoTags": ["web:1"], "Layers": [blob(layer) for layer in layers]}
        files["manifest.json"] = json.dumps([entry]).encode()
    return files


def write(path: Path, form: str, files: dict[str, bytes]) -> Path:
    if form == "folder":
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
        return path
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


@pytest.mark.parametrize("form", ["classic", "docker25", "oci", "folder"])
@pytest.mark.parametrize("layer", LAYERS)
async def test_it_is_kept_as_it_came_and_unpacked(host: ImageHost, tmp_path: Path, form: str, layer: str) -> None:
    pack, kind = LAYERS[layer]
    plain = [tar({"a": os.urandom(200_000), "b": b"b" * 300_000}), tar({"c": b"c"})]
    here = platforms.this_host()
    config = json.dumps(
        {"os": here.os, "architecture": here.architecture,
         "rootfs": {"type": "layers", "diff_ids": [str(Digest.of(data)) for data in plain]}}
    ).encode()  # fmt: skip
    packed = [pack(data) for data in plain]
    path = await asyncio.to_thread(write, tmp_path / "archive", form, files_of(form, packed, kind, config))
    archive = await asyncio.to_thread(open_archive, path)
    try:
        (image,) = archive.images
        source = ArchiveSource(archive, "archive")
        received = await host.receiver.receive(Target(image.manifest, image.names), [source], host.steps.append)
    finally:
        await asyncio.to_thread(archive.close)
    assert received.image_id == Digest.of(config)
    assert {str(Digest.of(data)) for data in packed} <= set(await host.column("SELECT digest FROM blobs"))
    chain = chain_ids([Digest.of(data) for data in plain])
    assert (await host.layers.stat(str(chain[-1]))).kind == "committed"
    await host.whole()
