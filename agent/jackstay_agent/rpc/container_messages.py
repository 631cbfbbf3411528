"""The messages of the ``Containers`` service as values of `containers`, and the other way round. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from jackstay_agent.containers import settings as values
from jackstay_agent.containers import state
from jackstay_agent.containers.listing import Listed
from jackstay_agent.containers.settings import Settings
from jackstay_agent.containers.stats import Line
from jackstay_proto.v1 import containers_pb2 as pb

_SAME = {
    *("image", "name", "user", "working_dir", "hostname", "tty", "open_stdin", "attach_stdin", "auto_remove"),
    *("publish_all", "privileged", "read_only", "stop_signal", "shm_size", "init", "ipc", "pid"),
    *("uts", "userns", "cgroupns", "log_driver", "platform", "health_on_failure"),
}
_LISTS = {
    *("command", "env", "cap_add", "cap_drop", "security_opt", "dns", "dns_search", "add_host", "tmpfs", "group_add"),
    *("cdi_devices", "volumes_from", "expose", "dns_options", "device_cgroup_rules"),
}
_RESOURCES = tuple(field.name for field in msgspec.structs.fields(values.Resources))


def size_of(size: pb.WindowSize) -> tuple[int, int]:
    """Rows and columns."""
    return size.height, size.width


def parse_resources(resources: pb.Resources) -> values.Resources:
    """The limits that *resources* asks for."""
    return values.Resources(**{name: getattr(resources, name) for name in _RESOURCES})


def parse_restart(policy: pb.RestartPolicy) -> values.RestartPolicy:
    """The restart policy that *policy* asks for; an empty one is "no"."""
    return values.RestartPolicy(name=policy.name or "no", maximum_retries=policy.maximum_retries)


def _health(check: pb.HealthCheck) -> values.HealthCheck:
    return values.HealthCheck(
        test=tuple(check.test),
        interval=check.interval_ns,
        timeout=check.timeout_ns,
        start_period=check.start_period_ns,
        start_interval=check.start_interval_ns,
        retries=check.retries,
    )


def parse_settings(request: pb.CreateContainerRequest) -> Settings:
    """The settings that *request* asks for."""
    given: dict[str, Any] = {name: getattr(request, name) for name in _SAME}
    given |= {name: tuple(getattr(request, name)) for name in _LISTS}
    return Settings(
        **given,
        entrypoint=tuple(request.entrypoint.args) if request.HasField("entrypoint") else None,
        labels=dict(request.labels),
        annotations=dict(request.annotations),
        sysctls=dict(request.sysctls),
        log_opts=dict(request.log_opts),
        networks=tuple(
            values.NetworkAttachment(
                network=each.network or "bridge",
                aliases=tuple(each.aliases),
                ip=each.ip,
                ip6=each.ip6,
                mac_address=each.mac_address,
            )
            for each in request.networks
        )
        or (values.NetworkAttachment(),),
        restart=parse_restart(request.restart),
        health=_health(request.health) if request.HasField("health") else None,
        stop_timeout=request.stop_timeout if request.HasField("stop_timeout") else None,
        oom_score_adj=request.oom_score_adj if request.HasField("oom_score_adj") else None,
        resources=parse_resources(request.resources),
        mounts=tuple(
            values.Mount(
                type=mount.type,
                source=mount.source,
                target=mount.target,
                read_only=mount.read_only,
                no_copy=mount.no_copy,
                propagation=mount.propagation or "rprivate",
                create_source=mount.create_source,
                subpath=mount.subpath,
                tmpfs_size=mount.tmpfs_size,
                tmpfs_mode=mount.tmpfs_mode if mount.HasField("tmpfs_mode") else None,
                non_recursive=mount.non_recursive,
                labels=dict(mount.labels),
            )
            for mount in request.mounts
        ),
        devices=tuple(
            values.DeviceMapping(
                host_path=device.host_path,
                container_path=device.container_path or device.host_path,
                permissions=device.permissions or "rwm",
            )
            for device in request.devices
        ),
        ports=tuple(
            values.Port(
                container_port=port.container_port,
                protocol=port.protocol or "tcp",
                host_ip=port.host_ip,
                host_port=port.host_port,
                host_port_end=port.host_port_end,
            )
            for port in request.ports
        ),
        secrets=tuple(
            values.SecretUse(
                source=use.source,
                type=use.type or "mount",
                target=use.target,
                uid=use.uid,
                gid=use.gid,
                mode=use.mode if use.HasField("mode") else 0o444,
            )
            for use in request.secrets
        ),
        ulimits=tuple(
            values.Ulimit(name=ulimit.name, soft=ulimit.soft, hard=ulimit.hard) for ulimit in request.ulimits
        ),
    )


def stats(line: Line) -> pb.ContainerStats:
    """What a container uses; of one that does not run, its names only."""
    container, usage = line.container, line.usage
    if usage is None:
        return pb.ContainerStats(id=container.id, name=container.name)
    return pb.ContainerStats(
        id=container.id,
        name=container.name,
        running=True,
        time_ns=usage.time,
        cpu_ns=usage.accounts.cpu_ns,
        cpu_percent=usage.cpu_percent,
        memory=usage.accounts.memory,
        memory_limit=line.memory_limit,
        network_received=usage.received,
        network_sent=usage.sent,
        block_read=usage.accounts.block_read,
        block_written=usage.accounts.block_written,
        pids=usage.accounts.pids,
    )


def summary(item: Listed) -> pb.ContainerSummary:
    """A container as ``ps`` shows it."""
    row, settings = item.row, item.settings
    return pb.ContainerSummary(
        id=row.id,
        name=row.name,
        image=row.image,
        image_id=row.image_id,
        command=item.plan.args,
        created=row.created // 10**9,
        state=state.shown(state.of(row)),
        started=row.started // 10**9,
        finished=row.finished // 10**9,
        exit_code=row.exit_code or 0,
        ports=[
            pb.PortBinding(
                host_ip=port.host_ip,
                host_port=port.host_port,
                container_port=port.container_port,
                protocol=port.protocol,
            )
            for port in item.ports
        ],
        exposed=item.exposed,
        labels=item.plan.labels,
        networks=item.networks,
        mounts=[mount.source for mount in settings.mounts if mount.source],
        size_rw=item.size_rw,
        size_root=item.size_root,
        health=row.health,
        platform=item.platform,
    )
