"""``--device``."""

from __future__ import annotations

import pytest

from jackstay.cli.parsing.devices import DeviceSpec, parse_device
from jackstay.errors import InvalidArgument


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("/dev/a", DeviceSpec("/dev/a")),
        ("/dev/a:/b", DeviceSpec("/dev/a", "/b")),
        ("/dev/a:rw", DeviceSpec("/dev/a", "", "rw")),
        ("/dev/a:/b:m", DeviceSpec("/dev/a", "/b", "m")),
    ],
)
def test_forms(text: str, device: DeviceSpec) -> None:
    assert parse_device(text) == device


@pytest.mark.parametrize("text", ["", "dev/a", "/dev/a:b", "/dev/a:/b:x", "/dev/a:/b:r:w", "/dev/a:rwx"])
def test_malformed(text: str) -> None:
    with pytest.raises(InvalidArgument, match="--device"):
        parse_device(text)
