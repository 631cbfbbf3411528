"""The whole packet filter of this host's networks, as one atomic batch for ``nft -j -f -``. Pure.

Guarantees: the batch replaces the tables ``ip jackstay`` and ``ip6 jackstay`` as a whole, so nothing of an earlier
state stays; it touches no other table. The second one is there only when a network has IPv6. What the rules do, a
network being a bridge with a subnet:

- containers reach the world, with the host's address (masquerade);
- a published port leads to its container from the outside, from the host (127.0.0.1 too) and from containers, its own
  included (hairpin);
- nothing from outside a bridge reaches a container otherwise, also when it knows the container's address and routes
  packets for it through this host;
- between two networks nothing passes but what is published, and nothing into or out of an internal one;
- ``route_localnet``, which 127.0.0.1 needs, opens no way to the host's loopback services: what comes in for 127/8, or
  in its name, is dropped before anything looks at it (CVE-2020-8558).

Ports are looked up in two maps, so the cost of a packet does not grow with the number of ports. Only expressions that
nft 1.0 accepts as JSON are used: it has no maps whose values are an address and a port, hence a chain a target.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

TABLE = "jackstay"

_Json = dict[str, Any]

_ACCEPT: _Json = {"accept": None}
_DROP: _Json = {"drop": None}
_MASQUERADE: _Json = {"masquerade": None}
_LOOPBACK: _Json = {"prefix": {"addr": "127.0.0.0", "len": 8}}


@dataclass(frozen=True, slots=True)
class BridgeNetwork:
    """A network as the packet filter sees it."""

    bridge: str
    subnet: str  # CIDR
    subnet6: str = ""
    internal: bool = False


@dataclass(frozen=True, slots=True)
class Forward:
    """One published port: packets for `host_ip` ("" any address of the host) and `host_port` go to the target."""

    protocol: str
    host_ip: str
    host_port: int
    address: str
    port: int


def render(networks: Iterable[BridgeNetwork], forwards: Iterable[Forward], *, six: bool = True) -> bytes:
    """The batch that makes the tables hold exactly this; *six*: the kernel has IPv6."""
    found = list(networks)
    commands = [*_none("ip"), {"add": {"table": {"family": "ip", "name": TABLE}}}]
    commands += _chains()
    commands += _ports(sorted(forwards, key=_order))
    commands += _published()
    commands.append(
        _rule("raw-prerouting", _match(_meta("iifname"), "lo", "!="), _match(_field("ip", "daddr"), _LOOPBACK), _DROP)
    )
    commands += _internal(found, "ip")  # before all that lets packets through
    for network in found:
        commands += _network(network)
    commands += _none("ip6") if six else []
    if inner6 := [network for network in found if network.subnet6]:
        commands += _six(inner6)
    return json.dumps({"nftables": commands}, separators=(",", ":")).encode()


def remove() -> bytes:
    """The batch that takes the tables away, whether they are there or not."""
    return json.dumps({"nftables": [*_none("ip"), *_none("ip6")]}).encode()


def _none(family: str) -> list[_Json]:
    table = {"family": family, "name": TABLE}
    return [{"add": {"table": table}}, {"delete": {"table": table}}]


def _order(forward: Forward) -> tuple[str, str, int]:
    return (forward.protocol, forward.host_ip, forward.host_port)


def _chains() -> list[_Json]:
    return [
        _base("raw-prerouting", "filter", "prerouting", -300),
        _base("nat-prerouting", "nat", "prerouting", -100),
        _base("nat-output", "nat", "output", -100),
        _base("nat-postrouting", "nat", "postrouting", 100),
        _base("forward", "filter", "forward", 0),
    ]


def _ports(forwards: Sequence[Forward]) -> list[_Json]:
    """The maps from a port of the host to the chain of its target, and those chains."""
    targets = {_target(forward): forward for forward in forwards}
    commands = [_add("chain", name=name) for name in targets]
    commands += [
        # The match says nothing new, but nft translates ports only after one of the transport protocol.
        _rule(
            name,
            _match(_meta("l4proto"), forward.protocol),
            {"dnat": {"family": "ip", "addr": forward.address, "port": forward.port}},
        )
        for name, forward in targets.items()
    ]
    at = [forward for forward in forwards if forward.host_ip]
    anywhere = [forward for forward in forwards if not forward.host_ip]
    commands.append(
        _map(
            "published-at",
            ["ipv4_addr", "inet_proto", "inet_service"],
            [([forward.host_ip, forward.protocol, forward.host_port], _target(forward)) for forward in at],
        )
    )
    commands.append(
        _map(
            "published",
            ["inet_proto", "inet_service"],
            [([forward.protocol, forward.host_port], _target(forward)) for forward in anywhere],
        )
    )
    return commands


def _published() -> list[_Json]:
    local = _match({"fib": {"result": "type", "flags": ["daddr"]}}, "local")
    port: list[_Json] = [{"meta": {"key": "l4proto"}}, _field("th", "dport")]
    commands = []
    for chain in ("nat-prerouting", "nat-output"):
        # One address before every address, so that both may be published for the same port on different ones.
        commands.append(_rule(chain, local, _lookup([_field("ip", "daddr"), *port], "published-at")))
        commands.append(_rule(chain, local, _lookup(port, "published")))
    return commands


def _internal(networks: Sequence[BridgeNetwork], family: str) -> list[_Json]:
    rules = []
    for network in networks:
        if network.internal:
            into, out = _match(_meta("oifname"), network.bridge), _match(_meta("iifname"), network.bridge)
            rules.append(_rule("forward", into, _match(_meta("iifname"), network.bridge, "!="), _DROP, family=family))
            rules.append(_rule("forward", out, _match(_meta("oifname"), network.bridge, "!="), _DROP, family=family))
    return rules


def _network(network: BridgeNetwork) -> list[_Json]:
    bridge, subnet = network.bridge, _prefix(network.subnet)
    from_bridge = _match(_meta("iifname"), bridge)
    to_bridge = _match(_meta("oifname"), bridge)
    loopback = _rule("raw-prerouting", from_bridge, _match(_field("ip", "saddr"), _LOOPBACK), _DROP)
    if network.internal:
        return [loopback]
    translated = _match({"ct": {"key": "status"}}, "dnat", "in")
    return [
        loopback,
        _masquerade("ip", bridge, network.subnet),
        # From the host's 127.0.0.1 to a published port: the container must not answer to its own loopback.
        _rule("nat-postrouting", to_bridge, _match(_field("ip", "saddr"), _LOOPBACK), _MASQUERADE),
        # Hairpin: the answer must come back here to be translated, and not go straight to the container that asked.
        _rule("nat-postrouting", to_bridge, _match(_field("ip", "saddr"), subnet), translated, _MASQUERADE),
        _rule("forward", to_bridge, _match({"ct": {"key": "state"}}, ["established", "related"], "in"), _ACCEPT),
        _rule("forward", to_bridge, translated, _ACCEPT),
        _rule("forward", from_bridge, to_bridge, _ACCEPT),
        _rule("forward", to_bridge, _DROP),
    ]


def _six(networks: Sequence[BridgeNetwork]) -> list[_Json]:
    """The table of IPv6, in which no port is translated."""
    commands = [
        {"add": {"table": {"family": "ip6", "name": TABLE}}},
        _base("nat-postrouting", "nat", "postrouting", 100, family="ip6"),
        _base("forward", "filter", "forward", 0, family="ip6"),
        *_internal(networks, "ip6"),
    ]
    known = _match({"ct": {"key": "state"}}, ["established", "related"], "in")
    for network in networks:
        if not network.internal:
            into, out = _match(_meta("oifname"), network.bridge), _match(_meta("iifname"), network.bridge)
            commands += [
                _masquerade("ip6", network.bridge, network.subnet6),
                _rule("forward", into, known, _ACCEPT, family="ip6"),
                _rule("forward", out, into, _ACCEPT, family="ip6"),
                _rule("forward", into, _DROP, family="ip6"),
            ]
    return commands


def _masquerade(family: str, bridge: str, subnet: str) -> _Json:
    away = _match(_meta("oifname"), bridge, "!=")
    return _rule("nat-postrouting", _match(_field(family, "saddr"), _prefix(subnet)), away, _MASQUERADE, family=family)


def _target(forward: Forward) -> str:
    return f"to-{forward.protocol}-{forward.address}-{forward.port}"


def _add(kind: str, family: str = "ip", **fields: Any) -> _Json:
    return {"add": {kind: {"family": family, "table": TABLE, **fields}}}


def _base(name: str, kind: str, hook: str, priority: int, *, family: str = "ip") -> _Json:
    return _add("chain", family, name=name, type=kind, hook=hook, prio=priority, policy="accept")


def _rule(chain: str, *expressions: _Json, family: str = "ip") -> _Json:
    return _add("rule", family, chain=chain, expr=list(expressions))


def _map(name: str, key: list[str], elements: list[tuple[list[Any], str]]) -> _Json:
    fields: _Json = {"name": name, "type": key, "map": "verdict"}
    if elements:
        fields["elem"] = [[{"concat": values}, {"goto": {"target": chain}}] for values, chain in elements]
    return _add("map", **fields)


def _match(left: _Json, right: Any, op: str = "==") -> _Json:
    return {"match": {"op": op, "left": left, "right": right}}


def _meta(key: str) -> _Json:
    return {"meta": {"key": key}}


def _field(protocol: str, field: str) -> _Json:
    return {"payload": {"protocol": protocol, "field": field}}


def _prefix(cidr: str) -> _Json:
    address, _, length = cidr.partition("/")
    return {"prefix": {"addr": address, "len": int(length)}}


def _lookup(key: list[_Json], name: str) -> _Json:
    return {"vmap": {"key": {"concat": key}, "data": f"@{name}"}}
