"""Layers in zstd and zstd:chunked, as skopeo and Podman make them: kept as they are, unpacked to one tree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.interop.contents import contents
from tests.interop.engines import Engines
from tests.interop.jackstay import Jackstay
from tests.interop.originals import Original

NAME = "docker.io/library/made:2"
SKIPPABLE = b"\x50\x2a\x4d\x18"
"""How a frame of zstd begins that a decompressor passes over: zstd:chunked has its table of contents in such."""


def layers(folder: Path) -> list[bytes]:
    """The layers of the only image of an OCI folder."""

    def blob(digest: str) -> bytes:
        return (folder / "blobs" / digest.replace(":", "/")).read_bytes()

    (root,) = json.loads((folder / "index.json").read_bytes())["manifests"]
    return [blob(layer["digest"]) for layer in json.loads(blob(root["digest"]))["layers"]]


@pytest.mark.parametrize("original", ["debian12"], indirect=True)
# The zstd:chunked of Debian 12's skopeo is left out: what it unpacks to is not what its own config says.
@pytest.mark.parametrize(
    ("writer", "debian", "compression"),
    [
        ("skopeo", "debian12", "zstd"),
        ("skopeo", "debian13", "zstd:chunked"),
        ("podman", "debian13", "zstd:chunked"),
    ],
)
def test_compressed_layers(
    original: Original,
    jackstay: Jackstay,
    engines: dict[str, Engines],
    writer: str,
    debian: str,
    compression: str,
    exchange: Path,
    tmp_path: Path,
) -> None:
    folder = exchange / f"{tmp_path.name}"
    source, target = f"docker-archive:{original.archives['made:2']}", f"oci:{folder}:{NAME}"
    if writer == "skopeo":
        engines[debian].skopeo.copy(source, target, "--dest-compress-format", compression)
    else:
        engines[debian].podman.empty()
        (name,) = engines[debian].podman.load(original.archives["made:2"])
        engines[debian].podman.push(name, target, "--compression-format", compression, "--force-compression")
    written = contents(folder)
    assert all(kind.endswith("+zstd") for kind in written.layer_types)
    assert all((SKIPPABLE in layer) == (compression == "zstd:chunked") for layer in layers(folder))

    assert jackstay.load(folder) == ["made:2"]
    described = jackstay.inspect("made:2")
    assert (described["Id"], described["Descriptor"]["digest"]) == (written.configs[0], written.manifests[0])
    assert described["RootFS"]["Layers"] == list(original.layers["made:2"])
    assert jackstay.tree("made:2") == original.trees["made:2"]
    saved = jackstay.save(Path(f"{folder}.tar"), "--format", "oci", "made:2")
    assert contents(saved).manifests == written.manifests
    podman = engines[debian].podman
    podman.empty()
    assert podman.pull(f"oci-archive:{saved}:{NAME}") == written.configs[0]
    docker = engines["debian13"].docker  # the older knows no zstd
    docker.empty()
    docker.load(jackstay.save(Path(f"{folder}-docker.tar"), "made:2"))
    assert docker.id("made:2") == written.configs[0]
    assert docker.tree("made:2") == original.trees["made:2"]
