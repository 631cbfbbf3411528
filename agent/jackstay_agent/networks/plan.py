"""What must be done to a host's links and namespaces so that they are as the database says. Pure.

Guarantees: applying the steps to what was looked at gives what is wanted, and looking again then gives no step. Nothing
that is not this agent's is touched: of bridges only those that are wanted or carry its mark, of other links only those
in them, of files only those in its folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_interface, ip_network
from typing import Literal

Kind = Literal[
    "add_bridge", "mark", "remove_address", "add_address", "mtu", "ipv6", "bridge_up", "route_localnet", "forward",
    "forward6", "attach", "delete_link", "remove_netns",
]  # fmt: skip

MARK = "jackstay network "
"""How the alias of a bridge of the agent's begins; its network's id follows."""


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
    address6: str = ""  # CIDR, or "" for no IPv6
    mark: str = ""  # its alias
    internal: bool = False
    mtu: int = 0  # 0: the kernel's choice

    @property
    def addresses(self) -> set[str]:
        """All that it is to have."""
        return {self.address, self.address6} - {""}


@dataclass(frozen=True, slots=True)
class Desired:
    """What the database says: the bridges, and of living containers the host sides of their pairs, each with its
    bridge, and their ids."""

    bridges: tuple[Bridge, ...]
    interfaces: Mapping[str, str]
    netns: frozenset[str]


@dataclass(frozen=True, slots=True)
class Found:
    """A bridge that is there: of its addresses those that are not of the link."""

    up: bool = False
    addresses: frozenset[str] = frozenset()
    route_localnet: bool = False
    mark: str = ""
    mtu: int = 1500
    ipv6: bool = False


@dataclass(frozen=True, slots=True)
class Actual:
    """What was found. `bridges` are those asked for and those with a mark, `others` the other links' addresses with
    their names, `routes` likewise where packets are sent to; `interfaces` are all links' names with their master's or
    ""."""

    bridges: Mapping[str, Found] = field(default_factory=dict)
    forwarding: bool = False
    forwarding6: bool = False
    interfaces: tuple[tuple[str, str], ...] = ()
    netns: frozenset[str] = frozenset()
    others: tuple[tuple[str, str], ...] = ()
    routes: tuple[tuple[str, str], ...] = ()


def overlaps(subnet: str, places: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Those of *places*, names with an address or network each, that share addresses with *subnet*."""
    own = ip_network(subnet)
    return [
        (link, address)
        for link, address in places
        if (network := ip_interface(address).network).version == own.version and network.overlaps(own)
    ]


def bridge_steps(bridge: Bridge, actual: Actual) -> list[Step]:
    """The steps that make the bridge and the host's forwarding as wanted."""
    name, found = bridge.name, actual.bridges.get(bridge.name)
    steps = [] if found is not None else [Step("add_bridge", name, bridge.mac)]
    found = found or Found()
    if bridge.mark and found.mark != bridge.mark:
        steps.append(Step("mark", name, bridge.mark))
    if bridge.mtu and found.mtu != bridge.mtu:
        steps.append(Step("mtu", name, str(bridge.mtu)))
    if bridge.address6 and not found.ipv6:
        steps.append(Step("ipv6", name))
    steps += [Step("remove_address", name, address) for address in sorted(found.addresses - bridge.addresses)]
    steps += [Step("add_address", name, address) for address in sorted(bridge.addresses - found.addresses)]
    if not found.up:
        steps.append(Step("bridge_up", name))
    if not bridge.internal and not found.route_localnet:
        steps.append(Step("route_localnet", name))
    if not actual.forwarding:
        steps.append(Step("forward", ""))
    if bridge.address6 and not actual.forwarding6:
        steps.append(Step("forward6", ""))
    return steps


def steps(desired: Desired, actual: Actual) -> list[Step]:
    """Every step from *actual* to *desired*, in the order to apply them."""
    wanted = {bridge.name for bridge in desired.bridges}
    found: list[Step] = []
    for bridge in desired.bridges:
        found += [step for step in bridge_steps(bridge, actual) if step not in found]
    for name, master in actual.interfaces:
        if name in desired.interfaces:
            if master != desired.interfaces[name]:
                found.append(Step("attach", name, desired.interfaces[name]))
        elif master in actual.bridges and name.startswith("veth"):
            found.append(Step("delete_link", name))
    found += [
        Step("delete_link", name)
        for name, state in sorted(actual.bridges.items())
        if name not in wanted and state.mark.startswith(MARK)
    ]
    found += [Step("remove_netns", container) for container in sorted(actual.netns - desired.netns)]
    return found
