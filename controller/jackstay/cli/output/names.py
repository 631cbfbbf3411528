"""Image names as people write them. Pure."""

from __future__ import annotations

from jackstay_oci.errors import InvalidReference
from jackstay_oci.reference import Reference


def familiar(name: str) -> str:
    """``httpd:1.1`` for ``docker.io/library/httpd:1.1``; what is no name stays as it is."""
    try:
        return Reference.parse(name).familiar
    except InvalidReference:
        return name
