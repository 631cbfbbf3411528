"""What must be done to a host's links and namespaces so that they are as the database says. Pure.

Guarantees: applying the steps to what was looked at gives what is wanted, and looking again then gives no step. Nothing
that is not this agent's is touched: of other links only those in its bridge, of files only those in its folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Interface
from typing import Literal

Kind = Literal[
    "add_bridge", "remove_address", "add_address", "bridge_up", "route_localnet", "forward", "attach", "delete_link",
    "remove_netns",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One change: *kind* applied to *subject* (a link's name, a container's id), with *value* (an address)."""

    kind: Kind
    subject: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class Bridge:
    """A bridge as it is wanted."""

    name: str
    address: str  # CIDR, the gateway's
    mac: str


@dataclass(frozen=True, slots=True)
class Desired:
    """What the database says: the bridge, and of living containers the host sides of their pairs and their ids."""

    bridge: Bridge
    interfaces: frozenset[str]
    netns: frozenset[str]


@dataclass(frozen=True, slots=True)
class Actual:
    """What was found. `addresses` are the bridge's CIDRs, `others` the other links' with their names; `interfaces` are
    all links' names with their master's name or ""."""

    exists: bool = False
    up: bool = False
    addresses: frozenset[str] = frozenset()
    route_localnet: bool = False
    forwarding: bool = False
    interfaces: tuple[tuple[str, str], ...] = ()
    netns: frozenset[str] = frozenset()
    others: tuple[tuple[str, str], ...] = ()


def overlaps(bridge: Bridge, actual: Actual) -> list[tuple[str, str]]:
    """The other links, with their addresses, whose subnet shares addresses with the bridge's."""
    own = IPv4Interface(bridge.address).network
    return [(link, address) for link, address in actual.others if IPv4Interface(address).network.overlaps(own)]


def bridge_steps(bridge: Bridge, actual: Actual) -> list[Step]:
    """The steps that make the bridge and the host's forwarding as wanted."""
    steps = []
    if not actual.exists:
        steps.append(Step("add_bridge", bridge.name, bridge.mac))
    for address in sorted(actual.addresses - {bridge.address}):
        steps.append(Step("remove_address", bridge.name, address))
    if bridge.address not in actual.addresses:
        steps.append(Step("add_address", bridge.name, bridge.address))
    if not actual.up:
        steps.append(Step("bridge_up", bridge.name))
    if not actual.route_localnet:
        steps.append(Step("route_localnet", bridge.name))
    if not actual.forwarding:
        steps.append(Step("forward", ""))
    return steps


def steps(desired: Desired, actual: Actual) -> list[Step]:
    """Every step from *actual* to *desired*, in the order to apply them."""
    found = bridge_steps(desired.bridge, actual)
    for name, master in actual.interfaces:
        if name in desired.interfaces and master != desired.bridge.name:
            found.append(Step("attach", name, desired.bridge.name))
        elif name not in desired.interfaces and master == desired.bridge.name and name.startswith("veth"):
            found.append(Step("delete_link", name))
    found += [Step("remove_netns", container) for container in sorted(actual.netns - desired.netns)]
    return found
