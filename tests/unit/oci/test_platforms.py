from __future__ import annotations

import pytest

from jackstay_oci import media_types, platforms
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor, Platform
from jackstay_oci.errors import InvalidArgument


def _offer(text: str | None) -> Descriptor:
    platform = platforms.parse(text) if text else None
    return Descriptor(
        media_type=media_types.OCI_MANIFEST, digest=Digest.of(str(text).encode()), size=1, platform=platform
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("linux/amd64", "linux/amd64"),
        ("x86_64", "linux/amd64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("armhf", "linux/arm/v7"),
        ("windows/AMD64", "windows/amd64"),
    ],
)
def test_one_spelling(text: str, shown: str) -> None:
    assert str(platforms.parse(text)) == shown


@pytest.mark.parametrize("text", ["", "/", "a/b/c/d", "linux/", "linux/a b", "linux/\n", "nonsense", "linux"])
def test_malformed_platforms_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        platforms.parse(text)


@pytest.mark.parametrize(
    ("wanted", "offers", "best"),
    [
        ("linux/amd64", ["linux/arm64", "linux/amd64"], 1),
        ("linux/arm/v7", ["linux/arm/v5", "linux/arm/v6", "linux/arm64"], 1),
        ("linux/arm/v6", ["linux/arm/v7"], None),
        ("linux/amd64", ["linux/amd64/v3", "linux/amd64"], 1),
        ("linux/arm64", ["windows/arm64"], None),
        ("linux/amd64", [None], 0),
        ("linux/amd64", [None, "linux/arm64"], None),
        ("linux/amd64", [], None),
    ],
)
def test_the_best_of_an_index(wanted: str, offers: list[str | None], best: int | None) -> None:
    descriptors = [_offer(offer) for offer in offers]
    assert platforms.choose(descriptors, platforms.parse(wanted)) == (None if best is None else descriptors[best])


def test_this_host_runs_linux() -> None:
    assert platforms.this_host().os == "linux"
    assert platforms.fits(platforms.this_host(), platforms.this_host()) == 100
    assert platforms.fits(Platform(os="linux", architecture="unknown"), platforms.this_host()) == 0
