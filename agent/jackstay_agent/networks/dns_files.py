"""The configuration of aardvark-dns, which answers containers that ask for each other's names. Pure.

It reads a folder with a file a network: the addresses that it listens on, then a line a container with its id, its IPv4
and its IPv6 addresses, its names, and the nameservers that it is passed on to if they are not the host's. Who asks is
known by his address, and told of the containers in his networks only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from jackstay_agent.metadata.networks import EndpointRow, NetworkRow

_NOBODY = "0.0.0.1"
"""A nameserver to which the kernel sends nothing: who is in an internal network must not reach the world by names."""
_INTERNAL = "%int"
"""How the name of an internal network's file ends; later versions of aardvark-dns then pass nothing on."""


def has_names(network: NetworkRow) -> bool:
    """Whether names are resolved in *network*: in those that users make, as docker has it."""
    return network.driver == "bridge" and network.name != "bridge"


def files(
    networks: Iterable[NetworkRow], places: Iterable[EndpointRow], nameservers: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """The files by their names; none for a network where no container is active. *nameservers* by container."""
    inside: dict[str, list[EndpointRow]] = {}
    for place in places:
        if place.active:
            inside.setdefault(place.network, []).append(place)
    return {
        network.id + (_INTERNAL if network.internal else ""): _file(network, inside[network.id], nameservers)
        for network in networks
        if network.id in inside and has_names(network)
    }


def _file(network: NetworkRow, places: Sequence[EndpointRow], nameservers: Mapping[str, Sequence[str]]) -> str:
    listen = ",".join(filter(None, (network.gateway, network.gateway6)))
    lines = [listen]
    for place in places:
        names = dict.fromkeys(name.lower() for name in (place.name, *place.aliases, place.container[:12]))
        passed_on = [_NOBODY] if network.internal else nameservers.get(place.container, ())
        line = f"{place.container} {place.address} {place.address6} {','.join(names)} {','.join(passed_on)}"
        lines.append(line.rstrip())
    return "\n".join(lines) + "\n"
