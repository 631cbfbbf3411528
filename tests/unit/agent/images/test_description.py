"""inspect and history, and the sizes they show; pure."""

from __future__ import annotations

import msgspec

from jackstay_agent.images import description
from jackstay_agent.images.sizes import ImageSize, LayerSizes
from jackstay_agent.images.stored import StoredImage
from jackstay_oci.digest import Digest
from jackstay_oci.documents import parse_config
from jackstay_oci.identity import chain_ids

D1, D2, D3 = (Digest.of(text) for text in (b"1", b"2", b"3"))
C1, C2, C3 = map(str, chain_ids([D1, D2, D3]))
SIZES = LayerSizes({C1: (None, 100), C2: (C1, 20), C3: (C2, 3), "other": (C1, 7)})
ROOT, ID = Digest.of(b"root"), Digest.of(b"config")
IMAGE = StoredImage(
    root=ROOT, media_type="type", manifest=ROOT, image_id=ID, chain_id=C3,
    names=("docker.io/library/web:1", "docker.io/library/web:2", "other.io/web:1"), created=0, stored=10**18, labels={},
)  # fmt: skip
CONFIG = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2001-09-09T01:46:40Z",
    "config": {"Env": ["A=1"], "SomethingNew": [1]},
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
    assert SIZES.of_images([C3, "other", ""]) == {
        C3: ImageSize(123, 100), "other": ImageSize(107, 100), "": ImageSize(0, 0),
    }  # fmt: skip
    # Two roots of one image do not make its layers shared.
    assert SIZES.of_images([C3, C3]) == {C3: ImageSize(123, 0)}


def test_inspect() -> None:
    raw = msgspec.json.encode(CONFIG)
    told = description.inspect(IMAGE, raw, parse_config(raw), 123, "overlay")
    assert (told["Id"], told["Size"], told["Comment"], told["Created"]) == (str(ID), 123, "last", CONFIG["created"])
    assert told["RepoTags"] == ["web:1", "web:2", "other.io/web:1"]
    assert told["RepoDigests"] == [f"other.io/web@{ROOT}", f"web@{ROOT}"]
    assert told["Config"] == {"Env": ["A=1"], "SomethingNew": [1]}  # also what we do not know
    assert told["RootFS"]["Layers"] == [str(D1), str(D2), str(D3)]
    assert told["Metadata"]["LastTagTime"] == "2001-09-09T01:46:40Z"


def test_inspect_of_next_to_nothing() -> None:
    told = description.inspect(IMAGE, b"{}", parse_config(b"{}"), 0, "overlay")
    assert (told["Created"], told["Config"], told["Comment"]) == ("0001-01-01T00:00:00Z", {}, "")


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
