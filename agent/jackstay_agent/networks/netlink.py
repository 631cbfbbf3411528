"""The jobs that change links and network namespaces, for children of the spawner.

Guarantees: `connect` and `attach` leave nothing when they fail; `disconnect`, `detach` and `apply` take what is already
done for done. A network namespace is kept by a file in the agent's run folder, on which it is bound, so that the
runtime joins it by a path and it lives as long as the container and not as the process that made it. Decides nothing:
see `plan`.

An endpoint is a dict: the ``bridge`` (the fields of `plan.Bridge`), the ``interface`` on the host, its ``name`` inside,
``mac``, ``cidr``, ``cidr6``, and ``gateway`` and ``gateway6`` for the default routes; "" where there is none.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from jackstay_agent import faults
from jackstay_agent.errors import Error
from jackstay_agent.kernel import syscalls
from jackstay_agent.kernel.id_maps import child_after
from jackstay_agent.networks import links, observation
from jackstay_agent.networks.flows import forget_addresses
from jackstay_agent.networks.plan import Bridge, Step, bridge_steps


def warm() -> None:
    """Called once in the spawner: what a first socket of netlink's loads and makes is then there in every child."""
    with contextlib.suppress(OSError, NetlinkError), IPRoute() as route:
        list(route.get_links())


def observe(argument: Any, _descriptors: list[int]) -> dict[str, Any]:
    """Job: what `plan.Actual` has, of the bridges and folder in *argument* ``[[bridge, …], folder]``."""
    bridges, folder = argument
    with _told("looking at the host's links"), IPRoute() as route:
        return observation.encode(links.look(route, bridges, folder))


def apply(argument: Any, _descriptors: list[int]) -> None:
    """Job: do the steps in *argument* ``[folder, [[kind, subject, value], …]]``."""
    folder, steps = argument
    with _told("setting up the host's links"), IPRoute() as route:
        for kind, subject, value in steps:
            if kind == "remove_netns":
                _remove_netns(os.path.join(folder, subject))
            else:
                links.do(route, Step(kind, subject, value))


def connect(argument: Any, descriptors: list[int]) -> None:
    """Job: make a container's network namespace; *argument* is ``[folder, container, [endpoint, …], users, gone]``.

    Without endpoints there is only ``lo``. *users* is the path of the user namespace that it is to belong to, or "";
    *gone* are links of others that go before. A byte is written to the descriptor, if there is one, when the namespace
    is there and has no links yet.
    """
    folder, container, endpoints, users, gone = argument
    host = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    interfaces = [endpoint["interface"] for endpoint in endpoints]
    try:
        with _told(f"connecting the container {container[:12]}"):
            _clear(folder, container, [*interfaces, *gone])
            try:
                inner = _make_netns(os.path.join(folder, container), users)
                with IPRoute() as within:
                    within.link("set", index=1, state="up")
                    _open_to_users()
                    for told in descriptors:
                        os.write(told, b"1")
                    for endpoint in endpoints:
                        _link(host, inner, within, endpoint)
                syscalls.setns(host)
            except BaseException:
                syscalls.setns(host)
                _clear(folder, container, interfaces)
                raise
    finally:
        os.close(host)


def disconnect(argument: Any, _descriptors: list[int]) -> None:
    """Job: let go of what `connect` made; *argument* is ``[folder, container, [address, …]]``, whose flows are to end.

    The kernel takes the namespace's links away once nobody is in it any more, and nobody waits for that, since it takes
    longer than everything else here; see `delete_links`.
    """
    folder, container, addresses = argument
    with _told(f"disconnecting the container {container[:12]}"):
        _remove_netns(os.path.join(folder, container))
        if addresses:
            forget_addresses(addresses)


def delete_links(names: Any, _descriptors: list[int]) -> None:
    """Job: delete those of the links *names* that are still there, as when somebody else is in their namespace."""
    with _told("deleting the links of containers"):
        links.delete_links(names)


def attach(argument: Any, _descriptors: list[int]) -> None:
    """Job: give a container that runs one more interface; *argument* is ``[folder, container, endpoint]``."""
    folder, container, endpoint = argument
    host = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        with _told(f"connecting the container {container[:12]}"):
            inner = os.open(os.path.join(folder, container), os.O_RDONLY | os.O_CLOEXEC)
            try:
                syscalls.setns(inner)
                with IPRoute() as within:
                    _link(host, inner, within, endpoint)
            except BaseException:
                syscalls.setns(host)
                links.delete_links([endpoint["interface"]])
                raise
    finally:
        os.close(host)


