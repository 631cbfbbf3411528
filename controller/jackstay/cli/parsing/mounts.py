"""``--volume`` and ``--mount`` as docker writes them. Pure; nothing is looked up on any host."""

from __future__ import annotations

import csv
import posixpath
import re
from dataclasses import dataclass, replace

from jackstay_oci.errors import InvalidArgument

PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
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
    raise InvalidArgument(f"{what}: the option {option!r} is not supported for a {mount.type}")


def parse_mount(text: str) -> tuple[MountSpec | None, str | None]:
    """``type=…,source=…,target=…``: a mount, or for ``type=tmpfs`` the ``--tmpfs`` text. One of the two is ``None``.

    Raises:
        InvalidArgument: malformed, a key unknown for the type, or a missing target.
    """
    what = f"--mount {text!r}"
    fields: dict[str, str] = {}
    for field in next(csv.reader([text]), []):
        key, equals, value = field.partition("=")
        key = _ALIASES.get(key.strip().lower(), key.strip().lower())
        if key in fields:
            raise InvalidArgument(f"{what}: {key!r} is given twice")
        if not equals and key not in ("readonly", "volume-nocopy"):
            raise InvalidArgument(f"{what}: {field!r} is not KEY=VALUE")
        fields[key] = value
    kind = fields.pop("type", "volume")
    allowed = _KEYS.get(kind)
    if allowed is None:
        raise InvalidArgument(f"{what}: the type {kind!r} is not one of {', '.join(_KEYS)}")
    if unknown := fields.keys() - allowed:
        raise InvalidArgument(f"{what}: {', '.join(sorted(unknown))} cannot be used with type={kind}")
    target = _target(what, fields.get("target", ""))
    if kind == "tmpfs":
        options = [f"size={fields['tmpfs-size']}"] if "tmpfs-size" in fields else []
        options += [f"mode={fields['tmpfs-mode']}"] if "tmpfs-mode" in fields else []
        return None, ":".join([target, ",".join(options)]) if options else target
    return _mount_spec(what, kind, target, fields), None


def _mount_spec(what: str, kind: str, target: str, fields: dict[str, str]) -> MountSpec:
    source = fields.get("source", "")
    read_only = _flag(what, "readonly", fields)
    if kind == "bind":
        if not source.startswith("/"):
            raise InvalidArgument(f"{what}: the source of a bind mount is an absolute path on the host")
        propagation = fields.get("bind-propagation", "")
        if propagation and propagation not in PROPAGATIONS:
            raise InvalidArgument(f"{what}: the propagation {propagation!r} is not one of {', '.join(PROPAGATIONS)}")
        return MountSpec("bind", posixpath.normpath(source), target, read_only, propagation=propagation)
    if source and _NAME.fullmatch(source) is None:
        raise InvalidArgument(f"{what}: {source!r} is not a volume name", hint="for a path on the host use type=bind")
    return MountSpec("volume", source, target, read_only, no_copy=_flag(what, "volume-nocopy", fields))


_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_KEYS = {
    "volume": {"source", "target", "readonly", "volume-nocopy"},
    "bind": {"source", "target", "readonly", "bind-propagation"},
    "tmpfs": {"target", "tmpfs-size", "tmpfs-mode"},
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
