from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import (
    MAX_DOCUMENT,
    Descriptor,
    Index,
    Manifest,
    Platform,
    encode,
    parse_config,
    parse_index,
    parse_manifest,
    sniff_media_type,
)
from jackstay_oci.errors import InvalidDocument
from jackstay_oci.image_config import ContainerConfig, ImageConfig, RootFS

D = Digest.of(b"x")
CONFIG = {"mediaType": media_types.OCI_CONFIG, "digest": D, "size": 1}
LAYER = {"mediaType": media_types.OCI_LAYER_GZIP, "digest": D, "size": 2}


def _json(**fields: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, **fields}).encode()


def test_a_manifest() -> None:
    manifest = parse_manifest(_json(config=CONFIG, layers=[LAYER], unknown={"a": [None]}), media_types.OCI_MANIFEST)
    assert isinstance(manifest, Manifest)
    assert manifest.config.digest == D
    assert isinstance(manifest.config.digest, Digest)
    assert [layer.size for layer in manifest.layers] == [2]


def test_an_index() -> None:
    child = {"mediaType": media_types.OCI_MANIFEST, "digest": D, "size": 3}
    platform = {"os": "linux", "architecture": "arm", "variant": "v7", "os.version": "1"}
    index = parse_manifest(_json(manifests=[child | {"platform": platform}]), media_types.OCI_INDEX)
    assert isinstance(index, Index)
    assert str(index.manifests[0].platform) == "linux/arm/v7"
    assert index.manifests[0].platform == Platform(os="linux", architecture="arm", variant="v7", os_version="1")


@pytest.mark.parametrize(
    ("fields", "media_type", "message"),
    [
        ({"config": CONFIG, "layers": [], "manifests": []}, media_types.OCI_MANIFEST, "must not carry 'manifests'"),
        ({"config": CONFIG, "layers": [], "manifests": []}, media_types.OCI_INDEX, "must not carry 'config'"),
        ({"layers": [LAYER], "manifests": []}, media_types.DOCKER_INDEX, "must not carry 'layers'"),
        (
            {"config": CONFIG, "layers": [], "mediaType": media_types.OCI_INDEX},
            media_types.OCI_MANIFEST,
            "descriptor says",
        ),
        ({"config": CONFIG, "layers": []}, media_types.OCI_CONFIG, "no media type of a manifest"),
        ({"schemaVersion": 1, "fsLayers": []}, media_types.DOCKER_MANIFEST, "schema 1"),
        ({"schemaVersion": 3, "config": CONFIG}, media_types.OCI_MANIFEST, "schemaVersion 3"),
        ({"layers": []}, media_types.OCI_MANIFEST, "config"),
        ({"config": CONFIG | {"digest": "sha256:../../etc/passwd"}}, media_types.OCI_MANIFEST, "invalid digest"),
        ({"config": CONFIG | {"size": -1}}, media_types.OCI_MANIFEST, "malformed"),
        ({"config": CONFIG | {"size": 2**70}}, media_types.OCI_MANIFEST, "malformed"),
        ({"config": []}, media_types.OCI_MANIFEST, "malformed"),
    ],
)
def test_digest_confusion_and_malformed_documents_are_refused(
    fields: dict[str, Any], media_type: str, message: str
) -> None:
    with pytest.raises(InvalidDocument, match=message):
        parse_manifest(_json(**fields), media_type)


@pytest.mark.parametrize("raw", [b"", b"[", b"\xff", b'"\xff"', b"[" * 200_000, b"null", b"1", b'{"a":' * 100_000])
def test_what_is_no_document_is_refused(raw: bytes) -> None:
    for parse in (
        lambda: parse_manifest(raw, media_types.OCI_MANIFEST),
        lambda: parse_config(raw),
        lambda: parse_index(raw),
    ):
        with pytest.raises(InvalidDocument):
            parse()


def test_documents_are_bounded() -> None:
    big = _json(config=CONFIG, layers=[], annotations={"a": "x" * MAX_DOCUMENT})
    with pytest.raises(InvalidDocument, match="the bound is"):
        parse_manifest(big, media_types.OCI_MANIFEST)


