"""Puts images of the lab into a registry with the standard library alone: no other program is needed for that."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from pathlib import Path

from tests.lab.images import Image, document
from tests.lab.multi_platform import MultiPlatform
from tests.registries.distribution import Distribution

OCI = "application/vnd.oci.image"


def put_image(registry: Distribution, image: Image, name: str = "", compress: bool = True) -> str:
    """Put it there as ``name`` (else as it is called); the digest of its manifest."""
    repository, _, tag = (name or image.name).rpartition(":")
    config = put_blob(registry, repository, image.config_bytes(), f"{OCI}.config.v1+json")
    suffix = "+gzip" if compress else ""
    layers = [
        put_blob(registry, repository, _layer(path, compress), f"{OCI}.layer.v1.tar{suffix}") for path in image.layers
    ]
    manifest = {"schemaVersion": 2, "mediaType": f"{OCI}.manifest.v1+json", "config": config, "layers": layers}
    return put_manifest(registry, repository, tag, document(manifest), f"{OCI}.manifest.v1+json")


def put_multi_platform(registry: Distribution, image: MultiPlatform, name: str) -> None:
    """Put an image for several platforms there as ``name``."""
    repository, _, tag = name.rpartition(":")
    with tarfile.open(image.path) as archive:

        def blob(digest: str) -> bytes:
            file = archive.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert file is not None
            return file.read()

        index = blob(image.index)
        for described in json.loads(index)["manifests"]:
            manifest = blob(described["digest"])
            parts = json.loads(manifest)
            for part in (parts["config"], *parts["layers"]):
                put_blob(registry, repository, blob(part["digest"]), part["mediaType"])
            put_manifest(registry, repository, described["digest"], manifest, described["mediaType"])
    put_manifest(registry, repository, tag, index, json.loads(index)["mediaType"])


def put_blob(registry: Distribution, repository: str, data: bytes, kind: str) -> dict[str, str | int]:
    """Put a blob there; its descriptor."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    status, headers, body = registry.ask("POST", f"/v2/{repository}/blobs/uploads/")
    assert status == 202, body
    target = headers["location"] + ("&" if "?" in headers["location"] else "?") + f"digest={digest}"
    status, _, body = registry.ask("PUT", target, data, {"Content-Type": "application/octet-stream"})
    assert status == 201, body
    return {"mediaType": kind, "digest": digest, "size": len(data)}


def put_manifest(registry: Distribution, repository: str, reference: str, data: bytes, kind: str) -> str:
    """Put a manifest or index there, under a tag or its digest; its digest."""
    status, _, body = registry.ask("PUT", f"/v2/{repository}/manifests/{reference}", data, {"Content-Type": kind})
    assert status == 201, body
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _layer(path: Path, compress: bool) -> bytes:
    data = path.read_bytes()
    return gzip.compress(data, compresslevel=1, mtime=0) if compress else data
