"""Docker's JSON objects about networks: what ``network inspect`` and a container's ``NetworkSettings`` show. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from jackstay_agent.metadata.networks import EndpointRow, NetworkRow, PortRow
from jackstay_agent.networks import addresses


def endpoint_id(container: str, network: str) -> str:
    """A stable id for *container*'s place in *network*."""
    return hashlib.sha256(f"endpoint {container} {network}".encode()).hexdigest()


def network_document(network: NetworkRow, places: Iterable[EndpointRow]) -> dict[str, Any]:
    """The object of ``network inspect``; of *places* the active ones are shown, as docker does."""
    created = datetime.fromtimestamp(network.created / 1e9, UTC)
    subnets = [
        (network.subnet, network.ip_range, network.gateway),
        (network.subnet6, network.ip_range6, network.gateway6),
    ]
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": created.isoformat().replace("+00:00", "Z"),
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv6": bool(network.subnet6),
        "IPAM": {
            "Driver": "default",
            "Options": None,
            "Config": [
                {"Subnet": subnet, **({"IPRange": part} if part else {}), "Gateway": gateway}
                for subnet, part, gateway in subnets
                if subnet
            ],
        },
        "Internal": network.internal,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {
            place.container: {
                "Name": place.name,
                "EndpointID": endpoint_id(place.container, network.id),
                "MacAddress": place.mac,
                "IPv4Address": f"{place.address}/{addresses.prefix_of(network.subnet)}",
                "IPv6Address": f"{place.address6}/{addresses.prefix_of(network.subnet6)}" if place.address6 else "",
            }
            for place in places
            if place.active
        },
        "Options": {
            **({"com.docker.network.bridge.name": network.bridge} if network.bridge else {}),
            **network.options,
        },
        "Labels": dict(network.labels),
    }


def settings_document(
    places: Sequence[tuple[NetworkRow, EndpointRow | None]],
    ports: Sequence[PortRow],
    *,
    sandbox: str,
    exposed: Iterable[str] = (),
) -> dict[str, Any]:
    """The ``NetworkSettings`` of a container with *places*, without an endpoint where the network is no bridge.

    *sandbox* is the file of its network namespace, "" while it does not run; *exposed* are ports like "80/tcp" that are
    shown with null when they are not published. An endpoint that is not active shows no address. As in docker, the
    addresses outside of ``Networks`` are those in the network "bridge".
    """
    bound: dict[str, list[dict[str, str]] | None] = dict.fromkeys(sorted(exposed))
    for port in ports:
        key = f"{port.container_port}/{port.protocol}"
        binding = {"HostIp": port.host_ip or "0.0.0.0", "HostPort": str(port.host_port)}  # noqa: S104
        bound[key] = [*(bound.get(key) or []), binding]
    networks = {network.name: _place(network, place) for network, place in places}
    document: dict[str, Any] = {
        "Bridge": "",
        "SandboxID": hashlib.sha256(sandbox.encode()).hexdigest() if sandbox else "",
        "SandboxKey": sandbox,
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "Ports": bound,
        **{key: networks["bridge"][key] if "bridge" in networks else empty for key, empty in _NOWHERE.items()},
        "Networks": networks,
    }
    return document


_NOWHERE: dict[str, Any] = {
    "EndpointID": "",
    "Gateway": "",
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "MacAddress": "",
}


def _place(network: NetworkRow, place: EndpointRow | None) -> dict[str, Any]:
    where = dict(_NOWHERE)
    names: list[str] = []
    if place is not None:
        names = [place.name, *place.aliases, place.container[:12]]
    if place is not None and place.active:
        where |= {
            "EndpointID": endpoint_id(place.container, network.id),
            "Gateway": "" if network.internal else network.gateway,
            "IPAddress": place.address,
            "IPPrefixLen": addresses.prefix_of(network.subnet),
            "MacAddress": place.mac,
        }
        if place.address6:
            where |= {
                "IPv6Gateway": "" if network.internal else network.gateway6,
                "GlobalIPv6Address": place.address6,
                "GlobalIPv6PrefixLen": addresses.prefix_of(network.subnet6),
            }
    return {
        "IPAMConfig": None,
        "Links": None,
        "Aliases": list(place.aliases) or None if place is not None else None,
        "DriverOpts": None,
        "NetworkID": network.id,
        **where,
        "DNSNames": None if network.name == "bridge" or place is None else list(dict.fromkeys(names)),
    }
