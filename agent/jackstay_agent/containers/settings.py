"""A container's own settings: what `create` was asked for, kept as JSON in its row. Values only.

The fields mirror the protocol's ``CreateContainerRequest``, where their meaning is written.
"""

from __future__ import annotations

import msgspec


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A volume, a bind mount or a file system in memory. `source` is a volume's name or an absolute host path."""

    type: str
    source: str
    target: str
    read_only: bool = False
    no_copy: bool = False
    propagation: str = "rprivate"
    create_source: bool = False
    anonymous: bool = False
    subpath: str = ""
    tmpfs_size: int = 0
    tmpfs_mode: int | None = None
    non_recursive: bool = False
    labels: dict[str, str] = {}
    inherited: bool = False  # by ``--volumes-from``


class NetworkAttachment(msgspec.Struct, frozen=True, kw_only=True):
    """A network that the container is in, and what it is asked to be there; "" and () are "choose"."""

    network: str = "bridge"
    aliases: tuple[str, ...] = ()
    ip: str = ""
    ip6: str = ""
    mac_address: str = ""


class RestartPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a container that ended is started again. `maximum_retries` is of "on-failure", 0 for no bound."""

    name: str = "no"
    maximum_retries: int = 0


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True):
    """How to see that a container works. Durations in nanoseconds; 0 and () are the image's, else the default's."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class DeviceMapping(msgspec.Struct, frozen=True, kw_only=True):
    """A device of the host, or a folder of them, and where it is in the container; `permissions` of "rwm"."""

    host_path: str
    container_path: str
    permissions: str = "rwm"


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """A published port as asked for; `host_port` 0 is any free one, `host_ip` "" every address.

    With `host_port_end` it is the first free one from `host_port` to that.
    """

    container_port: int
    protocol: str = "tcp"
    host_ip: str = ""
    host_port: int = 0
    host_port_end: int = 0


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """Limits; 0 or "" is none. Memory in bytes."""

    memory: int = 0
    memory_reservation: int = 0
    memory_swap: int = 0
    nano_cpus: int = 0
    cpu_shares: int = 0
    cpuset_cpus: str = ""
    pids_limit: int = 0
    cpuset_mems: str = ""
    cpu_period: int = 0
    cpu_quota: int = 0
    blkio_weight: int = 0


class Ulimit(msgspec.Struct, frozen=True, kw_only=True):
    """One rlimit by its docker name ("nofile")."""

    name: str
    soft: int
    hard: int


class SecretUse(msgspec.Struct, frozen=True, kw_only=True):
    """How it gets the secret `source`: as a file ("mount") at `target`, or as the variable of that name ("env")."""

    source: str
    type: str = "mount"
    target: str = ""
    uid: int = 0
    gid: int = 0
    mode: int = 0o444


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
    networks: tuple[NetworkAttachment, ...] = (NetworkAttachment(),)
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    add_host: tuple[str, ...] = ()
    stop_signal: str = ""
    stop_timeout: int | None = None
    tmpfs: tuple[str, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    sysctls: dict[str, str] = {}
    shm_size: int = 0
    group_add: tuple[str, ...] = ()
    init: bool = False
    oom_score_adj: int | None = None
    restart: RestartPolicy = RestartPolicy()
    health: HealthCheck | None = None
    ipc: str = ""
    pid: str = ""
    uts: str = ""
    userns: str = ""
    cgroupns: str = ""
    devices: tuple[DeviceMapping, ...] = ()
    cdi_devices: tuple[str, ...] = ()
    log_driver: str = ""
    log_opts: dict[str, str] = {}
    volumes_from: tuple[str, ...] = ()
    platform: str = ""
    expose: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    device_cgroup_rules: tuple[str, ...] = ()
    health_on_failure: str = ""
    secrets: tuple[SecretUse, ...] = ()

    @property
    def network(self) -> str:
        """The network that the container is reached by; "host", "none" and "container:NAME" stand alone."""
        return self.networks[0].network

    @property
    def ip(self) -> str:
        """The IPv4 address asked for in it, or ""."""
        return self.networks[0].ip

    @property
    def mac_address(self) -> str:
        """The link address asked for in it, or ""."""
        return self.networks[0].mac_address


class _OneNetwork(msgspec.Struct, frozen=True, kw_only=True):
    """What agents that knew one network a container kept instead of `Settings.networks`."""

    networks: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    network: str = "bridge"
    ip: str = ""
    mac_address: str = ""


def decode(text: str) -> Settings:
    """The settings that a row keeps as *text*, also of an older agent. Raises `msgspec.MsgspecError`."""
    settings = msgspec.json.decode(text, type=Settings)
    kept = msgspec.json.decode(text, type=_OneNetwork)
    if kept.networks is not msgspec.UNSET:
        return settings
    network = NetworkAttachment(network=kept.network, ip=kept.ip, mac_address=kept.mac_address)
    return msgspec.structs.replace(settings, networks=(network,))
