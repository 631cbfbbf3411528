"""Host sets in ClusterShell's grammar, evaluated over known hosts and groups (pure; ClusterShell is imported on use).

Addresses (``user@host:port``, ``[IPv6]``) are taken out of a set before NodeSet sees it, for their ``@`` and ``:`` mean
other things there, and put back afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from jackstay.errors import UsageError
from jackstay.inventory.address import is_address, parse_address

_PLACEHOLDER = "jackstay-address-"
_OPERATORS = ",!&^"
_ONE = re.compile(r"[A-Za-z][\w.-]*", re.ASCII)
"""A name that can only mean itself."""


def expand(text: str, hosts: Collection[str], groups: Mapping[str, str]) -> list[str]:
    """The names that a set means, each once, in natural order.

    Raises :class:`~jackstay.errors.UsageError` when the set is malformed or names an unknown group.
    """
    if _ONE.fullmatch(text):
        return [text]
    from ClusterShell.NodeSet import NodeSet, NodeSetException
    from ClusterShell.NodeUtils import GroupResolverError, GroupSourceError

    addresses: dict[str, int] = {}  # as written → number of its placeholder
    resolver = _resolver(hosts, groups)
    try:
        parts = [_without_address(part, addresses) for part in _items(text)]
        names = [str(node) for node in NodeSet("".join(parts), resolver=resolver)]
    except (NodeSetException, GroupResolverError, GroupSourceError, RecursionError) as error:
        raise UsageError(
            f"'{text}' is not a host set: {error}", hint="examples: web1, 'web[1-40]', '@web!web7'"
        ) from None
    by_number = {number: written for written, number in addresses.items()}
    return [
        by_number[int(name.removeprefix(_PLACEHOLDER))] if name.startswith(_PLACEHOLDER) else name for name in names
    ]


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that was probably meant."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1, cutoff=0.75)
    return close[0] if close else None


def group_cycle(groups: Mapping[str, str]) -> list[str] | None:
    """Groups that contain each other in a circle, the first repeated at the end; ``None``: there is no circle."""
    uses = {name: [used for used in re.findall(r"@([\w.-]+)", text) if used in groups] for name, text in groups.items()}
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name not in done:
            for used in uses[name]:
                if found := walk(used, [*path, name]):
                    return found
            done.add(name)
        return None

    for name in uses:
        if found := walk(name, []):
            return found
    return None


def _items(text: str) -> Iterator[str]:
    """The set cut at its operators, the operators kept as items of their own; brackets are left whole."""
    depth, start = 0, 0
    for position, character in enumerate(text):
        if character == "[":
            depth += 1
        elif character == "]":
            depth -= 1
        elif character in _OPERATORS and depth == 0:
            yield text[start:position].strip()
            yield character
            start = position + 1
    yield text[start:].strip()


def _without_address(item: str, addresses: dict[str, int]) -> str:
    """The item itself, or for an address a NodeSet of placeholders, which are numbered in ``addresses``."""
    from ClusterShell.NodeSet import NodeSet

    if not is_address(item):
        return item
    address = parse_address(item)
    hosts = (
        [address.host] if address.is_ipv6 else [str(host) for host in NodeSet(address.host, resolver=_resolver((), {}))]
    )
    numbers = [addresses.setdefault(address.written(host), len(addresses)) for host in hosts]
    return f"{_PLACEHOLDER}[{','.join(map(str, numbers))}]"


def _resolver(hosts: Collection[str], groups: Mapping[str, str]) -> Any:
    """ClusterShell's view of our groups; it never reads files or runs commands, as its default one does."""
    from ClusterShell.NodeUtils import GroupResolver, GroupSource

    class Groups(GroupSource):  # type: ignore[misc]  # ClusterShell has no types
        def resolv_map(self, group: str) -> str:
            if group not in groups:
                near = nearest(group, groups.keys())
                known = ", ".join(f"@{name}" for name in groups)
                hint = (
                    f"did you mean @{near}?"
                    if near
                    else f"groups are {known}"
                    if known
                    else "the inventory has no groups"
                )
                raise UsageError(f"there is no group @{group}", hint=hint)
            return groups[group]

    return GroupResolver(Groups("inventory", groups=dict(groups), allgroups=",".join(hosts)))
