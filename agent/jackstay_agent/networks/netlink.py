"""The jobs that change links and network namespaces, for children of the spawner.

Guarantees: `connect` leaves nothing when it fails; `disconnect` and `apply` take what is already done for done. A
network namespace is kept by a file in the agent's run folder, on which it is bound, so that the runtime joins it by a
path and it lives as long as the container and not as the process that made it. Decides nothing: see `plan`.
"""

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

from jackstay_agent import faults
from jackstay_agent.errors import Error
from jackstay_agent.kernel import syscalls
from jackstay_agent.networks import observation
from jackstay_agent.networks.flows import forget_addresses
from jackstay_agent.networks.plan import Actual, Bridge, Step, bridge_steps

_IFF_UP = 1


def warm() -> None:
    """Called once in the spawner: what a first socket of netlink's loads and makes is then there in every child."""
    with contextlib.suppress(OSError, NetlinkError), IPRoute() as route:
        route.get_links("lo")


def observe(argument: Any, _descriptors: list[int]) -> dict[str, Any]:
    """Job: what `plan.Actual` has, of the bridge and folder in *argument*."""
    bridge, folder = argument
    with _told("looking at the host's links"), IPRoute() as route:
        return observation.encode(_look(route, bridge, folder))


def apply(argument: Any, _descriptors: list[int]) -> None:
    """Job: do the steps in *argument* ``[folder, [[kind, subject, value], …]]``."""
    folder, steps = argument
    with _told("setting up the host's links"), IPRoute() as route:
        for kind, subject, value in steps:
            _do(route, folder, Step(kind, subject, value))


def connect(argument: Any, _descriptors: list[int]) -> None:
    """Job: make a container's network namespace, with a way to the bridge if there is one.

    *argument* is ``[folder, container, endpoint]``, the endpoint being None (only ``lo``) or a dict of the bridge's
    ``bridge``, ``gateway_cidr``, ``bridge_mac`` and the container's ``interface``, ``cidr``, ``mac``, ``gateway``.
    """
    folder, container, endpoint = argument
    host = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with _told(f"connecting the container {container[:12]}"):
            _clear(folder, container, endpoint)
            try:
                inner = _make_netns(os.path.join(folder, container))
                with IPRoute() as within:
                    within.link("set", index=1, state="up")
                    _open_to_users()
                    if endpoint is not None:
                        _link(host, inner, within, endpoint)
                syscalls.setns(host)
            except BaseException:
                syscalls.setns(host)
                _clear(folder, container, endpoint)
                raise
    finally:
        os.close(host)


def disconnect(argument: Any, _descriptors: list[int]) -> None:
    """Job: undo `connect`; *argument* is ``[folder, container, [interface, …], [address, …]]``."""
    folder, container, interfaces, addresses = argument
    with _told(f"disconnecting the container {container[:12]}"):
        _delete_links(interfaces)
        _remove_netns(os.path.join(folder, container))
        if addresses:
            forget_addresses(addresses)


def _look(route: IPRoute, bridge: str, folder: str | None) -> Actual:
    links = {link["index"]: link for link in route.get_links()}
    names = {index: link.get_attr("IFLA_IFNAME") for index, link in links.items()}
    index = next((index for index, name in names.items() if name == bridge), None)
    addresses = [
        (message["index"], f"{message.get_attr('IFA_LOCAL')}/{message['prefixlen']}")
        for message in route.get_addr(family=socket.AF_INET)
    ]
    with contextlib.suppress(FileNotFoundError):
        return Actual(
            exists=index is not None,
            up=index is not None and bool(links[index]["flags"] & _IFF_UP),
            addresses=frozenset(address for place, address in addresses if place == index),
            others=tuple((names.get(place, ""), address) for place, address in addresses if place != index),
            route_localnet=index is not None and _sysctl(f"conf/{bridge}/route_localnet") == "1",
            forwarding=_sysctl("ip_forward") == "1",
            interfaces=tuple(
                (name, names.get(links[position].get_attr("IFLA_MASTER"), "")) for position, name in names.items()
            ),
            netns=frozenset(os.listdir(folder)) if folder is not None and os.path.isdir(folder) else frozenset(),
        )
    raise Error(f"the bridge {bridge} went away while it was looked at", hint="retry")


