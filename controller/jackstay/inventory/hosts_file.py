"""The format of ``hosts.toml`` (pure: text in, values out).

[defaults]                      # for the hosts of this file
user = "root"

[hosts.web1]
address = "192.0.2.11"          # else the name; `port user identity known_hosts socket jump sudo` as in [defaults]

[groups]
web = "web[1-3]"                # a host set, or an array of them; may name other groups
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jackstay.errors import UsageError
from jackstay.inventory.host import AGENT_SOCKET, Host
from jackstay.inventory.nodesets import group_cycle, nearest

_NAME = re.compile(r"[A-Za-z0-9_][\w.-]*")


@dataclass(frozen=True, slots=True)
class HostsFile:
    """What a ``hosts.toml`` says."""

    hosts: dict[str, Host] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)  # name → NodeSet


def parse_hosts_file(text: str, path: Path) -> HostsFile:
    """Read the file. ``path`` is for messages, and relative paths in the file start at its folder.

    Raises :class:`~jackstay.errors.UsageError` whose message begins with ``PATH:LINE``.
    """
    return _Reader(text, path).read()


class _Reader:
    def __init__(self, text: str, path: Path) -> None:
        self._text = text
        self._path = path

    def read(self) -> HostsFile:
        try:
            document = tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"\(at line (\d+), column \d+\)", str(error))
            line = int(found[1]) if found else max(1, self._text.count("\n") + 1)
            reason = str(error).split(" (at ")[0]
            raise UsageError(f"{self._path}:{line}: {reason}", hint="the file is TOML; strings need quotes") from None
        for key in document:
            if key not in ("defaults", "hosts", "groups"):
                raise self._wrong(key, "", f"unknown table [{key}]", "tables are [defaults], [hosts.NAME] and [groups]")
        defaults = self._fields(self._table(document, "defaults"), "defaults")
        if "address" in defaults:
            raise self._wrong("defaults", "address", "an address cannot be a default")
        hosts = {}
        for name, table in self._table(document, "hosts").items():
            if not _NAME.fullmatch(name):
                raise self._wrong(f"hosts.{name}", "", f"'{name}' cannot be a host's name", "letters, digits, . _ -")
            if not isinstance(table, dict):
                raise self._wrong("hosts", name, f"{name} must be a table", f'[hosts.{name}]\naddress = "…"')
            hosts[name] = Host(**{"name": name, "address": name, **defaults, **self._fields(table, f"hosts.{name}")})
        groups = {}
        for name, value in self._table(document, "groups").items():
            parts = [value] if isinstance(value, str) else value
            if not isinstance(parts, list) or not all(isinstance(part, str) for part in parts):
                raise self._wrong("groups", name, f"group {name} must be a host set or an array of host sets")
            groups[name] = ",".join(part for part in parts if part.strip())
        if cycle := group_cycle(groups):
            raise self._wrong("groups", cycle[0], "groups contain each other: " + " → ".join(f"@{n}" for n in cycle))
        return HostsFile(hosts, groups)

    def _table(self, document: dict[str, Any], key: str) -> dict[str, Any]:
        value = document.get(key, {})
        if not isinstance(value, dict):
            raise self._wrong("", key, f"{key} must be a table")
        return value

    def _fields(self, table: dict[str, Any], where: str) -> dict[str, Any]:
        """The table as arguments of :class:`Host`."""
        fields: dict[str, Any] = {}
        for key, value in table.items():
            if key not in _FIELDS:
                near = nearest(key, _FIELDS.keys())
                hint = f"did you mean {near}?" if near else "known are " + ", ".join(_FIELDS)
                raise self._wrong(where, key, f"unknown key '{key}' in [{where}]", hint)
            name, convert = _FIELDS[key]
            try:
                fields[name] = convert(value, self._path.parent)
            except ValueError as error:
                raise self._wrong(where, key, f"{key} in [{where}] {error}") from None
        return fields

    def _wrong(self, table: str, key: str, message: str, hint: str = "") -> UsageError:
        return UsageError(f"{self._path}:{_line_of(self._text, table, key)}: {message}", hint=hint)


def _text(value: Any, _: Path) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError("must be a string, not empty")
    if value.startswith("-"):
        raise ValueError("must not begin with '-'")
    return value


def _port(value: Any, _: Path) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 65535:
        raise ValueError("must be a number from 1 to 65535")
    return value


def _flag(value: Any, _: Path) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004  # the reader turns this one into its message
    return value


def _socket(value: Any, folder: Path) -> str:
    if not _text(value, folder).startswith("/"):
        raise ValueError("must be an absolute path on the host")
    return str(value)


def _files(value: Any, folder: Path) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not values:
        raise ValueError("must be a path or an array of paths")
    return tuple(str(folder / Path(_text(one, folder)).expanduser()) for one in values)


_FIELDS: dict[str, tuple[str, Callable[[Any, Path], Any]]] = {
    "address": ("address", _text),
    "port": ("port", _port),
    "user": ("user", _text),
    "identity": ("identity_files", _files),
    "known_hosts": ("known_hosts", _files),
    "socket": ("socket", _socket),
    "jump": ("jump", _text),
    "sudo": ("sudo", _flag),
}


def _line_of(text: str, table: str, key: str) -> int:
    """The line of a key in a table, or of the table; 1 when it is written in a way that this does not find."""
    header = re.compile(r"\s*\[\s*(?P<name>[^\[\]]+?)\s*\]\s*(#.*)?")
    inside, found = not table, 1
    for number, line in enumerate(text.splitlines(), 1):
        if head := header.fullmatch(line):
            inside = head["name"].replace('"', "").replace("'", "").replace(" ", "") == table
            found = number if inside else found
        elif inside and key and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
    return found


def toml_host(host: Host) -> str:
    """A host as its ``[hosts.NAME]`` table; what is at its default is left out."""
    lines = [f"[hosts.{host.name if re.fullmatch(r'[A-Za-z0-9_-]+', host.name) else _quoted(host.name)}]"]
    lines.append(f"address = {_quoted(host.address)}")
    if host.port is not None:
        lines.append(f"port = {host.port}")
    if host.user is not None:
        lines.append(f"user = {_quoted(host.user)}")
    for key, files in (("identity", host.identity_files), ("known_hosts", host.known_hosts)):
        if len(files) == 1:
            lines.append(f"{key} = {_quoted(files[0])}")
        elif files:
            lines.append(f"{key} = [{', '.join(map(_quoted, files))}]")
    if host.socket != AGENT_SOCKET:
        lines.append(f"socket = {_quoted(host.socket)}")
    if host.jump is not None:
        lines.append(f"jump = {_quoted(host.jump)}")
    if host.sudo:
        lines.append("sudo = true")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string."""
    escaped = "".join({"\\": "\\\\", '"': '\\"'}.get(c, c if c.isprintable() else f"\\U{ord(c):08x}") for c in text)
    return f'"{escaped}"'
