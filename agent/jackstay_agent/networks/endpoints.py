"""What is done to links for the containers' places in networks, from the rows. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from jackstay_agent.metadata.networks import EndpointRow, NetworkRow
from jackstay_agent.networks import addresses
from jackstay_agent.networks.plan import MARK, Bridge

MTU = "com.docker.network.driver.mtu"
BRIDGE_NAME = "com.docker.network.bridge.name"


def bridge_of(network: NetworkRow) -> Bridge:
    """The bridge that *network* is on the host."""
    return Bridge(
        name=network.bridge,
        address=f"{network.gateway}/{addresses.prefix_of(network.subnet)}",
        mac=addresses.mac_of(network.gateway),
        address6=f"{network.gateway6}/{addresses.prefix_of(network.subnet6)}" if network.subnet6 else "",
        mark=MARK + network.id,
        internal=network.internal,
        mtu=int(network.options.get(MTU, "0")),
    )


def way_out(places: Sequence[EndpointRow], networks: Mapping[str, NetworkRow]) -> EndpointRow | None:
    """By which of its *places* a container reaches the world, and is reached by published ports; None for by none."""
    return next((place for place in places if not networks[place.network].internal), None)


def way_out6(places: Sequence[EndpointRow], networks: Mapping[str, NetworkRow]) -> EndpointRow | None:
    """As `way_out`, by IPv6."""
    return way_out([place for place in places if place.address6], networks)


def argument(place: EndpointRow, places: Sequence[EndpointRow], networks: Mapping[str, NetworkRow]) -> dict[str, Any]:
    """The endpoint that `netlink` makes of *place*, one of the *places* of its container."""
    network = networks[place.network]
    return {
        "bridge": dataclasses.asdict(bridge_of(network)),
        "interface": place.interface,
        "name": f"eth{place.ordinal}",
        "mac": place.mac,
        "cidr": f"{place.address}/{addresses.prefix_of(network.subnet)}",
        "cidr6": f"{place.address6}/{addresses.prefix_of(network.subnet6)}" if place.address6 else "",
        "gateway": network.gateway if place == way_out(places, networks) else "",
        "gateway6": network.gateway6 if place == way_out6(places, networks) else "",
    }


def gateways(places: Sequence[EndpointRow], networks: Mapping[str, NetworkRow]) -> list[list[str]]:
    """The default routes of a container with *places*: the interface inside and the gateway, of each family."""
    four, six = way_out(places, networks), way_out6(places, networks)
    found = []
    if four is not None:
        found.append([f"eth{four.ordinal}", networks[four.network].gateway])
    if six is not None:
        found.append([f"eth{six.ordinal}", networks[six.network].gateway6])
    return found
