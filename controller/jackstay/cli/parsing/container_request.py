"""The flags of ``run`` and ``create`` as the protocol's request. Pure, except that files named by flags are read.

What reads a flag is imported when that flag was given: most commands give few.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jackstay.cli.parsing.environment import parse_environment, parse_pairs, read_environment_file
from jackstay.cli.platform_flags import canonical_platform
from jackstay.client import messages
from jackstay.errors import UsageError

if TYPE_CHECKING:
    from jackstay.cli.container_flags import ContainerFlags
    from jackstay.cli.parsing.mounts import MountSpec
    from jackstay.cli.parsing.secrets import SecretSpec


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
        mounts=_mounts(flags),
        volumes_from=flags.volumes_from or (),
        ports=_ports(flags.publish or ()),
        publish_all=flags.publish_all,
        expose=flags.expose or (),
        resources=resources_of(flags),
        cap_add=flags.cap_add or (),
        cap_drop=flags.cap_drop or (),
        privileged=flags.privileged,
        security_opt=_security_options(flags.security_opt or ()),
        read_only=flags.read_only,
        networks=_networks(flags),
        dns=flags.dns or (),
        dns_search=flags.dns_search or (),
        dns_options=flags.dns_option or (),
        add_host=[_host_line(text) for text in flags.add_host or ()],
        stop_signal=flags.stop_signal,
        stop_timeout=flags.stop_timeout,
        tmpfs=flags.tmpfs or (),
        ulimits=_ulimits(flags.ulimit or ()),
        sysctls=parse_pairs(flags.sysctl or (), "--sysctl"),
        shm_size=_bytes(flags.shm_size, "--shm-size"),
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
        devices=_devices(flags.device or ()),
        device_cgroup_rules=flags.device_cgroup_rule or (),
        cdi_devices=_cdi_devices(flags.device or (), flags.gpus),
        secrets=_secrets(flags.secret or ()),
    )


def _restart(flags: ContainerFlags) -> messages.RestartPolicy | None:
    if not flags.restart:
        return None
    from jackstay.cli.parsing.restart_policy import parse_restart

    policy = parse_restart(flags.restart)
    if flags.rm and policy.name != "no":
        raise UsageError("conflicting options: cannot specify both --restart and --rm", hint="leave out one of the two")
    return messages.RestartPolicy(name=policy.name, maximum_retries=policy.maximum_retries)


def _health(flags: ContainerFlags) -> messages.HealthCheck | None:
    durations = {
        "interval": flags.health_interval,
        "timeout": flags.health_timeout,
        "start_period": flags.health_start_period,
        "start_interval": flags.health_start_interval,
    }
    given = any(text is not None for text in durations.values())
    if not (given or flags.health_cmd or flags.health_retries or flags.no_healthcheck):
        return None
    from jackstay.cli.parsing.health_check import parse_health

    check = parse_health(flags.health_cmd, disabled=flags.no_healthcheck, retries=flags.health_retries, **durations)
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


def _ports(texts: Sequence[str]) -> list[messages.PortBinding]:
    if not texts:
        return []
    from jackstay.cli.parsing.ports import parse_publish

    return [
        messages.PortBinding(
            host_ip=port.host_ip,
            host_port=port.host_port,
            container_port=port.container_port,
            protocol=port.protocol,
            host_port_end=port.host_port_end,
        )
        for text in texts
        for port in parse_publish(text)
    ]


def _security_options(texts: Sequence[str]) -> list[str]:
    if not texts:
        return []
    from jackstay.cli.parsing.security_options import parse_security_option

    return [parse_security_option(text) for text in texts]


def _networks(flags: ContainerFlags) -> list[messages.NetworkAttachment]:
    if not (flags.network or flags.network_alias or flags.ip or flags.ip6 or flags.mac_address):
        return []
    from jackstay.cli.parsing.networks import parse_networks

    return parse_networks(
        flags.network or (),
        aliases=flags.network_alias or (),
        ip=flags.ip,
        ip6=flags.ip6,
        mac_address=flags.mac_address,
    )


def _ulimits(texts: Sequence[str]) -> list[messages.Ulimit]:
    if not texts:
        return []
    from jackstay.cli.parsing.ulimits import parse_ulimit

    limits = map(parse_ulimit, texts)
    return [messages.Ulimit(name=limit.name, soft=limit.soft, hard=limit.hard) for limit in limits]


def _devices(texts: Sequence[str]) -> list[messages.DeviceMapping]:
    if not texts:
        return []
    from jackstay.cli.parsing.devices import parse_device
    from jackstay.cli.parsing.gpus import is_cdi_name

    devices = map(parse_device, [text for text in texts if not is_cdi_name(text)])
    return [
        messages.DeviceMapping(
            host_path=device.host_path, container_path=device.container_path, permissions=device.permissions
        )
        for device in devices
    ]


def _cdi_devices(texts: Sequence[str], gpus: str) -> list[str]:
    if not (texts or gpus):
        return []
    from jackstay.cli.parsing.gpus import is_cdi_name, parse_gpus

    return [*filter(is_cdi_name, texts), *(parse_gpus(gpus) if gpus else ())]


def _mounts(flags: ContainerFlags) -> list[messages.Mount]:
    targets = [text.partition(":")[0] for text in flags.tmpfs or ()]
    mounts: list[MountSpec] = []
    if flags.volume or flags.mount:
        from jackstay.cli.parsing.mounts import parse_mount, parse_volume

        mounts = [*map(parse_volume, flags.volume or ()), *map(parse_mount, flags.mount or ())]
        targets = [mount.target for mount in mounts] + targets
    if twice := [target for target in targets if targets.count(target) > 1]:
        raise UsageError(f"two mounts at {twice[0]}")
    return [_mount(mount) for mount in mounts]


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


def _secrets(texts: Sequence[str]) -> list[messages.SecretUse]:
    if not texts:
        return []
    from jackstay.cli.parsing.secrets import parse_secret

    return [_secret(parse_secret(text)) for text in texts]


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
        memory=_bytes(flags.memory, "--memory"),
        memory_reservation=_bytes(flags.memory_reservation, "--memory-reservation"),
        memory_swap=_memory_swap(flags.memory_swap),
        nano_cpus=_nano_cpus(flags.cpus),
        cpu_shares=flags.cpu_shares,
        cpuset_cpus=flags.cpuset_cpus,
        pids_limit=flags.pids_limit,
        cpuset_mems=flags.cpuset_mems,
        cpu_period=flags.cpu_period,
        cpu_quota=flags.cpu_quota,
        blkio_weight=flags.blkio_weight,
    )


def _bytes(text: str | None, flag: str) -> int:
    if text is None:
        return 0
    from jackstay.cli.parsing.sizes import parse_bytes

    return parse_bytes(text, flag)


def _memory_swap(text: str | None) -> int:
    if text is None:
        return 0
    from jackstay.cli.parsing.sizes import parse_memory_swap

    return parse_memory_swap(text)


def _nano_cpus(text: str | None) -> int:
    if text is None:
        return 0
    from jackstay.cli.parsing.sizes import parse_nano_cpus

    return parse_nano_cpus(text)


def _host_line(text: str) -> str:
    name, mark, address = text.partition("=" if "=" in text else ":")
    if not name or not mark or not address:
        raise UsageError(f"--add-host {text!r}: not NAME:ADDRESS")
    return f"{name}:{address.removeprefix('[').removesuffix(']')}"
