"""Folding: hosts that printed the same share one heading, ``web[1-3]``. Pure."""

from __future__ import annotations

from collections.abc import Iterable

RULE = "---------------"


def fold_names(names: Iterable[str]) -> str:
    """Host names as one NodeSet; names that are no NodeSet (``user@[::1]:22``) are listed as they are."""
    from ClusterShell.NodeSet import NodeSet

    plain: list[str] = []
    others: list[str] = []
    for name in names:
        (others if any(mark in name for mark in "@[]:,!&^*? ") else plain).append(name)
    folded = [str(NodeSet.fromlist(plain))] if plain else []
    return ",".join([*folded, *others])


def group_same(outputs: Iterable[tuple[str, bytes]]) -> list[tuple[list[str], bytes]]:
    """Hosts by equal output, in the order of each group's first host."""
    groups: dict[bytes, list[str]] = {}
    for host, output in outputs:
        groups.setdefault(output, []).append(host)
    return [(hosts, output) for output, hosts in groups.items()]


def render_folded(outputs: Iterable[tuple[str, bytes]]) -> bytes:
    """Each group under a heading with its folded names, as ``clush -b`` does."""
    text = bytearray()
    for hosts, output in group_same(outputs):
        text += f"{RULE}\n{fold_names(hosts)} ({len(hosts)})\n{RULE}\n".encode()
        text += output
        if output and not output.endswith(b"\n"):
            text += b"\n"
    return bytes(text)


class PrefixLines:
    """Puts ``host: `` before every line of a stream that comes in arbitrary pieces.

    An unfinished line is held until its end comes, or until it is longer than ``MAX_LINE``: memory stays bounded.
    """

    MAX_LINE = 64 * 1024

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode()
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """The lines that ``data`` completed."""
        lines = (self._held + data).split(b"\n")
        self._held = lines.pop()
        if len(self._held) > self.MAX_LINE:
            lines.append(self._held)
            self._held = b""
        return b"".join(self._prefix + line + b"\n" for line in lines)

    def rest(self) -> bytes:
        """What was held, as a last line."""
        held, self._held = self._held, b""
        return self._prefix + held + b"\n" if held else b""
