"""Devices by the Container Device Interface: ``--device vendor.com/class=name``, as files of the host describe them.

Follows the CDI specification (cncf-tags/container-device-interface, SPEC.md, 0.3 to 0.8) and its library's words.
Guarantees: a file counts only when it and its folder are root's and nobody else's to write, since it may say what runs
as root; so does a hook's program. Files in YAML are passed over: those in JSON have everything. Blocking.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from jackstay_agent.containers.cdi_edits import ContainerEdits, Edits, merge
from jackstay_agent.errors import InvalidArgument

FOLDERS = ("/etc/cdi", "/var/run/cdi")
"""Where descriptions lie; one in a later folder takes the place of one in an earlier."""
MAX_FILE = 4 << 20

_VENDOR = r"[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?"
_CLASS = r"[A-Za-z](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
_KIND = re.compile(f"{_VENDOR}/{_CLASS}", re.ASCII)
_NAME = re.compile(f"({_VENDOR}/{_CLASS})=([A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?)", re.ASCII)


class _Device(msgspec.Struct, rename="camel"):
    name: str
    container_edits: ContainerEdits = msgspec.field(default_factory=ContainerEdits)


class _Spec(msgspec.Struct, rename="camel"):
    cdi_version: str
    kind: str
    devices: list[_Device]
    container_edits: ContainerEdits = msgspec.field(default_factory=ContainerEdits)


@dataclass(slots=True)
class _Found:
    """What the files of a folder, or of all, say; `devices` None for one that several files of a folder describe."""

    devices: dict[str, tuple[_Spec, _Device] | None] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def resolve(names: Sequence[str], folders: Iterable[str] = FOLDERS) -> Edits:
    """What the devices called *names* ("vendor.com/class=name") do to a container.

    Raises:
        InvalidArgument: a name is malformed, nothing describes it, or what does asks for what cannot be.
        Unsupported: a description uses what is not supported.
    """
    if not names:
        return Edits()
    for name in names:
        if not _NAME.fullmatch(name):
            raise InvalidArgument(f"invalid CDI device name {name[:80]!r}", hint="write vendor.com/class=name")
    found = _Found()
    for folder in folders:
        below = _read_folder(folder)
        found.devices |= below.devices
        found.wrong += below.wrong
    chosen, missing = [], []
    for name in dict.fromkeys(names):
        description = found.devices.get(name)
        if description is None:
            missing.append(name)
        else:
            chosen.append(description)
    if missing:
        raise InvalidArgument(
            f"CDI device injection failed: unresolvable CDI devices {', '.join(missing)}",
            hint="; ".join(found.wrong) or f"descriptions are JSON files in {' and '.join(folders)} on the host",
        )
    specs = {id(spec): spec for spec, _device in chosen}
    return merge(
        [device.container_edits for _spec, device in chosen] + [spec.container_edits for spec in specs.values()]
    )


def _read_folder(folder: str) -> _Found:
    found = _Found()
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".json"))
    except OSError:
        return found
    if why := _unsafe(os.stat(folder)):
        found.wrong.append(f"{folder} is passed over: {why}")
        return found
    for name in names:
        path = os.path.join(folder, name)
        try:
            spec = _read(path)
        except InvalidArgument as error:
            found.wrong.append(f"{path} is passed over: {error.message}")
            continue
        for device in spec.devices:
            key = f"{spec.kind}={device.name}"
            if key in found.devices:
                found.wrong.append(f"several files of {folder} describe {key}")
            found.devices[key] = None if key in found.devices else (spec, device)
    return found


def _read(path: str) -> _Spec:
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if why := _unsafe(status):
                raise InvalidArgument(why)
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE:
                raise InvalidArgument(f"no regular file of at most {MAX_FILE} bytes")
            spec = msgspec.json.decode(file.read(), type=_Spec)
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidArgument(str(error)) from error
    if not _KIND.fullmatch(spec.kind):
        raise InvalidArgument(f"invalid kind {spec.kind[:80]!r}")
    return spec


def _unsafe(status: os.stat_result) -> str:
    if status.st_uid != 0 or status.st_mode & 0o022:
        return "it is not root's, or others may write to it"
    return ""
