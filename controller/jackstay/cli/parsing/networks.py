"""``--network`` of ``run`` as docker writes it: a name, or ``name=NET,alias=A,ip=…``. Pure."""

from __future__ import annotations

import csv
from collections.abc import Sequence

from jackstay.client import messages
from jackstay.errors import UsageError

_KEYS = ("name", "alias", "ip", "ip6", "mac-address")
_ALONE = ("host", "none")


def parse_networks(
    networks: Sequence[str], *, aliases: Sequence[str] = (), ip: str = "", ip6: str = "", mac_address: str = ""
) -> list[messages.NetworkAttachment]:
    """The networks in their order; the other flags are of the first one.

    Raises:
        UsageError: one is malformed, named twice, or cannot be with others or with an address.
    """
    found = [parse_network(text) for text in networks]
    if aliases or ip or ip6 or mac_address:
        if len(found) > 1:
            raise UsageError(
                "--network-alias, --ip, --ip6 and --mac-address are for one network",
                hint="with several write --network name=NET,alias=…,ip=…",
            )
        first = found[0] if found else messages.NetworkAttachment()
        for flag, text, attribute in (
            ("--ip", ip, "ip"),
            ("--ip6", ip6, "ip6"),
            ("--mac-address", mac_address, "mac_address"),
        ):
            if text and getattr(first, attribute):
                raise UsageError(f"conflicting options: {flag} and {attribute.replace('_', '-')}= of --network")
            if text:
                setattr(first, attribute, text)
        first.aliases.extend(aliases)
        found = [first]
    names = [each.network for each in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"--network {twice[0]} is given twice")
    alone = [name for name in names if name in _ALONE or name.startswith("container:")]
    if alone and len(names) > 1:
        raise UsageError(f"conflicting options: --network {alone[0]} stands alone")
    return found


def parse_network(text: str) -> messages.NetworkAttachment:
    """One ``--network``.

    Raises:
        UsageError: it is malformed.
    """
    if "=" not in text:
        if not text:
            raise UsageError("--network: the name of a network is missing")
        return messages.NetworkAttachment(network=text)
    found = messages.NetworkAttachment()
    for pair in next(csv.reader([text], strict=True)):
        key, equals, value = pair.partition("=")
        if not equals or key not in _KEYS or not value:
            raise UsageError(f"--network {text!r}: {pair!r} is not known", hint=f"keys are {', '.join(_KEYS)}")
        if key == "alias":
            found.aliases.append(value)
            continue
        attribute = {"name": "network"}.get(key, key.replace("-", "_"))
        if getattr(found, attribute):
            raise UsageError(f"--network {text!r}: {key}= is given twice")
        setattr(found, attribute, value)
    if not found.network:
        raise UsageError(f"--network {text!r}: name= is missing")
    return found
