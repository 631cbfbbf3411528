"""Changes to a ``hosts.toml`` that keep everything else in it, comments too: pure, text in, text out."""

from __future__ import annotations

import re
from pathlib import Path

from jackstay.errors import UsageError
from jackstay.inventory.host import Host
from jackstay.inventory.hosts_file import parse_hosts_file, toml_host
from jackstay.inventory.nodesets import nearest


def add_host(text: str, host: Host, path: Path = Path("hosts.toml")) -> str:
    """The file with ``[hosts.<name>]`` added at its end; ``path`` is for messages.

    Raises :class:`~jackstay.errors.UsageError` when the name is taken or not allowed, or the file is not as it must be.
    """
    if host.name in parse_hosts_file(text, path).hosts:
        raise UsageError(f"{host.name} is in {path} already", hint=f"change it there, or: jackstay host rm {host.name}")
    gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    changed = text + gap + toml_host(host)
    if host.name not in parse_hosts_file(changed, path).hosts:
        raise UsageError(f"'{host.name}' cannot be a host's name", hint="letters, digits, . _ -")
    return changed


def remove_host(text: str, name: str, path: Path = Path("hosts.toml")) -> str:
    """The file without ``[hosts.<name>]``; groups that name the host are left as they are.

    Raises :class:`~jackstay.errors.UsageError` when the host is not there, or is written in another form than a table
    of its own, which only an editor can change safely.
    """
    before = parse_hosts_file(text, path)
    if name not in before.hosts:
        near = nearest(name, before.hosts.keys())
        raise UsageError(f"{name} is not in {path}", hint=f"did you mean {near}?" if near else "")
    lines = text.splitlines(keepends=True)
    header = re.compile(rf"\s*\[\s*hosts\s*\.\s*([\"']?){re.escape(name)}\1\s*\]\s*(#.*)?\n?")
    start = next((number for number, line in enumerate(lines) if header.fullmatch(line)), None)
    if start is not None:
        end = next((n for n in range(start + 1, len(lines)) if re.match(r"\s*\[", lines[n])), len(lines))
        last = max(
            n for n in range(start, end) if lines[n].strip() and (n == start or not lines[n].lstrip().startswith("#"))
        )
        while end > last + 1 and lines[end - 1].lstrip().startswith("#"):  # a comment that belongs to what follows
            end -= 1
        changed = "".join(lines[:start] + lines[end:])
        if not changed.strip():
            changed = ""
        after = parse_hosts_file(changed, path)
        if after.groups == before.groups and after.hosts == {n: h for n, h in before.hosts.items() if n != name}:
            return changed
    raise UsageError(f"{name} is not a table [hosts.{name}] of its own in {path}", hint="remove it with an editor")
