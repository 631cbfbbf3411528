"""Which image of an archive a text means."""

from __future__ import annotations

import pytest

from jackstay_oci.archives.finding import find
from jackstay_oci.archives.images import ArchiveImage
from jackstay_oci.digest import Digest
from jackstay_oci.documents import Descriptor
from jackstay_oci.errors import Error, InvalidArgument, InvalidReference, NotFound


def image(digits: str, *names: str) -> ArchiveImage:
    digest = Digest.parse("sha256:" + (digits + "0" * 64)[:64])
    root = Descriptor(media_type="m", digest=Digest.parse("sha256:f" + digest.hex[1:]), size=1)
    return ArchiveImage(names, root, digest, None)


APP = image("ab1", "docker.io/library/app:1", "docker.io/library/app:latest")
CAFE = image("ab2", "docker.io/library/cafe:latest")
UNNAMED = image("cafe", *())
IMAGES = [APP, CAFE, UNNAMED]


@pytest.mark.parametrize(
    ("text", "found", "names"),
    [
        ("app:1", APP, ("docker.io/library/app:1",)),
        ("app", APP, ("docker.io/library/app:latest",)),
        ("docker.io/library/app:1", APP, ("docker.io/library/app:1",)),
        ("cafe", CAFE, ("docker.io/library/cafe:latest",)),  # a name comes before an id
        ("ab1", APP, ()),
        ("cafe0", UNNAMED, ()),
        ("sha256:cafe", UNNAMED, ()),
        (APP.config_digest, APP, ()),
        (APP.config_digest.hex, APP, ()),
        (APP.manifest.digest, APP, ()),
        (f"app@{APP.manifest.digest}", APP, ()),
        (f"app:9@{APP.manifest.digest}", APP, ()),
    ],
)
def test_found(text: str, found: ArchiveImage, names: tuple[str, ...]) -> None:
    assert find(IMAGES, text) == (found, names)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("app:2", NotFound),
        ("ab", InvalidArgument),
        ("dead", NotFound),
        (f"other@{APP.manifest.digest}", NotFound),
        (f"app@{CAFE.manifest.digest}", NotFound),
        (f"app@{APP.config_digest}", NotFound),
        ("UPPER", InvalidReference),
        ("", InvalidReference),
    ],
)
def test_not_found(text: str, kind: type[Error]) -> None:
    with pytest.raises(kind) as caught:
        find(IMAGES, text)
    if kind is NotFound:
        assert "docker.io/library/app:1" in caught.value.hint
        assert str(UNNAMED.config_digest) in caught.value.hint
