"""The file ``oci-layout``, which makes a folder or an archive an OCI layout and says of which version."""

from __future__ import annotations

import msgspec

from jackstay_oci.errors import InvalidArchive

VERSION = "1.0.0"
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


class _Layout(msgspec.Struct, rename="camel"):
    image_layout_version: str


def check_layout(raw: bytes) -> None:
    """Check that a layout is of the version that is read and written here.

    Raises:
        InvalidArchive: it is of another, or the file is malformed.
    """
    try:
        version = msgspec.json.decode(raw, type=_Layout).image_layout_version
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidArchive(f"oci-layout is malformed: {error}") from error
    if version != VERSION:
        raise InvalidArchive(
            f"it is an OCI layout of version {version[:40]!r}, expected {VERSION}", hint="save it with another program"
        )
