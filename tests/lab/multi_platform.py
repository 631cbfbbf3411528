"""An image for several platforms, as an OCI archive or folder, written with the standard library alone."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.images import Image, architecture, busybox_base, document
from tests.lab.layer import Layer

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


HERE = f"linux/{architecture()}"
"""This machine's platform."""
OTHER = "linux/s390x"


@dataclass(frozen=True, slots=True)
class MultiPlatform:
    """What was written; manifests and ids by platform (``linux/arm64``)."""

    path: Path
    index: str
    manifests: dict[str, str]
    ids: dict[str, str]


def for_two_platforms(folder: Path) -> MultiPlatform:
    """``multi:1`` for `HERE` and `OTHER`, which share their lower layers, the only program's among them, so that both
    run here; ``/etc/platform`` says which it is."""
    base = busybox_base(folder)
    images = {}
    for platform in (HERE, OTHER):
        with Layer(folder / f"{platform.replace('/', '-')}.tar") as layer:
            layer.file("etc/platform", f"{platform}\n")
            layer.file("etc/large", platform.encode() * 40_000)
        images[platform] = Image("multi:1", (*base.layers, layer.path), base.config, (*base.created_by, "a platform"))
    return write_multi_platform(folder / "multi.tar", "multi:1", images)


def write_multi_platform(path: Path, name: str, images: Mapping[str, Image]) -> MultiPlatform:
    """Write one image, whose index names those of ``images``; to a folder when ``path`` is one, else to a tar."""
    files: dict[str, bytes] = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}

    def put(kind: str, data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        files[f"blobs/sha256/{digest}"] = data
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    children, ids = [], {}
    for platform, image in images.items():
        os, architecture = platform.split("/")
        config = json.loads(image.config_bytes()) | {"os": os, "architecture": architecture}
        described = put("application/vnd.oci.image.config.v1+json", document(config))
        layers = [put("application/vnd.oci.image.layer.v1.tar", layer.read_bytes()) for layer in image.layers]
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": layers}
        children.append(put(MANIFEST, document(manifest)) | {"platform": {"architecture": architecture, "os": os}})
        ids[platform] = described["digest"]
    root = put(INDEX, document({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}))
    annotations = {"io.containerd.image.name": f"docker.io/library/{name}"}
    annotations["org.opencontainers.image.ref.name"] = f"docker.io/library/{name}"
    top = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [root | {"annotations": annotations}]}
    files["index.json"] = document(top)
    if path.is_dir():
        (path / "blobs" / "sha256").mkdir(parents=True)
        for file, data in files.items():
            (path / file).write_bytes(data)
    else:
        with tarfile.open(path, "w") as tar:
            for file, data in files.items():
                entry = Layer.entry(file, tarfile.REGTYPE, 0o644)
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    manifests = {platform: child["digest"] for platform, child in zip(images, children, strict=True)}
    return MultiPlatform(path, root["digest"], manifests, ids)
