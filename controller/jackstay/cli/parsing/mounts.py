"""``--volume`` and ``--mount`` as docker writes them. Pure; nothing is looked up on any host."""

from __future__ import annotations

import csv
import posixpath
import re
from dataclasses import dataclass, field, replace

from jackstay.cli.parsing.sizes import parse_bytes
from jackstay_oci.errors import InvalidArgument

PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
WITHOUT_EFFECT = ("z", "Z", "consistent", "cached", "delegated")
"""Options of docker's that change nothing here: labels for SELinux, which confines no container of the agent's, and how
a Mac's files are shared."""
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", re.ASCII)
_YES = {"", "1", "t", "true"}
_NO = {"0", "f", "false"}


@dataclass(frozen=True, slots=True)
class MountSpec:
    """One mount; ``source`` is a volume's name (empty: anonymous) or an absolute path on the host."""

    type: str
    source: str
    target: str
    read_only: bool = False
    no_copy: bool = False
    propagation: str = ""
    create_source: bool = False
    """Whether a missing host path is made: ``-v`` does, ``--mount`` refuses."""
    subpath: str = ""
    """Of a volume: the part of it that is mounted."""
    non_recursive: bool = False
    """Of a host path: leave out what is mounted below it."""
    tmpfs_size: int = 0
    """Bytes; 0 is the kernel's bound."""
    tmpfs_mode: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    """Of a volume that is made for it."""


def parse_volume(text: str) -> MountSpec:
    """``HOST-PATH:PATH[:OPTIONS]``, ``NAME:PATH[:OPTIONS]`` or ``PATH`` (an anonymous volume).

    Raises:
        InvalidArgument: malformed, a relative path, or an option that cannot be honoured.
    """
    parts = text.split(":")
    if len(parts) == 1:
        return MountSpec("volume", "", _target(f"--volume {text!r}", parts[0]))
    if len(parts) > 3:
        raise InvalidArgument(f"--volume {text!r}: more than three parts", hint="for paths with a colon use --mount")
    what = f"--volume {text!r}"
    source, target = parts[0], _target(what, parts[1])
    if source.startswith("/"):
        mount = MountSpec("bind", posixpath.normpath(source), target, create_source=True)
    elif _NAME.fullmatch(source):
        mount = MountSpec("volume", source, target)
    else:
        raise InvalidArgument(
            f"{what}: {source!r} is neither an absolute path nor a volume name",
            hint="paths are on the hosts, so they cannot be relative to this folder",
        )
    for option in parts[2].split(",") if len(parts) == 3 else ():
        mount = _volume_option(what, mount, option)
    return mount


def _volume_option(what: str, mount: MountSpec, option: str) -> MountSpec:
    if option in ("ro", "rw"):
        return replace(mount, read_only=option == "ro")
    if option == "nocopy" and mount.type == "volume":
        return replace(mount, no_copy=True)
    if option in PROPAGATIONS and mount.type == "bind":
        return replace(mount, propagation=option)
    if option in WITHOUT_EFFECT:
        return mount
    raise InvalidArgument(f"{what}: the option {option!r} is not supported for a {mount.type}")


def parse_mount(text: str) -> MountSpec:
    """``type=…,source=…,target=…``.

    Raises:
        InvalidArgument: malformed, a key unknown for the type, or a missing target.
    """
    what = f"--mount {text!r}"
    fields: dict[str, str] = {}
    labels: dict[str, str] = {}
    for part in next(csv.reader([text]), []):
        key, equals, value = part.partition("=")
        key = _ALIASES.get(key.strip().lower(), key.strip().lower())
        if key == "volume-label" and equals:
            name, _, labels_value = value.partition("=")
            labels[name] = labels_value
        elif key in fields:
            raise InvalidArgument(f"{what}: {key!r} is given twice")
        elif not equals and key not in _FLAGS:
            raise InvalidArgument(f"{what}: {part!r} is not KEY=VALUE")
        fields[key] = value
    kind = fields.pop("type", "volume")
    allowed = _KEYS.get(kind)
    if allowed is None:
        raise InvalidArgument(f"{what}: the type {kind!r} is not one of {', '.join(_KEYS)}")
    if fields.pop("consistency", "default") not in ("default", *WITHOUT_EFFECT):
        raise InvalidArgument(f"{what}: consistency is not consistent, cached, delegated or default")
    if (driver := fields.pop("volume-driver", "local")) != "local":
        raise InvalidArgument(f"{what}: there is no volume driver {driver!r}, only local")
    if unknown := fields.keys() - allowed:
        raise InvalidArgument(f"{what}: {', '.join(sorted(unknown))} cannot be used with type={kind}")
    mount = MountSpec(
        kind, fields.get("source", ""), _target(what, fields.get("target", "")), _flag(what, "readonly", fields)
    )
    if kind == "tmpfs":
        return _in_memory(what, mount, fields)
    if kind == "bind":
        return _of_host(what, mount, fields)
    return _of_volume(what, replace(mount, labels=labels), fields)


