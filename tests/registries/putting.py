"""Puts images of the lab into a registry with the standard library alone: no other program is needed for that."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

from tests.lab.images import Image, document
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