def test_a_config_as_docker_writes_it() -> None:
    raw = json.dumps(
        {
            "architecture": "amd64", "os": "linux", "created": "2024-01-01T00:00:00.123Z", "container": "abc",
            "config": {
                "Hostname": "", "User": "www", "ExposedPorts": {"80/tcp": {}}, "Env": ["PATH=/bin", "A="], "Cmd": None,
                "Entrypoint": ["/x"], "Volumes": None, "WorkingDir": "/srv", "Labels": {"Cmd": "one"}, "OnBuild": None,
                "Healthcheck": {"Test": ["CMD", "true"], "Interval": 30_000_000_000}, "StopSignal": "SIGTERM", "New": 1,
            },
            "rootfs": {"type": "layers", "diff_ids": [D]},
            "history": [{"created": "x", "created_by": "y", "empty_layer": True}, {"comment": None}],
        }
    ).encode()  # fmt: skip
    config = parse_config(raw)
    assert config.config.cmd == ()
    assert config.config.entrypoint == ("/x",)
    assert config.config.env == ("PATH=/bin", "A=")
    assert config.config.labels == {"Cmd": "one"}
    assert config.config.exposed_ports == {"80/tcp": {}}
    assert config.config.healthcheck is not None
    assert config.config.healthcheck.interval == 30_000_000_000
    assert config.rootfs.diff_ids == (D,)
    assert [step.empty_layer for step in config.history] == [True, False]


def test_a_config_with_nulls_for_everything_and_words_for_lists() -> None:
    assert parse_config(b'{"config":null,"rootfs":null,"history":null,"os":null}') == ImageConfig()
    config = parse_config(b'{"config":{"Entrypoint":"/x","Cmd":""}}').config
    assert (config.entrypoint, config.cmd) == (("/x",), ())


def test_encoding_is_deterministic_and_keeps_required_fields() -> None:
    one = ImageConfig(os="linux", architecture="amd64", config=ContainerConfig(labels={"b": "1", "a": "2"}))
    two = ImageConfig(os="linux", architecture="amd64", config=ContainerConfig(labels={"a": "2", "b": "1"}))
    assert encode(one) == encode(two)
    assert json.loads(encode(ImageConfig())) == {
        "architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": []},
    }  # fmt: skip
    manifest = Manifest(
        media_type=media_types.OCI_MANIFEST, config=Descriptor(media_type=media_types.OCI_CONFIG, digest=D, size=1)
    )
    assert json.loads(encode(manifest)) == {
        "schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "config": CONFIG, "layers": [],
    }  # fmt: skip
    assert parse_manifest(encode(manifest), media_types.OCI_MANIFEST) == manifest


@given(
    st.builds(
        lambda env, ids: ImageConfig(
            os="linux", config=ContainerConfig(env=tuple(env)), rootfs=RootFS(diff_ids=tuple(map(Digest.of, ids)))
        ),
        st.lists(st.text(st.characters(codec="utf-8"))),
        st.lists(st.binary()),
    )
)
def test_a_config_survives_encoding(config: ImageConfig) -> None:
    assert parse_config(encode(config)) == config


_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")) | st.just(str(D)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["schemaVersion", "mediaType", "config", "layers", "manifests", "digest", "size", "rootfs", "Cmd"]
            ),
            inner,
        )
    ),
    max_leaves=20,
)


@given(_json_values)
def test_any_json_is_parsed_or_refused(value: Any) -> None:
    raw = json.dumps(value).encode()
    for parse in (
        lambda: parse_manifest(raw, media_types.OCI_MANIFEST),
        lambda: parse_manifest(raw, media_types.DOCKER_INDEX),
        lambda: parse_config(raw),
        lambda: parse_index(raw),
        lambda: sniff_media_type(raw),
    ):
        with suppress(InvalidDocument):
            parse()


def test_media_types_are_told_from_their_keys() -> None:
    assert sniff_media_type(_json(manifests=[])) == media_types.OCI_INDEX
    assert sniff_media_type(_json(config=CONFIG)) == media_types.OCI_MANIFEST
    assert sniff_media_type(_json(config=CONFIG, mediaType=media_types.DOCKER_MANIFEST)) == media_types.DOCKER_MANIFEST
    with pytest.raises(InvalidDocument):
        sniff_media_type(_json())


def test_an_index_file_must_be_an_index() -> None:
    assert parse_index(_json(manifests=[])).manifests == ()
    with pytest.raises(InvalidDocument, match="expected an index"):
        parse_index(_json(config=CONFIG, mediaType=media_types.OCI_MANIFEST))
