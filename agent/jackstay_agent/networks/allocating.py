"""Which network a text means, and a container's place in one: SQL, for the caller's transaction."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Collection

from jackstay_agent.errors import AlreadyExists, Ambiguous, InvalidArgument, NotFound
from jackstay_agent.metadata import networks as rows
from jackstay_agent.metadata.networks import EndpointRow, NetworkRow
from jackstay_agent.networks import addresses
from jackstay_agent.networks.attachment import WantedEndpoint, WantedNetworks

_ALIAS = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,252}")


def find(connection: sqlite3.Connection, text: str) -> NetworkRow:
    """The network with this name, id or start of an id; "" and "default" are "bridge".

    Raises `NotFound`, `Ambiguous`.
    """
    name = "bridge" if text in ("", "default") else text
    every = rows.networks(connection)
    for row in every:
        if name in (row.name, row.id):
            return row
    found = [row for row in every if row.id.startswith(name)]
    if len(found) > 1:
        raise Ambiguous(f"network {name} is ambiguous: {len(found)} have ids that begin so", hint="give its name")
    if not found:
        raise NotFound(f"network {text[:80]} not found", hint="`jackstay network ls` shows what there is")
    return found[0]


def allocate(connection: sqlite3.Connection, container: str, settings: WantedNetworks) -> None:
    """Give *container* its places in the networks that *settings* name, in that order.

    Nothing on the networks "host", "none" and another container's. Raises `NotFound` for an unknown network,
    `AddressTaken`, `InvalidArgument` for what cannot be.
    """
    if settings.network.startswith("container:"):
        return
    for wanted in settings.networks:
        network = find(connection, wanted.network)
        if network.driver == "bridge":
            add(connection, container, network, wanted)
        elif wanted.network != network.name:
            raise InvalidArgument(f"{wanted.network[:80]} is the network {network.name}", hint="give its name")
        elif len(settings.networks) > 1:
            raise InvalidArgument(
                f"conflicting options: the network {network.name} stands alone", hint="leave out the other networks"
            )
        elif wanted.ip or wanted.ip6 or wanted.mac_address or wanted.aliases:
            raise InvalidArgument(
                f"conflicting options: no addresses and aliases on the network {network.name}", hint="leave them out"
            )


def add(connection: sqlite3.Connection, container: str, network: NetworkRow, wanted: WantedEndpoint) -> EndpointRow:
    """Give *container* a place in *network*, which is a bridge, as *wanted*: the row, not active.

    Raises `AlreadyExists` when it has one, `AddressTaken`, `InvalidArgument`.
    """
    every = rows.endpoints(connection)
    own = [row for row in every if row.container == container]
    if any(row.network == network.id for row in own):
        raise AlreadyExists(
            f"endpoint with name {own[0].name} already exists in network {network.name}", hint="name a network once"
        )
    if network.name == "bridge" and (wanted.ip6 or wanted.aliases):
        what = "an IPv6 address" if wanted.ip6 else "aliases"
        raise InvalidArgument(
            f"the network bridge gives no {what.removeprefix('an ')}: only networks that users make have them",
            hint="jackstay network create, and --network of that",
        )
    others = [row for row in every if row.network == network.id]
    address = _address(network.subnet, network.gateway, network.ip_range, {row.address for row in others}, wanted.ip)
    if network.subnet6:
        taken6 = {row.address6 for row in others} - {""}
        address6 = _address(network.subnet6, network.gateway6, network.ip_range6, taken6, wanted.ip6)
    elif wanted.ip6:
        raise InvalidArgument(f"the network {network.name} has no IPv6", hint="create one with --ipv6")
    else:
        address6 = ""
    mac = addresses.asked_mac(wanted.mac_address) if wanted.mac_address else addresses.mac_of(address)
    interface = addresses.interface_name(container, network.id, {row.interface for row in every})
    ordinal = next(number for number in range(len(own) + 1) if number not in {row.ordinal for row in own})
    aliases = tuple(dict.fromkeys(_alias(alias) for alias in wanted.aliases))
    row = EndpointRow(container, "", network.id, address, mac, interface, False, address6, aliases, ordinal)
    rows.add_endpoint(connection, row)
    return row


def _address(subnet: str, gateway: str, ip_range: str, taken: Collection[str], wanted: str) -> str:
    if wanted:
        return addresses.asked(subnet, taken, wanted, gateway)
    return addresses.next_free(subnet, taken, gateway, ip_range)


def _alias(text: str) -> str:
    if not _ALIAS.fullmatch(text):
        raise InvalidArgument(f"{text[:80]!r} is no name for a container", hint="letters, digits, _ . and -")
    return text
