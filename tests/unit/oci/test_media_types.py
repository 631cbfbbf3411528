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


@pytest.mark.parametrize("media_type", sorted(media_types._LAYERS))
def test_a_layer_compressed_and_uncompressed_again_is_of_its_own_type(media_type: str) -> None:
    plain = media_types.uncompressed(media_type)
    assert media_types.compressed(plain, media_types.layer_compression(media_type)) == media_type
    assert media_types.compressed(media_type, "none") == plain


def test_there_is_no_type_for_every_compression_and_none_for_what_is_no_layer() -> None:
    for media_type in (media_types.DOCKER_FOREIGN_LAYER, media_types.OCI_CONFIG):
        with pytest.raises(ValueError, match="media type"):
            media_types.compressed(media_type, "zstd")


def test_layers_that_may_not_be_given_on_are_told_from_others() -> None:
    foreign = {media_type for media_type in media_types._LAYERS if media_types.is_foreign(media_type)}
    assert all("foreign" in media_type or "nondistributable" in media_type for media_type in foreign)
    assert len(foreign) == 5
    assert not media_types.is_foreign(media_types.OCI_CONFIG)
