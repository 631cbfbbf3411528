"""A container's own settings: what `create` was asked for, kept as JSON in its row. Values only.

The fields mirror the protocol's ``CreateContainerRequest``, where their meaning is written.
"""

from __future__ import annotations

import msgspec


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A volume or a bind mount. `source` is a volume's name or an absolute host path."""

    type: str
    source: str
    target: str
    read_only: bool = False
    no_copy: bool = False
    propagation: str = "rprivate"
    create_source: bool = False
    anonymous: bool = False


class DeviceMapping(msgspec.Struct, frozen=True, kw_only=True):
    """A device of the host, or a folder of them, and where it is in the container; `permissions` of "rwm"."""

    host_path: str
    container_path: str
    permissions: str = "rwm"


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """A published port as asked for; `host_port` 0 is any free one, `host_ip` "" every address."""

    container_port: int
    protocol: str = "tcp"
    host_ip: str = ""
    host_port: int = 0


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """Limits; 0 or "" is none. Memory in bytes."""

    memory: int = 0
    memory_reservation: int = 0
    memory_swap: int = 0
    nano_cpus: int = 0
    cpu_shares: int = 0
    cpuset_cpus: str = ""
    pids_limit: int = 0


class Ulimit(msgspec.Struct, frozen=True, kw_only=True):
    """One rlimit by its docker name ("nofile")."""

    name: str
    soft: int
    hard: int


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a container was created with. `entrypoint` None means the image's; so does an empty `command`."""

    image: str
    name: str
    hostname: str
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    env: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    tty: bool = False
    open_stdin: bool = False
    attach_stdin: bool = False
    auto_remove: bool = False
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    mounts: tuple[Mount, ...] = ()
    ports: tuple[Port, ...] = ()
    publish_all: bool = False
    resources: Resources = Resources()
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    privileged: bool = False
    security_opt: tuple[str, ...] = ()
    read_only: bool = False
    network: str = "bridge"
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    add_host: tuple[str, ...] = ()
    stop_signal: str = ""
    stop_timeout: int | None = None
    mac_address: str = ""
    ip: str = ""
    tmpfs: tuple[str, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    sysctls: dict[str, str] = {}
    shm_size: int = 0
    group_add: tuple[str, ...] = ()
    init: bool = False
    oom_score_adj: int | None = None
    ipc: str = ""
    pid: str = ""
    uts: str = ""
    devices: tuple[DeviceMapping, ...] = ()