def _of_volume(what: str, mount: MountSpec, fields: dict[str, str]) -> MountSpec:
    if mount.source and _NAME.fullmatch(mount.source) is None:
        raise InvalidArgument(
            f"{what}: {mount.source!r} is not a volume name", hint="for a path on the host use type=bind"
        )
    subpath = fields.get("volume-subpath", "")
    if subpath.startswith("/"):
        raise InvalidArgument(f"{what}: subpath must be a relative path within the volume")
    return replace(mount, no_copy=_flag(what, "volume-nocopy", fields), subpath=subpath)


def _of_host(what: str, mount: MountSpec, fields: dict[str, str]) -> MountSpec:
    if not mount.source.startswith("/"):
        raise InvalidArgument(f"{what}: the source of a bind mount is an absolute path on the host")
    propagation = fields.get("bind-propagation", "")
    if propagation and propagation not in PROPAGATIONS:
        raise InvalidArgument(f"{what}: the propagation {propagation!r} is not one of {', '.join(PROPAGATIONS)}")
    recursive = fields.get("bind-recursive", "enabled")
    if recursive not in ("enabled", "disabled", "readonly"):
        raise InvalidArgument(f"{what}: bind-recursive is {recursive!r}, not enabled, disabled or readonly")
    if recursive == "readonly" and not mount.read_only:
        raise InvalidArgument(f"{what}: bind-recursive=readonly needs readonly")
    return replace(
        mount,
        source=posixpath.normpath(mount.source),
        propagation=propagation,
        non_recursive=recursive == "disabled",
    )


def _in_memory(what: str, mount: MountSpec, fields: dict[str, str]) -> MountSpec:
    size = parse_bytes(fields["tmpfs-size"], f"{what}: tmpfs-size") if "tmpfs-size" in fields else 0
    if "tmpfs-mode" not in fields:
        return replace(mount, tmpfs_size=size)
    if not re.fullmatch("[0-7]{1,4}", fields["tmpfs-mode"], re.ASCII):
        raise InvalidArgument(f"{what}: tmpfs-mode is {fields['tmpfs-mode']!r}, not an octal number such as 1770")
    return replace(mount, tmpfs_size=size, tmpfs_mode=int(fields["tmpfs-mode"], 8))


_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_FLAGS = {"readonly", "volume-nocopy"}
_KEYS = {
    "volume": {"source", "target", "readonly", "volume-nocopy", "volume-subpath", "volume-label"},
    "bind": {"source", "target", "readonly", "bind-propagation", "bind-recursive"},
    "tmpfs": {"target", "readonly", "tmpfs-size", "tmpfs-mode"},
}


def _flag(what: str, key: str, fields: dict[str, str]) -> bool:
    if key not in fields:
        return False
    value = fields[key].lower()
    if value in _YES:
        return True
    if value in _NO:
        return False
    raise InvalidArgument(f"{what}: {key} is {value!r}, not true or false")


def _target(what: str, path: str) -> str:
    if not path.startswith("/"):
        raise InvalidArgument(f"{what}: the path in the container must be absolute")
    path = posixpath.normpath(path)
    if path in ("/", "//"):
        raise InvalidArgument(f"{what}: the path in the container cannot be '/'")
    return path
