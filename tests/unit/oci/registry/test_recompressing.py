"""Manifests and indexes with compressed layers in the place of plain ones."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from jackstay_oci import media_types as types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.registry import recompressing
from jackstay_oci.registry.registry import Document

PLAIN, PACKED, ELSEWHERE = Digest.of(b"plain"), Digest.of(b"packed"), Digest.of(b"elsewhere")


def document(media_type: str, value: dict[str, Any]) -> Document:
    data = msgspec.json.encode({"schemaVersion": 2, "mediaType": media_type, **value})
    return Document(Descriptor(media_type=media_type, digest=Digest.of(data), size=len(data)), data)


def layer(media_type: str, digest: Digest, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(digest), "size": 5, **more}


def docker_image() -> Document:
    return document(
        types.DOCKER_MANIFEST,
        {
            "config": layer(types.DOCKER_CONFIG, Digest.of(b"config")),
            "layers": [
                layer(types.DOCKER_LAYER, PLAIN),
                layer(types.DOCKER_LAYER_GZIP, PACKED),
                layer(types.DOCKER_FOREIGN_LAYER, ELSEWHERE, urls=["https://elsewhere.example/layer"]),
            ],
            "annotations": {"key": "value"},
            "x-unknown": [1, {"b": None}],
        },
    )


def became(media_type: str) -> dict[Digest, Descriptor]:
    return {PLAIN: Descriptor(media_type=media_type, digest=Digest.of(b"new"), size=3)}


def test_only_plain_layers_that_can_be_had_nowhere_else_are_compressed() -> None:
    assert [each.digest for each in recompressing.uncompressed_layers([docker_image(), docker_image()])] == [PLAIN]


def test_a_layer_takes_the_place_of_another_and_what_nobody_knows_stays() -> None:
    image = docker_image()
    changed = recompressing.with_layers(image, became(types.DOCKER_LAYER_GZIP))
    before, after = msgspec.json.decode(image.data), msgspec.json.decode(changed.data)
    assert after["layers"][0] == {"mediaType": types.DOCKER_LAYER_GZIP, "digest": str(Digest.of(b"new")), "size": 3}
    assert {**after, "layers": after["layers"][1:]} == {**before, "layers": before["layers"][1:]}
    assert changed.descriptor == Descriptor(
        media_type=types.DOCKER_MANIFEST, digest=Digest.of(changed.data), size=len(changed.data)
    )
    assert recompressing.with_layers(image, became(types.DOCKER_LAYER_GZIP)) == changed


def test_with_nothing_to_replace_a_manifest_is_itself() -> None:
    image = docker_image()
    assert recompressing.with_layers(image, {}) is image


def test_a_manifest_in_dockers_format_becomes_one_of_oci_for_zstd() -> None:
    changed = recompressing.with_layers(docker_image(), became(types.DOCKER_LAYER_ZSTD))
    fields = msgspec.json.decode(changed.data)
    assert (changed.descriptor.media_type, fields["mediaType"]) == (types.OCI_MANIFEST, types.OCI_MANIFEST)
    assert fields["config"]["mediaType"] == types.OCI_CONFIG
    assert [each["mediaType"] for each in fields["layers"]] == [
        types.OCI_LAYER_ZSTD,
        types.OCI_LAYER_GZIP,
        types.OCI_FOREIGN_LAYER,
    ]


@pytest.mark.parametrize(
    ("kind", "index_type"),
    [(types.DOCKER_LAYER_GZIP, types.DOCKER_INDEX), (types.DOCKER_LAYER_ZSTD, types.OCI_INDEX)],
    ids=["gzip", "zstd"],
)
def test_an_index_names_the_new_manifests_also_where_another_is_about_one(kind: str, index_type: str) -> None:
    image = docker_image()
    new = recompressing.with_layers(image, became(kind))
    about = {"vnd.docker.reference.digest": str(image.descriptor.digest), "other": "stays"}
    provenance = document(types.DOCKER_MANIFEST, {"config": layer(types.OCI_EMPTY, Digest.of(b"{}")), "layers": []})
    index = document(
        types.DOCKER_INDEX,
        {
            "manifests": [
                layer(types.DOCKER_MANIFEST, image.descriptor.digest, platform={"os": "linux", "architecture": "arm"}),
                layer(types.DOCKER_MANIFEST, provenance.descriptor.digest, annotations=about),
            ]
        },
    )
    same = {each.descriptor.digest: each for each in (image, provenance)}
    assert recompressing.with_manifests(index, same) is index
    changed = recompressing.with_manifests(index, {**same, image.descriptor.digest: new})
    fields = msgspec.json.decode(changed.data)
    first, second = fields["manifests"]
    assert (first["digest"], first["size"]) == (new.descriptor.digest, new.descriptor.size)
    assert (first["mediaType"], first["platform"]["architecture"]) == (new.descriptor.media_type, "arm")
    assert second["digest"] == provenance.descriptor.digest
    assert second["annotations"] == {"vnd.docker.reference.digest": new.descriptor.digest, "other": "stays"}
    assert fields["mediaType"] == changed.descriptor.media_type == index_type
