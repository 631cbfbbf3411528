"""``--device``: the nodes of the host that a container is given, looked up when it is created and at each start.

Guarantees: what comes out are device nodes that exist, each with a clean absolute path in the container and permissions
of "rwm". The words of the errors are docker's (moby ``oci.DevicesFromPath``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from jackstay_agent.containers.host_facts import Device, devices_at
from jackstay_agent.containers.settings import DeviceMapping
from jackstay_agent.errors import InvalidArgument
from jackstay_oci.config_values import absolute

_PERMISSIONS = re.compile("[rwm]{1,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class GivenDevice:
    """A node, its `path` that in the container, and what may be done with it; `source` is that on the host, if any."""

    device: Device
    permissions: str
    source: str = ""


def resolve(mappings: Iterable[DeviceMapping]) -> tuple[GivenDevice, ...]:
    """The nodes that *mappings* name, a folder standing for every node below it. Blocking.

    Raises:
        InvalidArgument: a path that is no device and holds none, is relative, or permissions that there are not.
    """
    return tuple(given for mapping in mappings for given in _resolve(mapping))


def _resolve(mapping: DeviceMapping) -> list[GivenDevice]:
    source = absolute(mapping.host_path, "the device path")
    target = absolute(mapping.container_path, "the device path in the container")
    if not _PERMISSIONS.fullmatch(mapping.permissions) or len(set(mapping.permissions)) < len(mapping.permissions):
        raise InvalidArgument(f"invalid device mode {mapping.permissions[:20]!r}", hint="letters of rwm, each once")
    try:
        found = devices_at(source)
    except OSError as error:
        raise InvalidArgument(
            f'error gathering device information while adding custom device "{source}": {error.strerror}',
            hint="the path is one on the host",
        ) from error
    if not found:
        raise InvalidArgument(f'error gathering device information while adding custom device "{source}": not a device')
    return [
        GivenDevice(replace(device, path=target + device.path.removeprefix(source)), mapping.permissions, device.path)
        for device in found
    ]
