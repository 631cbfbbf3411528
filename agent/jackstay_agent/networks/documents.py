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


def network_document(network: NetworkRow, endpoints: Iterable[EndpointRow]) -> dict[str, Any]:
    """The object of ``network inspect``; of *endpoints* the active ones are shown, as docker does."""
    prefix = addresses.prefix_of(network.subnet) if network.subnet else 0
    created = datetime.fromtimestamp(network.created / 1e9, UTC)
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": created.isoformat().replace("+00:00", "Z"),
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv6": False,
        "IPAM": {
            "Driver": "default",
            "Options": None,
            "Config": [{"Subnet": network.subnet, "Gateway": network.gateway}] if network.subnet else [],
        },
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {
            endpoint.container: {
                "Name": endpoint.name,
                "EndpointID": endpoint_id(endpoint.container, network.id),
                "MacAddress": endpoint.mac,
                "IPv4Address": f"{endpoint.address}/{prefix}",
                "IPv6Address": "",
            }
            for endpoint in endpoints
            if endpoint.active
        },
        "Options": {"com.docker.network.bridge.name": network.bridge} if network.bridge else {},
        "Labels": {},
    }


def settings_document(
    network: NetworkRow | None,
    endpoint: EndpointRow | None,
    ports: Sequence[PortRow],
    *,
    sandbox: str,
    exposed: Iterable[str] = (),
) -> dict[str, Any]:
    """The ``NetworkSettings`` of a container in *network*, at *endpoint* when that is a bridge.

    *sandbox* is the file of its network namespace, "" while it does not run; *exposed* are ports like "80/tcp" that are
    shown with null when they are not published. An endpoint that is not active shows no address.
    """
    bound: dict[str, list[dict[str, str]] | None] = dict.fromkeys(sorted(exposed))
    for port in ports:
        key = f"{port.container_port}/{port.protocol}"
        binding = {"HostIp": port.host_ip or "0.0.0.0", "HostPort": str(port.host_port)}  # noqa: S104
        bound[key] = [*(bound.get(key) or []), binding]
    active = endpoint is not None and endpoint.active
    place = {
        "EndpointID": endpoint_id(endpoint.container, endpoint.network) if endpoint is not None and active else "",
        "Gateway": network.gateway if network is not None and active else "",
        "IPAddress": endpoint.address if endpoint is not None and active else "",
        "IPPrefixLen": addresses.prefix_of(network.subnet) if network is not None and active else 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "MacAddress": endpoint.mac if endpoint is not None and active else "",
    }
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
        **place,
        "Networks": {},
    }
    if network is not None:
        document["Networks"][network.name] = {
            "IPAMConfig": None,
            "Links": None,
            "Aliases": None,
            "DriverOpts": None,
            "NetworkID": network.id,
            **place,
            "DNSNames": None,
        }
    return document
