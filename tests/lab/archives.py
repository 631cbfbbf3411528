"""Image archives in the three forms that are about, written with the standard library alone."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tests.lab.images import CREATED, Image, document, sha256
from tests.lab.layer import Layer

Form = Literal["docker", "docker-classic", "oci"]


def write_archive(path: Path, images: Sequence[Image], form: Form = "docker", compress: bool = False) -> Path:
    """Write ``images`` to one archive.

    ``docker``: as Docker ≥ 25 saves, an OCI layout with a ``manifest.json``. ``docker-classic``: as Docker ≤ 24 saves,
    ``<id>/layer.tar``. ``oci``: an OCI layout alone. ``compress`` gzips the layers of an OCI layout, not a classic's; a
    file ``LAYER.gz`` beside a layer is taken as it is.
    """
    if form == "docker-classic":
        entries = _classic(images)
    else:
        entries = _layout(images, with_docker=form == "docker", compress=compress)
    written: set[str] = set()
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in entries:
            if name in written:
                continue
            written.add(name)
            entry = Layer.entry(name, tarfile.REGTYPE, 0o644)
            if isinstance(content, bytes):
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
            else:
                entry.size = content.stat().st_size
                with content.open("rb") as stream:
                    archive.addfile(entry, stream)
    return path


def _classic(images: Sequence[Image]) -> Iterator[tuple[str, bytes | Path]]:
    manifest = []
    repositories: dict[str, dict[str, str]] = {}
    for image in images:
        folders: list[str] = []
        for layer in image.layers:
            chain = hashlib.sha256("".join([*folders, sha256(layer)]).encode()).hexdigest()
            yield f"{chain}/VERSION", b"1.0"
            yield f"{chain}/json", document({"id": chain, "created": CREATED})
            yield f"{chain}/layer.tar", layer
            folders.append(chain)
        config = image.config_bytes()
        config_name = f"{hashlib.sha256(config).hexdigest()}.json"
        yield config_name, config
        repository, _, tag = image.name.rpartition(":")
        repositories.setdefault(repository, {})[tag] = folders[-1]
        layers = [f"{folder}/layer.tar" for folder in folders]
        manifest.append({"Config": config_name, "RepoTags": [image.name], "Layers": layers})
    yield "manifest.json", document(manifest)
    yield "repositories", document(repositories)


def _layout(images: Sequence[Image], with_docker: bool, compress: bool) -> Iterator[tuple[str, bytes | Path]]:
    yield "oci-layout", document({"imageLayoutVersion": "1.0.0"})
    index, docker = [], []
    for image in images:
        layers = []
        for layer in image.layers:
            content = _gzipped(layer) if compress else layer
            digest, size = sha256(content), content.stat().st_size
            kind = f"application/vnd.oci.image.layer.v1.tar{'+gzip' if compress else ''}"
            yield f"blobs/sha256/{digest}", content
            layers.append({"mediaType": kind, "digest": f"sha256:{digest}", "size": size})
        config = image.config_bytes()
        config_descriptor = _descriptor("application/vnd.oci.image.config.v1+json", config)
        manifest = document(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": config_descriptor,
                "layers": layers,
            }
        )
        descriptor = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
        full = image.name if "/" in image.name else f"docker.io/library/{image.name}"
        index.append(
            descriptor
            | {
                "annotations": {
                    "io.containerd.image.name": full,
                    "org.opencontainers.image.ref.name": image.name.rpartition(":")[2] if with_docker else full,
                }
            }
        )
        docker.append(
            {
                "Config": _blob(config_descriptor),
                "RepoTags": [image.name],
                "Layers": [_blob(each) for each in layers],
            }
        )
        yield _blob(config_descriptor), config
        yield _blob(descriptor), manifest
    yield (
        "index.json",
        document({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": index}),
    )
    if with_docker:
        yield "manifest.json", document(docker)


def _gzipped(layer: Path) -> Path:
    packed = layer.with_name(layer.name + ".gz")
    if not packed.exists() or packed.stat().st_mtime_ns < layer.stat().st_mtime_ns:
        new = packed.with_name(f"{packed.name}.{os.getpid()}")
        with layer.open("rb") as source, new.open("wb") as out, gzip.GzipFile("", "wb", 6, out, 0) as packing:
            shutil.copyfileobj(source, packing, 1 << 20)
        new.rename(packed)
    return packed


def _descriptor(kind: str, document: bytes) -> dict[str, Any]:
    digest = f"sha256:{hashlib.sha256(document).hexdigest()}"
    return {"mediaType": kind, "digest": digest, "size": len(document)}


def _blob(descriptor: Mapping[str, Any]) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")
