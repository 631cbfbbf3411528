"""inspect and history, and the sizes they show; pure."""

from __future__ import annotations

from typing import Any

import msgspec

from jackstay_agent.images import description
from jackstay_agent.images.sizes import ImageSize, LayerSizes
from jackstay_agent.images.stored import StoredImage
from jackstay_oci import media_types
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Index, Platform, parse_config
from jackstay_oci.identity import chain_ids

D1, D2, D3 = (Digest.of(text) for text in (b"1", b"2", b"3"))
C1, C2, C3 = map(str, chain_ids([D1, D2, D3]))
SIZES = LayerSizes({C1: (None, 100), C2: (C1, 20), C3: (C2, 3), "other": (C1, 7)})
ROOT, ID = Digest.of(b"root"), Digest.of(b"config")
IMAGE = StoredImage(
    root=ROOT, media_type="type", manifest=ROOT, image_id=ID, chain_id=C3,
    names=("docker.io/library/web:1", "docker.io/library/web:2", "other.io/web:1"), created=0, stored=10**18, labels={},
)  # fmt: skip
DESCRIPTOR = Descriptor(media_type=media_types.OCI_MANIFEST, digest=ROOT, size=7)
CONFIG: dict[str, Any] = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2001-09-09T01:46:40Z",
    "config": {"Env": ["A=1"]},
    "rootfs": {"type": "layers", "diff_ids": [str(D1), str(D2), str(D3)]},
    "history": [
        {"created": "2001-09-09T01:46:40Z", "created_by": "ADD rootfs", "comment": "base"},
        {"created_by": "ENV A=1", "empty_layer": True},
        {"created_by": "COPY x", "comment": "last"},
    ],
}


def test_sizes() -> None:
    assert SIZES.chain(C3) == [C3, C2, C1]
    assert (SIZES.total(C3), SIZES.size(C2), SIZES.total(""), SIZES.size("none")) == (123, 20, 0, 0)
    assert SIZES.of_images([("1", C3), ("2", "other"), ("3", ""), ("4", "none")]) == {
        C3: ImageSize(123, 100), "other": ImageSize(107, 100), "": ImageSize(0, 0), "none": ImageSize(0, 0),
    }  # fmt: skip
    # Two roots of one image do not make its layers shared; another image with the same ones does.
    assert SIZES.of_images([("1", C3), ("1", C3)]) == {C3: ImageSize(123, 0)}
    assert SIZES.of_images([("1", C3), ("2", C3)]) == {C3: ImageSize(123, 123)}


def told(config: dict[str, Any], **facts: Any) -> dict[str, Any]:
    raw = msgspec.json.encode(config)
    stored = description.Stored(**{"root": DESCRIPTOR, "size": 123, "driver": "overlay", "tagged": 0, **facts})
    return description.inspect(IMAGE, raw, parse_config(raw), stored)


def test_inspect() -> None:
    document = told(CONFIG)
    assert (document["Id"], document["Size"], document["Comment"]) == (str(ID), 123, "last")
    assert document["Created"] == CONFIG["created"]
    assert document["RepoTags"] == ["web:1", "web:2", "other.io/web:1"]
    assert document["RepoDigests"] == [f"other.io/web@{ROOT}", f"web@{ROOT}"]
    assert document["RootFS"]["Layers"] == [str(D1), str(D2), str(D3)]
    assert document["Descriptor"] == {"mediaType": media_types.OCI_MANIFEST, "digest": str(ROOT), "size": 7}
    assert document["Metadata"]["LastTagTime"] == "0001-01-01T00:00:00Z"
    assert told(CONFIG, tagged=10**18)["Metadata"]["LastTagTime"] == "2001-09-09T01:46:40Z"
    assert document["GraphDriver"] == {"Data": None, "Name": "overlay"}
    assert not {"Variant", "OsVersion", "Manifests"} & document.keys()
    more = {
        **CONFIG,
        "variant": "v8",
        "os.version": "10",
        "comment": "first",
        "created": "2001-09-09T01:46:40.500+02:00",
    }
    document = told(more)
    assert (document["Variant"], document["OsVersion"], document["Comment"]) == ("v8", "10", "first")
    assert document["Created"] == "2001-09-09T01:46:40.5+02:00"


def test_inspect_of_next_to_nothing() -> None:
    document = told({})
    assert (document["Created"], document["Comment"]) == ("0001-01-01T00:00:00Z", "")
    assert document["Config"] == {
        "Hostname": "", "Domainname": "", "User": "", "AttachStdin": False, "AttachStdout": False,
        "AttachStderr": False, "Tty": False, "OpenStdin": False, "StdinOnce": False, "Env": None, "Cmd": None,
        "Image": "", "Volumes": None, "WorkingDir": "", "Entrypoint": None, "OnBuild": None, "Labels": None,
    }  # fmt: skip


