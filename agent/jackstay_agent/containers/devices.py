"""Device nodes and the device rules of the cgroup. Pure.

Runtimes make null, zero, full, random, urandom, tty, console, ptmx themselves (runtime-spec, config-linux.md, "Default
Devices"); the rules are docker's (moby ``oci/defaults.go``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from jackstay_agent.containers.device_mappings import GivenDevice
from jackstay_agent.containers.host_facts import Device
from jackstay_agent.errors import InvalidArgument

_DENY_ALL = {"allow": False, "access": "rwm"}
_DEFAULT = (("c", 1, 5), ("c", 1, 3), ("c", 1, 9), ("c", 1, 8), ("c", 5, 0), ("c", 5, 1))
"""zero, null, urandom, random, tty, console."""


_RULE = re.compile(r"([abc]) (\d{1,9}|\*):(\d{1,9}|\*) ([rwm]{1,3})", re.ASCII)


def rules(given: Iterable[GivenDevice] = (), more: Iterable[str] = (), *, privileged: bool) -> list[dict[str, Any]]:
    """``linux.resources.devices``, with what *given* allow, and the rules *more* of ``--device-cgroup-rule``.

    Raises `InvalidArgument` for one of those that is malformed.
    """
    written = [_rule(text) for text in more]
    if privileged:
        return [{"allow": True, "access": "rwm"}]
    return [
        _DENY_ALL,
        *(
            {"allow": True, "type": kind, "major": major, "minor": minor, "access": "rwm"}
            for kind, major, minor in _DEFAULT
        ),
        {"allow": False, "type": "c", "major": 10, "minor": 229, "access": "rwm"},  # fuse
        *(
            {
                "allow": True,
                "type": each.device.type,
                "major": each.device.major,
                "minor": each.device.minor,
                "access": each.permissions,
            }
            for each in given
        ),
        *written,
    ]


def _rule(text: str) -> dict[str, Any]:
    match = _RULE.fullmatch(text)
    if match is None:
        raise InvalidArgument(f"invalid device cgroup format '{text[:60]}'", hint="write e.g. 'c 10:* rwm'")
    kind, major, minor, access = match.groups()
    numbers = {name: int(number) for name, number in (("major", major), ("minor", minor)) if number != "*"}
    return {"allow": True, "type": kind, **numbers, "access": access}


def binds(given: Iterable[GivenDevice]) -> list[dict[str, Any]]:
    """Mounts of the host's own nodes of *given*, for a user namespace, in which none can be made."""
    found = {each.device.path: each.source or each.device.path for each in given}
    options = ["bind", "rprivate", "nosuid", "noexec"]
    return [
        {"destination": path, "type": "bind", "source": source, "options": options} for path, source in found.items()
    ]


def nodes(devices: Iterable[Device], given: Iterable[GivenDevice] = (), *, privileged: bool) -> list[dict[str, Any]]:
    """``linux.devices``: every node of the host for a privileged container, and those *given*, the last of a path."""
    wanted = {device.path: device for device in devices} if privileged else {}
    wanted |= {each.device.path: each.device for each in given}
    return [
        {
            "path": device.path,
            "type": device.type,
            "major": device.major,
            "minor": device.minor,
            "fileMode": device.mode,
            "uid": device.uid,
            "gid": device.gid,
        }
        for device in wanted.values()
    ]