def detach(argument: Any, _descriptors: list[int]) -> None:
    """Job: undo `attach`; *argument* is ``[folder, container, interface, [address, …], [[name, gateway], …]]``.

    The last are the default routes that the container has without it: through which interface, to whom.
    """
    folder, container, interface, addresses, gateways = argument
    with _told(f"disconnecting the container {container[:12]}"):
        links.delete_links([interface])
        forget_addresses(addresses)
        if not gateways:
            return
        inner = os.open(os.path.join(folder, container), os.O_RDONLY | os.O_CLOEXEC)
        syscalls.setns(inner)
        with IPRoute() as route:
            for name, gateway in gateways:
                route.route("replace", dst="default", gateway=gateway, oif=links.index_of(name), **_of(gateway))


def _make_netns(path: str, users: str) -> int:
    """Enter a new network namespace that *path* keeps, of the user namespace at *users*; its descriptor."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC, 0o400))
    if users:
        _make_netns_of(path, users)
    else:
        syscalls.unshare(syscalls.CLONE_NEWNET)
        syscalls.mount("/proc/self/ns/net", path, None, syscalls.MS_BIND)
        faults.point("networks.netns.mounted")
    return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _make_netns_of(path: str, users: str) -> None:
    """A child makes it: who has entered the user namespace can mount nothing here any more."""
    owner = os.open(users, os.O_RDONLY | os.O_CLOEXEC)

    def step() -> None:
        syscalls.setns(owner, syscalls.CLONE_NEWUSER)
        syscalls.unshare(syscalls.CLONE_NEWNET)

    with child_after(step) as child:
        syscalls.mount(f"/proc/{child}/ns/net", path, None, syscalls.MS_BIND)
        faults.point("networks.netns.mounted_of")
        made = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    os.close(owner)
    syscalls.setns(made, syscalls.CLONE_NEWNET)
    os.close(made)


def _open_to_users() -> None:
    """In a namespace of its own nothing speaks for guarding ports below 1024 and ping, so they are as in docker."""
    links.write_sysctl("ipv4/ip_unprivileged_port_start", "0")
    links.write_sysctl("ipv4/ping_group_range", "0 2147483647")


def _link(host: int, inner: int, within: IPRoute, endpoint: dict[str, Any]) -> None:
    """Join the namespace *inner*, of which *within* is, to the bridge; begins and ends in *inner*."""
    syscalls.setns(host)
    bridge, name = Bridge(**endpoint["bridge"]), endpoint["name"]
    with IPRoute() as route:
        # Somebody may have taken the bridge away since the agent started.
        for step in bridge_steps(bridge, links.look(route, [bridge.name], None)):
            links.do(route, step)
        size = {"mtu": bridge.mtu} if bridge.mtu else {}
        route.link(
            "add",
            ifname=endpoint["interface"],
            kind="veth",
            master=links.index_of(bridge.name),  # in one with the creation, so that what a crash leaves is ours
            peer={"ifname": name, "address": endpoint["mac"], "net_ns_fd": inner, **size},
            **size,
        )
        faults.point("networks.netns.linked")
        links.join(route, endpoint["interface"])
    syscalls.setns(inner)
    links.write_sysctl(f"ipv6/conf/{name}/accept_ra", "0")
    links.write_sysctl(f"ipv6/conf/{name}/disable_ipv6", "0" if endpoint["cidr6"] else "1")
    index = links.index_of(name)
    for cidr in (endpoint["cidr"], endpoint["cidr6"]):
        if cidr:
            links.add_address(within, index, cidr)
    within.link("set", index=index, state="up")
    for gateway in (endpoint["gateway"], endpoint["gateway6"]):
        if gateway:
            within.route("replace", dst="default", gateway=gateway, oif=index, **_of(gateway))


def _of(gateway: str) -> dict[str, int]:
    return {"family": socket.AF_INET6 if ":" in gateway else socket.AF_INET}


def _clear(folder: str, container: str, interfaces: list[str]) -> None:
    """Take away what a start of *container* made; called in the host's namespace."""
    links.delete_links(interfaces)
    _remove_netns(os.path.join(folder, container))


def _remove_netns(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        # More than once, if ever two were mounted over each other: until nothing is mounted there.
        with contextlib.suppress(OSError):
            while True:
                syscalls.umount(path, syscalls.MNT_DETACH)
                faults.point("networks.netns.unmounted")
        os.unlink(path)


@contextlib.contextmanager
def _told(doing: str) -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        raise Error(f"{doing}: {os.strerror(error.code)}") from error
