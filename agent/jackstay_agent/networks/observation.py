"""What a look at the host's links found, on its way from the child that looked to the agent. Pure.

Apart from `netlink`, so that the agent's own process never loads pyroute2: 10 MB that only children use.
"""

from __future__ import annotations

from typing import Any

from jackstay_agent.networks.plan import Actual, Found


def decode(found: dict[str, Any]) -> Actual:
    """The value behind a job's result."""
    bridges = {
        name: Found(**{**state, "addresses": frozenset(state["addresses"])}) for name, state in found["bridges"].items()
    }
    return Actual(
        bridges=bridges,
        forwarding=found["forwarding"],
        forwarding6=found["forwarding6"],
        interfaces=_pairs(found["interfaces"]),
        netns=frozenset(found["netns"]),
        others=_pairs(found["others"]),
        routes=_pairs(found["routes"]),
    )


def encode(actual: Actual) -> dict[str, Any]:
    """The value as a job's result."""
    bridges = {
        name: {
            "up": state.up,
            "addresses": sorted(state.addresses),
            "route_localnet": state.route_localnet,
            "mark": state.mark,
            "mtu": state.mtu,
            "ipv6": state.ipv6,
        }
        for name, state in actual.bridges.items()
    }
    return {
        "bridges": bridges,
        "forwarding": actual.forwarding,
        "forwarding6": actual.forwarding6,
        "interfaces": [list(pair) for pair in actual.interfaces],
        "netns": sorted(actual.netns),
        "others": [list(pair) for pair in actual.others],
        "routes": [list(pair) for pair in actual.routes],
    }


def _pairs(found: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((first, second) for first, second in found)
