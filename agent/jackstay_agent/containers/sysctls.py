"""``--sysctl``: only kernel settings that belong to a container's own namespaces. Pure.

The list is that of docker's opts.ValidateSysctl and runc's validator.
"""

from __future__ import annotations

from collections.abc import Mapping

from jackstay_agent.containers.namespaces import Shared
from jackstay_agent.errors import InvalidArgument

IPC = frozenset(
    f"kernel.{name}" for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)
OWN = Shared()
DEFAULT_NETWORK = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}
"""As docker since 20.10: ports below 1024 and ping need no capability in a network of the container's own."""


def of_network(asked: Mapping[str, str]) -> bool:
    """Whether some of *asked* are of the network: they may speak of its links, and count for those that come later."""
    return any(key.strip().startswith("net") for key in asked)


def build(asked: Mapping[str, str], *, host_network: bool, shared: Shared = OWN, own_ids: int = 0) -> dict[str, str]:
    """``linux.sysctl`` for *asked*, with the defaults of an own network; for all of *own_ids*, if there are some.

    Raises:
        InvalidArgument: a setting is not of a namespace, or of one that is the host's.
    """
    built = {} if host_network else dict(DEFAULT_NETWORK)
    if own_ids and not host_network:
        built["net.ipv4.ping_group_range"] = f"0 {own_ids - 1}"
    for key, value in sorted(asked.items()):
        name = key.strip().replace("/", ".")
        if "\0" in value or "\n" in value or ".." in name:
            raise InvalidArgument(f"sysctl {key[:60]!r} is malformed")
        if name.startswith("net."):
            if host_network:
                raise InvalidArgument(f"sysctl {name[:60]!r} not allowed in host network namespace")
        elif (shared.ipc and (name in IPC or name.startswith("fs.mqueue."))) or (
            shared.uts and name == "kernel.domainname"
        ):
            raise InvalidArgument(f"sysctl {name[:60]!r} not allowed in a namespace of the host")
        elif not (name in IPC or name.startswith("fs.mqueue.") or name == "kernel.domainname"):
            raise InvalidArgument(
                f"sysctl {name[:60]!r} is not allowed",
                hint="only kernel.msg*, kernel.sem, kernel.shm*, fs.mqueue.* and net.* belong to a container",
            )
        built[name] = value
    return built
