from __future__ import annotations

import pytest

from jackstay_oci import media_types


@pytest.mark.parametrize(
    ("media_type", "compression", "plain"),
    [
        (media_types.OCI_LAYER, "none", media_types.OCI_LAYER),
        (media_types.OCI_LAYER_GZIP, "gzip", media_types.OCI_LAYER),
        (media_types.OCI_LAYER_ZSTD, "zstd", media_types.OCI_LAYER),
        (media_types.DOCKER_LAYER_GZIP, "gzip", media_types.DOCKER_LAYER),
        (media_types.DOCKER_FOREIGN_LAYER_GZIP, "gzip", media_types.DOCKER_FOREIGN_LAYER),
    ],
)
def test_layers(media_type: str, compression: str, plain: str) -> None:
    assert media_types.is_layer(media_type)
    assert media_types.layer_compression(media_type) == compression
    assert media_types.uncompressed(media_type) == plain
    assert not media_types.is_manifest(media_type)


def test_the_other_kinds() -> None:
    assert media_types.is_manifest(media_types.DOCKER_MANIFEST)
    assert media_types.is_index(media_types.DOCKER_INDEX)
    assert media_types.is_config(media_types.DOCKER_CONFIG)
    assert not media_types.is_index(media_types.OCI_MANIFEST)
    assert not media_types.is_layer("application/vnd.in-toto+json")
    with pytest.raises(ValueError, match="not a layer"):
        media_types.layer_compression(media_types.OCI_CONFIG)
