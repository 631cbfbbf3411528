from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from jackstay_agent.containers import commit_config, process
from jackstay_agent.errors import InvalidArgument, InvalidDocument, LimitExceeded
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import MAX_DOCUMENT, Descriptor, Manifest, parse_config, parse_manifest
from jackstay_oci.image_config import ContainerConfig, Healthcheck, ImageConfig
from tests.unit.agent.containers.container_values import settings

BASE, ADDED = Digest.of(b"base"), Digest.of(b"added")
LAYER = Descriptor(media_type=media_types.OCI_LAYER, digest=ADDED, size=5)
PARENT = {
    "architecture": "amd64",
    "os": "linux",
    "variant": "v2",
    "x-unknown": {"kept": [1]},
    "author": "old",
    "container": "gone",
    "container_config": {"Cmd": ["x"]},
    "docker_version": "20",
    "config": {"Cmd": ["old"], "Env": ["A=1"], "User": "app", "Unknown": 7, "Volumes": {"/v": {}}, "Labels": None},
    "history": [{"created_by": "base"}],
    "rootfs": {"type": "layers", "diff_ids": [str(BASE)]},
}


def encode(parent: Any = PARENT, *, layer: Descriptor | None = LAYER, **values: Any) -> dict[str, Any]:
    raw = json.dumps(parent).encode()
    config = parse_config(raw)
    plan = process.merge(settings(**values), config)
    run = commit_config.run_config(config.config, plan)
    encoded = commit_config.encode_config(raw, run, plan, created=10**9, author="me", message="why", layer=layer)
    parse_config(encoded)
    document = json.loads(encoded)
    assert isinstance(document, dict)
    return document


def test_what_is_kept_and_what_is_new() -> None:
    document = encode(env=("B=2",), command=("new", "one"), labels={"l": "1"})
    assert document["x-unknown"] == {"kept": [1]}
    assert document["variant"] == "v2"
    assert not {"container", "container_config", "docker_version"} & document.keys()
    assert document["created"] == "1970-01-01T00:00:01Z"
    assert document["author"] == "me"
    assert document["config"] == {
        "Unknown": 7, "Env": ["A=1", "B=2"], "Cmd": ["new", "one"], "User": "app", "Volumes": {"/v": {}},
        "Labels": {"l": "1"},
    }  # fmt: skip
    assert document["rootfs"]["diff_ids"] == [str(BASE), str(ADDED)]
    assert document["history"] == [
        {"created_by": "base"},
        {"created": "1970-01-01T00:00:01Z", "created_by": "new one", "author": "me", "comment": "why"},
    ]


def test_nothing_changed() -> None:
    document = encode(layer=None)
    assert document["rootfs"]["diff_ids"] == [str(BASE)]
    assert document["history"][-1]["empty_layer"] is True
    assert document["config"]["Cmd"] == ["old"]


def test_a_container_leaves_no_trace_of_its_host() -> None:
    text = json.dumps(encode(tty=True, hostname="secret-host"))
    assert "secret-host" not in text
    assert "TERM" not in text
    assert "SIGTERM" not in text


RUN = ContainerConfig(
    entrypoint=("/entry",), cmd=("arg",), user="app", healthcheck=Healthcheck(test=("CMD", "x"), interval=7, retries=2)
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        (['ENTRYPOINT ["/x"]'], {"entrypoint": ("/x",), "cmd": ()}),
        (["ENTRYPOINT []"], {"entrypoint": ("/entry",), "cmd": ("arg",)}),
        (["CMD []"], {"entrypoint": ("/entry",), "cmd": ()}),
        (["USER $NOBODY"], {"user": "app"}),
        (["HEALTHCHECK NONE"], {"healthcheck": Healthcheck(test=("NONE",), interval=7, retries=2)}),
        (["HEALTHCHECK --retries=3 CMD y"],
         {"healthcheck": Healthcheck(test=("CMD-SHELL", "y"), interval=7, retries=3)}),
    ],
)  # fmt: skip
def test_what_changes_leave_empty_is_the_containers(changes: list[str], values: dict[str, Any]) -> None:
    assert commit_config.changed(RUN, changes) == structs.replace(RUN, **values)


def test_without_an_entrypoint_an_empty_command_is_the_containers() -> None:
    run = ContainerConfig(cmd=("arg",))
    assert commit_config.changed(run, ["CMD []"]) == run


CHANGE = st.builds(
    "{} {}".format,
    st.sampled_from(["CMD", "ENV", "EXPOSE", "USER", "VOLUME", "WORKDIR"]),
    st.text(alphabet="$\\{}'\":-+=[]AB/ ,1\t-", max_size=40),
)


@given(st.lists(CHANGE, max_size=4))
def test_a_container_can_be_made_of_what_comes_out(changes: list[str]) -> None:
    try:
        run = commit_config.changed(ContainerConfig(), changes)
    except InvalidArgument:
        return
    plan = process.merge(settings(command=("x",)), ImageConfig(config=run))
    assert plan.cwd.startswith("/")


def test_a_parent_that_says_next_to_nothing() -> None:
    document = encode({"config": None, "history": None}, command=("x",))
    assert document["rootfs"] == {"type": "layers", "diff_ids": [str(ADDED)]}
    assert len(document["history"]) == 1


@pytest.mark.parametrize("raw", [b"[]", b"{", b"\xff"])
def test_a_parent_that_is_no_config(raw: bytes) -> None:
    plan = process.merge(settings(command=("x",)), parse_config(b"{}"))
    with pytest.raises(InvalidDocument):
        commit_config.encode_config(raw, ContainerConfig(), plan, created=1, author="", message="", layer=None)


def test_a_config_too_large() -> None:
    with pytest.raises(LimitExceeded):
        encode(labels={"l": "x" * MAX_DOCUMENT})


def test_the_manifest_keeps_the_layers_as_they_are_stored() -> None:
    docker = Descriptor(media_type=media_types.DOCKER_LAYER_GZIP, digest=BASE, size=3)
    zstd = structs.replace(docker, media_type=media_types.OCI_LAYER_ZSTD)
    foreign = structs.replace(docker, media_type=media_types.DOCKER_FOREIGN_LAYER_GZIP)
    parent = Manifest(config=Descriptor(media_type=media_types.DOCKER_CONFIG, digest=BASE, size=1),
                      layers=(docker, zstd, foreign), annotations={"of": "the parent"})  # fmt: skip
    raw = commit_config.encode_manifest(parent, ADDED, 9, LAYER)
    manifest = parse_manifest(raw, media_types.OCI_MANIFEST)
    assert isinstance(manifest, Manifest)
    assert [layer.media_type for layer in manifest.layers] == [
        media_types.OCI_LAYER_GZIP, media_types.OCI_LAYER_ZSTD, media_types.OCI_FOREIGN_LAYER_GZIP,
        media_types.OCI_LAYER,
    ]  # fmt: skip
    assert (manifest.config.digest, manifest.config.media_type) == (ADDED, media_types.OCI_CONFIG)
    assert manifest.annotations == {}
    assert (
        len(parse_manifest(commit_config.encode_manifest(parent, ADDED, 9, None), media_types.OCI_MANIFEST).layers) == 3
    )