def test_the_config_is_whole_and_in_dockers_order() -> None:
    health = {"Test": ["CMD", "x"], "Interval": 5, "Timeout": 0, "Retries": 3}
    given = {
        "Shell": ["/bin/sh"], "StopSignal": "SIGINT", "StopTimeout": 0, "Healthcheck": health, "OnBuild": ["RUN x"],
        "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/v": {}}, "Env": ["A=1"], "Cmd": "word", "Labels": {"a": "b"},
        "ArgsEscaped": False, "SomethingNew": [1], "Tty": None,
    }  # fmt: skip
    config = told({**CONFIG, "config": given})["Config"]
    assert config["Healthcheck"] == {"Test": ["CMD", "x"], "Interval": 5, "Retries": 3}
    assert (config["Cmd"], config["StopTimeout"], config["SomethingNew"], config["Tty"]) == (["word"], 0, [1], False)
    assert "ArgsEscaped" not in config
    for name in ("Shell", "StopSignal", "OnBuild", "ExposedPorts", "Volumes", "Env", "Labels"):
        assert config[name] == given[name]
    assert list(config)[5:9] == ["AttachStderr", "ExposedPorts", "Tty", "OpenStdin"]
    assert list(config)[-4:] == ["StopSignal", "StopTimeout", "Shell", "SomethingNew"]
    assert "ExposedPorts" not in told({"config": {"ExposedPorts": {}}})["Config"]
    assert told({"config": None})["Config"] == told({})["Config"]


def test_the_manifests_of_an_index() -> None:
    def manifest(digest: Digest, **more: Any) -> Descriptor:
        return Descriptor(media_type=media_types.OCI_MANIFEST, digest=digest, size=5, **more)

    arm = Platform(os="linux", architecture="arm64", variant="v8")
    attestation = {"vnd.docker.reference.type": "attestation-manifest"}
    unknown = Platform(os="unknown", architecture="unknown")
    index = Index(
        manifests=(manifest(D1, platform=arm), manifest(D2, platform=unknown, annotations=attestation), manifest(D3))
    )
    first, second, third = told(CONFIG, index=index, here={D1, D3})["Manifests"]
    assert first == {
        "ID": str(D1),
        "Descriptor": {"mediaType": media_types.OCI_MANIFEST, "digest": str(D1), "size": 5},
        "Available": True,
        "Kind": "image",
        "ImageData": {"Platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
    }
    assert (second["Kind"], second["Available"], third["Kind"]) == ("attestation", False, "unknown")


def test_layers() -> None:
    raw = msgspec.json.encode(CONFIG)
    layers = description.layers(parse_config(raw), SIZES)
    assert [(layer.chain_id, layer.size, layer.created_by) for layer in layers] == [
        (C1, 100, "ADD rootfs"), (C2, 20, "COPY x"), (C3, 3, ""),
    ]  # fmt: skip
    assert [layer.diff_id for layer in layers] == [str(D1), str(D2), str(D3)]
    assert description.layers(parse_config(b"{}"), SIZES) == []
    long = {**CONFIG, "history": [{"created_by": "x" * 1_000_000}]}
    told = description.layers(parse_config(msgspec.json.encode(long)), SIZES)
    assert [len(layer.created_by) for layer in told] == [4096, 0, 0]


def test_history_is_newest_first_and_tells_of_every_layer() -> None:
    lines = description.history(IMAGE, parse_config(msgspec.json.encode(CONFIG)), SIZES)
    assert [(line.created_by, line.size) for line in lines] == [
        ("", 3),
        ("COPY x", 20),
        ("ENV A=1", 0),
        ("ADD rootfs", 100),
    ]
    assert (lines[0].id, lines[0].tags) == (str(ID), ("web:1", "web:2", "other.io/web:1"))
    assert {line.id for line in lines[1:]} == {"<missing>"}
    assert (lines[3].created, lines[3].comment) == (10**9, "base")
    assert description.history(IMAGE, parse_config(b"{}"), SIZES) == []


def test_history_with_more_steps_than_layers() -> None:
    config = {**CONFIG, "rootfs": {"type": "layers", "diff_ids": [str(D1)]}}
    lines = description.history(IMAGE, parse_config(msgspec.json.encode(config)), SIZES)
    assert [line.size for line in lines] == [0, 0, 100]
