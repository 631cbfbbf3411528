"""What an archive, an OCI folder or a skopeo folder says about its images, read with the standard library alone.

None of the project's code: it must not read its own mistakes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Contents:
    """The images of an archive: by name the ids, and for OCI forms the digests of the manifests, in order."""

    entries: tuple[str, ...]
    """The names of everything in it, folders left out."""
    ids: dict[str, str]
    """What ``manifest.json`` says; empty without one."""
    manifests: tuple[str, ...]
    """What ``index.json`` says; empty without one."""
    configs: tuple[str, ...]
    """The ids of the images that ``manifests`` are of."""
    layer_types: tuple[str, ...]
    """The media types of all their layers."""

    @property
    def is_classic(self) -> bool:
        """Whether it is Docker's form before version 25: no OCI layout, layers as ``<id>/layer.tar``."""
        return not self.manifests and any(name.endswith("/layer.tar") for name in self.entries)

    @property
    def is_docker_layout(self) -> bool:
        """Whether it is Docker's form since version 25: an OCI layout with a ``manifest.json``."""
        return bool(self.manifests) and bool(self.ids)


def contents(path: Path) -> Contents:
    """Of an archive (plain or gzip), or of an OCI folder."""
    if path.is_dir():
        names = tuple(sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()))
        return _contents(names, lambda name: (path / name).read_bytes())
    data = path.read_bytes()
    if data.startswith(b"\x1f\x8b"):
        data = gzip.decompress(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = tuple(member.name for member in archive.getmembers() if not member.isdir())

        def read(name: str) -> bytes:
            stream = archive.extractfile(name)
            assert stream is not None
            return stream.read()

        return _contents(names, read)


def skopeo_folder_id(folder: Path) -> str:
    """The id of the image in a ``dir:`` folder of skopeo."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    return str(manifest["config"]["digest"])


def _contents(names: tuple[str, ...], read: Callable[[str], bytes]) -> Contents:
    ids: dict[str, str] = {}
    manifests: list[str] = []
    configs: list[str] = []
    layer_types: list[str] = []
    if "manifest.json" in names:
        for image in json.loads(read("manifest.json")):
            digest = f"sha256:{hashlib.sha256(read(image['Config'])).hexdigest()}"
            ids |= dict.fromkeys(image["RepoTags"] or [], digest)
    if "index.json" in names:
        for descriptor in json.loads(read("index.json"))["manifests"]:
            manifest: dict[str, Any] = json.loads(read(_blob(descriptor["digest"])))
            manifests.append(descriptor["digest"])
            configs.append(manifest["config"]["digest"])
            layer_types += [layer["mediaType"] for layer in manifest["layers"]]
    return Contents(names, ids, tuple(manifests), tuple(configs), tuple(layer_types))


def _blob(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")
