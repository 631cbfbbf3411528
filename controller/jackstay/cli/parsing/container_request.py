"""The flags of ``run`` and ``create`` as the protocol's request. Pure, except that files named by flags are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jackstay.cli.parsing.devices import parse_device
from jackstay.cli.parsing.environment import parse_environment, parse_pairs, read_environment_file
from jackstay.cli.parsing.gpus import is_cdi_name, parse_gpus
from jackstay.cli.parsing.health_check import parse_health
from jackstay.cli.parsing.mounts import MountSpec, parse_mount, parse_volume
from jackstay.cli.parsing.networks import parse_networks
from jackstay.cli.parsing.ports import parse_publish
from jackstay.cli.parsing.restart_policy import parse_restart
from jackstay.cli.parsing.secrets import SecretSpec, parse_secret
from jackstay.cli.parsing.security_options import parse_security_option
from jackstay.cli.parsing.sizes import parse_bytes, parse_memory_swap, parse_nano_cpus
from jackstay.cli.parsing.ulimits import parse_ulimit
from jackstay.cli.platform_flags import canonical_platform
from jackstay.client import messages
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.cli.container_flags import ContainerFlags


def build_request(
    flags: ContainerFlags, image: str, command: Sequence[str], environ: Mapping[str, str], *, detach: bool
) -> messages.CreateContainerRequest:
    """The request. ``environ`` gives the values of variables that are named without one.

    Raises:
        InvalidArgument, UsageError: a flag is malformed or contradicts another.
        NotFound: a file that a flag names cannot be read.
    """
    if flags.tmpfs and any(not text.startswith("/") for text in flags.tmpfs):
        raise UsageError("--tmpfs: the path in the container must be absolute")
    return messages.CreateContainerRequest(
        image=image,
        name=flags.name,
        command=command,
        entrypoint=_entrypoint(flags.entrypoint),
        env=_environment(flags, environ),
        user=flags.user,
        working_dir=flags.workdir,
        hostname=flags.hostname,
        tty=flags.tty,
        open_stdin=flags.interactive,
        attach_stdin=flags.interactive and not detach,
        auto_remove=flags.rm,
        labels=_labels(flags),
        log_driver=flags.log_driver,
        log_opts=parse_pairs(flags.log_opt or (), "--log-opt"),
        annotations=parse_pairs(flags.annotation or (), "--annotation"),
        mounts=[_mount(mount) for mount in _mounts(flags)],
        volumes_from=flags.volumes_from or (),
        ports=[
            messages.PortBinding(
                host_ip=port.host_ip,
                host_port=port.host_port,
                container_port=port.container_port,
                protocol=port.protocol,
                host_port_end=port.host_port_end,
            )
            for text in flags.publish or ()
            for port in parse_publish(text)
        ],
        publish_all=flags.publish_all,
        expose=flags.expose or (),
        resources=resources_of(flags),
        cap_add=flags.cap_add or (),
        cap_drop=flags.cap_drop or (),
        privileged=flags.privileged,
        security_opt=[parse_security_option(text) for text in flags.security_opt or ()],
        read_only=flags.read_only,
        networks=parse_networks(
            flags.network or (),
            aliases=flags.network_alias or (),
            ip=flags.ip,
            ip6=flags.ip6,
            mac_address=flags.mac_address,
        ),
        dns=flags.dns or (),
        dns_search=flags.dns_search or (),
        dns_options=flags.dns_option or (),
        add_host=[_host_line(text) for text in flags.add_host or ()],
        stop_signal=flags.stop_signal,
        stop_timeout=flags.stop_timeout,
        tmpfs=flags.tmpfs or (),
        ulimits=[
            messages.Ulimit(name=limit.name, soft=limit.soft, hard=limit.hard)
            for limit in map(parse_ulimit, flags.ulimit or ())
        ],
        sysctls=parse_pairs(flags.sysctl or (), "--sysctl"),
        shm_size=parse_bytes(flags.shm_size, "--shm-size") if flags.shm_size is not None else 0,
        group_add=flags.group_add or (),
        init=flags.init,
        oom_score_adj=flags.oom_score_adj,
        replace=flags.replace,
        restart=_restart(flags),
        health=_health(flags),
        health_on_failure=flags.health_on_failure,
        ipc=flags.ipc,
        pid=flags.pid,
        uts=flags.uts,
        userns=flags.userns,
        cgroupns=flags.cgroupns,
        platform=canonical_platform(flags.platform),
        devices=[
            messages.DeviceMapping(
                host_path=device.host_path, container_path=device.container_path, permissions=device.permissions
            )
            for device in map(parse_device, [text for text in flags.device or () if not is_cdi_name(text)])
        ],
        device_cgroup_rules=flags.device_cgroup_rule or (),
        cdi_devices=[
            *(text for text in flags.device or () if is_cdi_name(text)),
            *(parse_gpus(flags.gpus) if flags.gpus else ()),
        ],
        secrets=[_secret(parse_secret(text)) for text in flags.secret or ()],
    )


def _restart(flags: ContainerFlags) -> messages.RestartPolicy | None:
    if not flags.restart:
        return None
    policy = parse_restart(flags.restart)
    if flags.rm and policy.name != "no":
        raise UsageError("conflicting options: cannot specify both --restart and --rm", hint="leave out one of the two")
    return messages.RestartPolicy(name=policy.name, maximum_retries=policy.maximum_retries)


def _health(flags: ContainerFlags) -> messages.HealthCheck | None:
    check = parse_health(
        flags.health_cmd,
        disabled=flags.no_healthcheck,
        retries=flags.health_retries,
        interval=flags.health_interval,
        timeout=flags.health_timeout,
        start_period=flags.health_start_period,
        start_interval=flags.health_start_interval,
    )
    if check is None:
        return None
    return messages.HealthCheck(
        test=check.test,
        interval_ns=check.interval_ns,
        timeout_ns=check.timeout_ns,
        start_period_ns=check.start_period_ns,
        start_interval_ns=check.start_interval_ns,
        retries=check.retries,
    )


def _entrypoint(text: str | None) -> messages.Entrypoint | None:
    return None if text is None else messages.Entrypoint(args=[text] if text else [])


def _environment(flags: ContainerFlags, environ: Mapping[str, str]) -> list[str]:
    from_files = [line for path in flags.env_file or () for line in read_environment_file(path)]
    return parse_environment([*from_files, *(flags.env or ())], environ)


def _labels(flags: ContainerFlags) -> dict[str, str]:
    from_files = [line for path in flags.label_file or () for line in read_environment_file(path)]
    return parse_pairs(from_files, "--label-file") | parse_pairs(flags.label or (), "--label")


def _mounts(flags: ContainerFlags) -> list[MountSpec]:
    mounts = [parse_volume(text) for text in flags.volume or ()] + [parse_mount(text) for text in flags.mount or ()]
    targets = [mount.target for mount in mounts] + [text.partition(":")[0] for text in flags.tmpfs or ()]
    if twice := [target for target in targets if targets.count(target) > 1]:
        raise UsageError(f"two mounts at {twice[0]}")
    return mounts


def _mount(mount: MountSpec) -> messages.Mount:
    return messages.Mount(
        type=mount.type,
        source=mount.source,
        target=mount.target,
        read_only=mount.read_only,
        no_copy=mount.no_copy,
        propagation=mount.propagation,
        create_source=mount.create_source,
        subpath=mount.subpath,
        tmpfs_size=mount.tmpfs_size,
        tmpfs_mode=mount.tmpfs_mode,
        non_recursive=mount.non_recursive,
        labels=mount.labels,
    )


def _secret(secret: SecretSpec) -> messages.SecretUse:
    return messages.SecretUse(
        source=secret.source,
        type=secret.type,
        target=secret.target,
        uid=secret.uid,
        gid=secret.gid,
        mode=secret.mode,
    )


def resources_of(flags: ContainerFlags) -> messages.Resources:
    """The limits that ``flags`` ask for. Raises ``InvalidArgument``."""
    return messages.Resources(
        memory=parse_bytes(flags.memory, "--memory") if flags.memory is not None else 0,
        memory_reservation=(
            parse_bytes(flags.memory_reservation, "--memory-reservation") if flags.memory_reservation is not None else 0
        ),
        memory_swap=parse_memory_swap(flags.memory_swap) if flags.memory_swap is not None else 0,
        nano_cpus=parse_nano_cpus(flags.cpus) if flags.cpus is not None else 0,
        cpu_shares=flags.cpu_shares,
        cpuset_cpus=flags.cpuset_cpus,
        pids_limit=flags.pids_limit,
        cpuset_mems=flags.cpuset_mems,
        cpu_period=flags.cpu_period,
        cpu_quota=flags.cpu_quota,
        blkio_weight=flags.blkio_weight,
    )


def _host_line(text: str) -> str:
    name, mark, address = text.partition("=" if "=" in text else ":")
    if not name or not mark or not address:
        raise UsageError(f"--add-host {text!r}: not NAME:ADDRESS")
    return f"{name}:{address.removeprefix('[').removesuffix(']')}"
