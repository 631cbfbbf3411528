"""The host's links as a child of the spawner sees and changes them, by netlink. Decides nothing: see `plan`."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
from collections.abc import Iterable, Iterator
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from jackstay_agent.errors import Error
from jackstay_agent.networks.plan import MARK, Actual, Found, Step

_IFF_UP = 1
_NO_DUPLICATE_DETECTION = 0x02  # IFA_F_NODAD: else an address could not be used for its first second
_UNICAST = 1  # RTN_UNICAST
_MAIN = 254  # RT_TABLE_MAIN


def look(route: IPRoute, bridges: Iterable[str], folder: str | None) -> Actual:
    """What `plan.Actual` has, of *bridges*, of bridges with the agent's mark, and of *folder*."""
    links = {link["index"]: link for link in route.get_links()}
    names = {index: link.get_attr("IFLA_IFNAME") for index, link in links.items()}
    asked = set(bridges)
    marks = {index: link.get_attr("IFLA_IFALIAS") or "" for index, link in links.items()}
    ours = {index for index, name in names.items() if name in asked or marks[index].startswith(MARK)}
    addresses = [
        (message["index"], f"{_address(message)}/{message['prefixlen']}")
        for family in (socket.AF_INET, socket.AF_INET6)
        for message in _dump(route.get_addr, family=family)
        if not ipaddress.ip_address(_address(message)).is_link_local
    ]
    ways = [
        (names.get(message.get_attr("RTA_OIF"), ""), f"{message.get_attr('RTA_DST')}/{message['dst_len']}")
        for family in (socket.AF_INET, socket.AF_INET6)
        for message in _dump(route.get_routes, family=family, table=_MAIN)
        if message["dst_len"] and message["type"] == _UNICAST and message.get_attr("RTA_OIF") not in ours
    ]
    return Actual(
        bridges={
            names[index]: Found(
                up=bool(links[index]["flags"] & _IFF_UP),
                addresses=frozenset(address for place, address in addresses if place == index),
                route_localnet=sysctl(f"ipv4/conf/{names[index]}/route_localnet") == "1",
                mark=marks[index],
                mtu=int(links[index].get_attr("IFLA_MTU")),
                ipv6=sysctl(f"ipv6/conf/{names[index]}/disable_ipv6") == "0",
            )
            for index in ours
        },
        forwarding=sysctl("ipv4/ip_forward") == "1",
        forwarding6=sysctl("ipv6/conf/all/forwarding") == "1",
        interfaces=tuple(
            (name, names.get(links[position].get_attr("IFLA_MASTER"), "")) for position, name in names.items()
        ),
        netns=frozenset(os.listdir(folder)) if folder is not None and os.path.isdir(folder) else frozenset(),
        others=tuple((names.get(place, ""), address) for place, address in addresses if place not in ours),
        routes=tuple((link, way) for link, way in ways if not ipaddress.ip_network(way).is_link_local),
    )


def do(route: IPRoute, step: Step) -> None:
    """Do *step*, which is about a link or about forwarding. What is done already is taken for done."""
    match step.kind:
        case "add_bridge":
            with _done_already(errno.EEXIST):
                # An own MAC, for else the bridge's would change with the pairs in it.
                route.link("add", ifname=step.subject, kind="bridge", address=step.value)
            write_sysctl(f"ipv6/conf/{step.subject}/disable_ipv6", "1")
        case "mark":
            route.link("set", index=index_of(step.subject), ifalias=step.value)
        case "mtu":
            route.link("set", index=index_of(step.subject), mtu=int(step.value))
        case "ipv6":
            write_sysctl(f"ipv6/conf/{step.subject}/accept_ra", "0")
            write_sysctl(f"ipv6/conf/{step.subject}/disable_ipv6", "0")
        case "remove_address":
            address, _, prefix = step.value.partition("/")
            with _done_already(errno.EADDRNOTAVAIL):
                route.addr("del", index=index_of(step.subject), address=address, prefixlen=int(prefix))
        case "add_address":
            add_address(route, index_of(step.subject), step.value)
        case "bridge_up":
            route.link("set", index=index_of(step.subject), state="up")
        case "route_localnet":
            write_sysctl(f"ipv4/conf/{step.subject}/route_localnet", "1")
        case "forward":
            write_sysctl("ipv4/ip_forward", "1")
        case "forward6":
            _forward6()
        case "attach":
            route.link("set", index=index_of(step.subject), master=index_of(step.value))
            join(route, step.subject)
        case "delete_link":
            delete_links([step.subject])


def add_address(route: IPRoute, index: int, cidr: str) -> None:
    """Give the link its address of either family; one that it has already is fine."""
    interface = ipaddress.ip_interface(cidr)
    options: dict[str, Any] = (
        {"broadcast": str(interface.network.broadcast_address)}
        if interface.version == 4
        else {"flags": _NO_DUPLICATE_DETECTION}
    )
    with _done_already(errno.EEXIST):
        route.addr("add", index=index, address=str(interface.ip), prefixlen=interface.network.prefixlen, **options)


def join(route: IPRoute, interface: str) -> None:
    """Let the bridge's port *interface* carry packets, also back to where they came from (hairpin).

    A host with br_netfilter (another engine loads it) translates a container's packet to its own published port inside
    the bridge, which then has to send it out of the port it came in by.
    """
    index = index_of(interface)
    route.brport("set", index=index, mode=1)
    route.link("set", index=index, state="up")


def delete_links(names: Iterable[str]) -> None:
    """Delete those of the links *names* that are there, in the namespace that this process is in."""
    there = {name for _index, name in socket.if_nameindex()}.intersection(names)
    if not there:
        return  # without a socket of netlink's, whose set-up takes longer than everything else here
    with IPRoute() as route:
        for name in there:
            with _done_already(errno.ENODEV), contextlib.suppress(OSError):
                route.link("del", index=socket.if_nametoindex(name))


def index_of(name: str) -> int:
    """The number of the link *name* in the namespace that this process is in. Raises `Error`."""
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise Error(f"the network interface {name} went away", hint="retry") from error


def sysctl(name: str) -> str:
    """The kernel setting *name* below ``net``; "" when this kernel does not have it (IPv6 switched off)."""
    try:
        with open(f"/proc/sys/net/{name}") as setting:
            return setting.read().strip()
    except FileNotFoundError:
        return ""


def write_sysctl(name: str, value: str) -> None:
    """Set a kernel setting below ``net``; one that this kernel does not have is left."""
    with contextlib.suppress(FileNotFoundError):
        with open(f"/proc/sys/net/{name}", "w") as setting:
            setting.write(value)


def _forward6() -> None:
    """Let the host forward IPv6. It would stop to listen to its routers then, so those links are told to go on."""
    with contextlib.suppress(FileNotFoundError):
        for link in os.listdir("/proc/sys/net/ipv6/conf"):
            if sysctl(f"ipv6/conf/{link}/accept_ra") == "1":
                write_sysctl(f"ipv6/conf/{link}/accept_ra", "2")
    write_sysctl("ipv6/conf/all/forwarding", "1")


def _address(message: Any) -> str:
    return str(message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"))


def _dump(ask: Any, **options: Any) -> list[Any]:
    try:
        return list(ask(**options))
    except NetlinkError as error:
        if error.code not in (errno.EOPNOTSUPP, errno.EAFNOSUPPORT):
            raise
        return []  # a kernel without IPv6


@contextlib.contextmanager
def _done_already(code: int) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        if error.code != code:
            raise