def _do(route: IPRoute, folder: str, step: Step) -> None:
    match step.kind:
        case "add_bridge":
            try:
                # An own MAC, for else the bridge's would change with the pairs in it.
                route.link("add", ifname=step.subject, kind="bridge", address=step.value)
            except NetlinkError as error:
                if error.code != errno.EEXIST:
                    raise
            _write_sysctl(f"/proc/sys/net/ipv6/conf/{step.subject}/disable_ipv6", "1")
        case "remove_address":
            address, _, prefix = step.value.partition("/")
            route.addr("del", index=_index(step.subject), address=address, prefixlen=int(prefix))
        case "add_address":
            interface = ipaddress.IPv4Interface(step.value)
            try:
                route.addr(
                    "add",
                    index=_index(step.subject),
                    address=str(interface.ip),
                    prefixlen=interface.network.prefixlen,
                    broadcast=str(interface.network.broadcast_address),
                )
            except NetlinkError as error:
                if error.code != errno.EEXIST:
                    raise
        case "bridge_up":
            route.link("set", index=_index(step.subject), state="up")
        case "route_localnet":
            _write_sysctl(f"/proc/sys/net/ipv4/conf/{step.subject}/route_localnet", "1")
        case "forward":
            _write_sysctl("/proc/sys/net/ipv4/ip_forward", "1")
        case "attach":
            route.link("set", index=_index(step.subject), master=_index(step.value))
            _join(route, step.subject)
        case "delete_link":
            _delete_links([step.subject])
        case "remove_netns":
            _remove_netns(os.path.join(folder, step.subject))


def _make_netns(path: str) -> int:
    """Enter a new network namespace that *path* keeps; its descriptor."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC, 0o400))
    syscalls.unshare(syscalls.CLONE_NEWNET)
    syscalls.mount("/proc/self/ns/net", path, None, syscalls.MS_BIND)
    faults.point("networks.netns.mounted")
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _open_to_users() -> None:
    """In a namespace of its own nothing speaks for guarding ports below 1024 and ping, so they are as in docker."""
    _write_sysctl("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0")
    _write_sysctl("/proc/sys/net/ipv4/ping_group_range", "0 2147483647")


def _link(host: int, inner: int, within: IPRoute, endpoint: dict[str, Any]) -> None:
    """Join the namespace *inner*, of which *within* is, to the bridge; begins and ends in *inner*."""
    syscalls.setns(host)
    bridge = Bridge(endpoint["bridge"], endpoint["gateway_cidr"], endpoint["bridge_mac"])
    with IPRoute() as route:
        # Somebody may have taken the bridge away since the agent started.
        for step in bridge_steps(bridge, _look(route, bridge.name, None)):
            _do(route, "", step)
        route.link(
            "add",
            ifname=endpoint["interface"],
            kind="veth",
            master=_index(bridge.name),  # in one with the creation, so that what a crash leaves is known as ours
            peer={"ifname": "eth0", "address": endpoint["mac"], "net_ns_fd": inner},
        )
        faults.point("networks.netns.linked")
        _join(route, endpoint["interface"])
    syscalls.setns(inner)
    _write_sysctl("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "1")
    interface = ipaddress.IPv4Interface(endpoint["cidr"])
    index = _index("eth0")
    within.addr(
        "add",
        index=index,
        address=str(interface.ip),
        prefixlen=interface.network.prefixlen,
        broadcast=str(interface.network.broadcast_address),
    )
    within.link("set", index=index, state="up")
    within.route("add", dst="default", gateway=endpoint["gateway"], oif=index)


def _join(route: IPRoute, interface: str) -> None:
    """Let the bridge's port *interface* carry packets, also back to where they came from (hairpin).

    A host with br_netfilter (another engine loads it) translates a container's packet to its own published port inside
    the bridge, which then has to send it out of the port it came in by.
    """
    index = _index(interface)
    route.brport("set", index=index, mode=1)
    route.link("set", index=index, state="up")


def _clear(folder: str, container: str, endpoint: dict[str, Any] | None) -> None:
    """Take away what an earlier start of *container* left; called in the host's namespace."""
    if endpoint is not None:
        _delete_links([endpoint["interface"]])
    _remove_netns(os.path.join(folder, container))


def _delete_links(names: Iterable[str]) -> None:
    """Delete those of the links *names* that are there."""
    there = {name for _index, name in socket.if_nameindex()}.intersection(names)
    if not there:
        return  # without a socket of netlink's, whose set-up takes longer than everything else here
    with IPRoute() as route:
        for name in there:
            try:
                route.link("del", index=_index(name))
            except NetlinkError as error:
                if error.code != errno.ENODEV:
                    raise


def _remove_netns(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        # More than once, if ever two were mounted over each other: until nothing is mounted there.
        with contextlib.suppress(OSError):
            while True:
                syscalls.umount(path, syscalls.MNT_DETACH)
                faults.point("networks.netns.unmounted")
        os.unlink(path)


def _index(name: str) -> int:
    """The number of the link called *name* in the namespace that this process is in."""
    try:
        return socket.if_nametoindex(name)
    except OSError as error:
        raise Error(f"the network interface {name} went away", hint="retry") from error


def _sysctl(name: str) -> str:
    with open(f"/proc/sys/net/ipv4/{name}") as setting:
        return setting.read().strip()


def _write_sysctl(path: str, value: str) -> None:
    """Set a kernel setting; one that this kernel does not have (IPv6 switched off) is left."""
    with contextlib.suppress(FileNotFoundError):
        with open(path, "w") as setting:
            setting.write(value)


@contextlib.contextmanager
def _told(doing: str) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        raise Error(f"{doing}: {os.strerror(error.code)}") from error
