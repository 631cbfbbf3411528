"""The flags that ``run`` and ``create`` share: everything that the protocol's ``CreateContainerRequest`` can carry."""

from typing import Annotated, NamedTuple

import typer

# Annotations are values here, not text: typer needs them, and text would be compiled at every start.

Texts = list[str] | None


class ContainerFlags(NamedTuple):
    """What was given; docker's names, as text."""

    add_host: Texts = None
    annotation: Texts = None
    blkio_weight: int = 0
    cap_add: Texts = None
    cap_drop: Texts = None
    cgroupns: str = ""
    cidfile: str | None = None
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_shares: int = 0
    cpus: str | None = None
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    device: Texts = None
    device_cgroup_rule: Texts = None
    dns: Texts = None
    dns_option: Texts = None
    dns_search: Texts = None
    entrypoint: str | None = None
    env: Texts = None
    env_file: Texts = None
    expose: Texts = None
    gpus: str = ""
    group_add: Texts = None
    health_cmd: str = ""
    health_interval: str | None = None
    health_on_failure: str = ""
    health_retries: int = 0
    health_start_interval: str | None = None
    health_start_period: str | None = None
    health_timeout: str | None = None
    hostname: str = ""
    init: bool = False
    interactive: bool = False
    ip: str = ""
    ip6: str = ""
    ipc: str = ""
    label: Texts = None
    label_file: Texts = None
    log_driver: str = ""
    log_opt: Texts = None
    mac_address: str = ""
    memory: str | None = None
    memory_reservation: str | None = None
    memory_swap: str | None = None
    mount: Texts = None
    name: str = ""
    network: Texts = None
    network_alias: Texts = None
    no_healthcheck: bool = False
    on: int | None = None
    oom_score_adj: int | None = None
    pid: str = ""
    pids_limit: int = 0
    platform: str = ""
    privileged: bool = False
    publish: Texts = None
    publish_all: bool = False
    pull: str = "missing"
    quiet: bool = False
    read_only: bool = False
    replace: bool = False
    restart: str = ""
    rm: bool = False
    secret: Texts = None
    security_opt: Texts = None
    shm_size: str | None = None
    stop_signal: str = ""
    stop_timeout: int | None = None
    sysctl: Texts = None
    tmpfs: Texts = None
    tty: bool = False
    ulimit: Texts = None
    user: str = ""
    userns: str = ""
    uts: str = ""
    volume: Texts = None
    volumes_from: Texts = None
    workdir: str = ""


