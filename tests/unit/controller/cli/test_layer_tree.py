"""The tree of layers; pure."""

from __future__ import annotations

import pytest

from jackstay.cli.output.layer_tree import ASCII, UNICODE, Tree, layer_tree, strokes
from jackstay.client import messages


def image(name: str, chain: str) -> messages.ImageLayers:
    """An image whose layers are called by the letters of *chain*, lowest first."""
    layers = [
        messages.Layer(
            chain_id=f"sha256:{chain[: end + 1]}",
            diff_id=f"d{letter}",
            size=10 ** min(end + 1, 9),
            created_by=f"RUN  {letter}",
        )
        for end, letter in enumerate(chain)
    ]
    names = [f"docker.io/library/{name}"] if name else []
    return messages.ImageLayers(id=f"sha256:id-{chain}", names=names, root="sha256:root", layers=layers)


def drawn(images: list[messages.ImageLayers], **options: bool) -> list[str]:
    text = Tree(UNICODE, **options).render([("web1", layer_tree(images))], False)
    return text.splitlines()[1:]


def test_images_above_one_another_are_one_line_of_layers() -> None:
    assert drawn([image("base:1", "ab"), image("app:1", "abcd")]) == [
        "a       10B    2         RUN a",
        "ab      100B   2         RUN b        base:1",
        "abc     1kB    1         RUN c",
        "abcd    10kB   1         RUN d        app:1",
    ]


def test_branches_begin_where_images_part() -> None:
    lines = drawn([image("x:1", "abx"), image("y:1", "abyz"), image("base:1", "a"), image("", "abyw")])
    assert lines == [
        "a            10B    4         RUN a        base:1",
        "ab           100B   3         RUN b",
        "├─ abx       1kB    1         RUN x        x:1",
        "└─ aby       1kB    2         RUN y",
        "   ├─ abyz   10kB   1         RUN z        y:1",
        "   └─ abyw   10kB   1         RUN w        <none> (id-abyw)",
    ]


def test_several_trees() -> None:
    lines = drawn([image("x:1", "xyz"), image("a:1", "ab"), image("b:1", "ac"), image("scratch:1", "")])
    assert lines == [
        "├─ x        10B    1         RUN x",
        "│  xy       100B   1         RUN y",
        "│  xyz      1kB    1         RUN z        x:1",
        "├─ a        10B    2         RUN a",
        "│  ├─ ab    100B   1         RUN b        a:1",
        "│  └─ ac    100B   1         RUN c        b:1",
        "└─ <none>   0B     1                      scratch:1",
    ]


def test_the_same_layer_above_another_one_is_another_layer() -> None:
    trees = layer_tree([image("x:1", "ab"), image("y:1", "cb")])
    assert [(root["ChainID"], root["UsedBy"], len(root["Children"])) for root in trees] == [
        ("sha256:a", 1, 1),
        ("sha256:c", 1, 1),
    ]


def test_the_data() -> None:
    (root,) = layer_tree([image("base:1", "a"), image("app:1", "ab")])
    assert root == {
        "ChainID": "sha256:a",
        "DiffID": "da",
        "Size": 10,
        "CreatedBy": "RUN  a",
        "UsedBy": 2,
        "Images": [{"ID": "sha256:id-a", "Names": ["base:1"]}],
        "Children": [
            {
                "ChainID": "sha256:ab",
                "DiffID": "db",
                "Size": 100,
                "CreatedBy": "RUN  b",
                "UsedBy": 1,
                "Images": [{"ID": "sha256:id-ab", "Names": ["app:1"]}],
                "Children": [],
            }
        ],
    }
    assert layer_tree([]) == []


def test_long_commands_are_cut_unless_told_not_to() -> None:
    long = image("x:1", "a")
    long.layers[0].created_by = "RUN " + "x" * 100 + "\x1b[31m"
    assert "…" in drawn([long])[0]
    (line,) = drawn([long], full=True)
    assert "x" * 100 + "\\x1b[31m" in line
    assert line.startswith("sha256:a ")


def test_a_tree_a_host() -> None:
    trees = layer_tree([image("x:1", "a")])
    text = Tree(ASCII).render([("web1", trees), ("web2", [])], True)
    assert [line.split()[0] for line in text.splitlines() if line] == ["web1:", "LAYER", "a", "web2:", "LAYER"]


def test_a_very_deep_image() -> None:
    assert len(drawn([image("x:1", "a" * 900)])) == 900


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LANG": "en_US.UTF-8"}, UNICODE),
        ({"LANG": "C.utf8"}, UNICODE),
        ({"LANG": "de_DE.UTF-8@euro"}, UNICODE),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, ASCII),  # Python's doing
        ({"LC_CTYPE": "C.UTF-8"}, ASCII),
        ({"LC_CTYPE": "en_US.UTF-8"}, UNICODE),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "C"}, ASCII),
        ({"LANG": "en_US.ISO-8859-1"}, ASCII),
        ({}, ASCII),
    ],
)
def test_lines_are_drawn_with_what_the_locale_has(environ: dict[str, str], expected: object) -> None:
    assert strokes(environ) is expected
