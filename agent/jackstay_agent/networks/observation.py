"""What a look at the host's links found, on its way from the child that looked to the agent. Pure.

Apart from `netlink`, so that the agent's own process never loads pyroute2: 10 MB that only children use.
"""

from __future__ import annotations

from typing import Any

from jackstay_agent.networks.plan import Actual


def decode(found: dict[str, Any]) -> Actual:
    """The value behind a job's result."""
    return Actual(
        exists=found["exists"],
        up=found["up"],
        addresses=frozenset(found["addresses"]),
        route_localnet=found["route_localnet"],
        forwarding=found["forwarding"],
        interfaces=tuple((name, master) for name, master in found["interfaces"]),
        netns=frozenset(found["netns"]),
        others=tuple((link, address) for link, address in found["others"]),
    )


def encode(actual: Actual) -> dict[str, Any]:
    """The value as a job's result."""
    return {
        "exists": actual.exists,
        "up": actual.up,
        "addresses": sorted(actual.addresses),
        "route_localnet": actual.route_localnet,
        "forwarding": actual.forwarding,
        "interfaces": [list(pair) for pair in actual.interfaces],
        "netns": sorted(actual.netns),
        "others": [list(pair) for pair in actual.others],
    }
