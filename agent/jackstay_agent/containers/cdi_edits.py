"""What a CDI description does to a container: its ``containerEdits``, checked, and put into a runtime specification."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from jackstay_agent.containers import process
from jackstay_agent.containers.device_mappings import GivenDevice
from jackstay_agent.containers.host_facts import Device
from jackstay_agent.errors import InvalidArgument, Unsupported
from jackstay_oci.config_values import absolute

HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
_IN_CONTAINER = "startContainer"  # whose program is one of the container's own


class _Node(msgspec.Struct, rename="camel"):
    path: str
    host_path: str = ""
    type: str = ""
    major: int | None = None
    minor: int | None = None
    file_mode: int | None = None
    permissions: str = ""
    uid: int | None = None
    gid: int | None = None


class _Mount(msgspec.Struct, rename="camel"):
    host_path: str
    container_path: str
    options: list[str] | None = None
    type: str = ""


class _Hook(msgspec.Struct, rename="camel"):
    hook_name: str
    path: str
    args: list[str] | None = None
    env: list[str] | None = None
    timeout: int | None = None


class ContainerEdits(msgspec.Struct, rename="camel"):
    """As a file has it."""

    env: list[str] | None = None
    device_nodes: list[_Node] | None = None
    mounts: list[_Mount] | None = None
    hooks: list[_Hook] | None = None
    additional_gids: list[int] | None = msgspec.field(default=None, name="additionalGids")
    intel_rdt: Any = None
    net_devices: Any = None


@dataclass(frozen=True, slots=True)
class Edits:
    """What is to be done, all checked: values as the runtime specification has them."""

    env: tuple[str, ...] = ()
    devices: tuple[GivenDevice, ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()
    hooks: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    groups: tuple[int, ...] = ()

    def apply(self, built: dict[str, Any]) -> None:
        """Put them into the specification *built*, but for `devices`, which `spec` has with those of ``--device``."""
        built["process"]["env"] = list(process.override(built["process"]["env"], self.env))
        groups = built["process"]["user"]["additionalGids"]
        groups += [gid for gid in self.groups if gid not in groups]
        targets = {mount["destination"] for mount in self.mounts}
        mounts = [mount for mount in built["mounts"] if mount["destination"] not in targets]
        built["mounts"] = sorted([*mounts, *self.mounts], key=lambda mount: mount["destination"].count("/"))
        if self.hooks:
            built["hooks"] = {name: list(hooks) for name, hooks in self.hooks.items()}


def merge(parts: Iterable[ContainerEdits]) -> Edits:
    """*parts* together, in turn. Blocking: devices and programs of the host are looked at.

    Raises:
        InvalidArgument: one asks for what is malformed or not there.
        Unsupported: one asks for what containers here cannot have.
    """
    env: list[str] = []
    devices: dict[str, GivenDevice] = {}
    mounts: dict[str, dict[str, Any]] = {}
    hooks: dict[str, list[dict[str, Any]]] = {}
    groups: dict[int, None] = {}
    for edits in parts:
        if edits.intel_rdt is not None or edits.net_devices is not None:
            raise Unsupported("CDI device injection failed: intelRdt and netDevices are not supported")
        env += _variables(edits.env or ())
        for node in edits.device_nodes or ():
            given = _device(node)
            devices[given.device.path] = given
        for mount in edits.mounts or ():
            made = _mount(mount)
            mounts[made["destination"]] = made
        for hook in edits.hooks or ():
            hooks.setdefault(hook.hook_name, []).append(_hook(hook))
        groups |= dict.fromkeys(gid for gid in edits.additional_gids or () if gid > 0)
    return Edits(tuple(env), tuple(devices.values()), tuple(mounts.values()), hooks, tuple(groups))


def _variables(env: Iterable[str]) -> Iterable[str]:
    for variable in env:
        name, equals, _value = variable.partition("=")
        if not name or not equals or "\0" in variable:
            raise _invalid(f"invalid environment variable {name[:60]!r}")
        yield variable


def _device(node: _Node) -> GivenDevice:
    path, source = absolute(node.path, "the CDI device's path"), node.host_path or node.path
    kind, major, minor = {"u": "c"}.get(node.type, node.type), node.major, node.minor
    if kind not in ("", "b", "c"):
        raise _invalid(f"device {node.path[:80]}: type {node.type[:20]!r} is not one of b, c, u")
    mode, uid, gid = node.file_mode, node.uid, node.gid
    if not kind or major is None or minor is None:
        try:
            status = os.stat(source)
        except OSError as error:
            raise _invalid(f"failed to stat CDI host device {source[:80]!r}: {error.strerror}") from error
        if not (stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)):
            raise _invalid(f"{source[:80]!r} is not a device")
        found = "c" if stat.S_ISCHR(status.st_mode) else "b"
        if kind not in ("", found):
            raise _invalid(f"CDI device {source[:80]!r} is of type {found}, not {kind}")
        kind, major, minor = found, os.major(status.st_rdev), os.minor(status.st_rdev)
        mode = stat.S_IMODE(status.st_mode) if mode is None else mode
        uid, gid = status.st_uid if uid is None else uid, status.st_gid if gid is None else gid
    permissions = node.permissions or "rwm"
    if not set(permissions) <= set("rwm"):
        raise _invalid(f"device {node.path[:80]}: invalid permissions {permissions[:20]!r}")
    device = Device(path, kind, major, minor, 0o660 if mode is None else mode & 0o777, uid or 0, gid or 0)
    return GivenDevice(device, permissions, source)


def _mount(mount: _Mount) -> dict[str, Any]:
    target = absolute(mount.container_path, "the CDI mount's path in the container")
    source = mount.host_path if mount.type in ("tmpfs", "proc", "sysfs") else absolute(mount.host_path, "the CDI mount")
    options = list(mount.options or ())
    if target == "/":
        raise _invalid("a mount at /")
    if mount.type in ("", "bind", "none"):
        if not os.path.exists(source):
            raise _invalid(f"the mount's source {source[:80]} does not exist")
        if not {"bind", "rbind"} & set(options):
            options.insert(0, "rbind")
    return {"destination": target, "type": mount.type or "bind", "source": source, "options": options}


def _hook(hook: _Hook) -> dict[str, Any]:
    if hook.hook_name not in HOOKS:
        raise _invalid(f"invalid hook name {hook.hook_name[:40]!r}")
    path = absolute(hook.path, "the CDI hook's path")
    if hook.hook_name != _IN_CONTAINER:
        try:
            status = os.stat(path)
        except OSError as error:
            raise _invalid(f"the hook {path[:80]} cannot be run: {error.strerror}") from error
        if status.st_uid != 0 or status.st_mode & 0o022 or not stat.S_ISREG(status.st_mode):
            raise _invalid(f"the hook {path[:80]} is not root's own file: it would run as root")
    made: dict[str, Any] = {"path": path}
    if hook.args:
        made["args"] = list(hook.args)
    if hook.env:
        made["env"] = list(_variables(hook.env))
    if hook.timeout:
        made["timeout"] = hook.timeout
    return made


def _invalid(what: str) -> InvalidArgument:
    return InvalidArgument(
        f"CDI device injection failed: {what}", hint="the description of the device on the host says so"
    )