def container_flags(
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Else one is made.")] = "",
    interactive: Annotated[bool, typer.Option("--interactive", "-i", help="Keep standard input open.")] = False,
    tty: Annotated[bool, typer.Option("--tty", "-t", help="Give it a terminal.")] = False,
    rm: Annotated[bool, typer.Option("--rm", help="Remove it when it ends.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Remove a container of that name first.")] = False,
    env: Annotated[
        Texts, typer.Option("--env", "-e", metavar="NAME[=VALUE]", help="Without a value: this shell's.")
    ] = None,
    env_file: Annotated[Texts, typer.Option("--env-file", metavar="FILE", help="A NAME=VALUE a line.")] = None,
    workdir: Annotated[str, typer.Option("--workdir", "-w", metavar="PATH", help="The working folder.")] = "",
    user: Annotated[str, typer.Option("--user", "-u", metavar="NAME|UID[:GROUP|GID]", help="Who runs it.")] = "",
    group_add: Annotated[Texts, typer.Option("--group-add", metavar="GROUP", help="More groups.")] = None,
    entrypoint: Annotated[
        str | None, typer.Option("--entrypoint", metavar="COMMAND", help="Instead of the image's; '' for none.")
    ] = None,
    hostname: Annotated[str, typer.Option("--hostname", "-h", metavar="NAME", help="Inside.")] = "",
    volume: Annotated[
        Texts,
        typer.Option("--volume", "-v", metavar="[HOST-PATH|NAME:]PATH[:ro]", help="A folder of the host, or a volume."),
    ] = None,
    volumes_from: Annotated[
        Texts, typer.Option("--volumes-from", metavar="CONTAINER[:ro|rw]", help="What that container mounts.")
    ] = None,
    mount: Annotated[Texts, typer.Option("--mount", metavar="type=…,source=…,target=…", help="As docker's.")] = None,
    secret: Annotated[
        Texts,
        typer.Option(
            "--secret", metavar="NAME[,type=mount|env][,target=…]", help="A secret, as a file with uid=, gid=, mode=."
        ),
    ] = None,
    tmpfs: Annotated[Texts, typer.Option("--tmpfs", metavar="PATH[:OPTIONS]", help="In memory.")] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Its root cannot be written.")] = False,
    shm_size: Annotated[str | None, typer.Option("--shm-size", metavar="SIZE", help="Of /dev/shm (64m).")] = None,
    publish: Annotated[
        Texts, typer.Option("--publish", "-p", metavar="[IP:][HOST:]PORT[/udp]", help="Ports, also ranges.")
    ] = None,
    publish_all: Annotated[
        bool, typer.Option("--publish-all", "-P", help="Every port that the image exposes.")
    ] = False,
    expose: Annotated[
        Texts, typer.Option("--expose", metavar="PORT[/udp]", help="Ports, also ranges, beside the image's.")
    ] = None,
    network: Annotated[
        Texts, typer.Option("--network", "--net", metavar="NAME", help="A network; bridge, host, none.")
    ] = None,
    network_alias: Annotated[
        Texts, typer.Option("--network-alias", "--net-alias", metavar="NAME", help="More names in its network.")
    ] = None,
    ip: Annotated[str, typer.Option("--ip", metavar="ADDRESS", help="Its IPv4 address.")] = "",
    ip6: Annotated[str, typer.Option("--ip6", metavar="ADDRESS", help="Its IPv6 address.")] = "",
    mac_address: Annotated[str, typer.Option("--mac-address", metavar="MAC", help="Its link address.")] = "",
    dns: Annotated[Texts, typer.Option("--dns", metavar="ADDRESS", help="Name servers.")] = None,
    dns_search: Annotated[Texts, typer.Option("--dns-search", metavar="DOMAIN", help="Search domains.")] = None,
    dns_option: Annotated[
        Texts, typer.Option("--dns-option", "--dns-opt", metavar="OPTION", help="Of resolv.conf, e.g. ndots:2.")
    ] = None,
    add_host: Annotated[Texts, typer.Option("--add-host", metavar="NAME:ADDRESS", help="Lines of /etc/hosts.")] = None,
    memory: Annotated[str | None, typer.Option("--memory", "-m", metavar="SIZE", help="At most, e.g. 512m.")] = None,
    memory_reservation: Annotated[
        str | None, typer.Option("--memory-reservation", metavar="SIZE", help="Soft limit.")
    ] = None,
    memory_swap: Annotated[
        str | None, typer.Option("--memory-swap", metavar="SIZE", help="Memory and swap together; -1: no limit.")
    ] = None,
    cpus: Annotated[str | None, typer.Option("--cpus", metavar="NUMBER", help="CPUs, e.g. 1.5.")] = None,
    cpu_shares: Annotated[
        int, typer.Option("--cpu-shares", "-c", metavar="N", min=0, show_default=False, help="Relative weight.")
    ] = 0,
    cpuset_cpus: Annotated[
        str, typer.Option("--cpuset-cpus", metavar="LIST", help="Only these CPUs, e.g. 0-2,4.")
    ] = "",
    cpuset_mems: Annotated[str, typer.Option("--cpuset-mems", metavar="LIST", help="Only these memory nodes.")] = "",
    cpu_period: Annotated[
        int,
        typer.Option(
            "--cpu-period", metavar="MICROSECONDS", min=0, show_default=False, help="Of --cpu-quota (100000)."
        ),
    ] = 0,
    cpu_quota: Annotated[
        int, typer.Option("--cpu-quota", metavar="MICROSECONDS", show_default=False, help="CPU time in each period.")
    ] = 0,
    blkio_weight: Annotated[
        int, typer.Option("--blkio-weight", metavar="N", min=0, show_default=False, help="For disks, 10 to 1000.")
    ] = 0,
    pids_limit: Annotated[
        int, typer.Option("--pids-limit", metavar="N", show_default=False, help="Processes at most; -1: no limit.")
    ] = 0,
    oom_score_adj: Annotated[
        int | None,
        typer.Option(
            "--oom-score-adj", metavar="N", min=-1000, max=1000, help="For the kernel's choice when memory ends."
        ),
    ] = None,
    ulimit: Annotated[Texts, typer.Option("--ulimit", metavar="NAME=SOFT[:HARD]", help="Resource limits.")] = None,
    sysctl: Annotated[
        Texts, typer.Option("--sysctl", metavar="KEY=VALUE", help="Kernel settings of its namespaces.")
    ] = None,
    cap_add: Annotated[Texts, typer.Option("--cap-add", metavar="CAP", help="Give a capability.")] = None,
    cap_drop: Annotated[Texts, typer.Option("--cap-drop", metavar="CAP", help="Take a capability away.")] = None,
    privileged: Annotated[bool, typer.Option("--privileged", help="Everything is allowed.")] = False,
    security_opt: Annotated[
        Texts, typer.Option("--security-opt", metavar="OPTION", help="seccomp=FILE, no-new-privileges, …")
    ] = None,
    ipc: Annotated[
        str, typer.Option("--ipc", metavar="MODE", help="private, shareable, host, container:NAME, none.")
    ] = "",
    pid: Annotated[
        str, typer.Option("--pid", metavar="MODE", help="host, container:NAME: whose processes it sees.")
    ] = "",
    userns: Annotated[str, typer.Option("--userns", metavar="MODE", help="auto: its root is nobody on the host.")] = "",
    uts: Annotated[str, typer.Option("--uts", metavar="MODE", help="host: its name is the host's.")] = "",
    cgroupns: Annotated[
        str, typer.Option("--cgroupns", metavar="MODE", help="private or host: what of the cgroups it sees.")
    ] = "",
    device: Annotated[
        Texts,
        typer.Option("--device", metavar="HOST-PATH[:PATH][:rwm]", help="A device, a folder of them, or a CDI name."),
    ] = None,
    device_cgroup_rule: Annotated[
        Texts, typer.Option("--device-cgroup-rule", metavar="RULE", help="Devices it may use, e.g. 'c 10:* rw'.")
    ] = None,
    gpus: Annotated[str, typer.Option("--gpus", metavar="all|N|device=…", help="By CDI: nvidia.com/gpu=…")] = "",
    restart: Annotated[
        str, typer.Option("--restart", metavar="POLICY", help="no, on-failure[:N], always or unless-stopped.")
    ] = "",
    health_cmd: Annotated[
        str, typer.Option("--health-cmd", metavar="COMMAND", help="Asks whether it is well, by its exit code.")
    ] = "",
    health_interval: Annotated[
        str | None, typer.Option("--health-interval", metavar="DURATION", help="Between two checks (30s).")
    ] = None,
    health_timeout: Annotated[
        str | None, typer.Option("--health-timeout", metavar="DURATION", help="A check may take so long (30s).")
    ] = None,
    health_retries: Annotated[
        int,
        typer.Option("--health-retries", metavar="N", min=0, show_default=False, help="Failures to be unhealthy (3)."),
    ] = 0,
    health_start_period: Annotated[
        str | None, typer.Option("--health-start-period", metavar="DURATION", help="Failures do not count so long.")
    ] = None,
    health_start_interval: Annotated[
        str | None, typer.Option("--health-start-interval", metavar="DURATION", help="Between checks until then (5s).")
    ] = None,
    health_on_failure: Annotated[
        str,
        typer.Option("--health-on-failure", metavar="ACTION", help="When unhealthy: none, kill, restart or stop."),
    ] = "",
    no_healthcheck: Annotated[bool, typer.Option("--no-healthcheck", help="Not even the image's check.")] = False,
    init: Annotated[bool, typer.Option("--init", help="A small init that reaps processes.")] = False,
    label: Annotated[Texts, typer.Option("--label", "-l", metavar="KEY=VALUE", help="Labels.")] = None,
    log_driver: Annotated[
        str, typer.Option("--log-driver", metavar="DRIVER", help="json-file, local, k8s-file, or none: keep no output.")
    ] = "",
    log_opt: Annotated[
        Texts, typer.Option("--log-opt", metavar="KEY=VALUE", help="max-size=10m, max-file=3: how much output is kept.")
    ] = None,
    label_file: Annotated[Texts, typer.Option("--label-file", metavar="FILE", help="A KEY=VALUE a line.")] = None,
    annotation: Annotated[Texts, typer.Option("--annotation", metavar="KEY=VALUE", help="For the OCI runtime.")] = None,
    stop_signal: Annotated[str, typer.Option("--stop-signal", metavar="SIGNAL", help="What stop sends.")] = "",
    stop_timeout: Annotated[
        int | None, typer.Option("--stop-timeout", metavar="SECONDS", min=0, help="How long stop waits (10).")
    ] = None,
    platform: Annotated[
        str, typer.Option("--platform", metavar="OS/ARCH", help="Refuse an image that is for another.")
    ] = "",
    pull: Annotated[
        str, typer.Option("--pull", metavar="POLICY", help="The image, before: always, missing or never.")
    ] = "missing",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not tell that the image is pulled.")] = False,
    on: Annotated[
        int | None, typer.Option("--on", metavar="N", min=1, help="Only on N of the hosts, those with most room.")
    ] = None,
    cidfile: Annotated[str | None, typer.Option("--cidfile", metavar="FILE", help="Write its id there.")] = None,
) -> ContainerFlags:
    """Collect the flags."""
    return ContainerFlags(**locals())
