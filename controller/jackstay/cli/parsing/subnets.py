"""``--subnet``, ``--gateway`` and ``--ip-range`` of ``network create``: which belongs to which. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from jackstay.client import messages
from jackstay.errors import UsageError


def parse_subnets(subnets: Sequence[str], gateways: Sequence[str], ranges: Sequence[str]) -> list[messages.Subnet]:
    """The subnets, each with the gateway and the range that lie in it.

    Raises:
        UsageError: one is malformed, or a gateway or range lies in none, or two in one.
    """
    found = [(_network(text, "--subnet"), messages.Subnet(subnet=text)) for text in subnets]
    for flag, texts, attribute in (("--gateway", gateways, "gateway"), ("--ip-range", ranges, "ip_range")):
        for text in texts:
            part = _network(text, flag)
            homes = [subnet for network, subnet in found if part.version == network.version and _within(part, network)]
            if not homes:
                raise UsageError(f"{flag} {text}: no matching subnet", hint="give the --subnet that it lies in")
            if getattr(homes[0], attribute):
                raise UsageError(f"{flag} is given twice for {homes[0].subnet}")
            setattr(homes[0], attribute, text)
    return [subnet for _, subnet in found]


def _within(
    part: ipaddress.IPv4Network | ipaddress.IPv6Network, network: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> bool:
    return part.subnet_of(network)  # type: ignore[arg-type]  # of the same family


def _network(text: str, flag: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise UsageError(f"{flag} {text!r}: {error}") from error
