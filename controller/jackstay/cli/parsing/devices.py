"""``--device HOST-PATH[:PATH][:PERMISSIONS]``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jackstay_oci.errors import InvalidArgument

_PERMISSIONS = re.compile("[rwm]{1,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """A device of the host; "" is the same path, and everything allowed."""

    host_path: str
    container_path: str = ""
    permissions: str = ""


def parse_device(text: str) -> DeviceSpec:
    """``/dev/sda:/dev/xvdc:r``; what stands second is permissions when it can be, as docker reads it.

    Raises:
        InvalidArgument: a relative path, other letters, too many parts.
    """
    host_path, *rest = text.split(":")
    if len(rest) == 1 and _PERMISSIONS.fullmatch(rest[0]):
        rest = ["", *rest]
    container_path, permissions = (*rest, "", "")[:2]
    malformed = (
        len(rest) > 2
        or not host_path.startswith("/")
        or (container_path and not container_path.startswith("/"))
        or (permissions and not _PERMISSIONS.fullmatch(permissions))
    )
    if malformed:
        raise InvalidArgument(
            f"--device {text!r}: not HOST-PATH[:PATH][:PERMISSIONS]", hint="write it like /dev/sda:/dev/xvdc:rwm"
        )
    return DeviceSpec(host_path, container_path, permissions)
