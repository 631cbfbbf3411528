"""``--gpus`` and CDI names."""

from __future__ import annotations

import pytest

from jackstay.cli.parsing.gpus import is_cdi_name, parse_gpus
from jackstay_oci.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("all", ["all"]),
        ("-1", ["all"]),
        ("2", ["0", "1"]),
        ("count=1", ["0"]),
        ("device=1", ["1"]),
        ("device=0,2", ["0", "2"]),
        ('"device=0,2"', ["0", "2"]),
        ('"device=0,2",driver=nvidia', ["0", "2"]),
        ("device=GPU-3a23c669-1f69-c64e-cf85-44e9b07e7a2a", ["GPU-3a23c669-1f69-c64e-cf85-44e9b07e7a2a"]),
    ],
)
def test_which_gpus(text: str, names: list[str]) -> None:
    assert parse_gpus(text) == [f"nvidia.com/gpu={name}" for name in names]


@pytest.mark.parametrize(
    "text", ["0", "x", "device=", "device=a b", "all,device=1", "all,capabilities=utility", '"', "²"]
)
def test_malformed(text: str) -> None:
    with pytest.raises(InvalidArgument, match="--gpus"):
        parse_gpus(text)


def test_paths_are_no_names() -> None:
    assert is_cdi_name("vendor.com/class=name")
    for text in ("/dev/a", "/dev/a=b", "dev/a", "a=b", "a/b="):
        assert not is_cdi_name(text)
