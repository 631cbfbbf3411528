"""Images and archives made on the spot, in every form that Docker, Podman and skopeo write."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.store.blobs import BlobStore

# The machine that runs the tests has other things to do: how long an example takes says nothing.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def tar_of(files: dict[str, bytes | tuple[bytes, str]], **options: Any) -> bytes:
    """A tar by Python's tarfile. A value may be ``(type, link target)``."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", **options) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, tuple):
                info.type, info.linkname = content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


@dataclass
class MadeImage:
    """An image in memory: its layers as plain tars, its config, and what each form of archive says of it."""

    layers: list[bytes]
    names: list[str]
    config: bytes
    media_type: str = media_types.OCI_MANIFEST
    packed: list[bytes] = field(default_factory=list)
    layer_type: str = media_types.OCI_LAYER

    @property
    def stored(self) -> list[bytes]:
        return self.packed or self.layers

    @property
    def manifest(self) -> bytes:
        config_type = media_types.OCI_CONFIG
        if self.media_type == media_types.DOCKER_MANIFEST:
            config_type = media_types.DOCKER_CONFIG
        return json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": self.media_type,
                "config": {"mediaType": config_type, "digest": Digest.of(self.config), "size": len(self.config)},
                "layers": [
                    {"mediaType": self.layer_type, "digest": Digest.of(layer), "size": len(layer)}
                    for layer in self.stored
                ],
            },
            indent=3,
        ).encode()

    @property
    def image_id(self) -> Digest:
        return Digest.of(self.config)

    def classic(self) -> dict[str, bytes | tuple[bytes, str]]:
        """Docker 1.10 to 24: a folder a layer, the second of two same layers a link, ``manifest.json`` last."""
        files: dict[str, bytes | tuple[bytes, str]] = {}
        paths: list[str] = []
        first: dict[bytes, str] = {}
        for at, layer in enumerate(self.stored):
            folder = f"{at:064x}"
            path = f"{folder}/layer.tar"
            files |= {f"{folder}/VERSION": b"1.0", f"{folder}/json": b"{}"}
            files[path] = (tarfile.SYMTYPE, f"../{first[layer]}") if layer in first else layer
            first.setdefault(layer, path)
            paths.append(path)
        files[f"{self.image_id.hex}.json"] = self.config
        entry = {"Config": f"{self.image_id.hex}.json", "RepoTags": self.names or None, "Layers": paths}
        files["manifest.json"] = json.dumps([entry]).encode()
        return files

    def oci(self, annotations: list[dict[str, str]] | None = None) -> dict[str, bytes | tuple[bytes, str]]:
        """An OCI layout, one descriptor for each set of annotations."""
        blobs = [self.config, self.manifest, *self.stored]
        descriptor = {"mediaType": self.media_type, "digest": Digest.of(self.manifest), "size": len(self.manifest)}
        index = {
            "schemaVersion": 2,
            "manifests": [descriptor | {"annotations": a} for a in annotations or []] or [descriptor],
        }
        return {
            "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
            "index.json": json.dumps(index).encode(),
            **{f"blobs/sha256/{Digest.of(blob).hex}": blob for blob in blobs},
        }

    def docker25(self) -> dict[str, bytes | tuple[bytes, str]]:
        """What Docker 25 and later write: an OCI layout, and ``manifest.json`` that points into it."""
        named = [
            {"io.containerd.image.name": f"docker.io/library/{n}", "org.opencontainers.image.ref.name": n.split(":")[1]}
            for n in self.names
        ]
        entry = {
            "Config": f"blobs/sha256/{self.image_id.hex}",
            "RepoTags": self.names or None,
            "Layers": [f"blobs/sha256/{Digest.of(layer).hex}" for layer in self.stored],
        }
        return self.oci(named) | {"manifest.json": json.dumps([entry]).encode()}


@pytest.fixture
def make_image() -> Callable[..., MadeImage]:
    """Makes an image of a few small layers."""

    def make(
        layers: list[bytes] | None = None, names: list[str] | None = None, architecture: str = "amd64", **fields: Any
    ) -> MadeImage:
        if layers is None:
            layers = [tar_of({"a": b"one" * 100}), tar_of({"b/c": b"two" * 5000})]
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/a"], "Env": None},
            "rootfs": {"type": "layers", "diff_ids": [Digest.of(layer) for layer in layers]},
        }
        return MadeImage(layers, ["app:1"] if names is None else names, json.dumps(config, indent=1).encode(), **fields)

    return make


@pytest.fixture
def lay_out() -> Callable[[Path, dict[str, bytes]], None]:
    """Writes files into a folder."""

    def write(folder: Path, files: dict[str, bytes]) -> None:
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)

    return write


@pytest.fixture
def make_tar() -> Callable[..., bytes]:
    return tar_of


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "store")
